"""Corners of boxes: cheap where they are 0 or 1, or the same on all axes."""

import numpy as np
from jaxtyping import Float

from ._fields import Input, Output

# How a corner is written: it is 0, or 1, or one number on all axes; or axis by axis.
_ZEROS, _ONES, _SAME, _MIXED = range(4)
# How one axis of the last kind is: 0, a number that follows, 1, or what the axis before is.
_ZERO, _NUMBER, _ONE, _AGAIN = range(4)


def corner_kind(corner: Float[np.ndarray, " d"]) -> int:
    """Two bits that say how `write_corner` writes a corner."""
    if np.all(corner == 0):
        return _ZEROS
    if np.all(corner == 1):
        return _ONES
    return _SAME if np.all(corner == corner[0]) else _MIXED


def write_corner(out: Output, corner: Float[np.ndarray, " d"]) -> None:
    """A corner that is one number, once; one of several, as two bits an axis and the numbers."""
    kind = corner_kind(corner)
    if kind == _SAME:
        out.numbers(corner[0])
    if kind == _MIXED:
        again = np.append(False, corner[1:] == corner[:-1])
        how = np.select([corner == 0, corner == 1, again], [_ZERO, _ONE, _AGAIN], _NUMBER)
        out.raw(np.packbits(np.stack([how >> 1, how & 1], axis=1).astype(np.uint8)).tobytes())
        out.numbers(corner[how == _NUMBER])


def read_corner(data: Input, kind: int, dim: int) -> Float[np.ndarray, " d"]:
    """The corner that `write_corner` wrote."""
    if kind != _MIXED:
        return np.full(dim, data.numbers(1)[0] if kind == _SAME else float(kind))
    bits = np.unpackbits(np.frombuffer(data.part(-(-dim // 4)), np.uint8))[: 2 * dim].reshape(dim, 2)
    how = 2 * bits[:, 0] + bits[:, 1]
    corner = (how == _ONE).astype(np.float64)
    corner[how == _NUMBER] = data.numbers(int(np.sum(how == _NUMBER)))
    return corner[np.maximum.accumulate(np.where(how == _AGAIN, 0, np.arange(dim)))]
