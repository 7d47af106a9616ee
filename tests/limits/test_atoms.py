"""Quantization errors: reference values, and bounds against codebooks computed here."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from jaxgen.limits import (
    density_norm,
    normal_density_norm,
    quantization_error,
    samples,
    second_moment,
    zador,
)


def max_quantizer_error(n):
    """Squared error of the best N-point quantizer of the standard normal (Lloyd's method with exact integrals)."""
    atoms = norm.ppf((np.arange(n) + 0.5) / n)
    for _ in range(20_000):
        cuts = np.concatenate([[-np.inf], (atoms[1:] + atoms[:-1]) / 2, [np.inf]])
        masses, moments = np.diff(norm.cdf(cuts)), -np.diff(norm.pdf(cuts))
        new = moments / masses
        if np.abs(new - atoms).max() < 1e-12:
            break
        atoms = new
    return 1 - np.sum(moments**2 / masses)


def test_constants():
    assert [second_moment(d) for d in (1, 2, 3)] == pytest.approx([1 / 12, 0.0801875, 0.0785433], rel=1e-6)
    hexagon = quad(lambda phi: (1 / math.cos(phi)) ** 4, -math.pi / 6, math.pi / 6)[0] * 6 / 4
    area = 6 * math.tan(math.pi / 6)
    assert second_moment(2) == pytest.approx(hexagon / area**2 / 2, rel=1e-12)
    # The ball's value: exact at d = 1, falling to 1/(2 pi e).
    balls = [math.gamma(d / 2 + 1) ** (2 / d) / ((d + 2) * math.pi) for d in range(1, 200)]
    assert [second_moment(d) for d in range(4, 200)] == pytest.approx(balls[3:], rel=1e-12)
    assert all(second_moment(d) >= balls[d - 1] * (1 - 1e-12) for d in range(1, 200))
    assert second_moment(10**6) == pytest.approx(1 / (2 * math.pi * math.e), rel=1e-4)


def test_zador_reference_values():
    # Uniform on [0, 1]: e_N^2 = 1/(12 N^2). Standard normal: N^2 e_N^2 -> sqrt(3) pi / 2.
    assert zador(7, 1) ** 2 == pytest.approx(1 / (12 * 49), rel=1e-14)
    assert (100 * zador(100, 1, normal_density_norm(1.0))) ** 2 == pytest.approx(math.sqrt(3) * math.pi / 2)
    # The asymptotics come near the best quantizers from above.
    errors = {n: max_quantizer_error(n) for n in (2, 4, 8, 16, 32)}
    ratios = [zador(n, 1, normal_density_norm(1.0)) ** 2 / error for n, error in errors.items()]
    assert ratios == sorted(ratios, reverse=True) and 1 < ratios[-1] < 1.07


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_norms_by_quadrature(dim):
    power = dim / (dim + 2)
    sphere = 2 * math.pi ** (dim / 2) / math.gamma(dim / 2)
    integral = quad(
        lambda r: sphere * r ** (dim - 1) * ((2 * math.pi) ** (-dim / 2) * math.exp(-r * r / 2)) ** power, 0, 60
    )[0]
    assert normal_density_norm(np.eye(dim)) == pytest.approx(integral ** (1 / power), rel=1e-7)
    scale = np.diag(np.arange(1.0, dim + 1))
    assert normal_density_norm(scale) == pytest.approx(
        normal_density_norm(np.eye(dim)) * math.factorial(dim) ** (1 / dim)
    )
    # Uniform on a box; the same box cut into cells.
    assert density_norm(1, 5.0, dim) == pytest.approx(5 ** (2 / dim))
    assert density_norm([1, 2, 2], [1, 2, 2], dim) == pytest.approx(5 ** (2 / dim))
    # Among laws on one box the uniform law is the hardest.
    assert density_norm([1, 3], 2.5, dim) < 5 ** (2 / dim)


def test_quantization_error_is_attained_by_intervals():
    for n in (1, 10, 10**6):
        assert quantization_error(n, 1) == pytest.approx(1 / (math.sqrt(12) * n), rel=1e-12)
        assert quantization_error(n, 1, p=1) == pytest.approx(1 / (4 * n), rel=1e-12)
        assert quantization_error(n, 1, max_density=0.5) == pytest.approx(2 / (math.sqrt(12) * n), rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 4, 8, 16, 32])
def test_quantization_error_bounds_the_normal_law(n):
    assert quantization_error(n, 1, norm.pdf(0)) ** 2 <= max_quantizer_error(n)


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("dim", [2, 3])
def test_quantization_error_bounds_cubic_cells(dim, p):
    # k^d cubes with an atom in the centre of each; the mean of |x|^p over a cube by a product rule.
    k = 4
    nodes, weights = np.polynomial.legendre.leggauss(30)
    grid = np.stack(np.meshgrid(*[nodes / (2 * k)] * dim), axis=-1)
    mass = np.prod(np.stack(np.meshgrid(*[weights / 2] * dim), axis=-1), axis=-1)
    cubes = np.sum(mass * np.linalg.norm(grid, axis=-1) ** p) ** (1 / p)
    assert 0.9 * cubes < quantization_error(k**dim, dim, p=p) < cubes


def test_quantization_error_below_zador_where_zador_is_exact():
    # The ball argument gives the ball's constant, below the hexagon's by 0.9 % in G, 0.4 % in length.
    for dim, slack in ((1, 1e-12), (2, 0.005), (3, 0.011)):
        ratio = quantization_error(1000, dim) / zador(1000, dim)
        assert 1 - slack <= ratio <= 1 + 1e-12
    assert quantization_error(1000, 7) == pytest.approx(zador(1000, 7), rel=1e-12)


def test_samples_are_atoms():
    assert samples(50, 3, 2.0, 1) == quantization_error(50, 3, 2.0, 1)
    # The empirical law of the best points on the line: bin centres.
    centres = (np.arange(50) + 0.5) / 50
    error = np.mean([quad(lambda x, c=c: abs(x - c), c - 0.01, c + 0.01, points=[c])[0] for c in centres]) * 50
    assert samples(50, 1, p=1) == pytest.approx(error, rel=1e-9)


def test_large_arguments():
    assert 0 < quantization_error(3**1000, 784) < quantization_error(2, 784)
    assert math.isfinite(zador(3**1000, 2)) and zador(10**300, 1) > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: zador(0, 2), "n_atoms must be at least 1"),
        (lambda: zador(5, 0), "dim must be at least 1"),
        (lambda: zador(5, 2, 0.0), "norm must be a positive"),
        (lambda: zador(5, 2, math.nan), "norm must be a positive"),
        (lambda: quantization_error(5, 2, -1.0), "max_density must be a positive"),
        (lambda: quantization_error(5, 2, math.inf), "max_density must be a positive"),
        (lambda: quantization_error(5, 2, p=0.5), "p must be"),
        (lambda: samples(0, 2), "n must be at least 1"),
        (lambda: density_norm([-1, 2], 1, 2), "masses must not be negative"),
        (lambda: density_norm([0, 0], 1, 2), "masses must not sum to zero"),
        (lambda: density_norm([1, 2], [1, 0], 2), "volumes must be"),
        (lambda: density_norm([1, 2], [1, 1, 1], 2), "volumes must be one number or match"),
        (lambda: normal_density_norm(np.ones((2, 3))), "covariance must have shape"),
        (lambda: normal_density_norm(np.ones((2, 2))), "positive definite"),
        (lambda: normal_density_norm([[1, 2], [0, 1]]), "symmetric"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
