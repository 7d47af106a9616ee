"""Numbers as few bytes: integers of any size, and floats at the bits they need, exactly.

A float is one byte `n + 8 s + 16 e`, perhaps an exponent, and the n bytes of its significand, the highest first: it is
(-1)**s 0.significand 2**(e - 6). For e = 15 the exponent stands in an integer of its own behind the first byte, and
n = 0 then says that the eight bytes of a float64 follow, for whatever is longer in any other way, or not finite. So 0
takes one byte, 1 and 0.375 two, a float32 of ordinary size at most four, and no float more than nine.
"""

import math
import struct
from typing import Protocol, runtime_checkable

import numpy as np

from ._errors import CodeError

_BIAS, _FAR = 6, 15


def natural_bytes(value: int) -> bytes:
    """A nonnegative integer, seven bits a byte, the lowest first (LEB128)."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer_bytes(value: int) -> bytes:
    """Any integer in two's complement, the lowest byte first; 0 in no bytes."""
    return value.to_bytes((value.bit_length() + 8) // 8 if value else 0, "little", signed=True)


def float_bytes(value: float) -> bytes:
    """Any float, exactly."""
    negative = math.copysign(1.0, value) < 0
    raw = bytes([_FAR << 4]) + struct.pack("<d", value)
    if not math.isfinite(value):
        return raw
    fraction, exponent = math.frexp(abs(value))
    significand = int(fraction * 2**56).to_bytes(7, "big").rstrip(b"\0")
    head = len(significand) | negative << 3
    if value == 0:
        return bytes([head])
    if 0 <= exponent + _BIAS < _FAR:
        return bytes([head | (exponent + _BIAS) << 4]) + significand
    # 0, -1, 1, -2, ... are 0, 1, 2, 3, ...
    folded = 2 * exponent if exponent >= 0 else -2 * exponent - 1
    return min(bytes([head | _FAR << 4]) + natural_bytes(folded) + significand, raw, key=len)


@runtime_checkable
class _Source(Protocol):
    """What a number is read from: an `Input`."""

    def byte(self) -> int: ...
    def part(self, size: int) -> memoryview: ...
    def integer(self, name: str, most: int) -> int: ...


def read_float(data: _Source) -> float:
    """The float that `float_bytes` wrote. Raises `CodeError` for bytes that are none."""
    head = data.byte()
    size, negative, exponent = head & 7, head >> 3 & 1, (head >> 4) - _BIAS
    if head == _FAR << 4:
        return struct.unpack("<d", data.part(8))[0]
    if size == 0 and head & ~8:
        raise CodeError(f"no number begins with {head}")
    if head >> 4 == _FAR:
        folded = data.integer("an exponent", 1 << 12)
        exponent = folded >> 1 if folded % 2 == 0 else -(folded >> 1) - 1
    try:
        value = math.ldexp(int.from_bytes(data.part(size), "big"), exponent - 8 * size)
    except OverflowError:
        raise CodeError("a number in the file is too large for a float") from None
    return -value if negative else value


def float32_if_exact(values: np.ndarray) -> np.ndarray:
    """The values in the shorter of the two float types that holds all of them exactly.

    **Example:**

        >>> import numpy as np, jaxgen as jg
        >>> jg.coding.float32_if_exact(np.array([0.5])).dtype, jg.coding.float32_if_exact(np.array([0.1])).dtype
        (dtype('float32'), dtype('float64'))
    """
    with np.errstate(over="ignore"):
        short = values.astype("<f4")
    return short if np.array_equal(short.astype(np.float64), values) else values.astype("<f8")
