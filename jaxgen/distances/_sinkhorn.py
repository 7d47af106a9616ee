"""The Sinkhorn divergence, with the epsilon it was computed for."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int
from ott.geometry import costs, pointcloud
from ott.tools import sinkhorn_divergence as ott_divergence

from ._clouds import PointsLike, as_cloud

RELATIVE_EPSILON = 0.05
# A cost matrix with more entries than this is recomputed in blocks of rows instead of stored.
_STORED_ENTRIES = 1 << 25
_BLOCK_ROWS = 1024


class SinkhornDivergence(eqx.Module):
    """A Sinkhorn divergence and what it was computed with; `float(...)` is its value.

    `value` and `epsilon` are in squared units of the points. `converged` says whether all three transport
    problems met the threshold, `n_iters` how many iterations the slowest of them took.
    """

    value: Float[Array, ""]
    epsilon: Float[Array, ""]
    converged: Bool[Array, ""]
    n_iters: Int[Array, ""]

    def __float__(self) -> float:
        return float(self.value)


def sinkhorn_divergence(
    x: PointsLike,
    y: PointsLike,
    epsilon: float | int | Array | None = None,
    *,
    a: PointsLike | None = None,
    b: PointsLike | None = None,
    threshold: float | int = 1e-3,
    max_iterations: int = 2000,
) -> SinkhornDivergence:
    """The Sinkhorn divergence between two weighted clouds, for the squared Euclidean cost (OTT-JAX).

    `S = OT_eps(x, y) - (OT_eps(x, x) + OT_eps(y, y)) / 2`, nonnegative, zero for equal laws, and tending to
    W_2^2 as epsilon tends to zero (Feydy et al., 2019). It is not a distance, and values for different
    epsilon do not compare. Differentiable in x, y, a, b, and usable inside `jit` and `vmap`; there the values
    of the arguments are not checked.

    - `x`, `y`: shapes `(n, d)` and `(m, d)`, or `(n,)` and `(m,)` for points of the line.
    - `epsilon`: the regularization, in squared units of the points; by default 0.05 times the mean squared
      distance between a point of x and one of y. The one used is reported in the result.
    - `a`, `b`: weights of the points, nonnegative and with a positive sum, which is divided out; uniform by
      default.
    - `threshold`: the error of the marginals (in the l1 norm) at which iterations stop; `max_iterations`: the
      most that are made. A result that did not get there has `converged=False`.

    Raises `ValueError` for clouds that are empty, not finite or of different dimension, for bad weights, and
    for epsilon <= 0. Source: theory, section 11.
    """
    u, v = _cloud(x, "x"), _cloud(y, "y")
    if u.shape[1] != v.shape[1]:
        raise ValueError(f"x and y must have the same dimension; got {u.shape[1]} and {v.shape[1]}")
    a, b = _weights(a, len(u), "a"), _weights(b, len(v), "b")
    if epsilon is not None:
        if not isinstance(epsilon, Tracer) and not 0 < float(epsilon) < np.inf:
            raise ValueError(f"epsilon must be a positive finite number, or None for the default; got {epsilon}")
        epsilon = jnp.asarray(epsilon, a.dtype)
    if max_iterations < 1 or not threshold > 0:
        raise ValueError(f"max_iterations must be >= 1 and threshold > 0; got {max_iterations} and {threshold}")
    # A common translation changes nothing but the rounding of |x|^2 - 2 x.y + |y|^2, which is how OTT forms
    # the costs. It is made in float64 where the points are at hand.
    center = (u.mean(axis=0) + v.mean(axis=0)) / 2
    u, v = jnp.asarray(u - center, a.dtype), jnp.asarray(v - center, a.dtype)
    return _divergence(u, v, epsilon, a, b, threshold, max_iterations)


@eqx.filter_jit
def _divergence(x, y, epsilon, a, b, threshold, max_iterations):
    entries = max(len(x), len(y)) ** 2
    # Accelerators round the factors of a product to fewer bits by default, which the same cancellation
    # forbids.
    with jax.default_matmul_precision("highest"):
        if epsilon is None:
            mean_cost = a @ jnp.sum(x**2, axis=1) + b @ jnp.sum(y**2, axis=1) - 2 * (a @ x) @ (b @ y)
            epsilon = jax.lax.stop_gradient(jnp.where(mean_cost > 0, RELATIVE_EPSILON * mean_cost, 1.0))
        value, out = ott_divergence.sinkhorn_divergence(
            pointcloud.PointCloud,
            x,
            y,
            cost_fn=costs.SqEuclidean(),
            epsilon=epsilon,
            batch_size=None if entries <= _STORED_ENTRIES else _BLOCK_ROWS,
            a=a,
            b=b,
            solve_kwargs={"threshold": threshold, "max_iterations": max_iterations},
        )
    return SinkhornDivergence(value, epsilon, jnp.all(jnp.stack(out.converged)), jnp.max(jnp.stack(out.n_iters)))


def _cloud(points: PointsLike, name: str) -> Any:
    if not isinstance(points, Tracer):
        return as_cloud(points, name)
    if points.ndim not in (1, 2) or points.size == 0:
        raise ValueError(f"{name} must have shape (n, d) or (n,) with n, d >= 1; got {points.shape}")
    return points[:, None] if points.ndim == 1 else points


def _weights(weights: PointsLike | None, n: int, name: str) -> Float[Array, " n"]:
    dtype = jnp.result_type(float)
    if weights is None:
        return jnp.full((n,), 1 / n, dtype)
    if not isinstance(weights, Tracer):
        host = np.asarray(weights, np.float64)
        if not (np.isfinite(host).all() and (host >= 0).all() and host.sum() > 0):
            raise ValueError(f"{name} must be finite, nonnegative and not all zero")
    weights = jnp.asarray(weights, dtype)
    if weights.shape != (n,):
        raise ValueError(f"{name} must hold one weight per point, shape ({n},); got {weights.shape}")
    return weights / jnp.sum(weights)
