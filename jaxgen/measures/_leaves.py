"""Laws on boxes of any size, in an order of their own (theory, section 2)."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, DTypeLike, Float, Int, UInt32

from .._checks import Numbers, finite_points, is_traced, nonnegative_weights, require_numbers
from ..source import on_device
from ._abstract import AbstractMeasure, AnyMeasure
from ._abstract_grid import label_fields
from ._boxes import Boxes
from ._floats import leaf_error
from ._quantized import as_counts, masses_of
from ._record import Bound, Record
from ._rounding import MAX_QUANTA, round_masses
from ._traced import traced_leaves
from ._vocabulary import Label, label_code


class AbstractLeafMeasure(AbstractMeasure):
    """A law on m boxes with corners and sides of their own; label by label, and within a label in the order given.

    Leaf i spans `low_corners[i]` to `low_corners[i] + sides[i]`. Sides of zero length are atoms. Where boxes overlap
    the law is the mixture of their uniform laws.

    **Example:**

        >>> import jaxgen as jg
        >>> m = jg.LeafMeasure([0.0, 0.5], [1.0, 1.0], [1, 1])  # two intervals that overlap
        >>> round(float(m.log_prob([0.75])), 4), round(float(m.log_prob([0.25])), 4)
        (0.0, -0.6931)
    """

    @property
    def dim(self) -> int:
        """Dimension d of the points."""
        return self.low_corners.shape[1]

    @property
    def low(self) -> Float[Array | np.ndarray, " d"]:
        """Lower corner of the bounding box."""
        return self.low_corners.min(axis=0)

    @property
    def high(self) -> Float[Array | np.ndarray, " d"]:
        """Upper corner of the bounding box."""
        return (self.low_corners + self.sides).max(axis=0)

    @property
    def boxes(self) -> Boxes:
        """Where the boxes are."""
        return Boxes(self.low_corners, self.sides, None)

    def log_prob(self, x: Numbers, condition: Label | None = None) -> Float[Array, ""]:
        """Logarithm of the density at one point `x`, in inverse units of the data; minus infinity outside the leaves.

        With `condition`, of the conditional law of that label. For a batch use `jax.vmap`.

        **Raises:** `ValueError` for a point of the wrong shape, an unknown label, and leaves without volume.

        **Example:**

            >>> import jaxgen as jg
            >>> m = jg.LeafMeasure([0.0, 2.0], [1.0, 0.5], [1, 1])
            >>> float(m.log_prob([2.25])), float(m.log_prob([1.5]))  # density 1 and 0
            (0.0, -inf)
        """
        x = jnp.asarray(x, jnp.result_type(float))
        if x.shape != (self.dim,):
            raise ValueError(f"x must be one point of shape ({self.dim},); got {x.shape}. Use jax.vmap for a batch.")
        if not isinstance(self.sides, Tracer) and np.any(np.asarray(self.sides) == 0):
            raise ValueError("a leaf has a side of zero length, so the law has no density")
        masses = self.masses
        if condition is not None:
            masses = jnp.where(self.labels == label_code(condition, self.vocabulary), masses, 0.0)
        inside = jnp.all((x >= self.low_corners) & (x <= self.low_corners + self.sides), axis=1)
        volume = jnp.sum(jnp.log(self.sides), axis=1)
        terms = jnp.where(inside & (masses > 0), jnp.log(jnp.where(masses > 0, masses, 1.0)) - volume, -jnp.inf)
        return jax.nn.logsumexp(terms) - jnp.log(masses.sum())

    def given(self: AnyMeasure, condition: Label) -> AnyMeasure:
        """The conditional law of a label, as a measure without labels. Raises `ValueError` for an unknown label."""
        part = self._labels_given(condition)
        return type(self)(self.low_corners[part], self.sides[part], self._weights()[part])  # pyright: ignore[reportCallIssue]

    def relative(self: AnyMeasure) -> AnyMeasure:
        """The measure relative to the lower corner `low` of its box, which is 0 then; what is proven of it still is."""
        low, corners = (np.asarray(array, np.float64) for array in (self.low, self.low_corners))  # pyright: ignore[reportAttributeAccessIssue]
        fields = {"labels": self.labels, "vocabulary": self.vocabulary, **self._kept_record()}
        return type(self)(corners - low, self.sides, self._weights(), **fields)  # pyright: ignore[reportCallIssue, reportArgumentType]

    def float_error(
        self, relative: bool = False, dtype: DTypeLike | None = None, condition: Label | None = None
    ) -> Bound:
        part = slice(None) if condition is None else self._labels_given(condition)
        corners, sides = (np.asarray(array, np.float64)[part] for array in (self.low_corners, self.sides))
        low = np.asarray(self.low, np.float64) if relative else None
        return leaf_error(corners, sides, self._weights()[part].astype(np.float64), low, dtype)

    def _host_centers(self) -> Float[np.ndarray, "m d"]:
        """Centres in float64 on the host."""
        return np.asarray(self.low_corners, np.float64) + np.asarray(self.sides, np.float64) / 2

    def _proof_arrays(self):
        boxes = (np.asarray(array, np.float64) for array in (self.low_corners, self.sides))
        return *boxes, self._weights(), *(() if self.labels is None else (self.labels,))


class LeafMeasure(AbstractLeafMeasure):
    """A law on boxes with float masses.

    **Example:**

        >>> import jax, jaxgen as jg
        >>> m = jg.LeafMeasure([0.0, 2.0], [1.0, 0.5], [0.25, 0.75])  # a quarter on [0, 1], the rest on [2, 2.5]
        >>> round(float(m.mean()[0]), 4)
        1.8125
        >>> m.generator(extra_levels=0)(0.125).tolist()
        [0.5]
    """

    low_corners: Float[Array | np.ndarray, "m d"]
    sides: Float[Array | np.ndarray, "m d"]
    masses: Float[Array, " m"]
    labels: Int[Array, " m"] | None
    vocabulary: tuple[Label, ...] | None = eqx.field(static=True)
    record: Record = eqx.field(static=True, repr=False)

    def __init__(
        self,
        low_corners: Numbers,
        sides: Numbers,
        masses: Numbers,
        labels: Numbers | None = None,
        vocabulary: Sequence[Label] | None = None,
    ):
        """**Arguments:**

        - `low_corners`: `(m, d)`, or `(m,)` for d = 1; `sides`: the same shape, or what broadcasts to it, nonnegative.
        - `masses`: `(m,)`, nonnegative, normalized here; leaves of zero mass are dropped.
        - `labels`: `(m,)` codes into `vocabulary`, a sequence of strings or integers.

        While a function is traced, corners, sides and masses may be traced, and leaves of zero mass are kept. Such a
        measure has generators, samples and densities with their derivatives, and no record.

        **Raises:** `ValueError` for corners or sides that are not finite or of the wrong shape, negative sides, masses
        that are negative, not finite or all zero, and labels that do not fit; `TypeError` for anything but numbers.
        """
        if is_traced((low_corners, sides, masses)):
            fields = traced_leaves(low_corners, sides, masses, labels, vocabulary)
            self.low_corners, self.sides, self.masses, codes, self.vocabulary = fields
            self.labels, self.record = None if codes is None else on_device(codes), Record()
            return
        weights = nonnegative_weights(masses, "masses", len(np.atleast_1d(np.asarray(low_corners))))
        fields = _ordered(low_corners, sides, weights, labels, vocabulary)
        self.low_corners, self.sides, weights, self.labels, self.vocabulary = fields
        self.masses = on_device((weights / weights.sum()).astype(jnp.result_type(float)))
        self.record = Record()

    def quantize(self, quanta: int | object) -> "QuantizedLeafMeasure":
        """The nearest K-type along the order of the leaves, K = `quanta` (theory, section 8); see `GridMeasure`."""
        return _quantized(self, quanta)

    def counted(self) -> "QuantizedLeafMeasure":
        """In quanta as fine as uint32 arithmetic allows.

        **Example:**

            >>> import jaxgen as jg
            >>> jg.LeafMeasure([0.0, 2.0], [1.0, 0.5], [0.25, 0.75]).counted().counts.tolist()
            [4194304, 12582912]
        """
        return self.quantize(MAX_QUANTA)

    def _weights(self) -> np.ndarray:
        require_numbers(self, "what was asked for")
        return np.asarray(self.masses)


class QuantizedLeafMeasure(AbstractLeafMeasure):
    """A law on boxes with whole numbers of quanta: exact, and what generators run on.

    **Example:**

        >>> from jaxgen.measures import QuantizedLeafMeasure
        >>> atoms = QuantizedLeafMeasure([[0.0], [1.0]], 0.0, [1, 3])  # sides of zero length: two atoms
        >>> atoms.quanta, atoms.masses.tolist()
        (4, [0.25, 0.75])
    """

    low_corners: Float[Array | np.ndarray, "m d"]
    sides: Float[Array | np.ndarray, "m d"]
    counts: UInt32[Array, " m"]
    labels: Int[Array, " m"] | None
    vocabulary: tuple[Label, ...] | None = eqx.field(static=True)
    record: Record = eqx.field(static=True, repr=False)

    def __init__(
        self,
        low_corners: Numbers,
        sides: Numbers,
        counts: Numbers,
        labels: Numbers | None = None,
        vocabulary: Sequence[Label] | None = None,
        record: Record | None = None,
    ):
        """**Arguments:** `counts`: `(m,)` integers >= 1 with a sum of at most 2**24; `record`: what is proven about
        them; the others as for `LeafMeasure`.

        **Raises:** as `LeafMeasure`, and `TypeError` for counts that are not integers.
        """
        whole = as_counts(counts)
        fields = _ordered(low_corners, sides, whole, labels, vocabulary)
        self.low_corners, self.sides, whole, self.labels, self.vocabulary = fields
        self.counts = on_device(whole.astype(np.uint32))
        self.record = (Record() if record is None else record).of(*self._proof_arrays())

    @property
    def quanta(self) -> int:
        """K, the sum of the counts. Not under `jit`."""
        return int(np.asarray(self.counts).sum(dtype=np.int64))

    @property
    def masses(self) -> Float[Array, " m"]:
        """Masses of the leaves, counts / quanta."""
        return masses_of(self.counts)

    def quantize(self, quanta: int | object) -> "QuantizedLeafMeasure":
        """Rounds again, to other quanta; the bound on the rounding is that of the two steps together."""
        return self if quanta == self.quanta else _quantized(self, quanta)

    def counted(self) -> "QuantizedLeafMeasure":
        """The measure itself.

        **Example:**

            >>> import jaxgen as jg
            >>> q = jg.LeafMeasure([0.0, 2.0], [1.0, 0.5], [0.25, 0.75]).quantize(4)
            >>> q.counted() is q
            True
        """
        return self

    def _weights(self) -> np.ndarray:
        return np.asarray(self.counts)


def _quantized(measure: AbstractLeafMeasure, quanta: int | object) -> QuantizedLeafMeasure:
    """Rounds every cumulative mass in the order of the leaves to a multiple of 1/quanta."""
    sides, labels = np.asarray(measure.sides, np.float64), measure.labels
    masses = measure._weights().astype(np.float64)
    rounded = round_masses(masses, measure._host_centers(), measure.label_offsets, quanta, sides)
    keep = rounded.counts > 0
    return QuantizedLeafMeasure(
        np.asarray(measure.low_corners)[keep],
        np.asarray(measure.sides)[keep],
        rounded.counts[keep],
        None if labels is None else np.asarray(labels)[keep],
        measure.vocabulary,
        rounded.record(measure.record, measure.unchanged),
    )


def _ordered(low_corners, sides, weights, labels, vocabulary) -> tuple[Any, ...]:
    """Checked fields, label by label, without the leaves of zero mass; the boxes in float64."""
    corners = finite_points(low_corners, "low_corners").astype(np.float64)
    lengths = np.asarray(sides)
    if lengths.dtype.kind not in "fiub":
        raise TypeError(f"sides must be real numbers; got dtype {lengths.dtype}")
    lengths = lengths.astype(np.float64)
    lengths = lengths[:, None] if lengths.ndim == 1 and lengths.shape == (len(corners),) else lengths
    if not np.all(np.isfinite(lengths)) or np.any(lengths < 0):
        raise ValueError("sides must be finite and not negative")
    try:
        lengths = np.broadcast_to(lengths, corners.shape)
    except ValueError:
        raise ValueError(f"sides must have shape {corners.shape}, like low_corners; got {lengths.shape}") from None
    if weights.shape != (len(corners),):
        raise ValueError(f"one mass a leaf was expected, shape ({len(corners)},); got {weights.shape}")
    dtype = jnp.result_type(float)
    with np.errstate(over="ignore"):
        fits = all(np.isfinite(array.astype(dtype)).all() for array in (corners, lengths, corners + lengths))
    if not fits:
        raise ValueError(f"low_corners and sides must be finite in {dtype}; they reach {np.abs(corners).max():g}")
    codes, names = label_fields(labels, vocabulary, len(corners))
    keep = np.flatnonzero(weights > 0)
    order = keep if codes is None else keep[np.argsort(codes[keep], kind="stable")]
    if codes is not None and not np.array_equal(np.unique(codes[order]), np.arange(len(names or ()))):
        raise ValueError("every label must have positive mass")
    codes = None if codes is None else on_device(codes[order])
    return corners[order], lengths[order], weights[order], codes, names
