"""The distance between two samples of one law: what a sampled distance cannot be expected to go below."""

from collections.abc import Callable
from typing import NamedTuple

import jax.random as jr
import numpy as np
from jaxtyping import PRNGKeyArray

from ._clouds import PointsLike, as_cloud
from ._exact import wasserstein


class TwoSampleFloor(NamedTuple):
    """Mean and standard deviation over the repeats of the distance between two samples of one law."""

    mean: float
    std: float


def two_sample_floor(
    points: PointsLike,
    n: int,
    p: float | int = 2,
    *,
    key: PRNGKeyArray,
    repeats: int = 5,
    distance: Callable[..., float] = wasserstein,
) -> TwoSampleFloor:
    """The distance between two disjoint random subsets of `n` points each, repeated.

    To be printed beside every distance between samples of n points: even the law of the data itself is this
    far from the data. It is not zero, and tends to zero like n^(-1/d) only (d > 2).

    - `points`: shape `(N, d)` with N >= 2 n, or `(N,)`.
    - `p`: the order, passed on to `distance(x, y, p)`; `wasserstein` by default.

    Raises `ValueError` for too few points, n < 1 or repeats < 1. Source: theory, section 11.
    """
    points = as_cloud(points, "points")
    if n < 1 or repeats < 1:
        raise ValueError(f"n and repeats must be >= 1; got n={n}, repeats={repeats}")
    if len(points) < 2 * n:
        raise ValueError(f"two disjoint samples of n={n} need {2 * n} points; got {len(points)}")
    values = []
    for one in jr.split(key, repeats):
        chosen = points[np.asarray(jr.permutation(one, len(points)))[: 2 * n]]
        values.append(float(distance(chosen[:n], chosen[n:], p)))
    return TwoSampleFloor(float(np.mean(values)), float(np.std(values)))
