"""What every distance here asks of its arguments, and the sums that all of them take."""

import math
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int

from .._checks import Numbers, finite_points, nonnegative_weights

# Weights of the points of a cloud, with sum 1; `None` for equal ones.
Weights: TypeAlias = Float[np.ndarray, " _"] | None


def as_pair(x: Numbers, y: Numbers) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "m d"], int]:
    """Both clouds, checked, in float64 and divided by a common power of two, and its exponent.

    The division is exact and keeps powers of the largest and the smallest distances inside the range of float64.
    """
    u, v = (finite_points(z, name).astype(np.float64) for z, name in ((x, "x"), (y, "y")))
    if u.shape[1] != v.shape[1]:
        raise ValueError(f"x and y must have the same dimension; got {u.shape[1]} and {v.shape[1]}")
    largest = max(np.abs(u).max(), np.abs(v).max())
    exponent = max(math.frexp(largest)[1], -1021)  # 2.0**1021 is the last reciprocal that is still finite
    return np.ldexp(u, -exponent), np.ldexp(v, -exponent), exponent


def as_weights(weights: Numbers | None, name: str, size: int) -> Weights:
    """Checked weights, divided by their sum."""
    if weights is None:
        return None
    checked = nonnegative_weights(weights, name, size)
    # In units of the largest, so that the sum does not overflow.
    checked = checked / checked.max()
    return checked / checked.sum()


def power_mean(distances: Float[np.ndarray, " n"], weights: Float[np.ndarray, " n"] | None, p: float | int) -> float:
    """`(sum_i w_i distances_i^p)^(1/p)`, uniform weights if `None`, without overflow or underflow."""
    largest = float(distances.max())
    if largest == 0:
        return 0.0
    return largest * float(np.average((distances / largest) ** p, weights=weights)) ** (1 / p)


def monotone_pairs(
    n: int, m: int, a: Weights = None, b: Weights = None
) -> tuple[Int[np.ndarray, " pieces"], Int[np.ndarray, " pieces"], Float[np.ndarray, " pieces"] | None]:
    """The coupling of n and m masses in order: ranks in each, and the mass of each piece.

    Piece masses are `None` when all are equal. Of equal masses the cumulative ones, i/n and j/m, are compared as the
    integers i m and j n, so that the pieces, at most n + m - 1 of them, are exact; with weights they are to rounding.
    """
    if a is not None or b is not None:
        ends = [np.cumsum(np.full(size, 1 / size) if w is None else w) for size, w in ((n, a), (m, b))]
        cuts = np.union1d(*(end / end[-1] for end in ends))
        mass = np.diff(cuts, prepend=0.0)
        inside = cuts - mass / 2
        ranks = [np.minimum(np.searchsorted(end / end[-1], inside), len(end) - 1) for end in ends]
        return ranks[0], ranks[1], mass
    if n == m:
        return np.arange(n), np.arange(n), None
    cuts = np.union1d(np.arange(n + 1, dtype=np.int64) * m, np.arange(m + 1, dtype=np.int64) * n)
    return cuts[:-1] // m, cuts[:-1] // n, np.diff(cuts) / (n * m)


def line_distance(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " m"], p: float | int, a: Weights = None, b: Weights = None
) -> float:
    """W_p on the line: the monotone coupling is optimal for every convex cost."""
    order_x, order_y = np.argsort(x, kind="stable"), np.argsort(y, kind="stable")
    i, j, masses = monotone_pairs(len(x), len(y), taken(a, order_x), taken(b, order_y))
    return power_mean(np.abs(x[order_x][i] - y[order_y][j]), masses, p)


def taken(weights: Weights, order: Int[np.ndarray, " k"]) -> Weights:
    """The weights of some points, in an order."""
    return None if weights is None else weights[order]
