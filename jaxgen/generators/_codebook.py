"""Generator D: N atoms, the law on them a staircase in one uniform number (theory, section 6)."""

import math
from typing import SupportsFloat, SupportsIndex

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, DTypeLike, Float, PRNGKeyArray, UInt32

from .._checks import finite_points, is_traced, ramp_width, whole_number
from ..curves import PeanoCurve
from ..measures import (
    MAX_QUANTA,
    AbstractGridMeasure,
    AbstractLeafMeasure,
    Bound,
    Boxes,
    Label,
    LeafMeasure,
    QuantizedLeafMeasure,
    Record,
    added,
    curve_transport,
    unit_roundoff,
)
from ..relu import ReLUNetwork
from ..source import Branches, QuantileTree, branches
from ._exact_source import Remembered, digits_for
from ._explicit import AbstractExplicitGenerator, CellMoments, on_a_grid
from ._float_limits import warn_of_network
from ._kernel import AbstractKernel
from ._leaf_network import leaf_network
from ._network_floats import Leaves, network_floats
from ._quantizer import quantizer
from ._strata import leaf_strata


class CodebookGenerator(AbstractExplicitGenerator):
    """One uniform number to any law on N atoms in R^d, in whole quanta, exactly: leaves with sides of zero length.

    No law on N points is nearer to a measure than its best codebook, which `from_samples` and `from_measure` look for.
    The atoms are kept in the order of the Peano curve of their bounding box, so that nearby u give nearby points.

    - `measure`: the atoms as leaves; what is proven about their distance to what they stand for is in its record.

    **Example:**

        >>> import jaxgen as jg
        >>> g = jg.CodebookGenerator([[0.0], [1.0], [3.0]], [1, 2, 1])
        >>> [g(u).tolist() for u in (0.2, 0.5, 0.9)]
        [[0.0], [1.0], [3.0]]
    """

    measure: AbstractLeafMeasure
    branches: Branches
    factor_bits: int = eqx.field(static=True)
    _remembered: Remembered = eqx.field(static=True, repr=False)

    def __init__(
        self,
        atoms: ArrayLike | object,
        masses: ArrayLike | object | None = None,
        quantization: Bound = (0.0, 0.0),
        rounding: Bound = (0.0, 0.0),
        points: Bound | None = None,
    ):
        """**Arguments:**

        - `atoms`: `(N, d)`, or `(N,)` for d = 1; duplicates allowed.
        - `masses`: `(N,)`. Integers are counts, kept as they are; they may sum to 2**24 at most. Positive floats are
            divided by their sum and rounded, cumulatively along the curve, to multiples of 2**-24; atoms left without a
            quantum are dropped. By default all masses are equal, exactly.
        - `quantization`, `rounding`: bounds on W_1 and W_2 to what the atoms and masses were made from, if anything;
            `points`: to the points behind that, before any rounding, if there were any.

        **Raises:** `ValueError` for atoms that are empty or not finite, masses of the wrong shape, not finite or not
        positive, and counts with a sum above 2**24; `TypeError` for anything but numbers.
        """
        if is_traced((atoms, masses)):
            self.measure = _traced_atoms(atoms, masses)
        else:
            self.measure = _atoms(atoms, masses, quantization, rounding, points)
        self.factor_bits = digits_for(self.measure, 0.0, "masses")
        self.branches = branches([np.arange(self.measure.size)], self.measure.size)
        self._remembered = Remembered(self)

    @classmethod
    def from_samples(
        cls,
        points: ArrayLike | object,
        n_atoms: SupportsIndex | object,
        *,
        key: PRNGKeyArray,
        weights: ArrayLike | object | None = None,
        restarts: SupportsIndex | object = 4,
        max_steps: SupportsIndex | object = 500,
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

        **Example:**

            >>> import jax, jaxgen as jg
            >>> g = jg.CodebookGenerator.from_samples([0.0, 0.2, 3.0, 3.2], 2, key=jax.random.key(0))
            >>> [round(float(a), 4) for a in g.atoms[:, 0]], round(g.error, 4)
            ([0.1, 3.1], 0.1)
        """
        points = finite_points(points).astype(np.float64)
        if weights is None:
            weights = np.ones(len(points), np.int64)
        search = (n_atoms, key, restarts, max_steps)
        return cls._fitted(points, _check_weights(weights, len(points)), 0.0, search, near=(0.0, 0.0))

    @classmethod
    def from_measure(
        cls,
        measure: AbstractGridMeasure | object,
        n_atoms: SupportsIndex | object,
        *,
        key: PRNGKeyArray,
        restarts: SupportsIndex | object = 4,
        max_steps: SupportsIndex | object = 500,
    ) -> "CodebookGenerator":
        """The codebook nearest to a grid measure in W_2, as far as local search finds it; labels are left out.

        Whole cells are assigned to the atom nearest to their centre, so `n_atoms` is at most the number of occupied
        cells, and should be small against it: `error` includes the variance within cells, `sum(sides**2) / 12`. Float
        masses are rounded to quanta first, as for every generator.
        Arguments and errors as in `from_samples`; `TypeError` for a measure that is none.

        **Example:**

            >>> import jax, jaxgen as jg
            >>> m = jg.GridMeasure.from_histogram([1, 1, 0, 0, 1, 1], high=6.0)
            >>> jg.CodebookGenerator.from_measure(m, 2, key=jax.random.key(0)).atoms.tolist()
            [[1.0], [5.0]]
        """
        measure = on_a_grid(measure)
        low, sides = np.asarray(measure.low, np.float64), np.asarray(measure.cell_sides, np.float64)
        centers = low + (np.asarray(measure.cells) + 0.5) * sides
        counts, inside = measure._weights().astype(np.int64), float(sides @ sides) / 12
        rounding = measure.proven("rounding")
        if rounding is None:
            raise ValueError("the arrays of this measure were changed since it was rounded: build it anew")
        near = measure.proven("points")
        return cls._fitted(centers, counts, inside, (n_atoms, key, restarts, max_steps), rounding, near)

    @classmethod
    def _fitted(cls, points, weights, inside, search, rounding=(0.0, 0.0), near=None):
        """`inside`: the variance of the source around each point; `near`: how far its own points are from these."""
        n_atoms, key, restarts, max_steps = search
        n_atoms, restarts = whole_number(n_atoms, "n_atoms"), whole_number(restarts, "restarts", 1)
        max_steps = whole_number(max_steps, "max_steps", 1)
        order = PeanoCurve().order(points)
        order = order[weights[order] > 0]
        points, weights = points[order], weights[order]
        atoms, owner = quantizer(points, weights, n_atoms, key, restarts, max_steps)
        # Sums of counts are exact in float64. An atom that rounding has left without points is left out.
        masses = np.bincount(owner, weights, len(atoms))
        used = np.flatnonzero(masses)
        atoms, masses, owner = atoms[used], masses[used], np.searchsorted(used, owner)
        if np.issubdtype(weights.dtype, np.integer) and masses.sum() <= MAX_QUANTA:
            masses = masses.astype(np.int64)
        atoms = _short(atoms, points)
        # Let X follow the source and a(X) be the atom of its point: a coupling, whatever the assignment. The squares of
        # the distances to the point and from the point add, as the source has its mean there; so first moments are
        # bounded cell by cell by the root of that sum.
        square = np.sum((points - atoms[owner]) ** 2, axis=1)
        to_atoms, quantization = (
            (float(np.average(np.sqrt(s), weights=weights)), math.sqrt(np.average(s, weights=weights)))
            for s in (square, square + inside)
        )
        return cls(atoms, masses, quantization, rounding, None if near is None else added(near, to_atoms))

    @property
    def atoms(self) -> Float[Array | np.ndarray, "n dim"]:
        """The atoms, in the units of the data."""
        return self.measure.low_corners

    @property
    def counts(self) -> UInt32[Array, " n"]:
        """The quanta of each atom."""
        return self.measure.counts  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def quanta(self) -> int:
        """The sum of the counts."""
        return self.measure.quanta  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def masses(self) -> Float[Array, " n"]:
        """Masses of the atoms, counts / quanta."""
        return self.measure.masses

    def trainable(self) -> "CodebookGenerator":
        """Which leaves are parameters, as a filter: the atoms."""
        return eqx.tree_at(lambda g: g.measure.low_corners, jax.tree.map(lambda _: False, self), True)

    @property
    def error(self) -> float:
        """Root mean squared distance of the source, if there is one, to its atoms, in units of the data.

        **Raises:** `ValueError` where the atoms or counts were changed since.
        """
        bound = self.measure.proven("quantization")
        if bound is None:
            raise ValueError("the atoms were changed since they were fitted: their error is not known")
        return bound[1]

    @property
    def position_bits(self) -> float:
        return 0.0

    def new_kernel(self) -> "CodebookKernel":
        """The tree and the atoms."""
        return CodebookKernel(self._tree, self.measure.boxes)

    def filling(self, condition: Label | None = None) -> Bound:
        """Zero: the law is that of the atoms."""
        return 0.0, 0.0

    def strata(self, n: int, condition: Label | None = None) -> Bound:
        atoms = np.asarray(self.atoms, np.float64)
        return leaf_strata(self.measure._weights(), atoms, np.zeros_like(atoms), n)

    def cell_moments(self) -> CellMoments:
        """Atoms have no spread."""
        return CellMoments(0.0, True)

    def _construction(self, condition: Label | None) -> dict[str, Bound | None]:
        """From the atoms to what they were made from."""
        return {"quantization": self.measure.proven("quantization", condition)}

    def _ramp_cost(self, ramp: SupportsFloat) -> Bound:
        """What the ramps add to W_1 and W_2, network and generator at the same u.

        The ramp that leads to atom i takes `ramp p_i`, the beginning of its own stretch, so that no two overlap. Across
        it a jump by r is off by r (1 - t), t uniform: `ramp p_i |r| / 2` and `ramp p_i |r|^2 / 3`.
        """
        ramp = ramp_width(ramp)
        rises = np.linalg.norm(np.diff(np.asarray(self.atoms, np.float64), axis=0), axis=1)
        masses = np.asarray(self.counts, np.float64)[1:] / self.quanta
        return float(ramp * (masses @ rises) / 2), math.sqrt(float(ramp * (masses @ rises**2) / 3))

    def ramp_measure(self, ramp: SupportsFloat) -> float:
        """A bound on the measure of the u for which `network(ramp)` differs from the generator."""
        return ramp_width(ramp) if self.measure.size > 1 else 0.0

    def network_floats(
        self, ramp: SupportsFloat, relative: bool, dtype: DTypeLike | None, condition: Label | None
    ) -> Bound | None:
        """What evaluating `network(ramp)` in floats adds to W_1 and W_2 (theory, section 9)."""
        atoms, counts = np.asarray(self.atoms, np.float64), np.asarray(self.counts, np.float64)
        low = atoms.min(axis=0)
        starts, masses = (np.cumsum(counts) - counts) / self.quanta, counts / self.quanta
        corners, origin = atoms - low, np.zeros_like(low) if relative else low
        axes, runs = np.zeros(len(atoms), np.int32), np.zeros(len(atoms))
        leaves = Leaves(starts, masses, corners, np.zeros_like(atoms), axes, runs, origin, None, 0)
        return network_floats(leaves, ramp_width(ramp), unit_roundoff(dtype), slice(None))

    def network(self, ramp: SupportsFloat = 2.0**-20) -> ReLUNetwork:
        """The same map as a ReLU network of u: a staircase, with a ramp in the first `ramp` of each atom's stretch.

        Depth 3, width N - 1, connectivity at most `(N - 1) (d + 4) + d`; equal neighbours share a step. Jumps are
        placed, and the heights between them summed, in the float type of the weights.

        **Raises:** `ValueError` for a ramp outside (0, 1).
        """
        ramp, low = ramp_width(ramp), np.asarray(self.measure.low, np.float64)
        warn_of_network(self)
        counts, corners = np.asarray(self.counts, np.float64), np.asarray(self.atoms, np.float64) - low
        return leaf_network(
            counts=counts, corners=corners, sides=np.zeros_like(corners), axes=np.zeros(len(corners), np.int32),
            backward=np.zeros(corners.shape, bool),
            path=None, top=1, low=low, unit=np.ones(self.dim), ramp=ramp,
        )  # fmt: skip


def _atoms(atoms, masses, quantization, rounding, points) -> QuantizedLeafMeasure:
    """Atoms along the curve of their bounding box, in quanta, with what is proven about them."""
    stored, dtype = finite_points(atoms, "atoms").astype(np.float64), jnp.result_type(float)
    with np.errstate(over="ignore"):
        if not np.isfinite(stored.astype(dtype)).all():
            raise ValueError(f"atoms reach {np.abs(stored).max():g}, too large for {dtype}")
    weights = _check_masses(masses, len(stored))
    order = PeanoCurve().order(stored)
    stored, weights = stored[order], weights[order]
    if np.issubdtype(weights.dtype, np.integer):
        counts = weights
    else:
        cdf = np.concatenate([[0.0], np.cumsum(weights / weights.max())])
        cdf /= cdf[-1]
        edges = np.rint(MAX_QUANTA * cdf).astype(np.int64)
        counts = np.diff(edges)
        moved = curve_transport(stored, cdf, edges / MAX_QUANTA)
        rounding = (rounding[0] + moved[0], rounding[1] + moved[1])
        stored, counts = stored[counts > 0], counts[counts > 0]
    bounds = {"quantization": quantization, "rounding": rounding}
    bounds = {name: bound for name, bound in bounds.items() if any(bound)}
    record = Record(bounds if points is None else bounds | {"points": points})
    return QuantizedLeafMeasure(stored, np.zeros_like(stored), counts, record=record)


class CodebookKernel(AbstractKernel):
    """One search among atoms."""

    tree: QuantileTree
    boxes: Boxes

    def send(self, words, code, moved):
        """Locate; the place is the atom."""
        label, leaf, _ = self.tree.locate(words[0], code)
        return self.boxes.place(leaf, jnp.zeros(self.boxes.dim)), label

    def padded(self) -> "CodebookKernel":
        """The same in padded arrays."""
        return CodebookKernel(self.tree.padded(), self.boxes.padded())


def _traced_atoms(atoms, masses) -> LeafMeasure:
    """Atoms whose places or masses are traced: along the curve, where the places are known, else in their order."""
    if is_traced(atoms):
        atoms = jnp.asarray(atoms, jnp.result_type(float))
        order = np.arange(len(atoms))
    else:
        atoms = finite_points(atoms, "atoms").astype(np.float64)
        order = PeanoCurve().order(atoms)
    weights = jnp.ones(len(order)) if masses is None else jnp.asarray(masses, jnp.result_type(float))
    return LeafMeasure(atoms[order], 0.0, weights[order])


def _short(atoms: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The atoms in float32, half as long in a file, where that moves none by a thousandth of their distances."""
    near = atoms.astype(np.float32).astype(np.float64)
    moved = np.sqrt(np.sum((near - atoms) ** 2, axis=1).max())
    apart = np.linalg.norm(np.ptp(points, axis=0)) * len(atoms) ** (-1 / atoms.shape[1])
    return near if 1024 * moved <= apart else atoms


def _check_weights(weights: ArrayLike | object, n: int) -> np.ndarray:
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


def _check_masses(masses: ArrayLike | object | None, n: int) -> np.ndarray:
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
    if whole and (total := masses.sum(dtype=np.float64)) > MAX_QUANTA:
        raise ValueError(
            f"masses, as counts, sum to {total:.0f}; at most 2**24 quanta are possible. Give them as floats."
        )
    return masses
