"""The loss: the Sinkhorn divergence of two batches."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from ott.geometry import epsilon_scheduler, geometry
from ott.solvers import linear
from ott.solvers.linear import acceleration

# At a small epsilon plain iterations first match near points, and take hundreds to notice that a far cluster has too
# little mass: stopped early, their gradient ignores it. So each solve starts at a large epsilon and comes down.
ANNEAL_FROM, ANNEAL_BY = 50.0, 0.8
ITERATIONS = 40
# The problem of a cloud with itself needs no annealing: averaged updates converge in ten.
SELF_ITERATIONS = 10


def batch_divergence(
    x: Float[Array, "n d"],
    y: Float[Array, "m d"],
    epsilon: Float[Array, ""],
    x_codes: Int[Array, " n"] | None = None,
    y_codes: Int[Array, " m"] | None = None,
    iterations: int = ITERATIONS,
    self_iterations: int = SELF_ITERATIONS,
) -> Float[Array, ""]:
    """The Sinkhorn divergence for the cost `|x - y|^2`, plus 1 where the labels differ (OTT-JAX), after fixed numbers
    of iterations.

    Both clouds are in units in which two points of the data are a mean squared distance of 1 apart, so that a label
    weighs as much as a typical distance. The derivative is that of the envelope theorem: potentials are held fixed.
    """

    def cost(a, b, a_codes, b_codes):
        inner = jnp.matmul(a, b.T, precision="highest")
        matrix = jnp.sum(a**2, axis=1)[:, None] + jnp.sum(b**2, axis=1) - 2 * inner
        return matrix if a_codes is None else matrix + (a_codes[:, None] != b_codes)

    def to_itself(a, codes):
        return linear.solve(
            geometry.Geometry(cost(a, a, codes, codes), epsilon=epsilon_scheduler.Epsilon(epsilon)),
            min_iterations=self_iterations,
            max_iterations=self_iterations,
            parallel_dual_updates=True,
            momentum=acceleration.Momentum(start=0, value=0.5),
        )

    annealed = epsilon_scheduler.Epsilon(epsilon, init=ANNEAL_FROM, decay=ANNEAL_BY)
    between = linear.solve(
        geometry.Geometry(cost(x, y, x_codes, y_codes), epsilon=annealed),
        min_iterations=iterations,
        max_iterations=iterations,
    )
    values = [jnp.asarray(out.reg_ot_cost) for out in (between, to_itself(x, x_codes), to_itself(y, y_codes))]
    return values[0] - (values[1] + values[2]) / 2
