"""The Sinkhorn divergence, with the epsilon it was computed for."""

from typing import SupportsFloat, SupportsIndex

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from .._checks import Numbers, finite_points, nonnegative_weights, positive_number, whole_number
from ._large_transport import row_by_row

_RELATIVE_EPSILON = 0.05
# A cost matrix with more entries than this is recomputed in blocks of rows instead of stored.
_STORED_ENTRIES = 1 << 25
_BLOCK_ROWS = 1024


class SinkhornDivergence(eqx.Module):
    """A Sinkhorn divergence and what it was computed with; `float(...)` is its value.

    `value` and `epsilon` are in squared units of the points. `converged` says whether all three transport problems met
    the threshold, `n_iters` how many iterations the slowest of them took.

    **Example:**

        >>> import jaxgen as jg
        >>> bool(jg.sinkhorn_divergence([0.0, 1.0], [2.0, 3.0], epsilon=0.1).converged)
        True
    """

    value: Float[Array, ""]
    epsilon: Float[Array, ""]
    converged: Bool[Array, ""]
    n_iters: Int[Array, ""]

    def __float__(self) -> float:
        return float(self.value)


def sinkhorn_divergence(
    x: Numbers,
    y: Numbers,
    epsilon: SupportsFloat | None = None,
    *,
    a: Numbers | None = None,
    b: Numbers | None = None,
    threshold: SupportsFloat = 1e-3,
    max_iterations: SupportsIndex = 2000,
) -> SinkhornDivergence:
    """The Sinkhorn divergence between two weighted clouds, for the squared Euclidean cost (OTT-JAX).

    `S = OT_eps(x, y) - (OT_eps(x, x) + OT_eps(y, y)) / 2`, nonnegative, zero for equal laws, and tending to W_2^2 as
    epsilon tends to zero (Feydy et al., 2019). It is not a distance, and values for different epsilon do not compare.
    Differentiable in x, y, a, b, and usable inside `jit` and `vmap`; there the values of the arguments are not checked.
    Theory, section 11.

    **Arguments:**

    - `x`, `y`: shapes `(n, d)` and `(m, d)`, or `(n,)` and `(m,)` for points of the line.
    - `epsilon`: the regularization, in squared units of the points; by default 0.05 times the mean squared distance
        between a point of x and one of y. The one used is reported in the result.
    - `a`, `b`: `(n,)` and `(m,)`, weights of the points, nonnegative and with a positive sum, which is divided out;
        uniform by default.
    - `threshold`: the error of the marginals (in the l1 norm) at which iterations stop; `max_iterations`: the most that
        are made. A result that did not get there has `converged=False`.

    **Returns:** a `SinkhornDivergence`, in squared units of the points.

    **Raises:** `ValueError` for clouds that are empty, not finite or of different dimension, for bad weights, and for
    numbers that are not positive; `TypeError` for points that are not real numbers.

    **Example:**

        >>> import jaxgen as jg
        >>> round(float(jg.sinkhorn_divergence([0.0, 1.0], [2.0, 3.0], epsilon=0.1)), 3)  # W_2^2 = 4
        4.0
    """
    u, v = _cloud(x, "x"), _cloud(y, "y")
    if u.shape[1] != v.shape[1]:
        raise ValueError(f"x and y must have the same dimension; got {u.shape[1]} and {v.shape[1]}")
    a, b = _weights(a, len(u), "a"), _weights(b, len(v), "b")
    if epsilon is not None:
        epsilon = jnp.asarray(epsilon if isinstance(epsilon, Tracer) else positive_number(epsilon, "epsilon"), a.dtype)
    threshold = positive_number(threshold, "threshold")
    max_iterations = whole_number(max_iterations, "max_iterations", 1)
    # A common translation changes nothing but the rounding of |x|^2 - 2 x.y + |y|^2, which is how OTT forms the costs.
    # It is made in float64 where the points are at hand.
    center = (u.mean(axis=0) + v.mean(axis=0)) / 2
    u, v = jnp.asarray(u - center, a.dtype), jnp.asarray(v - center, a.dtype)
    return _divergence(u, v, epsilon, a, b, threshold, max_iterations)


@eqx.filter_jit
def _divergence(
    x: Float[Array, "n d"],
    y: Float[Array, "m d"],
    epsilon: Float[Array, ""] | None,
    a: Float[Array, " n"],
    b: Float[Array, " m"],
    threshold: float,
    max_iterations: int,
) -> SinkhornDivergence:
    from ott.geometry import costs, pointcloud
    from ott.tools import sinkhorn_divergence as ott_divergence

    entries = max(len(x), len(y)) ** 2
    # Accelerators round the factors of a product to fewer bits by default, which the same cancellation forbids.
    with jax.default_matmul_precision("highest"):
        if epsilon is None:
            mean_cost = a @ jnp.sum(x**2, axis=1) + b @ jnp.sum(y**2, axis=1) - 2 * (a @ x) @ (b @ y)
            epsilon = jax.lax.stop_gradient(jnp.where(mean_cost > 0, _RELATIVE_EPSILON * mean_cost, 1.0))
        large = entries > _STORED_ENTRIES
        if large:
            x, y = (jnp.pad(points, ((0, 0), (0, 1))) for points in (x, y))  # one label
        value, out = ott_divergence.sinkhorn_divergence(
            row_by_row() if large else pointcloud.PointCloud,
            x,
            y,
            cost_fn=costs.SqEuclidean(),
            epsilon=epsilon,
            batch_size=_BLOCK_ROWS if large else None,
            a=a,
            b=b,
            solve_kwargs={"threshold": threshold, "max_iterations": max_iterations},
        )
    return SinkhornDivergence(value, epsilon, jnp.all(jnp.stack(out.converged)), jnp.max(jnp.stack(out.n_iters)))


def _cloud(points: Numbers, name: str) -> Float[np.ndarray, "n d"] | Float[Array, "n d"]:
    if not isinstance(points, Tracer):
        return finite_points(points, name).astype(np.float64)
    if points.ndim not in (1, 2) or points.size == 0:
        raise ValueError(f"{name} must have shape (n, d) or (n,) with n, d >= 1; got {points.shape}")
    return points[:, None] if points.ndim == 1 else points


def _weights(weights: Numbers | None, n: int, name: str) -> Float[Array, " n"]:
    dtype = jnp.result_type(float)
    if weights is None:
        return jnp.full((n,), 1 / n, dtype)
    if not isinstance(weights, Tracer):
        weights = nonnegative_weights(weights, name, n)
    weights = jnp.asarray(weights, dtype)
    if weights.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one entry each; got {weights.shape}")
    return weights / jnp.sum(weights)
