"""The loss that `fit` takes by default: the Sinkhorn divergence of two batches."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .._checks import positive_number, whole_number
from ..distances import WeightedCloud, large_cost

# Masses below this one count as this: the potential of a leaf without mass is minus infinity.
_LEAST = 1e-12


class SinkhornLoss(eqx.Module):
    """The Sinkhorn divergence of two batches for the cost `|x - y|^2`, plus 1 where the labels differ (OTT-JAX).

    An instance of what `fit` accepts as its `loss`: a callable `loss(x, y, x_codes, y_codes, step, steps)` on a batch
    of the generator and one of the data, and, with `x_weights`, on the weighted leaves of an explicit generator. They
    come in units in which two points of the data are a mean squared distance of 1 apart, so that here a label weighs as
    much as a typical distance.

    Iterations are fixed in number, and the derivative is that of the envelope theorem: potentials are held fixed. At a
    small epsilon plain iterations first match near points, and take hundreds to notice that a far cluster has too
    little mass: stopped early, their gradient ignores it. So each solve starts at a large epsilon and comes down. The
    problem of a cloud with itself needs no annealing: averaged updates converge in ten.

    **Arguments:**

    - `epsilon`: the last regularization, in squared units of the batches.
    - `anneal`, `annealed`: it starts `anneal` times larger and falls geometrically for that share of the steps.
    - `iterations`, `self_iterations`: of the solve between the batches, and of those of a batch with itself.
    - `solve_from`, `solve_by`: a solve between the batches starts at `solve_from` times its epsilon, and comes down by
        a factor `solve_by` an iteration.

    - `dense`: the largest number of pairs of points whose costs are kept; of more they are computed anew in every
        iteration, some rows at a time.

    **Raises:** `ValueError` for numbers that are not positive.

    **Example:**

        >>> import jaxgen as jg
        >>> loss = jg.training.SinkhornLoss(epsilon=0.01)
        >>> [round(float(loss.epsilon_at(step, 100)), 4) for step in (0, 35, 70, 99)]
        [0.1, 0.0316, 0.01, 0.01]
    """

    epsilon: float | int = 0.01
    anneal: float | int = 10.0
    annealed: float | int = 0.7
    iterations: int = eqx.field(static=True, default=40)
    self_iterations: int = eqx.field(static=True, default=10)
    solve_from: float | int = 50.0
    solve_by: float | int = 0.8
    dense: int = eqx.field(static=True, default=1 << 24)

    def __check_init__(self) -> None:
        for name in ("epsilon", "anneal", "annealed", "solve_from", "solve_by"):
            positive_number(getattr(self, name), name)
        for name in ("iterations", "self_iterations", "dense"):
            whole_number(getattr(self, name), name, 1)

    def epsilon_at(self, step: int | Int[Array, ""], steps: int) -> Float[Array, ""]:
        """The regularization of step `step` (counted from 0) of `steps`, in squared units of the batches.

        **Example:**

            >>> import jaxgen as jg
            >>> float(jg.training.SinkhornLoss(epsilon=0.5, anneal=4.0).epsilon_at(0, 100))
            2.0
        """
        return self.epsilon * self.anneal ** jnp.maximum(1 - step / (self.annealed * steps), 0)

    def __call__(
        self,
        x: Float[Array, "n d"],
        y: Float[Array, "m d"],
        x_codes: Int[Array, " n"] | None = None,
        y_codes: Int[Array, " m"] | None = None,
        step: int | Int[Array, ""] = 0,
        steps: int = 1,
        x_weights: Float[Array, " n"] | None = None,
    ) -> Float[Array, ""]:
        """The divergence of `x` from `y`, whose labels are `x_codes` and `y_codes`, for the epsilon of a step.

        The points of `x` have the masses `x_weights`, which sum to 1; equal ones if not given.
        """
        from ott.geometry import epsilon_scheduler
        from ott.solvers.linear import acceleration

        epsilon = self.epsilon_at(step, steps)
        falling = epsilon_scheduler.Epsilon(epsilon, init=self.solve_from, decay=self.solve_by)
        last = epsilon_scheduler.Epsilon(epsilon)
        averaged = {"parallel_dual_updates": True, "momentum": acceleration.Momentum(start=0, value=0.5)}
        weights = None if x_weights is None else jnp.maximum(x_weights, _LEAST)
        one, other = WeightedCloud(x, x_codes, weights), WeightedCloud(y, y_codes, None)

        def to_itself(cloud: WeightedCloud) -> Float[Array, ""]:
            return self._cost(cloud, cloud, last, self.self_iterations, averaged)

        between = self._cost(one, other, falling, self.iterations, {})
        return between - (to_itself(one) + to_itself(other)) / 2

    def _cost(
        self, a: WeightedCloud, b: WeightedCloud, epsilon: Any, iterations: int, options: dict[str, Any]
    ) -> Float[Array, ""]:
        """The regularized cost of transport between two clouds; its derivative has the potentials held fixed."""
        from ott.geometry import geometry
        from ott.solvers import linear

        options = options | {"min_iterations": iterations, "max_iterations": iterations}
        n, m = len(a.points), len(b.points)
        if n * m > self.dense:
            return large_cost(a, b, epsilon, max(1, self.dense // max(n, m)), options)
        problem = geometry.Geometry(_costs(a, b), epsilon=epsilon)
        return jnp.asarray(linear.solve(problem, a=a.weights, b=b.weights, **options).reg_ot_cost)


def _costs(a: WeightedCloud, b: WeightedCloud) -> Float[Array, "n m"]:
    inner = jnp.matmul(a.points, b.points.T, precision="highest")
    cost = jnp.sum(a.points**2, axis=1)[:, None] + jnp.sum(b.points**2, axis=1) - 2 * inner
    return cost if a.codes is None or b.codes is None else cost + (a.codes[:, None] != b.codes)
