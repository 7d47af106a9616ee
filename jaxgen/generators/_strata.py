"""Stratified samples against the law they are drawn from: boxes that hold the images of the strata (theory, section 4).

A stratum is an interval [j/n, (j+1)/n) of u, within the label that is asked for, if any. Places in a node of `count`
quanta are held exactly, as `numerator / (n count)`, and so is all that the constructions make of them. Strata are half
open: an upper end on a border, numerator 0 of what lies behind it, is numerator `n count` of what lies before.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer, UInt32

from ..curves import AbstractCurve
from ..measures import Bound
from ..source import Branches, padded_size
from ._axes import exchanged

# Digits of a place that are worth having: a stratum has at least 2**-24 of the mass.
_DIGIT_BITS = 26


class _Ends(NamedTuple):
    """Nodes, numerators and denominators of the two ends of strata."""

    node: tuple[np.ndarray, np.ndarray]
    place: tuple[np.ndarray, np.ndarray]
    whole: tuple[np.ndarray, np.ndarray]

    def digit(self, base: int) -> tuple[np.ndarray, np.ndarray, "_Ends"]:
        """The next digit of both places in a base, and what is left."""
        (a, b), (one, two) = self.place, self.whole
        first, last = a * base // one, (b * base - 1) // two
        return first, last, self._replace(place=(a * base - first * one, b * base - last * two))


def _children(start: tuple[np.ndarray, ...], place: tuple[np.ndarray, ...], starts, counts, n: int) -> _Ends:
    """The ends in nodes of a level, `starts` and `counts`, of places in nodes that begin at the quanta `start`."""
    first, last, borders = start[0] * n + place[0], start[1] * n + place[1], starts * n
    node = np.searchsorted(borders, first, side="right") - 1, np.searchsorted(borders, last, side="left") - 1
    return _Ends(node, (first - borders[node[0]], last - borders[node[1]]), (n * counts[node[0]], n * counts[node[1]]))


def _bound(low: Float[np.ndarray, "n d"], high: Float[np.ndarray, "n d"]) -> Bound:
    """On W_1 and W_2 between the law and points of which each stratum holds one: both are in the box of the stratum."""
    diameter = np.linalg.norm(high - low, axis=1)
    return float(diameter.mean()), float(np.sqrt(np.mean(diameter**2)))


class Filled(NamedTuple):
    """How a curve fills leaves: its levels; the cells that they are, and which axis of each changes places with the
    last, for the curve; which coordinates of each rest at centres of the finest."""

    curve: AbstractCurve
    levels: int
    cells: Int[np.ndarray, "m d"]
    cell_levels: int
    axes: Int[np.ndarray, " m"]
    resting: Bool[np.ndarray, "m d"]


def leaf_strata(
    counts: Integer[np.ndarray, " m"],
    low: Float[np.ndarray, "m d"],
    sides: Float[np.ndarray, "m d"],
    n: int,
    filled: Filled | None = None,
) -> Bound:
    """The bound for leaves in their order, which a curve fills.

    What a stratum meets of its first and its last leaf are stretches of the curve, and a stretch lies in one cell or
    two consecutive ones of the deepest level at which it does not meet more.
    """
    counts = counts.astype(np.int64)
    starts, rank, none = np.cumsum(counts) - counts, np.arange(n, dtype=np.int64), np.zeros(n, np.int64)
    ends = _children((none, none), (rank * counts.sum(), (rank + 1) * counts.sum()), starts, counts, n)
    margin = np.zeros_like(sides)
    if filled is not None:
        margin = np.where(filled.resting, sides / 2 * float(filled.curve.base) ** -filled.levels, 0.0)
    (first, last), alone = ends.node, ends.node[0] == ends.node[1]
    stretches = (
        _Ends(
            (first, first),
            (ends.place[0], np.where(alone, ends.place[1], ends.whole[0])),
            (ends.whole[0], ends.whole[0]),
        ),
        _Ends((last, last), (np.where(alone, ends.place[0], 0), ends.place[1]), (ends.whole[1], ends.whole[1])),
    )
    lower, upper = np.full((n, low.shape[1]), np.inf), np.full((n, low.shape[1]), -np.inf)
    for stretch in stretches:
        leaf, (begin, end) = stretch.node[0], _stretch(stretch, filled, low.shape[1])
        if filled is not None:
            begin, end = (exchanged(corner, filled.axes[leaf]) for corner in (begin, end))
        lower = np.minimum(lower, low[leaf] + sides[leaf] * begin + margin[leaf])
        upper = np.maximum(upper, low[leaf] + sides[leaf] * end - margin[leaf])
    between = np.flatnonzero(last - first > 1)
    lower[between] = np.minimum(lower[between], _over(np.minimum, low + margin, first[between] + 1, last[between]))
    far = _over(np.maximum, low + sides - margin, first[between] + 1, last[between])
    upper[between] = np.maximum(upper[between], far)
    return _bound(lower, upper)


def _over(extreme: np.ufunc, rows: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The extremes of runs of rows; `begin` < `end`. Many runs may be the same."""
    if not len(begin):
        return rows[:0]
    runs, which = np.unique(np.stack([begin, end], axis=1), axis=0, return_inverse=True)
    padded = np.concatenate([rows, rows[-1:]])  # an end may be that of all rows
    return extreme.reduceat(padded, runs.ravel(), axis=0)[::2][which.ravel()]


def _stretch(ends: _Ends, filled: Filled | None, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Corners, in the unit cube, of a box that holds the stretch of the curve between two places in one leaf."""
    n, levels = len(ends.place[0]), 0
    if filled is not None:
        levels = min(filled.levels, int(_DIGIT_BITS / (dim * math.log2(filled.curve.base))))
    if filled is None or levels == 0:
        return np.zeros((n, dim)), np.ones((n, dim))
    curve, base, size = filled.curve, filled.curve.base, padded_size(n)
    digits, number, near = np.zeros((2, size, levels * dim), np.uint32), np.zeros((2, n), np.int64), []
    for i in range(levels * dim):
        first, last, ends = ends.digit(base)
        digits[0, :n, i], digits[1, :n, i] = first, last
        number = number * base + [first, last]
        if (i + 1) % dim == 0:
            near.append(number[1] - number[0] <= 1)
    depth = np.sum(near, axis=0)  # a pair of neighbours, or one cell, is one at every level above
    cells = np.zeros((size, dim), np.int32)
    cells[:n] = filled.cells[ends.node[0]]
    scale = float(base) ** -np.arange(1, levels + 1)
    corners = []
    for one in digits:
        steps = np.asarray(_steps(curve, one.reshape(size, levels, dim), cells, filled.cell_levels))[:n]
        path = np.cumsum(steps * scale[:, None], axis=1)
        corners.append(np.where(depth[:, None] > 0, path[np.arange(n), depth - 1], 0.0))
    side = float(base) ** -depth[:, None]
    return np.minimum(*corners), np.maximum(*corners) + side


@eqx.filter_jit
def _steps(curve: AbstractCurve, digits, cells, levels: int) -> UInt32[Array, "n levels d"]:
    return jax.vmap(lambda one, cell: curve.steps(one, cell, levels)[0])(digits, cells)


def nested_strata(
    tree: Branches,
    counts: Integer[np.ndarray, " m"],
    cells: Int[np.ndarray, "m d"],
    sides: Float[np.ndarray, " d"],
    n: int,
    folds: int,
    rests: bool,
    label: int | None = None,
) -> Bound:
    """The bound for the nested construction; cells, and their sides, in the order of its axes.

    A coordinate runs from the place of one end to that of the other. If both are in one dyadic interval, so do its
    folds, which the next coordinate is made of; else the later coordinates may be anywhere in the rows in between. A
    coordinate that `rests` does so in dyadic intervals.
    """
    edges = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    begin, end, value = (np.asarray(array, np.int64) for array in (tree.begin, tree.end, tree.value))
    start, count = edges[begin], edges[end] - edges[begin]
    root = 0 if label is None else 1 + label
    labels = begin[tree.level(1)] if tree.labelled else begin[:1]
    rank, dim = np.arange(n, dtype=np.int64), cells.shape[1]
    alive, at = np.arange(n), (np.full(n, start[root]),) * 2
    place = (rank * count[root], (rank + 1) * count[root])
    lower, upper = np.zeros((n, dim)), np.zeros((n, dim))
    for k in range(dim):
        level = tree.level(k + 1 + int(tree.labelled))
        ends = _children(at, place, start[level], count[level], n)
        bins, runs = value[level], (begin[level][ends.node[0]], end[level][ends.node[1]])
        folded, same, even = ends, ends.node[0] == ends.node[1], np.ones(len(alive), bool)
        tooth = np.zeros((2, len(alive)))
        for _ in range(folds):
            first, last, folded = folded.digit(2)
            same &= first == last
            even = first == 0
            tooth = 2 * tooth + [first, last]
        inside = [a / whole for a, whole in zip(ends.place, ends.whole, strict=True)]
        if rests and k < dim - 1:
            inside = (tooth + 0.5) * 2.0**-folds
        lower[alive, k], upper[alive, k] = bins[ends.node[0]] + inside[0], bins[ends.node[1]] + inside[1]
        # From one label to another the first coordinate begins anew.
        apart = np.searchsorted(labels, runs[0], side="right") != np.searchsorted(labels, runs[1] - 1, side="right")
        for first, lost in ((k, apart), (k + 1, ~(same | apart))):
            run, where = (runs[0][lost], runs[1][lost]), alive[lost]
            lower[where, first:] = _over(np.minimum, cells[:, first:], *run)
            upper[where, first:] = _over(np.maximum, cells[:, first:] + 1, *run)
        (a, b), whole = (part[same] for part in folded.place), folded.whole[0][same]
        even, node = even[same], ends.node[0][same]
        place = np.where(even, a, whole - b), np.where(even, b, whole - a)
        alive, at = alive[same], (start[level][node],) * 2
    return _bound(lower * sides, upper * sides)
