"""Samples in many dimensions, against writing as many numbers once."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import jaxgen as jg

from .rows import Row


def rows(small: bool):
    """Nanoseconds a point."""
    rng, key = np.random.default_rng(0), jr.key(0)
    for d in (64,) if small else (64, 784, 3072):
        points, n = rng.random((100 if small else 500, d)), max(8, (1 << (14 if small else 22)) // d)
        measure = jg.GridMeasure.from_samples(points, 3).quantize(1 << 16)
        write = jax.jit(lambda key, n=n, d=d: jnp.broadcast_to(jr.uniform(key, ()), (n, d)) + 0.0)
        for name, g in (("Peano line", jg.PeanoGenerator(measure)), ("codebook", jg.CodebookGenerator(points))):
            title = f"{name}, d = {d}, {len(points)} leaves"
            yield Row(title, lambda g=g, n=n: g.sample(key, n), "writing once", lambda w=write: w(key), n, 4 * d * n)
