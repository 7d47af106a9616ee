"""Floats as what they were rounded from: `offset + unit * p / q`, with small integers p and q (theory, section 8)."""

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

Floats = Float[np.ndarray, " n"]
Integers = Int[np.ndarray, " n"]

_MOST_PARTS = 64  # of the smallest number that may be the unit
_MOST_BELOW = 1 << 20
_PROBE = 256  # numbers that a unit is tried on before it is tried on all


class Lattice(NamedTuple):
    """What floats are rounded from: `offset + unit * above / below`, and by how many floats they are off."""

    offset: float
    unit: float
    above: Integers
    below: Integers
    off: Integers


def ordered(values: np.ndarray) -> Integers:
    """Floats of 32 or 64 bits as integers in the same order; neighbours differ by 1, and -0 stands below 0."""
    kind = np.dtype(f"i{values.dtype.itemsize}")
    bits = values.view(kind).astype(np.int64)
    return np.where(bits >= 0, bits, np.int64(-1) - (bits & np.int64(np.iinfo(kind).max)))


def from_ordered(places: Integers, dtype: np.dtype) -> np.ndarray:
    """The inverse of `ordered`."""
    kind = np.dtype(f"i{dtype.itemsize}")
    bits = np.where(places >= 0, places, (np.int64(-1) - places) | np.int64(np.iinfo(kind).min))
    return bits.astype(kind).view(dtype)


def rounded(lattice: Lattice, dtype: np.dtype) -> np.ndarray:
    """The floats. Every operation is of float64 and rounds once, so that all machines agree."""
    with np.errstate(all="ignore"):
        exact = lattice.unit * lattice.above.astype(np.float64) / lattice.below.astype(np.float64)
        near = np.where(lattice.above == 0, lattice.offset, lattice.offset + exact).astype(dtype)
        return from_ordered(ordered(near) + lattice.off, dtype)


def reciprocals(values: np.ndarray) -> Lattice | None:
    """As `unit / below`."""
    wide = values.astype(np.float64)
    if not (np.all(np.isfinite(wide)) and np.all(wide != 0)):
        return None
    below = _multiples(1 / wide, _tolerance(values))
    if below is None:
        return None
    return _completed(values, 0.0, np.ones(len(values), np.int64), below)


def multiples(values: np.ndarray, below: Integers, offset: float) -> Lattice | None:
    """As `offset + unit * above / below` for given denominators."""
    wide = values.astype(np.float64)
    if not np.all(np.isfinite(wide)):
        return None
    with np.errstate(all="ignore"):
        scaled = (wide - offset) * below
        # What the rounding of the values may have moved each of them by.
        blur = _tolerance(values) * (np.abs(wide) + abs(offset)) * np.abs(below)
    above = _multiples(scaled, blur / np.maximum(np.abs(scaled), 1e-300))
    return None if above is None else _completed(values, offset, above, below)


def _tolerance(values: np.ndarray) -> float:
    return 2.0 * float(np.finfo(values.dtype).eps)


def _multiples(values: Floats, tolerance: Floats | float) -> Integers | None:
    """The integers that real numbers are multiples by of the largest unit that fits all of them."""
    tolerance = np.broadcast_to(tolerance, values.shape)
    out = np.zeros(len(values), np.int64)
    # What may be zero says nothing.
    some = np.flatnonzero((np.abs(values) > 0) & (tolerance < 0.25))
    if some.size == 0:
        return out
    sizes, tolerance = values[some], tolerance[some]
    least = np.abs(sizes).min()
    if not np.isfinite(np.abs(sizes).max() / least) or np.abs(sizes).max() / least > 2.0**40:
        return None
    probe = np.linspace(0, len(sizes) - 1, min(len(sizes), _PROBE)).astype(int)
    for parts in range(1, _MOST_PARTS + 1):
        unit = least / parts
        if _fits(sizes[probe], tolerance[probe], unit) and _fits(sizes, tolerance, unit):
            out[some] = np.rint(sizes / unit).astype(np.int64)
            return out
    return None


def _fits(values: Floats, tolerance: Floats, unit: float) -> bool:
    ratio = values / unit
    allowed = (tolerance + tolerance.min()) * np.abs(ratio)
    return bool(np.all((np.abs(ratio - np.rint(ratio)) <= allowed) & (allowed < 0.45)))


def _completed(values: np.ndarray, offset: float, above: Integers, below: Integers) -> Lattice:
    """With the shortest of those units that leave the fewest floats off."""
    low, high = _between(values, offset, above, below)
    units = [_nearest(values, offset, above, below)]
    if 0 < low <= high < np.inf:
        units += [_shortest(low, high), float(_simplest(Fraction(low), Fraction(high)))]
    lattices = []
    for unit in units:
        lattice = Lattice(offset, unit, above, below, np.zeros(len(values), np.int64))
        lattices.append(lattice._replace(off=ordered(values) - ordered(rounded(lattice, values.dtype))))
    return min(lattices, key=lambda found: (np.count_nonzero(found.off), ratio_bits(found.unit)))


def as_ratio(value: float) -> tuple[int, int, int]:
    """A float as `p / q * 2**e`, rounded once, with p odd, or 0, and q = 1 or as small as will do."""
    numerator, denominator = value.as_integer_ratio()
    zeros = (numerator & -numerator).bit_length() - 1 if numerator else 0
    plain = numerator >> zeros, 1, zeros - denominator.bit_length() + 1
    near = Fraction(value).limit_denominator(_MOST_BELOW)
    if near.numerator.bit_length() + near.denominator.bit_length() < plain[0].bit_length() and float(near) == value:
        return near.numerator, near.denominator, 0
    return plain


def ratio_bits(value: float) -> int:
    """The digits of that."""
    return sum(part.bit_length() for part in as_ratio(value))


def _simplest(low: Fraction, high: Fraction) -> Fraction:
    """The fraction of least denominator between two positive ones (continued fractions)."""
    whole = -(-low.numerator // low.denominator)
    if whole <= high:
        return Fraction(whole)
    rest = _simplest(1 / (high - whole + 1), 1 / (low - whole + 1))
    return whole - 1 + 1 / rest


def _nearest(values: np.ndarray, offset: float, above: Integers, below: Integers) -> float:
    """The unit that the value of the fewest units tells: exactly, if that is one."""
    used = np.flatnonzero(above)
    if used.size == 0:
        return 0.0
    at = used[np.argmin(np.abs(above[used] / below[used]))]
    return float((float(values[at]) - offset) * float(below[at]) / float(above[at]))


def _between(values: np.ndarray, offset: float, above: Integers, below: Integers) -> tuple[float, float]:
    """Between what two numbers the unit must lie, so that each value is rounded from its multiple."""
    used = above != 0
    if not used.any():
        return 0.0, 0.0
    with np.errstate(all="ignore"):
        ratio = below[used] / above[used].astype(np.float64)
        wide = values[used].astype(np.float64) - offset
        half = np.spacing(np.abs(values[used])).astype(np.float64) / 2
        ends = np.sort(np.stack([(wide - half) * ratio, (wide + half) * ratio]), axis=0)
    return float(ends[0].max()), float(ends[1].min())


def _shortest(low: float, high: float) -> float:
    """The multiple of the largest power of two between two positive numbers."""
    exponent = int(np.frexp(high)[1])
    for power in range(exponent, exponent - 54, -1):
        near = np.ldexp(np.ceil(np.ldexp(low, -power)), power)
        if near <= high:
            return float(near)
    return high
