"""Grid measures with float masses, and where they come from."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ._abstract import AbstractGridMeasure, Label, canonical
from ._box import check_weights
from ._build import density_to_grid, histogram_to_grid, image_to_grid, samples_to_grid
from ._quantized import QuantizedMeasure, quantize_masses


class GridMeasure(AbstractGridMeasure):
    """A grid measure with float masses, which are differentiable parameters.

    Usually made by `from_samples`, `from_histogram`, `from_density` or `from_image`. `total` is the number of points
    when the masses are multiples of 1/total, and `None` when nothing of the kind is known.
    """

    cells: Int[Array, "m d"]
    masses: Float[Array, " m"]
    low: Float[Array, " d"]
    high: Float[Array, " d"]
    labels: Int[Array, " m"] | None
    resolution: tuple[int, ...] = eqx.field(static=True)
    vocabulary: tuple[Label, ...] | None = eqx.field(static=True)
    total: int | None = eqx.field(static=True)

    def __init__(self, cells, masses, low, high, resolution, labels=None, vocabulary=None, total=None):
        """Checks the fields and sorts the cells.

        - `cells`: `(m, d)` distinct integers; `masses`: `(m,)`, positive, normalized here; `low`, `high`: numbers or
          `(d,)`; `resolution`: an integer or d of them.
        - `labels`: `(m,)` codes into `vocabulary`, a sequence of strings or integers.

        Raises `ValueError` for negative, NaN or infinite masses, masses that sum to zero, cells outside the grid or
        repeated, a box upside down, and labels that do not fit. Cells of zero mass are dropped.
        """
        masses = check_weights(masses, "masses")
        cells, labels = np.asarray(cells), None if labels is None else np.asarray(labels)
        if masses.shape == cells.shape[:1]:
            keep = masses > 0
            cells, masses = cells[keep], masses[keep]
            labels = labels[keep] if labels is not None and labels.shape == keep.shape else labels
        cells, masses, low, high, resolution, labels, vocabulary = canonical(
            cells, masses, low, high, resolution, labels, vocabulary
        )
        # device_put, because jnp.asarray compiles a copy for each new shape.
        self.cells = jax.device_put(cells)
        self.masses = jax.device_put((masses / masses.sum()).astype(jnp.result_type(float)))
        self.low, self.high = low, high
        self.labels = None if labels is None else jax.device_put(labels)
        self.resolution, self.vocabulary, self.total = resolution, vocabulary, total

    @classmethod
    def from_samples(
        cls,
        points: Any,
        resolution: int | Sequence[int],
        *,
        weights: Any = None,
        low: Any = None,
        high: Any = None,
        labels: Any = None,
        clip: bool = False,
    ) -> "GridMeasure":
        """The histogram of points on a grid, kept by occupied cells.

        - `points`: `(N, d)`, or `(N,)` for d = 1; N >= 2. `weights`: `(N,)`, nonnegative.
        - `resolution`: cells an axis, an integer or d of them.
        - `low`, `high`: the box; by default the bounding box, whose largest point belongs to the last cell. A constant
          coordinate gives a side of zero length, and is reproduced exactly.
        - `labels`: `(N,)` strings or integers: the joint law of label and point; see `vocabulary`.
        - `clip`: move points outside a given box to its border instead of raising.

        Time and memory grow with the points and the occupied cells, not with all cells. Raises `ValueError` for empty,
        NaN or infinite points, fewer than two, a resolution below 1, points outside a given box (counted), and weights
        or labels of the wrong length. Theory, section 2.
        """
        return cls(**samples_to_grid(points, resolution, weights, low, high, labels, clip))

    @classmethod
    def from_histogram(cls, histogram: Any, *, low: Any = 0.0, high: Any = 1.0) -> "GridMeasure":
        """A dense array of nonnegative masses or counts, one axis a dimension, on a box (the unit cube by default)."""
        return cls(**histogram_to_grid(histogram, low, high))

    @classmethod
    def from_density(
        cls,
        density: Callable[[Float[Array, " d"]], Any],
        resolution: int | Sequence[int],
        *,
        low: Any = 0.0,
        high: Any = 1.0,
        dim: int | None = None,
        nodes: int = 2,
    ) -> "GridMeasure":
        """The cell masses of an unnormalized density, by Gauss-Legendre quadrature with `nodes` points an axis.

        `density` takes one point of shape `(d,)` to a nonnegative scalar, in JAX operations. The dimension is that of
        `resolution`, `low` or `high`, or `dim` where all three are numbers. Raises `ValueError` where the density is
        negative, NaN or infinite, or integrates to zero.
        """
        return cls(**density_to_grid(density, resolution, low, high, dim, nodes))

    @classmethod
    def from_image(cls, image: Any, *, resolution: int | None = None, invert: bool = False) -> "GridMeasure":
        """A picture as a density on the plane: brightness is mass, or darkness with `invert=True`.

        `image` is a path (PNG, JPEG, whatever Pillow reads), or an array `(height, width)` or `(height, width, 3)`.
        The first coordinate runs right and the second up; pixels are squares and the longer side has length 1.
        `resolution` is the number of cells along the longer side, by default one a pixel. Raises `ValueError` for an
        unreadable or all-black picture and `FileNotFoundError` for a missing file.
        """
        return cls(**image_to_grid(image, resolution, invert))

    def quantize(self, quanta: int) -> QuantizedMeasure:
        """The nearest K-type along the curve, K = `quanta` (theory, section 8).

        Cumulative masses are rounded to multiples of 1/K, so that each of them moves by at most half a quantum; the
        result knows what that cost (`rounding_bound`). Cells left without a quantum are dropped; every label keeps at
        least one. Raises `ValueError` for quanta below 1, below the number of labels, or above 2**24.
        """
        return quantize_masses(self, quanta)

    def _weights(self):
        return np.asarray(self.masses)

    def _rebuilt(self, weights, **fields):
        return GridMeasure(masses=weights, **fields)
