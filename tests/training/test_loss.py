"""The loss is the Sinkhorn divergence, and its few iterations give the gradient."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jaxgen.distances import sinkhorn_divergence
from jaxgen.training import _loss

batch_divergence = jax.jit(_loss.batch_divergence, static_argnames=("iterations", "self_iterations"))

MANY = {"iterations": 500, "self_iterations": 200}
X = jr.normal(jr.key(0), (24, 2)) / 2
Y = jr.normal(jr.key(1), (24, 2)) / 2 + jnp.asarray([0.3, 0.1])


def test_equals_the_divergence_of_the_distances_room():
    ours = batch_divergence(X, Y, jnp.asarray(0.05), **MANY)
    np.testing.assert_allclose(ours, float(sinkhorn_divergence(X, Y, 0.05, threshold=1e-4)), rtol=1e-3, atol=1e-5)


def test_gradient_is_that_of_the_divergence():
    with jax.enable_x64(True):
        x, y, epsilon = jnp.asarray(X, float), jnp.asarray(Y, float), jnp.asarray(0.1)

        def loss(x):
            return batch_divergence(x, y, epsilon, **MANY)

        direction = jnp.asarray(np.random.default_rng(2).normal(size=x.shape))
        step = 1e-4
        # Central differences: error of order step^2.
        difference = (loss(x + step * direction) - loss(x - step * direction)) / (2 * step)
        np.testing.assert_allclose(jnp.vdot(jax.grad(loss)(x), direction), difference, rtol=1e-5)


def test_labels_that_never_meet_split_the_problem():
    codes = jnp.asarray([0] * 12 + [1] * 12)
    epsilon = jnp.asarray(0.02)
    # Mass that changes its label costs 1, against distances of a tenth: the plan puts exp(-1 / epsilon) = 2e-22 there.
    joint = batch_divergence(X / 9, Y / 9, epsilon, codes, codes, **MANY)
    parts = [batch_divergence(X[s] / 9, Y[s] / 9, epsilon, **MANY) for s in (slice(0, 12), slice(12, 24))]
    np.testing.assert_allclose(joint, np.mean(parts), rtol=1e-2)


def test_the_iterations_of_a_step_move_mass_between_far_clusters():
    # Two clusters at distance 1; x has 3/4 of its mass in the first, y has 1/4. Half the mass moves by about 1, so
    # that the derivative along "all of x's first cluster to the right" is about -2 * 1/2; plain iterations stopped
    # early see clusters that are matched within themselves, and a derivative near 0.
    noise = 0.05 * jr.normal(jr.key(4), (2, 64, 2))
    side = jnp.arange(64)[:, None]
    x = noise[0] + jnp.where(side < 48, 0.0, 1.0) * jnp.asarray([1.0, 0.0])
    y = noise[1] + jnp.where(side < 16, 0.0, 1.0) * jnp.asarray([1.0, 0.0])
    slope = jax.grad(lambda t: batch_divergence(x + t * (side < 48) * jnp.asarray([1.0, 0.0]), y, jnp.asarray(0.01)))
    np.testing.assert_allclose(slope(0.0), -1, atol=0.1)
