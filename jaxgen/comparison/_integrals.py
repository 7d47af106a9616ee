"""How fast integrals converge: points of one uniform number against scrambled Sobol points (theory, section 4)."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from ..data import Dataset
from ..generators import IndependentGenerator, PeanoGenerator
from ..measures import GridMeasure, QuantizedMeasure
from ..source import stratum_words
from ._records import IntegralError, Integrals
from ._settings import Settings

_MAX_DIM = 16
_KEYS = 32
# Finest cells in a standard deviation, at least.
_FINE = 1000.0
INTEGRANDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "smooth": np.cos,
    "rough": np.abs,
    "indicator": lambda z: (z > 0).astype(np.float64),
}


class Ridges(NamedTuple):
    """Functions of z = (s - shift) / scale, s = direction . x, one of each integrand for each key.

    One direction or another suits each way to choose points, and so does a border between cells: both are drawn.

    - `direction`: `(keys, d)`, of -1, 0 and 1, in units of cells. `scale`: the standard deviation of s under the law.
    - `shift`: the mean of s, and up to one standard deviation more or less.
    """

    direction: Int[np.ndarray, "keys d"]
    shift: Float[np.ndarray, " keys"]
    scale: Float[np.ndarray, " keys"]


def integrals(train: Dataset, settings: Settings) -> Integrals:
    """The error of integrals against the number of points, for the law of the training points on the grid."""
    if not settings.integrals:
        return Integrals()
    if train.labels is not None:
        return Integrals(absent="with labels there is a law for each")
    law = in_cells(GridMeasure.from_samples(train.points, settings.resolution).counted())
    if law is None:
        return Integrals(absent="all points are the same")
    if law.dim > _MAX_DIM:
        return Integrals(absent=f"{law.dim} coordinates are more than {_MAX_DIM}")
    rng = np.random.default_rng(settings.seed)
    ridges = random_ridges(law, _KEYS, rng)
    exact, errors = exact_integrals(law, ridges), []
    for points, sums in _sums(law, ridges, settings, rng).items():
        z = [(each - ridges.shift[:, None]) / ridges.scale[:, None] for each in sums]
        for integrand, f in INTEGRANDS.items():
            squares = [(f(each).mean(axis=1) - exact[integrand]) ** 2 for each in z]
            errors.append(_error(integrand, points, law.dim, settings.integrals, squares))
    return Integrals(settings.integrals, _KEYS, law.dim, tuple(errors))


def _error(
    integrand: str, points: str, dim: int, sizes: tuple[int, ...], squares: Sequence[Float[np.ndarray, " keys"]]
) -> IntegralError:
    means = np.array([each.mean() for each in squares])
    # sqrt(m) moves by dm / (2 m) of itself.
    moved = squares[-1].std(ddof=1) / math.sqrt(len(squares[-1]))
    uncertainty = float(moved / (2 * means[-1])) if means[-1] else 0.0
    rmse, slope = np.sqrt(means), _slope(np.array(sizes), np.sqrt(means))
    return IntegralError(
        integrand, points, tuple(rmse.tolist()), uncertainty, slope, theoretical_slope(points, integrand, dim)
    )


def _slope(sizes: np.ndarray, rmse: np.ndarray) -> float:
    """By least squares; `nan` where fewer than two errors are positive."""
    some = rmse > 0
    return float(np.polyfit(np.log(sizes[some]), np.log(rmse[some]), 1)[0]) if some.sum() > 1 else math.nan


def in_cells(measure: QuantizedMeasure) -> QuantizedMeasure | None:
    """The law in units of cells, without the coordinates that do not vary; `None` where none does."""
    varying = np.flatnonzero(np.asarray(measure.high) > np.asarray(measure.low))
    resolution = tuple(measure.resolution[k] for k in varying)
    if not resolution:
        return None
    return QuantizedMeasure(np.asarray(measure.cells)[:, varying], measure.counts, 0.0, resolution, resolution)


def random_ridges(law: QuantizedMeasure, keys: int, rng: np.random.Generator) -> Ridges:
    """Directions from those of the axes to those of all diagonals, and borders within a standard deviation."""
    direction = rng.integers(-1, 2, size=(keys, law.dim))
    still = ~direction.any(axis=1)
    direction[still, rng.integers(law.dim, size=still.sum())] = 1
    centres, masses = _centres(law, direction), _masses(law)
    mean = masses @ centres
    scale = np.sqrt(masses @ (centres - mean) ** 2 + (direction**2).sum(axis=1) / 12)
    return Ridges(direction, mean + scale * rng.uniform(-1, 1, keys), scale)


def _masses(law: QuantizedMeasure) -> Float[np.ndarray, " m"]:
    counts = np.asarray(law.counts, np.float64)
    return counts / counts.sum()


def _centres(law: QuantizedMeasure, direction: Int[np.ndarray, "keys d"]) -> Float[np.ndarray, "m keys"]:
    return (np.asarray(law.cells) + 0.5) @ direction.T


def exact_integrals(law: QuantizedMeasure, ridges: Ridges) -> dict[str, Float[np.ndarray, " keys"]]:
    """In closed form, cell by cell: inside a cell s is its centre plus a sum S of k independent numbers, uniform on
    [-1/2, 1/2], for a direction with k coordinates that are not 0.

    The density of S + k/2 is the cardinal B-spline on [0, k]. By symmetry P(S + c > 0) is its antiderivative at
    c + k/2, and E(S + c)_+ the second one. |x| = 2 x_+ - x, and E cos(w(S + c)) = cos(wc) (sin(w/2) / (w/2))^k.
    """
    from scipy.interpolate import BSpline

    masses, offsets = _masses(law), _centres(law, ridges.direction) - ridges.shift
    found = {name: np.empty(len(ridges.scale)) for name in INTEGRANDS}
    for i, scale in enumerate(ridges.scale):
        k, offset = int(np.abs(ridges.direction[i]).sum()), offsets[:, i]
        density, at = BSpline.basis_element(np.arange(k + 1.0)), np.clip(offset + k / 2, 0, k)
        positive_part = density.antiderivative(2)(at) + np.maximum(offset - k / 2, 0)
        # numpy.sinc(x) is sin(pi x) / (pi x).
        found["smooth"][i] = masses @ np.cos(offset / scale) * np.sinc(0.5 / (np.pi * scale)) ** k
        found["rough"][i] = masses @ (2 * positive_part - offset) / scale
        found["indicator"][i] = masses @ density.antiderivative(1)(at)
    return found


def _sums(
    law: QuantizedMeasure, ridges: Ridges, settings: Settings, rng: np.random.Generator
) -> dict[str, list[Float[np.ndarray, "keys n"]]]:
    """direction . x of n points, for each key and each n, by each of the ways to choose points."""
    sizes, most, keys = settings.integrals, max(settings.integrals), len(ridges.scale)
    # A coordinate rests at the centres of finest cells, which a border may pass by: that is to be no part of the error.
    deep = math.ceil(math.log(_FINE / ridges.scale.min(), 3))
    generator = PeanoGenerator(law, max(settings.extra_levels, deep))
    levels = next(k for k in range(16) if 3**k >= most)
    every = np.arange(most)
    order = np.stack([scrambled_order(rng, levels)[:most] for _ in range(keys)])
    # Of i.i.d. points the only stratum is [0, 1): all points with one source are drawn by one program.
    strata = [(0 * every, 1), (order, 3**levels), *((every[:n], n) for n in sizes)]
    ranks = np.concatenate([np.broadcast_to(rank, (keys, rank.shape[-1])) for rank, _ in strata], axis=1)
    totals = np.concatenate([np.full(rank.shape[-1], total) for rank, total in strata])
    words = rng.integers(1 << 32, size=(*ranks.shape, generator.source_words), dtype=np.uint32)
    drawn = _along(generator.kernel(), ridges.direction, words, ranks.astype(np.uint32), totals.astype(np.uint32))
    cuts = np.cumsum([rank.shape[-1] for rank, _ in strata])[:-1]
    iid, extensible, *stratified = np.split(np.asarray(drawn, np.float64), cuts, axis=1)
    independent = IndependentGenerator(law)
    points = np.stack([rosenblatt_inverse(independent, _sobol(law.dim, most, each)) for each in rng.spawn(keys)])
    sobol = np.einsum("knd,kd->kn", points, ridges.direction)

    def first(values: np.ndarray) -> list[np.ndarray]:
        return [values[:, :n] for n in sizes]

    return {"i.i.d.": first(iid), "stratified": stratified, "extensible": first(extensible), "Sobol": first(sobol)}


@eqx.filter_jit
def _along(
    kernel: Any,
    direction: Int[Array | np.ndarray, "keys d"],
    words: UInt32[Array | np.ndarray, "keys n words"],
    rank: UInt32[Array | np.ndarray, "keys n"],
    total: UInt32[Array | np.ndarray, " n"],
) -> Float[Array, "keys n"]:
    """direction . x, x the point at a place, given by words, in the stratum `[rank/total, (rank + 1)/total)`."""

    def one(direction, words, rank, total):
        return jnp.sum(direction * kernel.push(stratum_words(rank, total, words)[None], None)[0])

    return jax.vmap(jax.vmap(one, (None, 0, 0, 0)), (0, 0, 0, None))(direction, words, rank, total)


def rosenblatt_inverse(generator: IndependentGenerator, u: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """The map of the generator, in units of cells, on the host: to compile it would take longer than all its points."""
    tree, counts = generator.branches, np.asarray(generator.measure.counts)
    begin, value = np.asarray(tree.begin), np.asarray(tree.value)
    edges = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    start, mass = edges[begin], edges[np.asarray(tree.end)] - edges[begin]
    at, within = np.zeros(len(u)), np.full(len(u), edges[-1], np.float64)
    x = np.empty_like(u)
    for k in range(generator.dim):
        level = tree.level(k + 1)
        quantum = at + u[:, k] * within
        node = np.searchsorted(start[level], quantum, side="right") - 1
        at, within = start[level][node], mass[level][node]
        x[:, k] = value[level][node] + (quantum - at) / within
    return x


def scrambled_order(rng: np.random.Generator, levels: int) -> Int[np.ndarray, " n"]:
    """Which of the 3^levels strata each of the first 3^levels points of the van der Corput sequence is in.

    Digits are permuted by nested scrambling: each by a permutation of its own for all digits before it. A uniform place
    in its stratum is what the permutations of all further digits make of it.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.comparison._integrals import scrambled_order
        >>> order = scrambled_order(np.random.default_rng(0), 2)
        >>> sorted(order.tolist()), sorted((order[3:6] // 3).tolist())  # three in a row are in different thirds
        ([0, 1, 2, 3, 4, 5, 6, 7, 8], [0, 1, 2])
    """
    order = np.zeros(1, np.int64)
    for _ in range(levels):
        # Point i + 3^k c has the digits of i, and then c.
        digits = rng.permuted(np.tile(np.arange(3)[:, None], len(order)), axis=0)
        order = (3 * order + digits).ravel()
    return order


def _sobol(dim: int, n: int, rng: np.random.Generator) -> Float[np.ndarray, "n d"]:
    from scipy.stats.qmc import Sobol

    return Sobol(dim, rng=rng).random(n)


def theoretical_slope(points: str, integrand: str, dim: int) -> float | None:
    """Of the logarithm of the error by that of the number of points (theory, section 4); `None` for Sobol points.

    **Example:**

        >>> from jaxgen.comparison._integrals import theoretical_slope
        >>> [theoretical_slope("stratified", what, 2) for what in ("smooth", "rough", "indicator")]
        [-1.0, -1.0, -0.75]
    """
    gain = 1 / (2 * dim) if integrand == "indicator" else 1 / dim
    slopes = {"i.i.d.": -0.5, "stratified": -0.5 - gain, "extensible": max(-1.0, -0.5 - gain)}
    return slopes.get(points)
