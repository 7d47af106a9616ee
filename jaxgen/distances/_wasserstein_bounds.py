"""Two numbers with W_p between them, for clouds that are too large for the exact solver."""

import math
from typing import NamedTuple, SupportsFloat

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._checks import Numbers, transport_order
from ._clouds import Weights, as_pair, as_weights, line_distance, power_mean, taken
from ._curve_coupling import couplings, principal_axes
from ._wasserstein import assigned_distances

# The cost of a coupling, and the order of each cloud that it pairs.
_Candidate = tuple[float, Int[np.ndarray, " n"], Int[np.ndarray, " m"]]

# Sinkhorn runs on at most so many points a side; larger clouds lend it every k-th point along the curve.
_SINKHORN_POINTS = 1000
# The c-transforms visit every pair of points; beyond so many coordinates in all (tens of seconds on one core) the
# projections stand alone.
_MAX_COORDINATES = 1 << 33
_CHUNK_PAIRS = 1 << 22
# Points assigned to each other exactly at a time.
_BLOCK = 256
_MAX_REFINED = 1 << 15
# Partitions that are merged into one coupling: each further one makes it cheaper, by less and less.
_PARTITIONS = 16


class WassersteinBounds(NamedTuple):
    """`lower <= W_p <= upper`, in the units of the points.

    **Example:**

        >>> import jaxgen as jg
        >>> bounds = jg.wasserstein_bounds([0.0, 1.0], [0.5, 1.5], p=1)
        >>> bounds.lower, bounds.upper
        (0.5, 0.5)
    """

    lower: float
    upper: float


def wasserstein_bounds(
    x: Numbers, y: Numbers, p: SupportsFloat = 2, a: Numbers | None = None, b: Numbers | None = None
) -> WassersteinBounds:
    """A lower and an upper bound on W_p between two clouds of points with weights, at any size and dimension.

    Both hold whatever the clouds are, up to rounding in float64: the lower bound is a feasible point of the dual
    problem, the upper bound the cost of a coupling.

    - lower: the better of (a) the one-dimensional distances along the coordinate axes, or along the principal axes, put
        together, and (b) c-transformed Sinkhorn potentials (OTT-JAX), where n m (d + 8) <= 2^33.
    - upper: the best of the pairings of `curve_coupling`; for equal sizes and weights, a pairing merged of 16 binary
        space partitions (POT), and up to 2^15 points, the curve's pairing improved by exact assignment within blocks of
        256 neighbors; up to 1000 points a side of equal weights, Sinkhorn's plan rounded to a coupling.

    Theory, section 11.

    **Arguments:**

    - `x`, `y`: shapes `(n, d)` and `(m, d)`, or `(n,)` and `(m,)` for points of the line; sizes may differ.
    - `p`: any order >= 1.
    - `a`, `b`: shape `(n,)` and `(m,)`, the weights, which are divided by their sum; equal ones by default.

    **Returns:** `(lower, upper)`, in the units of the points; equal, and W_p, on the line.

    **Raises:** `ValueError` for clouds that are empty, not finite or of different dimension, for weights that are
    negative or do not fit, and for p < 1;
    `TypeError` for points that are not real numbers.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.wasserstein_bounds([0.0, 1.0], [0.5, 1.0, 1.0, 1.5], p=1)
        WassersteinBounds(lower=0.5, upper=0.5)
    """
    p = transport_order(p)
    x, y, exponent = as_pair(x, y)
    lower, upper = bracket(x, y, p, as_weights(a, "a", len(x)), as_weights(b, "b", len(y)))
    return WassersteinBounds(math.ldexp(lower, exponent), math.ldexp(upper, exponent))


def bracket(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"], p: float | int, a: Weights, b: Weights
) -> tuple[float, float]:
    """The bounds, for clouds and weights that have been checked."""
    if x.shape[1] == 1:
        return (exact := line_distance(x[:, 0], y[:, 0], p, a, b)), exact
    candidates = list(couplings(x, y, p, a, b))
    upper = min(cost for cost, *_ in candidates)
    if a is b is None and len(x) == len(y):
        upper = min(upper, _partitioned(x, y, p))
        if len(x) <= _MAX_REFINED:
            upper = min(upper, _refined(x, y, p, candidates))
    axes = principal_axes(x, y)
    lower = max(_projections(x, y, p, a, b), _projections(x @ axes, y @ axes, p, a, b))
    if len(x) * len(y) * (x.shape[1] + 8) <= _MAX_COORDINATES:
        _, order_x, order_y = candidates[0]
        dual, plan = _sinkhorn_bounds(x[order_x], y[order_y], p, taken(a, order_x), taken(b, order_y))
        lower, upper = max(lower, dual), min(upper, plan)
    # Where both are attained they differ by rounding only, which must not turn them around.
    return min(lower, upper), upper


def _partitioned(x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n d"], p: float | int) -> float:
    """The cost, summed here, of the pairing that POT merges of binary space partitions (Bonet et al., BSP-OT)."""
    from ot.bsp import compute_bspot_bijection

    _, partner, _ = compute_bspot_bijection(x, y, n_plans=_PARTITIONS, p=2)
    partner = np.asarray(partner)
    if not np.array_equal(np.sort(partner), np.arange(len(y))):
        return np.inf
    return power_mean(np.linalg.norm(x - y[partner], axis=1), None, p)


def _projections(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"], p: float | int, a: Weights = None, b: Weights = None
) -> float:
    """A lower bound from the distances W_p(k) of the coordinates: their l2 norm for p <= 2, else lp.

    Let V = X - Y under an optimal coupling. Its coordinates couple the coordinates of the laws, so E|V_k|^p >=
    W_p(k)^p. For p <= 2, |V|^p is the l_{2/p} norm of (|V_k|^p)_k, a convex function, so E|V|^p >=
    |(E|V_k|^p)_k|_{2/p} (Jensen). For p > 2, |V|^p >= sum_k |V_k|^p, and no more: where only one coordinate differs at
    a time, as from (0, 0), (10, 10) to (1, 0), (10, 11), that is an equality. A single projection would be the largest
    of the W_p(k) only.
    """
    along = np.array([line_distance(x[:, k], y[:, k], p, a, b) for k in range(x.shape[1])])
    # power_mean with the weights 1 of a sum.
    return power_mean(along, None, max(p, 2.0)) * len(along) ** (1 / max(p, 2.0))


def _refined(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n d"], p: float | int, candidates: list[_Candidate]
) -> float:
    """The cost of the best candidate after exact assignments within blocks of pairs that are neighbors.

    Each candidate's order of x gives another notion of neighbor; an exact assignment never raises the cost.
    """
    _, order_x, order_y = min(candidates, key=lambda candidate: candidate[0])
    partner = np.empty(len(x), np.int64)
    partner[order_x] = order_y
    for _, order, _ in candidates:
        for start in (0, _BLOCK // 2):
            for at in range(start, len(x), _BLOCK):
                block = order[at : at + _BLOCK]
                partner[block] = partner[block][assigned_distances(x[block], y[partner[block]], p)[0]]
    return power_mean(np.linalg.norm(x - y[partner], axis=1), None, p)


def _sinkhorn_bounds(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"], p: float | int, a: Weights, b: Weights
) -> tuple[float, float]:
    """Bounds from Sinkhorn's potentials, which run in float32 and on every k-th point if there are many.

    Lower: any vector g gives the pair f_i = min_j (c_ij - g_j) and g, feasible by definition whatever g is,
    so mean f + mean g <= W_p^p by weak duality; g_j = min_i (c_ij - f_i) next can only raise it. Sinkhorn
    only proposes the first g, as if the weights were equal; the minima run over all points, in float64.

    Upper, where Sinkhorn saw all points, and their weights are equal: its plan, rounded to the right marginals
    (Altschuler, Weed, Rigollet, 2017).
    """
    from scipy.spatial.distance import cdist

    part_x, part_y = (z[:: -(-len(z) // _SINKHORN_POINTS)] for z in (x, y))
    distances = cdist(part_x, part_y)
    scale = distances.max() or 1.0
    cost = (distances / scale) ** p
    f, g, epsilon = (np.asarray(z, np.float64) for z in _sinkhorn(jnp.asarray(cost, jnp.float32)))
    proposal = f[:, None] + g - cost
    g = np.nan_to_num(g, posinf=0.0, neginf=0.0)
    f = _c_transform(x, part_y, g, p, scale)
    g = _c_transform(y, x, f, p, scale)
    f = _c_transform(x, y, g, p, scale)
    # Rounding may have lifted f above the feasible one by some units in the last place of the largest cost.
    diameter = np.linalg.norm(np.maximum(x.max(0), y.max(0)) - np.minimum(x.min(0), y.min(0))) / scale
    slack = np.finfo(np.float64).eps * p * (x.shape[1] + 8) * diameter**p
    lower = scale * max(float(np.average(f, weights=a) + np.average(g, weights=b)) - slack, 0.0) ** (1 / p)
    if not (a is b is None and cost.shape == (len(x), len(y))):
        return lower, np.inf
    plan = _rounded(np.nan_to_num(np.exp(np.minimum(proposal / epsilon, 0.0))))
    return lower, power_mean(distances.ravel(), plan.ravel(), p)


@jax.jit
def _sinkhorn(cost: Float[Array, "n m"]) -> tuple[Float[Array, " n"], Float[Array, " m"], Float[Array, ""]]:
    """Potentials for an epsilon that decreases to a 500th of the mean cost, and that epsilon."""
    from ott.geometry import epsilon_scheduler, geometry
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn

    mean = jnp.mean(cost)
    epsilon = jnp.where(mean > 0, 0.002 * mean, 1.0)
    schedule = epsilon_scheduler.Epsilon(epsilon, init=500.0, decay=0.95)
    problem = linear_problem.LinearProblem(geometry.Geometry(cost_matrix=cost, epsilon=schedule))
    out = sinkhorn.Sinkhorn(max_iterations=300)(problem)
    return out.f, out.g, epsilon


def _rounded(plan: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
    """A coupling of the uniform laws near `plan`: rows, then columns, are scaled down, the rest is added."""
    n, m = plan.shape
    plan = plan * np.minimum(1, 1 / (n * np.maximum(plan.sum(axis=1, keepdims=True), 1e-300)))
    plan = plan * np.minimum(1, 1 / (m * np.maximum(plan.sum(axis=0, keepdims=True), 1e-300)))
    rows, columns = 1 / n - plan.sum(axis=1), 1 / m - plan.sum(axis=0)
    return plan + np.outer(rows, columns) / max(rows.sum(), 1e-300)


def _c_transform(
    x: Float[np.ndarray, "n d"],
    y: Float[np.ndarray, "m d"],
    g: Float[np.ndarray, " m"],
    p: float | int,
    scale: float,
) -> Float[np.ndarray, " n"]:
    """`f_i = min_j ((|x_i - y_j| / scale)^p - g_j)`, some rows at a time."""
    from scipy.spatial.distance import cdist

    rows = max(1, _CHUNK_PAIRS // len(y))
    chunks = [((cdist(x[i : i + rows], y) / scale) ** p - g).min(axis=1) for i in range(0, len(x), rows)]
    return np.concatenate(chunks)
