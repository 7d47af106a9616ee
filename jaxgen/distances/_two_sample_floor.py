"""The distance between two samples of one law: what a sampled distance cannot be expected to go below."""

from collections.abc import Callable
from typing import NamedTuple, SupportsFloat, SupportsIndex

import jax.random as jr
import numpy as np
from jaxtyping import PRNGKeyArray

from .._checks import Numbers, finite_points, transport_order, whole_number
from ._wasserstein import wasserstein


class TwoSampleFloor(NamedTuple):
    """Mean and standard deviation over the repeats of the distance between two samples of one law.

    **Example:**

        >>> from jaxgen.distances import TwoSampleFloor
        >>> mean, std = TwoSampleFloor(mean=4.0, std=0.5)
    """

    mean: float
    std: float


def two_sample_floor(
    points: Numbers,
    n: SupportsIndex,
    p: SupportsFloat = 2,
    *,
    key: PRNGKeyArray,
    repeats: SupportsIndex = 5,
    distance: Callable[..., SupportsFloat] = wasserstein,
) -> TwoSampleFloor:
    """The distance between two disjoint random subsets of `n` points each, repeated.

    To be printed beside every distance between samples of n points: even the law of the data itself is this far from
    the data. It is not zero, and tends to zero like n^(-1/d) only (d > 2). Theory, section 11.

    **Arguments:**

    - `points`: shape `(N, d)` with N >= 2 n, or `(N,)`.
    - `n`: points in each subset. `repeats`: how many pairs of subsets are drawn.
    - `p`: the order, passed on to `distance(x, y, p)`, which is `wasserstein` by default.
    - `key`: of the draw of the subsets.

    **Returns:** mean and standard deviation of the distances, in the units of `distance`.

    **Raises:** `ValueError` for too few points, n < 1, repeats < 1 or p < 1; `TypeError` for points that are not real
    numbers.

    **Example:**

        >>> import jax, jaxgen as jg
        >>> jg.two_sample_floor([0.0, 4.0], 1, key=jax.random.key(0))
        TwoSampleFloor(mean=4.0, std=0.0)
    """
    points, p = finite_points(points).astype(np.float64), transport_order(p)
    n, repeats = whole_number(n, "n", 1), whole_number(repeats, "repeats", 1)
    if len(points) < 2 * n:
        raise ValueError(f"two disjoint samples of n={n} need {2 * n} points; got {len(points)}")
    values = []
    for one in jr.split(key, repeats):
        chosen = points[np.asarray(jr.permutation(one, len(points)))[: 2 * n]]
        values.append(float(distance(chosen[:n], chosen[n:], p)))
    return TwoSampleFloor(float(np.mean(values)), float(np.std(values)))
