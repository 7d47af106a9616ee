"""What the path inside a box costs: the figures of the theory, independent quadratures, and sampled clouds."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.stats

from jaxgen.curves import (
    HilbertCurve,
    PeanoCurve,
    box_distance,
    centre_distance,
    diagonal_distance,
    line_distance,
    zigzag_distance,
)
from jaxgen.source import Residual

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
    for d, along_rays in {1: 0.0, 2: 0.27056, 3: 0.43299, 4: 0.55909, 5: 0.66585, 6: 0.76112, 8: 0.92685}.items():
        assert diagonal_distance(np.ones(d))[0] == pytest.approx(along_rays, abs=1e-4)


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


@pytest.mark.slow
@pytest.mark.parametrize("curve, dim", [(PeanoCurve(), 3), (HilbertCurve(), 3)])
def test_folded_onto_one_finest_cell_every_path_is_one_path(curve, dim):
    """Neighbouring cells are mirror images, so that the figures are attained whatever the masses (Corollary 10a)."""
    cells = np.indices((curve.base,) * dim).reshape(dim, -1).T.astype(np.int32)
    words = np.random.default_rng(0).integers(0, 2**32, (len(cells), 4), np.uint64).astype(np.uint32)

    def positions(cell, words):
        r = Residual.of_words(words, 16)
        return [curve.walk(cell, 1, r, levels, jnp.float32, path) for levels in (0, 1) for path in ("line", "diagonal")]

    inside = jax.jit(jax.vmap(positions))(cells, words)
    for levels in (0, 1):
        line, diagonal = (
            np.abs(((cells + np.asarray(x, float)) * curve.base**levels + 1) % 2 - 1)
            for x in inside[2 * levels : 2 * levels + 2]
        )
        np.testing.assert_allclose(line[:, :-1], 0.5, atol=1e-4)
        np.testing.assert_allclose(np.ptp(diagonal, axis=1), 0, atol=1e-4)
        np.testing.assert_array_equal(line[:, -1], diagonal[:, -1])
        assert np.ptp(line[:, -1]) > 0.4


def test_every_curve_has_the_same_figures():
    sides = np.array([1.0, 2.0, 0.3])
    for path, distance in [("line", line_distance), ("diagonal", diagonal_distance), ("centre", centre_distance)]:
        assert PeanoCurve().filling(sides, path) == HilbertCurve().filling(sides, path) == distance(sides)


def test_rays_to_the_corners_of_the_square_are_optimal():
    """Both bounds of W_1: the mean distance travelled, and what the potential `distance from the corner` says."""
    t = (np.arange(2000) + 0.5) / 2000
    corner = np.hypot(t, 1 - t).mean()  # from the diagonal to (1, 0)
    lower = corner - 2 * mean_in_triangle(lambda x, y: np.hypot(1 - x, y))
    exact = 1 / 6 + math.sqrt(2) * math.asinh(1) / 12
    assert lower == pytest.approx(exact, abs=1e-6)
    assert exact <= diagonal_distance(np.ones(2))[0] <= 1.0002 * exact
    # The same triangles carry a rectangle, but its two potentials do not agree on the diagonal: other rays are better.
    assert diagonal_distance(np.array([1, 0.2]))[0] < 0.9 * np.hypot(t, 0.2 * (1 - t)).mean() / 3


def mean_in_triangle(f):
    """The integral over 0 < y < x < 1, by Gauss' rule in x and in y/x."""
    x, weight = np.polynomial.legendre.leggauss(200)
    x, weight = (x + 1) / 2, weight / 2
    return float(weight @ (f(x[:, None], x[:, None] * x) * x[:, None]) @ weight)


def exact_diagonal(sides, n, m):
    """W_1 and W_2 between midpoints of a grid of a box and the halves of its diagonal, by a linear programme.

    Only the place along the diagonal and the distance from it matter, and the same is true backward.
    """
    import ot

    x = np.array(list(itertools.product(*((np.arange(k) + 0.5) / k * s for k, s in zip(n, sides, strict=True)))))
    length = np.linalg.norm(sides)
    z = x @ sides / length
    r = np.sqrt(np.maximum((x**2).sum(axis=1) - z**2, 0))
    places, counts = np.unique(np.round(np.stack([np.minimum(z, length - z), r]), 9), axis=1, return_counts=True)
    v = (np.arange(m) + 0.5) / m * length / 2
    cost = np.hypot(places[0][:, None] - v, places[1][:, None])
    return [ot.emd2(counts / counts.sum(), np.full(m, 1 / m), cost**p, numItermax=10**7) ** (1 / p) for p in (1, 2)]


@pytest.mark.parametrize(
    "sides, n, m",
    [
        ([1, 1], (40, 40), 400),
        ([1, 0.2], (70, 14), 300),
        ([1, 1, 1], (16, 16, 16), 400),
        ([1, 1, 0.3], (14, 14, 4), 300),
        ([1, 0.5, 0.1], (20, 10, 2), 300),
        ([1, 1, 1, 1], (8, 8, 8, 8), 400),
    ],
)
def test_the_diagonal_by_a_linear_programme(sides, n, m):
    """Midpoints are nearer than their boxes, by their variance over twice the distance: well below 1 %."""
    sides = np.array(sides, float)
    w1, w2 = diagonal_distance(sides)
    exact1, exact2 = exact_diagonal(sides, n, m)
    assert 0.9995 * exact1 <= w1 <= 1.015 * exact1
    assert 0.999 * exact2 <= w2 <= 1.01 * exact2


@pytest.mark.sweep(1)
@pytest.mark.parametrize("sides", [[1, 1, 1], [1, 0.5, 0.2], [1, 1, 1, 1]])
def test_the_zigzag_whatever_the_joint_law_of_the_coordinates(sides):
    """Coordinates that are arranged to keep the distance from the centre constant nearly attain the bound on W_1."""
    sides, rng, n = np.array(sides, float), np.random.default_rng(0), 1024
    y = sides * scipy.stats.qmc.Sobol(len(sides), rng=0).random(2048)

    def cost(x):
        return np.mean([np.linalg.norm(point - y, axis=1).mean() for point in sides * x])

    middle = (np.arange(n) + 0.5) / n
    x = np.stack([rng.permutation(middle) for _ in sides], axis=1)
    farthest = middle[np.argsort(-np.abs(middle - 0.5), kind="stable")]
    for k in list(range(len(sides))) * 30:
        square = (sides * (x - 0.5)) ** 2
        x[np.argsort(square.sum(axis=1) - square[:, k]), k] = farthest
    together = np.repeat(middle[:, None], len(sides), axis=1)
    independent = scipy.stats.qmc.Sobol(len(sides), rng=1).random(n)
    w1, w2 = zigzag_distance(sides)
    assert cost(together) < cost(independent) < cost(x) < 1.0001 * w1
    assert w1 < 1.003 * cost(x) and w1 < w2 == box_distance(sides)[1]
    # Two points of the box would not do.
    assert cost(x) > 1.004 * box_distance(sides)[0]
    assert zigzag_distance(sides[:2]) == box_distance(sides[:2])
    np.testing.assert_allclose(zigzag_distance(1e-30 * sides), (1e-30 * w1, 1e-30 * w2), rtol=1e-9)


def test_the_zigzag_of_flat_boxes():
    assert zigzag_distance(np.zeros(0)) == zigzag_distance(np.zeros(3)) == (0, 0)
    np.testing.assert_allclose(zigzag_distance(np.array([0.0, 2.0, 0.0])), (2 / 3, 2 / math.sqrt(6)), rtol=1e-9)
