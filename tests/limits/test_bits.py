"""Bits of a lossless code of counts, against exact integers."""

import math

import pytest
from hypothesis import given, settings, strategies as st

from jaxgen.limits import type_class_bits


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000))
def test_type_class_bits_counts_types(cells, quanta):
    exact = math.log2(math.comb(quanta + cells - 1, quanta))
    assert type_class_bits(cells, quanta) == pytest.approx(exact, rel=1e-13, abs=0)


@pytest.mark.parametrize(
    ("cells", "quanta"), [(66, 65), (65, 66), (10**6, 65), (70, 10**9), (3**192, 70), (3**192, 1797)]
)
def test_type_class_bits_at_the_seam_and_far_out(cells, quanta):
    exact = math.log2(math.comb(quanta + cells - 1, min(quanta, cells - 1)))
    assert type_class_bits(cells, quanta) == pytest.approx(exact, rel=1e-14)


def test_type_class_bits_enumerated():
    # All ways to write 4 as an ordered sum of 3 nonnegative integers.
    types = [(i, j, 4 - i - j) for i in range(5) for j in range(5 - i)]
    assert type_class_bits(3, 4) == math.log2(len(types))
    assert type_class_bits(1, 1000) == 0
    assert type_class_bits(1000, 1) == math.log2(1000)


def test_type_class_bits_is_linear_when_quanta_match_cells():
    # C(2N, N) ~ 4^N / sqrt(pi N): two bits a cell, in the limit of very large arguments.
    for n in (10**6, 10**15, 10**60):
        expected = 2 * n - math.log2(math.pi * n) / 2 - 1
        assert type_class_bits(n, n) == pytest.approx(expected, rel=1e-13)


def test_type_class_bits_beyond_float64():
    cells, quanta = 3**2000, 10**6
    # log2 C = K log2(N) - log2(K!) up to K^2/N.
    expected = quanta * math.log2(cells) - math.lgamma(quanta + 1) / math.log(2)
    assert type_class_bits(cells, quanta) == pytest.approx(expected, rel=1e-13)
    assert type_class_bits(3**192, 3**192) == pytest.approx(2 * 3**192, rel=1e-13)


@pytest.mark.parametrize("quanta", [63, 64, 65, 66, 1000])
def test_type_class_bits_grows_with_either(quanta):
    values = [type_class_bits(cells, quanta) for cells in (1, 2, 63, 64, 65, 66, 67, 1000)]
    assert values == sorted(set(values))
    assert type_class_bits(500, quanta) < type_class_bits(500, quanta + 1)


@pytest.mark.parametrize(
    ("cells", "quanta", "error", "message"),
    [
        (0, 5, ValueError, "cells must be at least 1"),
        (5, 0, ValueError, "quanta must be at least 1"),
        (-1, 5, ValueError, "cells must be at least 1"),
        (2.5, 5, TypeError, "cells"),
        (5, "6", TypeError, "quanta"),
    ],
)
def test_type_class_bits_bad_input(cells, quanta, error, message):
    with pytest.raises(error, match=message):
        type_class_bits(cells, quanta)
