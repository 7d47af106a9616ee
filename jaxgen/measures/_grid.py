"""Laws on the cells of a grid, kept by the occupied ones (theory, section 2)."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from .._checks import Numbers, grid_resolution, nonnegative_weights
from ._abstract import AbstractMeasure
from ._build import density_to_grid, float_box, histogram_to_grid, image_to_grid, merge_cells, samples_to_grid
from ._record import Record
from ._vocabulary import Label, as_vocabulary, label_code

if TYPE_CHECKING:
    import jaxgen

AnyGridMeasure = TypeVar("AnyGridMeasure", bound="AbstractGridMeasure")


class AbstractGridMeasure(AbstractMeasure):
    """A law on a box: cells of a grid with masses, and the uniform law inside each cell.

    Only occupied cells are stored, label by label, and within a label in lexicographic order. Cell `c` spans
    `low + c * (high - low) / resolution` to `low + (c + 1) * (high - low) / resolution`. A side of zero length is
    allowed: that coordinate is constant.
    """

    cells: eqx.AbstractVar[Int[Array, "m d"]]
    low: eqx.AbstractVar[Float[Array, " d"]]
    high: eqx.AbstractVar[Float[Array, " d"]]
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
    def cell_sides(self) -> Float[Array, " d"]:
        """Side lengths of a cell, in the units of the data."""
        return (self.high - self.low) / jnp.asarray(self.resolution, self.low.dtype)

    @property
    def low_corners(self) -> Float[Array, "m d"]:
        """Lower corners of the occupied cells, in the units of the data."""
        return self.low + self.cells * self.cell_sides

    @property
    def sides(self) -> Float[Array, "m d"]:
        """Side lengths of each occupied cell: all the same."""
        return jnp.broadcast_to(self.cell_sides, self.cells.shape)

    @property
    def centers(self) -> Float[Array, "m d"]:
        """Centres of the occupied cells, in the units of the data."""
        return self.low + (self.cells + 0.5) * self.cell_sides

    def place(self, leaf: Int[Array, ""], inside: Float[Array, " d"]) -> Float[Array, " d"]:
        """The point of a cell at the position `inside` in [0, 1]^d."""
        return self.low + (self.cells[leaf].astype(self.low.dtype) + inside) * self.cell_sides

    def log_prob(self, x: Numbers, condition: Label | None = None) -> Float[Array, ""]:
        """Logarithm of the density at one point `x`, in inverse units of the data; minus infinity outside the cells.

        With `condition`, of the conditional law of that label. For a batch use `jax.vmap`.

        **Raises:** `ValueError` for a point of the wrong shape, an unknown label, and a box without volume (which has
        no density).
        """
        x = jnp.asarray(x, self.low.dtype)
        if x.shape != (self.dim,):
            raise ValueError(f"x must be one point of shape ({self.dim},); got {x.shape}. Use jax.vmap for a batch.")
        if not isinstance(self.low, Tracer) and np.any(np.asarray(self.low) == np.asarray(self.high)):
            raise ValueError("the box has a side of zero length, so the law has no density")
        code = None if condition is None else np.int32(label_code(condition, self.vocabulary))
        return _log_density(self, x, code)

    def marginal(self: AnyGridMeasure, axes: int | Sequence[int]) -> AnyGridMeasure:
        """The law of the coordinates `axes`, in that order. Raises `ValueError` for repeated or unknown axes."""
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

    def _host_centers(self) -> Float[np.ndarray, "m d"]:
        """`centers` in float64 on the host, where an operation on arrays of a new shape compiles nothing."""
        low, high = np.asarray(self.low, np.float64), np.asarray(self.high, np.float64)
        return low + (np.asarray(self.cells) + 0.5) * ((high - low) / np.asarray(self.resolution))

    def _proof_arrays(self):
        return self.cells, self._weights(), self.low, self.high, *(() if self.labels is None else (self.labels,))


class GridMeasure(AbstractGridMeasure):
    """A grid measure with float masses.

    Usually made by `from_samples`, `from_histogram`, `from_density` or `from_image`.

    **Example:**

        >>> import jaxgen as jg
        >>> m = jg.GridMeasure.from_samples([0.0, 0.1, 1.0, 0.9], resolution=2)
        >>> m.cells.ravel().tolist(), m.masses.tolist()
        ([0, 1], [0.5, 0.5])
    """

    cells: Int[Array, "m d"]
    masses: Float[Array, " m"]
    low: Float[Array, " d"]
    high: Float[Array, " d"]
    labels: Int[Array, " m"] | None
    resolution: tuple[int, ...] = eqx.field(static=True)
    vocabulary: tuple[Label, ...] | None = eqx.field(static=True)
    record: Record = eqx.field(static=True, repr=False)

    def __init__(
        self,
        cells: Numbers,
        masses: Numbers,
        low: Numbers,
        high: Numbers,
        resolution: Numbers,
        labels: Numbers | None = None,
        vocabulary: Sequence[Label] | None = None,
        total: int | None = None,
    ):
        """**Arguments:**

        - `cells`: `(m, d)` distinct integers; `masses`: `(m,)`, nonnegative, normalized here; `low`, `high`: numbers or
            `(d,)`; `resolution`: an integer or d of them. Cells of zero mass are dropped.
        - `labels`: `(m,)` codes into `vocabulary`, a sequence of strings or integers.
        - `total`: the number of points, where the masses are multiples of 1/total.

        **Raises:** `ValueError` for negative, NaN or infinite masses, masses that sum to zero, cells outside the grid
        or repeated, a box upside down, and labels that do not fit.
        """
        weights = nonnegative_weights(masses, "masses")
        cells, labels = np.asarray(cells), None if labels is None else np.asarray(labels)
        if weights.shape == cells.shape[:1]:
            keep = weights > 0
            cells, weights = cells[keep], weights[keep]
            labels = labels[keep] if labels is not None and labels.shape == keep.shape else labels
        cells, weights, self.low, self.high, self.resolution, codes, self.vocabulary = canonical(
            cells, weights, low, high, resolution, labels, vocabulary
        )
        # device_put, because jnp.asarray compiles a copy for each new shape.
        self.cells = jax.device_put(cells)
        self.masses = jax.device_put((weights / weights.sum()).astype(jnp.result_type(float)))
        self.labels = None if codes is None else jax.device_put(codes)
        self.record = Record(total=total)

    @classmethod
    def from_samples(
        cls,
        points: Numbers,
        resolution: Numbers,
        *,
        weights: Numbers | None = None,
        low: Numbers | None = None,
        high: Numbers | None = None,
        labels: Sequence[object] | np.ndarray | None = None,
        clip: bool = False,
    ) -> "GridMeasure":
        """The histogram of points on a grid, kept by occupied cells. Theory, section 2.

        Time and memory grow with the points and the occupied cells, not with all cells.

        **Arguments:**

        - `points`: `(N, d)`, or `(N,)` for d = 1; N >= 2. `weights`: `(N,)`, nonnegative.
        - `resolution`: cells an axis, an integer or d of them.
        - `low`, `high`: the box; by default the bounding box, whose largest point belongs to the last cell. A constant
            coordinate gives a side of zero length, and is reproduced exactly.
        - `labels`: `(N,)` strings or integers: the joint law of label and point; see `vocabulary`.
        - `clip`: move points outside a given box to its border instead of raising.

        **Raises:** `ValueError` for empty, NaN or infinite points, fewer than two, a resolution below 1, points outside
        a given box (counted), and weights or labels of the wrong length.
        """
        return cls(**samples_to_grid(points, resolution, weights, low, high, labels, clip))

    @classmethod
    def from_histogram(cls, histogram: Numbers, *, low: Numbers = 0.0, high: Numbers = 1.0) -> "GridMeasure":
        """A dense array of nonnegative masses or counts, one axis a dimension, on a box (the unit cube by default)."""
        return cls(**histogram_to_grid(histogram, low, high))

    @classmethod
    def from_density(
        cls,
        density: Callable[[Float[Array, " d"]], Any],
        resolution: Numbers,
        *,
        low: Numbers = 0.0,
        high: Numbers = 1.0,
        dim: int | None = None,
        nodes: int = 2,
    ) -> "GridMeasure":
        """The cell masses of an unnormalized density, by Gauss-Legendre quadrature with `nodes` points an axis.

        `density` takes one point of shape `(d,)` to a nonnegative scalar, in JAX operations. The dimension is that of
        `resolution`, `low` or `high`, or `dim` where all three are numbers.

        **Raises:** `ValueError` where the density is negative, NaN or infinite, or integrates to zero.
        """
        return cls(**density_to_grid(density, resolution, low, high, dim, nodes))

    @classmethod
    def from_image(cls, image: Any, *, resolution: int | None = None, invert: bool = False) -> "GridMeasure":
        """A picture as a density on the plane: brightness is mass, or darkness with `invert=True`.

        `image` is a path (PNG, JPEG, whatever Pillow reads), or an array `(height, width)` or `(height, width, 3)`.
        The first coordinate runs right and the second up; pixels are squares and the longer side has length 1.
        `resolution` is the number of cells along the longer side, by default one a pixel.

        **Raises:** `ValueError` for an unreadable or all-black picture and `FileNotFoundError` for a missing file.
        """
        return cls(**image_to_grid(image, resolution, invert))

    def quantize(self, quanta: int | object) -> "jaxgen.QuantizedMeasure":
        """The nearest K-type along the Peano curve, K = `quanta` (theory, section 8).

        Cumulative masses are rounded to multiples of 1/K, so that each of them moves by at most half a quantum; the
        result knows what that cost (`rounding_bound`). Cells left without a quantum are dropped; every label keeps at
        least one. Raises `ValueError` for quanta below 1, below the number of labels, or above 2**24.
        """
        from ._quantized import quantized

        return quantized(self, quanta)

    def counted(self) -> "jaxgen.QuantizedMeasure":
        """In quanta as fine as uint32 arithmetic allows; where the masses are counts of points, those counts."""
        from ._quantized import counted

        return counted(self)

    def _weights(self) -> np.ndarray:
        return np.asarray(self.masses)


def canonical(cells, weights, low, high, resolution, labels, vocabulary):
    """Checks the fields of a grid measure and puts its cells in order; NumPy in, NumPy out, the box as JAX arrays.

    Raises `ValueError` naming the field that is wrong.
    """
    cells = np.asarray(cells)
    if cells.ndim != 2 or cells.shape[0] == 0 or cells.shape[1] == 0:
        raise ValueError(f"cells must have shape (m, d) with m, d >= 1; got {cells.shape}")
    if not np.issubdtype(cells.dtype, np.integer):
        raise TypeError(f"cells must be integers; got {cells.dtype}")
    m, d = cells.shape
    resolution = grid_resolution(resolution, d)
    low, high = (jax.device_put(corner) for corner in float_box(low, high, d))
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
