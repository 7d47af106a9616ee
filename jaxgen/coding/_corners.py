"""Boxes: cheap where their corners are 0 or 1, or the same on all axes, or short in some other unit."""

import numpy as np
from jaxtyping import Float

from ._coder import Coder, code_bits, code_near, code_number, code_signed, code_whole
from ._errors import CodeError
from ._fields import Input, Output

# How a corner is written: it is 0, or 1, or one number on all axes; or axis by axis.
_ZEROS, _ONES, _SAME, _MIXED = range(4)
_OTHERWISE = "the corners of the box are written in a way in which none are"
# How one axis of the last kind is: 0, a number that follows, 1, or what the axis before is.
_ZERO, _NUMBER, _ONE, _AGAIN = range(4)
_EXPONENTS = 1074  # of the units of doubles, at most


def box_kind(low: Float[np.ndarray, " d"], high: Float[np.ndarray, " d"]) -> int:
    """Four bits that say how `write_box` writes a box, and that `read_box` needs.

    **Example:**

        >>> import numpy as np, jaxgen as jg
        >>> jg.coding.box_kind(np.zeros(3), np.ones(3)), jg.coding.box_kind(np.zeros(3), np.full(3, 0.5))
        (4, 8)
    """
    return _kind(low) | _kind(high) << 2


def write_box(out: Output, low: Float[np.ndarray, " d"], high: Float[np.ndarray, " d"]) -> None:
    """Both corners: nothing for zeros and ones, one number for equal ones, else two bits an axis and the numbers.

    **Example:**

        >>> import numpy as np, jaxgen as jg
        >>> out, low, high = jg.coding.Output(), np.zeros(3), np.array([2.0, 2.0, 1.0])
        >>> jg.coding.write_box(out, low, high)
        >>> data = jg.coding.Input(out.finish(), version=2)
        >>> jg.coding.read_box(data, jg.coding.box_kind(low, high), dim=3)[1].tolist()
        [2.0, 2.0, 1.0]
    """
    _write(out, low)
    _write(out, high)


def read_box(data: Input, kind: int, dim: int) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " d"]]:
    """The corners that `write_box` wrote, given its `box_kind`.

    **Raises:** `CodeError` for an unknown kind, and as the methods of `Input` do.

    **Example:**

        >>> import jaxgen as jg
        >>> low, high = jg.coding.read_box(jg.coding.Input(b"", version=2), 4, dim=2)
        >>> low.tolist(), high.tolist()
        ([0.0, 0.0], [1.0, 1.0])
    """
    if kind >> 4:
        raise CodeError("the corners of the box are of unknown form")
    return _read(data, kind & 3, dim), _read(data, kind >> 2, dim)


def code_corners(
    coder: Coder, low: Float[np.ndarray, " d"] | None, high: Float[np.ndarray, " d"] | None, dim: int
) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " d"]]:
    """Both corners in a few bits an axis: `low = a 2**e`, `high = (a + b) 2**e`, with e as large as that can be.

    An axis like the one before takes one bit. A box rounded to so many bits of its side has b below two to that power.
    """
    axes: list[tuple[int, int, int]] = []
    for k in range(dim):
        axis = None if low is None or high is None else _in_units(float(low[k]), float(high[k]))
        if k == 0:
            axes.append(_code_axis(coder, axis, None))
        elif code_number(coder, None if axis is None else axis == axes[-1], 1):
            axes.append(axes[-1])
        else:
            axes.append(_code_axis(coder, axis, axes[-1]))
            if axes[-1] == axes[-2]:
                raise CodeError(_OTHERWISE)
    corners = np.array([_times(a, e) for e, a, _ in axes]), np.array([_times(a + b, e) for e, a, b in axes])
    if low is None and axes != [_in_units(*map(float, corner)) for corner in zip(*corners, strict=True)]:
        raise CodeError(_OTHERWISE)
    return corners


def _code_axis(
    coder: Coder, axis: tuple[int, int, int] | None, before: tuple[int, int, int] | None
) -> tuple[int, int, int]:
    """e, the lengths of b and a, b and a; what is alike from axis to axis against the axis before."""
    exponent, first, rest = (None, None, None) if axis is None else axis
    if before is None:
        exponent, rest = code_signed(coder, exponent, 3), code_whole(coder, rest, 4)
    else:
        exponent = before[0] + code_near(coder, None if exponent is None else exponent - before[0])
        length = before[2].bit_length()
        length += code_near(coder, None if rest is None else rest.bit_length() - length)
        rest = code_bits(coder, rest, length)
    negative = code_number(coder, None if first is None else first < 0, 1)
    length = rest.bit_length() + code_near(
        coder, None if first is None else abs(first).bit_length() - rest.bit_length()
    )
    size = code_bits(coder, None if first is None else abs(first), length)
    if negative and not size:
        raise CodeError(_OTHERWISE)
    return exponent, -size if negative else size, rest


def _in_units(low: float, high: float) -> tuple[int, int, int]:
    """The exponent of the largest power of two that both are multiples of, the multiple of low, and the rest."""
    ratios = [corner.as_integer_ratio() for corner in (low, high)]
    unit = max(denominator for _, denominator in ratios)
    first, last = (numerator * (unit // denominator) for numerator, denominator in ratios)
    zeros = ((first | last) & -(first | last)).bit_length() - 1 if first | last else unit.bit_length() - 1
    return zeros - unit.bit_length() + 1, first >> zeros, (last - first) >> zeros


def _times(value: int, exponent: int) -> float:
    """`value * 2**exponent`, whatever their sizes."""
    if abs(exponent) > _EXPONENTS:
        raise CodeError(f"a corner in the file is a multiple of 2**{exponent}")
    return float(value << exponent) if exponent >= 0 else value / (1 << -exponent)


def _kind(corner: Float[np.ndarray, " d"]) -> int:
    if np.all(corner == 0):
        return _ZEROS
    if np.all(corner == 1):
        return _ONES
    return _SAME if np.all(corner == corner[0]) else _MIXED


def _write(out: Output, corner: Float[np.ndarray, " d"]) -> None:
    kind = _kind(corner)
    if kind == _SAME:
        out.numbers(corner[0])
    if kind == _MIXED:
        again = np.append(False, corner[1:] == corner[:-1])
        how = np.select([corner == 0, corner == 1, again], [_ZERO, _ONE, _AGAIN], _NUMBER)
        out.raw(np.packbits(np.stack([how >> 1, how & 1], axis=1).astype(np.uint8)).tobytes())
        out.numbers(corner[how == _NUMBER])


def _read(data: Input, kind: int, dim: int) -> Float[np.ndarray, " d"]:
    if kind != _MIXED:
        return np.full(dim, data.numbers(1)[0] if kind == _SAME else float(kind))
    bits = np.unpackbits(np.frombuffer(data.part(-(-dim // 4)), np.uint8))[: 2 * dim].reshape(dim, 2)
    how = 2 * bits[:, 0] + bits[:, 1]
    corner = (how == _ONE).astype(np.float64)
    corner[how == _NUMBER] = data.numbers(int(np.sum(how == _NUMBER)))
    return corner[np.maximum.accumulate(np.where(how == _AGAIN, 0, np.arange(dim)))]
