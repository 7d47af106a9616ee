"""Continuous conditions: the law of the cell, as kernel and as network, and what is between the cells."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from jaxgen.generators import GriddedCondition, IndependentGenerator, PeanoGenerator, SawtoothGenerator
from jaxgen.measures import GridMeasure

KEY = jr.key(7)
# Condition resolution, box, maker: m = 1, 2, 3, an axis of one cell, boxes off the origin.
CASES = [
    ((5,), -2.0, 3.0, PeanoGenerator),
    ((3, 4), [0.0, 10.0], [1.0, 10.5], SawtoothGenerator),
    ((2, 1, 3), [-1.0, 5.0, 0.0], [1.0, 9.0, 1e3], IndependentGenerator),
]


def data(grid, low, high, seed=0, n=60):
    """Pairs whose conditions leave about a third of the cells empty."""
    rng = np.random.default_rng(seed)
    cells = np.argwhere(rng.random(grid) < 0.7)
    cells = cells if len(cells) else np.zeros((1, len(grid)), int)
    cell = cells[rng.integers(0, len(cells), n)]
    unit = (cell + rng.uniform(0.05, 0.95, cell.shape)) / np.array(grid)
    low, high = np.broadcast_to(low, len(grid)), np.broadcast_to(high, len(grid))
    return low + unit * (high - low), rng.normal(size=(n, 2)) * [1, 5], cell


def build(grid, low, high, make, seed=0):
    conditions, points, cell = data(grid, low, high, seed)
    g = GriddedCondition.from_samples(
        conditions, points, condition_resolution=grid, resolution=4, make=make, low=low, high=high
    )
    return g, conditions, points, cell


def uniform(g, n, seed=1):
    """Conditions uniform on the box, and sources."""
    rng = np.random.default_rng(seed)
    low, high = np.asarray(g.low, float), np.asarray(g.high, float)
    return low + rng.random((n, len(low))) * (high - low), rng.random((n, g.generator.source_dim))


def bins(g, c):
    low, high = np.asarray(g.low, float), np.asarray(g.high, float)
    return np.floor((c - low) / (high - low) * np.array(g.condition_resolution)).astype(int)


@pytest.mark.sweep(1)
@pytest.mark.parametrize("grid, low, high, make", CASES)
def test_network_is_the_kernel_but_for_ramps(grid, low, high, make, x64, evaluate):
    g = build(grid, low, high, make)[0]
    n = 4000
    c, u = uniform(g, n)
    x = np.asarray(jax.jit(jax.vmap(g))(u, c))
    # The u of a label are a stretch of the joint ones, which may hold all the ramps.
    share = g.generator.measure.label_masses[np.asarray(g.table)]
    for ramp in (2.0**-7, 2.0**-26):
        network = g.network(ramp)
        assert network.in_size == len(grid) + g.generator.source_dim and network.out_size == 2
        y = evaluate(network, np.concatenate([c, u], axis=1))
        scale = float(np.max(g.generator.measure.high - g.generator.measure.low))
        wrong = np.abs(x - y).max(axis=1) > 1e-10 * scale
        bound = g.transition_measure(ramp) + np.mean(np.minimum(1, g.generator.ramp_measure(ramp) / share))
        # A binomial variable: five standard deviations. Of the narrow ramps that is less than a single sample.
        slack = 5 * np.sqrt(bound / n)
        assert wrong.mean() <= bound + slack
        assert wrong.any() if ramp == 2.0**-7 else n * (bound + slack) < 1


@pytest.mark.sweep(3)
@pytest.mark.parametrize("grid, low, high, make", CASES)
@pytest.mark.parametrize("ramp", [2.0**-20, 0.1, 0.4])
def test_indicators(grid, low, high, make, ramp, x64, evaluate):
    g = build(grid, low, high, make)[0]
    n, m = 4000, len(grid)
    c, u = uniform(g, n)
    # The fourth hidden layer: an indicator for each cell, and the sources.
    out = evaluate(g.network(ramp), np.concatenate([c, u], axis=1), layers=4)
    cells, passed = np.split(out, [len(g.table)], axis=1)
    np.testing.assert_array_equal(passed, u)
    hot = cells @ np.eye(len(g.generator.vocabulary))[np.asarray(g.table)]
    # The ramps by their definition: the last `ramp` of the box's side before each border, in the unit cube.
    low, high = np.asarray(g.low), np.asarray(g.high)
    unit = (c - low) / (high - low)
    ahead = np.where(unit > 1 - 1 / np.array(grid), 2.0, np.ceil(unit * grid) / grid - unit)
    last = (np.array(grid) - 1) / np.array(grid)
    # A ramp wider than a cell reaches back over several borders: all that lies before the last border is in a ramp.
    on_ramp = np.where(ramp < 1 / np.array(grid), ahead < ramp, unit < last)
    clear = ~on_ramp.any(axis=1)
    code = np.asarray(g.table)[np.ravel_multi_index(bins(g, c).T, grid)]
    np.testing.assert_array_equal(hot[clear], np.eye(hot.shape[1])[code[clear]])
    assert hot.min() >= 0 and hot.sum(axis=1).max() <= 1 + 1e-9
    np.testing.assert_allclose(hot.sum(axis=1)[on_ramp.sum(axis=1) <= 1], 1, atol=1e-9)
    if m == 1:
        np.testing.assert_allclose(hot.sum(axis=1), 1, atol=1e-9)
    # The measure is exact: a binomial share, within five deviations.
    p = g.transition_measure(ramp)
    assert abs((~clear).mean() - p) <= 5 * np.sqrt(p / n)
    assert p <= ramp * sum(k - 1 for k in grid) + 1e-15
    # In a single ramp only the labels of the two cells beside it mix.
    assert np.all((hot > 0).sum(axis=1)[on_ramp.sum(axis=1) <= 1] <= 2) or ramp > 1 / max(grid)


def test_transition_measure_by_hand():
    g = build((3, 4), 0.0, 1.0, PeanoGenerator)[0]
    np.testing.assert_allclose(g.transition_measure(0.01), 1 - (1 - 2 * 0.01) * (1 - 3 * 0.01), rtol=1e-12)
    np.testing.assert_allclose(g.transition_measure(0.5), 1 - (1 / 3) * (1 / 4), rtol=1e-12)
    assert build((1,), 0.0, 1.0, PeanoGenerator)[0].transition_measure() == 0
    for ramp in (0, 1, -0.5, np.nan):
        for use in (g.network, g.transition_measure):
            with pytest.raises(ValueError, match="ramp, the width"):
                use(ramp)


@pytest.mark.slow
@pytest.mark.parametrize("grid, low, high, make", CASES[:2])
def test_the_law_given_a_condition(grid, low, high, make):
    """The histogram of the points whose condition shares the cell, exactly."""
    g, conditions, points, cell = build(grid, low, high, make)
    box = np.asarray(g.generator.measure.low, float), np.asarray(g.generator.measure.high, float)
    for i in (0, 7, 20):
        mine = np.all(cell == cell[i], axis=1)
        expected = np.histogramdd(points[mine], bins=4, range=list(zip(*box, strict=True)))[0]
        measure = g.generator.measure.given(g.label(conditions[i]))
        got = np.zeros((4, 4))
        got[tuple(np.asarray(measure.cells).T)] = np.asarray(measure.counts)
        np.testing.assert_array_equal(got, expected)
        n = 128 * mine.sum()
        x = np.asarray(g.sample(KEY, n, conditions[i], stratified=True), float)
        sampled = np.histogramdd(x, bins=4, range=list(zip(*box, strict=True)))[0] / 128
        # Strata do not straddle cells of the curve; of the sawtooth's 2**6 intervals a cell, each has two ends.
        slack = 0 if make is PeanoGenerator else 2 * 2**6 / 128
        assert np.abs(sampled - expected).max() <= slack


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(st.lists(st.booleans(), min_size=12, max_size=12).filter(any), st.sampled_from([(12,), (3, 4), (2, 2, 3)]))
def test_empty_cells_take_the_nearest(occupied, grid):
    occupied = np.flatnonzero(occupied)
    # Equal shapes for equal compilations: a point a cell, repeated up to twelve.
    where = np.resize(occupied, 12)
    side = 1 / np.array(grid)
    centres = (np.stack(np.unravel_index(np.arange(12), grid), axis=1) + 0.5) * side
    g = GriddedCondition.from_samples(
        3 + 2 * centres[where], where[:, None] % 5, condition_resolution=grid, resolution=2, low=3, high=5
    )
    assert g.generator.vocabulary == tuple(occupied.tolist())
    served = np.asarray(g.generator.vocabulary)[np.asarray(g.table)]
    np.testing.assert_array_equal(served[occupied], occupied)
    distance = np.linalg.norm(centres[:, None] - centres[None, occupied], axis=2)
    np.testing.assert_allclose(np.linalg.norm(centres - centres[served], axis=1), distance.min(axis=1), atol=1e-12)


@pytest.mark.slow
def test_jit_and_vmap(precision):
    g = build((3, 4), [0.0, 10.0], [1.0, 10.5], PeanoGenerator)[0]
    c, u = uniform(g, 32)
    x = eqx.filter_jit(eqx.filter_vmap(g))(jnp.asarray(u[:, 0]), jnp.asarray(c))
    assert x.dtype == precision and x.shape == (32, 2)
    for i in range(3):
        label = g.label(c[i])
        # The last step, low + position * side, may or may not be fused: rounding of the size of the box.
        extent = np.abs(np.stack([g.generator.measure.low, g.generator.measure.high])).max()
        np.testing.assert_allclose(
            x[i], g.generator(jnp.asarray(u[i, 0]), label), rtol=0, atol=4 * jnp.finfo(x.dtype).eps * extent
        )
    # The grid's corners belong to its first and last cells.
    assert g._cell_of(g.low) == 0 and g._cell_of(g.high) == 11
    assert g.certificate() == g.generator.certificate()
    # Cells are filled alike and ramps are shares of each leaf: what holds for all labels holds for each.
    assert g.certificate(0.01, c[0]) == g.generator.certificate(0.01, g.label(c[0]))
    assert g.certificate(0.01, c[0]).parts["ramps"] == g.certificate(0.01).parts["ramps"]


@pytest.mark.slow
def test_samples():
    g, conditions, _, _ = build(*CASES[0])
    several = g.sample(KEY, 60, conditions)
    np.testing.assert_array_equal(g.sample(KEY, 60, conditions[:, 0]), several)
    one = g.sample(KEY, 60, conditions[3, 0])
    np.testing.assert_array_equal(g.sample(KEY, 60, conditions[3]), one)
    # Point i is a function of the key, i and its own condition.
    np.testing.assert_array_equal(one[3], several[3])
    assert np.any(one != several)
    assert g.sample(KEY, 1, [[0.0]]).shape == (1, 2)
    h, pairs, _, _ = build(*CASES[1])
    np.testing.assert_array_equal(h.sample(KEY, 60, pairs)[5], h.sample(KEY, 60, pairs[5])[5])


@pytest.mark.parametrize("c", [[0.0, 0.0, 0.0], 0.0, [[0.5, 10.0]]])
def test_conditions_of_a_wrong_shape(c):
    g = build(*CASES[1])[0]
    with pytest.raises(ValueError, match=r"condition must have shape \(2,\)"):
        g(0.5, c)
    with pytest.raises(ValueError, match="condition must be one condition of shape"):
        g.sample(KEY, 3, c)


@pytest.mark.parametrize("c", [[0.5, 9.9], [-1e-3, 10.1], [np.nan, 10.1], [np.inf, 10.1]])
def test_conditions_outside_the_box(c):
    g = build(*CASES[1])[0]
    with pytest.raises(RuntimeError, match="condition must lie in the box"):
        g(0.5, c)
    with pytest.raises(
        ValueError, match="rows of condition lie outside" if np.all(np.isfinite(c)) else "condition must be finite"
    ):
        g.sample(KEY, 3, c)


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(conditions=np.full(4, 0.5)), "as many conditions as points; got 4 and 5"),
        (dict(conditions=[0.1, 0.2, np.nan, 0.3, 0.4]), "conditions must be finite"),
        (dict(conditions=[0.1, 0.2, 1.5, 0.3, -1.0]), "2 of 5 rows of conditions lie outside the box"),
        (dict(conditions=np.zeros((5, 1, 1))), "conditions must have shape"),
        (dict(conditions=np.zeros((0, 1))), "conditions is empty"),
        (dict(points=np.zeros((5, 0))), "points must have shape"),
        (dict(condition_resolution=0), "condition_resolution must be at least 1"),
        (dict(condition_resolution=(3, 3)), "condition_resolution must be at least 1 on every axis"),
        (dict(condition_resolution=()), "condition_resolution must be at least 1"),
        (dict(condition_resolution=-2), "condition_resolution must not be negative"),
        (dict(condition_resolution=2**20 + 1), "1048577 cells, at most"),
        (dict(low=1.0), "the box has no volume: low equals high on axis 0"),
        (dict(high=np.inf), "finite"),
        (dict(low=[0.0, 0.0]), r"shape \(1,\)"),
        (dict(resolution=0), "resolution must lie between"),
    ],
)
def test_bad_samples(changes, message):
    given = dict(conditions=np.linspace(0, 1, 5), points=np.eye(5), condition_resolution=3, resolution=2) | changes
    with pytest.raises(ValueError, match=message):
        GriddedCondition.from_samples(given.pop("conditions"), given.pop("points"), **given)


def test_bad_types():
    for wrong in (2.5, True, "3"):
        with pytest.raises(TypeError, match="condition_resolution must be an integer"):
            GriddedCondition.from_samples(np.zeros(5), np.eye(5), condition_resolution=wrong, resolution=2)
    with pytest.raises(TypeError, match="generator must be an explicit one, made from a measure; got GridMeasure"):
        GriddedCondition(GridMeasure.from_histogram([1, 2]), 2)


@pytest.mark.parametrize("labels", [None, ["a", "b"], [0, 4], [-1, 0]])
def test_labels_that_are_no_cells(labels):
    generator = PeanoGenerator(GridMeasure.from_samples(np.eye(2), 2, labels=labels))
    with pytest.raises(ValueError, match=r"the labels of generator must be cells .* from 0 to 3"):
        GriddedCondition(generator, 4)


def test_one_cell_and_one_label():
    """A single cell: the condition says nothing, and the network needs no ramp."""
    g, conditions, _, _ = build((1,), 0.0, 1.0, PeanoGenerator)
    assert g.transition_measure(0.5) == 0 and g.generator.vocabulary == (0,)
    np.testing.assert_array_equal(g.sample(KEY, 8, conditions[0]), g.generator.sample(KEY, 8, condition=0))
    assert g.network(0.5).in_size == 2
