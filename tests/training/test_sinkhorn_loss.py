"""The loss is the Sinkhorn divergence, and its few iterations give the gradient."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from jaxgen.distances import sinkhorn_divergence
from jaxgen.training import SinkhornLoss


def long_run(epsilon):
    return SinkhornLoss(epsilon, anneal=1, iterations=500, self_iterations=200)


def clouds():
    return jr.normal(jr.key(0), (40, 2)) / 2, jr.normal(jr.key(1), (40, 2)) / 2 + jnp.asarray([0.3, 0.1])


@pytest.mark.slow
def test_is_the_divergence_of_the_distances_room_and_has_its_gradient(x64):
    x, y = clouds()
    value_and_grad = jax.jit(jax.value_and_grad(long_run(0.1)))
    value, gradient = value_and_grad(x, y)
    expected = sinkhorn_divergence(x, y, 0.1, threshold=1e-5, max_iterations=20_000)
    np.testing.assert_allclose(value, float(expected), rtol=1e-4)
    direction = jnp.asarray(np.random.default_rng(2).normal(size=x.shape))
    step = 1e-4
    # Central differences: error of order step^2.
    difference = (value_and_grad(x + step * direction, y)[0] - value_and_grad(x - step * direction, y)[0]) / (2 * step)
    np.testing.assert_allclose(jnp.vdot(gradient, direction), difference, rtol=1e-5)


# One program for the two tests below.
SHORT = SinkhornLoss(0.01, anneal=1)
short_value_and_grad = jax.jit(jax.value_and_grad(SHORT))


@pytest.mark.slow
def test_another_label_costs_one():
    # As much as a further coordinate that tells the labels apart.
    x, y = jr.normal(jr.key(3), (2, 64, 1)) / 2
    x_codes, y_codes = jnp.arange(64) % 2, jnp.arange(64) // 32
    expected, _ = short_value_and_grad(jnp.column_stack([x, x_codes]), jnp.column_stack([y, y_codes]))
    np.testing.assert_allclose(jax.jit(SHORT)(x, y, x_codes, y_codes), expected, rtol=1e-4)


@pytest.mark.slow
def test_the_iterations_of_a_step_move_mass_between_far_clusters():
    # Two clusters at distance 1; x has 3/4 of its mass in the first, y has 1/4. Half the mass moves by about 1, so
    # that the derivative along "all of x's first cluster to the right" is about -2 * 1/2; plain iterations stopped
    # early see clusters that are matched within themselves, and a derivative near 0.
    noise = 0.05 * jr.normal(jr.key(4), (2, 64, 2))
    x, y = noise.at[0, 48:, 0].add(1).at[1, 16:, 0].add(1)
    gradient = short_value_and_grad(x, y)[1]
    np.testing.assert_allclose(jnp.sum(gradient[:48, 0]), -1, atol=0.1)


def test_epsilon_falls_geometrically_and_stays():
    loss = SinkhornLoss(0.02, anneal=100, annealed=0.5)
    seen = [float(loss.epsilon_at(step, 8)) for step in range(9)]
    np.testing.assert_allclose(seen, 0.02 * 10.0 ** np.array([2, 1.5, 1, 0.5, 0, 0, 0, 0, 0]), rtol=1e-6)


@pytest.mark.slow
def test_weights_count_points_and_have_a_gradient(x64):
    x, y = clouds()
    copies = np.arange(1, 41) % 3 + 1
    weights = jnp.asarray(copies / copies.sum())
    loss = jax.jit(long_run(0.1))
    value_and_grad = jax.jit(jax.value_and_grad(lambda w: long_run(0.1)(x, y, x_weights=w)))
    value, gradient = value_and_grad(weights)
    np.testing.assert_allclose(value, loss(jnp.repeat(x, copies, axis=0), y), rtol=1e-6)
    direction = np.random.default_rng(2).normal(size=40)
    # Of no mass together, as potentials are known up to a constant.
    direction = jnp.asarray((direction - direction.mean()) / 1000)
    step = 1e-2
    difference = (value_and_grad(weights + step * direction)[0] - value_and_grad(weights - step * direction)[0]) / step
    np.testing.assert_allclose(2 * jnp.vdot(gradient, direction), difference, rtol=1e-5)


@pytest.mark.slow
def test_a_leaf_without_mass_has_a_finite_gradient():
    x, y = clouds()
    weights = jnp.asarray([0.0] * 20 + [0.05] * 20)
    value, gradient = jax.jit(jax.value_and_grad(lambda w: SHORT(x, y, x_weights=w)))(weights)
    assert np.isfinite(value) and np.isfinite(gradient).all()


@pytest.mark.slow
@pytest.mark.parametrize("labelled", [False, True])
def test_row_by_row_is_the_same(x64, labelled):
    x, y = clouds()
    y = y[:37]
    weights = jax.nn.softmax(jr.normal(jr.key(5), (40,)))
    codes = (jnp.arange(40) % 2, jnp.arange(37) // 20) if labelled else (None, None)
    few = {"iterations": 8, "self_iterations": 4}

    def value_and_grad(dense):
        loss = SinkhornLoss(0.05, **few, dense=dense)
        return jax.jit(jax.value_and_grad(lambda x, w: loss(x, y, *codes, x_weights=w), (0, 1)))(x, weights)

    # Seven rows at a time, so that the last block is not full.
    (value, gradients), (expected, others) = value_and_grad(300), value_and_grad(1 << 24)
    np.testing.assert_allclose(value, expected, rtol=1e-9)
    for one, other in zip(gradients, others, strict=True):
        np.testing.assert_allclose(one - one.mean(), other - other.mean(), atol=1e-9)


def test_large_batches_take_little_memory():
    # The costs of 2**13 points a side alone would be 256 MiB, and a step keeps several such matrices.
    x, y = jr.normal(jr.key(0), (2, 1 << 13, 2)) / 2
    loss = SinkhornLoss(0.01, iterations=1, self_iterations=1, dense=1 << 22)
    step = jax.jit(jax.value_and_grad(loss)).lower(x, y).compile()
    assert step.memory_analysis().temp_size_in_bytes < 2**26


@pytest.mark.parametrize(
    "name", ["epsilon", "anneal", "annealed", "iterations", "self_iterations", "solve_by", "dense"]
)
def test_bad_numbers(name):
    with pytest.raises(ValueError, match=f"{name} must be"):
        SinkhornLoss(**{name: 0})
