"""The axis that a line runs along, leaf by leaf."""

import itertools
import math

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.optimize

import jaxgen as jg
from jaxgen.coding import CodeError, Input, Output, read_body
from jaxgen.measures import QuantizedLeafMeasure, QuantizedMeasure

KEY = jr.key(7)


def boxes(dim, seed, m=9, labels=None):
    """Leaves with a longest side on every axis, one of them flat."""
    rng = np.random.default_rng(seed)
    sides = rng.choice([0.25, 0.5, 1.0], (m, dim))
    sides[np.arange(dim), np.arange(dim)] = 2.0
    sides[0, -1] = 0.0
    codes = None if labels is None else np.arange(m) % labels
    names = None if labels is None else tuple("abc"[:labels])
    return QuantizedLeafMeasure(rng.uniform(-2, 2, (m, dim)), sides, rng.integers(1, 9, m), codes, names)


def test_a_line_runs_along_the_longest_side():
    def axes(high, shape=1, low=0.0, **options):
        dim = np.size(high)
        return jg.PeanoGenerator(QuantizedMeasure([[0] * dim], [1], low, high, shape), 1, **options).axes.tolist()

    assert axes([1, 5, 2]) == 1 and axes([3, 5, 2], (1, 4, 2)) == 0  # the cells count, not the box
    assert axes([1, 1, 1 - 1e-7]) == axes([1.0, 0.0, 1.0]) == axes([0.3, 1.3, 0.9], low=[-0.7, 0.3, -0.1]) == 2
    assert axes([2, 2, 1]) == 1 and axes([1, 1, 1 - 1e-4]) == 1
    # The other paths have none.
    assert axes([1, 5, 2], path="diagonal") == axes([1, 5, 2], path="centre") == 2
    leaves = QuantizedLeafMeasure(np.zeros((3, 2)), [[2, 1], [1, 2], [1, 1]], [1, 1, 1])
    assert leaves.generator().axes.tolist() == [0, 1, 1]
    assert leaves.generator(axes=[1, 1, 1]).axes.tolist() == leaves.generator(axes=1).axes.tolist() == 1


@pytest.mark.parametrize(
    "axis, curve",
    [
        (0, jg.PeanoCurve()),
        pytest.param(0, jg.HilbertCurve(), marks=pytest.mark.slow),
        pytest.param(1, jg.PeanoCurve(), marks=pytest.mark.slow),
    ],
)
def test_the_certificate_of_a_long_cell_is_attained(axis, curve):
    """One cell of sides 1 and 0.2: 0.05 and 0.0577 along it, 0.25 and 0.289 across, by exact assignment."""
    measure = QuantizedMeasure([[0, 0]], [1], 0.0, [1.0, 0.2], 1)
    g = jg.CurveGenerator(measure, 0, curve=curve, axes=axis)
    n = (60, 12)
    y = np.stack(np.meshgrid(*[(np.arange(k) + 0.5) / k * s for k, s in zip(n, (1, 0.2), strict=True)]), -1)
    x = np.asarray(g.sample(KEY, 720, stratified=True))
    cost, across = np.linalg.norm(x[:, None] - y.reshape(1, -1, 2), axis=2), (0.2, 1.0)[axis]
    for p, bound, constant in zip((1, 2), g.filling(), (1 / 4, math.sqrt(1 / 12)), strict=True):
        assert bound == pytest.approx(constant * across, rel=1e-12)
        power = cost**p
        distance = power[scipy.optimize.linear_sum_assignment(power)].mean() ** (1 / p)
        assert distance == pytest.approx(bound, rel=0.02)


@pytest.mark.parametrize("levels", [0, 2])
def test_no_axes_have_a_smaller_certificate(levels):
    measure = boxes(2, 0, 5)
    best = measure.generator(extra_levels=levels).filling()
    every = [
        measure.generator(extra_levels=levels, axes=axes).filling() for axes in itertools.product((0, 1), repeat=5)
    ]
    for p in (0, 1):
        found = [filling[p] for filling in every]
        assert best[p] == pytest.approx(min(found), rel=1e-12) and best[p] < 0.7 * max(found)
    # What a leaf costs, one by one: the mean, and the root of the mean square.
    short, masses = np.sort(np.asarray(measure.sides))[:, 0] / 3**levels, np.asarray(measure.counts) / measure.quanta
    assert best == pytest.approx((masses @ short / 4, math.sqrt(masses @ short**2 / 12)), rel=1e-9)


@pytest.mark.parametrize(
    "curve, path, labels",
    [
        pytest.param(jg.PeanoCurve(), "line", 3, marks=pytest.mark.slow),
        pytest.param(jg.PeanoCurve(), "line", None, marks=pytest.mark.slow),
        pytest.param(jg.HilbertCurve(), "line", 3, marks=pytest.mark.slow),
        pytest.param(jg.PeanoCurve(), "diagonal", None, marks=pytest.mark.slow),
    ],
)
def test_other_axes_are_other_names(curve, path, labels, grid_measure, evaluate):
    """Along axis 0 it is the generator of the measure whose axes 0 and 2 are exchanged, bit by bit."""
    measure, condition, swap = grid_measure(3, 4, labels), None if labels is None else "b", [2, 1, 0]
    levels = 2 if curve.base == 3 else 0
    g = jg.CurveGenerator(measure, levels, path, curve, 0)
    other = jg.CurveGenerator(measure.marginal(swap), levels, path, curve, 2)
    np.testing.assert_array_equal(g.sample(KEY, 300, condition)[:, np.array(swap)], other.sample(KEY, 300, condition))
    u = np.random.default_rng(0).random((50, 1))
    u = u if labels is None else np.concatenate([np.eye(3)[np.arange(50) % 3], u], axis=1)
    np.testing.assert_array_equal(evaluate(g.network(), u)[:, swap], evaluate(other.network(), u))
    assert g.size() == other.size() and g.filling() == pytest.approx(other.filling(), rel=1e-12)
    assert g.cell_moments() == pytest.approx(other.cell_moments(), rel=1e-12)
    assert g.strata(50, condition) == pytest.approx(other.strata(50, condition), rel=1e-12)
    parts, others = (h.certificate(2.0**-12, condition, dtype="float64").parts for h in (g, other))
    assert {name: pytest.approx(pair, rel=1e-9) for name, pair in parts.items()} == others


@pytest.mark.parametrize("path", ["line", pytest.param("diagonal", marks=pytest.mark.slow)])
def test_each_leaf_runs_along_its_own_axis(path, x64, kernel):
    """In a leaf along axis k it is the generator that runs along k everywhere."""
    measure, axes, u = boxes(3, 1), np.arange(9) % 3, (np.arange(500) + 0.5) / 500
    x, *each = (
        kernel(measure.generator(extra_levels=1, path=path, axes=one), jnp.asarray(u)) for one in (axes, 0, 1, 2)
    )
    leaf = np.searchsorted(np.cumsum(measure.counts) / measure.quanta, u, side="right")
    np.testing.assert_array_equal(x, np.stack(each)[axes[leaf], np.arange(500)])
    assert np.mean(each[0] != each[1]) > 0.3 and set(leaf.tolist()) == set(range(9))
    # And a leaf is swept as a whole.
    corners, sides = np.asarray(measure.low_corners)[leaf], np.asarray(measure.sides)[leaf]
    assert np.all(x >= corners - 1e-12) and np.all(x <= corners + sides + 1e-12)


@pytest.mark.parametrize("levels", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_networks_of_leaves_with_axes_of_their_own(levels, x64, evaluate, kernel):
    g = boxes(3, 2, labels=3).generator(extra_levels=levels)
    assert set(np.asarray(g.axes).tolist()) == {0, 1, 2}
    u = np.random.default_rng(0).random(400)
    network, low, high = g.network(2.0**-30), g.measure.low, g.measure.high
    for label in "abc":
        hot = np.broadcast_to(np.array(g.vocabulary) == label, (400, 3))
        y = evaluate(network, np.concatenate([hot, u[:, None]], axis=1))
        np.testing.assert_allclose(y, kernel(g, u, label), atol=1e-6)
        assert np.all(y >= low - 1e-9) and np.all(y <= high + 1e-9)


@pytest.mark.slow
def test_strata_of_leaves_with_axes_of_their_own(x64):
    """Boxes that hold the images of the strata: each point is in the box of its own, and resting axes are thin."""
    g = boxes(2, 3).generator(extra_levels=3)
    quanta, n = g.measure.quanta, 9 * g.measure.quanta
    w1, w2 = g.strata(n)
    x = np.asarray(g.sample(KEY, 40 * n, stratified=True)).reshape(n, 40, 2)
    spread = np.linalg.norm(np.ptp(x, axis=1), axis=1)
    assert spread.mean() < w1 < 2 * spread.mean() and math.sqrt(np.mean(spread**2)) < w2
    # Along the other axis of each leaf the boxes are others.
    assert g.measure.generator(extra_levels=3, axes=1 - np.asarray(g.axes)).strata(quanta)[0] != g.strata(quanta)[0]


@pytest.mark.slow
def test_files_keep_the_axes():
    leaves, grid = boxes(2, 4), QuantizedMeasure([[0, 0], [0, 1]], [1, 2], 0.0, [1.0, 0.2], 2)
    own = 1 - np.asarray(leaves.generator().axes)
    sizes = []
    for measure, axes in ((grid, 1), (grid, "auto"), (leaves, 1), (leaves, "auto"), (leaves, 0), (leaves, own)):
        for path in ("line", "diagonal"):
            if path == "diagonal" and measure is grid:
                continue
            g = measure.generator(extra_levels=1, path=path, axes=axes)
            data = jg.encode(g)
            back = jg.decode(data)
            assert jg.encode(back) == data and back.axes.dtype == g.axes.dtype
            np.testing.assert_array_equal(back.axes, g.axes)
            sizes.append(len(data))
    # Nothing for the last and the longest; else a section of one byte, or one more a leaf.
    assert np.diff(sizes[:2]) == 0 and (np.array(sizes[2:]) - sizes[2]).tolist() == [0, 0, 0, 0, 4, 4, 13, 13]


@pytest.mark.parametrize(
    "path, section",
    [
        (0, b""), (0, b"\x01"), (0, b"\x02"), (0, b"\x02\x01\x01"), (0, b"\x02\x00\x01"), (0, b"\x02\x01\x00\x00"),
        (0, b"\x03"), (0, b"\x00\x00"), (1, b"\x02\x02\x00"), (3, b""), (3, b"\x00"), (3, b"\x02\x01\x00"),
    ],
)  # fmt: skip
def test_axes_are_written_in_one_way(path, section):
    """Leaves whose longest axes are 0 and 1: empty sections, lists too short or too long, what has a shorter name."""
    g = QuantizedLeafMeasure(np.zeros((2, 2)), [[2, 1], [1, 2]], [1, 1]).generator(extra_levels=0)

    def read(path, section):
        out = Output()
        out.integer(path << 1)
        jg.coding.write_object(out, g.measure)
        sections = {} if section is None else {7: memoryview(section)}
        return read_body(Input(memoryview(out.finish()), 2, sections), 2).axes.tolist()

    assert [read(*one) for one in ((0, None), (3, None), (0, b"\x00"), (0, b"\x02\x01\x00"))] == [1, [0, 1], 0, [1, 0]]
    with pytest.raises(CodeError):
        read(path, section)


@pytest.mark.parametrize("axes", ["longest", 2, -1, 0.0, None, [0], [0, 1, 1, 2], [[0, 1, 1]], [0.0, 1.0, 1.0], True])
def test_bad_axes(axes):
    leaves = QuantizedLeafMeasure(np.zeros((3, 2)), 1.0, [1, 1, 1])
    with pytest.raises(ValueError, match=r"axes must be 'auto' or an axis, 0 to 1, or 3 of them; got "):
        leaves.generator(axes=axes)
    with pytest.raises(ValueError, match=r"axes must be 'auto' or an axis, 0 to 1; got \[0, 1, 1\]"):
        jg.PeanoGenerator(QuantizedMeasure(np.eye(2, dtype=int), [1, 1], 0.0, 1.0, 2), axes=[0, 1, 1])


def test_floats_move_a_point_as_far_as_its_path_runs():
    """One leaf, and no levels: the position is known to 30 roundings, a share of what the path runs through."""
    measure = QuantizedLeafMeasure([[0.0, 0.0]], [[3.0, 4.0]], [1])

    def floats(path, axes):
        g = measure.generator(extra_levels=0, path=path, axes=axes)
        return np.array(g.certificate(2.0**-10, dtype="float32").parts["float"])

    rest = floats("centre", 1)
    for path, axes, run in (("line", 0, 3.0), ("line", 1, 4.0), ("diagonal", 1, 5.0), ("centre", 0, 0.0)):
        np.testing.assert_allclose(floats(path, axes) - rest, 30 * 2.0**-24 * run, rtol=1e-6)
