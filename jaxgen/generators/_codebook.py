"""Generator D: N atoms, the law on them a staircase in one uniform number (theory, section 6)."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

from ..curves import Residual, limb_bits, peano_argsort, scale, to_limbs
from ..measures import AbstractGridMeasure, check_points, curve_transport
from ..relu import ReLUNetwork, affine
from ._base import AbstractGenerator, Certificate, exact_words, point_at
from ._grid import as_quanta, bits_needed, check_ramp, whole_number
from ._labels import Label
from ._layers import staircase
from ._quantizer import quantizer
from ._tree import QuantileTree, build_tree

# As many quanta as uint32 arithmetic allows.
_MAX_QUANTA = 1 << 24
# Digits of the curve that are worth having, and levels that fit int32: 3**40 cells tell any atoms apart.
_DIGITS, _MAX_LEVELS = 40, 19


class CodebookGenerator(AbstractGenerator):
    """One uniform number to any law on N atoms in R^d, in whole quanta, exactly.

    No law on N points is nearer to a measure than its best codebook, which `from_samples` and `from_measure` look for.
    The atoms are kept in the order of the Peano curve of their bounding box, so that nearby u give nearby points.

    - `atoms`: `(N, d)`, in the units of the data; `counts`: `(N,)`, their quanta; `quanta`: the sum of the counts.
    - `quantization`: bounds on W_1 and W_2 between the law and the measure that the atoms stand for; `rounding`: the
      same for the rounding of its masses to quanta.
    - `source_bits`, `float_bits`: bits of u for the lightest atom, and for the lightest of 99 % of the mass.
    """

    atoms: Float[Array, "n dim"]
    counts: UInt32[Array, " n"]
    tree: QuantileTree
    quanta: int = eqx.field(static=True)
    quantization: tuple[float, float] = eqx.field(static=True)
    rounding: tuple[float, float] = eqx.field(static=True)
    source_bits: int = eqx.field(static=True)
    float_bits: int = eqx.field(static=True)
    source_dim: int = eqx.field(static=True)
    vocabulary: tuple[Label, ...] | None = eqx.field(static=True)

    def __init__(
        self,
        atoms: Any,
        masses: Any = None,
        quantization: tuple[float, float] = (0.0, 0.0),
        rounding: tuple[float, float] = (0.0, 0.0),
    ):
        """- `atoms`: `(N, d)`, or `(N,)` for d = 1; duplicates allowed.
        - `masses`: `(N,)`. Integers are counts, kept as they are; they may sum to 2**24 at most. Positive floats are
          divided by their sum and rounded, cumulatively along the curve, to multiples of 2**-24; atoms left without a
          quantum are dropped. By default all masses are equal, exactly.
        - `quantization`, `rounding`: bounds on W_1 and W_2 to what the atoms and masses were made from, if anything.

        Raises `ValueError` for atoms that are empty or not finite, masses of the wrong shape, not finite or not
        positive, and counts with a sum above 2**24; `TypeError` for anything but numbers.
        """
        atoms = check_points(atoms, "atoms").astype(np.float64)
        # What is stored is what is sorted, rounded and certified.
        with np.errstate(over="ignore"):
            stored = atoms.astype(jnp.result_type(float))
        if not np.isfinite(stored).all():
            raise ValueError(f"atoms reach {np.abs(atoms).max():g}, too large for {stored.dtype}")
        weights = _check_masses(masses, len(atoms))
        order = curve_order(stored)
        stored, weights = stored[order], weights[order]
        if np.issubdtype(weights.dtype, np.integer):
            counts = weights
        else:
            cdf = np.concatenate([[0.0], np.cumsum(weights / weights.max())])
            cdf /= cdf[-1]
            edges = np.rint(_MAX_QUANTA * cdf).astype(np.int64)
            counts = np.diff(edges)
            moved = curve_transport(stored.astype(np.float64), cdf, edges / _MAX_QUANTA)
            rounding = (rounding[0] + moved[0], rounding[1] + moved[1])
            stored, counts = stored[counts > 0], counts[counts > 0]
        self.atoms = jax.device_put(stored)
        self.counts = jnp.array(counts.astype(np.uint32))
        self.tree = build_tree([np.arange(len(counts))], counts)
        self.quanta = int(counts.sum())
        self.quantization = (float(quantization[0]), float(quantization[1]))
        self.rounding = (float(rounding[0]), float(rounding[1]))
        self.source_bits, self.float_bits = bits_needed(counts, self.quanta, 0.0, "masses")
        self.source_dim, self.vocabulary = 1, None

    @classmethod
    def from_samples(
        cls,
        points: Any,
        n_atoms: int,
        *,
        key: PRNGKeyArray,
        weights: Any = None,
        restarts: int = 4,
        max_steps: int = 500,
    ) -> "CodebookGenerator":
        """The codebook nearest to points in W_2, as far as local search finds it.

        - `points`: `(M, d)`, or `(M,)` for d = 1. `weights`: `(M,)`, nonnegative; equal by default, and then the masses
          are exact for M <= 2**24.
        - `n_atoms`: N, at most the number of distinct points of positive weight.
        - `restarts`: the first start is deterministic, the others are drawn with `key`; the best result is kept.
        - `max_steps`: steps of each of the two searches, L-BFGS and then k-means, a start; each step finds the nearest
          atom of every point.

        `error` is the root mean squared distance of the points to their atoms, a proven bound on W_2 between points
        and codebook. Raises `ValueError` for points that are empty or not finite, wrong weights, and n_atoms or
        restarts out of range. Theory, section 6.
        """
        points = check_points(points).astype(np.float64)
        if weights is None:
            weights = np.ones(len(points), np.int64)
        return cls._fitted(points, _check_weights(weights, len(points)), 0.0, n_atoms, key, restarts, max_steps)

    @classmethod
    def from_measure(
        cls,
        measure: AbstractGridMeasure,
        n_atoms: int,
        *,
        key: PRNGKeyArray,
        restarts: int = 4,
        max_steps: int = 500,
    ) -> "CodebookGenerator":
        """The codebook nearest to a grid measure in W_2, as far as local search finds it; labels are left out.

        Whole cells are assigned to the atom nearest to their centre, so `n_atoms` is at most the number of occupied
        cells, and should be small against it: `error` includes the variance within cells, `sum(sides**2) / 12`. Float
        masses are rounded to quanta first, as for every generator.
        Arguments and errors as in `from_samples`; `TypeError` for a measure that is none.
        """
        measure = as_quanta(measure)
        low, sides = np.asarray(measure.low, np.float64), np.asarray(measure.cell_sides, np.float64)
        centers = low + (np.asarray(measure.cells) + 0.5) * sides
        counts, inside = np.asarray(measure.counts, np.int64), float(sides @ sides) / 12
        return cls._fitted(centers, counts, inside, n_atoms, key, restarts, max_steps, measure.rounding)

    @classmethod
    def _fitted(cls, points, weights, inside, n_atoms, key, restarts, max_steps, rounding=(0.0, 0.0)):
        """`inside`: the variance of the source around each point."""
        n_atoms, restarts = whole_number(n_atoms, "n_atoms"), whole_number(restarts, "restarts")
        max_steps = whole_number(max_steps, "max_steps")
        if restarts < 1 or max_steps < 1:
            raise ValueError(f"restarts and max_steps must be at least 1; got {restarts} and {max_steps}")
        order = curve_order(points)
        order = order[weights[order] > 0]
        points, weights = points[order], weights[order]
        atoms, owner = quantizer(points, weights, n_atoms, key, restarts, max_steps)
        # Sums of counts are exact in float64. An atom that rounding has left without points is left out.
        masses = np.bincount(owner, weights, len(atoms))
        used = np.flatnonzero(masses)
        atoms, masses, owner = atoms[used], masses[used], np.searchsorted(used, owner)
        if np.issubdtype(weights.dtype, np.integer) and masses.sum() <= _MAX_QUANTA:
            masses = masses.astype(np.int64)
        # Let X follow the source and a(X) be the atom of its point: a coupling, whatever the assignment. The squares of
        # the distances to the point and from the point add, as the source has its mean there; so first moments are
        # bounded cell by cell by the root of that sum.
        stored = atoms.astype(jnp.result_type(float)).astype(np.float64)
        square = np.sum((points - stored[owner]) ** 2, axis=1) + inside
        w1, w2 = np.average(np.sqrt(square), weights=weights), math.sqrt(np.average(square, weights=weights))
        return cls(atoms, masses, quantization=(w1, w2), rounding=rounding)

    @property
    def dim(self) -> int:
        """Dimension of the points."""
        return self.atoms.shape[1]

    @property
    def masses(self) -> Float[Array, " n"]:
        """Masses of the atoms, counts / quanta."""
        return self.counts.astype(self.atoms.dtype) / self.quanta

    @property
    def error(self) -> float:
        """Root mean squared distance of the source, if there is one, to its atoms, in units of the data."""
        return self.quantization[1]

    def __call__(self, u: Any, condition: Label | None = None) -> Float[Array, " dim"]:
        """The atom that one source value is sent to, shape `(dim,)`.

        `u` is a float in [0, 1], read exactly; or, with every bit the law needs, a fixed-point fraction: uint32 words,
        most significant first, shape `(words,)` or `(1, words)`.

        Raises `ValueError` for a wrong shape, any condition (a codebook has no labels), and a float type with fewer
        bits than resolve the law; a runtime error for u outside [0, 1].
        """
        return point_at(self, exact_words(self, u), self._code(condition))

    def _push(
        self, words: UInt32[Array, "source_dim words"], code: Int[Array, ""] | None
    ) -> tuple[Float[Array, " dim"], Int[Array, ""]]:
        bits, one, root = limb_bits(self.quanta), jnp.ones((), jnp.uint32), jnp.zeros((), jnp.int32)
        quantum, r = scale(Residual(0 * one, to_limbs(words[0], bits), one), self.quanta, bits)
        node, _ = self.tree.descend(root, Residual(quantum, r.limbs, one))
        return self.atoms[self.tree.value[node]], root

    def certificate(self, ramp: float | None = None) -> Certificate:
        """A proven bound on W_1 and W_2 between the law and the measure the codebook was made from.

        With `ramp`, between the law of `network(ramp)` and that measure. Without a measure, to the atoms with the
        masses that were given.
        """
        parts = {"quantization": self.quantization, "rounding": self.rounding}
        if ramp is not None:
            parts["ramps"] = self._ramp_cost(check_ramp(ramp))
        w1, w2 = (float(sum(part[p] for part in parts.values())) for p in range(2))
        return Certificate(w1, w2, parts, "the parts are added")

    def _jumps(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the staircase jumps, and by how much: `(jumps,)`, `(jumps, d)`."""
        starts = np.cumsum(np.asarray(self.counts, np.int64))[:-1] / self.quanta
        rises = np.diff(np.asarray(self.atoms, np.float64), axis=0)
        real = np.any(rises != 0, axis=1)
        return starts[real], rises[real]

    def _ramp_cost(self, ramp: float) -> tuple[float, float]:
        """What the ramps add to W_1 and W_2, network and generator at the same u.

        Across its ramp a jump by r is off by r (1 - t), t uniform: `ramp |r| / 2` and `ramp |r|^2 / 3`. Where up to m
        ramps overlap, `|sum of m vectors|^2 <= m * (sum of squares)`. The network never leaves the convex hull of the
        atoms, so that `wrong^(1/p) diameter` is a bound too (theory, section 6).
        """
        starts, rises = self._jumps()
        if not len(starts):
            return 0.0, 0.0
        atoms = np.asarray(self.atoms, np.float64)
        diameter = float(np.linalg.norm(np.ptp(atoms, axis=0)))
        wrong = self.ramp_measure(ramp)
        size = np.linalg.norm(rises, axis=1)
        overlap = (np.arange(len(starts)) - np.searchsorted(starts, starts - ramp, side="right")).max() + 1
        w1, square = ramp * size.sum() / 2, overlap * ramp * float(size @ size) / 3
        return float(min(w1, wrong * diameter)), min(math.sqrt(square), math.sqrt(wrong) * diameter)

    def ramp_measure(self, ramp: float) -> float:
        """A bound on the measure of the u for which `network(ramp)` differs from the generator: one ramp a jump."""
        return min(1.0, len(self._jumps()[0]) * check_ramp(ramp))

    def network(self, ramp: float = 2.0**-20) -> ReLUNetwork:
        """The same map as a ReLU network of u: a staircase whose jumps are ramps of width `ramp`.

        Depth 3, width N - 1, connectivity at most `(N - 1) (d + 4) + d`; equal neighbours share a step. Jumps are
        placed, and the heights between them summed, in the float type of the weights. Raises `ValueError` for a ramp
        outside (0, 1).
        """
        ramp = check_ramp(ramp)
        starts, rises = self._jumps()
        first = np.asarray(self.atoms[0], np.float64)
        if not len(starts):
            return affine(np.zeros((self.dim, 1)), first)
        return staircase(starts, np.zeros(len(starts)), rises, ramp, first)


def curve_order(points: Float[np.ndarray, "n d"]) -> Int[np.ndarray, " n"]:
    """The order of points along the Peano curve of their bounding box."""
    if points.shape[1] == 1:
        return np.argsort(points[:, 0], kind="stable")
    low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
    side = np.where(high > low, high - low, 1.0)
    levels = min(_MAX_LEVELS, max(2, -(-_DIGITS // points.shape[1])))
    cells = np.clip(((points - low) / side * 3**levels).astype(np.int64), 0, 3**levels - 1)
    return peano_argsort(cells, levels)


def _check_weights(weights: Any, n: int) -> np.ndarray:
    """Nonnegative weights with a positive sum, int64 or float64."""
    weights = np.asarray(weights)
    whole = np.issubdtype(weights.dtype, np.integer)
    if not whole and not np.issubdtype(weights.dtype, np.floating):
        raise TypeError(f"weights must be real numbers; got dtype {weights.dtype}")
    if weights.shape != (n,):
        raise ValueError(f"weights must have one entry a point, shape ({n},); got {weights.shape}")
    weights = weights.astype(np.int64 if whole else np.float64)
    if not np.all(np.isfinite(weights)) or weights.min() < 0 or weights.max() == 0:
        raise ValueError(f"weights must be finite, nonnegative and not all zero; the smallest is {weights.min()}")
    return weights if whole else weights / weights.max()


def _check_masses(masses: Any, n: int) -> np.ndarray:
    """Positive masses: int64 counts with a sum of at most 2**24, or float64."""
    masses = np.ones(n, np.int64) if masses is None else np.asarray(masses)
    whole = np.issubdtype(masses.dtype, np.integer)
    if not whole and not np.issubdtype(masses.dtype, np.floating):
        raise TypeError(f"masses must be integer counts or floats; got dtype {masses.dtype}")
    if masses.shape != (n,):
        raise ValueError(f"masses must have one entry an atom, shape ({n},); got {masses.shape}")
    masses = masses.astype(np.int64 if whole else np.float64)
    if not np.all(np.isfinite(masses)) or masses.min() <= 0:
        raise ValueError(f"masses must be finite and positive; the smallest is {masses.min()}. Leave out empty atoms.")
    if whole and (total := masses.sum(dtype=np.float64)) > _MAX_QUANTA:
        raise ValueError(
            f"masses, as counts, sum to {total:.0f}; at most 2**24 quanta are possible. Give them as floats."
        )
    return masses
