"""Distances, against POT, OTT-JAX and a sort."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import ot
from ott.geometry import pointcloud
from ott.tools.sinkhorn_divergence import sinkhorn_divergence
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

import jaxgen as jg

from .rows import Row


def rows(small: bool):
    """Nanoseconds a call."""
    rng = np.random.default_rng(0)
    n = 200 if small else 2000
    points = rng.normal(size=(n, 2))
    g = jg.GridMeasure.from_samples(points, 9).generator()
    values = np.asarray(jax.vmap(g)((jnp.arange(n) + 0.5) / n), float)
    yield Row(
        f"law_distance, {n} against {n} points",
        lambda: jg.law_distance(g, points, n=n).value,
        "ot.emd2 of the same clouds",
        lambda: ot.emd2([], [], ot.dist(values, points, metric="euclidean"), numItermax=10**7),
        1,
        values.nbytes + points.nbytes,
        same=lambda a, b: bool(abs(a - b) < 1e-4 * b),
    )
    near = points[: n // 2]
    far = near + 100
    yield Row(
        f"wasserstein, {n // 2} points a side, far apart",
        lambda: jg.wasserstein(far, near[::-1], 1),
        "linear_sum_assignment",
        lambda: assigned(far, near[::-1]),
        1,
        2 * near.nbytes,
        same=lambda a, b: bool(abs(a - b) < 1e-9 * b),
    )
    m = 500 if small else 20_000
    x, y = rng.random((m, 2)), rng.random((m, 2))
    yield Row(
        f"curve_coupling, {m} points a side",
        lambda: jg.curve_coupling(x, y),
        "sorting an axis",
        lambda: (np.sort(x, axis=0), np.sort(y, axis=0)),
        1,
        x.nbytes + y.nbytes,
    )
    a, b = (jr.normal(jr.key(i), (64 if small else 512, 2)) for i in (1, 2))
    theirs = jax.jit(lambda a, b: sinkhorn_divergence(pointcloud.PointCloud, a, b, epsilon=0.1)[0])
    yield Row(
        f"sinkhorn_divergence, {len(a)} points a side",
        lambda: jg.sinkhorn_divergence(a, b, 0.1).value,
        "OTT-JAX's own",
        lambda: theirs(a, b),
        1,
        a.nbytes + b.nbytes,
        same=lambda x, y: bool(abs(x - y) < 0.02 * abs(y)),
    )


def assigned(x, y):
    """W_1 of clouds of one size, by SciPy."""
    cost = cdist(x, y)
    return cost[linear_sum_assignment(cost)].mean()
