"""The one-pass bound from points to a law: never below the exact distance, and equal to it where a coupling is forced.

Laws are replaced by atoms whose distance to them is known in closed form, and the exact distance from points to atoms
is a linear programme (HiGHS), which shares no code with the bound.
"""

import itertools
import math
import types
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings, strategies as st
from scipy.optimize import linprog

from jaxgen.distances import data_bound
from jaxgen.generators import (
    CodebookGenerator,
    CurveGenerator,
    IndependentGenerator,
    MLPGenerator,
    PeanoGenerator,
    SawtoothGenerator,
)
from jaxgen.generators._explicit import CellMoments
from jaxgen.measures import GridMeasure, QuantizedMeasure

SEEDS = st.integers(0, 2**32 - 1)
few = settings(max_examples=12, deadline=None)


def exact(x, y, masses, p):
    """W_p between equal masses on x and the given ones on y, by linear programming."""
    n, m = len(x), len(y)
    cost = (((x[:, None] - y[None]) ** 2).sum(-1) ** (p / 2)).ravel()
    # The last of the m equations follows from the others.
    rows = sp.vstack([sp.kron(sp.eye(n), np.ones((1, m))), sp.kron(np.ones((1, n)), sp.eye(m - 1, m))], format="csr")
    found = linprog(cost, A_eq=rows, b_eq=np.r_[np.full(n, 1 / n), masses[:-1]], method="highs")
    assert found.success, found.message
    return max(found.fun, 0.0) ** (1 / p)


def grid_atoms(measure, parts):
    """Midpoints of `parts` subcells an axis of every cell, and their distance to the measure.

    Each atom is coupled with the uniform law on its subcell: W_1 <= W_2 <= sqrt(sum (h / parts)^2 / 12).
    """
    sides = np.asarray(measure.cell_sides, np.float64)
    inner = (np.array(list(itertools.product(range(parts), repeat=measure.dim))) + 0.5) / parts
    at = np.asarray(measure.cells)[:, None] + inner[None]
    masses = np.repeat(np.asarray(measure.masses, np.float64) / len(inner), len(inner))
    return np.asarray(measure.low) + at.reshape(-1, measure.dim) * sides, masses, math.hypot(*sides) / parts / 12**0.5


def random_measure(rng, resolution, kind=QuantizedMeasure):
    size = math.prod(resolution)
    chosen = rng.permutation(size)[: rng.integers(1, size + 1)]
    cells = np.stack(np.unravel_index(chosen, resolution), axis=-1)
    low = rng.normal(0, 3, len(resolution))
    high = low + rng.uniform(0.2, 3, len(resolution))
    counts = rng.integers(1, 9, len(cells))
    return kind(cells, counts, low, high, resolution)


def random_points(rng, measure, n):
    """Points near the box and outside it, some of them equal."""
    low, high = np.asarray(measure.low), np.asarray(measure.high)
    points = rng.uniform(low - 0.7 * (high - low), high + 0.7 * (high - low), (n, measure.dim))
    points[n // 2 : n // 2 + 2] = points[0]
    return points


@pytest.mark.sweep(1)
@pytest.mark.parametrize(("resolution", "parts"), [((5,), 16), ((3, 4), 4), ((2, 3, 2), 3)])
@pytest.mark.parametrize("kind", [QuantizedMeasure, GridMeasure])
@given(seed=SEEDS)
@few
def test_never_below_the_exact_distance_to_a_measure(resolution, parts, kind, seed):
    rng = np.random.default_rng(seed)
    measure = random_measure(rng, resolution, kind)
    points = random_points(rng, measure, 10)
    atoms, masses, away = grid_atoms(measure, parts)
    for p in (1, 2):
        assert data_bound(points, measure, p) >= exact(points, atoms, masses, p) - away - 1e-6


def test_near_the_exact_distance_where_points_are_those_of_the_measure():
    # The bound must not be a trivial one: on points of the law itself it is the size of a cell, not of the box.
    points = np.random.default_rng(0).random((4000, 2))
    measure = GridMeasure.from_samples(points, 16)
    # Position inside a cell and point are independent: E|x - Y|^2 is 2 sum h^2/12 for uniform points, to 5 %.
    assert curve_bound(points, measure, 2) == pytest.approx(math.sqrt(2 * 2 / 12) / 16, rel=0.05)
    # There are 16 points in a cell, and they fill it nearly evenly.
    assert data_bound(points, measure, 2) < 0.5 * curve_bound(points, measure, 2)


LAWS = [
    ("Peano", lambda m, s: PeanoGenerator(m, s), lambda d, s: 3 ** (d * s), lambda e, s: math.hypot(*e) / 3**s, 0),
    ("Peano", lambda m, s: PeanoGenerator(m, s), lambda d, s: 3 ** (d * s), lambda e, s: math.hypot(*e) / 3**s, 1),
    ("sawtooth", SawtoothGenerator, lambda d, s: 2**s, lambda e, s: math.hypot(e[0], e[1] / 2**s), 2),
]


@pytest.mark.sweep(1)
@pytest.mark.parametrize(("name", "make", "pieces", "longest", "s"), LAWS)
def test_never_below_the_exact_distance_to_the_law_of_a_generator(name, make, pieces, longest, s):
    """Every cell holds one quantum, so that a generator is linear on equal intervals of u, as many as its pieces.

    Midpoints of `parts` intervals in each piece are then within (length of a piece / parts) / sqrt(12) of the law.
    """
    rng = np.random.default_rng(5)
    parts = 2 if s else 8
    cells = np.stack(np.unravel_index(rng.permutation(16)[:6], (4, 4)), axis=-1)
    measure = QuantizedMeasure(cells, np.ones(6, int), [0.0, -1.0], [2.0, 0.5], (4, 4))
    generator = make(measure, s)
    u = (np.arange(6 * pieces(2, s) * parts) + 0.5) / (6 * pieces(2, s) * parts)
    with jax.enable_x64(True):
        atoms = np.asarray(jax.vmap(generator)(jnp.asarray(u)), np.float64)
    away = longest(np.asarray(measure.cell_sides), s) / parts / 12**0.5
    for points in (random_points(rng, measure, 7), np.asarray(atoms[:: len(atoms) // 9])):
        for p in (1, 2):
            distance = exact(points, atoms, np.full(len(u), 1 / len(u)), p)
            assert data_bound(points, generator, p) >= distance - away - 1e-6
    # The line rests on one axis, and has less variance than the cell; the zigzag has that of the cell on average.
    floats = generator.certificate().parts["float"][1]
    ours, plain = curve_bound(points, generator, 2) - floats, curve_bound(points, measure, 2)
    assert ours < plain if name == "Peano" else ours == pytest.approx(plain, rel=1e-12)


def curve_bound(points, law, p=1):
    """The bound along the curve alone, of a measure or a generator, as if nothing else were known of it."""
    measure = getattr(law, "measure", law)
    seen = types.SimpleNamespace(
        cells=measure.cells,
        low=measure.low,
        high=measure.high,
        resolution=measure.resolution,
        dim=measure.dim,
        float_error=measure.float_error,
        _host_centers=measure._host_centers,
        _weights=measure._weights,
    )
    if law is measure:
        return data_bound(points, seen, p)
    return data_bound(points, types.SimpleNamespace(measure=seen, cell_moments=law.cell_moments), p)


class Centres:
    """The law of the centres of `parts` subcells an axis of the cells of a measure."""

    def __init__(self, measure, parts):
        self.measure, self.parts = measure, parts

    def cell_moments(self):
        sides = np.asarray(self.measure.cell_sides, np.float64)
        return CellMoments(sides @ sides / 12 * (1 - self.parts**-2.0), True)


def test_a_law_says_its_own_variance_inside_a_cell():
    # With one cell and one point there is one coupling, and W_2 is a mean over the centres.
    measure = QuantizedMeasure([[0] * 5], [1], 0.0, 1.0, 1)
    x = np.array([[0.3, 2.0, -1.0, 0.5, 0.25]])
    for parts in (1, 3):
        axis = (np.arange(parts) + 0.5) / parts
        square = sum(np.mean((axis - c) ** 2) for c in x[0])
        assert data_bound(x, Centres(measure, parts), 2) == pytest.approx(math.sqrt(square), rel=1e-6)
    assert data_bound(x, Centres(measure, 3), 2) < data_bound(x, measure, 2)


def test_cells_in_any_order():
    # What a measure calls its order is its own affair: the bound sorts cells along the curve itself.
    rng = np.random.default_rng(8)
    measure = random_measure(rng, (4, 4))
    points = random_points(rng, measure, 20)
    turned = rng.permutation(len(measure.cells))
    other = types.SimpleNamespace(
        cells=np.asarray(measure.cells)[turned],
        low=measure.low,
        high=measure.high,
        resolution=measure.resolution,
        dim=measure.dim,
        _host_centers=lambda: measure._host_centers()[turned],
        _weights=lambda: measure._weights()[turned],
    )
    assert data_bound(points, other, 2) == curve_bound(points, measure, 2)


@given(seed=SEEDS)
@few
def test_exact_for_one_point_because_there_is_one_coupling(seed):
    rng = np.random.default_rng(seed)
    measure = random_measure(rng, (3, 4))
    x = rng.normal(0, 5, 2)
    low, sides = np.asarray(measure.low, np.float64), np.asarray(measure.cell_sides, np.float64)
    masses = np.asarray(measure.counts) / measure.quanta
    # E|x - Y|^2, axis by axis, from the integral of (x - t)^2 over a cell.
    start = low + np.asarray(measure.cells) * sides
    square = ((start + sides - x) ** 3 - (start - x) ** 3) / (3 * sides)
    assert data_bound(np.stack([x, x]), measure, 2) == pytest.approx(math.sqrt(masses @ square.sum(1)), rel=1e-5)


def test_exact_on_the_line_where_each_point_has_a_cell():
    # Sorted points, cells of equal mass: the i-th point goes to the i-th cell, W_2^2 = mean (x - z)^2 + h^2 / 12.
    measure = QuantizedMeasure([[0], [2], [3]], [2, 2, 2], 0.0, 4.0, 4)
    points = np.array([5.0, -1.0, 2.5])
    assert data_bound(points, measure, 2) == pytest.approx(math.sqrt((1.5**2 + 0 + 1.5**2) / 3 + 1 / 12), rel=1e-6)
    expected = (2 * math.sqrt(1.5**2 + 1 / 12) + math.sqrt(1 / 12)) / 3
    assert curve_bound(points, measure, 1) == pytest.approx(expected, rel=1e-6)
    # The distance itself is 3/2, 1/4 and 3/2, on average.
    assert data_bound(points, measure, 1) == pytest.approx(13 / 12, rel=1e-6)
    # A point in the middle of a cell of length h: W_2 = h / sqrt(12).
    assert data_bound([0.5, 0.5], QuantizedMeasure([[0]], [1], 0.0, 1.0, 1), 2) == pytest.approx(12**-0.5, rel=1e-6)


def test_splits_a_point_between_cells_by_mass():
    # One point at 1 (twice), cells [0, 1] and [1, 2] with 3/4 and 1/4 of the mass: |x - z| = 1/2 for both.
    measure = QuantizedMeasure([[0], [1]], [3, 1], 0.0, 2.0, 2)
    assert data_bound([1.0, 1.0], measure, 2) == pytest.approx(math.sqrt(1 / 4 + 1 / 12), rel=1e-6)


def test_does_not_depend_on_the_order_of_points_and_scales_with_the_units():
    rng = np.random.default_rng(3)
    measure = random_measure(rng, (3, 4))
    # Points that share a third of a cell are taken as they come, so give each a cell of its own.
    cells = np.stack(np.unravel_index(rng.permutation(12)[:9], (3, 4)), axis=-1)
    points = np.asarray(measure.low) + (cells + rng.random((9, 2))) * np.asarray(measure.cell_sides)
    scaled = QuantizedMeasure(
        measure.cells, measure.counts, np.asarray(measure.low) * 8, np.asarray(measure.high) * 8, measure.resolution
    )
    for p in (1, 2):
        bound = data_bound(points, measure, p)
        assert data_bound(points[rng.permutation(9)], measure, p) == pytest.approx(bound, rel=1e-12)
        assert data_bound(8 * points, scaled, p) == pytest.approx(8 * bound, rel=1e-6)
    assert data_bound(points, measure, 1) <= data_bound(points, measure, 2)


def test_points_that_share_a_cell_are_split_in_order():
    # Three points of the first cell, masses 1/2 and 1/2 on [0, 1] and [1, 2]: it is the right half that must move.
    measure = QuantizedMeasure([[0], [1]], [1, 1], 0.0, 2.0, 2)
    x = np.array([0.1, 0.5, 0.9])
    square = (0.4**2 / 3 + 0 + 1 / 6 * 1 + 0.6**2 / 3) + 1 / 12
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        assert curve_bound(x[order], measure, 2) == pytest.approx(math.sqrt(square), rel=1e-6)


def test_labels_do_not_matter_to_the_joint_law():
    rng = np.random.default_rng(4)
    points = rng.normal(size=(60, 2))
    joint = GridMeasure.from_samples(points, 5)
    labelled = GridMeasure.from_samples(points, 5, labels=[f"c{k % 3}" for k in range(60)])
    assert data_bound(points, labelled, 2) == pytest.approx(data_bound(points, joint, 2), rel=1e-6)


def test_flat_sides_and_distances_beyond_the_range_of_squares():
    flat = GridMeasure.from_samples(np.array([[0.0, 7.0], [1.0, 7.0]]), (2, 3))
    assert data_bound([[0.25, 7.0], [0.75, 7.0]], flat, 2) == pytest.approx(0.5 / 12**0.5, rel=1e-6)
    assert data_bound([[0.25, 9.0], [0.75, 9.0]], flat, 2) == pytest.approx(math.sqrt(0.25 / 12 + 4), rel=1e-6)
    one = GridMeasure.from_samples(np.full((3, 2), 7.0), 2)
    assert data_bound(np.full((4, 2), 7.0), one) == 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for far in (1e200, 1e-200):
            law = QuantizedMeasure([[0]], [1], 0.0, 0.0, 1)
            assert data_bound([far, far], law, 2) == pytest.approx(far, rel=1e-12)


def test_measures_and_generators_of_every_kind(precision):
    points = np.random.default_rng(6).random((50, 2))
    measure = GridMeasure.from_samples(points, 4)
    for bound in (data_bound, curve_bound):
        for law in (measure.quantize(50), IndependentGenerator(measure)):
            assert bound(points, law) == pytest.approx(bound(points, measure), rel=1e-5)
    # For p = 1 the zigzag has the bound of p = 2.
    square, zigzag = curve_bound(points, measure, 2), SawtoothGenerator(measure, 3)
    assert curve_bound(points, measure) < curve_bound(points, zigzag) == pytest.approx(square, rel=1e-5)
    # What the construction costs is added to what is known of the measure, and atoms are leaves too.
    floats = zigzag.certificate().parts["float"][0]
    assert data_bound(points, zigzag) == pytest.approx(data_bound(points, measure) + zigzag.filling()[0] + floats)
    assert data_bound(points, CodebookGenerator(points)) <= 1e-6


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((0, 2)), "points is empty"),
        ([[0.0, np.nan]], "points must be finite; 1 of 1 rows"),
        ([[np.inf, 0.0], [0.0, 0.0]], "points must be finite; 1 of 2 rows hold NaN or infinity"),
        ([0.1, 0.2], "points have dimension 1; the law has 2"),
        (np.zeros((3, 3)), "points have dimension 3; the law has 2"),
        (np.zeros((3, 2, 1)), r"points must have shape \(n, d\)"),
    ],
)
def test_bad_points(points, message):
    with pytest.raises(ValueError, match=message):
        data_bound(points, GridMeasure.from_histogram(np.ones((2, 2))))


@pytest.mark.slow
def test_bad_order_and_bad_law():
    measure = GridMeasure.from_histogram(np.ones((2, 2)))
    with pytest.raises(ValueError, match="p must be 1 or 2; got 3"):
        data_bound([[0.0, 0.0]], measure, 3)
    with pytest.raises(TypeError, match="points must be real numbers"):
        data_bound([["a", "b"]], measure)
    for law in (MLPGenerator(dim=2, width=2, depth=2, key=jax.random.key(0)), None):
        with pytest.raises(TypeError, match="law must be a measure or a generator of one; got "):
            data_bound([[0.0, 0.0]], law)


def test_a_zigzag_without_folds_is_not_centred_in_its_cells():
    """Two cells side by side on the last axis make the diagonal of the square, which no cell's own moments see."""
    measure = QuantizedMeasure([[0, 0], [0, 1]], [1, 1], 0.0, 1.0, (1, 2))
    points = [(1.0, 0.0), (0.0, 1.0)]
    truth = math.sqrt(2 / 3)  # the points on the diagonal's normal: E|(t, t) - (1, 0)|^2
    plain = data_bound(points, measure, 2)
    assert plain < truth  # the measure itself is nearer
    unfolded = SawtoothGenerator(measure, 0)
    for p in (1, 2):
        expected = data_bound(points, measure, p) + sum(
            unfolded.certificate().parts[x][p - 1] for x in ("filling", "float")
        )
        assert data_bound(points, unfolded, p) == pytest.approx(expected, rel=1e-12)
    assert data_bound(points, unfolded, 2) >= truth
    # With folds the variance holds on average over the cells: W_1 has the bound of W_2.
    folded = SawtoothGenerator(measure, 1)
    floats = folded.certificate().parts["float"][1]
    assert data_bound(points, folded, 1) == data_bound(points, folded, 2) == pytest.approx(plain + floats, rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("folds", [0, 2])
def test_the_variance_of_a_serpentine_is_the_same_in_each_cell(folds):
    measure = QuantizedMeasure([[0, 0], [0, 1], [1, 1]], [1, 2, 1], 0.0, [2.0, 4.0], (2, 2))
    g, n = SawtoothGenerator(measure, folds, "serpentine"), 2**14
    x = np.asarray(jax.vmap(g)((np.arange(n, dtype=np.float32) + 0.5) / n), np.float64)
    moments = g.cell_moments()
    assert moments.in_each_cell and g.centred
    for cell in np.asarray(measure.cells):
        inside = (x - cell * [1.0, 2.0])[np.all(np.floor(x / [1.0, 2.0]) == cell, axis=1)]
        np.testing.assert_allclose(inside.mean(axis=0), [0.5, 1.0], atol=2e-3)
        assert inside.var(axis=0).sum() == pytest.approx(moments.variance, rel=2e-3)


@pytest.mark.sweep(1)
@pytest.mark.parametrize("path", ["line", "diagonal", "centre"])
def test_the_variance_inside_a_cell_is_that_of_the_path(path):
    measure = QuantizedMeasure([[0, 0]], [1], 0.0, 1.0, (1, 1))
    g = CurveGenerator(measure, 1, path)
    x = np.asarray(jax.vmap(g)((np.arange(9 * 200, dtype=np.float32) + 0.5) / (9 * 200)), np.float64)
    moments = g.cell_moments()
    assert np.abs(x.mean(axis=0) - 0.5).max() < 1e-5
    assert moments.variance == pytest.approx(x.var(axis=0).sum(), rel=1e-4)
