"""A k-d tree that separates the boxes of a leaf measure: below every end the law is uniform, or a few atoms.

A node is cut at the middle of its longest side where no box crosses that; else at the place nearest to a middle that no
box crosses, on any axis; else boxes are cut too, which leaves the law what it is. So a dyadic tree is found again, and
the cells of a grid are separated at their borders.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

# A node is cut no more often than this along each axis, and boxes are cut into no more parts than this each.
_MAX_CUTS, _MAX_PARTS = 64, 16


class BoxTree(NamedTuple):
    """Nodes from the root down, level by level.

    - `low`, `high`: their boxes; `leaf_low`, `leaf_high`: of an end that has one box of the law in it, that box.
    - `axis`, `cut`: where they are cut, axis -1 at the ends; `child`: the two halves.
    - `levels`: where each level begins, and the end.
    - `mass`, `mean`, `variance`: of the law on each end, the variance summed over the axes; `uniform`: whether it is
        uniform on its leaf box.
    - `moved`: how far the law was moved at most to bring it on the ends: boxes that meet up to a last bit.
    """

    low: Float[np.ndarray, "nodes d"]
    high: Float[np.ndarray, "nodes d"]
    leaf_low: Float[np.ndarray, "nodes d"]
    leaf_high: Float[np.ndarray, "nodes d"]
    axis: Int[np.ndarray, " nodes"]
    cut: Float[np.ndarray, " nodes"]
    child: Int[np.ndarray, "nodes 2"]
    mass: Float[np.ndarray, " nodes"]
    mean: Float[np.ndarray, "nodes d"]
    variance: Float[np.ndarray, " nodes"]
    uniform: Bool[np.ndarray, " nodes"]
    levels: list[int]
    moved: float


def box_tree(
    low: Float[np.ndarray, "m d"],
    high: Float[np.ndarray, "m d"],
    masses: Float[np.ndarray, " m"],
    box: Float[np.ndarray, " d"],
    slack: Float[np.ndarray, " d"],
    cell: Float[np.ndarray, " d"] | None = None,
) -> BoxTree:
    """The tree of boxes from `low` to `high` inside the box from 0 to `box`.

    **Arguments:**

    - `slack`: borders that are no farther apart are taken to be the same.
    - `cell`: sides of the cells of a grid, where the boxes are such; nodes are cut at borders of cells then.
    """
    dim, most_parts = len(box), _MAX_PARTS * len(masses) + 1024
    node, levels, moved = np.zeros(len(masses), np.int64), [0], 0.0
    node_low, node_high, back = np.zeros((1, dim)), box[None].astype(np.float64), np.zeros(1)
    out: list[tuple[Any, ...]] = []
    while len(back):
        n = len(back)
        inside_low, inside_high = node_low[node] + slack, node_high[node] - slack
        covers = ((low <= inside_low) & (high >= inside_high)).all(axis=1)
        if covers.any():
            at = node[covers]
            away = np.maximum(np.abs(low[covers] - node_low[at]), np.abs(high[covers] - node_high[at]))
            moved = max(moved, float(np.sqrt(np.sum(away**2, axis=1)).max()))
            back = back + np.bincount(at, masses[covers], n)
            node, low, high, masses = (array[~covers] for array in (node, low, high, masses))
            inside_low, inside_high = inside_low[~covers], inside_high[~covers]
        first = np.flatnonzero(np.diff(node, prepend=-1))
        held = node[first]  # nodes that are not uniform
        inner = (low > inside_low) & (low < inside_high) | (high > inside_low) & (high < inside_high)
        useful, leaf_low, leaf_high = np.zeros((n, dim), bool), node_low.copy(), node_high.copy()
        if len(first):
            least, most_low = np.minimum.reduceat(low, first), np.maximum.reduceat(low, first)
            least_high, most = np.minimum.reduceat(high, first), np.maximum.reduceat(high, first)
            differ = (most_low - least > slack) | (most - least_high > slack)
            # One box alone is an end, whatever is around it.
            alone = ~differ.any(axis=1) & (back[held] == 0)
            leaf_low[held[alone]], leaf_high[held[alone]] = least[alone], most[alone]
            away = np.maximum(most_low - least, most - least_high)[alone]
            moved = max(moved, float(np.sqrt(np.sum(away**2, axis=1)).max(initial=0.0)))
            useful[held] = (np.logical_or.reduceat(inner, first) | differ) & (most - least > slack) & ~alone[:, None]
            rest = np.ones(n, bool)
            rest[held[alone]] = False
            back[held[alone]] = np.bincount(node, masses, n)[held[alone]]
            kept = rest[node]
            node, low, high, masses = (array[kept] for array in (node, low, high, masses))
        split: Any = useful.any(axis=1) & (len(levels) <= _MAX_CUTS * dim)
        axis, cut = _middles(node_low, node_high, useful, cell)
        if cell is None and len(node):
            _mend(axis, cut, split, node, low, high, node_low, node_high, useful, slack, len(node) <= most_parts)
        axis[~split] = -1
        ends = _law(node, low, high, masses, leaf_low, leaf_high, back, ~split)
        number = levels[-1] + n - 2 + 2 * np.cumsum(split)[:, None]
        child = np.where(split[:, None], number + np.arange(2), -1)
        out.append((node_low, node_high, leaf_low, leaf_high, axis, cut, child, *ends))
        levels.append(levels[-1] + n)
        node_low, node_high, back = _halves(node_low, node_high, back, axis, cut, split)
        node, low, high, masses = _parts(node, low, high, masses, axis, cut, split, slack)
    nodes: Any = [np.concatenate(each) for each in zip(*out, strict=True)]
    return BoxTree(*nodes, levels=levels, moved=moved)


def _middles(low, high, useful, cell):
    """The longest side of those that are useful to cut, and its middle, or the border of cells nearest to that."""
    rows, side = np.arange(len(low)), np.where(useful, high - low, -1.0)
    axis = np.argmax(side, axis=1)
    if cell is None:
        return axis, low[rows, axis] / 2 + high[rows, axis] / 2
    step = np.where(cell > 0, cell, 1.0)[axis]
    return axis, np.floor((low[rows, axis] + high[rows, axis]) / (2 * step) + 0.5) * step


def _mend(axis, cut, split, node, low, high, node_low, node_high, useful, slack, may_break):
    """Other cuts for the nodes whose middle is crossed by a box; in place."""
    rows, k = np.arange(len(node)), axis[node]
    crossed = (low[rows, k] < cut[node] - slack[k]) & (high[rows, k] > cut[node] + slack[k]) & split[node]
    bad = np.zeros(len(axis), bool)
    bad[node[crossed]] = True
    if not bad.any():
        return
    kept = bad[node]
    at, low, high = node[kept], low[kept], high[kept]
    gaps = [_gaps(at, low[:, k], high[:, k], node_low[:, k], node_high[:, k], slack[k]) for k in range(low.shape[1])]
    sizes = [len(where) for where, _ in gaps]
    where, place = (np.concatenate(each) for each in zip(*gaps, strict=True))
    broken = bad.copy()
    found, place, along = _best(where, place, np.repeat(np.arange(len(sizes)), sizes), node_low, node_high, slack)
    axis[found], cut[found], broken[found] = along, place, False
    if not broken.any():
        return
    kept = broken[at]
    at, k, rows = at[kept], axis[at[kept]], np.arange(int(kept.sum()))
    edges = np.concatenate([low[kept][rows, k], high[kept][rows, k]])
    found, place, _ = _best(np.tile(at, 2), edges, np.tile(k, 2), node_low, node_high, slack)
    cut[found] = place
    broken[found] &= not may_break
    split &= ~broken


def _gaps(node, low, high, node_low, node_high, slack):
    """Along an axis, the place nearest to the middle of its node in each gap that no box crosses."""
    order = np.lexsort((low, node))
    node, low, high = node[order], low[order], high[order]
    # The running maximum in each node, by ranks, which are exact in integers.
    values, rank = np.unique(high, return_inverse=True)
    reached = values[np.maximum.accumulate(node * len(values) + rank) - node * len(values)]
    first = np.diff(node, prepend=-1) > 0
    last = np.append(first[1:], True)
    begin = np.where(first, node_low[node], np.append(0.0, reached[:-1]))
    where = np.concatenate([node, node[last]])
    begin, end = np.concatenate([begin, reached[last]]), np.concatenate([low, node_high[node[last]]])
    free = end >= begin - slack
    where, begin, end = where[free], begin[free], end[free]
    middle = node_low[where] / 2 + node_high[where] / 2
    return where, np.clip(middle, np.minimum(begin, end), end)


def _best(where, place, axis, node_low, node_high, slack):
    """For each node the place that is farthest from both ends of its side: nodes, places, axes."""
    far = np.minimum(place - node_low[where, axis], node_high[where, axis] - place)
    inner = np.flatnonzero(far > slack[axis])
    order = inner[np.lexsort((far[inner], where[inner]))]
    best = order[np.diff(where[order], append=-1) != 0]
    return where[best], place[best], axis[best]


def _law(node, low, high, masses, node_low, node_high, back, ends):
    """Mass, mean and variance of the law on the ends, and whether it is uniform there."""
    n, dim = node_low.shape
    mass, mean = np.where(ends, back, 0.0), (node_low + node_high) / 2
    variance, uniform = np.sum((node_high - node_low) ** 2, axis=1) / 12, np.ones(n, bool)
    here = ends[node]
    if here.any():
        at, weight = node[here], masses[here]
        centre, own = (low[here] + high[here]) / 2, np.sum((high[here] - low[here]) ** 2, axis=1) / 12
        uniform[at] = False
        own_mass = np.bincount(at, weight, n)
        mass = mass + np.where(ends, own_mass, 0.0)
        total = np.where(mass > 0, mass, 1.0)
        middle, mean = mean, mean.copy()
        some = np.unique(at)
        for k in range(dim):
            sums = np.bincount(at, weight * centre[:, k], n) + back * middle[:, k]
            mean[some, k] = (sums / total)[some]
        far = np.bincount(at, weight * (own + np.sum((centre - mean[at]) ** 2, axis=1)), n)
        far = (far + back * (variance + np.sum((middle - mean) ** 2, axis=1))) / total
        variance = np.where(uniform, variance, far)
    return mass, mean, variance, uniform


def _halves(low, high, back, axis, cut, split):
    """The boxes of the next level, and the mass that covers them evenly."""
    rows, k, cut = np.arange(int(split.sum())), axis[split], cut[split]
    low, high, back = low[split], high[split], back[split]
    share = (cut - low[rows, k]) / np.where(back > 0, high[rows, k] - low[rows, k], 1.0)
    low, high = np.repeat(low, 2, axis=0), np.repeat(high, 2, axis=0)
    high[2 * rows, k] = cut
    low[2 * rows + 1, k] = cut
    return low, high, np.stack([back * share, back * (1 - share)], axis=1).ravel()


def _parts(node, low, high, masses, axis, cut, split, slack):
    """The boxes in the halves, those that are crossed in two parts."""
    kept = split[node]
    which = (np.cumsum(split) - 1)[node[kept]]
    k, at = axis[node[kept]], cut[node[kept]]
    low, high, masses = low[kept], high[kept], masses[kept]
    rows = np.arange(len(k))
    begin, end = low[rows, k], high[rows, k]
    crossed = (begin < at - slack[k]) & (end > at + slack[k])
    upper = (begin + end) / 2 >= at
    node = 2 * which + np.where(crossed, 0, upper)
    if crossed.any():
        share = ((at - begin) / np.where(crossed, end - begin, 1.0))[crossed]
        more_low, more_high, more = low[crossed], high[crossed], masses[crossed]
        more_low[np.arange(len(more)), k[crossed]] = at[crossed]
        high[rows[crossed], k[crossed]] = at[crossed]
        masses[crossed] *= share
        node = np.concatenate([node, 2 * which[crossed] + 1])
        low, high = np.concatenate([low, more_low]), np.concatenate([high, more_high])
        masses = np.concatenate([masses, more * (1 - share)])
    order = np.argsort(node, kind="stable")
    return node[order], low[order], high[order], masses[order]
