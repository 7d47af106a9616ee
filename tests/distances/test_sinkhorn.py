"""The Sinkhorn divergence: its defining properties, its limits, and how it behaves under jit, vmap and grad."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.distances import sinkhorn_divergence, wasserstein

N, M = 40, 30


@pytest.fixture(params=[False, True], ids=["float32", "float64"])
def x64(request):
    with jax.enable_x64(request.param):
        yield request.param


@pytest.fixture
def clouds():
    rng = np.random.default_rng(0)
    return rng.random((N, 2)), 0.5 + rng.random((M, 2)) ** 2


def test_zero_for_equal_laws_symmetric_positive(x64, clouds):
    x, y = clouds
    tolerance = 1e-6 if x64 else 1e-4
    forth, back = (
        sinkhorn_divergence(*pair, epsilon=0.05, threshold=1e-6 if x64 else 1e-5) for pair in ((x, y), (y, x))
    )
    assert forth.value.dtype == (jnp.float64 if x64 else jnp.float32)
    assert bool(forth.converged) and int(forth.n_iters) > 0 and float(forth.epsilon) == pytest.approx(0.05)
    assert float(forth) > 0.1
    assert float(back) == pytest.approx(float(forth), rel=tolerance)
    same = sinkhorn_divergence(x, x[::-1].copy(), epsilon=0.05, threshold=1e-6 if x64 else 1e-5)
    assert abs(float(same)) < tolerance


def test_between_energy_and_wasserstein(x64):
    rng = np.random.default_rng(1)
    x, y = rng.random((N, 2)), 0.5 + rng.random((N, 2)) ** 2
    # To W_2^2 for small epsilon, to the squared distance of the means for large.
    near = sinkhorn_divergence(x, y, epsilon=1e-3, max_iterations=20_000)
    assert float(near) == pytest.approx(wasserstein(x, y) ** 2, rel=5e-3)
    far = sinkhorn_divergence(x, y, epsilon=1e3, threshold=1e-5)
    assert float(far) == pytest.approx(np.sum((x.mean(0) - y.mean(0)) ** 2), rel=5e-3)


def test_default_epsilon_is_reported(clouds):
    x, y = clouds
    mean = np.mean(np.sum((x[:, None] - y[None]) ** 2, axis=-1))
    assert float(sinkhorn_divergence(x, y).epsilon) == pytest.approx(0.05 * mean, rel=1e-5)
    one = sinkhorn_divergence(np.ones((N, 2)), np.ones((M, 2)))
    assert float(one) == pytest.approx(0, abs=1e-6) and bool(one.converged)


def test_translation_far_from_the_origin(clouds):
    # |x|^2 - 2 x.y + |y|^2 would lose every digit of float32 here.
    x, y = clouds
    there = float(sinkhorn_divergence(x + 2.0**20, y + 2.0**20, epsilon=0.05))
    assert there == pytest.approx(float(sinkhorn_divergence(x, y, epsilon=0.05)), rel=1e-4)


def test_weights_are_repeated_points(clouds):
    x, y = clouds
    counts = np.arange(M) % 3
    weighted = sinkhorn_divergence(x, y, epsilon=0.05, b=counts, threshold=1e-5)
    repeated = sinkhorn_divergence(x, np.repeat(y, counts, axis=0), epsilon=0.05, threshold=1e-5)
    assert float(weighted) == pytest.approx(float(repeated), rel=1e-3)


def test_unconverged_is_said(clouds):
    out = sinkhorn_divergence(*clouds, epsilon=1e-4, max_iterations=10)
    assert not bool(out.converged) and int(out.n_iters) == 10


def test_jit_vmap_grad(clouds):
    x, y = (jnp.asarray(z) for z in clouds)
    y = y[:M]
    value = float(sinkhorn_divergence(x, y, epsilon=0.05, threshold=1e-5))

    def loss(x, a=None):
        return sinkhorn_divergence(x, y, epsilon=0.05, a=a, threshold=1e-5).value

    assert float(jax.jit(loss)(x)) == pytest.approx(value, rel=1e-5)
    stack = jnp.stack([x, x + 1])
    batched = jax.vmap(loss)(stack)
    assert float(batched[0]) == pytest.approx(value, rel=1e-4)
    gradient = jax.jit(jax.grad(loss))(x)
    # Moving every point by v moves S by that of the means: d S = 2 (mean x - mean y) . v at any epsilon.
    np.testing.assert_allclose(gradient.sum(axis=0), 2 * (x.mean(0) - y.mean(0)), rtol=2e-3)
    direction = jnp.asarray(np.random.default_rng(2).normal(size=x.shape))
    step = 1e-2
    central = (float(loss(x + step * direction)) - float(loss(x - step * direction))) / (2 * step)
    assert float(jnp.sum(gradient * direction)) == pytest.approx(central, rel=2e-2, abs=2e-3)
    masses = jax.grad(loss, argnums=1)(x, jnp.full((N,), 1 / N))
    assert bool(jnp.isfinite(masses).all()) and abs(float(masses.sum())) < 1e-3 * float(jnp.abs(masses).sum())


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"epsilon": 0.0}, "epsilon must be"),
        ({"epsilon": -1.0}, "epsilon must be"),
        ({"epsilon": np.nan}, "epsilon must be"),
        ({"a": np.ones(N - 1)}, "a must hold one weight per point"),
        ({"b": -np.ones(M)}, "b must be finite, nonnegative"),
        ({"b": np.zeros(M)}, "b must be finite, nonnegative"),
        ({"b": np.full(M, np.nan)}, "b must be finite, nonnegative"),
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
        (np.ones((3, 2)), np.full((3, 2), np.inf), "y has 3 points"),
        (np.ones((3, 2)), np.ones((3, 3)), "same dimension"),
    ],
)
def test_bad_clouds(x, y, message):
    with pytest.raises(ValueError, match=message):
        sinkhorn_divergence(x, y)
