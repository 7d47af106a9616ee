"""Mixtures and k-means of scikit-learn, and kernel densities, with their bits counted."""

import math
from collections.abc import Iterator

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ..data import Dataset
from ..distances import law_value
from ..generators import CodebookGenerator
from ._peer import Made, Peer, normal

# Bits of a parameter of a mixture, and octaves that its scales may be below the box.
_BITS, _OCTAVES = 12, 20
# Places of a coordinate of a centre in the box, less one; quanta a centre.
_PLACES, _QUANTA = 1023, 8
# Widths of a kernel that are tried, in standard deviations times the rate of their decrease; and by how many sources.
_WIDTHS, _JUDGED = (0.01, 1.0, 8), 1024
# Up to this dimension the covariances of a mixture are full, else diagonal.
_FULL = 8


class Mixture(eqx.Module):
    """A mixture of normal laws as a map of d + 1 uniform numbers: which one, and where in it.

    - `edges`: `(k,)`, where the intervals of the components end. `means`: `(k, d)`; `factors`: `(k, d, d)`.
    """

    edges: Float[Array, " k"]
    means: Float[Array, "k d"]
    factors: Float[Array, "k d d"]

    @property
    def source_dim(self) -> int:
        """One number for the component, d for the normal law."""
        return self.means.shape[1] + 1

    def __call__(self, u: Float[ArrayLike, " numbers"]) -> Float[Array, " d"]:
        """The point of `(d + 1,)` uniform numbers."""
        u = jnp.asarray(u)
        which = jnp.minimum(jnp.searchsorted(self.edges, u[0], side="right"), len(self.edges) - 1)
        return self.means[which] + self.factors[which] @ normal(u[1:])


def _sizes(train: Dataset, most: int) -> list[int]:
    """Numbers of components or centres that so many different points allow."""
    distinct = len(np.unique(train.points, axis=0))
    return [size for size in (16, 64, 256) if size <= min(most, distinct // 4)] or [max(1, min(4, distinct // 4))]


def mixtures(train: Dataset, seed: int) -> Iterator[tuple[str, Peer]]:
    """Gaussian mixtures of several sizes."""
    for size in _sizes(train, 64):
        yield f"Gaussian mixture, {size}", Peer("Gaussian mixture", True, lambda data, s, k=size: _mixture(data, k, s))


def _mixture(data: Dataset, size: int, seed: int) -> Made:
    """By expectation maximisation, its parameters rounded: weights, means, and factors of the covariances.

    Scales are told on a logarithmic scale below the box, other entries of a factor relative to them.
    """
    from sklearn.mixture import GaussianMixture

    points, low, side = data.points, *_box(data.points)
    dim, unit = points.shape[1], (points - low) / side
    kind = "full" if dim <= _FULL else "diag"
    found = GaussianMixture(size, covariance_type=kind, random_state=seed, reg_covar=1e-6).fit(unit)
    covariances = np.asarray(found.covariances_)
    full = covariances if kind == "full" else np.einsum("ki,ij->kij", covariances, np.eye(dim))
    factors, levels = np.linalg.cholesky(full), 2**_BITS - 1
    scales = np.einsum("kii->ki", factors)
    coded = np.exp2(np.round(np.log2(scales) * levels / _OCTAVES) * _OCTAVES / levels)
    slants = np.round(np.tril(factors, -1) / scales[:, None, :] * levels / 16) / levels * 16
    factors = slants * coded[:, None, :] + np.einsum("ki,ij->kij", coded, np.eye(dim))
    means = np.round(np.asarray(found.means_) * levels) / levels
    weights = np.maximum(np.round(np.asarray(found.weights_) * levels), 1)
    numbers = size * (1 + 2 * dim + (dim * (dim - 1) // 2 if kind == "full" else 0))
    return Made(_in_units(weights, means, factors, low, side), _header(dim) + _BITS * numbers)


def k_means(train: Dataset, seed: int) -> Iterator[tuple[str, Peer]]:
    """Centres of several numbers, each with its share of the points."""
    for size in _sizes(train, 256)[-2:]:
        yield f"k-means, {size}", Peer("k-means", True, lambda data, s, k=size: _centres(data, k, s))


def _centres(data: Dataset, size: int, seed: int) -> Made:
    """Centres on a lattice, and some quanta for each: a subset and a composition, by ideal codes."""
    from sklearn.cluster import KMeans

    points, low, side = data.points, *_box(data.points)
    dim, found = points.shape[1], KMeans(size, n_init=1, random_state=seed).fit(points)  # pyright: ignore[reportArgumentType]
    places = np.round((found.cluster_centers_ - low) / side * _PLACES)
    places, which = np.unique(places, axis=0, return_inverse=True)
    masses = np.bincount(which.ravel(), np.bincount(np.asarray(found.labels_), minlength=size)) / len(points)
    quanta = _QUANTA * len(masses)
    counts = np.maximum(np.diff(np.round(np.cumsum(masses) * quanta), prepend=0), 1).astype(np.int64)
    law = CodebookGenerator(low + side * places / _PLACES, counts)
    bits = _log2_binomial((_PLACES + 1) ** dim, len(places)) + _log2_binomial(int(counts.sum()) - 1, len(places) - 1)
    return Made(law, math.ceil(_header(dim) + bits))


def _log2_binomial(n: float | int, k: int) -> float:
    """Of n over k; for n beyond floats, the bound of n^k / k!."""
    if n > 2.0**50:
        return k * math.log2(n) - math.lgamma(k + 1) / math.log(2)
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(2)


def kernels(train: Dataset, seed: int) -> Iterator[tuple[str, Peer]]:
    """A kernel density estimate."""
    yield "kernel density", Peer("kernel density", True, lambda data, s: _kernel_density(data, s))


def _kernel_density(data: Dataset, seed: int) -> Made:
    """A normal law around each point, so wide that one without a fifth of the points is nearest to that fifth in W_1;
    all points are told."""
    points, low, side = data.points, *_box(data.points)
    count, dim = points.shape
    spread = np.where(points.std(axis=0) > 0, points.std(axis=0), 1.0)
    order = np.random.default_rng(seed).permutation(count)
    judge, given = points[order[: count // 5]], points[order[count // 5 :]]

    def law(points: np.ndarray, width: float) -> Mixture:
        factors = np.broadcast_to(np.diag(width * spread / side), (len(points), dim, dim))
        return _in_units(np.ones(len(points)), (points - low) / side, factors, low, side)

    widths = np.geomspace(*_WIDTHS) * count ** (-1 / (dim + 4))
    best = min(widths, key=lambda width: law_value(law(given, width), judge, 1, _JUDGED))
    return Made(law(points, best), 32 * (count + 1) * dim)


def _in_units(weights: np.ndarray, means: np.ndarray, factors: np.ndarray, low: np.ndarray, side: np.ndarray):
    """A mixture in the unit box, in the units of the data."""
    edges = np.cumsum(weights) / np.sum(weights)
    arrays = edges, low + side * means, side[:, None] * factors
    return Mixture(*(jnp.asarray(array, jnp.result_type(float)) for array in arrays))


def _box(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = points.min(axis=0), points.max(axis=0)
    return low, np.where(high > low, high - low, 1.0)


def _header(dim: int) -> int:
    """Bits for a size and a box, of what has no file format: 16 for each of its numbers."""
    return 16 + 32 * dim
