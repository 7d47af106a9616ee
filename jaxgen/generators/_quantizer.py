"""The N atoms nearest to weighted points: k-means, from starts with the right density (theory, section 6)."""

import jax.random as jr
import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int, PRNGKeyArray, Real

# From here on a k-d tree visits most of its leaves, and matrix products are faster.
_TREE_DIM = 12
# Relative improvement of the error, a step, that is worth another step.
_TOLERANCE = 1e-6
_CHUNK_NUMBERS = 1 << 22


def quantizer(
    points: Float[np.ndarray, "m d"],
    weights: Real[np.ndarray, " m"],
    n_atoms: int,
    key: PRNGKeyArray,
    restarts: int,
    max_steps: int,
) -> tuple[Float[np.ndarray, "n d"], Int[np.ndarray, " m"]]:
    """Atoms, and the atom of each point. `points`: in the order of the curve; `weights`: positive.

    The error is a differentiable function of the atoms but for ties, with gradient `2 mass (atom - centroid)`: L-BFGS
    on `sqrt(mass) atom` takes far fewer steps than the fixed point iteration (Liu et al., *On centroidal Voronoi
    tessellation - energy smoothness and fast computation*, 2009), which then makes atoms centroids. Raises `ValueError`
    for n_atoms below 1 or above the number of distinct points.
    """
    distinct, first, where = np.unique(points, axis=0, return_index=True, return_inverse=True)
    if not 1 <= n_atoms <= len(distinct):
        raise ValueError(
            f"n_atoms must lie between 1 and the number of distinct points, {len(distinct)}; got {n_atoms}"
        )
    # `first` finds the order of the curve again.
    order = np.argsort(first)
    x, w = distinct[order], np.bincount(where.ravel(), weights.astype(np.float64))[order]
    w /= w.sum()
    middle = w @ x
    scale = float(np.abs(x - middle).max()) or 1.0
    x = (x - middle) / scale
    starts = (_start(x, w, n_atoms, jr.fold_in(key, i) if i else None) for i in range(restarts))
    found = [_improve(x, w, start, max_steps) for start in starts]
    atoms = middle + scale * min(found, key=lambda atoms: w @ nearest(x, atoms)[1])
    return atoms, nearest(points, atoms)[0]


def _start(x, w, n_atoms, key):
    """A point in each of N strata of Zador's point density `f^(d/(d+2))` along the curve: without key, the middle one.

    Heavy points that fill several strata leave some without a point of their own: those get the points that are left
    with the most mass at the largest distance.
    """
    density = w ** (x.shape[1] / (x.shape[1] + 2))
    place = 0.5 if key is None else np.asarray(jr.uniform(key, (n_atoms,)), np.float64)
    edges = np.cumsum(density)
    at = np.searchsorted(edges, (np.arange(n_atoms) + place) / n_atoms * edges[-1], side="right")
    chosen = np.unique(np.minimum(at, len(x) - 1))
    while len(chosen) < n_atoms:
        square = w * nearest(x, x[chosen])[1]
        square[chosen] = -1.0
        missing = n_atoms - len(chosen)
        chosen = np.append(chosen, np.argpartition(-square, missing - 1)[:missing])
    return x[chosen]


def _improve(x, w, start, max_steps):
    import scipy.optimize

    owner, square = nearest(x, start)
    unit = float(w @ square) or 1.0
    scale = np.sqrt(np.maximum(np.bincount(owner, w, len(start)), 0.1 / len(start)))[:, None]

    def error(flat):
        atoms = flat.reshape(start.shape) / scale
        owner, square = nearest(x, atoms)
        mass, first = _moments(x, w, owner, len(atoms))
        return w @ square / unit, (2 / unit * (mass[:, None] * atoms - first) / scale).ravel()

    found = scipy.optimize.minimize(
        error, (start * scale).ravel(), jac=True, method="L-BFGS-B", options=dict(maxfun=max_steps, ftol=_TOLERANCE)
    )
    atoms, before = found.x.reshape(start.shape) / scale, np.inf
    for _ in range(max_steps):
        owner, square = nearest(x, atoms)
        mass, first = _moments(x, w, owner, len(atoms))
        empty = np.flatnonzero(mass == 0)
        if len(empty):
            # The farthest mass gets an atom of its own, which never makes the error larger.
            atoms[empty] = x[np.argpartition(-w * square, len(empty) - 1)[: len(empty)]]
            continue
        if w @ square >= (1 - _TOLERANCE) * before:
            break
        before, atoms = w @ square, first / mass[:, None]
    return atoms


def _moments(x, w, owner, n):
    """Mass, and mass times centroid, of the points of each atom."""
    return np.bincount(owner, w, n), sp.csr_array((w, (owner, np.arange(len(x)))), shape=(n, len(x))) @ x


def nearest(
    x: Float[np.ndarray, "m d"], atoms: Float[np.ndarray, "n d"]
) -> tuple[Int[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """The nearest atom of each point, and the squared distance to it."""
    if x.shape[1] <= _TREE_DIM:
        from scipy.spatial import KDTree

        distance, owner = KDTree(atoms).query(x)
        return np.asarray(owner), distance**2
    half = np.sum(atoms**2, axis=1) / 2
    chunk = max(1, _CHUNK_NUMBERS // len(atoms))
    owner = np.concatenate([np.argmin(half - x[i : i + chunk] @ atoms.T, axis=1) for i in range(0, len(x), chunk)])
    return owner, np.sum((x - atoms[owner]) ** 2, axis=1)
