"""Bits of a network over the fewest bits that any description of all laws must have at its error.

For a limit of B bits the error is the one that no code of fewer bits attains for all laws (`covering_error`). The law
is that of K random points, K the maximizer of the bound of volume at this error; the network is that of a grid just
fine enough to be within the error of the points, by its own proof: the mean distance to the centres of their cells, and
the ramps. Three descriptions of it: its weights in their own code (`coding.network_code`), 32 bits for each of them,
and 32 bits and its place. Run from anywhere: `python benchmarks/network_bits.py [--figure file.png]`; two minutes to a
million bits, `--most 1e4` for seconds.
"""

import argparse
import math
from typing import NamedTuple

import jax
import numpy as np
from tabulate import tabulate

import jaxgen as jg


class Sized(NamedTuple):
    """A law, the measure that stands for it, the network of that, and a bound on W_1 from one end to the other."""

    points: np.ndarray
    network: jg.ReLUNetwork
    measure: jg.QuantizedMeasure
    proven: float


def sized(limit: float, dim: int, seed: int = 0) -> Sized:
    """The network for the error at which `limit` bits are the fewest."""
    error = jg.limits.covering_error(limit, dim)
    # On the line the bound of volume has another maximizer than the strongest one, which is not of K points.
    atoms = jg.limits.covering_argument(error, dim).atoms if dim > 1 else round(1 / (2 * math.e * error))
    points = np.random.default_rng(seed).random((atoms, dim))
    ramp = 2.0 ** -math.ceil(math.log2(1 / error) + 7)
    # In a ramp the point is between two others of the unit cube. Weights in float64 move ends of ramps, and sums of
    # steps, by less than 2**-50 a leaf.
    lost = (2 * ramp + atoms * 2.0**-50) * math.sqrt(dim)

    def distance(n: int) -> float:
        centres = (np.minimum(np.floor(points * n), n - 1) + 0.5) / n
        return float(np.linalg.norm(points - centres, axis=1).mean()) + lost

    few, many = 0, 1
    while distance(many) > error:
        few, many = many, 2 * many
    while many - few > max(1, many // 200):
        middle = (few + many) // 2
        few, many = (few, middle) if distance(middle) <= error else (middle, many)
    cells, counts = np.unique(np.minimum((points * many).astype(int), many - 1), axis=0, return_counts=True)
    measure = jg.QuantizedMeasure(cells, counts, 0.0, 1.0, many)
    return Sized(points, jg.PeanoGenerator(measure, 0, "centre").network(ramp), measure, distance(many))


def rows(most: float):
    """For each dimension and limit: the network, and bits over the limit of each description."""
    for dim in (1, 2, 3):
        for k in range(2, 1 + int(math.log10(most))):
            law = sized(10.0**k, dim)
            m, limit = law.network.connectivity, 10.0**k
            coded = 8 * len(jg.coding.network_code(law.network))
            plain = jg.coding.network_bits(law.network, 32)
            yield (
                dim,
                k,
                m,
                jg.code_length(law.measure) / limit,
                coded / limit,
                32 * m / limit,
                plain / limit,
                coded / m,
            )


def draw(table, path: str) -> None:
    """Bits over the limit against the limit, a line a description and dimension."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for dim in (1, 2, 3):
        mine = [row for row in table if row[0] == dim]
        for column, style in ((6, ":"), (5, "--"), (4, "-"), (3, "-.")):
            axes.plot([10.0 ** row[1] for row in mine], [row[column] for row in mine], f"C{dim - 1}{style}o", ms=3)
        axes.plot([], [], f"C{dim - 1}-", label=f"d = {dim}")
    names = {":": "32 bits a weight, and its place", "--": "32 bits a weight", "-": "code of the weights"}
    for style, name in {**names, "-.": "code of the measure"}.items():
        axes.plot([], [], f"k{style}", label=name)
    axes.axhline(1, color="k", lw=0.8)
    axes.set(
        xscale="log", yscale="log", xlabel="covering limit at the network's error, bits", ylabel="bits over the limit"
    )
    axes.legend(fontsize=8, ncols=2)
    figure.savefig(path, dpi=160)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=float, default=1e6, help="the largest limit in bits")
    parser.add_argument("--figure", help="where to draw it")
    options = parser.parse_args()
    # Certificates far below 2**-24 are about numbers that float32 does not have.
    jax.config.update("jax_enable_x64", True)
    table = list(rows(options.most))
    heads = ["d", "log10 limit", "weights", "measure", "network", "32 a weight", "and places", "bits a weight"]
    print(tabulate(table, heads, floatfmt=("d", "d", "d", ".2f", ".2f", ".1f", ".0f", ".2f")))
    if options.figure:
        draw(table, options.figure)
