"""What every distance here asks of its arguments, and the sums that all of them take."""

import math
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

# Anything NumPy can make into an array of real numbers.
PointsLike: TypeAlias = Any


def as_cloud(points: PointsLike, name: str) -> Float[np.ndarray, "n d"]:
    """The points as float64 of shape `(n, d)`; a vector `(n,)` is n points of the line.

    Raises `ValueError` for an empty cloud, another number of axes, or values that are not finite.
    """
    cloud = np.asarray(points)
    if cloud.dtype.kind not in "fiub" and not np.can_cast(cloud.dtype, np.float64, "same_kind"):
        raise TypeError(f"{name} must hold real numbers; got dtype {cloud.dtype}")
    cloud = cloud.astype(np.float64)
    if cloud.ndim == 1:
        cloud = cloud[:, None]
    if cloud.ndim != 2:
        raise ValueError(f"{name} must have shape (n, d), or (n,) for points of the line; got {cloud.shape}")
    if cloud.size == 0:
        raise ValueError(f"{name} is empty: its shape is {cloud.shape}; at least one point is needed")
    bad = np.count_nonzero(~np.isfinite(cloud).all(axis=1))
    if bad:
        raise ValueError(f"{name} has {bad} points with NaN or infinite coordinates; remove them first")
    return cloud


def as_pair(x: PointsLike, y: PointsLike) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "m d"], int]:
    """Both clouds divided by a common power of two, and its exponent.

    The division is exact and keeps powers of the largest and the smallest distances inside the range of
    float64.
    """
    x, y = as_cloud(x, "x"), as_cloud(y, "y")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x and y must have the same dimension; got {x.shape[1]} and {y.shape[1]}")
    largest = max(np.abs(x).max(), np.abs(y).max())
    exponent = max(math.frexp(largest)[1], -1021)  # 2.0**1021 is the last reciprocal that is still finite
    return np.ldexp(x, -exponent), np.ldexp(y, -exponent), exponent


def check_order(p: float | int) -> float:
    """The order p of W_p, a finite number >= 1."""
    if not (math.isfinite(p) and p >= 1):
        raise ValueError(f"p must be a finite number >= 1; got {p}")
    return float(p)


def power_mean(distances: Float[np.ndarray, " n"], weights: Float[np.ndarray, " n"] | None, p: float | int) -> float:
    """`(sum_i w_i distances_i^p)^(1/p)`, uniform weights if `None`, without overflow or underflow."""
    largest = float(distances.max())
    if largest == 0:
        return 0.0
    return largest * float(np.average((distances / largest) ** p, weights=weights)) ** (1 / p)


def monotone_pairs(n: int, m: int) -> tuple[np.ndarray, np.ndarray, Float[np.ndarray, " pieces"] | None]:
    """The coupling of n and m equal masses in order: ranks in each, and the mass of each piece.

    Piece masses are `None` when all are equal. The cumulative masses i/n and j/m are compared as the integers
    i m and j n, so that the pieces, at most n + m - 1 of them, are exact.
    """
    if n == m:
        return np.arange(n), np.arange(n), None
    cuts = np.union1d(np.arange(n + 1, dtype=np.int64) * m, np.arange(m + 1, dtype=np.int64) * n)
    return cuts[:-1] // m, cuts[:-1] // n, np.diff(cuts) / (n * m)


def line_distance(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " m"], p: float | int) -> float:
    """W_p on the line: the monotone coupling is optimal for every convex cost."""
    i, j, masses = monotone_pairs(len(x), len(y))
    return power_mean(np.abs(np.sort(x)[i] - np.sort(y)[j]), masses, p)
