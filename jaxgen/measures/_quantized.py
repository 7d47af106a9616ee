"""Measures in quanta: integer counts that sum to K, so that everything downstream is exact (theory, section 8)."""

import itertools
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from ._abstract import AbstractGridMeasure, Label, canonical

MAX_QUANTA = 1 << 24  # so that uint32 arithmetic has room for at least 8 bits of u beside a count


class QuantizedMeasure(AbstractGridMeasure):
    """A K-type: each occupied cell holds a whole number of quanta 1/K. Exact, encodable, and what generators run on."""

    cells: Int[Array, "m d"]
    counts: UInt32[Array, " m"]
    low: Float[Array, " d"]
    high: Float[Array, " d"]
    labels: Int[Array, " m"] | None
    resolution: tuple[int, ...] = eqx.field(static=True)
    quanta: int = eqx.field(static=True)
    vocabulary: tuple[Label, ...] | None = eqx.field(static=True)
    rounding: tuple[float, float] = eqx.field(static=True)
    label_rounding: tuple[tuple[float, float], ...] | None = eqx.field(static=True)

    def __init__(
        self,
        cells,
        counts,
        low,
        high,
        resolution,
        labels=None,
        vocabulary=None,
        rounding=(0.0, 0.0),
        label_rounding=None,
    ):
        """Checks the fields and sorts the cells; `quanta` is the sum of the counts.

        - `cells`: `(m, d)` distinct integers; `counts`: `(m,)` integers >= 1 with a sum of at most 2**24; `low`,
          `high`, `resolution`, `labels`, `vocabulary` as for `GridMeasure`.
        - `rounding`: bounds on W_1 and W_2 to the measure it was rounded from, if any; `label_rounding`: the same for
          the conditional law of each label, where they are known.

        Raises `ValueError` for a field that is wrong, by name, and `TypeError` for counts that are not integers.
        """
        counts = np.asarray(counts)
        if not np.issubdtype(counts.dtype, np.integer):
            raise TypeError(f"counts must be integers; got {counts.dtype}")
        if np.any(counts < 1):
            raise ValueError(f"counts must be at least 1; the smallest is {counts.min()}")
        quanta = int(counts.sum(dtype=np.uint64)) if counts.size else 0
        if quanta > MAX_QUANTA:
            raise ValueError(f"the counts sum to {quanta}; at most 2**24 quanta are possible")
        cells, counts, low, high, resolution, labels, vocabulary = canonical(
            cells, counts, low, high, resolution, labels, vocabulary
        )
        self.cells = jax.device_put(cells)
        self.counts = jax.device_put(counts.astype(np.uint32))
        self.low, self.high = low, high
        self.labels = None if labels is None else jax.device_put(labels)
        self.resolution, self.quanta, self.vocabulary = resolution, quanta, vocabulary
        self.rounding = (float(rounding[0]), float(rounding[1]))
        self.label_rounding = label_rounding

    @property
    def masses(self) -> Float[Array, " m"]:
        """Masses of the cells, counts / quanta."""
        return self.counts.astype(self.low.dtype) / self.quanta

    def rounding_bound(self, p: int = 2, condition: Label | None = None) -> float:
        """A bound on W_p to the measure this one was rounded from, in units of the data; zero if there was none.

        From the monotone coupling along the curve; with `condition`, for the conditional law of that label. Raises
        `ValueError` unless p is 1 or 2, for an unknown label, and where the bounds of single labels are not known (a
        file keeps the one for all). Theory, section 8.
        """
        if p not in (1, 2):
            raise ValueError(f"p must be 1 or 2; got {p}")
        if condition is None:
            return self.rounding[p - 1]
        code = self._code(condition)
        if not any(self.rounding):
            return 0.0
        if self.label_rounding is None:
            raise ValueError("what rounding cost each label is not known for this measure, only what it cost them all")
        return self.label_rounding[code][p - 1]

    def quantize(self, quanta: int) -> "QuantizedMeasure":
        """Rounds again, to other quanta; the bound on the rounding is that of the two steps together."""
        if quanta == self.quanta:
            return self
        q = quantize_masses(self, quanta)
        both = tuple(a + b for a, b in zip(q.rounding, self.rounding, strict=True))
        each = q.label_rounding if not any(self.rounding) else None
        return QuantizedMeasure(q.cells, q.counts, q.low, q.high, q.resolution, q.labels, q.vocabulary, both, each)

    def _weights(self):
        return np.asarray(self.counts)

    def _rebuilt(self, weights, **fields: Any):
        return QuantizedMeasure(counts=weights, **fields)


def quantize_masses(measure: AbstractGridMeasure, quanta: int) -> QuantizedMeasure:
    """Rounds every cumulative mass along the curve to a multiple of 1/quanta."""
    if isinstance(quanta, bool) or not isinstance(quanta, int | np.integer):
        raise TypeError(f"quanta must be an integer; got {type(quanta).__name__}")
    labels = 1 if measure.vocabulary is None else len(measure.vocabulary)
    if not labels <= quanta <= MAX_QUANTA:
        kept = "" if measure.vocabulary is None else f" (one for each of the {labels} labels)"
        raise ValueError(f"quanta must lie between {labels}{kept} and 2**24 = {MAX_QUANTA}; got {quanta}")
    quanta = int(quanta)
    masses = measure._weights().astype(np.float64)
    cdf = np.concatenate([[0.0], np.cumsum(masses)])
    cdf /= cdf[-1]
    edges = np.rint(quanta * cdf).astype(np.int64)
    offsets = measure.label_offsets
    ends = edges[offsets]
    if np.any(np.diff(ends) < 1):
        # Push the ends of starved labels apart, first to the right, then back from the last quantum.
        place = np.arange(labels + 1)
        ends = np.maximum.accumulate(ends - place) + place
        ends = np.minimum(ends, quanta - (labels - place))
        start = np.repeat(offsets[:-1], np.diff(offsets))
        label = np.repeat(place[:-1], np.diff(offsets))
        inner = (cdf[1:] - cdf[start]) / (cdf[offsets[1:]] - cdf[offsets[:-1]])[label]
        edges = np.concatenate([[0], ends[label] + np.rint(inner * np.diff(ends)[label]).astype(np.int64)])
    counts = np.diff(edges)
    keep = counts > 0
    centers, rounded = measure._host_centers(), edges / quanta
    each = None
    if measure.vocabulary is not None:
        each = tuple(
            curve_transport(centers[a:b], *(_within(f[a : b + 1]) for f in (cdf, rounded)))
            for a, b in itertools.pairwise(offsets)
        )
    return QuantizedMeasure(
        cells=np.asarray(measure.cells)[keep],
        counts=counts[keep],
        low=measure.low,
        high=measure.high,
        resolution=measure.resolution,
        labels=None if measure.labels is None else np.asarray(measure.labels)[keep],
        vocabulary=measure.vocabulary,
        rounding=curve_transport(centers, cdf, rounded),
        label_rounding=each,
    )


def _within(cdf):
    """The cumulative masses of a label given the label."""
    return (cdf - cdf[0]) / (cdf[-1] - cdf[0])


def curve_transport(
    centers: Float[np.ndarray, "m d"], cdf_p: Float[np.ndarray, " ends"], cdf_q: Float[np.ndarray, " ends"]
) -> tuple[float, float]:
    """Costs (W_1, W_2) of the monotone coupling of two laws on the same cells in the same order, in one pass.

    A piece of mass goes from the cell where one cumulative mass has it to the cell where the other has it, keeping its
    position inside the cell; so the distance it travels is that of the centres. Theory, section 8.
    """
    cuts = np.union1d(cdf_p, cdf_q)
    mass = np.diff(cuts)
    middle = (cuts[1:] + cuts[:-1]) / 2
    last = len(centers) - 1
    a = np.minimum(np.searchsorted(cdf_p, middle, side="right") - 1, last)
    b = np.minimum(np.searchsorted(cdf_q, middle, side="right") - 1, last)
    moved = a != b
    square = np.sum((centers[a[moved]] - centers[b[moved]]) ** 2, axis=1)
    return float(mass[moved] @ np.sqrt(square)), float(np.sqrt(mass[moved] @ square))
