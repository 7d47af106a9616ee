from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from jaxgen.relu import hat, part_centres, piecewise_linear, ramp, sawtooth, staircase, triangle_wave, unfold

few = settings(max_examples=25, deadline=None)


def batch(network, x):
    """All outputs of a network of one input and one output, jitted."""
    return np.asarray(jax.jit(jax.vmap(network))(jnp.asarray(x)))[:, 0]


def realize(network, x):
    """The map of one variable on a vector, in NumPy and from the definition alone."""
    *hidden, (last, shift) = network.layers_as_scipy()
    x = np.asarray(x, dtype=float)[:, None]
    for weight, bias in hidden:
        x = np.maximum(x @ weight.toarray().T + bias, 0)
    return x @ last.toarray().T + shift


def tent(x: Fraction) -> Fraction:
    return max(Fraction(0), 1 - abs(2 * x - 1))


def wave(x: Fraction) -> Fraction:
    third = min(int(3 * x), 2)
    return 2 - 3 * x if third == 1 else 3 * x - third


def times(function, n, x):
    for _ in range(n):
        x = function(x)
    return x


def test_hat(precision):
    x = np.array([-1e6, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1e6])
    y = batch(hat(), x)
    assert y.dtype == precision
    np.testing.assert_array_equal(y, [0, 0, 0, 0.5, 1, 0.5, 0, 0, 0])


@pytest.mark.sweep(4)
@pytest.mark.parametrize("folds", [1, 2, 3, 20])
def test_sawtooth_is_exact_bit_for_bit(folds, precision):
    rng = np.random.default_rng(folds)
    bits = 24 if precision == "float32" else 53
    # All bits of the mantissa used, next to 0 and 1 as well as in between, and numbers below the last bit of 1.
    x = np.concatenate([rng.integers(0, 2**bits, 200), np.arange(10), 2**bits - np.arange(10)]) / 2.0**bits
    x = np.concatenate([x, rng.integers(0, 2**bits, 50) / 2.0 ** (bits + 30)])
    expected = [float(times(tent, folds, Fraction(value))) for value in x]
    np.testing.assert_array_equal(batch(sawtooth(folds), x), expected)


@pytest.mark.sweep(2)
@pytest.mark.parametrize("folds", [1, 2, 5])
def test_sawtooth_has_its_teeth(folds):
    nodes = np.arange(2**folds + 1) / 2**folds
    y = batch(sawtooth(folds), nodes)
    np.testing.assert_array_equal(y, np.arange(2**folds + 1) % 2)  # onto [0, 1] on every dyadic interval
    assert np.count_nonzero(y == 1) == 2 ** (folds - 1)
    middles = (nodes[:-1] + nodes[1:]) / 2
    quarters = (nodes[:-1] + middles) / 2
    np.testing.assert_array_equal(batch(sawtooth(folds), middles), 0.5)  # and linearly
    np.testing.assert_array_equal(batch(sawtooth(folds), quarters), np.where(np.arange(2**folds) % 2, 0.75, 0.25))
    outside = np.array([-100.0, -1.0, -1e-6, 1 + 2.0**-23, 1.5, 2.0, 1000.1])
    np.testing.assert_array_equal(batch(sawtooth(folds), outside), 0)


def test_no_fold_is_the_identity():
    x = np.array([-2.0, 0.3, 5.0], dtype=np.float32)
    np.testing.assert_array_equal(batch(sawtooth(0), x), x)
    np.testing.assert_array_equal(batch(triangle_wave(0), x), x)
    assert sawtooth(0).depth == sawtooth(0).connectivity == triangle_wave(0).connectivity == 1


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize(("block", "magnitudes"), [(sawtooth, (4, 4)), (triangle_wave, (3, 6))])
def test_counts_of_the_folds(block, magnitudes, n):
    network = block(n)
    assert network.sizes == (1, *[3] * n, 1)
    assert network.depth == n + 1
    assert network.connectivity == 11 * n - 3
    assert network.weight_magnitude == magnitudes[n > 1]


def test_hat_is_the_sawtooth_of_one_fold():
    assert hat().sizes == (1, 3, 1)
    assert hat().connectivity == 8


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_triangle_wave_is_exact_and_turns_with_its_argument(levels, x64):
    x = np.random.default_rng(levels).integers(0, 2**30 + 1, 200) / 2.0**30
    network = triangle_wave(levels)
    y = batch(network, x)
    np.testing.assert_array_equal(y, [float(times(wave, levels, Fraction(value))) for value in x])
    np.testing.assert_array_equal(batch(network, 1 - x), 1 - y)
    for weight, bias in network.layers_as_scipy():
        np.testing.assert_array_equal(weight.data, np.round(weight.data))
        np.testing.assert_array_equal(bias, np.round(bias))


def test_triangle_wave_outside_the_unit_interval(x64):
    np.testing.assert_array_equal(batch(triangle_wave(2), np.array([-1.0, -0.5, 1.25, 2.0])), [0, 0, 3.25, 10])


@few
@given(st.integers(-64, 64), st.integers(-8, 3))
def test_ramp(start, exponent):
    a, tau = start / 16, 2.0**exponent
    network = ramp(a, tau)
    x = a + tau * np.arange(-8, 17) / 8
    np.testing.assert_array_equal(realize(network, x)[:, 0], np.clip((x - a) / tau, 0, 1))
    assert network.sizes == (1, 1, 1, 1)
    assert network.connectivity == 4 + (a != -tau)
    assert network.weight_magnitude == max(1 / tau, abs(1 + a / tau), 1)


@pytest.mark.parametrize(("start", "width"), [(0.3, 1e-6), (-77.7, 2.0**-20), (1 / 3, 0.1), (0.0, 1e-3), (5.1, 1e5)])
def test_ramp_is_exactly_0_and_1_outside_in_floating_point(start, width, precision):
    rng = np.random.default_rng(0)
    far = np.concatenate([np.logspace(-7, 30, 400), rng.uniform(0, 10, 200)])
    # The ramp itself may lie a few roundings beside its place.
    left, right = start - far, start + width + far
    left = left[start - left > np.finfo(precision).eps * (abs(start) + np.abs(left) + width)]
    right = right[right - start - width > np.finfo(precision).eps * (abs(start) + np.abs(right) + width)]
    np.testing.assert_array_equal(
        batch(ramp(start, width), np.concatenate([left, right])), [0.0] * len(left) + [1.0] * len(right)
    )


@few
@given(st.data(), st.integers(0, 5), st.integers(1, 3))
def test_staircase(data, m, d):
    whole = st.integers(-8, 8)
    starts, first = (np.array(data.draw(st.lists(whole, min_size=n, max_size=n))) / 4 for n in (m, d))
    widths = 2.0 ** np.array(data.draw(st.lists(st.integers(-4, 1), min_size=m, max_size=m)))
    rises = np.array(data.draw(st.lists(whole, min_size=m * d, max_size=m * d)), float).reshape(m, d)
    network = staircase(starts, widths, rises, first)
    u = np.arange(-20, 40) / 8
    expected = first + np.clip((u[:, None] - starts) / widths, 0, 1) @ rises
    np.testing.assert_array_equal(realize(network, u), expected)
    assert network.sizes == (1, max(m, 1), max(m, 1), d)
    counts = [np.count_nonzero(part) for part in (1 + starts / widths, rises, first)]
    assert network.connectivity == 3 * m + sum(counts)
    single = staircase(starts, widths, rises[:, 0], first[0])
    np.testing.assert_array_equal(realize(single, u), expected[:, :1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.0], [0.0], [1.0]), "widths must be positive"),
        (([0.0], [np.nan], [1.0]), "widths.*NaN"),
        (([0.0], [1.0, 1.0], [1.0]), r"shapes \(1,\), \(2,\)"),
        (([0.0], [1.0], [1.0, 2.0]), "shapes"),
        (([0.0], [1.0], [1.0], [1.0, 2.0]), r"first has shape \(2,\)"),
    ],
)
def test_bad_staircase(arguments, message):
    with pytest.raises(ValueError, match=message):
        staircase(*arguments)


@pytest.mark.parametrize("parts, length", [(1, 1.0), (2, 1.0), (7, 4.0), (24, 3.0), (128, 0.5), (2**20 - 3, 32.0)])
def test_part_centres(parts, length, x64):
    network, levels = part_centres(parts, 2.0**-10, length), (parts - 1).bit_length()
    assert network.sizes == ((1, *[5] * levels, 3, 3, 1) if levels else (1, 2, 2, 1)) and network.depth == levels + 3
    assert levels == 0 or network.weight_magnitude <= max(4 * 2.0**10, parts / length)
    x = length * np.random.default_rng(parts).random(2000)
    place = x / length * parts
    clear = np.abs(place - np.round(place)) > 2.0**-10
    y = realize(network, x)[:, 0]
    expected = (np.floor(place) + 0.5) * length / parts
    np.testing.assert_allclose(y[clear], expected[clear], rtol=0, atol=8 * np.finfo(float).eps * length)
    # No ramp at the ends.
    ends = np.array([0, length])
    np.testing.assert_allclose(realize(network, ends)[:, 0], np.abs(ends - length / parts / 2), rtol=1e-9)


@pytest.mark.parametrize("parts, ramp", [(8, 2.0**-4), (8, 1.0), (7, 0.5), (6, 2.0**-4)])
def test_ramps_between_the_centres(parts, ramp, x64):
    """The share `ramp` on either side of every second part, inside it, but none at the ends; in two parts at most."""
    x = (np.arange(parts * 2**11) + 0.5) / (parts * 2**11)
    y, place = realize(part_centres(parts, ramp), x)[:, 0], parts * x
    number, inside = np.floor(place), place % 1
    ramped = ((inside < ramp) & (number > 0) | (inside > 1 - ramp) & (number < parts - 1)) & (number % 2 == parts % 2)
    np.testing.assert_allclose(y[~ramped], (number[~ramped] + 0.5) / parts, atol=1e-14)
    assert np.mean(np.abs(parts * y - number - 0.5)[ramped] > 1e-9) > 0.99
    before = number - (inside < 0.5)
    assert np.all(parts * y >= np.maximum(before, 0) - 1e-12) and np.all(parts * y <= before + 2 + 1e-12)
    assert y.min() >= 0 and y.max() <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0.5), "parts must be at least 1"),
        ((2, 0.0), r"ramp must lie in \(0, 1\]"),
        ((2, 1.5), r"ramp must lie in \(0, 1\]"),
        ((2, np.nan), r"ramp must lie in \(0, 1\]"),
        ((2, 0.5, 0.0), "length must be a positive finite number"),
    ],
)
def test_bad_part_centres(arguments, message):
    with pytest.raises(ValueError, match=message):
        part_centres(*arguments)


numbers = st.floats(-100, 100, allow_subnormal=False, width=32)


@few
@given(st.data(), st.integers(1, 3))
def test_piecewise_linear_with_integer_slopes_is_exact(data, out):
    x = np.array(sorted(data.draw(st.sets(st.integers(-40, 40), min_size=1, max_size=8)))) / 4
    k = x.size
    slopes = np.array(data.draw(st.lists(st.integers(-2, 2), min_size=(k + 1) * out, max_size=(k + 1) * out)))
    slopes = slopes.reshape(k + 1, out)
    start = np.array(data.draw(st.lists(st.integers(-3, 3), min_size=out, max_size=out)))
    y = start + np.concatenate([np.zeros((1, out)), np.cumsum(slopes[1:-1] * np.diff(x)[:, None], axis=0)])
    network = piecewise_linear(x, y, left_slope=slopes[0], right_slope=slopes[-1])

    points = np.arange(-100, 101) / 8
    expected = np.stack([np.interp(points, x, column) for column in y.T], axis=1)
    expected += np.minimum(points - x[0], 0)[:, None] * slopes[0] + np.maximum(points - x[-1], 0)[:, None] * slopes[-1]
    np.testing.assert_array_equal(realize(network, points), expected)

    kinks = np.concatenate([slopes[1:2], np.diff(slopes[1:], axis=0)])
    bends, left = kinks.any(axis=1), slopes[0].any()
    h = np.count_nonzero(bends) + left
    assert network.sizes == (1, max(h, 1), out)
    assert h <= k + bool(left)  # the function has k + 1 pieces
    biases = np.count_nonzero(x[bends]) + (left and x[0] != 0)
    assert network.connectivity == h + biases + np.count_nonzero(kinks) + np.count_nonzero(
        slopes[0]
    ) + np.count_nonzero(start)


@few
@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=10, unique_by=lambda pair: pair[0]), numbers, numbers)
def test_piecewise_linear_of_any_numbers(pairs, left, right):
    x, y = np.array(sorted(pairs)).T
    if x.size > 1 and np.diff(x).min() < 1e-3:
        x = np.arange(x.size, dtype=float)
    with jax.enable_x64(True):
        network = piecewise_linear(x, y, left, right)
    points = np.linspace(x[0] - 10, x[-1] + 10, 101)
    expected = np.interp(points, x, y) + left * np.minimum(points - x[0], 0) + right * np.maximum(points - x[-1], 0)
    # Every neuron contributes |change of slope| |x - breakpoint|, each with a few roundings.
    terms = np.abs(network.layers_as_scipy()[1][0].data).sum() * (points[-1] - points[0]) + np.abs(y).max()
    np.testing.assert_allclose(realize(network, points)[:, 0], expected, rtol=0, atol=16 * np.finfo(float).eps * terms)


@pytest.mark.slow
def test_piecewise_linear_under_jax(precision):
    network = piecewise_linear([0, 0.5, 1], [0, 1, 0.25], left_slope=-1, right_slope=2)
    x = np.array([-1.0, 0.0, 0.25, 0.5, 0.75, 1.0, 2.0])
    y = batch(network, x)
    assert y.dtype == precision
    np.testing.assert_array_equal(y, [1, 0, 0.5, 1, 0.625, 0.25, 2.25])
    assert jax.grad(lambda x: network(x)[0])(0.75) == -1.5
    assert network.depth == 2


def test_a_constant_needs_no_weights():
    network = piecewise_linear([0.5, 2.0], [3.0, 3.0])
    assert (network.sizes, network.connectivity) == ((1, 1, 1), 1)
    np.testing.assert_array_equal(realize(network, [-5.0, 1.0, 5.0]), 3)


def test_a_hundred_thousand_pieces(x64):
    x = np.arange(100_001) / 2**17
    y = np.random.default_rng(0).integers(0, 2, x.size) / 4
    network = piecewise_linear(x, y)
    assert network.sizes[1] <= x.size
    at = np.random.default_rng(1).integers(0, 100_000, 5)
    np.testing.assert_array_equal([float(network((x[i] + x[i + 1]) / 2)[0]) for i in at], (y[at] + y[at + 1]) / 2)


@pytest.mark.parametrize(
    ("breakpoints", "values", "slopes", "message"),
    [
        ([], [], {}, "breakpoints has shape"),
        ([[0.0, 1.0]], [0.0, 1.0], {}, "breakpoints has shape"),
        ([0.0, 1.0], [0.0], {}, "values has shape"),
        ([0.0, 1.0], [[[0.0]], [[1.0]]], {}, "values has shape"),
        ([0.0, 1.0], [[], []], {}, "values has shape"),
        ([1.0, 0.0], [0.0, 1.0], {}, "strictly increase, but 1.0 is followed by 0.0"),
        ([0.0, 0.5, 0.5], [0.0, 1.0, 2.0], {}, "jump"),
        ([0.0, np.nan], [0.0, 1.0], {}, "breakpoints.*NaN"),
        ([0.0, 1.0], [0.0, np.inf], {}, "values.*NaN or infinite"),
        ([0.0, 1.0], [0.0, 1.0], {"left_slope": np.nan}, "left_slope"),
        ([0.0, 1.0], [0.0, 1.0], {"right_slope": np.ones(2)}, "right_slope has shape"),
        ([0.0, 1e-300], [0.0, 1e300], {}, "NaN or infinite"),
        ([0.0, 1e-30], [0.0, 1e30], {}, "too large for float32"),
    ],
)
def test_bad_piecewise_linear(breakpoints, values, slopes, message):
    with pytest.raises(ValueError, match=message):
        piecewise_linear(breakpoints, values, **slopes)


@pytest.mark.parametrize("level", [0, 3])
def test_unfold(level, x64):
    slope, scale = 2**20, 3**level
    network = unfold(slope, level)
    assert network.sizes == (2, 3, 3, 3, 1)
    assert network.connectivity == 19
    assert network.weight_magnitude == max(3 * slope, 2 * slope + 1, scale)
    rng = np.random.default_rng(level)
    c, w = rng.integers(0, 257, (2, 200)) / 256  # no 1/256 lies in a ramp: they have width 2^-20/3, just after m/3
    third = np.minimum(np.floor(3 * c), 2)
    expected = scale * (third + np.where(third == 1, 1 - w, w))
    np.testing.assert_array_equal(batch(network, np.stack([c, scale * w], axis=1)), expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sawtooth(-1), "folds must not be negative; got -1"),
        (lambda: triangle_wave(-2), "levels must not"),
        (lambda: ramp(0.0, 0.0), "width must be a positive"),
        (lambda: ramp(0.0, -1.0), "width must be a positive"),
        (lambda: ramp(0.0, np.nan), "width must be a positive"),
        (lambda: ramp(np.inf, 1.0), "starts.*infinite"),
        (lambda: ramp(0.0, 1e-50), "too large for float32"),
        (lambda: ramp(0.0, 1e-320), "NaN or infinite"),
        (lambda: unfold(0.5), "slope must be at least 1; got 0.5"),
        (lambda: unfold(np.inf), "slope must be a positive finite"),
        (lambda: unfold(100, -1), "level must not"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_folds_are_whole_numbers():
    with pytest.raises(TypeError, match="folds"):
        sawtooth(1.5)
