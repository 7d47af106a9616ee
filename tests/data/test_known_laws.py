"""Known laws: the maps against their distribution functions, the norms by quadrature, e_N by dynamic programming."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import multivariate_t, norm

from jaxgen.comparison._wrap import wrapped
from jaxgen.data import KnownLaw, known_laws
from jaxgen.distances import wasserstein
from jaxgen.limits import density_norm, normal_density_norm

LAWS = known_laws()
COMPONENTS = ((0.5, (0, 0), 1.0), (0.3, (4, 0), 0.5), (0.2, (0, 3), 0.25))


def mixture_density(x, y):
    return sum(w * norm.pdf(x, a, s) * norm.pdf(y, b, s) for w, (a, b), s in COMPONENTS)


def distribution(name, axis):
    """The distribution function of a coordinate, from SciPy or by hand."""
    if name.startswith("uniform"):
        return lambda x: x
    if name == "Gaussian":
        return norm.cdf
    if name == "mixture":
        return lambda x: sum(w * norm.cdf(x, c[axis], s) for w, c, s in COMPONENTS)
    # A coordinate of Student's law is Student's.
    return lambda x: np.vectorize(lambda t: quad(multivariate_t(shape=[[1]], df=4).pdf, -np.inf, t)[0])(x)


@pytest.mark.parametrize("name", ["uniform square", "uniform cube", "Gaussian", "mixture", "Student"])
def test_points_follow_the_law(name):
    law = LAWS[name]
    for axis in range(law.dim):
        x, weights = law.cloud(4096)
        at = np.quantile(x[:, axis], [0.02, 0.2, 0.5, 0.77, 0.97])
        below = [weights[x[:, axis] <= t].sum() for t in at]
        np.testing.assert_allclose(below, distribution(name, axis)(at), atol=0.004)
        # Independence of the coordinates, where they are: the share of a quadrant.
    if name in ("uniform square", "Gaussian"):
        x, middle = law.points(4096), distribution(name, 0)
        share = np.mean((middle(x[:, 0]) < 0.3) & (middle(x[:, 1]) < 0.6))
        assert share == pytest.approx(0.18, abs=0.003)


def test_the_picture_has_the_masses_of_its_pixels():
    law = LAWS["picture"]
    share = np.histogram2d(*law.points(1 << 14).T, bins=8, range=[[0, 1], [0, 1]])[0].T[::-1] / 2**14
    face = np.array([[int(c) for c in row] for row in ("00999900", "09333390", "93833839", "93333339")])
    np.testing.assert_allclose(share[:4], face / 306, atol=3e-4)
    masses = share[share > 0]
    assert law.norm == pytest.approx(density_norm(masses, 1 / 64, 2), rel=1e-3)
    assert law.norm < 52 / 64  # that of the uniform law on the pixels that are not empty


def test_norms_by_quadrature():
    assert LAWS["Gaussian"].norm == pytest.approx(normal_density_norm(np.eye(2)), rel=1e-12)
    density = multivariate_t(shape=np.eye(2), df=4)
    root = quad(lambda r: 2 * math.pi * r * math.sqrt(density.pdf([r, 0.0])), 0, np.inf, limit=200)[0]
    assert LAWS["Student"].norm == pytest.approx(root**2, rel=1e-6)
    nodes, weights = np.polynomial.legendre.leggauss(300)
    root = weights @ np.sqrt(mixture_density(14 * nodes[:, None], 14 * nodes[None])) @ weights * 14**2
    assert LAWS["mixture"].norm == pytest.approx(root**2, rel=1e-6)


def test_a_tilted_cloud_knows_the_tail():
    law = LAWS["Student"]
    points, weights = law.cloud(2048)
    second = [
        float(w @ np.sum(x**2, axis=1)) for x, w in ((points, weights), (law.points(2048), np.full(2048, 1 / 2048)))
    ]
    assert weights.sum() == pytest.approx(1.0) and weights.max() > 100 * weights.min()
    # E|X|^2 = 2 nu / (nu - 2) = 4, of which points of equal weight miss some percent.
    assert abs(second[0] - 4) < 0.02 < abs(second[1] - 4)
    assert np.ptp(LAWS["circle"].cloud(64)[1]) == 0


def test_cantor_digits():
    law = LAWS["Cantor"]
    np.testing.assert_allclose(law([[0.0], [0.5], [0.25], [0.75], [1 - 2.0**-53]])[:, 0], [0, 2 / 3, 2 / 9, 8 / 9, 1])
    x = law.points(4096)[:, 0]
    assert x.mean() == pytest.approx(0.5, abs=1e-4) and x.var() == pytest.approx(1 / 8, abs=1e-4)


def test_cantor_errors_by_dynamic_programming():
    # The 256 pieces of level 8 at their means, and the variance inside; best intervals of pieces are best cells.
    level, law = 8, LAWS["Cantor"]
    x = law((np.arange(2**level)[:, None] + 0.0) / 2**level)[:, 0] + 3.0**-level / 2
    sums, squares = (np.concatenate([[0.0], np.cumsum(x**k)]) / len(x) for k in (1, 2))
    i, j = np.triu_indices(len(x) + 1, 1)
    cost = np.full((len(x) + 1,) * 2, np.inf)
    cost[i, j] = squares[j] - squares[i] - (sums[j] - sums[i]) ** 2 / ((j - i) / len(x))
    best = cost[0]
    for n in range(1, 18):
        assert law.least(n) ** 2 == pytest.approx(best[-1] + 9.0**-level / 8, rel=1e-9)
        best = np.min(best[:, None] + cost, axis=0)
    assert law.least(16) * 16 ** (1 / law.quantization_dim) == pytest.approx(math.sqrt(1 / 8))


def test_circle_errors_are_least_and_attained():
    law = LAWS["circle"]
    truth = law((np.arange(3600)[:, None] + 0.5) / 3600)
    for n in (3, 4, 10, 36):
        radius = n / math.pi * math.sin(math.pi / n)
        atoms = radius * law((np.arange(n)[:, None] + 0.5) / n)
        assert wasserstein(truth, atoms) == pytest.approx(law.least(n), rel=1e-4)
        # Theory, section 6: a cell of mass m gains at most sin(pi m)^2 / (pi^2 m), which a line at m = 1/n bounds.
        m = np.linspace(1e-6, 1, 20_001)
        gain = np.sin(math.pi * m) ** 2 / (math.pi**2 * m)
        step = 1e-6
        slope = ((radius**2 / n) - (math.sin(math.pi * (1 / n - step)) / math.pi) ** 2 / (1 / n - step)) / step
        assert np.all(gain <= radius**2 / n + slope * (m - 1 / n) + 1e-5)
    assert 1000 * law.least(1000) == pytest.approx(math.pi / math.sqrt(3), rel=1e-5)


def test_a_law_is_a_generator_for_anybody():
    for law in LAWS.values():
        model = wrapped(law, law.dim, None)
        assert model.source_dim == law.source_dim
    assert all(
        np.isfinite(law.points(1000, seed=3)).all() and law.points(1).shape == (1, law.dim) for law in LAWS.values()
    )


def test_bad_input():
    square = LAWS["uniform square"]
    for u, message in ((0.5, "u must have shape"), ([0.5], "for the uniform square"), ([0.5, 1.0], r"lie in \[0, 1\)")):
        with pytest.raises(ValueError, match=message):
            square(u)
    with pytest.raises(TypeError, match="u must be"):
        square(["a", "b"])
    with pytest.raises(ValueError, match="n must be at least 1"):
        square.points(0)
    with pytest.raises(ValueError, match="seed must not be negative"):
        square.cloud(4, -1)
    with pytest.raises(ValueError, match="exactly one of norm and least for the thing"):
        KnownLaw("thing", 2, 2, np.copy, 2.0)
    with pytest.raises(ValueError, match=r"density on R\^2; got quantization_dim=1"):
        KnownLaw("thing", 2, 2, np.copy, 1.0, 1.0)
