"""The loss is the Sinkhorn divergence, and twenty iterations give its gradient."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jaxgen.distances import sinkhorn_divergence
from jaxgen.training._loss import batch_divergence

X = jr.normal(jr.key(0), (24, 2)) / 2
Y = jr.normal(jr.key(1), (24, 2)) / 2 + jnp.asarray([0.3, 0.1])


def test_equals_the_divergence_of_the_distances_room():
    ours = batch_divergence(X, Y, jnp.asarray(0.05), max_iterations=2000, threshold=1e-4)
    np.testing.assert_allclose(ours, float(sinkhorn_divergence(X, Y, 0.05, threshold=1e-4)), rtol=1e-3, atol=1e-5)


def test_gradient_is_that_of_the_divergence():
    with jax.enable_x64(True):
        x, y, epsilon = jnp.asarray(X, float), jnp.asarray(Y, float), jnp.asarray(0.1)

        def loss(x):
            return batch_divergence(x, y, epsilon, max_iterations=2000, threshold=1e-9)

        direction = jnp.asarray(np.random.default_rng(2).normal(size=x.shape))
        step = 1e-4
        # Central differences: error of order step^2.
        difference = (loss(x + step * direction) - loss(x - step * direction)) / (2 * step)
        np.testing.assert_allclose(jnp.vdot(jax.grad(loss)(x), direction), difference, rtol=1e-5)


def test_labels_that_never_meet_split_the_problem():
    codes = jnp.asarray([0] * 12 + [1] * 12)
    epsilon = jnp.asarray(0.02)
    few = {"max_iterations": 2000, "threshold": 1e-4}
    # Four copies of the problem far apart differ from the labelled one by exp(-1 / epsilon) = 2e-22 in the plan.
    joint = batch_divergence(X / 9, Y / 9, epsilon, codes, codes, **few)
    parts = [batch_divergence(X[s] / 9, Y[s] / 9, epsilon, **few) for s in (slice(0, 12), slice(12, 24))]
    np.testing.assert_allclose(joint, np.mean(parts), rtol=1e-2)
