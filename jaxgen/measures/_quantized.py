"""Grid measures in quanta: integer counts that sum to K, so that everything downstream is exact (theory, section 8)."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from .._checks import Numbers
from ..curves import PeanoCurve
from ..source import on_device
from ._abstract_grid import AbstractGridMeasure, canonical
from ._record import Record
from ._rounding import MAX_QUANTA, round_masses
from ._vocabulary import Label


class QuantizedMeasure(AbstractGridMeasure):
    """A K-type: each occupied cell holds a whole number of quanta 1/K. Exact, encodable, and what generators run on.

    **Example:**

        >>> import jaxgen as jg
        >>> q = jg.GridMeasure.from_histogram([0.2, 0.3, 0.5]).quantize(4)
        >>> q.counts.tolist(), q.quanta, round(q.rounding_bound(1), 4)
        ([1, 1, 2], 4, 0.0167)
    """

    cells: Int[Array, "m d"]
    counts: UInt32[Array, " m"]
    low: Float[Array | np.ndarray, " d"]
    high: Float[Array | np.ndarray, " d"]
    labels: Int[Array, " m"] | None
    resolution: tuple[int, ...] = eqx.field(static=True)
    vocabulary: tuple[Label, ...] | None = eqx.field(static=True)
    record: Record = eqx.field(static=True, repr=False)

    def __init__(
        self,
        cells: Numbers,
        counts: Numbers,
        low: Numbers,
        high: Numbers,
        resolution: Numbers,
        labels: Numbers | None = None,
        vocabulary: Sequence[Label] | None = None,
        record: Record | None = None,
    ):
        """**Arguments:**

        - `cells`: `(m, d)` distinct integers; `counts`: `(m,)` integers >= 1 with a sum of at most 2**24; `low`,
            `high`, `resolution`, `labels`, `vocabulary` as for `GridMeasure`.
        - `record`: what is proven about these counts: a bound called "rounding" to the masses they were rounded from.

        **Raises:** `ValueError` for a field that is wrong, by name, and `TypeError` for counts that are not integers.
        """
        whole = as_counts(counts)
        cells, whole, self.low, self.high, self.resolution, codes, self.vocabulary = canonical(
            cells, whole, low, high, resolution, labels, vocabulary
        )
        self.cells, self.counts = on_device(cells), on_device(whole.astype(np.uint32))
        self.labels = None if codes is None else on_device(codes)
        self.record = (Record() if record is None else record).of(*self._proof_arrays())

    @property
    def quanta(self) -> int:
        """K, the sum of the counts. Not under `jit`."""
        return int(np.asarray(self.counts).sum(dtype=np.int64))

    @property
    def masses(self) -> Float[Array, " m"]:
        """Masses of the cells, counts / quanta."""
        return masses_of(self.counts)

    def quantize(self, quanta: int | object) -> "QuantizedMeasure":
        """Rounds again, to other quanta; the bound on the rounding is that of the two steps together."""
        return self if quanta == self.quanta else quantized(self, quanta)

    def counted(self) -> "QuantizedMeasure":
        """The measure itself.

        **Example:**

            >>> import jaxgen as jg
            >>> q = jg.GridMeasure.from_histogram([1, 3]).quantize(4)
            >>> q.counted() is q
            True
        """
        return self

    def _weights(self) -> np.ndarray:
        return np.asarray(self.counts)


def as_counts(counts: Numbers) -> Int[np.ndarray, " m"]:
    """Counts of at least 1 with a sum of at most 2**24. Raises `TypeError` and `ValueError`."""
    whole = np.asarray(counts)
    if not np.issubdtype(whole.dtype, np.integer):
        raise TypeError(f"counts must be integers; got {whole.dtype}")
    if np.any(whole < 1):
        raise ValueError(f"counts must be at least 1; the smallest is {whole.min()}")
    # In floats, where a sum of any size is in range.
    if whole.size and (total := whole.sum(dtype=np.float64)) > MAX_QUANTA:
        raise ValueError(f"the counts sum to {total:.0f}; at most 2**24 quanta are possible")
    return whole.astype(np.int64)


def masses_of(counts: UInt32[Array, " m"]) -> Float[Array, " m"]:
    """Counts over their sum, which is exact in uint32."""
    dtype = jnp.result_type(float)
    return counts.astype(dtype) / counts.sum(dtype=np.uint32).astype(dtype)


def quantized(
    measure: AbstractGridMeasure, quanta: int | object, masses: Float[np.ndarray, " m"] | None = None
) -> QuantizedMeasure:
    """Rounds every cumulative mass along the Peano curve, label by label, to a multiple of 1/quanta.

    **Arguments:** `masses`: those of the measure, where they are known better than its floats are.
    """
    curve, labels = PeanoCurve(), None if measure.labels is None else np.asarray(measure.labels)
    cells = np.asarray(measure.cells)
    order = curve.argsort(cells, curve.levels_for(measure.resolution))
    order = order if labels is None else order[np.argsort(labels[order], kind="stable")]
    masses = measure._host_weights() if masses is None else masses
    rounded = round_masses(
        masses.astype(np.float64)[order], measure._host_centers()[order], measure.label_offsets, quanta
    )
    keep = rounded.counts > 0
    return QuantizedMeasure(
        cells=cells[order][keep],
        counts=rounded.counts[keep],
        low=measure.low,
        high=measure.high,
        resolution=measure.resolution,
        labels=None if labels is None else labels[order][keep],
        vocabulary=measure.vocabulary,
        record=rounded.record(measure.record, measure.unchanged),
    )
