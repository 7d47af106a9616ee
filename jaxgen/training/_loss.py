"""The loss: the Sinkhorn divergence of two batches."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from ott.geometry import geometry
from ott.tools import sinkhorn_divergence as ott_divergence

# A step of training sees new batches, so that potentials accurate beyond the noise of a batch are wasted. Twenty
# iterations a step train as well as convergence does (the tests measure their gradient), at a tenth of the time.
THRESHOLD = 1e-2
MAX_ITERATIONS = 20


def batch_divergence(
    x: Float[Array, "n d"],
    y: Float[Array, "m d"],
    epsilon: Float[Array, ""],
    x_codes: Int[Array, " n"] | None = None,
    y_codes: Int[Array, " m"] | None = None,
    max_iterations: int = MAX_ITERATIONS,
    threshold: float = THRESHOLD,
) -> Float[Array, ""]:
    """The Sinkhorn divergence for the cost `|x - y|^2`, plus 1 where the labels differ (OTT-JAX).

    Both clouds are in units in which two points of the data are a mean squared distance of 1 apart, so that a label
    weighs as much as a typical distance. The derivative is that of the envelope theorem: potentials are held fixed.
    """

    def cost(a, b, a_codes, b_codes):
        matrix = jnp.sum(a**2, axis=1)[:, None] + jnp.sum(b**2, axis=1) - 2 * jnp.matmul(a, b.T, precision="highest")
        return matrix if a_codes is None else matrix + (a_codes[:, None] != b_codes)

    value, _ = ott_divergence.sinkhorn_divergence(
        geometry.Geometry,
        cost(x, y, x_codes, y_codes),
        cost(x, x, x_codes, x_codes),
        cost(y, y, y_codes, y_codes),
        epsilon=epsilon,
        solve_kwargs={"threshold": threshold, "max_iterations": max_iterations},
    )
    return value
