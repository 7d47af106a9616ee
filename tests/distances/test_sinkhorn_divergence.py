"""The Sinkhorn divergence: its defining properties, its limits, and how it behaves under jit, vmap and grad."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.distances import sinkhorn_divergence, wasserstein

N = 40
# One set of options and one shape, so that the problems of most tests share a compilation.
OPTIONS = {"threshold": 1e-5, "max_iterations": 20_000}


def divergence(x, y, epsilon=0.05, **changes):
    return sinkhorn_divergence(x, y, epsilon, **{**OPTIONS, **changes})


@pytest.fixture
def clouds():
    rng = np.random.default_rng(0)
    return rng.random((N, 2)), 0.5 + rng.random((N, 2)) ** 2


@pytest.mark.slow
def test_zero_for_equal_laws_symmetric_positive_and_between_energy_and_wasserstein(clouds, precision):
    x, y = clouds
    forth, back, same = divergence(x, y), divergence(y, x), divergence(x, x[::-1].copy())
    assert forth.value.dtype == jnp.result_type(float)
    assert bool(forth.converged) and int(forth.n_iters) > 0 and float(forth.epsilon) == pytest.approx(0.05)
    assert float(forth) > 0.1
    assert float(back) == pytest.approx(float(forth), rel=1e-4)
    assert abs(float(same)) < 1e-4
    # To W_2^2 for small epsilon, to the squared distance of the means for large.
    assert float(divergence(x, y, 1e-3)) == pytest.approx(wasserstein(x, y) ** 2, rel=5e-3)
    assert float(divergence(x, y, 1e3)) == pytest.approx(np.sum((x.mean(0) - y.mean(0)) ** 2), rel=5e-3)


def test_default_epsilon_and_want_of_convergence_are_said(clouds):
    x, y = clouds
    mean = np.mean(np.sum((x[:, None] - y[None]) ** 2, axis=-1))
    out = divergence(x, y, None, max_iterations=10)
    assert float(out.epsilon) == pytest.approx(0.05 * mean, rel=1e-5)
    assert not bool(out.converged) and int(out.n_iters) == 10
    one = divergence(np.ones((N, 2)), np.ones((N, 2)), None, max_iterations=10)
    assert float(one) == pytest.approx(0, abs=1e-6) and bool(one.converged) and float(one.epsilon) == 1


def test_translation_far_from_the_origin(clouds):
    # |x|^2 - 2 x.y + |y|^2 would lose every digit of float32 here.
    x, y = clouds
    assert float(divergence(x + 2.0**20, y + 2.0**20)) == pytest.approx(float(divergence(x, y)), rel=1e-4)


@pytest.mark.slow
def test_weights_are_repeated_points(clouds):
    x, y = clouds
    counts = np.arange(N) % 3  # 13 of them 0, 13 of them 2: N points in all, but for the last
    counts[-1] += N - counts.sum()
    repeated = divergence(x, np.repeat(y, counts, axis=0))
    assert float(divergence(x, y, b=counts)) == pytest.approx(float(repeated), rel=1e-3)
    # Clouds of different sizes: the points of weight 0 left out.
    kept = counts > 0
    assert float(divergence(x, y[kept], b=counts[kept])) == pytest.approx(float(repeated), rel=1e-3)


@pytest.mark.slow
def test_jit_vmap_grad(clouds):
    x, y = (jnp.asarray(z) for z in clouds)

    def loss(x, a=None):
        return divergence(x, y, a=a).value

    stack, uniform = jnp.stack([x, x + 1]), jnp.full((2, N), 1 / N)
    values, (gradients, masses) = jax.jit(jax.vmap(jax.value_and_grad(loss, argnums=(0, 1))))(stack, uniform)
    np.testing.assert_allclose(values, [loss(z) for z in stack], rtol=1e-4)
    # Moving every point by v moves S by that of the means: d S = 2 (mean x - mean y) . v at any epsilon.
    np.testing.assert_allclose(gradients[0].sum(axis=0), 2 * (x.mean(0) - y.mean(0)), rtol=2e-3)
    direction = jnp.asarray(np.random.default_rng(2).normal(size=x.shape))
    step = 1e-2
    central = (float(loss(x + step * direction)) - float(loss(x - step * direction))) / (2 * step)
    assert float(jnp.sum(gradients[0] * direction)) == pytest.approx(central, rel=2e-2, abs=2e-3)
    # Weights are divided by their sum: a common factor changes nothing, and a mass moved is a central difference.
    assert abs(float(masses[0].sum())) < 1e-3 * float(jnp.abs(masses[0]).sum())
    moved = jnp.zeros(N).at[:2].set(jnp.asarray([1.0, -1.0])) * 0.1 / N
    central = (float(loss(x, uniform[0] + moved)) - float(loss(x, uniform[0] - moved))) / 2
    assert float(masses[0] @ moved) == pytest.approx(central, rel=5e-2)


@pytest.mark.slow
def test_the_first_call_may_be_traced():
    # OTT-JAX is imported where it is used; what its modules make when they are loaded must not be a tracer.
    program = """
import sys, jax, jax.numpy as jnp
from jaxgen.distances import sinkhorn_divergence
assert "ott" not in sys.modules
x = jnp.asarray([0.0, 1.0])
with jax.checking_leaks():
    jax.make_jaxpr(lambda x: sinkhorn_divergence(x, x + 2, 0.1).value)(x)
assert abs(float(sinkhorn_divergence(x, x + 2, 0.1)) - 4) < 1e-3
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"epsilon": 0.0}, "epsilon must be"),
        ({"epsilon": -1.0}, "epsilon must be"),
        ({"epsilon": np.nan}, "epsilon must be"),
        ({"a": np.ones(N - 1)}, "a must have shape"),
        ({"b": -np.ones(N)}, "b must not be negative"),
        ({"b": np.zeros(N)}, "b must not sum to zero"),
        ({"b": np.full(N, np.nan)}, "b must be finite"),
        ({"max_iterations": 0}, "max_iterations"),
        ({"threshold": 0}, "threshold"),
    ],
)
def test_bad_options(clouds, kwargs, message):
    with pytest.raises(ValueError, match=message):
        sinkhorn_divergence(*clouds, **kwargs)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.empty((0, 2)), np.ones((3, 2)), "x is empty"),
        (np.ones((3, 2)), np.full((3, 2), np.inf), "y must be finite; 3 of 3"),
        (np.ones((3, 2)), np.ones((3, 3)), "same dimension"),
    ],
)
def test_bad_clouds(x, y, message):
    with pytest.raises(ValueError, match=message):
        sinkhorn_divergence(x, y)


@pytest.mark.slow
def test_clouds_beyond_a_matrix_of_costs(monkeypatch):
    """Costs made row by row: the same value and derivative. (OTT's own mode for large clouds fails on this JAX.)"""
    rng = np.random.default_rng(1)
    x, y = rng.random((37, 2)), rng.random((45, 2)) + 0.3
    weights = rng.random(37) + 0.5

    def value(x):
        return divergence(x, y, a=weights).value

    whole = jax.value_and_grad(value)(jnp.asarray(x))
    monkeypatch.setattr("jaxgen.distances._sinkhorn_divergence._STORED_ENTRIES", 100)
    monkeypatch.setattr("jaxgen.distances._sinkhorn_divergence._BLOCK_ROWS", 16)
    jax.clear_caches()
    rows = jax.value_and_grad(value)(jnp.asarray(x))
    assert float(rows[0]) == pytest.approx(float(whole[0]), rel=1e-4)
    np.testing.assert_allclose(rows[1], whole[1], rtol=1e-3, atol=1e-5)
