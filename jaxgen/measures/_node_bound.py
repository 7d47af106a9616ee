"""A bound on W_p between points and a law on leaves, from node to node of a tree (theory, section 8).

On a node v let mu be the points, T the law and U the uniform one, and phi and psi the shares of mu and T in the lower
half. W_p^p is convex; so where phi > psi (else with the halves exchanged)

    W_p(mu, T)^p <= psi W_p(mu_lower, T_lower)^p + (1 - phi) W_p(mu_upper, T_upper)^p
                    + (phi - psi) W_p(mu_lower, T_upper)^p,

and what is moved goes by way of the uniform laws on the halves, or by the product coupling. On a leaf T = U, and points
that fill it evenly are near.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ._abstract import AbstractMeasure
from ._abstract_grid import AbstractGridMeasure
from ._box_tree import BoxTree, box_tree
from ._evenness import Arranged, arranged, clusters, evenness, product_mean, squared, stretched
from ._record import Bound
from ._rounding import added

_CHUNK = 1 << 15
# Points are ranked in no more clusters than this, and only where what moves is more than this share of the bound.
_MOST_RANKED, _WORTH = 1 << 18, 0.05


def node_bound(
    points: Float[np.ndarray, "n d"], measure: AbstractMeasure, weights: Int[np.ndarray, " n"] | None = None
) -> Bound:
    """Bounds, in units of the points, on W_1 and W_2 between their uniform law and a measure, whatever its labels.

    With whole `weights`, each of the points is so many.

    Of points outside the box of the measure the nearest points of the box are taken, and their distance is added.
    O(N log N) for N points: one sort, and a merge of two nodes for each of them.
    """
    box: Any = measure
    weights = np.ones(len(points), np.int64) if weights is None else weights
    low, high = np.asarray(box.low, np.float64), np.asarray(box.high, np.float64)
    inside = np.clip(points, low, high)
    outside = _mean_length(points - inside, weights)
    # Through halves, where a side is beyond the largest double.
    half = high / 2 - low / 2
    unit = float(half.max())
    if unit == 0:
        return outside
    sides = half / unit
    cloud = (inside / 2 - low / 2) / unit
    if isinstance(measure, AbstractGridMeasure):
        cell = sides / np.asarray(measure.resolution)
        cells = np.asarray(measure.cells)
        corners, ends = cells * cell, (cells + 1) * cell
    else:
        cell = None
        corners = (np.asarray(measure.low_corners, np.float64) / 2 - low / 2) / unit
        ends = corners + np.asarray(measure.sides, np.float64) / 2 / unit
    masses = measure._weights().astype(np.float64)
    slack = 2.0**-50 + 2.0**-49 * (np.maximum(np.abs(low), np.abs(high)) / 2 / unit if cell is None else 0.0)
    tree = box_tree(corners, ends, masses / masses.sum(), sides, np.broadcast_to(slack, sides.shape), cell)
    found = _bounds(cloud, weights, _ends_of(cloud, tree, cell, getattr(measure, "resolution", ())), tree)
    w1, w2 = (2 * unit * (tree.moved + bound) for bound in found)
    return added(outside, (w1, w2))


def box_bound(
    low: Float[np.ndarray, "m d"],
    high: Float[np.ndarray, "m d"],
    masses: Float[np.ndarray, "2 m"],
    sides: Float[np.ndarray, " d"],
) -> Bound:
    """Bounds on W_1 and W_2 between two laws that are uniform on the same nodes of the dyadic tree of a box.

    **Arguments:**

    - `low`, `high`: of the nodes, none in another, in the box from 0 to `sides`, of which the longest is about 1.
    - `masses`: of both laws, each with the sum 1.
    """
    tree = box_tree(low, high, masses.mean(axis=0), sides, np.full(len(sides), 2.0**-50))
    where, ends = _descend((low + high) / 2, tree), np.flatnonzero(tree.axis < 0)
    leaf, middle = tree.leaf_high[ends] - tree.leaf_low[ends], tree.leaf_low[ends] / 2 + tree.leaf_high[ends] / 2
    one, two = _Law(tree), _Law(tree)
    for law, mass in zip((one, two), masses, strict=True):
        law.mass = np.bincount(where, mass, len(tree.axis)).astype(np.float64)
        law.mean, law.variance = tree.mean.copy(), tree.variance.copy()
        law.common[ends] = leaf * law.side[ends] / 12
        law.settle(ends, stretched(middle - law.centre[ends], law.side[ends] - leaf))
    (w1, w2), _ = _joined(one, two, np.zeros((2, len(tree.axis))), tree)
    return w1 + 2 * tree.moved, w2 + 2 * tree.moved


def _bounds(cloud, weights, where, tree: BoxTree) -> Bound:
    """In units of the tree: with each point where it is, and, if much is moved then, as many as the law has there."""
    ends = np.flatnonzero(tree.axis < 0)
    number = np.cumsum(tree.axis < 0) - 1
    low, side = tree.leaf_low[ends], tree.leaf_high[ends] - tree.leaf_low[ends]
    first = arranged(cloud, number[where], low, side, weights)
    bounds, moved = _from_node_to_node(first, ends, tree)
    if moved <= _WORTH * bounds[0]:
        return bounds
    starts = clusters(first, _MOST_RANKED)
    size = np.add.reduceat(first.weights, starts)
    means = np.add.reduceat(first.weights[:, None] * first.points, starts, axis=0) / size[:, None]
    where = np.repeat(_by_rank(means, size, tree), np.diff(starts, append=len(cloud)))
    second, _ = _from_node_to_node(arranged(first.points, number[where], low, side, first.weights), ends, tree)
    return min(bounds[0], second[0]), min(bounds[1], second[1])


def _mean_length(vectors: Float[np.ndarray, "n d"], weights: Int[np.ndarray, " n"]) -> Bound:
    """Mean and root mean square, in units of the largest, so that no square overflows or vanishes."""
    unit = float(np.abs(vectors).max())
    square = np.sum((vectors / (unit or 1.0)) ** 2, axis=1)
    total = weights.sum()
    return unit * float(weights @ np.sqrt(square) / total), unit * math.sqrt(weights @ square / total)


def _ends_of(cloud, tree: BoxTree, cell, resolution: tuple[int, ...]) -> Int[np.ndarray, " n"]:
    """The end of the tree that each point is in, as a node."""
    if cell is None or 4 * math.prod(resolution) > len(cloud):
        return _descend(cloud, tree)
    # Where points are many, what is known of the cells is known of them.
    rest = np.arange(math.prod(resolution))
    cells = np.empty((len(rest), len(resolution)), np.int64)
    for k in range(len(resolution) - 1, -1, -1):  # NumPy's own numbering ends at 64 axes
        rest, cells[:, k] = np.divmod(rest, resolution[k])
    table, flat = _descend((cells + 0.5) * cell, tree), np.zeros(len(cloud), np.int64)
    for k, n in enumerate(resolution):
        flat *= n
        if cell[k] > 0:
            flat += np.minimum((cloud[:, k] / cell[k]).astype(np.int64), n - 1)
    return table[flat]


def _descend(cloud, tree: BoxTree):
    out, child, dim = np.zeros(len(cloud), np.int64), tree.child.ravel(), cloud.shape[1]
    for begin in range(0, len(cloud), _CHUNK):
        values = cloud[begin : begin + _CHUNK].ravel()
        node = np.zeros(len(values) // dim, np.int64)
        going = np.arange(len(node)) if tree.axis[0] >= 0 else node[:0]
        while len(going):
            at = node[going]
            at = child[2 * at + (values[going * dim + tree.axis[at]] >= tree.cut[at])]
            node[going] = at
            going = going[tree.axis[at] >= 0]
        out[begin : begin + _CHUNK] = node
    return out


def _by_rank(points, size, tree: BoxTree):
    """The ends, with as many points in each half as its share of the law: those that are lowest along the axis."""
    mass = tree.mass.copy()
    for first, last in zip(tree.levels[-2::-1], tree.levels[:0:-1], strict=True):
        at = np.flatnonzero(tree.axis[first:last] >= 0) + first
        mass[at] = mass[tree.child[at]].sum(axis=1)
    node = np.zeros(len(points), np.int64)
    going = np.arange(len(points)) if tree.axis[0] >= 0 else node[:0]
    while len(going):
        at = node[going]
        going = going[np.lexsort((points[going, tree.axis[at]], at))]
        at, weight = node[going], size[going]
        first = np.flatnonzero(np.diff(at, prepend=-1))
        total, below = np.add.reduceat(weight, first), np.cumsum(weight) - weight
        lower = mass[tree.child[at[first], 0]] / mass[at[first]] * total
        count = np.diff(first, append=len(at))
        upper = below - np.repeat(below[first], count) + weight / 2 > np.repeat(lower, count)
        node[going] = tree.child[at, upper.astype(np.int64)]
        going = going[tree.axis[node[going]] >= 0]
    return node


def _from_node_to_node(data: Arranged, ends, tree: BoxTree) -> tuple[Bound, float]:
    """The bounds at the root, from the ends up; and what mass that is moved from half to half adds to the first."""
    even = evenness(data)
    where = ends[data.key >> data.shapes.bits]
    points, law = _Law(tree), _Law(tree)
    points.mass[ends], points.mean[ends], points.variance[ends] = (
        even.size / data.weights.sum(),
        even.mean,
        even.variance,
    )
    law.mass, law.mean, law.variance = tree.mass.copy(), tree.mean.copy(), tree.variance.copy()
    # From the points of an end to the law there, and from both to the uniform law on the end, through the leaf in it.
    apart = np.zeros((2, len(tree.axis)))
    leaf = tree.leaf_high[ends] - tree.leaf_low[ends]
    centre = tree.leaf_low[ends] / 2 + tree.leaf_high[ends] / 2
    through = stretched(centre - points.centre[ends], points.side[ends] - leaf)
    longer = points.side[ends] / np.where(leaf > 0, leaf, 1.0)
    points.common[ends] = even.common * longer
    points.settle(ends, even.error + through)
    law.common[ends] = np.where(tree.uniform[ends, None], leaf * points.side[ends] / 12, 0.0)
    law.settle(ends, np.where(tree.uniform[ends], through, np.inf))
    map_ = np.sqrt(squared(even.mean - centre, even.variance, leaf, even.common))
    apart[:, ends] = np.stack([even.error, map_])
    rough = np.flatnonzero((tree.axis < 0) & ~tree.uniform)
    apart[:, rough] = points.error[:, rough] + law.error[:, rough]
    rough = np.flatnonzero((tree.axis < 0) & ~(tree.uniform & (tree.leaf_high > tree.leaf_low).any(axis=1)))
    apart[:, rough] = np.minimum(apart[:, rough], _products(data, where, tree, rough))
    return _joined(points, law, apart, tree)


def _joined(points: "_Law", law: "_Law", apart, tree: BoxTree) -> tuple[Bound, float]:
    """The bounds at the root, from those between two laws at the ends; and what mass that moves adds to the first."""
    going = np.zeros(len(tree.axis))
    for first, last in zip(tree.levels[-2::-1], tree.levels[:0:-1], strict=True):
        at = np.flatnonzero(tree.axis[first:last] >= 0) + first
        if len(at) == 0:
            continue
        axis, (lower, upper) = tree.axis[at], tree.child[at].T
        length = law.side[at, axis]
        share = (tree.cut[at] - tree.low[at, axis]) / length
        phi, psi = (each.join(at, lower, upper, axis, share) for each in (points, law))
        source, target = np.where(phi > psi, lower, upper), np.where(phi > psi, upper, lower)
        step = points.mean[source] - law.mean[target]
        product = np.sqrt(np.einsum("nd,nd->n", step, step) + points.variance[source] + law.variance[target])
        through = points.error[:, source] + law.error[:, target]
        through += length * np.stack([np.full(len(at), 0.5), np.sqrt((1 - share + share**2) / 3)])
        far = np.minimum(through, product)
        stay, rest, moved = np.minimum(phi, psi), np.minimum(1 - phi, 1 - psi), np.abs(phi - psi)
        here = np.stack(
            [
                stay * apart[0, lower] + rest * apart[0, upper] + moved * far[0],
                np.sqrt(stay * apart[1, lower] ** 2 + rest * apart[1, upper] ** 2 + moved * far[1] ** 2),
            ]
        )
        direct = points.error[:, at] + law.error[:, at]
        going[at] = stay * going[lower] + rest * going[upper] + moved * far[0]
        going[at] = np.where(direct[0] < here[0], 0.0, going[at])
        apart[:, at] = np.minimum(here, direct)
        apart[0, at] = np.minimum(apart[0, at], apart[1, at])
    return (float(apart[0, 0]), float(apart[1, 0])), float(going[0])


def _products(data: Arranged, where, tree: BoxTree, rough):
    """The cost of the product coupling of points and law on some of the ends."""
    number = np.full(len(tree.axis), -1)
    number[rough] = np.arange(len(rough))
    which = number[where]
    held = which >= 0
    at, which = where[held], which[held]
    away, weights = data.points[held] - tree.mean[at], data.weights[held]
    square = np.einsum("nd,nd->n", away, away) + tree.variance[at]
    size = np.maximum(np.bincount(which, weights, len(rough)), 1)
    sums = np.stack([np.bincount(which, weights * cost, len(rough)) for cost in (np.sqrt(square), square)])
    return np.stack([sums[0] / size, np.sqrt(sums[1] / size)])


class _Law:
    """A law on the nodes of a tree: mass, mean and variance on each; the covariances g with the uniform law there, and
    bounds on W_1 and W_2 to it."""

    def __init__(self, tree: BoxTree):
        n = len(tree.axis)
        self.side, self.centre = tree.high - tree.low, tree.low / 2 + tree.high / 2
        self.line = int(np.count_nonzero(self.side[0])) == 1
        self.mass, self.mean, self.variance = np.zeros(n), self.centre.copy(), np.zeros(n)
        self.common, self.error = np.zeros_like(self.side), np.zeros((2, n))

    def join(self, at, lower, upper, axis, share):
        """What is known of nodes, from what is known of their halves; the share of mass in the lower ones.

        **Arguments:** `axis`, `share`: where they are cut.
        """
        rows, length = np.arange(len(at)), self.side[at, axis]
        self.mass[at] = self.mass[lower] + self.mass[upper]
        total = np.where(self.mass[at] > 0, self.mass[at], 1.0)
        phi, rest = self.mass[lower] / total, self.mass[upper] / total
        step = self.mean[upper] - self.mean[lower]
        self.mean[at] = self.mean[lower] + step * rest[:, None]
        inner = phi * self.variance[lower] + rest * self.variance[upper]
        self.variance[at] = inner + phi * rest * np.einsum("nd,nd->n", step, step)
        one, two = self.common[lower], self.common[upper]
        common = phi[:, None] * one + rest[:, None] * two
        cut = phi**2 / share * one[rows, axis] + rest**2 / (1 - share) * two[rows, axis]
        common[rows, axis] = cut + length * phi * rest / 2 * step[rows, axis]
        self.common[at] = common
        self.settle(at, phi * self.error[0, lower] + rest * self.error[0, upper] + length * np.abs(phi - share) / 2)
        return phi

    def settle(self, at, through):
        """The bounds on nodes, of which that on W_1 is known to be at most `through`."""
        away, side = self.mean[at] - self.centre[at], self.side[at]
        map_ = np.sqrt(squared(away, self.variance[at], side, self.common[at]))
        product = squared(away, self.variance[at], side)
        self.error[1, at] = np.minimum(map_, np.sqrt(product))
        self.error[0, at] = np.minimum(np.minimum(through, map_), product_mean(product, side, self.line))
