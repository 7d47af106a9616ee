"""Dyadic k-d trees: leaves as fine as the data deserve, in few bits (theory, section 8)."""

from collections.abc import Iterable, Sequence
from typing import Any, SupportsFloat, SupportsIndex

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from .._checks import Numbers, box_corners
from ..coding import TreeLevel
from ._abstract_grid import label_fields
from ._dyadic_leaves import DyadicLeaves, levels_of, tree_order
from ._kd_tree import MAX_HALVINGS, Cuts, unit_sides
from ._leaves import AbstractLeafMeasure
from ._quantized import as_counts, masses_of
from ._record import Record
from ._rounding import round_masses
from ._vocabulary import Label


class TreeMeasure(AbstractLeafMeasure):
    """A law on the leaves of a dyadic tree in whole quanta: bits where the mass is, and uniform where it is smooth.

    The box is cut at the middle of its longest side, and each half again, or left a leaf; with labels there is a tree
    for each. Leaves stand in the order of the tree, so that every node is an interval of quanta. Theory, section 8.

    **Example:**

        >>> import jaxgen as jg, numpy as np
        >>> points = np.random.default_rng(0).normal(size=1000)
        >>> t = jg.TreeMeasure.from_samples(points, bits=400)
        >>> jg.code_length(t) <= 400, t.dim, t.quanta <= 1000
        (True, 1, True)
        >>> t.generator(extra_levels=3).sample(jax.random.key(0), 5).shape
        (5, 1)
    """

    low_corners: Float[Array | np.ndarray, "m d"]
    sides: Float[Array | np.ndarray, "m d"]
    counts: UInt32[Array, " m"]
    box: Float[Array | np.ndarray, "2 d"]
    labels: Int[Array, " m"] | None
    vocabulary: tuple[Label, ...] | None = eqx.field(static=True)
    record: Record = eqx.field(static=True, repr=False)

    def __init__(
        self,
        cells: Numbers,
        halvings: Numbers,
        counts: Numbers,
        low: Numbers,
        high: Numbers,
        labels: Numbers | None = None,
        vocabulary: Sequence[Label] | None = None,
        record: Record | None = None,
    ):
        """**Arguments:**

        - `cells`, `halvings`: `(m, d)` integers: the leaf spans `low + cells * side` to `low + (cells + 1) * side`,
            with `side = (high - low) / 2**halvings`.
        - `counts`: `(m,)` integers >= 1 with a sum of at most 2**24; `low`, `high`: `(d,)`, the box.
        - `labels`: `(m,)` codes into `vocabulary`, a sequence of strings or integers; `record`: what is proven.

        **Raises:** `ValueError` for a field that is wrong, by name, and for leaves that are not those of a tree;
        `TypeError` for cells, halvings or counts that are not integers.
        """
        whole = as_counts(counts)
        cells, halvings = _integers(cells, "cells"), _integers(halvings, "halvings")
        if cells.shape != halvings.shape or len(cells) != len(whole):
            raise ValueError(
                f"cells and halvings must have a row for each of the {len(whole)} counts; got {cells.shape} and "
                f"{halvings.shape}"
            )
        least, most = box_corners(low, high, cells.shape[1])
        if np.any(halvings < 0) or np.any(halvings > MAX_HALVINGS) or np.any(halvings[:, least == most]):
            raise ValueError(f"halvings must lie between 0 and {MAX_HALVINGS}, and be 0 on an axis of zero length")
        if np.any(cells < 0) or np.any(cells >> halvings):
            raise ValueError("cells must lie between 0 and 2**halvings - 1")
        codes, self.vocabulary = _codes(labels, vocabulary, len(cells))
        cuts = Cuts(unit_sides(least, most))
        order = tree_order(cells, halvings, codes, cuts)
        leaves = DyadicLeaves(cells[order], halvings[order], whole[order], codes[order])
        levels_of(leaves, cuts)
        self.box, self.sides = np.stack([least, most]), np.ldexp(most - least, -leaves.halvings)
        self.low_corners = least + leaves.cells * self.sides
        self.counts = jax.device_put(leaves.quanta.astype(np.uint32))
        self.labels = None if self.vocabulary is None else jax.device_put(leaves.root.astype(np.int32))
        self.record = (Record() if record is None else record).of(*self._proof_arrays())

    @classmethod
    def from_samples(
        cls,
        points: Numbers,
        bits: SupportsFloat | object,
        *,
        low: Numbers | None = None,
        high: Numbers | None = None,
        labels: Sequence[object] | np.ndarray | None = None,
    ) -> "TreeMeasure":
        """The tree of the least error bound whose file takes at most so many bits, header and box included.

        For each number of quanta, from that of the points downwards, the tree is pruned at the price of a bit that
        spends the budget, by a distortion that sees smoothness. Theory, section 8.

        **Arguments:**

        - `points`: `(N, d)`, or `(N,)` for d = 1. `labels`: `(N,)` strings or integers, the law of label and point.
        - `bits`: the budget.
        - `low`, `high`: the box; by default that of the points, rounded outwards to few bits.

        **Returns:** the tree, whose record has its bounds to the points, "law", of each label too; no file keeps them.

        **Raises:** `ValueError` for points that are empty or not finite, or outside a given box, and for a budget that
        the header alone exceeds, naming the smallest; `TypeError` for anything but numbers.

        **Example:**

            >>> import jaxgen as jg
            >>> t = jg.TreeMeasure.from_samples([[0.0, 0.0], [0.0, 1.0], [3.0, 0.5]], bits=300)
            >>> t.sides.shape == t.low_corners.shape == (t.size, 2)
            True
        """
        from ._tree_search import trees, with_bounds

        found = min(trees(points, bits, low=low, high=high, labels=labels), key=lambda tree: tree[1])[0]
        return with_bounds(found, points, labels)

    @classmethod
    def from_chunks(
        cls,
        chunks: Iterable[Any],
        bits: SupportsFloat | object,
        resolution: Numbers,
        *,
        low: Numbers,
        high: Numbers,
        labels: bool = False,
    ) -> "TreeMeasure":
        """The tree of points that come in chunks, in one pass: counted in the cells of a fine grid, then pruned.

        Memory is that of a chunk and of the occupied cells. Of parts of the data, counted in several places, add the
        `measures.CellCounts`.

        **Arguments:**

        - `chunks`, `labels`: as for `GridMeasure.from_chunks`.
        - `bits`: the budget.
        - `resolution`: of the grid, finer than the leaves: the power of two on each axis that makes cells about cubes.
        - `low`, `high`: the box, which must be given.

        **Returns:** the tree, whose record has its bound "law" to the points; see `measures.CellCounts.tree`.

        **Raises:** as `measures.CellCounts.from_chunks` and `from_samples`.

        **Example:**

            >>> import jaxgen as jg, numpy as np
            >>> chunks = (np.random.default_rng(seed).random((100, 2)) for seed in range(3))
            >>> tree = jg.TreeMeasure.from_chunks(chunks, bits=300, resolution=64, low=0.0, high=1.0)
            >>> jg.code_length(tree) <= 300
            True
        """
        from ._cell_counts import CellCounts

        return CellCounts.from_chunks(chunks, resolution, low=low, high=high, labels=labels).tree(bits)

    @property
    def low(self) -> Float[Array | np.ndarray, " d"]:
        """Lower corner of the box that is cut."""
        return self.box[0]

    @property
    def high(self) -> Float[Array | np.ndarray, " d"]:
        """Upper corner of the box that is cut."""
        return self.box[1]

    @property
    def quanta(self) -> int:
        """K, the sum of the counts. Not under `jit`."""
        return int(np.asarray(self.counts).sum(dtype=np.int64))

    @property
    def masses(self) -> Float[Array, " m"]:
        """Masses of the leaves, counts / quanta."""
        return masses_of(self.counts)

    @property
    def levels(self) -> list[TreeLevel]:
        """The tree, depth by depth. Not under `jit`.

        **Raises:** `ValueError` where the boxes were changed, and are those of no tree.
        """
        return levels_of(self._leaves(), Cuts(unit_sides(np.asarray(self.low), np.asarray(self.high))))

    def quantize(self, quanta: SupportsIndex | object) -> "TreeMeasure":
        """Rounds again, to other quanta; the bound on the rounding is that of the two steps together."""
        if quanta == self.quanta:
            return self
        weights, sides = self._weights().astype(np.float64), np.asarray(self.sides)
        rounded = round_masses(weights / weights.sum(), self._host_centers(), self.label_offsets, quanta, sides)
        record = rounded.record(self.record, self.unchanged)
        return self._with(rounded.counts > 0, counts=rounded.counts, record=record)

    def counted(self) -> "TreeMeasure":
        """The measure itself.

        **Example:**

            >>> import jaxgen as jg
            >>> t = jg.TreeMeasure.from_samples([0.0, 1.0, 3.0], bits=200)
            >>> t.counted() is t
            True
        """
        return self

    def given(self, condition: Label) -> "TreeMeasure":
        """The conditional law of a label, as a measure without labels. Raises `ValueError` for an unknown label."""
        part = np.zeros(self.size, bool)
        part[self._labels_given(condition)] = True
        return self._with(part, labels=None, vocabulary=None)

    def relative(self) -> "TreeMeasure":
        """The measure relative to the lower corner of its box, which is 0 then; what is proven of it still is."""
        low, high = np.asarray(self.low, np.float64), np.asarray(self.high, np.float64)
        return self._with(slice(None), low=np.zeros_like(low), high=high - low, **self._kept_record())

    def with_record(self, record: Record) -> "TreeMeasure":
        """The same tree, with another record of what is proven of it."""
        return self._with(slice(None), record=record)

    def _with(self, part: Any, **fields: Any) -> "TreeMeasure":
        """Some of the leaves, with other fields."""
        leaves = self._leaves()
        counts, labels = fields.pop("counts", leaves.quanta), None if self.vocabulary is None else leaves.root[part]
        given: dict[str, Any] = {"low": self.low, "high": self.high, "labels": labels, "vocabulary": self.vocabulary}
        return TreeMeasure(leaves.cells[part], leaves.halvings[part], counts[part], **(given | fields))

    def _leaves(self) -> DyadicLeaves:
        """The leaves as cells. Raises `ValueError` where the boxes were changed, and are those of no tree."""
        low, wide = np.asarray(self.low, np.float64), np.asarray(self.high, np.float64) - np.asarray(self.low)
        sides, corners = np.asarray(self.sides, np.float64), np.asarray(self.low_corners, np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            halvings = np.where(sides > 0, np.rint(np.log2(wide / sides)), 0).astype(np.int64)
            cells = np.where(sides > 0, np.rint((corners - low) / sides), 0).astype(np.int64)
        exact = np.array_equal(np.ldexp(wide, -halvings), sides) and np.array_equal(low + cells * sides, corners)
        if not exact:
            raise ValueError("low_corners and sides were changed: they are no longer those of a tree in the box")
        root = np.zeros(len(cells), np.int64) if self.labels is None else np.asarray(self.labels, np.int64)
        return DyadicLeaves(cells, halvings, np.asarray(self.counts, np.int64), root)

    def _weights(self) -> np.ndarray:
        return np.asarray(self.counts)


def _integers(values: Numbers, name: str) -> np.ndarray:
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"{name} must be integers; got {array.dtype}")
    return array.astype(np.int64)[:, None] if array.ndim == 1 else array.astype(np.int64)


def _codes(labels: Numbers | None, vocabulary: Sequence[Label] | None, m: int):
    codes, names = label_fields(labels, vocabulary, m)
    return np.zeros(m, np.int64) if codes is None else codes.astype(np.int64), names
