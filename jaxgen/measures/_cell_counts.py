"""How many points are in each cell: what adds up, chunk by chunk and part by part, to the last bit (theory, section 8).

Whatever is kept is a whole number: the counts, and, of how far the points are from the centres of their cells, sums of
multiples of 2**-24 of half the diagonal of a cell, each rounded upwards. So addition is associative and commutative bit
for bit, and what is read off at the end does not depend on the parts, or on their order.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, SupportsFloat

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from .._checks import Numbers, box_corners, finite_points, grid_resolution, require_volume
from ._abstract_grid import canonical
from ._build import cell_columns, count_cells, merge_cells, outside
from ._dyadic_leaves import DyadicLeaves
from ._grid import GridMeasure
from ._kd_tree import Cuts, unit_sides
from ._node_bound import node_bound
from ._record import Bound, Record
from ._rounding import added
from ._tree import TreeMeasure
from ._tree_search import tree_of_boxes
from ._vocabulary import Label, encode_labels, joined

_AWAY_BITS = 24
# So that no sum of 64 bits is too long, distances included.
_MOST = 1 << 38
# Parts are kept as they are until they have as many cells as their sum and so many more, and added then: each cell is
# added only so often, whatever the size of a chunk.
_PENDING = 1 << 18


class CellCounts(eqx.Module):
    """Counts of points in the cells of a box, which add up: the state of a histogram of any number of points.

    Memory is that of the occupied cells. Parts may be counted anywhere, in any order, saved, loaded and added: the
    sum is that of all the points, to the last bit. Theory, section 8.

    **Example:**

        >>> import jaxgen as jg, numpy as np
        >>> from jaxgen.measures import CellCounts
        >>> box = dict(low=[0.0, 0.0], high=[1.0, 1.0])
        >>> chunks = (np.random.default_rng(seed).random((1000, 2)) for seed in range(10))
        >>> counts = CellCounts.from_chunks(chunks, 64, **box)  # one pass, one chunk in memory at a time
        >>> counts.total
        10000
        >>> elsewhere = CellCounts.from_chunks([[[0.5, 0.5], [0.1, 0.9]]], 64, **box)
        >>> whole = counts + elsewhere  # or sum([...]); on another machine, with jg.save and jg.load
        >>> whole.total, elsewhere + counts == whole
        (10002, True)
        >>> whole.grid().counted().quanta, jg.code_length(whole.tree(bits=300)) <= 300
        (10002, True)
    """

    cells: Int[np.ndarray, "m d"]
    counts: Int[np.ndarray, " m"]
    low: Float[np.ndarray, " d"]
    high: Float[np.ndarray, " d"]
    labels: Int[np.ndarray, " m"] | None
    away: Int[np.ndarray, "labels 2"]
    resolution: tuple[int, ...] = eqx.field(static=True)
    vocabulary: tuple[Label, ...] | None = eqx.field(static=True)

    def __init__(
        self,
        cells: Numbers,
        counts: Numbers,
        low: Numbers,
        high: Numbers,
        resolution: Numbers,
        labels: Numbers | None = None,
        vocabulary: Sequence[Label] | None = None,
        away: Numbers | None = None,
    ):
        """Usually made by `from_chunks`.

        **Arguments:**

        - `cells`: `(m, d)` distinct integers; `counts`: `(m,)` integers >= 1 with a sum of at most 2**38; `low`,
            `high`, `resolution`, `labels`, `vocabulary` as for `GridMeasure`.
        - `away`: `(labels, 2)` integers: for each label, or for all, the sums over its points of the distance to the
            centre of the cell in units of half the diagonal of a cell, and of its square, each times 2**24 and rounded
            upwards. By default the points are taken to be anywhere in their cells.

        **Raises:** `ValueError` for a field that is wrong, by name, and `TypeError` for what is no integer.
        """
        whole = np.asarray(counts)
        if not np.issubdtype(whole.dtype, np.integer):
            raise TypeError(f"counts must be integers; got {whole.dtype}")
        if np.any(whole < 1) or whole.sum(dtype=np.float64) > _MOST:
            raise ValueError("counts must be at least 1, and sum to at most 2**38")
        self.cells, self.counts, self.low, self.high, self.resolution, self.labels, self.vocabulary = canonical(
            cells, whole.astype(np.int64), low, high, resolution, labels, vocabulary
        )
        require_volume(self.low, self.high)
        anywhere = np.repeat(self._label_totals()[:, None] << _AWAY_BITS, 2, axis=1)
        sums = np.asarray(anywhere if away is None else away)
        if not np.issubdtype(sums.dtype, np.integer):
            raise TypeError(f"away must be integers; got {sums.dtype}")
        if sums.shape != anywhere.shape or np.any(sums < 0):
            raise ValueError(f"away must hold two sums a label, none of them negative; got shape {sums.shape}")
        self.away = sums.astype(np.int64)

    @classmethod
    def from_chunks(
        cls, chunks: Iterable[Any], resolution: Numbers, *, low: Numbers, high: Numbers, labels: bool = False
    ) -> "CellCounts":
        """Counts the points of an iterator of chunks, in one pass.

        Time grows with the points, memory with a chunk and the occupied cells.

        **Arguments:**

        - `chunks`: an iterable of points, `(n, d)` or `(n,)` for d = 1, of any n each; empty ones add nothing.
        - `resolution`, `low`, `high`: as for `GridMeasure.from_samples`; the box must be given.
        - `labels`: whether each chunk is a pair `(points, labels)` instead, with `(n,)` strings or integers.

        **Raises:** `ValueError` where no chunk holds a point, and for points that are not finite, of another dimension
        than the first, or outside the box, naming the chunk by its number, from 0; `TypeError` for what is no iterable
        of arrays, and for labels that are strings in one chunk and integers in another.

        **Example:**

            >>> from jaxgen.measures import CellCounts
            >>> chunks = iter([([0.1, 0.9], ["a", "b"]), ([0.2], ["a"])])
            >>> counts = CellCounts.from_chunks(chunks, 2, low=0.0, high=1.0, labels=True)
            >>> counts.cells.ravel().tolist(), counts.counts.tolist(), counts.vocabulary
            ([0, 1], [2, 1], ('a', 'b'))
        """
        grid, pending, rows, kept = None, [], 0, 0
        for name, points, names in _chunks(chunks, labels):
            grid = _Grid.of(points.shape[1], resolution, low, high) if grid is None else grid
            pending.append(grid.counted(name, points, names))
            rows += len(pending[-1].counts)
            if rows > 2 * kept + _PENDING:
                pending = [_added(pending)]
                rows = kept = len(pending[0].counts)
        if grid is None:
            raise ValueError("chunks hold no points; at least one is needed")
        cells, whole, codes, vocabulary, away = _added(pending)
        return cls(cells, whole, grid.low, grid.high, grid.resolution, codes, vocabulary, away)

    def __add__(self, other: object) -> "CellCounts":
        if not isinstance(other, CellCounts):
            return NotImplemented
        for name in ("low", "high", "resolution"):
            mine, its = getattr(self, name), getattr(other, name)
            if not np.array_equal(mine, its):
                raise ValueError(f"counts add up in one box and grid only: {name} is {mine} here and {its} there")
        parts = [_Part(part.cells, part.counts, part.labels, part.vocabulary, part.away) for part in (self, other)]
        cells, whole, codes, vocabulary, away = _added(parts)
        return CellCounts(cells, whole, self.low, self.high, self.resolution, codes, vocabulary, away)

    def __radd__(self, other: object) -> "CellCounts":
        # What `sum` begins with.
        return self if isinstance(other, int) and other == 0 else NotImplemented

    @property
    def total(self) -> int:
        """The number of points."""
        return int(self.counts.sum())

    def grid(self) -> GridMeasure:
        """The histogram of the points: what `GridMeasure.from_samples` makes of them all, to the last bit.

        **Example:**

            >>> from jaxgen.measures import CellCounts
            >>> CellCounts([[0], [1]], [1, 3], low=0.0, high=1.0, resolution=2).grid().masses.tolist()
            [0.25, 0.75]
        """
        each = [self._bound(*row) for row in zip(self.away.tolist(), self._label_totals().tolist(), strict=True)]
        record = Record(
            {"points": self._bound(self.away.sum(axis=0).tolist(), self.total)},
            None if self.labels is None else {"points": tuple(each)},
            self.total,
        )
        box = self.low, self.high, self.resolution
        return GridMeasure(self.cells, self.counts, *box, self.labels, self.vocabulary, record)

    def tree(self, bits: SupportsFloat | object) -> TreeMeasure:
        """The tree of the least error bound to the points whose file takes at most so many bits; see `TreeMeasure`.

        The points are taken to be uniform in each node of the tree whose sides are, on each axis, the least that are
        not below those of the cells: in the cells themselves, where these are nodes, as they are for
        `tree_resolution`. So what is known of the points is off by no more than `2 / sqrt(3)` of half the diagonal of
        such a node in W_1, and in W_2; the record has the bound "law" between the points and the tree, and those of
        each label. Theory, section 8.

        **Raises:** `ValueError` for a budget that the header alone exceeds, naming the smallest.

        **Example:**

            >>> import jaxgen as jg, numpy as np
            >>> from jaxgen.measures import CellCounts
            >>> points = np.random.default_rng(0).normal(size=100).clip(-4, 4)
            >>> counts = CellCounts.from_chunks([points[:50], points[50:]], 1 << 12, low=-4.0, high=4.0)
            >>> tree = counts.tree(bits=250)
            >>> jg.code_length(tree) <= 250, jg.data_bound(points, tree) <= tree.proven("law")[0] < 0.2
            (True, True)
        """
        cuts, often, n = Cuts(unit_sides(self.low, self.high)), np.zeros(len(self.low), np.int64), self.resolution
        while (axis := cuts.axis(int(often.sum()))) >= 0 and 2 << int(often[axis]) <= n[axis]:
            often[axis] += 1
        # The node of the centre of each cell: its number in exact integers.
        nodes = ((2 * self.cells.astype(np.int64) + 1) << often) // (2 * np.asarray(n, np.int64))
        cells, root, counts = merge_cells(nodes, self.labels, self.counts)
        root = np.zeros(len(cells), np.int64) if root is None else root.astype(np.int64)
        leaves = DyadicLeaves(cells, np.broadcast_to(often, cells.shape), counts, root)
        tree, bound = tree_of_boxes(leaves, self.low, self.high, self.vocabulary, bits)
        # Either the points are in their nodes, or their cells are atoms.
        first, second = added(bound, self._from_nodes(nodes, often))
        atoms = self._to_atoms(tree, slice(None), self.away.sum(axis=0))
        each = [
            self._to_atoms(tree.given(label), self.labels == code, self.away[code])
            for code, label in enumerate(self.vocabulary or ())
        ]
        bounds = {"law": (min(first, atoms[0]), min(second, atoms[1]))}
        return tree.with_record(Record(bounds, {"law": tuple(each)} if each else None, saved=False))

    def _from_nodes(self, nodes, often) -> Bound:
        """Between the points and the uniform laws on nodes that have their counts."""
        n, sides = np.asarray(self.resolution), self.high - self.low
        unit = _half_diagonal(self.low, self.high, n)
        step = ((self.cells + 0.5) / n - np.ldexp(nodes + 0.5, -often)) * sides / unit
        square = np.sum(step**2, axis=1)
        moved = (
            unit * float(self.counts @ np.sqrt(square)) / self.total,
            unit * math.sqrt(self.counts @ square / self.total),
        )
        spread = float(np.linalg.norm(np.ldexp(sides, -often))) / math.sqrt(12)
        first, second = added(self._bound(self.away.sum(axis=0).tolist(), self.total), moved)
        second = math.hypot(second, spread)
        return min(second, first + spread), second

    def _to_atoms(self, law: TreeMeasure, part, away) -> Bound:
        """Between some of the points and a law, by way of the centres of their cells."""
        cells, counts = self.cells[part], self.counts[part]
        centres = self.low + (cells + 0.5) * ((self.high - self.low) / np.asarray(self.resolution))
        return added(node_bound(centres, law, counts), self._bound(away.tolist(), int(counts.sum())))

    def _label_totals(self) -> Int[np.ndarray, " labels"]:
        if self.labels is None:
            return np.array([self.total])
        return np.add.reduceat(self.counts, np.searchsorted(self.labels, np.arange(len(self.vocabulary or ()))))

    def _bound(self, away: Sequence[int], total: int) -> Bound:
        """On W_1 and W_2 between points and the centres of their cells."""
        unit = _half_diagonal(self.low, self.high, self.resolution)
        first, second = (part / total / (1 << _AWAY_BITS) for part in away)
        return unit * first, unit * second**0.5


class _Part(NamedTuple):
    """Counts and sums as in `CellCounts`."""

    cells: Int[np.ndarray, "m d"]
    counts: Int[np.ndarray, " m"]
    labels: Int[np.ndarray, " m"] | None
    vocabulary: tuple[Label, ...] | None
    away: Int[np.ndarray, "labels 2"]


class _Grid(NamedTuple):
    """A box and its cells; `given` are the corners as the user has them."""

    low: Float[np.ndarray, " d"]
    high: Float[np.ndarray, " d"]
    resolution: tuple[int, ...]
    given: tuple[Numbers, Numbers]

    @classmethod
    def of(cls, dim: int, resolution: Numbers, low: Numbers, high: Numbers) -> "_Grid":
        corners = box_corners(low, high, dim)
        require_volume(*corners)
        return cls(*corners, grid_resolution(resolution, dim), (low, high))

    def counted(self, name: str, points: np.ndarray, labels: Any) -> _Part:
        if points.shape[1] != len(self.low):
            raise ValueError(f"{name} has points of dimension {points.shape[1]}; those before have {len(self.low)}")
        if out := outside(points, self.low, self.high, *self.given):
            raise ValueError(
                f"{out} of {len(points)} points of {name} lie outside the box low={self.low}, high={self.high}; "
                "enlarge the box"
            )
        try:
            codes, vocabulary = encode_labels(labels, len(points))
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {error}") from None
        cells, at, counts = count_cells(points, self.low, self.high, self.resolution, None, codes)
        return _Part(cells, counts.astype(np.int64), at, vocabulary, self._away(points, codes))

    def _away(self, points, codes) -> Int[np.ndarray, "labels 2"]:
        unit, square = _half_diagonal(self.low, self.high, self.resolution), np.zeros(len(points))
        for k, column in enumerate(cell_columns(points, self.low, self.high, self.resolution)):
            low, side = float(self.low[k]), (float(self.high[k]) - float(self.low[k])) / self.resolution[k]
            square += ((points[:, k].astype(np.float64) - (low + (column + 0.5) * side)) / unit) ** 2
        groups = np.zeros(len(points), np.int64) if codes is None else codes
        # Whole numbers below 2**53 in all, so that their sums in floats are exact.
        sums = [np.bincount(groups, np.ceil(np.ldexp(values, _AWAY_BITS))) for values in (np.sqrt(square), square)]
        return np.stack(sums, axis=1).astype(np.int64)


def _half_diagonal(low, high, resolution) -> float:
    return float(np.linalg.norm((high - low) / np.asarray(resolution))) / 2


def _chunks(chunks: Iterable[Any], labelled: bool) -> Iterator[tuple[str, np.ndarray, Any]]:
    """The name of each chunk that is not empty, its points, and its labels."""
    if not isinstance(chunks, Iterable) or getattr(chunks, "ndim", 3) < 3:
        raise TypeError("chunks must be an iterable of arrays of points; for one array, give [points]")
    for number, chunk in enumerate(chunks):
        name = f"chunk {number}"
        if labelled and not (isinstance(chunk, tuple | list) and len(chunk) == 2):
            raise TypeError(f"{name} must be a pair (points, labels), as labels=True says")
        points, labels = chunk if labelled else (chunk, None)
        if np.shape(points)[:1] != (0,):
            yield name, finite_points(points, name), labels


def _added(parts: Sequence[_Part]) -> _Part:
    """The sum of counts in one grid."""
    if len({part.vocabulary is None for part in parts}) > 1:
        raise ValueError("counts with labels and counts without do not add up; give labels to all parts, or to none")
    cells, counts = (np.concatenate(each) for each in zip(*(part[:2] for part in parts), strict=True))
    if parts[0].vocabulary is None:
        vocabulary, places, codes = None, [np.zeros(1, np.int64)] * len(parts), None
    else:
        vocabulary, places = joined([part.vocabulary or () for part in parts])
        codes = np.concatenate([place[part.labels] for part, place in zip(parts, places, strict=True)])
    cells, labels, counts = merge_cells(cells, codes, counts)
    away = np.zeros((len(vocabulary or (None,)), 2), np.int64)
    for part, place in zip(parts, places, strict=True):
        away[place] += part.away
    return _Part(cells, counts, labels, vocabulary, away)
