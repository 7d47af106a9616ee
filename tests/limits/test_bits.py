"""Counting bounds, against exact integers and against the formula maximized by other means."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.optimize import minimize_scalar

from jaxgen.limits import covering_bits, covering_error, type_class_bits


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


def rate(theta, points):
    entropy = -theta * math.log2(theta) - (1 - theta) * math.log2(1 - theta) + theta * math.log2(points - 1)
    return math.log2(points) - entropy


def small_epsilon_constant(dim):
    """max over k and theta < 1 - 1/A of (theta / 2k)^d (log2 A - H_A(theta)), by a scalar optimizer."""
    best = 0.0
    for k in range(2, 20):
        out = minimize_scalar(
            lambda theta, k=k: -((theta / (2 * k)) ** dim) * rate(theta, k**dim),
            bounds=(1e-6, 1 - k**-dim - 1e-9),
            method="bounded",
            options={"xatol": 1e-10},
        )
        best = max(best, -out.fun)
    return best


@pytest.mark.parametrize(("dim", "constant"), [(1, 0.02539), (2, 0.004680), (3, 0.001204)])
def test_covering_bits_for_small_epsilon(dim, constant):
    assert small_epsilon_constant(dim) == pytest.approx(constant, rel=2e-4)
    epsilon = 1e-5
    assert covering_bits(epsilon, dim) * epsilon**dim == pytest.approx(small_epsilon_constant(dim), rel=1e-3)


@pytest.mark.parametrize("dim", [1, 2, 3, 6])
@pytest.mark.parametrize("epsilon", [0.2, 0.05, 0.011])
def test_covering_bits_is_the_best_over_all_cells(dim, epsilon):
    values = [0.0]
    for k in range(2, 65):
        for m in range(1, int(1 / (2 * k * epsilon)) + 1):
            theta = 2 * k * m * epsilon
            if theta < 1 - k**-dim:
                values.append(m**dim * rate(theta, k**dim))
    assert covering_bits(epsilon, dim) == pytest.approx(max(values), rel=1e-9, abs=1e-12)


def test_covering_bits_is_vacuous_for_large_epsilon():
    assert covering_bits(0.25, 1) == 0
    for dim in (1, 2, 3, 50):
        assert covering_bits(0.5, dim) == covering_bits(1e6, dim) == 0


@pytest.mark.parametrize("dim", [1, 2, 3, 64, 784])
def test_covering_bits_falls_with_epsilon(dim):
    values = [covering_bits(e, dim) for e in np.geomspace(1e-6, 1, 60)]
    assert np.isfinite(values).all() and min(values) == 0 < max(values)
    assert all(a >= b * (1 - 1e-6) for a, b in itertools.pairwise(values))


@pytest.mark.parametrize("dim", [1, 2, 3, 64])
@pytest.mark.parametrize("bits", [0, 1, 1000, 1e9])
def test_covering_error_inverts(dim, bits):
    error = covering_error(bits, dim)
    assert covering_bits(error, dim) > bits
    assert covering_bits(error * (1 + 1e-6), dim) <= bits
    assert covering_error(bits + 10, dim) <= error


def test_no_code_beats_the_bound():
    # A code that the argument must allow: K-types on n cells of the line reach W_1 <= 1/(2K) + 1/(2n).
    for n in (4, 64, 1024):
        assert covering_bits(1 / n, 1) < type_class_bits(n, n)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan, math.inf])
def test_covering_bits_bad_epsilon(epsilon):
    with pytest.raises(ValueError, match="epsilon must be"):
        covering_bits(epsilon, 2)


def test_covering_bad_input():
    with pytest.raises(ValueError, match="dim must be at least 1"):
        covering_bits(0.1, 0)
    with pytest.raises(TypeError, match="dim"):
        covering_bits(0.1, 1.5)
    for bits in (-1, math.nan, math.inf):
        with pytest.raises(ValueError, match="bits must be"):
            covering_error(bits, 2)
