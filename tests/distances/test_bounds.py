"""Exact distances, upper and lower bounds, against linear programmes that share no code with them."""

import math

import jax
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog

from jaxgen.distances import curve_coupling, two_sample_floor, wasserstein, wasserstein_bounds
from jaxgen.distances._wasserstein_bounds import _projections

fast = settings(max_examples=25, deadline=None)
coordinates = st.floats(-10, 10, allow_nan=False).map(lambda v: round(v, 3))


def exact(x, y, p, a=None, b=None):
    """W_p by the transport linear programme (HiGHS), costs by direct summation."""
    n, m = len(x), len(y)
    cost = np.array([[math.dist(u, v) ** p for v in y] for u in x])
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    a, b = (np.ones(k) if w is None else np.asarray(w, float) for k, w in ((n, a), (m, b)))
    marginals = np.concatenate([a / a.sum(), b / b.sum()])
    out = linprog(cost.ravel(), A_eq=np.vstack([rows, columns]), b_eq=marginals, method="highs")
    assert out.status == 0
    return max(out.fun, 0.0) ** (1 / p)


def clouds(n, m, d):
    return st.tuples(arrays(float, (n, d), elements=coordinates), arrays(float, (m, d), elements=coordinates))


@fast
@given(clouds(7, 7, 2), st.sampled_from([1, 1.5, 2, 3]))
def test_exact_is_the_linear_programme(pair, p):
    np.testing.assert_allclose(wasserstein(*pair, p), exact(*pair, p), rtol=1e-6, atol=1e-5)


@pytest.mark.slow
@fast
@given(
    clouds(6, 4, 2) | clouds(5, 7, 1),
    st.lists(st.integers(0, 3), min_size=13, max_size=13),
    st.sampled_from([1, 2, 3]),
)
def test_weights_are_those_of_the_linear_programme(pair, weights, p):
    x, y = pair
    a, b = np.add(weights[: len(x)], [1] + [0] * (len(x) - 1)), np.add(weights[-len(y) :], [0] * (len(y) - 1) + [1])
    value = exact(x, y, p, a, b)
    tolerance = 1e-6 * value + 1e-5
    assert wasserstein(x, y, p, a, b) == pytest.approx(value, rel=1e-6, abs=1e-5)
    assert wasserstein(y, x, p, 1e300 * b, 1e-300 * a) == pytest.approx(value, rel=1e-6, abs=1e-5)
    lower, upper = wasserstein_bounds(x, y, p, a, b)
    assert 0 <= lower <= value + tolerance and upper >= value - tolerance
    # Weights that are equal are as good as none; a point of weight 2 is two points.
    assert wasserstein(x, y, p, np.full(len(x), 7)) == pytest.approx(wasserstein(x, y, p), rel=1e-9, abs=1e-9)
    twice = np.concatenate([x, x[:1]])
    assert wasserstein(x, y, p, [2] + [1] * (len(x) - 1)) == pytest.approx(wasserstein(twice, y, p), rel=1e-9, abs=1e-9)


def test_bad_weights():
    with pytest.raises(ValueError, match=r"a must have shape \(2,\)"):
        wasserstein([0.0, 1.0], [0.0], a=[1, 2, 3])
    with pytest.raises(ValueError, match="b must not be negative"):
        wasserstein_bounds([0.0, 1.0], [0.0, 1.0], b=[1, -1])
    with pytest.raises(ValueError, match="a must not sum to zero"):
        wasserstein([0.0], [0.0], a=[0])
    with pytest.raises(ValueError, match="b must be finite"):
        wasserstein([0.0], [0.0], b=[np.nan])


@pytest.mark.sweep(3)
@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
@pytest.mark.parametrize(("n", "m", "d"), [(7, 7, 2), (5, 8, 3), (6, 4, 1)])
def test_bounds_bracket_the_linear_programme(n, m, d, p):
    @settings(max_examples=10, deadline=None)
    @given(clouds(n, m, d))
    def check(pair):
        value = exact(*pair, p)
        lower, upper = wasserstein_bounds(*pair, p)
        tolerance = 1e-6 * value + 1e-5  # of the linear programme: 1e-9 in the costs, at p = 2 a root of that
        assert 0 <= lower <= value + tolerance
        assert upper >= value - tolerance
        assert curve_coupling(*pair, p) >= upper * (1 - 1e-12)

    check()


@pytest.mark.sweep(2)
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("d", [2, 5])
def test_bounds_are_close_for_sampled_clouds(p, d):
    rng = np.random.default_rng(d)
    x, y = rng.random((300, d)), 0.3 + rng.random((300, d)) ** 2
    value = wasserstein(x, y, p)
    lower, upper = wasserstein_bounds(x, y, p)
    assert 0.99 * value <= lower <= value <= upper * (1 + 1e-12) <= 1.02 * value


@pytest.mark.slow
def test_bounds_beyond_the_exact_solver():
    rng = np.random.default_rng(0)
    x, y = rng.random((6000, 2)), rng.random((5500, 2)) + np.array([3, 4])
    lower, upper = wasserstein_bounds(x, y)
    # W_2^2 = |difference of means|^2 + W_2^2 of the centred clouds.
    shift = np.linalg.norm(x.mean(0) - y.mean(0))
    assert shift <= lower <= upper <= shift * 1.01


def test_projections_add_up():
    # Product laws whose coordinates are compared in order: the sum over the axes is the distance itself, which a
    # single projection misses by a factor sqrt(d).
    x = np.stack(np.meshgrid(*[np.arange(3.0)] * 4), axis=-1).reshape(-1, 4)
    y = 2 * x + 1
    assert _projections(x, y, 2) == pytest.approx(wasserstein(x, y), rel=1e-12)
    assert wasserstein(x[:, :1], y[:, :1]) == pytest.approx(wasserstein(x, y) / 2, rel=1e-12)


def test_projections_of_order_above_two():
    # One coordinate differs at a time: W_p^p is the sum over the axes, (1 + 1) / 2, whatever p. An l2 norm of the
    # distances of the axes would be above W_p, their largest alone below.
    x, y = np.array([[0.0, 0.0], [10.0, 10.0]]), np.array([[1.0, 0.0], [10.0, 11.0]])
    for p in (2, 3, 7):
        assert wasserstein(x, y, p) == pytest.approx(1, rel=1e-12)
        assert _projections(x, y, p) == pytest.approx(1, rel=1e-12)


@fast
@given(clouds(5, 5, 3), st.sampled_from([1, 1.5, 2, 3, 6]))
def test_projections_stay_below_the_distance(pair, p):
    assert _projections(*pair, p) <= wasserstein(*pair, p) * (1 + 1e-12)


def test_curve_coupling_of_two_samples_falls_like_the_fourth_root():
    # Order statistics along the curve differ by O(n^(-1/2)) and the curve is 1/2-Hoelder in the plane: 16 times the
    # points, half the cost.
    rng = np.random.default_rng(1)
    few, many = (
        np.mean([curve_coupling(rng.random((n, 2)), rng.random((n, 2)), 1) for _ in range(5)]) for n in (1250, 20_000)
    )
    assert 1.6 < few / many < 2.5


@pytest.mark.parametrize("p", [1, 2, 3])
def test_line_is_exact_at_any_size(p):
    rng = np.random.default_rng(p)
    x, y = rng.normal(size=20_000), rng.normal(size=20_000) + 1
    value = np.mean(np.abs(np.sort(x) - np.sort(y)) ** p) ** (1 / p)
    assert wasserstein(x, y, p) == pytest.approx(value, rel=1e-12)
    assert curve_coupling(x[:, None], y[:, None], p) == pytest.approx(value, rel=1e-12)
    assert wasserstein_bounds(x, y, p) == pytest.approx((value, value), rel=1e-12)


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
@pytest.mark.parametrize("p", [1, 2, 7])
def test_scale_and_translation(scale, p):
    rng = np.random.default_rng(3)
    x, v = rng.random((40, 3)), np.array([3.0, 0.0, 4.0])
    x, v = x * scale, v * scale
    for distance in (wasserstein, curve_coupling, lambda *a: wasserstein_bounds(*a)[1]):
        assert distance(x, x + v, p) == pytest.approx(5 * scale, rel=1e-12)
    assert wasserstein_bounds(x, x + v, p)[0] == pytest.approx(5 * scale, rel=1e-2)


@pytest.mark.parametrize("p", [1, 2])
def test_no_cancellation_far_from_the_origin(p):
    x = np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 2.0]]) + 2.0**30
    y = x[::-1] + np.array([0.0, 2.0**-10])
    assert wasserstein(x, y, p) == 2.0**-10
    lower, upper = wasserstein_bounds(x, y, p)
    assert lower <= 2.0**-10 <= upper


@pytest.mark.parametrize("distance", [wasserstein, curve_coupling, lambda *a: wasserstein_bounds(*a)[1]])
def test_equal_laws_are_at_distance_zero(distance):
    x = np.random.default_rng(4).random((50, 2))
    assert distance(x, x[::-1]) == 0
    assert distance(np.ones((50, 2)), np.ones((50, 2))) == 0  # one point, fifty times
    assert distance([[1.0, 2.0]], [[1.0, 2.0]]) == 0
    assert distance([[1.0, 2.0]], [[4.0, 6.0]]) == 5


def test_equal_laws_of_unequal_sizes():
    x = np.random.default_rng(5).random((20, 2))
    assert curve_coupling(x, np.repeat(x, 3, axis=0)) == 0
    assert wasserstein_bounds(x, np.repeat(x, 3, axis=0)) == (0, 0)


def test_high_dimension():
    rng = np.random.default_rng(6)
    x, y = rng.random((60, 100)), rng.random((60, 100))
    lower, upper = wasserstein_bounds(x, y)
    assert 0.95 * wasserstein(x, y) <= lower <= wasserstein(x, y) <= upper * (1 + 1e-12)
    assert curve_coupling(x, y) >= upper * (1 - 1e-12)


@pytest.mark.parametrize("distance", [wasserstein, curve_coupling, wasserstein_bounds])
@pytest.mark.parametrize(
    ("x", "y", "p", "message"),
    [
        (np.empty((0, 2)), np.ones((3, 2)), 2, "x is empty"),
        (np.ones((3, 2)), np.empty((3, 0)), 2, "y must have shape"),
        (np.ones((3, 2)), np.array([[0, 1], [np.nan, 0], [np.inf, 1]]), 2, "y must be finite; 2 of 3 rows"),
        (np.ones((3, 2)), np.ones((3, 3)), 2, "same dimension; got 2 and 3"),
        (np.ones((3, 2, 1)), np.ones((3, 2)), 2, "x must have shape"),
        (1.0, np.ones((3, 2)), 2, "x must have shape"),
        (np.ones((3, 2)), np.ones((3, 2)), 0.5, "p must be"),
        (np.ones((3, 2)), np.ones((3, 2)), np.nan, "p must be"),
        (np.ones((3, 2)), np.ones((3, 2)), np.inf, "p must be"),
    ],
)
def test_bad_input(distance, x, y, p, message):
    with pytest.raises(ValueError, match=message):
        distance(x, y, p)


def test_bad_types():
    with pytest.raises(TypeError, match="real numbers"):
        wasserstein(np.ones((3, 2), complex), np.ones((3, 2)))
    with pytest.raises(TypeError, match="real numbers"):
        curve_coupling(["a", "b"], [1.0, 2.0])


def test_sizes_the_exact_solver_refuses():
    large = np.zeros((8193, 2))
    with pytest.raises(ValueError, match=r"8193 and 8192.*wasserstein_bounds, curve_coupling.*sinkhorn_divergence"):
        wasserstein(large, large[1:])
    assert wasserstein(large, large[:1]) == 0


def test_two_sample_floor():
    points = np.random.default_rng(7).random((400, 2))
    key = jax.random.key(0)
    floor = two_sample_floor(points, 100, key=key, repeats=4)
    assert floor == two_sample_floor(points, 100, key=key, repeats=4)
    assert 0 < floor.std < floor.mean
    more = two_sample_floor(points, 200, key=key, repeats=4)
    assert more.mean < floor.mean
    # Halves are disjoint: on distinct points far apart, every pair is at least the gap away.
    assert two_sample_floor(10 * np.arange(6.0), 3, p=1, key=key).mean >= 10
    assert two_sample_floor(points, 100, key=key, distance=curve_coupling).mean >= floor.mean
    with pytest.raises(ValueError, match="need 402 points; got 400"):
        two_sample_floor(points, 201, key=key)
    with pytest.raises(ValueError, match="n must be at least 1"):
        two_sample_floor(points, 0, key=key)


@pytest.mark.parametrize("p", [1, 2, 4, 50])
def test_equal_clouds_beyond_small_ones_by_either_solver(p):
    """A translation is optimal between a cloud and itself moved, for each p: W_p is its length, far away and near."""
    points = np.random.default_rng(0).normal(size=(600, 2))
    for far in (0.01, 30.0):
        moved = points[::-1] + far * np.array([0.6, 0.8])
        assert abs(wasserstein(points, moved, p) - far) < 1e-6 * far


@pytest.mark.parametrize("p", [1, 2, 3, 4, 12])
def test_powers_of_equal_clouds_keep_their_digits(p):
    """One point is far away, so that the powers of all other distances are tiny beside its own."""
    points = np.random.default_rng(0).normal(size=(600, 2))
    moved = points + np.array([0.003, 0.004])
    moved[0] = points[0] = 1000.0
    assert abs(wasserstein(points, moved, p) / (0.005 * (599 / 600) ** (1 / p)) - 1) < 1e-3
