"""Which axis of a leaf a path runs along, and the frame in which it does."""

import numpy as np
from jaxtyping import Float, Int

_EQUAL = 2.0**-20


def longest_axis(sides: Float[np.ndarray, "*leaves d"]) -> Int[np.ndarray, "*leaves"]:
    """The axis of the longest side of each box; of several, to six digits, the last.

    In corners as they are stored, sides that are meant to be equal may differ by some roundings.
    """
    longest = sides >= sides.max(axis=-1, keepdims=True) * (1 - _EQUAL)
    return np.asarray(sides.shape[-1] - 1 - np.argmax(longest[..., ::-1], axis=-1))


def exchanged(rows: np.ndarray, axes: Int[np.ndarray, "*leaves"]) -> np.ndarray:
    """`(m, d)` with the entry of an axis, one for all rows or one each, in the place of the last, and the last in its.

    Its own inverse.
    """
    out, which = np.array(rows), np.arange(len(rows))
    out[which, axes], out[:, -1] = rows[:, -1], rows[which, axes]
    return out
