"""Which axis of a leaf a path runs along, and the frame in which it does."""

import numpy as np
from jaxtyping import Array, Float, Int

from .._checks import is_traced
from ..measures import AbstractGridMeasure

_EQUAL = 2.0**-20


def longest_axis(sides: Float[np.ndarray | Array, "*leaves d"]) -> Int[np.ndarray | np.generic | Array, "*leaves"]:
    """The axis of the longest side of each box, traced or not; of several, to six digits, the last.

    In corners as they are stored, sides that are meant to be equal may differ by some roundings.
    """
    longest = sides >= sides.max(axis=-1, keepdims=True) * (1 - _EQUAL)
    return sides.shape[-1] - 1 - longest[..., ::-1].argmax(axis=-1)


def require_known_sides(measure: AbstractGridMeasure) -> None:
    """Raises `ValueError` where the box of a grid is traced, and its longest side decides about the order of cells."""
    if measure.dim > 1 and is_traced((measure.low, measure.high)):
        raise ValueError(
            "axes='auto' takes the longest side of a cell, and the box is traced: give axes=, as its order is not known"
        )


def exchanged(rows: np.ndarray, axes: Int[np.ndarray, "*leaves"]) -> np.ndarray:
    """`(m, d)` with the entry of an axis, one for all rows or one each, in the place of the last, and the last in its.

    Its own inverse.
    """
    out, which = np.array(rows), np.arange(len(rows))
    out[which, axes], out[:, -1] = rows[:, -1], rows[which, axes]
    return out
