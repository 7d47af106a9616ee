"""Curves: the bound against quadrature and against a curve that is there; the length against sampling."""

import itertools
import math

import jax
import numpy as np
import ot
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from jaxgen import GridMeasure, LeafMeasure, data_bound, relu
from jaxgen.limits import _length, curve_length, length_bound, quantization_error


def kappa(j):
    return math.pi ** (j / 2) / math.gamma(j / 2 + 1)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("dim", [1, 2, 3, 6])
@pytest.mark.parametrize(("length", "density"), [(0.0, 1.0), (0.3, 1.0), (0.3, 4.0), (20.0, 0.5), (500.0, 2.0)])
def test_length_bound_is_the_integral(length, density, dim, p):
    def uncovered(r):
        volume = kappa(dim - 1) * r ** (dim - 1) * length + kappa(dim) * r**dim
        return max(1 - density * volume, 0) * p * r ** (p - 1)

    # The integrand is zero beyond the root of either term alone.
    end = (density * kappa(dim)) ** (-1 / dim)
    if dim > 1 and length:
        end = min(end, (density * kappa(dim - 1) * length) ** (-1 / (dim - 1)))
    integral = quad(uncovered, 0, end, limit=500, epsabs=1e-13, epsrel=1e-11)[0]
    assert length_bound(length, dim, density, p) == pytest.approx(integral ** (1 / p), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("density", [0.1, 1.0, 7.0])
def test_long_curves_in_the_plane(density):
    # 1/(4 M l), with a relative correction of order 1/(M l^2).
    assert length_bound(1e5, 2, density) == pytest.approx(1 / (4 * density * 1e5), rel=1e-8)
    assert length_bound(1e300, 2, density) == pytest.approx(0.25 / density * 1e-300, rel=1e-12)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("dim", [1, 2, 3, 100])
def test_a_curve_of_no_length_is_an_atom(dim, p):
    point = quantization_error(1, dim, 2.0, p)
    assert length_bound(0, dim, 2.0, p) == pytest.approx(point, rel=1e-12)
    assert length_bound(1e-300, dim, 2.0, p) == pytest.approx(point, rel=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3, 64, 784])
def test_length_bound_falls_with_length_and_density(dim):
    values = [length_bound(length, dim) for length in np.geomspace(1e-6, 1e6, 40)]
    assert all(a > b or a == b == 0 for a, b in itertools.pairwise(values))
    assert length_bound(1, dim, 1.0) < length_bound(1, dim, 0.5)


def test_a_curve_that_covers_the_line():
    assert length_bound(1.0, 1) == length_bound(5.0, 1) == 0
    # Half of the unit interval: the law on [1/4, 3/4] that is nearest leaves a quarter at both ends.
    assert length_bound(0.5, 1) == pytest.approx(2 * 0.25**2 / 2, rel=1e-12)


@pytest.mark.parametrize("folds", [1, 3, 6])
def test_a_real_curve_respects_the_bound(folds):
    # Vertical lines, 2^folds of them, h apart: the uniform law of the square is at W_1 = h/4 from them.
    lines = 2**folds
    assert length_bound(lines, 2) < 1 / (4 * lines) < 1.35 * length_bound(lines, 2)


def random_law(seed, dim, cells=4):
    rng = np.random.default_rng(seed)
    masses = rng.exponential(size=(cells,) * dim) ** 3
    return GridMeasure.from_histogram(masses, low=-1.0, high=rng.uniform(1, 3, dim))


@pytest.mark.sweep(15)
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("dim", [1, 2, 3, 5])
@pytest.mark.parametrize(("length", "points"), [(0.0, 1), (0.0, 7), (0.3, 1), (50.0, 1), (1e4, 1)])
def test_a_law_that_is_given(length, points, dim, p):
    law = random_law(dim, dim)
    volume = float(np.prod(np.asarray(law.cell_sides, np.float64)))
    masses = np.sort(np.asarray(law.masses, np.float64))[::-1]
    masses /= masses.sum()
    volumes = volume * np.arange(len(masses) + 1)
    held = np.concatenate([[0], masses.cumsum()])

    def near(r):
        return kappa(dim - 1) * length * r ** (dim - 1) + kappa(dim) * points * r**dim

    # The mass outside, integrated where it is a polynomial: between the radii at which whole cells are full.
    radii = [0.0 if near(0.0) >= v else brentq(lambda r, v=v: near(r) - v, 0, 100, xtol=1e-14) for v in volumes]
    integral = sum(
        quad(lambda r: (1 - np.interp(near(r), volumes, held)) * p * r ** (p - 1), a, b, epsabs=1e-14)[0]
        for a, b in itertools.pairwise(radii)
    )
    bound = length_bound(length, p=p, law=law) if points == 1 else quantization_error(points, p=p, law=law)
    assert bound == pytest.approx(integral ** (1 / p), rel=1e-5, abs=1e-9)
    # The law is given in float32, its density is not.
    density = float(masses[0] / volume)
    by_density = length_bound(length, dim, density, p) if points == 1 else quantization_error(points, dim, density, p)
    assert bound >= by_density * (1 - 1e-6)


@pytest.mark.parametrize("dim", [1, 2, 3, 64, 784])
def test_a_uniform_law_is_its_density(dim):
    cells = np.random.default_rng(0).permutation(3**4)[:20]
    digits = np.zeros((20, dim), int)
    digits[:, : min(dim, 4)] = np.stack([cells // 3**k % 3 for k in range(min(dim, 4))], axis=1)
    law = GridMeasure(np.unique(digits, axis=0), np.ones(len(np.unique(digits, axis=0))), 0.0, 3.0, 3)
    m = len(law.cells)
    for length in (0.0, 0.5, 30.0):
        assert length_bound(length, law=law) == pytest.approx(length_bound(length, dim, 1 / m), rel=1e-5)
    assert quantization_error(9, law=law) == pytest.approx(quantization_error(9, dim, 1 / m), rel=1e-5)


def test_an_uneven_law_nearly_attains_its_bound():
    # Nine tenths on one half of [0, 1]: the two best points, found by trying.
    law = GridMeasure.from_histogram([0.9, 0.1])
    x = (np.arange(2000) + 0.5) / 2000
    mass = np.where(x < 0.5, 1.8, 0.2) / 2000
    ticks = np.arange(101) / 100
    nearest = np.minimum(np.abs(x - ticks[:, None])[:, None], np.abs(x - ticks[:, None])[None])
    best = float((nearest @ mass).min())
    assert quantization_error(2, 1, 1.8, 1) < 0.94 * quantization_error(2, p=1, law=law)
    assert 0.8 * best < quantization_error(2, p=1, law=law) < best


def test_coordinates_that_do_not_vary_and_labels_change_nothing():
    law = random_law(0, 2)
    flat = GridMeasure(
        np.insert(np.asarray(law.cells), 1, 0, axis=1), law.masses, np.insert(law.low, 1, 5.0),
        np.insert(law.high, 1, 5.0), (4, 1, 4),
    )  # fmt: skip
    assert length_bound(3.0, law=flat) == pytest.approx(length_bound(3.0, law=law), rel=1e-6)
    point = GridMeasure.from_samples(np.ones((5, 2)), 3)
    assert length_bound(0.0, law=point) == quantization_error(1, law=point) == 0
    points = np.random.default_rng(1).uniform(size=(200, 2)) ** 2
    labelled = GridMeasure.from_samples(points, 5, labels=["a", "b"] * 100)
    plain = GridMeasure.from_samples(points, 5)
    assert length_bound(3.0, law=labelled) == pytest.approx(length_bound(3.0, law=plain), rel=1e-6)


@pytest.mark.parametrize(("lines", "power"), [(3, 1), (8, 1), (3, 3), (8, 3)])
def test_no_curve_of_such_a_length_is_nearer(lines, power):
    # Vertical lines placed so that each serves the same mass, joined below: exact transport to an uneven square, which
    # is given as its finest cells.
    n = 24
    middles = (np.arange(n) + 0.5) / n
    density = middles ** (power - 1)
    law = GridMeasure.from_histogram(np.outer(density, np.ones(n)))
    at = ((np.arange(lines) + 0.5) / lines) ** (1 / power)
    curve = np.stack(np.meshgrid(at, middles, indexing="ij"), axis=-1).reshape(-1, 2)
    grid = np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1).reshape(-1, 2)
    cost = np.linalg.norm(curve[:, None] - grid, axis=-1)
    error = ot.emd2(
        np.full(len(curve), 1 / len(curve)),
        np.asarray(law.masses, np.float64) / np.asarray(law.masses, np.float64).sum(),
        cost,
    )
    # The cells and the points on the lines stand for uniform laws around them.
    slack = 0.3826 / n + 0.25 / n
    length = lines + float(np.ptp(at))
    bound = length_bound(length, law=law)
    assert 0.5 * (error - slack) < bound < error + slack


def test_points_are_as_far_as_their_grid_less_its_distance():
    # A curve through 40 points of 400, sorted along one axis: to the points themselves.
    points = np.random.default_rng(2).normal(size=(400, 2))
    stops = points[np.argsort(points[:, 0])][::10]
    length = float(np.linalg.norm(np.diff(stops, axis=0), axis=1).sum())
    nearest = np.linalg.norm(points[:, None] - stops, axis=-1).min(axis=1).mean()
    grid = GridMeasure.from_samples(points, 8)
    assert length_bound(length, law=grid) - data_bound(points, grid) <= nearest
    assert length_bound(0.0, law=grid) - data_bound(points, grid) > 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((-1.0, 2), "length must be"),
        ((math.inf, 2), "length must be"),
        ((math.nan, 2), "length must be"),
        ((1.0, 0), "dim must be"),
        ((1.0, 2, 0.0), "max_density must be"),
        ((1.0, 2, 1.0, 0.9), "p must be"),
    ],
)
def test_length_bound_bad_input(args, message):
    with pytest.raises(ValueError, match=message):
        length_bound(*args)


def test_a_law_in_place_of_a_density():
    law = random_law(0, 2)
    with pytest.raises(ValueError, match="dim is missing"):
        length_bound(1.0)
    with pytest.raises(ValueError, match="dim is 3, but the law has dimension 2"):
        length_bound(1.0, 3, law=law)
    with pytest.raises(ValueError, match="max_density is for laws that are not given"):
        quantization_error(3, max_density=2.0, law=law)
    with pytest.raises(TypeError, match="law"):
        length_bound(1.0, law=LeafMeasure([0.0, 0.5], [1.0, 1.0], [1, 1]))
    assert length_bound(1.0, 2, law=law) == length_bound(1.0, law=law)


def random_network(rng, sizes):
    return relu.ReLUNetwork(
        [(rng.normal(size=(b, a)) * math.sqrt(2 / a), rng.normal(size=b) * 0.5) for a, b in itertools.pairwise(sizes)]
    )


def evaluate(network, u):
    h = u[None]
    layers = network.layers_as_scipy()
    for weight, bias in layers[:-1]:
        h = np.maximum(weight @ h + bias[:, None], 0)
    weight, bias = layers[-1]
    return weight @ h + bias[:, None]


def polyline(network, u):
    return np.linalg.norm(np.diff(evaluate(network, u), axis=1), axis=0).sum()


@pytest.mark.parametrize("folds", [1, 2, 8, 14])
def test_sawtooth(folds):
    assert curve_length(relu.sawtooth(folds)) == 2**folds
    # Its graph: 2^folds segments of width 2^-folds and height 1.
    graph = relu.concatenate(relu.sawtooth(folds), relu.affine([[1.0]]))
    assert curve_length(graph) == pytest.approx(2**folds * math.hypot(1, 2.0**-folds), rel=1e-12)


@pytest.mark.parametrize("sizes", [(1, 5, 2), (1, 32, 32, 3), (1, 16, 16, 16, 16, 2), (1, 2)])
def test_sampling_converges_from_below(sizes):
    for seed in range(5):
        network = random_network(np.random.default_rng(seed), sizes)
        length = curve_length(network)
        coarse, fine = (polyline(network, np.linspace(0, 1, n + 1)) for n in (1000, 100_000))
        assert coarse <= fine * (1 + 1e-12) <= length * (1 + 1e-11)
        assert fine == pytest.approx(length, rel=1e-4)


def test_portions_change_nothing(monkeypatch):
    network = random_network(np.random.default_rng(0), (1, 24, 24, 24, 2))
    whole = curve_length(network)
    monkeypatch.setattr(_length, "_PORTION", 50)
    assert curve_length(network) == pytest.approx(whole, rel=1e-13)


def test_steep_ramps():
    # A jump of 3 over 2^-30, up and down again.
    tau = 2.0**-30
    with jax.enable_x64(True):
        steep = relu.piecewise_linear([0.0, 0.5, 0.5 + tau, 0.75, 0.75 + tau, 1.0], [0.0, 0, 3, 3, 0, 0])
    assert curve_length(steep) == pytest.approx(6, rel=1e-6)


def test_constants_and_straight_lines():
    assert curve_length(relu.affine([[3.0], [4.0]], [1.0, 1.0])) == 5
    assert curve_length(relu.ReLUNetwork([([[1.0]], [-2.0]), ([[1.0]], None)])) == 0  # never active
    assert curve_length(relu.ReLUNetwork([([[1.0]], None), ([[1.0]], None)])) == 1  # kink at an end


def test_anything_with_a_network():
    class Generator:
        def network(self):
            return relu.sawtooth(3)

    assert curve_length(Generator()) == 8


def test_what_a_trained_network_cannot_beat():
    # The samples of a network with one input, against a grid of the uniform law: W_1 stays above the bound.
    from jaxgen.distances import wasserstein

    network = random_network(np.random.default_rng(3), (1, 8, 8, 2))
    points = evaluate(network, (np.arange(900) + 0.5) / 900).T
    low, side = points.min(0), np.ptp(points, axis=0)
    bound = length_bound(curve_length(network), 2, 1 / side.prod())
    ticks = (np.arange(30) + 0.5) / 30
    grid = low + side * np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    # The grid stands for the uniform law of the box up to half the diagonal of its cells.
    assert 0 < bound <= wasserstein(points, grid, 1) + np.linalg.norm(side) / 60


def test_curve_length_bad_input():
    with pytest.raises(ValueError, match="one input, a curve; got 2"):
        curve_length(relu.affine([[1.0, 2.0]]))
    with pytest.raises(TypeError, match="must be a ReLUNetwork"):
        curve_length(np.ones(3))
