"""The exact Wasserstein distance between two clouds."""

import math
from typing import SupportsFloat

import numpy as np
from jaxtyping import Float, Int

from .._checks import Numbers, transport_order
from ._clouds import Weights, as_pair, as_weights, line_distance, power_mean

# Clouds of equal size up to which they are assigned to one another. Beyond the first, for p = 1, the network simplex is
# about as fast, and much faster where the clouds are far apart or one lies on a curve (`benchmarks/distances.py`); of
# powers of a distance, which are tiny where the distance is not the largest, it keeps fewer digits.
_MAX_ASSIGNMENT_1, _MAX_ASSIGNMENT = 512, 5000
# Pairs of points whose costs are held at once: 512 MiB of them.
MAX_PAIRS = 1 << 26


def wasserstein(
    x: Numbers, y: Numbers, p: SupportsFloat = 2, a: Numbers | None = None, b: Numbers | None = None
) -> float:
    """The exact distance W_p between two clouds of points with weights, for the Euclidean norm.

    On the line, sorting solves it at any size. Between two clouds of equal size and weights an optimal coupling can be
    taken to be a permutation (Birkhoff), and SciPy solves the assignment, for p = 1 if they are small; all others are
    solved by the network simplex of POT, in which the optimum is known to about 1e-14 of the largest cost. (8,192
    against 2,000 points take some seconds.) Two samples of one law are not at distance zero: see `two_sample_floor`;
    for the distance between laws see `law_distance`. Theory, section 11.

    **Arguments:**

    - `x`, `y`: shape `(n, d)` and `(m, d)`, or `(n,)` and `(m,)` for points of the line; n m at most 2^26 if d > 1.
    - `p`: any order >= 1.
    - `a`, `b`: shape `(n,)` and `(m,)`, the weights, which are divided by their sum; equal ones by default.

    **Returns:** W_p (not its p-th power), in the units of the points.

    **Raises:** `ValueError` for clouds that are empty, not finite, of different dimension, or too large, for weights
    that are negative or do not fit, and for p < 1; `TypeError` for points that are not real numbers.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.wasserstein([0.0, 1.0], [1.0, 2.0])
        1.0
        >>> jg.wasserstein([[0.0, 0.0], [1.0, 0.0]], [[0.0, 0.0]], p=1, a=[3, 1])
        0.25
    """
    p = transport_order(p)
    x, y, exponent = as_pair(x, y)
    return math.ldexp(exact_distance(x, y, p, as_weights(a, "a", len(x)), as_weights(b, "b", len(y))), exponent)


def exact_distance(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"], p: float | int, a: Weights, b: Weights
) -> float:
    """W_p by the solver that is made for the case. Raises `ValueError` for clouds that are too large for all."""
    if x.shape[1] == 1:
        return line_distance(x[:, 0], y[:, 0], p, a, b)
    if len(x) * len(y) > MAX_PAIRS:
        raise ValueError(
            f"exact transport is limited to 2^26 pairs of points; got {len(x)} and {len(y)}. Use subsamples, or "
            "wasserstein_bounds, curve_coupling (an upper bound) or sinkhorn_divergence at this size"
        )
    if a is b is None and len(x) == len(y) <= (_MAX_ASSIGNMENT_1 if p == 1 else _MAX_ASSIGNMENT):
        return power_mean(assigned_distances(x, y, p)[1], None, p)
    return _network_simplex(x, y, p, a, b)


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


def _network_simplex(x, y, p: float | int, a: Weights, b: Weights) -> float:
    from ot import emd2
    from scipy.spatial.distance import cdist

    cost = cdist(x, y)
    largest = float(cost.max())
    if largest == 0:
        return 0.0
    cost /= largest
    cost **= p
    value, log = emd2(*(_masses(w, len(z)) for w, z in ((a, x), (b, y))), cost, numItermax=1 << 40, log=True)  # pyright: ignore[reportCallIssue]
    if log["warning"] is not None:
        raise RuntimeError(f"the network simplex found no optimum: {log['warning']}")
    return largest * max(float(value), 0.0) ** (1 / p)


def _masses(weights: Weights, size: int) -> Float[np.ndarray, " n"]:
    return np.full(size, 1 / size) if weights is None else weights
