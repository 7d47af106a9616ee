"""Generator B: leaves along a curve, one search and one walk, in any dimension (theory, section 4)."""

import math
from typing import SupportsFloat, SupportsIndex

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, DTypeLike, Float, Int, UInt32

from .._checks import ramp_width, whole_number
from ..curves import AbstractCurve, PeanoCurve, check_path
from ..measures import (
    AbstractGridMeasure,
    AbstractMeasure,
    Bound,
    Label,
    label_code,
    natural_generator,
    unit_roundoff,
)
from ..relu import ReLUNetwork
from ..source import Branches, branches
from ._exact_source import Needs, digits_for
from ._explicit import AbstractExplicitGenerator, CellMoments, in_quanta
from ._float_limits import warn_of_network
from ._leaf_network import leaf_network
from ._network_floats import Leaves, network_floats
from ._prompt_network import prompted
from ._strata import Filled, leaf_strata


class CurveGenerator(AbstractExplicitGenerator):
    """One uniform number to any law on leaves in any dimension: a quantile function, then a curve inside the leaf.

    The cells of a grid are taken in the order of the curve, other leaves in their own; u chooses the leaf by its
    quantum, and the position of u inside the leaf goes on along the curve for `extra_levels` levels more. Time, memory
    and connectivity grow with the leaves, never with all cells. Theory, section 4.

    `PeanoGenerator` is its name for the curve that it takes by default.

    **Example:**

        >>> import jax, jaxgen as jg
        >>> m = jg.GridMeasure.from_histogram([[1, 2], [0, 1]])
        >>> g = jg.PeanoGenerator(m, extra_levels=3)
        >>> g.sample(jax.random.key(0), 4).shape, g.source_dim
        ((4, 2), 1)
        >>> round(g.certificate().w2, 5)  # eta / sqrt(12), eta = 1/2 / 3**3
        0.00535
        >>> hilbert = jg.CurveGenerator(m, curve=jg.HilbertCurve())
    """

    measure: AbstractMeasure
    branches: Branches
    curve: AbstractCurve
    extra_levels: int = eqx.field(static=True)
    path: str = eqx.field(static=True)
    digit_bits: int = eqx.field(static=True)
    _needs: Needs = eqx.field(static=True, repr=False)

    def __init__(
        self,
        measure: AbstractMeasure | object,
        extra_levels: SupportsIndex | object = 2,
        path: str = "line",
        curve: AbstractCurve | object = PeanoCurve(),  # noqa: B008  (a module without fields)
    ):
        """**Arguments:**

        - `measure`: on a grid, or on leaves of any sizes; labels included.
        - `extra_levels`: s >= 0; each makes the finest cells `curve.base` times smaller.
        - `path`: through a finest cell: "line" (through the centre, along the last axis), "diagonal" or "centre".
        - `curve`: the order of the cells of a grid, and the walk inside a leaf.

        **Raises:** `ValueError` for negative levels, or so many that the source would need more than 2**20 bits, and an
        unknown path; `TypeError` for a measure or a curve that is none.
        """
        if not isinstance(curve, AbstractCurve):
            raise TypeError(f"curve must be an AbstractCurve, such as PeanoCurve(); got {type(curve).__name__}")
        self.extra_levels, self.path, self.curve = whole_number(extra_levels, "extra_levels"), check_path(path), curve
        self.measure = in_quanta(measure)
        self.digit_bits = digits_for(self.measure, self.position_bits, "extra_levels")
        order = np.arange(self.measure.size)
        labels = None if self.measure.labels is None else np.asarray(self.measure.labels)
        if isinstance(self.measure, AbstractGridMeasure):
            order = curve.argsort(np.asarray(self.measure.cells), self._cell_levels)
            order = order if labels is None else order[np.argsort(labels[order], kind="stable")]
        self.branches = branches([order], len(order), None if labels is None else labels[order])
        self._needs = Needs(self)

    @property
    def position_bits(self) -> float:
        return self.measure.dim * self.extra_levels * math.log2(self.curve.base)

    @property
    def _order(self) -> Int[Array, " m"]:
        return self.branches.value[self.branches.offsets[-2] :]

    @property
    def _cell_levels(self) -> int:
        measure = self.measure
        return self.curve.levels_for(measure.resolution) if isinstance(measure, AbstractGridMeasure) else 0

    def push(
        self, words: UInt32[Array, "source_dim words"], code: Int[Array, ""] | None
    ) -> tuple[Float[Array, " dim"], Int[Array, ""]]:
        """Locate, then place."""
        label, leaf, r = self._tree.locate(words[0], code)
        measure, cell = self.measure, jnp.zeros((self.dim,), jnp.int32)
        if isinstance(measure, AbstractGridMeasure):
            cell = measure.cells[leaf]
        inside = self.curve.walk(cell, self._cell_levels, r, self.extra_levels, jnp.result_type(float), self.path)
        return measure.place(leaf, inside), label

    def filling(self, condition: Label | None = None) -> tuple[float, float]:
        """The constants of the path inside the finest cells, of side `side / base**extra_levels`; over all leaves."""
        scale = float(self.curve.base) ** -self.extra_levels
        if isinstance(self.measure, AbstractGridMeasure):
            return self.curve.filling(np.asarray(self.measure.cell_sides, np.float64) * scale, self.path)
        part = self._part(condition)
        sides, which = np.unique(np.asarray(self.measure.sides, np.float64)[part], axis=0, return_inverse=True)
        weights = np.bincount(which.ravel(), self.measure._weights()[part].astype(np.float64))
        each = np.array([self.curve.filling(side * scale, self.path) for side in sides])
        w1, square = np.average(each * [1, 0] + each**2 * [0, 1], axis=0, weights=weights)
        return float(w1), math.sqrt(square)

    def cell_moments(self) -> CellMoments | None:
        """Coordinates that rest at the centre of a finest cell have a variance less by that of the finest cell."""
        if not isinstance(self.measure, AbstractGridMeasure):
            return None
        squares = np.asarray(self.measure.cell_sides, np.float64) ** 2 / 12
        resting = self._resting
        fine = float(self.curve.base) ** (-2 * self.extra_levels)
        return CellMoments(float(squares @ (1 - fine * resting)), True)

    @property
    def _resting(self) -> np.ndarray:
        """Which coordinates stand at the centre of a finest cell."""
        resting = np.full(self.dim, self.path != "diagonal")
        resting[-1] = self.path == "centre"
        return resting

    def strata(self, n: int, condition: Label | None = None) -> Bound:
        part = np.asarray(self._order)[self._part(condition)]
        measure, grid = self.measure, isinstance(self.measure, AbstractGridMeasure)
        sides = np.asarray(measure.sides, np.float64)[part]
        low = measure._host_centers()[part] - sides / 2  # pyright: ignore[reportAttributeAccessIssue]
        cells = np.asarray(measure.cells)[part] if grid else np.zeros(sides.shape, np.int32)  # pyright: ignore[reportAttributeAccessIssue]
        filled = Filled(self.curve, self.extra_levels, cells, self._cell_levels, self._resting)
        return leaf_strata(measure._weights()[part], low, sides, n, filled)

    def ramp_measure(self, ramp: SupportsFloat) -> float:
        """A bound on the measure of the u for which `network(ramp)` differs from the generator.

        The ramps that find a leaf take the share `ramp` at either end of it; inside, each of the waves of the curve
        spends the share `2 ramp / base` in ramps.
        """
        ramp = ramp_width(ramp)
        waves = self.dim * self.extra_levels
        return min(1.0, ramp * ((2 if self.measure.size > 1 else 0) + 2 * waves / self.curve.base))

    def network(self, ramp: SupportsFloat = 2.0**-20) -> ReLUNetwork:
        """The same map as a ReLU network: staircases from u to the corner of the leaf, then the curve inside the leaf.

        With labels the input is `(one-hot label, u)`, else `u`. Depth `O(d s)`, connectivity `O(d m + (d s)^2)` for m
        leaves and s = `extra_levels`; all weights are of ordinary size, in any dimension.

        A `UserWarning` says, and names what would fit, where the float type has fewer bits than resolve the law.

        **Raises:** `ValueError` for a ramp outside (0, 1), and where a weight would overflow the float type;
        `NotImplementedError` for extra levels of a curve that has no network.
        """
        ramp, measure = ramp_width(ramp), self.measure
        warn_of_network(self)
        order = np.asarray(self._order)
        counts = measure._weights().astype(np.float64)[order]
        grid = isinstance(measure, AbstractGridMeasure)
        low = np.asarray(measure.low, np.float64)  # pyright: ignore[reportAttributeAccessIssue]
        corners = np.asarray(measure.cells if grid else measure.low_corners, np.float64)[order]
        sides = np.ones_like(corners) if grid else np.asarray(measure.sides, np.float64)[order]
        # At the centre of its leaf the point does not depend on where in it u is.
        resting = self.extra_levels == 0 and self.path == "centre"
        atoms = resting or (not grid and not np.any(sides))
        corners = (corners if grid else corners - low) + (sides / 2 if resting else 0)
        network = leaf_network(
            counts=counts,
            corners=corners,
            sides=sides,
            backward=self._backward()[order],
            path=None if atoms else self.curve.network(self.dim, self.extra_levels, math.ceil(1 / ramp), self.path),
            top=self.curve.base**self.extra_levels,
            low=low,
            unit=np.asarray(measure.cell_sides, np.float64) if grid else np.ones(self.dim),
            ramp=ramp,
        )
        return network if self.vocabulary is None else prompted(network, measure.label_masses)

    def network_floats(
        self, ramp: SupportsFloat, relative: bool, dtype: DTypeLike | None, condition: Label | None
    ) -> Bound | None:
        """What evaluating `network(ramp)` in floats adds to W_1 and W_2 (theory, section 9)."""
        if self.extra_levels and not isinstance(self.curve, PeanoCurve):
            return None
        measure, order = self.measure, np.asarray(self._order)
        if relative:
            measure = measure.relative()
        counts = measure._weights().astype(np.float64)[order]
        low = np.asarray(measure.low, np.float64)  # pyright: ignore[reportAttributeAccessIssue]
        whole = np.asarray(measure.cell_sides, np.float64) if isinstance(measure, AbstractGridMeasure) else None
        if whole is None:
            corners, sides = (np.asarray(a, np.float64)[order] for a in (measure.low_corners, measure.sides))
            corners = corners - low
        else:
            corners = np.asarray(measure.cells)[order] * whole  # pyright: ignore[reportAttributeAccessIssue]
            sides = np.broadcast_to(whole, corners.shape)
        starts = (np.cumsum(counts) - counts) / counts.sum()
        leaves = Leaves(starts, counts / counts.sum(), corners, sides, low, whole, self.extra_levels)
        part = slice(None)
        if condition is not None:
            code = label_code(condition, self.vocabulary)
            part = slice(*(int(end) for end in measure.label_offsets[code : code + 2]))
        return network_floats(leaves, ramp_width(ramp), unit_roundoff(dtype), part)

    def _backward(self) -> np.ndarray:
        """Which coordinates run backwards in each leaf, `(m, d)`."""
        if not isinstance(self.measure, AbstractGridMeasure) or (self.path == "centre" and self.extra_levels == 0):
            return np.zeros((self.measure.size, self.dim), bool)
        return np.asarray(_entered(self.curve, self._cell_levels, self.measure.cells))


@eqx.filter_jit
def _entered(curve: AbstractCurve, levels: int, cells: Int[Array, "m d"]):
    digits = jnp.zeros((0, cells.shape[1]), jnp.uint32)
    return jax.vmap(lambda cell: curve.steps(digits, cell, levels)[1])(cells)


# The names of the construction with the curve that it takes by default, and for a tree, whose leaves have an order.
PeanoGenerator = TreeGenerator = CurveGenerator

natural_generator(AbstractMeasure, CurveGenerator)
