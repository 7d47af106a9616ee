"""What placing a point in floats costs, beside the point that is meant (theory, section 9, "the last rounding").

Boxes are float64 on the host, whatever the type of what comes out; here is by how much a point in that type is off.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import DTypeLike, Float

from ._record import Bound

# The position inside a leaf, a number of [0, 1], is known to so many unit roundoffs, whatever the path through it.
POSITION_ERROR = 3.5
_HOST = 2.0**-53


def unit_roundoff(dtype: DTypeLike | None = None) -> float:
    """Half the distance from 1 to the next float: of a type, by default of the type that JAX computes in now.

    **Raises:** `TypeError` for anything but a floating type.

    **Example:**

        >>> from jaxgen.measures import unit_roundoff
        >>> unit_roundoff("float32") == 2**-24
        True
    """
    kind = jnp.dtype(jnp.result_type(float) if dtype is None else dtype)
    if not jnp.issubdtype(kind, jnp.floating):
        raise TypeError(f"dtype must be a floating type; got {kind}")
    return 2.0 ** -(int(jnp.finfo(kind).nmant) + 1)


def grid_error(
    low: Float[np.ndarray, " d"],
    high: Float[np.ndarray, " d"],
    resolution: tuple[int, ...],
    relative: bool,
    dtype: DTypeLike | None,
) -> float:
    """How far `low + (cell + inside) * side` in floats may be from where it should be, in the Euclidean norm.

    On an axis of n cells the sum, the side (a difference and a quotient, which a compiler may turn into two products)
    and the product round 5 times, relative to at most the width; the position brings `POSITION_ERROR / n`; the corners
    are rounded once, and the point lies between them; the last sum rounds to half an ulp.
    """
    u, wide = unit_roundoff(dtype), high - low
    low, high = (np.zeros_like(low), wide) if relative else (low, high)
    (first, off_low), (last, off_high) = _stored(low, dtype), _stored(high, dtype)
    n = np.asarray(resolution, np.float64)
    roundings = np.where(n == 1, 2 + POSITION_ERROR, 5 + POSITION_ERROR / n)
    roundings += np.where(n * u > 1, 3.0, 0.0)  # cells and resolution are no floats any more
    inside = np.maximum(off_low, off_high) + roundings * u * (last - first)
    largest = np.maximum(np.abs(first), np.abs(last)) + inside
    inside += np.where(first == 0, 0.0, _half_ulp(largest, u)) + (_HOST * wide if relative else 0.0)
    # A constant coordinate is its corner.
    return _norm(np.where(wide == 0, off_low, inside + 8 * _tiny(dtype)), u)


def leaf_error(
    corners: Float[np.ndarray, "m d"],
    sides: Float[np.ndarray, "m d"],
    weights: Float[np.ndarray, " m"],
    low: Float[np.ndarray, " d"] | None,
    dtype: DTypeLike | None,
) -> Bound:
    """The same for `corner + side * inside`, as bounds on W_1 and W_2 over leaves with weights; relative to `low`.

    Corner and side are rounded once; product and position are off by `1 + POSITION_ERROR` roundings of the side; the
    sum rounds to half an ulp, but for a side of zero length, which adds nothing.
    """
    u, host = unit_roundoff(dtype), np.zeros_like(corners)
    if low is not None:
        corners = corners - low
        host = _HOST * np.abs(corners)
    (first, off_corner), (length, off_side) = _stored(corners, dtype), _stored(sides, dtype)
    error = off_corner + off_side + (1 + POSITION_ERROR) * u * length
    largest = np.maximum(np.abs(first), np.abs(first + length)) + error
    moving = length > 0
    error += host + np.where(moving & (first != 0), _half_ulp(largest, u), 0.0) + np.where(moving, 4 * _tiny(dtype), 0)
    each = np.sqrt(np.sum(error**2, axis=1)) * (1 + 16 * u)
    share = weights / weights.sum()
    return float(share @ each), float(np.sqrt(share @ each**2))


def _stored(values: np.ndarray, dtype: DTypeLike | None) -> tuple[np.ndarray, np.ndarray]:
    """The nearest floats, in float64, and by how much they are off."""
    kind = jnp.dtype(jnp.result_type(float) if dtype is None else dtype)
    with np.errstate(over="ignore"):
        near = values.astype(kind).astype(np.float64)
    return near, np.abs(near - values)


def _half_ulp(values: np.ndarray, u: float) -> np.ndarray:
    """Half the distance between neighbouring floats of that size."""
    return np.ldexp(u, np.frexp(values)[1] - 1)


def _tiny(dtype: DTypeLike | None) -> float:
    """The smallest normal float: compilers may take what is smaller for zero."""
    return float(jnp.finfo(jnp.result_type(float) if dtype is None else dtype).tiny)


def _norm(error: np.ndarray, u: float) -> float:
    return float(np.sqrt(error @ error)) * (1 + 16 * u)  # products of roundings
