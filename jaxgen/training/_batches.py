"""Batches of low variance: one data point in each stretch of the Peano curve, one source in each stretch of [0, 1]."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..curves import PeanoCurve

# Base-3 digits of each coordinate that the order of the data is decided by: 3**-8 of its range.
_LEVELS = 8


def curve_order(points: Float[np.ndarray, "n d"], codes: Int[np.ndarray, " n"] | None) -> Int[np.ndarray, " n"]:
    """The permutation that puts points label by label, and within a label along the Peano curve."""
    low, side = points.min(axis=0), np.ptp(points, axis=0)
    unit = (points - low) / np.where(side > 0, side, 1)
    cells = np.minimum(np.floor(unit * 3**_LEVELS), 3**_LEVELS - 1).astype(np.int64)
    order = PeanoCurve().argsort(cells, _LEVELS)
    return order if codes is None else order[np.argsort(codes[order], kind="stable")]


def data_batch(key: PRNGKeyArray, n: int, size: int) -> Int[Array, " size"]:
    """Positions of `size` of `n` ordered points, one in each of `size` equal stretches; each point equally likely."""
    stretch = (jnp.arange(size) + jr.uniform(key, (size,))) * (n / size)
    return jnp.minimum(stretch.astype(jnp.int32), n - 1)


def source_batch(
    key: PRNGKeyArray, size: int, source_dim: int, codes: Int[Array, " size"] | None
) -> Float[Array, "size source_dim"]:
    """Uniform sources, stratified within each label of the sorted `codes`: `(rank + xi) / count` on every axis.

    With several sources the strata of the axes are paired at random (a Latin hypercube) if there are no labels; with
    labels only the first axis is stratified.
    """
    first, rest = jr.split(key)
    xi = jr.uniform(first, (size, source_dim))
    if codes is not None:
        start, stop = jnp.searchsorted(codes, codes, side="left"), jnp.searchsorted(codes, codes, side="right")
        return xi.at[:, 0].set((jnp.arange(size) - start + xi[:, 0]) / (stop - start))
    ranks = [jnp.arange(size)] + [jr.permutation(k, size) for k in jr.split(rest, source_dim)[1:]]
    return jnp.minimum((jnp.stack(ranks, axis=1) + xi) / size, 1)
