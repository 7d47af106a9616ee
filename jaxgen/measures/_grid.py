"""Laws on the cells of a grid with float masses, and where they come from (theory, section 2)."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._checks import Numbers, is_traced, nonnegative_weights, require_numbers
from ..source import on_device
from ._abstract_grid import AbstractGridMeasure, canonical
from ._build import density_to_grid, histogram_to_grid, image_to_grid, samples_to_grid
from ._quantized import QuantizedMeasure, quantized
from ._record import Record
from ._rounding import MAX_QUANTA, added, transports
from ._traced import traced_masses
from ._vocabulary import Label


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
    low: Float[Array | np.ndarray, " d"]
    high: Float[Array | np.ndarray, " d"]
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
        record: Record | None = None,
    ):
        """**Arguments:**

        - `cells`: `(m, d)` distinct integers; `masses`: `(m,)`, nonnegative, normalized here; `low`, `high`: numbers or
            `(d,)`; `resolution`: an integer or d of them. Cells of zero mass are dropped.
        - `labels`: `(m,)` codes into `vocabulary`, a sequence of strings or integers.
        - `record`: what is known of these masses: their total, where they are counts, and how far points are from them.

        While a function is traced, `masses`, `low` and `high` may be traced, and cells of zero mass are kept. Such a
        measure has generators, samples and densities with their derivatives, and no record.

        **Raises:** `ValueError` for negative, NaN or infinite masses, masses that sum to zero, cells outside the grid
        or repeated, a box upside down, and labels that do not fit.
        """
        if is_traced((masses, low, high)):
            box = (low, high, resolution, labels, vocabulary)
            cells, place, self.low, self.high, self.resolution, codes, self.vocabulary = canonical(
                cells, np.arange(len(np.asarray(cells))), *box
            )
            self.cells, self.labels = on_device(cells), None if codes is None else on_device(codes)
            self.masses, self.record = traced_masses(masses, len(place))[place], Record()
            return
        weights = nonnegative_weights(masses, "masses")
        cells, labels = np.asarray(cells), None if labels is None else np.asarray(labels)
        if weights.shape == cells.shape[:1]:
            keep = weights > 0
            cells, weights = cells[keep], weights[keep]
            labels = labels[keep] if labels is not None and labels.shape == keep.shape else labels
        cells, weights, self.low, self.high, self.resolution, codes, self.vocabulary = canonical(
            cells, weights, low, high, resolution, labels, vocabulary
        )
        self.cells = on_device(cells)
        self.masses = on_device((weights / weights.sum()).astype(jnp.result_type(float)))
        self.labels = None if codes is None else on_device(codes)
        self.record = Record() if record is None else record
        if self.record.bounds:
            self.record = self._stored(weights).of(*self._proof_arrays())

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
        box_bits: int | None = None,
    ) -> "GridMeasure":
        """The histogram of points on a grid, kept by occupied cells. Theory, section 2.

        Time and memory grow with the points and the occupied cells, not with all cells.

        **Arguments:**

        - `points`: `(N, d)`, or `(N,)` for d = 1; N >= 2. `weights`: `(N,)`, nonnegative.
        - `resolution`: cells an axis, an integer or d of them.
        - `low`, `high`: the box; by default the bounding box, whose largest point belongs to the last cell, rounded
            outwards to float32 where that makes it wider by no more than 2**-16. A constant coordinate gives a side of
            zero length, and is reproduced exactly, to its last bit as a float of the type that comes out.
        - `labels`: `(N,)` strings or integers: the joint law of label and point; see `vocabulary`.
        - `clip`: move points outside a given box to its border instead of raising.
        - `box_bits`: round the bounding box outwards to so many bits of its sides (`short_box`), instead of to float32.

        **Raises:** `ValueError` for empty, NaN or infinite points, fewer than two, a resolution below 1, points outside
        a given box (counted), and weights or labels of the wrong length.

        **Example:**

            >>> import jaxgen as jg
            >>> points = [[0.0, 0.0], [1.0, 1.0], [1.0, 0.9]]
            >>> m = jg.GridMeasure.from_samples(points, 4, labels=["a", "b", "b"])
            >>> m.cells.tolist(), m.vocabulary, m.given("b").masses.tolist()
            ([[0, 0], [3, 3]], ('a', 'b'), [1.0])
        """
        return cls(**samples_to_grid(points, resolution, weights, low, high, labels, clip, box_bits))

    @classmethod
    def from_chunks(
        cls, chunks: Iterable[Any], resolution: Numbers, *, low: Numbers, high: Numbers, labels: bool = False
    ) -> "GridMeasure":
        """The histogram of points that come in chunks, in one pass, to the last bit that of `from_samples`.

        Memory is that of a chunk and of the occupied cells. Of parts of the data, counted in several places, add the
        `measures.CellCounts`.

        **Arguments:**

        - `chunks`: an iterable of points, `(n, d)` or `(n,)` for d = 1, of any n each; empty ones add nothing.
        - `resolution`, `low`, `high`: as for `from_samples`; the box must be given.
        - `labels`: whether each chunk is a pair `(points, labels)` instead, with `(n,)` strings or integers.

        **Raises:** as `measures.CellCounts.from_chunks`, naming the chunk.

        **Example:**

            >>> import jaxgen as jg, numpy as np
            >>> chunks = (np.random.default_rng(seed).random((1000, 2)) for seed in range(10))
            >>> jg.GridMeasure.from_chunks(chunks, 16, low=0.0, high=1.0).counted().quanta
            10000
        """
        from ._cell_counts import CellCounts

        return CellCounts.from_chunks(chunks, resolution, low=low, high=high, labels=labels).grid()

    @classmethod
    def from_histogram(cls, histogram: Numbers, *, low: Numbers = 0.0, high: Numbers = 1.0) -> "GridMeasure":
        """A dense array of nonnegative masses or counts, one axis a dimension, on a box (the unit cube by default).

        **Example:**

            >>> import jaxgen as jg
            >>> jg.GridMeasure.from_histogram([1, 2, 1], low=0.0, high=3.0).mean().tolist()
            [1.5]
        """
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

        **Example:**

            >>> import jaxgen as jg
            >>> m = jg.GridMeasure.from_density(lambda x: x[0], 2, dim=1)  # the density 2 x on [0, 1]
            >>> m.masses.tolist()
            [0.25, 0.75]
        """
        return cls(**density_to_grid(density, resolution, low, high, dim, nodes))

    @classmethod
    def from_image(cls, image: Any, *, resolution: int | None = None, invert: bool = False) -> "GridMeasure":
        """A picture as a density on the plane: brightness is mass, or darkness with `invert=True`.

        `image` is a path (PNG, JPEG, whatever Pillow reads), or an array `(height, width)` or `(height, width, 3)`.
        The first coordinate runs right and the second up; pixels are squares and the longer side has length 1.
        `resolution` is the number of cells along the longer side, by default one a pixel.

        **Raises:** `ValueError` for an unreadable or all-black picture and `FileNotFoundError` for a missing file.

        **Example:**

            >>> import numpy as np, jaxgen as jg
            >>> m = jg.GridMeasure.from_image(np.array([[0, 255], [0, 0]]))  # the top right pixel is bright
            >>> m.cells.tolist()
            [[1, 1]]
        """
        return cls(**image_to_grid(image, resolution, invert))

    def quantize(self, quanta: int | object) -> QuantizedMeasure:
        """The nearest K-type along the Peano curve, K = `quanta` (theory, section 8).

        Cumulative masses are rounded to multiples of 1/K, so that each of them moves by at most half a quantum; the
        result knows what that cost (`rounding_bound`). Cells left without a quantum are dropped; every label keeps at
        least one. Raises `ValueError` for quanta below 1, below the number of labels, or above 2**24.

        **Example:**

            >>> import jaxgen as jg
            >>> q = jg.GridMeasure.from_histogram([0.2, 0.3, 0.5]).quantize(10)
            >>> q.counts.tolist()
            [2, 3, 5]
        """
        return quantized(self, quanta)

    def counted(self) -> QuantizedMeasure:
        """In quanta as fine as uint32 arithmetic allows; where the masses are counts of points, those counts.

        **Example:**

            >>> import jaxgen as jg
            >>> jg.GridMeasure.from_samples([0.0, 0.1, 1.0], resolution=2).counted().counts.tolist()
            [2, 1]
        """
        whole = self._host_weights()
        if np.issubdtype(whole.dtype, np.integer):
            box, labels = (self.low, self.high, self.resolution), (self.labels, self.vocabulary)
            record = self.record if self.unchanged else None
            return QuantizedMeasure(self.cells, whole, *box, *labels, record)
        return quantized(self, MAX_QUANTA)

    def _stored(self, weights: np.ndarray) -> Record:
        """What is known of the masses as floats. Counts are known exactly; other weights move by their last bit."""
        record = self.record
        if "points" not in record.bounds or np.issubdtype(self._host_weights().dtype, np.integer):
            return record
        exact, stored = (np.append(0.0, np.cumsum(mass, dtype=np.float64)) for mass in (weights, self._weights()))
        moved = transports(self._host_centers(), exact / exact[-1], stored / stored[-1], self.label_offsets)
        bounds = {**record.bounds, "points": added(record.bounds["points"], moved[0])}
        labels = dict(record.label_bounds)
        if "points" in labels:
            labels["points"] = tuple(map(added, labels["points"], moved[1]))
        return Record(bounds, labels, record.total, saved=record.saved)

    def _weights(self) -> np.ndarray:
        require_numbers(self, "what was asked for")
        return np.asarray(self.masses)

    def _host_weights(self) -> np.ndarray:
        """The counts of points, where the masses are those; the masses in float64 else."""
        masses, total = self._weights().astype(np.float64), self.record.total
        if total is not None and total <= MAX_QUANTA:
            counts = masses * total
            whole = np.rint(counts).astype(np.int64)
            # Parameters that were trained since are no longer counts; float32 alone moves a count by 1e-7 of itself.
            if np.all(np.abs(counts - whole) <= 1e-6 * counts + 1e-6) and whole.min() >= 1 and whole.sum() == total:
                return whole
        return masses
