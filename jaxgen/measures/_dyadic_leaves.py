"""A dyadic tree as its leaves, in the order of the tree, and as the levels that its code goes through."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Num

from ..coding import TreeLevel
from ._kd_tree import Cuts


class DyadicLeaves(NamedTuple):
    """Leaves of a tree, root by root and each lower half first.

    - `cells`: which of the cells of its size each is, and `halvings`, how often each axis was cut, `(m, d)`.
    - `quanta`, or masses of any size, and `root`: `(m,)`.
    """

    cells: Int[np.ndarray, "m d"]
    halvings: Int[np.ndarray, "m d"]
    quanta: Num[np.ndarray, " m"]
    root: Int[np.ndarray, " m"]


def leaves_of(levels: list[TreeLevel], cuts: Cuts, dim: int) -> DyadicLeaves:
    """The leaves of levels, whose nodes are cut as `cuts` says."""
    under = [np.ones(len(levels[-1].quanta), np.int64)]  # leaves under each node
    for level in reversed(levels[:-1]):
        halves, _ = _halves(level)
        each = np.zeros(halves.shape, np.int64)
        each[halves > 0] = under[0]
        here = np.ones(len(level.quanta), np.int64)
        here[~level.leaf] = each.sum(axis=1)
        under.insert(0, here)
    m, roots = int(under[0].sum()), len(levels[0].quanta)
    out = DyadicLeaves(*(np.zeros((m, dim), np.int64) for _ in range(2)), *(np.zeros(m, np.int64) for _ in range(2)))
    place, cells, root = np.cumsum(under[0]) - under[0], np.zeros((roots, dim), np.int64), np.arange(roots)
    often = np.zeros(dim, np.int64)
    for depth, level in enumerate(levels):
        at = place[level.leaf]
        out.cells[at], out.halvings[at] = cells[level.leaf], often
        out.quanta[at], out.root[at] = level.quanta[level.leaf], root[level.leaf]
        if level.leaf.all():
            break
        halves, split = _halves(level)
        held, axis = halves > 0, cuts.axis(depth)
        lower = np.zeros(halves.shape, np.int64)
        lower[held] = under[depth + 1]
        begin = place[split][:, None] + np.stack([np.zeros(len(split), np.int64), lower[:, 0]], axis=1)
        cells, root = np.repeat(cells[split], 2, axis=0), np.repeat(root[split], 2)
        cells[:, axis] = 2 * cells[:, axis] + np.tile([0, 1], len(split))
        place, cells, root = begin[held], cells[held.ravel()], root[held.ravel()]
        often = often.copy()
        often[axis] += 1
    return out


def _halves(level: TreeLevel) -> tuple[Int[np.ndarray, "splits 2"], Int[np.ndarray, " splits"]]:
    split = np.flatnonzero(~level.leaf)
    return np.stack([level.left[split], level.quanta[split] - level.left[split]], axis=1), split


def levels_of(leaves: DyadicLeaves, cuts: Cuts) -> list[TreeLevel]:
    """The levels of leaves in the order of their tree.

    **Raises:** `ValueError` where the leaves are no tree's: where one overlaps another, or is cut in another order.
    """
    depth_of, quanta = leaves.halvings.sum(axis=1), leaves.quanta
    node, levels, often = leaves.root, [], np.zeros(leaves.cells.shape[1], np.int64)
    alive = np.arange(len(quanta))
    while len(alive):
        first = np.flatnonzero(np.diff(node, prepend=-1))
        size = np.diff(first, append=len(alive))
        ends = depth_of[alive] == len(levels)
        leaf = ends[first]
        if np.any(ends & ~((size == 1) & leaf)[np.cumsum(np.diff(node, prepend=-1) != 0) - 1]):
            raise ValueError("low_corners and sides must be those of a tree: two leaves overlap")
        if np.any(leaves.halvings[alive[ends]] != often):
            raise ValueError(
                "low_corners and sides must be those of a tree: a leaf is cut in another order of the axes"
            )
        axis = cuts.axis(len(levels))
        if axis < 0 and not leaf.all():
            raise ValueError("low_corners and sides must be those of a tree: a leaf is too small")
        total = np.add.reduceat(quanta[alive], first)
        left = np.zeros(len(first), np.int64)
        if not leaf.all():
            # The next binary digit of the cell, from the highest of those that it has.
            rest = leaves.halvings[alive, axis] - often[axis] - 1
            upper = (leaves.cells[alive, axis] >> np.maximum(rest, 0) & 1).astype(bool) & ~ends
            left = np.where(leaf, 0, np.add.reduceat(np.where(upper, 0, quanta[alive]), first))
            levels.append(TreeLevel(total, leaf, left))
            # Numbered anew, which keeps them apart and small.
            _, node = np.unique(2 * node[~ends] + upper[~ends], return_inverse=True)
            if np.any(np.diff(node) < 0):
                raise ValueError("leaves must stand in the order of their tree")
            alive = alive[~ends]
            often[axis] += 1
        else:
            levels.append(TreeLevel(total, leaf, left))
            alive = alive[:0]
    return levels


def mixed(parts: Sequence[DyadicLeaves], cuts: Cuts) -> DyadicLeaves:
    """The leaves that several trees have together, root by root, each as fine as the finest there, with all the mass.

    A leaf in which another tree has smaller ones is halved, and its mass too, until it is one of these or beside them.
    """
    cells, halvings, mass, root = (np.concatenate(each) for each in zip(*parts, strict=True))
    mass, node = mass.astype(np.float64), root
    often, out = np.zeros(cells.shape[1], np.int64), []
    while len(mass):
        nodes, node = np.unique(node, return_inverse=True)
        ends = halvings.sum(axis=1) == often.sum()
        uniform, deeper = np.bincount(node[ends], mass[ends], len(nodes)), np.zeros(len(nodes), bool)
        deeper[node[~ends]] = True
        # One leaf for all that end at a node.
        _, first = np.unique(node[ends], return_index=True)
        first = np.flatnonzero(ends)[first]
        done, cut = first[~deeper[node[first]]], first[deeper[node[first]]]
        out.append(DyadicLeaves(cells[done], halvings[done], uniform[node[done]], root[done]))
        axis = cuts.axis(int(often.sum()))
        half = np.arange(cells.shape[1]) == axis
        below = np.repeat(cells[cut], 2, axis=0) * (1 + half) + half * np.tile([[0], [1]], (len(cut), 1))
        mass = np.concatenate([mass[~ends], np.repeat(uniform[node[cut]] / 2, 2)])
        node = np.concatenate([node[~ends], np.repeat(node[cut], 2)])
        root = np.concatenate([root[~ends], np.repeat(root[cut], 2)])
        cells = np.concatenate([cells[~ends], below])
        halvings = np.concatenate([halvings[~ends], np.repeat(halvings[cut] + half, 2, axis=0)])
        # The next binary digit of the cell, from the highest of those that it has.
        node = 2 * node + (cells[:, axis] >> np.maximum(halvings[:, axis] - often[axis] - 1, 0) & 1)
        often = often + half
    leaves = DyadicLeaves(*(np.concatenate(each) for each in zip(*out, strict=True)))
    order = np.argsort(leaves.root, kind="stable")
    return DyadicLeaves(*(each[order] for each in leaves))


def tree_order(
    cells: Int[np.ndarray, "m d"], halvings: Int[np.ndarray, "m d"], root: Int[np.ndarray, " m"], cuts: Cuts
):
    """The permutation that brings leaves in the order of their tree."""
    depth_of, often = halvings.sum(axis=1), np.zeros(cells.shape[1], np.int64)
    keys = [root]
    for depth in range(int(depth_of.max(initial=0))):
        axis = cuts.axis(depth)
        if axis < 0:
            break
        rest = halvings[:, axis] - often[axis] - 1
        bit = np.where((depth_of > depth) & (rest >= 0), cells[:, axis] >> np.maximum(rest, 0) & 1, 0)
        if depth % 62 == 0:
            keys.append(np.zeros(len(cells), np.int64))
        keys[-1] = keys[-1] << 1 | bit
        often[axis] += 1
    return np.lexsort(keys[::-1])
