"""Times the hot paths of the explicit generators, each as a ratio to something that does comparable work.

The two of a row are timed in turn, medians of several rounds, compilation apart. Run from anywhere:
`python benchmarks/explicit.py`.
"""

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


def rows():
    rng = np.random.default_rng(0)
    key, n = jr.key(0), 1_000_000
    points = rng.normal(size=(10_000_000, 2))
    yield (
        "histogram of 10^7 points, 100 x 100",
        "numpy.histogramdd",
        *in_turn(lambda: jg.GridMeasure.from_samples(points, 100).masses, lambda: np.histogramdd(points, bins=100)[0]),
    )
    # A million samples, against the least that a sampler can do: draw d uniform numbers a point.
    plain = jax.jit(lambda key: jr.uniform(key, (n, 2)))
    some = jg.GridMeasure.from_samples(points[:3000], 81)
    full = jg.GridMeasure.from_histogram(rng.random((1000, 1000)))
    for name, measure in (("3000 points", some), ("10^6 cells", full)):
        for g in (jg.SawtoothGenerator(measure, 6), jg.PeanoGenerator(measure, 2), jg.IndependentGenerator(measure)):
            yield (
                f"10^6 samples, {type(g).__name__}, {name}",
                "2 x 10^6 uniform numbers",
                *in_turn(lambda g=g: g.sample(key, n), lambda: plain(key)),
            )
    network = jg.MLPGenerator(dim=2, source_dim=1, width=64, depth=4, key=key)
    g = jg.PeanoGenerator(some, 2)
    yield (
        "10^6 samples, PeanoGenerator, 3000 points",
        "10^6 samples, MLPGenerator 64 x 4",
        *in_turn(lambda: g.sample(key, n), lambda: network.sample(key, n)),
    )
    counts = rng.multinomial(10**6, np.ones(10**6) / 10**6)
    cells = np.stack(np.unravel_index(np.flatnonzero(counts), (1000, 1000)), axis=1)
    dense = jg.QuantizedMeasure(cells, counts[counts > 0], 0.0, 1.0, (1000, 1000))
    data = jg.encode(dense)
    raw = np.asarray(dense.counts).tobytes()
    yield (
        "encode 10^6 cells",
        "zlib of the counts",
        *in_turn(lambda: jg.encode(dense), lambda: zlib.compress(raw)),
    )
    yield (
        "decode 10^6 cells",
        "zlib of the counts",
        *in_turn(lambda: jg.decode(data).counts, lambda: zlib.decompress(zlib.compress(raw))),
    )
    x, y = rng.random((20_000, 2)), rng.random((20_000, 2))
    yield (
        "curve_coupling, 2 x 20000 points",
        "sorting them",
        *in_turn(lambda: jg.curve_coupling(x, y), lambda: (np.sort(x, axis=0), np.sort(y, axis=0))),
    )


if __name__ == "__main__":
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, {jnp.result_type(float)}\n")
    table = [(a, b, f"{s:.3f}", f"{t:.3f}", f"{s / t:.2f}") for a, b, s, t in rows()]
    print(tabulate(table, ["ours", "theirs", "ours s", "theirs s", "ratio"], disable_numparse=True))
