"""Regularized transport between clouds too large for a matrix of costs, which are made anew, some rows at a time."""

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class WeightedCloud(NamedTuple):
    """Points with their labels, if there are any, and weights that sum to 1, where they are not equal.

    **Example:**

        >>> import jax.numpy as jnp
        >>> from jaxgen.distances import WeightedCloud
        >>> WeightedCloud(jnp.zeros((4, 2)), None, None).masses().tolist()
        [0.25, 0.25, 0.25, 0.25]
    """

    points: Float[Array, "n d"]
    codes: Int[Array, " n"] | None
    weights: Float[Array, " n"] | None

    def masses(self) -> Float[Array, " n"]:
        """The weights in any case."""
        n = len(self.points)
        return jnp.full((n,), 1 / n, self.points.dtype) if self.weights is None else self.weights

    def labelled(self) -> Float[Array, "n d_and_1"]:
        """Points with their label as a last coordinate."""
        codes = jnp.zeros(len(self.points), jnp.int32) if self.codes is None else self.codes
        return jnp.column_stack([self.points, codes.astype(self.points.dtype)])


def large_cost(
    a: WeightedCloud, b: WeightedCloud, epsilon: Any, rows: int, options: dict[str, Any]
) -> Float[Array, ""]:
    """The regularized cost of transport for `|x - y|^2`, plus 1 where the labels differ; `options` are the solver's.

    At the potentials f and g it is `<a, f - eps log a> + <b, g - eps log b> + eps (1 - sum_ij P_ij)`, with
    `P_ij = exp((f_i + g_j - c_ij) / eps)`. Its derivative has the potentials held fixed (the envelope theorem): by
    points it goes through P, the rows of which are made anew on the way back, by masses through all the rest.

    **Example:**

        >>> import jax.numpy as jnp
        >>> from ott.geometry.epsilon_scheduler import Epsilon
        >>> from jaxgen.distances import WeightedCloud, large_cost
        >>> a, b = (WeightedCloud(jnp.asarray(points), None, None) for points in ([[0.0], [1.0]], [[2.0], [3.0]]))
        >>> round(float(large_cost(a, b, Epsilon(0.01), 1, {})), 1)  # W_2^2 = 4, and eps log 2
        4.0
    """
    from ott.solvers import linear

    x, y = a.labelled(), b.labelled()
    still = jax.lax.stop_gradient((x, y, a.masses(), b.masses()))
    problem = row_by_row()(still[0], still[1], epsilon=epsilon, batch_size=rows)
    out = linear.solve(problem, a=still[2], b=still[3], **options)
    f, g, last = jax.lax.stop_gradient((out.f, out.g, epsilon.target))  # pyright: ignore[reportAttributeAccessIssue]

    @jax.checkpoint
    def mass(row):
        point, potential = row
        return jnp.sum(jnp.exp((potential + g - _costs(point, y)) / last))

    total = jnp.sum(jax.lax.map(mass, (x, f), batch_size=rows))
    p, q = a.masses(), b.masses()
    dual = jnp.sum(p * (f - last * jnp.log(p))) + jnp.sum(q * (g - last * jnp.log(q)))
    return dual + last * (jnp.sum(p) * jnp.sum(q) - total)


def _costs(point: Float[Array, " d"], points: Float[Array, "n d"]) -> Float[Array, " n"]:
    """From a point to others; the last coordinate is a label."""
    return jnp.sum((point[:-1] - points[:, :-1]) ** 2, axis=1) + (point[-1] != points[:, -1])


@cache  # Not at import, which OTT has no part in.
def row_by_row() -> Any:
    """OTT's point cloud for `|x - y|^2`, plus 1 where the last coordinates, which are labels, differ.

    With the one operation of a solve in logarithms: OTT's own fails on JAX from 0.9 on.
    """
    from ott.geometry import pointcloud

    @jax.tree_util.register_pytree_node_class
    class RowByRow(pointcloud.PointCloud):
        def apply_lse_kernel(self, f, g, eps, vec=None, axis=0):
            """`eps log sum_j exp((f_i + g_j - c_ij) / eps) - f_i`, or the same by columns, and its sign."""
            assert vec is None
            x, y, own, other = (self.x, self.y, f, g) if axis == 1 else (self.y, self.x, g, f)

            def row(at):
                point, potential = at
                return eps * jax.nn.logsumexp((potential + other - _costs(point, y)) / eps)

            out = jax.lax.map(row, (x, own), batch_size=self.batch_size) - own
            return out, jnp.ones_like(out)

    return RowByRow
