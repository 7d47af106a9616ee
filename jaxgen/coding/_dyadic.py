"""The code of a dyadic tree: which nodes are leaves, and how many quanta of each other go left (theory, section 8).

Level by level, and within a level in blocks, that are small where little has been seen: the probabilities of a block
are known before it, so that all its questions are made together, and learned from it after.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, UInt32

from ._beta_binomial import Mixture, Splits
from ._coder import Reader
from ._decisions import packed
from ._errors import CodeError

# Contexts of "leaf or not": the power of 2 next to quanta times side, between these.
_CONTEXTS, _FIRST = 80, -40
# Its probability is kept in these bounds, so that a short file cannot claim a long tree.
_LEAST = 64
_LEAST_BITS = 0.022
_BLOCK_SHARE = 4
_MAX_DEPTH = 1 << 16


@runtime_checkable
class _Decides(Protocol):
    """What codes answers, or counts their bits: a `Writer` or a `Reader`."""

    def decisions(self, words: UInt32[np.ndarray, " n"], answers: Bool[np.ndarray, " n"] | None) -> np.ndarray: ...


class TreeLevel(NamedTuple):
    """The nodes of a depth that hold quanta: how many, which of them are leaves, and how many quanta go left."""

    quanta: Int[np.ndarray, " nodes"]
    leaf: Bool[np.ndarray, " nodes"]
    left: Int[np.ndarray, " nodes"]

    def children(self) -> Int[np.ndarray, " nodes"]:
        """The quanta of the nodes of the next depth."""
        left = self.left[~self.leaf]
        both = np.stack([left, self.quanta[~self.leaf] - left], axis=1).ravel()
        return both[both > 0]


def code_tree(
    coder: _Decides,
    roots: Int[np.ndarray, " roots"],
    side: Callable[[int], float],
    levels: list[TreeLevel] | None,
    nodes: float | int = np.inf,
) -> list[TreeLevel]:
    """Codes a forest with so many quanta at each root; gives its levels.

    **Arguments:**

    - `side`: of the axis that is split at a depth, as a share of the longest side of the box; 0 for the last depth.
    - `levels`: to be written, `None` to read.
    - `nodes`: how many can be.

    **Raises:** `CodeError` for more nodes than there can be.
    """
    out, quanta, model, seen = [], roots, _Model(), 0
    while len(quanta):
        depth = len(out)
        seen += len(quanta)
        if seen > nodes or depth > _MAX_DEPTH:
            raise CodeError("the file claims a tree with more nodes than it can hold")
        level = TreeLevel(quanta, np.ones(len(quanta), bool), np.zeros(len(quanta), np.int64))
        if length := side(depth):
            model.deepen()
            for block in _blocks(len(quanta)):
                known = None if levels is None else TreeLevel(*(part[block] for part in levels[depth]))
                found = model.code(coder, quanta[block], length, known)
                level.leaf[block], level.left[block] = found.leaf, found.left
        out.append(level)
        quanta = level.children()
    return out


def _blocks(size: int):
    at = 0
    while at < size:
        step = 1 + at // _BLOCK_SHARE
        yield slice(at, at + step)
        at += step


def tree_contexts(quanta: Int[np.ndarray, " n"], side: float | Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Which of the contexts of "leaf or not" nodes are in."""
    return np.clip(np.frexp(quanta * side * 1.4142135623730951)[1] - _FIRST, 0, _CONTEXTS - 1)


class _Model:
    def __init__(self):
        self._counts = np.full((_CONTEXTS, 2), 2, np.int64)  # in fifths
        self._mixture = Mixture()

    def deepen(self) -> None:
        self._mixture.deepen()

    def code(self, coder: _Decides, quanta: Int[np.ndarray, " n"], side: float, level: TreeLevel | None) -> TreeLevel:
        """Codes a block, and learns from it."""
        where = tree_contexts(quanta, side)
        yes, total = self._counts[where, 0], self._counts[where].sum(axis=1)
        floor = total // _LEAST + 1
        words = packed(np.clip(yes, floor, total - floor), total)
        leaf = coder.decisions(words, None if level is None else level.leaf)
        np.add.at(self._counts, (where, 1 - leaf), 5)
        split = np.flatnonzero(~leaf)
        left = np.zeros(len(quanta), np.int64)
        if len(split):
            left[split] = self._left(coder, quanta[split], None if level is None else level.left[split])
            self._mixture.learn(left[split], quanta[split])
        return TreeLevel(quanta, leaf, left)

    def _left(self, coder: _Decides, quanta, left) -> Int[np.ndarray, " n"]:
        """Numbers of 0 ... quanta by bisection: is it in the upper half?"""
        splits = Splits(quanta, self._mixture.weights)
        low, high = np.zeros(len(quanta), np.int64), quanta + 1
        open_ = np.arange(len(quanta))
        while len(open_):
            a, b = low[open_], high[open_]
            middle = (a + b) >> 1
            upper = coder.decisions(splits.words(open_, a, b), None if left is None else left[open_] >= middle)
            low[open_], high[open_] = np.where(upper, middle, a), np.where(upper, b, middle)
            open_ = open_[high[open_] - low[open_] > 1]
        return low


def most_nodes(reader: Reader) -> int:
    """How many nodes a payload can hold."""
    return int((8 * reader.size + 64) / _LEAST_BITS)


class TreeCosts:
    """Code lengths of the parts of a tree as they would be after another tree has been learned: what pruning weighs."""

    def __init__(self, levels: list[TreeLevel] | None = None, side: Callable[[int], float] | None = None):
        counts, mixture = np.full((_CONTEXTS, 2), 2.0), Mixture()
        self.weights: list[Float[np.ndarray, " components"]] = []
        for depth, level in enumerate(levels or []):
            length = side(depth) if side is not None else 0.0
            mixture.deepen()
            if length:
                np.add.at(counts, (tree_contexts(level.quanta, length), 1 - level.leaf), 5.0)
                mixture.learn(level.left[~level.leaf], level.quanta[~level.leaf])
            self.weights.append(mixture.weights)
        if not self.weights:
            self.weights.append(mixture.weights)
        share = np.clip(counts[:, 0] / counts.sum(axis=1), 1 / _LEAST, 1 - 1 / _LEAST)
        self._flags = -np.log2(np.stack([share, 1 - share]))

    def flag(self, where: Int[np.ndarray, " n"]) -> Float[np.ndarray, "2 n"]:
        """Bits of "a leaf", and of "no leaf", given the `tree_contexts` of nodes."""
        return self._flags[:, where]

    def left(self, depth: int, powers: Float[np.ndarray, "components n"]) -> Float[np.ndarray, " n"]:
        """Bits of the quanta that go left, given their probabilities by the components."""
        weights = self.weights[min(depth, len(self.weights) - 1)]
        return -np.log2(np.maximum(weights @ powers, 1e-300))


class _Counter:
    """A coder that only counts bits."""

    def __init__(self):
        self.bits = 0.0

    def decisions(self, words: UInt32[np.ndarray, " n"], answers: Bool[np.ndarray, " n"] | None) -> np.ndarray:
        assert answers is not None
        rare = np.ldexp((words & 0xFFFF).astype(np.float64), -16 - (words >> 16 & 15).astype(np.int64))
        self.bits -= float(np.log2(np.where(answers == (words >> 20 & 1), rare, 1 - rare)).sum())
        return answers


def about_tree_bits(levels: list[TreeLevel], side: Callable[[int], float]) -> float:
    """Nearly what `tree_bits` counts, without the roundings of the code, and many times faster: for a search.

    What is learned before a block is a sum over all that comes before it, so that a depth takes a few steps on arrays.
    """
    counts, mixture, bits = np.full((_CONTEXTS, 2), 2.0), Mixture(), 0.0
    for depth, level in enumerate(levels):
        size = len(level.quanta)
        if not (length := side(depth)):
            continue
        mixture.deepen()
        starts = np.zeros(size, np.int64)
        for block in _blocks(size):
            starts[block] = block.start
        where = tree_contexts(level.quanta, length)
        seen = np.zeros((size + 1, 2))
        for context in np.unique(where):
            here = where == context
            answers = np.stack([here & level.leaf, here & ~level.leaf], axis=1)
            np.cumsum(answers, axis=0, out=seen[1:])
            yes, no = (counts[context] + 5 * seen[starts[here]]).T
            share = np.clip(yes / (yes + no), 1 / _LEAST, 1 - 1 / _LEAST)
            bits -= float(np.log2(np.where(level.leaf[here], share, 1 - share)).sum())
            counts[context] += 5 * seen[-1]
        split = ~level.leaf
        before = np.concatenate([[0], np.cumsum(split)])[starts[split]]
        bits += float(mixture.lengths(level.left[split], level.quanta[split], before).sum())
    return bits


def tree_bits(levels: list[TreeLevel], side: Callable[[int], float]) -> float:
    """The bits that `code_tree` takes."""
    counter = _Counter()
    code_tree(counter, levels[0].quanta, side, levels)
    return counter.bits
