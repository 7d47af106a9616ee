"""Samples in many dimensions, against writing as many numbers once."""

import functools as ft

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from scipy.stats import chi2

import jaxgen as jg

from .rows import Row


def rows(small: bool):
    """Nanoseconds a point."""
    rng, key = np.random.default_rng(0), jr.key(0)
    for d in (64,) if small else (64, 784, 3072):
        points, n = rng.random((100 if small else 500, d)), max(64, (1 << (14 if small else 22)) // d)
        measure = jg.GridMeasure.from_samples(points, 3).quantize(1 << 16)
        write = jax.jit(lambda key, n=n, d=d: jnp.broadcast_to(jr.uniform(key, ()), (n, d)) + 0.0)
        within = measure.low_corners, measure.low_corners + measure.sides, measure.masses
        equal = points, points, np.full(len(points), 1 / len(points))
        # A point of a codebook is drawn by some 9 bits; one in a cell has 24 bits a coordinate of its own.
        for name, g, leaves, words in (
            ("Peano line", jg.PeanoGenerator(measure), within, -(-24 * d // 32)),
            ("codebook", jg.CodebookGenerator(points), equal, 1),
        ):
            yield Row(
                f"{name}, d = {d}, {len(points)} leaves", ft.partial(g.sample, key, n), "writing once",
                ft.partial(write, key), n, 4 * d * n, words * n, lambda x, _, leaves=leaves: lies_in(x, *leaves),
            )  # fmt: skip


def lies_in(x, low, high, masses) -> bool:
    """Whether each point lies in a leaf, and 8 groups of leaves get what they should: chi-square at 1 - 1e-6."""
    x, low, high = (np.asarray(array, np.float32) for array in (x, low, high))
    slack = 1e-6 * np.abs(high).max()
    inside = np.array([np.flatnonzero(np.all((p >= low - slack) & (p <= high + slack), axis=1))[:1] for p in x])
    if inside.shape != (len(x), 1):
        return False
    expected = np.bincount(np.arange(len(low)) % 8, np.asarray(masses, float), minlength=8) * len(x)
    seen = np.bincount(inside[:, 0] % 8, minlength=8)
    return float(np.sum((seen - expected) ** 2 / expected)) < chi2.ppf(1 - 1e-6, 7)
