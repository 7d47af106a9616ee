"""Boxes that take few bits in a file: their corners are multiples of a short part of the side."""

import math

import numpy as np
from jaxtyping import Float

from .._checks import whole_number

_LEAST_EXPONENT = -1074  # of a double
LEAST_BOX_BITS, MOST_BOX_BITS = 4, 12  # of a side


def box_bits_for(budget: float) -> int:
    """How many bits of a side of the box a budget of bits is worth: one more would cost more than it saves.

    A bit more for both corners of an axis costs 2 bits, and halves what the box is too wide, on average a share
    1.4 / 2^bits of its side; a box wider by the share w needs w times the budget more for the same error.

    **Example:**

        >>> from jaxgen.measures import box_bits_for
        >>> box_bits_for(1000.0), box_bits_for(0.0)
        (9, 4)
    """
    wanted = round(math.log2(budget)) - 1 if 2 <= budget < math.inf else LEAST_BOX_BITS
    return min(MOST_BOX_BITS, max(LEAST_BOX_BITS, wanted))


def short_box(
    low: Float[np.ndarray, " d"], high: Float[np.ndarray, " d"], bits: int
) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " d"]]:
    """The box rounded outwards, on each axis to multiples of a power of two between 2^-bits and 2^(1-bits) of the side.

    A side grows by less than two of these units. So the error of a law on the cells of the box grows by a factor of at
    most 1 + 4 / 2^bits, and the bits that this error costs, B in all, by about `4 B / 2^bits`, on average by half of
    it: `bits` near `log2 B` is the best, one more or less hardly matters.

    **Arguments:**

    - `low`, `high`: corners with `low <= high`. Sides of zero length are kept, whatever their corner.
    - `bits`: of a side, at least 1.

    **Returns:** `(low, high)` in float64: exact multiples of the unit, of `bits` bits and as many more as the corner is
    farther from 0 than the side is long.

    **Raises:** `ValueError` for bits < 1.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.measures import short_box
        >>> low, high = short_box(np.array([-176.6, 2.5]), np.array([179.7, 2.5]), bits=8)
        >>> low.tolist(), high.tolist()
        ([-178.0, 2.5], [180.0, 2.5])
    """
    bits = whole_number(bits, "bits", 1)
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    with np.errstate(over="ignore"):
        side = high - low
        # Through half of it, where the side is beyond the largest double.
        exponent = np.where(np.isfinite(side), np.frexp(side)[1], np.frexp(high / 2 - low / 2)[1] + 1)
        unit = np.maximum(exponent - bits, _LEAST_EXPONENT)
        first, last = np.floor(np.ldexp(low, -unit)), np.ceil(np.ldexp(high, -unit))
        # A corner far smaller than the unit is 0 in units of it.
        near_low = np.ldexp(first - (np.ldexp(first, unit) > low), unit)
        near_high = np.ldexp(last + (np.ldexp(last, unit) < high), unit)
    kept = (low == high) | ~np.isfinite(near_low) | ~np.isfinite(near_high)
    return np.where(kept, low, near_low), np.where(kept, high, near_high)
