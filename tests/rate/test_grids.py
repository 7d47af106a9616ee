"""The best measure for a budget of bits: it fits, it is near the best there is, and its error falls as theory says."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import qmc

from jaxgen.coding import code_length
from jaxgen.distances import data_bound
from jaxgen.limits import type_class_bits
from jaxgen.measures import LEAST_BOX_BITS, GridMeasure
from jaxgen.rate import best_grid
from jaxgen.rate._grids import _largest


def overhead(points):
    """The least budget, that of a measure that says nothing but its box: header, box, checksum."""
    with pytest.raises(ValueError, match="at least") as error:
        best_grid(points, bits=8)
    return int(re.search(r"at least (\d+)", str(error.value))[1])


def smooth(dim, log2_points):
    """Quasi-random points of a smooth density on the cube, between 2/3 and 2 along each axis."""
    u = qmc.Sobol(dim, seed=0).random_base2(log2_points)
    return u + np.sin(2 * np.pi * u) / (4 * np.pi)


@pytest.mark.slow
@given(
    seed=st.integers(0, 2**32 - 1), count=st.sampled_from([2, 7, 90]), dim=st.sampled_from([1, 2, 4]),
    extra=st.integers(0, 3000), ties=st.booleans(),
)  # fmt: skip
@settings(max_examples=5, deadline=None)
def test_the_code_fits_the_budget(seed, count, dim, extra, ties):
    points = np.random.default_rng(seed).normal(size=(count, dim)) ** 3
    points = np.round(points) if ties else points
    budget = overhead(points) + extra
    measure = best_grid(points, bits=budget)
    assert code_length(measure) <= budget
    assert 1 <= measure.quanta <= count and measure.dim == dim and measure.labels is None
    # The box is rounded outwards, by less than two units an axis, of the fewest bits a side that a box has.
    least, most = points.min(axis=0), points.max(axis=0)
    outwards = 2 * 2.0 ** (1 - LEAST_BOX_BITS) * (most - least)
    assert np.all((measure.low <= least) & (least - outwards <= measure.low))
    assert np.all((measure.high >= most) & (most + outwards >= measure.high))
    # Never worse than what one quantum in one cell does.
    assert data_bound(points, measure) <= data_bound(points, best_grid(points, bits=overhead(points))) * (1 + 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_error_falls_with_the_budget(dim):
    points = np.random.default_rng(dim).normal(size=(400, dim))
    base = overhead(points)
    least = np.inf
    for extra in (0, 60, 100, 400, 430, 1600):
        measure = best_grid(points, bits=base + extra)
        bound = data_bound(points, measure)
        # The bound is a mean over at least as many pieces as there are quanta, and what rounding does to each of them
        # is as good as random and no larger than their mean: three standard deviations of that is all that a larger
        # budget may lose by falling on another number of quanta.
        assert bound <= least * (1 + 3 / math.sqrt(measure.quanta))
        least = min(least, bound)
    assert least < data_bound(points, best_grid(points, bits=base)) / 3 ** (1 / dim)


@pytest.mark.slow
@pytest.mark.parametrize("p", [1, 2])
def test_near_the_best_of_all_resolutions(p):
    rng = np.random.default_rng(p)
    points = np.concatenate([rng.normal([0, 0], 0.2, (200, 2)), rng.normal([4, 1], 0.5, (200, 2))])
    budget = overhead(points) + 900
    found = data_bound(points, measure := best_grid(points, bits=budget, p=p), p)
    best = np.inf
    for n in range(1, 60):
        quanta = max((k for k in range(1, 401) if type_class_bits(n**2, k) <= 900), default=0)
        if quanta:
            best = min(best, data_bound(points, GridMeasure.from_samples(points, n).quantize(quanta), p))
    # A step of one part in 64 of the resolution, and the noise of the rounding (as above).
    assert found <= best * (1 + 1 / 64 + 3 / math.sqrt(measure.quanta))


@pytest.mark.parametrize(
    ("dim", "log2_points", "payloads"),
    [
        pytest.param(*case, marks=pytest.mark.slow)
        for case in [(1, 13, (100, 400)), (1, 17, (100, 1000)), (2, 16, (100, 1000))]
    ],
)
def test_the_error_of_smooth_densities_falls_faster_than_the_bits_grow(dim, log2_points, payloads):
    """Faster than bits^(-1/d), the best rate for all laws, and no faster than that of second order, bits^(-2/d).

    A cell with the right mass is uniform, and a smooth density nearly so. Bits are those of the payload: the header and
    the box do not grow with it. Points are so many that they stand for their density.
    """
    points = smooth(dim, log2_points)
    base = overhead(points)
    measures = [best_grid(points, bits=base + payload) for payload in payloads]
    (least, most), (far, near) = np.log([[code_length(m) - base, data_bound(points, m)] for m in measures]).T
    assert -2.1 < (near - far) / (most - least) * dim < -1.15


@pytest.mark.sweep(1)
@pytest.mark.parametrize(
    ("dim", "bits"),
    [
        *[(1, 512), (2, 4096), (64, 4096)],
        *(pytest.param(d, b, marks=pytest.mark.slow) for d in (1, 2, 3, 8, 64) for b in (1024, 8192)),
    ],
)
def test_the_header_is_short(dim, bits):
    """64 + 40 d bits at most are not counts of the class: envelope, box, resolution, quanta, occupied cells, ends.

    0.1 % of the payload come on top, since its probabilities are integers.
    """
    points = np.random.default_rng(dim).normal(0.3, 2.0, (1000 if bits < 8000 else 5000, dim))
    measure = best_grid(points, bits=bits)
    payload = type_class_bits(math.prod(measure.resolution), measure.quanta)
    assert code_length(measure) <= 1.001 * payload + 64 + 40 * dim


@pytest.mark.sweep(1)
@pytest.mark.parametrize("first", [1, 30, 150, 200])
def test_the_largest_that_fits(first):
    grid = GridMeasure.from_samples(np.random.default_rng(0).normal(size=(200, 2)), 9)
    budget = float(code_length(grid.quantize(40)))
    found = _largest(grid.quantize, first, 200, budget)
    assert code_length(found) <= budget < code_length(grid.quantize(found.quanta + 1))
    assert _largest(grid.quantize, first, 200, 1e9).quanta == 200
    assert _largest(grid.quantize, first, 200, 8.0).quanta == 1


@pytest.mark.slow
def test_the_order_of_the_error_and_the_box():
    points = np.random.default_rng(9).normal(size=(300, 2))
    measure = best_grid(points, bits=1000, low=[-8.0, -8.0], high=[8.0, 8.0])
    np.testing.assert_array_equal(measure.low, [-8, -8])
    np.testing.assert_array_equal(measure.high, [8, 8])
    assert code_length(measure) <= 1000
    assert data_bound(points, measure) >= data_bound(points, best_grid(points, bits=1000))


@pytest.mark.slow
def test_points_that_say_little():
    line = best_grid(np.arange(50.0), bits=600)
    assert line.dim == 1 and code_length(line) <= 600
    constant = best_grid(np.full((20, 2), 3.5), bits=5000)
    assert data_bound(np.full((20, 2), 3.5), constant) == 0
    flat = np.stack([np.linspace(0, 1, 40), np.full(40, 2.0)], axis=1)
    assert data_bound(flat, best_grid(flat, bits=1200)) < 0.05
    pair = best_grid([[0.0, 0.0], [1.0, 1.0]], bits=1e12)
    assert pair.quanta == 2 and data_bound([[0.0, 0.0], [1.0, 1.0]], pair) < 1e-5
    huge = best_grid(np.random.default_rng(0).normal(size=(50, 2)) * 1e30, bits=2000)
    assert code_length(huge) <= 2000


def test_the_smallest_budget_is_named_and_works():
    points = np.random.default_rng(0).random((40, 3))
    base = overhead(points)
    with pytest.raises(ValueError, match=f"bits={base - 1} must be finite and at least {base}"):
        best_grid(points, bits=base - 1)
    measure = best_grid(points, bits=base)
    assert measure.resolution == (1, 1, 1) and code_length(measure) == base


@pytest.mark.parametrize("bits", [0, -5, math.nan, math.inf])
def test_budgets_that_are_none(bits):
    with pytest.raises(ValueError, match=f"bits={bits} must be finite and at least"):
        best_grid(np.eye(4), bits=bits)


@pytest.mark.parametrize("bits", ["8192", None, True, [1000]])
def test_budgets_of_another_type(bits):
    with pytest.raises(TypeError, match="bits must be a number; got "):
        best_grid(np.eye(4), bits=bits)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((0, 2)), "empty"),
        (np.zeros((1, 2)), "at least two points"),
        ([[0.0, np.nan], [1.0, 1.0]], "finite"),
        (np.zeros((2, 2, 2)), "shape"),
    ],
)
def test_bad_points(points, message):
    with pytest.raises(ValueError, match=message):
        best_grid(points, bits=5000)


def test_bad_order():
    with pytest.raises(ValueError, match="p must be 1 or 2; got 3"):
        best_grid(np.eye(4), bits=5000, p=3)
