"""The exact Wasserstein distance between two clouds of equal size."""

import math
from typing import SupportsFloat

import numpy as np
from jaxtyping import Float, Int

from .._checks import Numbers, transport_order
from ._clouds import as_pair, line_distance, power_mean

_MAX_ASSIGNMENT = 5000


def wasserstein(x: Numbers, y: Numbers, p: SupportsFloat = 2) -> float:
    """The exact distance W_p between the uniform laws on two clouds of equal size, for the Euclidean norm.

    An optimal coupling of two uniform laws on N points can be taken to be a permutation (Birkhoff), so this is an
    assignment problem, solved by SciPy in O(N^3) at worst (5000 points: seconds for laws that are near each other, a
    minute for others); on the line, sorting solves it at any size. Two samples of one law are not at distance zero: see
    `two_sample_floor`. Theory, section 11.

    **Arguments:**

    - `x`, `y`: shape `(n, d)`, or `(n,)` for points of the line; at most 5000 points if d > 1.
    - `p`: any order >= 1.

    **Returns:** W_p (not its p-th power), in the units of the points.

    **Raises:** `ValueError` for clouds that are empty, not finite, of different dimension or size, or too large, and
    for p < 1; `TypeError` for points that are not real numbers.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.wasserstein([0.0, 1.0], [1.0, 2.0])
        1.0
    """
    p = transport_order(p)
    x, y, exponent = as_pair(x, y)
    if len(x) != len(y):
        raise ValueError(
            f"x and y must have the same number of points; got {len(x)} and {len(y)}. For unequal sizes, "
            "curve_coupling (exact on the line) and wasserstein_bounds give bounds, sinkhorn_divergence a comparison"
        )
    if x.shape[1] == 1:
        return math.ldexp(line_distance(x[:, 0], y[:, 0], p), exponent)
    if len(x) > _MAX_ASSIGNMENT:
        raise ValueError(
            f"exact assignment is limited to {_MAX_ASSIGNMENT} points; got {len(x)}. Use a subsample, or "
            "sinkhorn_divergence, curve_coupling (an upper bound) or wasserstein_bounds at this size"
        )
    return math.ldexp(power_mean(assigned_distances(x, y, p)[1], None, p), exponent)


def assigned_distances(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n d"], p: float | int
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The optimal assignment of the rows of `y` to those of `x`, and the distance of each pair."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    distances = cdist(x, y)
    largest = distances.max() or 1.0
    rows, columns = linear_sum_assignment((distances / largest) ** p)
    return columns, distances[rows, columns]
