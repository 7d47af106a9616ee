"""Generator B: leaves along a curve, one search and one walk, in any dimension (theory, section 4)."""

import functools as ft
import math
from collections.abc import Sequence
from typing import SupportsFloat, SupportsIndex

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, DTypeLike, Int, Shaped

from .._checks import Numbers, is_traced, ramp_width, whole_number
from ..curves import AbstractCurve, PeanoCurve, check_path
from ..measures import (
    AbstractGridMeasure,
    AbstractMeasure,
    Bound,
    Boxes,
    Label,
    label_code,
    natural_generator,
    unit_roundoff,
)
from ..relu import ReLUNetwork
from ..source import Branches, QuantileTree, branches, entry, on_device, padded, unstacked
from ._axes import exchanged, longest_axis, require_known_sides
from ._exact_source import Remembered, digits_for
from ._explicit import AbstractExplicitGenerator, CellMoments, in_quanta
from ._float_limits import warn_of_network
from ._kernel import AbstractKernel
from ._leaf_network import leaf_network
from ._network_floats import Leaves, network_floats
from ._prompt_network import prompted
from ._strata import Filled, leaf_strata

# Coordinates up to which entries are picked one by one, for XLA to fuse them over samples.
_FEW = 8


class CurveGenerator(AbstractExplicitGenerator):
    """One uniform number to any law on leaves in any dimension: a quantile function, then a curve inside the leaf.

    The cells of a grid are taken in the order of the curve, other leaves in their own; u chooses the leaf by its
    quantum, and the position of u inside the leaf goes on along the curve for `extra_levels` levels more, and sweeps
    along the longest side. Time, memory and connectivity grow with the leaves, never with all cells. Theory, section 4.

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
    axes: Int[Array, "*leaves"]
    extra_levels: int = eqx.field(static=True)
    path: str = eqx.field(static=True)
    factor_bits: int = eqx.field(static=True)
    _remembered: Remembered = eqx.field(static=True, repr=False)

    def __init__(
        self,
        measure: AbstractMeasure | object,
        extra_levels: SupportsIndex | object = 2,
        path: str = "line",
        curve: AbstractCurve | object = PeanoCurve(),  # noqa: B008  (a module without fields)
        axes: SupportsIndex | Sequence[SupportsIndex] | Numbers | str | object = "auto",
    ):
        """**Arguments:**

        - `measure`: on a grid, or on leaves of any sizes; labels included.
        - `extra_levels`: s >= 0; each makes the finest cells `curve.base` times smaller.
        - `path`: through a finest cell: "line" (through the centre, along one axis), "diagonal" or "centre".
        - `curve`: the order of the cells of a grid, and the walk inside a leaf.
        - `axes`: the axis that a line runs along, one for all leaves or, where they are on no grid, `(m,)`, one for
            each leaf of `measure.counted()`. It changes places with the last axis of the curve. "auto" takes the
            longest side, which makes the certificate least (of several, to six digits, the last; the last for the
            other paths, whose certificate does not depend on it).

        **Raises:** `ValueError` for negative levels, or so many that the source would need more than 2**20 bits, an
        unknown path, and axes that are none; `TypeError` for a measure or a curve that is none.
        """
        if not isinstance(curve, AbstractCurve):
            raise TypeError(f"curve must be an AbstractCurve, such as PeanoCurve(); got {type(curve).__name__}")
        self.extra_levels, self.path, self.curve = whole_number(extra_levels, "extra_levels"), check_path(path), curve
        self.measure = in_quanta(measure)
        self.factor_bits = digits_for(self.measure, self.position_bits, "extra_levels")
        order = np.arange(self.measure.size)
        labels = None if self.measure.labels is None else np.asarray(self.measure.labels)
        running = running_axes(axes, self.path, self.measure)
        self.axes = jnp.asarray(running, jnp.int32) if is_traced(running) else on_device(np.asarray(running, np.int32))
        if isinstance(self.measure, AbstractGridMeasure):
            cells = exchanged(np.asarray(self.measure.cells), np.asarray(running))
            order = curve.argsort(cells, self._cell_levels)
            order = order if labels is None else order[np.argsort(labels[order], kind="stable")]
        self.branches = branches([order], len(order), None if labels is None else labels[order], order)
        self._remembered = Remembered(self)

    @property
    def position_bits(self) -> float:
        return self.measure.dim * self.extra_levels * math.log2(self.curve.base)

    @property
    def _cell_levels(self) -> int:
        measure = self.measure
        return self.curve.levels_for(measure.resolution) if isinstance(measure, AbstractGridMeasure) else 0

    def new_kernel(self) -> "CurveKernel":
        """The tree, the boxes, and the walk inside them."""
        levels, boxes = self._cell_levels if self.curve.heeds_levels else 0, self.measure.boxes
        return CurveKernel(self._tree, boxes, self.axes, self.curve, levels, self.extra_levels, self.path)

    def filling(self, condition: Label | None = None) -> tuple[float, float]:
        """The constants of the path inside the finest cells, of side `side / base**extra_levels`; over all leaves."""
        scale, axes = float(self.curve.base) ** -self.extra_levels, np.asarray(self.axes)
        if isinstance(self.measure, AbstractGridMeasure):
            side = exchanged(np.asarray(self.measure.cell_sides, np.float64)[None], axes)[0]
            return self.curve.filling(side * scale, self.path)
        part = self._part(condition)
        sides = exchanged(np.asarray(self.measure.sides, np.float64), axes)[part]
        sides, which = np.unique(sides, axis=0, return_inverse=True)
        weights = np.bincount(which.ravel(), self.measure._weights()[part].astype(np.float64))
        each = np.array([self.curve.filling(side * scale, self.path) for side in sides])
        w1, square = np.average(each * [1, 0] + each**2 * [0, 1], axis=0, weights=weights)
        return float(w1), math.sqrt(square)

    def cell_moments(self) -> CellMoments | None:
        """Coordinates that rest at the centre of a finest cell have a variance less by that of the finest cell."""
        if not isinstance(self.measure, AbstractGridMeasure):
            return None
        squares = np.asarray(self.measure.cell_sides, np.float64) ** 2 / 12
        fine = float(self.curve.base) ** (-2 * self.extra_levels)
        return CellMoments(float(squares @ (1 - fine * self._resting(1)[0])), True)

    def _resting(self, leaves: int) -> Bool[np.ndarray, "leaves d"]:
        """Which coordinates stand at the centre of a finest cell, in each leaf."""
        resting = np.full((leaves, self.dim), self.path != "diagonal")
        resting[:, -1] = self.path == "centre"
        return exchanged(resting, np.asarray(self.axes))

    def strata(self, n: int, condition: Label | None = None) -> Bound:
        part = np.asarray(self.branches.order)[self._part(condition)]
        measure, grid = self.measure, isinstance(self.measure, AbstractGridMeasure)
        sides = np.asarray(measure.sides, np.float64)[part]
        low = measure._host_centers()[part] - sides / 2  # pyright: ignore[reportAttributeAccessIssue]
        cells = np.asarray(measure.cells)[part] if grid else np.zeros(sides.shape, np.int32)  # pyright: ignore[reportAttributeAccessIssue]
        axes = self._each_axis()[part]
        resting = self._resting(measure.size)[part]
        filled = Filled(self.curve, self.extra_levels, exchanged(cells, axes), self._cell_levels, axes, resting)
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
        order = np.asarray(self.branches.order)
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
            axes=self._each_axis()[order],
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
        measure, order = self.measure, np.asarray(self.branches.order)
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
        moving = np.where(self._resting(len(order))[order], 0.0, sides)
        axes, runs = self._each_axis()[order], np.linalg.norm(moving, axis=1)
        leaves = Leaves(starts, counts / counts.sum(), corners, sides, axes, runs, low, whole, self.extra_levels)
        part = slice(None)
        if condition is not None:
            code = label_code(condition, self.vocabulary)
            part = slice(*(int(end) for end in measure.label_offsets[code : code + 2]))
        return network_floats(leaves, ramp_width(ramp), unit_roundoff(dtype), part)

    def _each_axis(self) -> Int[np.ndarray, " m"]:
        return np.broadcast_to(np.asarray(self.axes), (self.measure.size,))

    def _backward(self) -> np.ndarray:
        """Which coordinates of the path run backwards in each leaf, `(m, d)`."""
        if not isinstance(self.measure, AbstractGridMeasure) or (self.path == "centre" and self.extra_levels == 0):
            return np.zeros((self.measure.size, self.dim), bool)
        cells = jax.device_put(exchanged(np.asarray(self.measure.cells), np.asarray(self.axes)))
        return np.asarray(_entered(self.curve, self._cell_levels, cells))


class CurveKernel(AbstractKernel):
    """One search among leaves, and one walk inside the leaf."""

    tree: QuantileTree
    boxes: Boxes
    axes: Int[Array, "*leaves"]
    curve: AbstractCurve
    cell_levels: int = eqx.field(static=True)
    extra_levels: int = eqx.field(static=True)
    path: str = eqx.field(static=True)

    def send(self, words, code, moved):
        """Locate, then walk."""
        label, leaf, r = self.tree.locate(words[0], code, None if moved is None else moved[0])
        axis = self.axes if self.axes.ndim == 0 else entry(self.axes, leaf)
        cell = _exchange(self.boxes.cell(leaf), axis)
        inside = self.curve.walk(cell, self.cell_levels, r, self.extra_levels, jnp.result_type(float), self.path)
        return self.boxes.place(leaf, _exchange(inside, axis)), label

    def padded(self) -> "CurveKernel":
        """The same in padded arrays."""
        axes = self.axes if self.axes.ndim == 0 else padded(self.axes)
        fields = self.curve, self.cell_levels, self.extra_levels, self.path
        return CurveKernel(self.tree.padded(), self.boxes.padded(), axes, *fields)  # pyright: ignore[reportArgumentType]


def running_axes(axes: object, path: str, measure: AbstractMeasure) -> Int[np.ndarray | Array, "*leaves"]:
    """The axis that changes places with the last, one for all leaves where it is the same for all.

    **Raises:** `ValueError` for what is neither "auto", nor an axis, nor one for each leaf of no grid.
    """
    grid, dim = isinstance(measure, AbstractGridMeasure), measure.dim
    if isinstance(axes, str) and axes == "auto":
        if path != "line" or dim == 1:
            return np.array(dim - 1)
        if isinstance(measure, AbstractGridMeasure):
            require_known_sides(measure)
        elif is_traced(measure.sides):
            return jnp.asarray(longest_axis(jnp.asarray(measure.sides)))
        sides = measure.cell_sides if isinstance(measure, AbstractGridMeasure) else measure.sides
        found = np.asarray(longest_axis(np.asarray(sides, np.float64)))
    else:
        found = np.asarray(axes)
        shapes = ((),) if grid else ((), (measure.size,))
        if found.dtype.kind not in "iu" or found.shape not in shapes or np.any((found < 0) | (found >= dim)):
            each = "" if grid else f", or {measure.size} of them"
            raise ValueError(f"axes must be 'auto' or an axis, 0 to {dim - 1}{each}; got {axes!r}")
    first = found.reshape(-1)[0]
    return np.asarray(first) if np.all(found == first) else found


def _exchange(row: Shaped[Array, " d"], axis: Int[Array, ""]) -> Shaped[Array, " d"]:
    """A row with the entry of an axis in the place of the last, and the last in its."""
    k, last = jnp.arange(len(row)), len(row) - 1
    if last < _FEW:
        entries = unstacked(row)
        turned = [jnp.where(axis == i, entries[last], entries[i]) for i in range(last)]
        return jnp.stack(
            [*turned, ft.reduce(lambda x, i: jnp.where(axis == i, entries[i], x), range(last), entries[last])]
        )
    return jnp.where(k == axis, row[last], jnp.where(k == last, row[axis], row))


@eqx.filter_jit
def _entered(curve: AbstractCurve, levels: int, cells: Int[Array, "m d"]):
    digits = jnp.zeros((0, cells.shape[1]), jnp.uint32)
    return jax.vmap(lambda cell: curve.steps(digits, cell, levels)[1])(cells)


# The names of the construction with the curve that it takes by default, and for a tree, whose leaves have an order.
PeanoGenerator = TreeGenerator = CurveGenerator

natural_generator(AbstractMeasure, CurveGenerator)
