"""Dyadic k-d trees: leaves as fine as the data deserve, in few bits (theory, section 8)."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, SupportsFloat, SupportsIndex

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from .._checks import Numbers, box_corners, finite_points, real_number
from ..coding import TreeLevel, code_length
from ._dyadic_leaves import DyadicLeaves, leaves_of, levels_of, tree_order
from ._kd_tree import Cuts, kd_tree, unit_cloud, unit_sides
from ._leaves import AbstractLeafMeasure
from ._line_law import line_error
from ._prune import Pruned, candidates
from ._quantized import as_counts, masses_of
from ._record import Record
from ._rounding import MAX_QUANTA, round_masses
from ._short_box import short_box
from ._vocabulary import Label, encode_labels

_MAX_HALVINGS = 62
# A node is not cut where that could gain less than this share of what a bit is worth.
_WORTH = 0.05
# Of the longest side: far below what a float64 tells apart.
_FINEST = 1e-18


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
    low: Float[Array | np.ndarray, " d"]
    high: Float[Array | np.ndarray, " d"]
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
        self.low, self.high = box_corners(low, high, cells.shape[1])
        if np.any(halvings < 0) or np.any(halvings > _MAX_HALVINGS) or np.any(halvings[:, self.low == self.high]):
            raise ValueError(f"halvings must lie between 0 and {_MAX_HALVINGS}, and be 0 on an axis of zero length")
        if np.any(cells < 0) or np.any(cells >> halvings):
            raise ValueError("cells must lie between 0 and 2**halvings - 1")
        codes, self.vocabulary = _codes(labels, vocabulary, len(cells))
        cuts = Cuts(unit_sides(self.low, self.high))
        order = tree_order(cells, halvings, codes, cuts)
        leaves = DyadicLeaves(cells[order], halvings[order], whole[order], codes[order])
        levels_of(leaves, cuts)
        self.sides = np.ldexp(self.high - self.low, -leaves.halvings)
        self.low_corners = self.low + leaves.cells * self.sides
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

        **Raises:** `ValueError` for points that are empty or not finite, or outside a given box, and for a budget that
        the header alone exceeds, naming the smallest; `TypeError` for anything but numbers.

        **Example:**

            >>> import jaxgen as jg
            >>> t = jg.TreeMeasure.from_samples([[0.0, 0.0], [0.0, 1.0], [3.0, 0.5]], bits=300)
            >>> t.sides.shape == t.low_corners.shape == (t.size, 2)
            True
        """
        return min(trees(points, bits, low=low, high=high, labels=labels), key=lambda tree: tree[1])[0]

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


def trees(
    points: Numbers,
    bits: SupportsFloat | object,
    *,
    low: Numbers | None = None,
    high: Numbers | None = None,
    labels: Sequence[object] | np.ndarray | None = None,
) -> list[tuple[TreeMeasure, float]]:
    """Trees of several numbers of quanta that fit a budget of bits, each with its bound on W_1 to the points.

    Arguments and errors as for `TreeMeasure.from_samples`.
    """
    cloud, budget = finite_points(points).astype(np.float64), real_number(bits, "bits")
    if not math.isfinite(budget):
        raise ValueError(f"bits must be finite; got {bits}")
    codes, vocabulary = encode_labels(labels, len(cloud))
    side_bits = min(12, max(4, round(math.log2(max(budget, 16))) - 1))
    least, most = short_box(cloud.min(axis=0), cloud.max(axis=0), side_bits)
    low, high = box_corners(least if low is None else low, most if high is None else high, cloud.shape[1])
    if outside := int(np.any((cloud < low) | (cloud > high), axis=1).sum()):
        raise ValueError(
            f"{outside} of {len(cloud)} points lie outside the box low={low}, high={high}; enlarge the box"
        )
    codes = np.zeros(len(cloud), np.int64) if codes is None else np.asarray(codes, np.int64)
    order = np.argsort(codes, kind="stable")
    unit, sides, length = unit_cloud(cloud[order], low, high)
    sizes, cuts = np.bincount(codes), Cuts(sides)

    def measure(found: Pruned) -> TreeMeasure:
        leaves = leaves_of(found.levels, cuts, cloud.shape[1])
        names = None if vocabulary is None else leaves.root
        return TreeMeasure(leaves.cells, leaves.halvings, leaves.quanta, low, high, names, vocabulary)

    root = measure(Pruned([TreeLevel(np.ones_like(sizes), np.ones(len(sizes), bool), np.zeros_like(sizes))], 0, 0, 0))
    # Quanta take two bytes more at most, and as many bits as there are ways for them to fall to the labels.
    ways = math.lgamma(len(cloud)) - math.lgamma(len(sizes)) - math.lgamma(len(cloud) - len(sizes) + 1)
    overhead = code_length(root) + 16 + math.ceil(ways / math.log(2))
    if overhead > budget:
        raise ValueError(f"bits={bits} must be at least {overhead}, which the header and the box take: a larger budget")
    tolerance = 0.4 / budget**2
    while True:
        found = candidates(kd_tree(unit, sides, sizes, tolerance), budget - overhead, MAX_QUANTA)
        first = next(found, None)
        if first is None or tolerance <= _FINEST:
            break
        if first.bits < 0.9 * (budget - overhead):
            # What is not cut yet is worth the bits that are left.
            tolerance = max(tolerance / 1000, _FINEST)
        elif tolerance > 4 * _WORTH * first.price:
            tolerance = max(_WORTH * first.price, _FINEST)
        else:
            break
    out = []
    for pruned in itertools.chain([first] if first else [], found):
        tree, error = measure(pruned), pruned.error * length
        if cloud.shape[1] == 1 and length and vocabulary is None:
            masses = np.asarray(tree.counts, np.float64)
            error = line_error(cloud[:, 0], tree.low_corners[:, 0], tree.sides[:, 0], masses)
        if code_length(tree) <= budget:
            out.append((tree, error))
    return out or [(root, float(np.inf))]


def _integers(values: Numbers, name: str) -> np.ndarray:
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"{name} must be integers; got {array.dtype}")
    return array.astype(np.int64)[:, None] if array.ndim == 1 else array.astype(np.int64)


def _codes(labels: Numbers | None, vocabulary: Sequence[Label] | None, m: int):
    from ._abstract_grid import label_fields

    codes, names = label_fields(labels, vocabulary, m)
    return np.zeros(m, np.int64) if codes is None else codes.astype(np.int64), names
