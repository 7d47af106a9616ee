"""How times grow over two decades or three: the slope on logarithmic axes, with what theory says of it."""

import functools as ft

import jax.random as jr
import numpy as np

import jaxgen as jg

from .rows import in_turn

KEY, QUANTA = jr.key(0), 1 << 20


def table(small: bool):
    """Records of `name`, `expected`, `sizes`, `seconds` and the least-squares `slope` of log seconds in log size."""
    for name, expected, sizes, made in series():
        sizes = sizes[:2] if small else sizes
        calls = [made(size) for size in sizes]
        seconds = in_turn(*calls, rounds=1 if small else 5)
        slope = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
        yield {"name": name, "expected": expected, "sizes": sizes, "seconds": seconds, "slope": slope}


def square(cells: int, seed: int = 0) -> jg.QuantizedMeasure:
    """About so many cells in the plane, each with a random mass."""
    side = round(cells**0.5)
    return jg.GridMeasure.from_histogram(np.random.default_rng(seed).random((side, side))).quantize(QUANTA)


def sample_of(g, n: int):
    return ft.partial(g.sample, KEY, n)


def points_in(d: int) -> np.ndarray:
    return np.random.default_rng(0).random((200, d))


def series():
    """Name, what the slope should be, sizes from the smallest on, and the call for a size."""
    cells, d = [1_000, 10_000, 100_000, 1_000_000], [4, 32, 256, 4096]
    yield "2^18 samples, by cells", "0 (log)", cells, lambda k: sample_of(jg.PeanoGenerator(square(k)), 1 << 18)
    flat = jg.PeanoGenerator(square(1000))
    yield "Peano, d = 2, by samples", "1", [10_000, 100_000, 1_000_000, 10_000_000], ft.partial(sample_of, flat)
    yield (
        "256 samples of a grid, by dimension", "1", d,
        lambda k: sample_of(jg.GridMeasure.from_samples(points_in(k), 3).quantize(4096).generator(), 256),
    )  # fmt: skip
    yield (
        "256 samples of a codebook, by dimension",
        "1",
        d,
        lambda k: sample_of(jg.CodebookGenerator(points_in(k)), 256),
    )
    yield (
        "2^16 samples, by extra levels", "0 (a float holds 24 bits)", [1, 10, 100, 1000],
        lambda k: sample_of(jg.PeanoGenerator(square(1000), extra_levels=k), 1 << 16),
    )  # fmt: skip
    many = np.random.default_rng(0).random((10_000_000, 2))
    yield (
        "from_samples, by points",
        "1",
        [10_000, 100_000, 1_000_000, 10_000_000],
        lambda k: lambda: jg.GridMeasure.from_samples(many[:k], 100, low=0.0, high=1.0).masses,
    )
    yield "encode, by cells", "1", cells, lambda k: ft.partial(jg.encode, square(k))
    yield "decode, by cells", "1", cells, lambda k: ft.partial(jg.decode, jg.encode(square(k)))
    law = square(1000).generator()
    yield (
        "law_distance to 1,000 points, by source values",
        "1 to 2",
        [100, 1_000, 10_000],
        lambda k: lambda: jg.law_distance(law, many[:1000], n=k).value,
    )
