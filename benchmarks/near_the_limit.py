"""Codes of random K-point laws against the covering limit: a table, and a figure that says where the rest is lost.

`python benchmarks/near_the_limit.py [FIGURE.png]`; `--smoke` for a size that takes seconds. Laws of K atoms of mass
1/K, independent and uniform on the cube. K is, for each budget, about the one for which the volume bound is the
strongest at the error that the code reaches (first table), or at the budget, 1.44 bits an atom (second table). The
error is the exact W_1 between the points and the decoded file.
"""

import argparse
import math

import numpy as np
import ot
from scipy.special import gammaln
from tabulate import tabulate

import jaxgen as jg
from jaxgen.rate import lattice_atoms

# Bits an atom, header apart, at which the code's error makes K the maximizer of the volume bound; and a header.
BITS_AN_ATOM, HEADER = {1: 1.86, 2: 3.2, 3: 3.6}, 140


def log_volume(d: int) -> float:
    """ln of kappa_d d!, the volume of the unit ball times d!."""
    return d / 2 * math.log(math.pi) - math.lgamma(d / 2 + 1) + math.lgamma(d + 1)


def best_error(d: int) -> float:
    """eps K^(1/d) where the volume bound is largest at K: it is then K log2(e) bits, for d = 1 by means."""
    return 1 / (2 * math.e) if d == 1 else d / math.e * math.exp(-(1 + log_volume(d)) / d)


def volume_error(bits: float, d: int) -> float:
    """The covering limit by the volume argument alone, which holds for K atoms of mass 1/K."""
    return best_error(d) * (bits * math.log(2)) ** (-1 / d)


def log2_binomial(n: int, k: int) -> float:
    return (gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)) / math.log(2)


def count_of(measure) -> float:
    """log2 of the number of laws that share the header: what an ideal code would take."""
    places, m, quanta = math.prod(measure.lattice.resolution), measure.size, measure.quanta
    if measure.lattice.memory:
        places = jg.coding.Trellis(measure.lattice.resolution, measure.lattice.memory).positions(measure.places)[1]
    return log2_binomial(places, m) + log2_binomial(quanta - 1, m - 1)


def exact(points: np.ndarray, measure) -> float:
    """W_1 by sorting on the line, else by a network simplex; nothing of the library but the decoded atoms."""
    atoms, masses = np.asarray(measure.low_corners, np.float64), np.asarray(measure.counts, np.float64)
    if points.shape[1] == 1:
        return float(np.abs(np.sort(points[:, 0]) - np.sort(np.repeat(atoms[:, 0], masses.astype(int)))).mean())
    weights = np.full(len(points), 1 / len(points))
    return float(ot.emd2(weights, masses / masses.sum(), ot.dist(points, atoms, "euclidean"), numItermax=10**7))


def row(d: int, bits: int, points: int, laws: int):
    """Means over random laws: error, its ratio to the limits by the file and by the count, K over the maximizer."""
    found = []
    for seed in range(laws):
        x = np.random.default_rng([d, bits, seed]).random((points, d))
        data = jg.encode(lattice_atoms(x, bits))
        measure = jg.decode(data)
        error, used, count = exact(x, measure), 8 * len(data), count_of(measure)
        found.append(
            (
                error,
                error / volume_error(used, d),
                error / volume_error(count, d),
                error / jg.limits.covering_error(used, d),
                used - count,
                count / points,
                points * (error / best_error(d)) ** d,
            )
        )
    return np.mean(found, axis=0), np.max(found, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figure", nargs="?")
    parser.add_argument("--smoke", action="store_true")
    args = parser.parse_args()
    budgets, laws = ([512], 2) if args.smoke else ([512, 1024, 2048, 4096, 8192], 5)
    curves = {}
    for name in ("K the maximizer for the error", "K the maximizer for the bits"):
        table = []
        for d in (1, 2, 3):
            for bits in budgets:
                each = BITS_AN_ATOM[d] if name.endswith("error") else math.log2(math.e)
                points = round((bits - HEADER) / each)
                mean, worst = row(d, bits, points, laws)
                curves.setdefault((name, d), []).append((bits, points, mean))
                table.append([d, bits, points, *mean[:3].tolist(), float(worst[2]), *mean[3:].tolist()])
                print(table[-1], flush=True)
        heads = ["d", "bits", "K", "W1", "file", "count", "worst", "library", "header", "bits/K", "K/max"]
        print(f"\n{name}\n" + tabulate(table, heads, floatfmt=".4g"))
    if args.figure:
        figure(args.figure, curves)


def figure(path: str, curves) -> None:
    """Bits times the limit's own power of the error, so that the covering limit is a horizontal line."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(1, 3, figsize=(13, 4.2))
    for d, ax in zip((1, 2, 3), axes, strict=True):
        rows = curves["K the maximizer for the error", d]
        errors = np.array([r[2][0] for r in rows])
        points, files = np.array([r[1] for r in rows]), np.array([r[0] for r in rows])
        counts = points * np.array([r[2][5] for r in rows])
        limit = (best_error(d) / errors) ** d / math.log(2)
        # The same argument for centres that are K atoms of mass 1/K themselves: K! in place of K^K.
        atomic = limit if d == 1 else limit + (points * np.log(points) - gammaln(points + 1)) / math.log(2)
        types = [
            jg.limits.type_class_bits(round((cube(d) / e) ** d), int(k)) for e, k in zip(errors, points, strict=True)
        ]
        library = [jg.limits.covering_bits(e, d) for e in errors]
        for bits, style, label in (
            (types, "s-", "K-types on a lattice: log2 C(N + K - 1, K)"),
            (files, "o-", "the file"),
            (counts, "o--", "its count, without the header"),
            (atomic, "k:", "limit for centres of K atoms (K! for K^K)"),
            (library, "k-.", "covering limit, all laws"),
            (limit, "k-", "covering limit, K atoms"),
        ):
            if d > 1 and label.endswith("all laws"):
                continue
            if d == 1 and "K!" in label:
                continue
            ax.plot(errors, np.asarray(bits) / limit, style, label=label)
        ax.set_xscale("log")
        ax.set_xlabel("exact $W_1$")
        ax.set_title(f"d = {d}")
        ax.set_ylim(0, None)
        ax.legend(fontsize=7)
    axes[0].set_ylabel("bits / covering limit for K atoms")
    plt.tight_layout()
    plt.savefig(path, dpi=150)


def cube(d: int) -> float:
    """The mean distance to the centre of a unit cube."""
    return {1: 0.25, 2: 0.38259785, 3: 0.48029596}[d]


if __name__ == "__main__":
    main()
