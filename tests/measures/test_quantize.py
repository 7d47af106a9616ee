"""Rounding to quanta: exact sums, cumulative masses within half a quantum, a bound that an exact solver confirms."""

import itertools
import math

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from hypothesis import given, settings, strategies as st

from jaxgen.curves import PeanoCurve
from jaxgen.measures import GridMeasure, QuantizedMeasure, curve_transport

few = settings(max_examples=25, deadline=None)


def exact(x, p, y, q, power):
    """W_power between two weighted point sets, by a linear programme."""
    cost = np.linalg.norm(x[:, None] - y[None], axis=2) ** power
    m, n = cost.shape
    # One constraint is redundant and, where the masses are rounded floats, contradicts the others: leave it out.
    rows = sp.vstack([sp.kron(sp.eye_array(m), np.ones((1, n))), sp.kron(np.ones((1, m)), sp.eye_array(n))]).tocsr()
    solved = scipy.optimize.linprog(
        cost.ravel(), A_eq=rows[:-1], b_eq=np.concatenate([p / p.sum(), q / q.sum()])[:-1], method="highs"
    )
    assert solved.status == 0
    return max(solved.fun, 0) ** (1 / power)


def points_and_masses(measure):
    return np.asarray(measure.centers, float), np.asarray(measure.masses, float)


def random_measure(seed, resolution=(4, 3)):
    rng = np.random.default_rng(seed)
    masses = rng.gamma(0.4, size=resolution) * (rng.random(resolution) < 0.8)
    masses.flat[seed % masses.size] = 1.0
    return GridMeasure.from_histogram(masses, low=[0, -1], high=[1, 3])


@few
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 7, 100, 12345, 2**24]))
def test_cumulative_masses_move_by_half_a_quantum(seed, quanta):
    m = random_measure(seed)
    q = m.quantize(quanta)
    assert q.quanta == quanta == np.asarray(q.counts).sum() and np.asarray(q.counts).min() >= 1
    # In the order of the curve, along which the cumulative masses are rounded.
    curve = PeanoCurve()
    cells = np.asarray(m.cells)[curve.argsort(np.asarray(m.cells), curve.levels_for(m.resolution))].tolist()
    exact, rounded = (
        {tuple(c): w for c, w in zip(x.cells.tolist(), x._weights().tolist(), strict=True)} for x in (m, q)
    )
    masses, counts = np.array([exact[tuple(c)] for c in cells]), np.array([rounded.get(tuple(c), 0) for c in cells])
    difference = np.cumsum(counts) / quanta - np.cumsum(masses) / masses.sum()
    assert np.abs(difference).max() <= 0.5 / quanta + 1e-12
    assert q.resolution == m.resolution and np.array_equal(q.low, m.low) and np.array_equal(q.high, m.high)


@pytest.mark.sweep(2)
@pytest.mark.parametrize("seed, quanta", [(0, 1), (1, 3), (2, 10), (3, 40)])
def test_the_bound_holds_against_an_exact_solver(seed, quanta):
    m = random_measure(seed)
    q = m.quantize(quanta)
    for power in (1, 2):
        truth = exact(*points_and_masses(m), *points_and_masses(q), power)
        assert 0 < truth <= q.rounding_bound(power) * (1 + 1e-6)
        # Mass moves to near neighbours only: the bound is of the order of the truth, not of the box.
        assert q.rounding_bound(power) < 4 * truth


def test_in_one_dimension_the_bound_is_the_distance():
    m = GridMeasure.from_histogram(np.random.default_rng(7).random(30))
    q = m.quantize(11)
    for power in (1, 2):
        truth = exact(*points_and_masses(m), *points_and_masses(q), power)
        np.testing.assert_allclose(q.rounding_bound(power), truth, rtol=1e-5)


def test_rounding_along_the_curve_beats_largest_remainders():
    axis = (np.arange(14) + 0.5) / 14
    bumps = sum(
        np.exp(-((axis[:, None] - a) ** 2 + (axis - b) ** 2) / (2 * s * s))
        for a, b, s in [(0.3, 0.3, 0.12), (0.7, 0.6, 0.2)]
    )
    m = GridMeasure.from_histogram(bumps)
    quanta = 49
    q = m.quantize(quanta)
    masses = np.asarray(m.masses, float)
    counts = np.floor(quanta * masses)
    counts[np.argsort(counts - quanta * masses)[: int(quanta - counts.sum())]] += 1
    largest = exact(*points_and_masses(m), points_and_masses(m)[0][counts > 0], counts[counts > 0], 1)
    along = exact(*points_and_masses(m), *points_and_masses(q), 1)
    assert along <= q.rounding_bound(1) and along < 0.75 * largest


def test_the_reference_number_of_bits():
    # Theory, section 8: 27 x 27 cells and 182 quanta are 652 bits.
    assert round(math.log2(math.comb(182 + 27**2 - 1, 27**2 - 1))) == 652


def test_quantizing_what_is_quantized():
    q = random_measure(4).quantize(1000)
    assert q.quantize(1000) is q
    again = q.quantize(50)
    for power in (1, 2):
        one = exact(*points_and_masses(random_measure(4)), *points_and_masses(again), power)
        assert one <= again.rounding_bound(power) and again.rounding_bound(power) > q.rounding_bound(power)
    # A multiple of the quanta changes nothing.
    finer = q.quantize(3000)
    np.testing.assert_array_equal(finer.counts, 3 * np.asarray(q.counts))
    np.testing.assert_allclose(finer.proven("rounding"), q.proven("rounding"), rtol=1e-12)
    plain = QuantizedMeasure(q.cells, q.counts, q.low, q.high, q.resolution)
    assert plain.rounding_bound(1) == plain.rounding_bound(2) == 0
    with pytest.raises(ValueError, match="p must be 1 or 2"):
        q.rounding_bound(3)


@few
@given(st.integers(0, 2**32 - 1), st.integers(0, 5))
def test_every_label_keeps_a_quantum(seed, spare):
    rng = np.random.default_rng(seed)
    sizes = rng.permutation([1, 1, 1, 2, 200, 1, 40])
    labels = np.repeat(np.arange(7) * 10, sizes)
    m = GridMeasure.from_samples(rng.random((len(labels), 2)), 9, labels=labels, low=0, high=1)
    q = m.quantize(7 + spare)
    assert q.vocabulary == m.vocabulary == tuple(range(0, 70, 10))
    counts = np.asarray(q.counts)
    assert counts.sum() == 7 + spare and counts.min() >= 1
    assert np.array_equal(np.unique(q.labels), np.arange(7))
    # With quanta to spare, labels keep their masses to half a quantum at both ends.
    rich = m.quantize(10**6)
    masses = np.add.reduceat(np.asarray(rich.counts), rich.label_offsets[:-1])
    np.testing.assert_allclose(masses / 10**6, sizes / sizes.sum(), atol=1e-6)
    np.testing.assert_array_equal(rich.cells, m.cells)


def test_transport_along_the_curve():
    centers = np.array([[0.0, 0], [3, 4], [3, 5]])
    # All mass from the first point to the last, of which a part stops in the middle.
    w1, w2 = curve_transport(centers, np.array([0, 1.0, 1, 1]), np.array([0, 0, 0.5, 1.0]))
    np.testing.assert_allclose([w1, w2], [(5 + math.sqrt(34)) / 2, math.sqrt((25 + 34) / 2)])
    assert curve_transport(centers, np.array([0, 0.2, 0.7, 1]), np.array([0, 0.2, 0.7, 1])) == (0, 0)


@pytest.mark.parametrize(
    "quanta, error, message",
    [
        (0, ValueError, "between 1 and"),
        (2**24 + 1, ValueError, "between 1 and"),
        (2.0, TypeError, "integer"),
        (True, TypeError, "integer"),
    ],
)
def test_bad_quanta(quanta, error, message):
    with pytest.raises(error, match=message):
        random_measure(0).quantize(quanta)


def test_fewer_quanta_than_labels():
    points = list(itertools.product(range(3), range(3)))
    m = GridMeasure.from_samples(points, 3, labels=[str(a) for a, _ in points])
    with pytest.raises(ValueError, match=r"between 3 \(one for each of the 3 labels\)"):
        m.quantize(2)


def test_two_roundings_cost_what_they_cost_together():
    """On the line W_1 is the area between the distribution functions; the larger bound alone would be too small."""
    rng, too_small = np.random.default_rng(11), 0
    for _ in range(40):
        measure = GridMeasure.from_histogram(rng.random(8))
        once = measure.quantize(7)
        again = once.quantize(5)
        masses = np.zeros((2, 8))
        masses[0, np.asarray(measure.cells)[:, 0]] = measure.masses
        masses[1, np.asarray(again.cells)[:, 0]] = again.masses
        left = np.cumsum(masses[0] - masses[1])
        right = np.append(0.0, left[:-1])
        same = left * right >= 0
        cross = (left**2 + right**2) / np.maximum(2 * (np.abs(left) + np.abs(right)), 1e-300)
        truth = np.where(same, np.abs(left + right) / 2, cross).sum() / 8
        step = QuantizedMeasure(once.cells, once.counts, once.low, once.high, once.resolution).quantize(5)
        assert again.rounding_bound(1) == pytest.approx(once.rounding_bound(1) + step.rounding_bound(1), rel=1e-12)
        assert again.rounding_bound(1) >= truth - 1e-7
        too_small += max(once.rounding_bound(1), step.rounding_bound(1)) < truth - 1e-6
    assert too_small > 0
