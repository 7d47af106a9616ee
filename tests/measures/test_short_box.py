"""Boxes of few bits: they hold the box that was given, waste little, and are as short as they say."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from jaxgen.coding import Output
from jaxgen.measures import short_box

LARGEST = 1.7e308
corners = st.floats(-LARGEST, LARGEST, allow_nan=False)


@given(pair=st.tuples(corners, corners), bits=st.integers(1, 20))
@example(pair=(1.7e9, 1.7e9 + 3600), bits=8)
@example(pair=(0.0, 5e-324), bits=12)
@example(pair=(-1e-300, 3e-300), bits=12)
@example(pair=(-1e300, 1e300), bits=12)
@example(pair=(-LARGEST, LARGEST), bits=3)
@example(pair=(1e300, np.nextafter(1e300, np.inf)), bits=3)
@example(pair=(0.0, 1.0), bits=1)
@example(pair=(-1e92, 1e-232), bits=1)
def test_the_box_is_inside_and_little_is_wasted(pair, bits):
    low, high = min(pair), max(pair)
    (near_low,), (near_high,) = (corner.tolist() for corner in short_box(np.array([low]), np.array([high]), bits))
    assert near_low <= low and near_high >= high
    first, last, near_first, near_last = map(Fraction, (low, high, near_low, near_high))
    unit = max((last - first) / 2 ** (bits - 1), Fraction(5e-324))
    assert first - near_first <= unit and near_last - last <= unit
    # Both are multiples of one power of two near that unit, or stood there already.
    if (low, high) != (near_low, near_high) and math.isfinite(high - low):
        power = Fraction(2) ** max(math.frexp(high - low)[1] - bits, -1074)
        assert near_first % power == 0 and near_last % power == 0


@pytest.mark.parametrize(
    ("low", "high", "most"),
    [(-176.6, 179.7, 4), (0.013, 0.989, 4), (1.7e9, 1.7e9 + 3600, 11), (-3.1e-300, 4.7e-300, 8), (-1e300, 2e300, 8)],
)
def test_it_takes_few_bytes(low, high, most):
    box, out = short_box(np.array([low]), np.array([high]), 8), Output()
    out.numbers(box)
    assert len(out.finish()) <= most


def test_axes_are_on_their_own():
    low, high = short_box(np.array([0.1, -7e8, 0.3]), np.array([0.9, 7e8, 0.3]), 10)
    assert (low[2], high[2]) == (0.3, 0.3)
    for k, side in enumerate((0.8, 1.4e9)):
        assert high[k] - low[k] <= side * (1 + 4 / 2**10)
