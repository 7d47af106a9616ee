"""Times the hot paths of the explicit generators, each as a ratio to something that does comparable work.

The two of a row are timed in turn, medians of several rounds, compilation apart. Run from anywhere:
`python benchmarks/explicit.py`; with `--smoke`, at sizes that take seconds and say nothing about speed.
"""

import argparse
import time
import zlib

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from tabulate import tabulate

import jaxgen as jg

ROUNDS = 5


def in_turn(ours, theirs):
    """Median seconds of each, after one call of each that compiles."""
    ours(), theirs()
    seconds = [[], []]
    for _ in range(ROUNDS):
        for times, run in zip(seconds, (ours, theirs), strict=True):
            began = time.perf_counter()
            jax.block_until_ready(run())
            times.append(time.perf_counter() - began)
    return [float(np.median(times)) for times in seconds]


def rows(scale: float):
    """The rows of the table, with sizes times `scale`."""
    rng = np.random.default_rng(0)
    key, n, side = jr.key(0), int(1_000_000 * scale), int(1000 * scale**0.5)
    points = rng.normal(size=(10 * n, 2))
    yield (
        f"histogram of {10 * n:.0e} points, 100 x 100",
        "numpy.histogramdd",
        *in_turn(lambda: jg.GridMeasure.from_samples(points, 100).masses, lambda: np.histogramdd(points, bins=100)[0]),
    )
    # A million samples, against the least that a sampler can do: draw d uniform numbers a point.
    plain = jax.jit(lambda key: jr.uniform(key, (n, 2)))
    some = jg.GridMeasure.from_samples(points[:3000], 81)
    full = jg.GridMeasure.from_histogram(rng.random((side, side)))
    for name, measure in (("3000 points", some), (f"{side}^2 cells", full)):
        for g in (jg.SawtoothGenerator(measure, 6), jg.PeanoGenerator(measure, 2), jg.IndependentGenerator(measure)):
            yield (
                f"{n:.0e} samples, {type(g).__name__}, {name}",
                "as many pairs of uniform numbers",
                *in_turn(lambda g=g: g.sample(key, n), lambda: plain(key)),
            )
    network = jg.MLPGenerator(dim=2, source_dim=1, width=64, depth=4, key=key)
    g = jg.PeanoGenerator(some, 2)
    yield (
        f"{n:.0e} samples, CurveGenerator, 3000 points",
        "MLPGenerator 64 x 4",
        *in_turn(lambda: g.sample(key, n), lambda: network.sample(key, n)),
    )
    counts = rng.multinomial(side**2, np.ones(side**2) / side**2)
    cells = np.stack(np.unravel_index(np.flatnonzero(counts), (side, side)), axis=1)
    dense = jg.QuantizedMeasure(cells, counts[counts > 0], 0.0, 1.0, (side, side))
    data = jg.encode(dense)
    raw = np.asarray(dense.counts).tobytes()
    packed = zlib.compress(raw)
    yield (
        f"encode {side}^2 cells",
        "zlib of the counts",
        *in_turn(lambda: jg.encode(dense), lambda: zlib.compress(raw)),
    )
    yield (
        f"decode {side}^2 cells",
        "zlib of the counts",
        *in_turn(lambda: jg.decode(data).counts, lambda: zlib.decompress(packed)),
    )
    x, y = rng.random((n // 50, 2)), rng.random((n // 50, 2))
    yield (
        f"curve_coupling, 2 x {n // 50} points",
        "sorting them",
        *in_turn(lambda: jg.curve_coupling(x, y), lambda: (np.sort(x, axis=0), np.sort(y, axis=0))),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a hundredth of the size")
    scale = 0.01 if parser.parse_args().smoke else 1.0
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, {jnp.result_type(float)}\n")
    table = [(a, b, f"{s:.3f}", f"{t:.3f}", f"{s / t:.2f}") for a, b, s, t in rows(scale)]
    print(tabulate(table, ["ours", "theirs", "ours s", "theirs s", "ratio"], disable_numparse=True))
