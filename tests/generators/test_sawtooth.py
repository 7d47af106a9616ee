"""The order of the axes of the sawtooth, its paths, and what it does where there is little to do."""

import itertools
import math

import jax.random as jr
import numpy as np
import pytest

from jaxgen.generators import SawtoothGenerator
from jaxgen.limits import curve_length, length_bound
from jaxgen.measures import GridMeasure, QuantizedMeasure

KEY = jr.key(3)
PATHS = ["zigzag", "serpentine"]


@pytest.mark.sweep(4)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dim, seed", [(2, 0), (3, 1), (3, 2), (4, 3)])
def test_no_order_of_the_axes_has_a_smaller_certificate(path, dim, seed):
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 4, dim)
    m = GridMeasure.from_histogram(np.ones(shape, int), low=0, high=rng.uniform(0.2, 5, dim))
    best = SawtoothGenerator(m, 2, path).certificate()
    every = [SawtoothGenerator(m, 2, path, axes).certificate() for axes in itertools.permutations(range(dim))]
    assert best.w1 == pytest.approx(min(c.w1 for c in every), rel=1e-9)
    assert best.w2 == pytest.approx(min(c.w2 for c in every), rel=1e-9)
    assert best.w2 < 0.999 * max(c.w2 for c in every)


def test_the_longest_cells_come_last_and_equal_ones_stay():
    def axes(high, shape=(2, 2, 2), low=0.0):
        return SawtoothGenerator(QuantizedMeasure([[0, 0, 0]], [1], low, high, shape)).axes.tolist()

    assert axes([1, 5, 2]) == [0, 2, 1]
    # The cells count, not the box.
    assert axes([3, 5, 2], (1, 4, 2)) == [1, 2, 0]
    assert axes(1.0) == axes([1, 1, 1 - 1e-7]) == axes([1.0, 0.0, 1.0]) == axes(0.0) == [0, 1, 2]
    assert axes([2, 2, 1]) == [0, 2, 1] and axes([1, 1, 1 - 1e-4]) == [0, 2, 1]
    # A box of corners that are rounded: equal sides differ by a few last places.
    assert axes([0.3, 1.3, 0.9], low=[-0.7, 0.3, -0.1]) == [0, 1, 2]


@pytest.mark.sweep(1)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("labels", [None, 3])
@pytest.mark.parametrize("axes", [(2, 0, 1)])
def test_other_axes_are_other_names(path, labels, axes, grid_measure, evaluate):
    """Nested in another order it is the generator of the measure whose axes are so ordered, bit by bit."""
    measure, condition = grid_measure(3, 4, labels), None if labels is None else "b"
    g, other = SawtoothGenerator(measure, 2, path, axes), SawtoothGenerator(measure.marginal(axes), 2, path, range(3))
    x, y = (np.asarray(h.sample(KEY, 300, condition)) for h in (g, other))
    np.testing.assert_array_equal(x[:, axes], y)
    assert np.all(x >= np.asarray(measure.low)) and np.all(x <= np.asarray(measure.high))
    u = np.random.default_rng(0).random((50, 1))
    u = u if labels is None else np.concatenate([np.eye(3)[np.arange(50) % 3], u], axis=1)
    np.testing.assert_array_equal(evaluate(g.network(), u)[:, axes], evaluate(other.network(), u))
    assert g.size() == other.size() and g.ramp_measure(0.1) == other.ramp_measure(0.1)
    assert g.certificate().w1 == other.certificate().w1 and g.certificate().w2 == other.certificate().w2


@pytest.mark.slow
@pytest.mark.parametrize("folds", [0, 3])
def test_a_serpentine_is_its_zigzag_moved_to_the_centres(folds, grid_measure):
    measure, axes = grid_measure(3, 4), [1, 2, 0]
    zigzag, serpentine = (SawtoothGenerator(measure, folds, path, axes) for path in PATHS)
    low, side = np.asarray(measure.low), np.asarray(measure.cell_sides) * 2.0**-folds
    x, y = ((np.asarray(g.sample(KEY, 500)) - low) / side for g in (zigzag, serpentine))
    np.testing.assert_allclose(y[:, 0], x[:, 0], rtol=1e-6)
    # Where rounding does not decide on which side of a border a point is.
    clear = np.all(np.abs(x - np.round(x)) > 1e-4, axis=1)
    np.testing.assert_allclose(y[clear, 1:], np.floor(x[clear, 1:]) + 0.5, rtol=1e-5)
    assert clear.mean() > 0.95 and zigzag.source_bits == serpentine.source_bits


def test_a_serpentine_reaches_the_length_limit(x64):
    """On the uniform square `4 l W_1` is 1 + h - h^2, and no curve of length l has less than 1 as it grows."""
    square, ratios = QuantizedMeasure([[0, 0]], [1], 0.0, 1.0, 1), []
    for folds in range(1, 8):
        g, h = SawtoothGenerator(square, folds, "serpentine"), 2.0**-folds
        length = curve_length(g.network(2.0**-30))
        assert length == pytest.approx(1 / h + 1 - h, rel=1e-6)
        assert 4 * length * g.certificate().w1 == pytest.approx(1 + h - h * h, rel=1e-6)
        ratios.append(g.certificate().w1 / length_bound(length, 2))
    np.testing.assert_allclose(ratios[:3], [1.346, 1.214, 1.117], rtol=1e-3)
    assert np.all(np.array(ratios) > 1) and ratios[-1] < 1.008


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_where_there_is_little_to_do(path, kernel, evaluate):
    u = (np.arange(200, dtype=np.float32) + 0.5) / 200
    # One dimension: the path makes no difference, and there is no error.
    line = SawtoothGenerator(QuantizedMeasure([[0], [2]], [1, 3], 0.0, 3.0, 3), 4, path)
    assert line.certificate().parts["filling"] == (0, 0) and line.centred and line.ramp_measure(0.1) == 0.1
    np.testing.assert_array_equal(kernel(line, u), kernel(SawtoothGenerator(line.measure, 0), u))
    # One cell, and a constant axis, which costs nothing wherever it is nested.
    cell = SawtoothGenerator(QuantizedMeasure([[0, 0, 0]], [1], [0.0, 7.0, 0.0], [1.0, 7.0, 2.0], 1), 3, path)
    x = kernel(cell, u)
    assert cell.axes.tolist() == [0, 1, 2] and np.all(x[:, 1] == 7)
    assert cell.filling()[1] == pytest.approx(1 / 8 / math.sqrt(6 if path == "zigzag" else 12), rel=1e-6)
    np.testing.assert_allclose(evaluate(cell.network(2.0**-12), u[:, None])[3::5], x[3::5], atol=2e-3)


def test_sixty_four_dimensions():
    """The law rests in the right cells, and the last axis sweeps."""
    rng = np.random.default_rng(0)
    cells = np.unique(rng.integers(0, 3, (50, 64)), axis=0)
    measure = QuantizedMeasure(cells, np.ones(len(cells), int), 0.0, [3.0] * 10 + [6.0] + [3.0] * 53, 3)
    g = SawtoothGenerator(measure, 2, "serpentine")
    assert g.axes[-1] == 10 and g.source_bits >= 63 * 2
    x = np.asarray(g.sample(KEY, 300)) / np.asarray(measure.cell_sides)
    assert {tuple(cell) for cell in np.floor(x).astype(int).tolist()} <= {tuple(cell) for cell in cells.tolist()}
    rest = np.delete(x, 10, axis=1)
    np.testing.assert_array_equal(rest * 8 % 2, 1)
    # Each quarter of the bin has a chance of 1/4: five standard deviations.
    assert np.all(np.abs(np.mean(rest % 1 < 0.25, axis=0) - 0.25) < 5 * math.sqrt(3 / 16 / 300))
    assert len(np.unique(x[:, 10])) > 290
    assert g.certificate().parts["filling"][1] == pytest.approx(math.sqrt(63 / 12) / 4, rel=1e-6)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"path": "spiral"}, "path must be one of zigzag, serpentine; got 'spiral'"),
        ({"axes": "longest"}, r"axes must be 'auto' or a permutation of 0, ..., 1; got 'longest'"),
        ({"axes": (0, 0)}, "axes must be"),
        ({"axes": (0,)}, "axes must be"),
        ({"axes": (1, 2)}, "axes must be"),
        ({"axes": (0.0, 1.0)}, "axes must be"),
        ({"axes": [[0, 1]]}, "axes must be"),
        ({"axes": None}, "axes must be"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        SawtoothGenerator(GridMeasure.from_histogram(np.ones((2, 2))), **options)
