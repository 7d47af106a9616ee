"""An upper bound on W_p at any size and dimension: clouds paired in the order of a space-filling curve."""

import math
from collections.abc import Iterator
from typing import SupportsFloat

import numpy as np
from jaxtyping import Float, Int

from .._checks import Numbers, transport_order
from ..curves import PeanoCurve
from ._clouds import Weights, as_pair, monotone_pairs, power_mean, taken

# Digits of the curve that are worth having: 3^40 cells tell apart as many points as fit any memory. More than 19
# levels would leave int32.
_DIGITS = 40
_MAX_LEVELS = 19


def curve_coupling(x: Numbers, y: Numbers, p: SupportsFloat = 2) -> float:
    """An upper bound on W_p between the uniform laws on two clouds: the cost of pairing them in Peano order.

    Both clouds are put in the order of a Peano curve through their joint bounding cube and paired in order, by quantile
    when the sizes differ. Every such pairing is a coupling, so its cost bounds W_p from above. A handful of orders is
    tried and the cheapest is returned: the clouds as they are and with their means moved together, along the given
    axes, all principal axes, and the few principal axes of largest variance. O(N log N) time, O(N d) memory; exact on
    the line; exact for a cloud and its translate. It says nothing about how far above W_p it is. Theory, section 11.

    **Arguments:**

    - `x`, `y`: shapes `(n, d)` and `(m, d)`, or `(n,)` and `(m,)` for points of the line; sizes may differ.
    - `p`: any order >= 1.

    **Returns:** a number >= W_p (up to rounding), in the units of the points.

    **Raises:** `ValueError` for clouds that are empty, not finite or of different dimension, and for p < 1;
    `TypeError` for points that are not real numbers.

    **Example:**

        >>> import jaxgen as jg
        >>> round(jg.curve_coupling([[0.0, 0.0], [1.0, 0.0]], [[4.0, 4.0], [3.0, 4.0]]), 6)
        5.0
    """
    p = transport_order(p)
    x, y, exponent = as_pair(x, y)
    return math.ldexp(min(cost for cost, *_ in couplings(x, y, p)), exponent)


def couplings(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"], p: float | int, a: Weights = None, b: Weights = None
) -> Iterator[tuple[float, Int[np.ndarray, " n"], Int[np.ndarray, " m"]]]:
    """Candidate couplings: the cost of each, and the order of each cloud that it pairs."""
    for u, v in _charts(x, y):
        low = np.minimum(u.min(axis=0), v.min(axis=0))
        side = float((np.maximum(u.max(axis=0), v.max(axis=0)) - low).max()) or 1.0
        order_x, order_y = _order((u - low) / side), _order((v - low) / side)
        i, j, masses = monotone_pairs(len(x), len(y), taken(a, order_x), taken(b, order_y))
        difference = x[order_x[i]] - y[order_y[j]]
        # Distances from differences of single coordinates, never from |x|^2 - 2 x.y + |y|^2, which cancels.
        yield power_mean(np.linalg.norm(difference, axis=1), masses, p), order_x, order_y


def _charts(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"]
) -> Iterator[tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "m k"]]]:
    """Coordinates in which both clouds are put in order."""
    yield x, y
    dim = x.shape[1]
    if dim == 1:
        return
    # For p = 2 the optimal coupling does not change when the means are moved together, so this is where to look.
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    yield x, y
    axes = principal_axes(x, y)
    x, y = x @ axes, y @ axes
    for kept in sorted({1, min(2, dim), min(4, dim), min(8, dim), dim}):
        yield x[:, :kept], y[:, :kept]


def principal_axes(x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "d d"]:
    """Columns: the axes of the mean of the two second-moment matrices, largest variance first."""
    moments = x.T @ x / len(x) + y.T @ y / len(y)
    return np.linalg.eigh(moments)[1][:, ::-1]


def _order(unit: Float[np.ndarray, "n d"]) -> Int[np.ndarray, " n"]:
    if unit.shape[1] == 1:
        return np.argsort(unit[:, 0], kind="stable")
    levels = min(_MAX_LEVELS, max(2, -(-_DIGITS // unit.shape[1])))
    cells = np.minimum((unit * 3**levels).astype(np.int64), 3**levels - 1)
    return PeanoCurve().argsort(np.maximum(cells, 0), levels)
