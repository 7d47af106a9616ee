"""What the path inside a box costs: the figures of the theory, independent quadratures, and sampled clouds."""

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize

from jaxgen.curves import HilbertCurve, PeanoCurve, box_distance, centre_distance, diagonal_distance, line_distance

BOXES = [np.array(sides) for sides in ([1.0, 1.0], [2.0, 0.5], [1.0, 1.0, 1.0], [3.0, 1.0, 0.01], [0.7] * 5)]
each_box = pytest.mark.parametrize("sides", BOXES, ids=str)


def mean_length(sides, density):
    """E|Y| by an adaptive rule over the positive orthant; Y_k has density `density(y / side) / side` there, twice."""

    def integrand(*y):
        return math.hypot(*y) * math.prod(2 * density(t / s) / s for t, s in zip(y, sides, strict=True))

    ranges = [(0, s * (0.5 if density is uniform else 1)) for s in sides]
    return scipy.integrate.nquad(integrand, ranges, opts={"epsabs": 1e-7, "epsrel": 1e-7})[0]


def uniform(t):
    return 1.0 if abs(t) <= 0.5 else 0.0


def triangular(t):
    return max(0.0, 1 - abs(t))


def test_the_figures_of_the_theory():
    """Sections 3 and 4; exactly where the mean distance is known in closed form."""
    assert centre_distance(np.ones(1)) == (0.25, math.sqrt(1 / 12))
    # In the unit square: (sqrt 2 + log(1 + sqrt 2)) / 6 from the centre.
    exact = (math.sqrt(2) + math.log(1 + math.sqrt(2))) / 6
    assert round(exact, 4) == 0.3826
    np.testing.assert_allclose(centre_distance(np.ones(2)), [exact, math.sqrt(1 / 6)], rtol=1e-6)
    np.testing.assert_allclose(line_distance(np.ones(2)), [0.25, math.sqrt(1 / 12)], rtol=1e-12)
    assert round(line_distance(np.ones(2))[1], 4) == 0.2887
    np.testing.assert_allclose(line_distance(np.ones(3)), [exact, math.sqrt(1 / 6)], rtol=1e-6)
    assert [round(line_distance(np.ones(d))[1], 4) for d in (2, 3, 4)] == [0.2887, 0.4082, 0.5]
    # Between two points: 1/3 on the interval, (2 + sqrt 2 + 5 log(1 + sqrt 2)) / 15 in the square, Robbins in the cube.
    square = (2 + math.sqrt(2) + 5 * math.log(1 + math.sqrt(2))) / 15
    r2, r3 = math.sqrt(2), math.sqrt(3)
    cube = (4 + 17 * r2 - 6 * r3 + 21 * math.log(1 + r2) + 42 * math.log(2 + r3) - 7 * math.pi) / 105
    assert [round(x, 4) for x in (square, cube)] == [0.5214, 0.6617]
    for d, exact in [(1, 1 / 3), (2, square), (3, cube)]:
        np.testing.assert_allclose(box_distance(np.ones(d)), [exact, math.sqrt(d / 6)], rtol=1e-6)


def test_the_table_of_the_diagonal():
    """Section 4: w_d and the bound in units of the side."""
    w = {1: 0.0, 2: 1 / 60, 3: 0.04881, 4: 0.08885, 5: 0.13396, 6: 0.18270, 8: 0.28788}
    bound = {1: 0.0, 2: 0.31623, 3: 0.46419, 4: 0.58210, 5: 0.68359, 6: 0.77419, 8: 0.93339}
    for d in w:
        w1, w2 = diagonal_distance(np.ones(d))
        assert w2 == pytest.approx(bound[d], abs=5e-6)
        assert w2**2 - (d - 1) / 12 == pytest.approx(w[d], abs=6e-6)  # that of d = 4 is 0.0888448
        assert w1 <= w2
    assert diagonal_distance(np.ones(2))[1] == pytest.approx(1 / math.sqrt(10), rel=1e-12)


@pytest.mark.parametrize("sides", BOXES[:2], ids=str)
def test_mean_distances_by_another_quadrature(sides):
    np.testing.assert_allclose(centre_distance(sides)[0], mean_length(sides, uniform), rtol=1e-5)
    np.testing.assert_allclose(box_distance(sides)[0], mean_length(sides, triangular), rtol=1e-5)


@each_box
def test_mean_distances_by_sampling(sides):
    rng, n = np.random.default_rng(0), 200_000
    x, y = (sides * rng.random((n, len(sides))) for _ in range(2))
    for (w1, w2), lengths in [
        (centre_distance(sides), np.linalg.norm(x - sides / 2, axis=1)),
        (line_distance(sides), np.linalg.norm((x - sides / 2)[:, :-1], axis=1)),
        (box_distance(sides), np.linalg.norm(x - y, axis=1)),
    ]:
        # Five standard errors: of the mean, and of the mean square.
        assert abs(lengths.mean() - w1) < 5 * lengths.std() / math.sqrt(n)
        square = lengths**2
        assert abs(square.mean() - w2**2) < 5 * square.std() / math.sqrt(n)


@each_box
def test_the_diagonal_by_sorting(sides):
    """The law on the diagonal lives on a line: projected, sorted and paired, a sample is coupled as well as can be."""
    rng, n = np.random.default_rng(1), 200_000
    x = sides * rng.random((n, len(sides)))
    x = x[np.argsort(x @ sides)]
    v = (np.arange(n) + 0.5) / n
    square = np.sum((x - v[:, None] * sides) ** 2, axis=1)
    # The ranks move by about 1/sqrt(n), which costs the square of that times the diagonal: below 1e-5 of it.
    error = 5 * square.std() / math.sqrt(n) + 5e-5 * float(sides @ sides)
    assert abs(square.mean() - diagonal_distance(sides)[1] ** 2) < error


@pytest.mark.parametrize("path", ["line", "diagonal", "centre"])
def test_no_coupling_beats_the_figures(path):
    """Midpoints of a fine grid of the box against points of the path: the exact distance is that figure, nearly."""
    n, sides = 24, np.array([1.0, 0.5])
    grid = (np.indices((n, n)).reshape(2, -1).T + 0.5) / n * sides
    v = (np.arange(n * n) + 0.5) / (n * n)
    ends = {"line": [0 * v + 0.5, v], "diagonal": [v, v], "centre": [0 * v + 0.5, 0 * v + 0.5]}
    path_points = np.stack(ends[path], axis=1) * sides
    lengths = np.linalg.norm(grid[:, None] - path_points, axis=2)
    w1, w2 = PeanoCurve().filling(sides, path)
    exact1 = lengths[scipy.optimize.linear_sum_assignment(lengths)].mean()
    exact2 = math.sqrt((lengths**2)[scipy.optimize.linear_sum_assignment(lengths**2)].mean())
    # The midpoints are at most this far from the uniform law, and the points of the path from its own.
    slack = math.sqrt((sides @ sides) / 12) / n + math.sqrt(sides @ sides) / (n * n)
    assert abs(exact2 - w2) < slack
    assert abs(exact1 - w1) < slack


@each_box
def test_figures_scale_and_flat_sides_cost_nothing(sides):
    for distance in (centre_distance, line_distance, box_distance, diagonal_distance):
        w1, w2 = distance(sides)
        np.testing.assert_allclose(distance(1e-30 * sides), (1e-30 * w1, 1e-30 * w2), rtol=1e-9)
        assert distance(0 * sides) == (0, 0)
        assert 0 < w1 <= w2
        flat = np.insert(sides, 0, 0.0)
        np.testing.assert_allclose(distance(flat), (w1, w2), rtol=1e-9)


def test_every_curve_has_the_same_figures():
    sides = np.array([1.0, 2.0, 0.3])
    for path, distance in [("line", line_distance), ("diagonal", diagonal_distance), ("centre", centre_distance)]:
        assert PeanoCurve().filling(sides, path) == HilbertCurve().filling(sides, path) == distance(sides)
