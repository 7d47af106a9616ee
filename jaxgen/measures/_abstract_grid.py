"""What the laws on the cells of a grid share: cells, a box, the density (theory, section 2)."""

from collections.abc import Sequence
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, DTypeLike, Float, Int

from .._checks import Numbers, box_corners, grid_resolution, is_traced, traced_corners
from ._abstract import AbstractMeasure
from ._boxes import Boxes
from ._build import merge_cells
from ._floats import grid_error
from ._record import Bound
from ._vocabulary import Label, as_vocabulary, label_code

AnyGridMeasure = TypeVar("AnyGridMeasure", bound="AbstractGridMeasure")


class AbstractGridMeasure(AbstractMeasure):
    """A law on a box: cells of a grid with masses, and the uniform law inside each cell.

    Only occupied cells are stored, label by label, and within a label in lexicographic order. Cell `c` spans
    `low + c * (high - low) / resolution` to `low + (c + 1) * (high - low) / resolution`. A side of zero length is
    allowed: that coordinate is constant.

    **Example:**

        >>> import jaxgen as jg
        >>> m = jg.GridMeasure.from_histogram([[1, 1], [0, 2]], high=2.0)
        >>> m.cells.tolist(), m.cell_sides.tolist(), m.centers[0].tolist()
        ([[0, 0], [0, 1], [1, 1]], [1.0, 1.0], [0.5, 0.5])
        >>> m.marginal(0).masses.tolist()
        [0.5, 0.5]
        >>> round(float(m.log_prob([1.5, 1.5])), 4)  # log(1/2)
        -0.6931
    """

    cells: eqx.AbstractVar[Int[Array, "m d"]]
    low: eqx.AbstractVar[Float[Array | np.ndarray, " d"]]
    high: eqx.AbstractVar[Float[Array | np.ndarray, " d"]]
    resolution: eqx.AbstractVar[tuple[int, ...]]

    def _rebuilt(self: AnyGridMeasure, weights: np.ndarray, **fields: Any) -> AnyGridMeasure:
        """A measure of the same kind on other cells, with weights like those of `_weights`."""
        make: Any = type(self)
        return make(fields.pop("cells"), weights, **fields)

    @property
    def dim(self) -> int:
        """Dimension d of the box."""
        return len(self.resolution)

    @property
    def cell_sides(self) -> Float[Array | np.ndarray, " d"]:
        """Side lengths of a cell, in the units of the data."""
        return (self.high - self.low) / np.asarray(self.resolution, self.low.dtype)

    @property
    def low_corners(self) -> Float[Array, "m d"]:
        """Lower corners of the occupied cells, in the units of the data."""
        return jnp.asarray(self.low + self.cells * self.cell_sides)

    @property
    def sides(self) -> Float[Array, "m d"]:
        """Side lengths of each occupied cell: all the same."""
        return jnp.broadcast_to(jnp.asarray(self.cell_sides, jnp.result_type(float)), self.cells.shape)

    @property
    def centers(self) -> Float[Array, "m d"]:
        """Centres of the occupied cells, in the units of the data."""
        return jnp.asarray(self.low + (self.cells + 0.5) * self.cell_sides)

    @property
    def boxes(self) -> Boxes:
        """Where the cells are."""
        return Boxes(self.cells, self.cell_sides, self.low)

    def log_prob(self, x: Numbers, condition: Label | None = None) -> Float[Array, ""]:
        """Logarithm of the density at one point `x`, in inverse units of the data; minus infinity outside the cells.

        With `condition`, of the conditional law of that label. For a batch use `jax.vmap`.

        **Raises:** `ValueError` for a point of the wrong shape, an unknown label, and a box without volume (which has
        no density).

        **Example:**

            >>> import jaxgen as jg
            >>> m = jg.GridMeasure.from_histogram([1, 3], high=2.0)
            >>> round(float(m.log_prob([1.5])), 4)  # log(3/4)
            -0.2877
        """
        x = jnp.asarray(x, jnp.result_type(float))
        if x.shape != (self.dim,):
            raise ValueError(f"x must be one point of shape ({self.dim},); got {x.shape}. Use jax.vmap for a batch.")
        if not isinstance(self.low, Tracer) and np.any(np.asarray(self.low) == np.asarray(self.high)):
            raise ValueError("the box has a side of zero length, so the law has no density")
        code = None if condition is None else np.int32(label_code(condition, self.vocabulary))
        return _log_density(self, x, code)

    def marginal(self: AnyGridMeasure, axes: int | Sequence[int]) -> AnyGridMeasure:
        """The law of the coordinates `axes`, in that order. Raises `ValueError` for repeated or unknown axes.

        **Example:**

            >>> import jaxgen as jg
            >>> jg.GridMeasure.from_histogram([[1, 1], [0, 2]]).marginal(1).masses.tolist()
            [0.25, 0.75]
        """
        axes = [int(axes)] if isinstance(axes, int | np.integer) else list(axes)
        if not axes or len(set(axes)) < len(axes) or not all(0 <= k < self.dim for k in axes):
            raise ValueError(f"axes must be distinct and lie between 0 and {self.dim - 1}; got {axes}")
        cells, labels = np.asarray(self.cells)[:, axes], None if self.labels is None else np.asarray(self.labels)
        cells, labels, weights = merge_cells(cells, labels, self._weights())
        return self._rebuilt(
            weights,
            cells=cells,
            low=np.asarray(self.low)[axes],
            high=np.asarray(self.high)[axes],
            resolution=tuple(self.resolution[k] for k in axes),
            labels=labels,
            vocabulary=self.vocabulary,
        )

    def given(self: AnyGridMeasure, condition: Label) -> AnyGridMeasure:
        """The conditional law of a label, as a measure without labels. Raises `ValueError` for an unknown label."""
        part = self._labels_given(condition)
        return self._rebuilt(
            self._weights()[part], cells=self.cells[part], low=self.low, high=self.high, resolution=self.resolution
        )

    def relative(self: AnyGridMeasure) -> AnyGridMeasure:
        """The measure relative to the lower corner `low` of its box, which is 0 then; what is proven of it still is."""
        return self._rebuilt(
            self._weights(),
            cells=self.cells,
            low=np.zeros(self.dim),
            high=np.asarray(self.high, np.float64) - np.asarray(self.low, np.float64),
            resolution=self.resolution,
            labels=self.labels,
            vocabulary=self.vocabulary,
            **self._kept_record(),
        )

    def float_error(
        self, relative: bool = False, dtype: DTypeLike | None = None, condition: Label | None = None
    ) -> Bound:
        low, high = np.asarray(self.low, np.float64), np.asarray(self.high, np.float64)
        error = grid_error(low, high, self.resolution, relative, dtype)
        return error, error

    def _host_centers(self) -> Float[np.ndarray, "m d"]:
        """`centers` in float64 on the host, where an operation on arrays of a new shape compiles nothing."""
        low, high = np.asarray(self.low, np.float64), np.asarray(self.high, np.float64)
        return low + (np.asarray(self.cells) + 0.5) * ((high - low) / np.asarray(self.resolution))

    def _host_weights(self) -> np.ndarray:
        """Counts, or masses in float64, as exactly as they are known."""
        return self._weights()

    def _proof_arrays(self):
        box = (np.asarray(corner, np.float64) for corner in (self.low, self.high))
        return self.cells, self._weights(), *box, *(() if self.labels is None else (self.labels,))


def canonical(cells, weights, low, high, resolution, labels, vocabulary):
    """Checks the fields of a grid measure and puts its cells in order; NumPy in, NumPy out, the box in float64.

    Raises `ValueError` naming the field that is wrong.
    """
    cells = np.asarray(cells)
    if cells.ndim != 2 or cells.shape[0] == 0 or cells.shape[1] == 0:
        raise ValueError(f"cells must have shape (m, d) with m, d >= 1; got {cells.shape}")
    if not np.issubdtype(cells.dtype, np.integer):
        raise TypeError(f"cells must be integers; got {cells.dtype}")
    m, d = cells.shape
    resolution = grid_resolution(resolution, d)
    corners: Any = traced_corners if is_traced((low, high)) else box_corners
    low, high = (corner.copy() for corner in corners(low, high, d))
    if np.any(cells < 0) or np.any(cells >= np.array(resolution)):
        raise ValueError(
            f"cells must lie between 0 and resolution - 1 = {tuple(n - 1 for n in resolution)} on every axis"
        )
    weights = np.asarray(weights)
    if weights.shape != (m,):
        raise ValueError(f"one mass a cell was expected, shape ({m},); got {weights.shape}")
    labels, vocabulary = label_fields(labels, vocabulary, m)
    merged_cells, merged_labels, merged = merge_cells(cells.astype(np.int32), labels, weights)
    if len(merged) < m:
        raise ValueError(f"cells must be distinct; {m - len(merged)} of {m} repeat an earlier one")
    return merged_cells, merged, low, high, resolution, merged_labels, vocabulary


def label_fields(labels, vocabulary, m: int):
    """Codes as int32 and the vocabulary as a tuple, or twice `None`. Raises `ValueError` where they do not fit."""
    if (labels is None) != (vocabulary is None):
        raise ValueError("labels and vocabulary go together: give both or neither")
    if labels is None:
        return None, None
    labels, vocabulary = np.asarray(labels, np.int32), as_vocabulary(vocabulary)
    if labels.shape != (m,):
        raise ValueError(f"labels must hold one code a cell, shape ({m},); got {labels.shape}")
    if not np.array_equal(np.unique(labels), np.arange(len(vocabulary or ()))):
        raise ValueError(
            f"labels must use every code from 0 to {len(vocabulary or ()) - 1}, the size of the vocabulary"
        )
    return labels, vocabulary


# Called eagerly, the search would be compiled anew at each call.
@eqx.filter_jit
def _log_density(measure: AbstractGridMeasure, x, code):
    codes = jnp.zeros(measure.masses.shape, jnp.int32) if measure.labels is None else measure.labels
    asked = jnp.arange(len(measure.vocabulary or (None,))) if code is None else code[None]
    unit = (x - measure.low) / (measure.high - measure.low)
    size = jnp.asarray(measure.resolution)
    inside = jnp.all((unit >= 0) & (unit <= 1))
    cell = jnp.clip(jnp.floor(unit * size).astype(jnp.int32), 0, size - 1)
    first, last = (jnp.searchsorted(codes, asked, side=side) for side in ("left", "right"))
    at, found = jax.vmap(lambda lo, hi: _find(measure.cells, cell, lo, hi))(first, last)
    mass = jnp.sum(jnp.where(found, measure.masses[at], 0.0))
    if code is not None:
        mass = mass / jnp.sum(jnp.where(codes == code, measure.masses, 0.0))
    return jnp.where(inside, jnp.log(mass), -jnp.inf) - jnp.sum(jnp.log(measure.cell_sides))


def _find(cells, cell, low, high):
    """Binary search for `cell` among `cells[low:high]`, in lexicographic order: its place, and whether it is there."""

    def before(at):
        other = cells[at]
        first = jnp.argmax(cell != other)
        return other[first] <= cell[first]

    def step(_, state):
        low, size = state
        half = size // 2
        here = before(low + half)
        return jnp.where(here, low + half, low), jnp.where(here, size - half, half)

    steps = max(1, int(cells.shape[0]).bit_length())
    at, _ = jax.lax.fori_loop(0, steps, step, (low, high - low))
    return at, jnp.all(cells[at] == cell)
