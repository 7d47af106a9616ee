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

from ..measures import AbstractGridMeasure, AbstractMeasure
from ._box_tree import BoxTree, box_tree
from ._evenness import Evenness, evenness

_CHUNK = 1 << 15


def node_bound(points: Float[np.ndarray, "n d"], measure: AbstractMeasure, p: int) -> float:
    """The bound, in units of the points, on W_p between their uniform law and a measure, whatever its labels.

    Of points outside the box of the measure the nearest points of the box are taken, and their distance is added.
    O(N log N) for N points: one sort, and a merge of two nodes for each of them.
    """
    box: Any = measure
    low, high = np.asarray(box.low, np.float64), np.asarray(box.high, np.float64)
    inside = np.clip(points, low, high)
    outside = _mean_length(points - inside, p)
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
    where = _ends_of(cloud, tree, cell, getattr(measure, "resolution", ()))
    return outside + 2 * unit * (tree.moved + _from_node_to_node(cloud, where, tree, p))


def _mean_length(vectors: Float[np.ndarray, "n d"], p: int) -> float:
    """(mean |v|^p)^(1/p), in units of the largest, so that no square overflows or vanishes."""
    unit = float(np.abs(vectors).max())
    if unit == 0:
        return 0.0
    square = np.sum((vectors / unit) ** 2, axis=1)
    return unit * (float(np.sqrt(square).mean()) if p == 1 else math.sqrt(square.mean()))


def _ends_of(cloud, tree: BoxTree, cell, resolution: tuple[int, ...]) -> Int[np.ndarray, " n"]:
    """The end of the tree that each point is in, as a node."""
    if cell is None or 4 * math.prod(resolution) > len(cloud):
        return _descend(cloud, tree)
    # Where points are many, what is known of the cells is known of them.
    cells = np.stack(np.unravel_index(np.arange(math.prod(resolution)), resolution), axis=1)
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


def _from_node_to_node(cloud, where, tree: BoxTree, p: int) -> float:
    """The bound at the root, from the ends up."""
    ends = np.flatnonzero(tree.axis < 0)
    place = (np.cumsum(tree.axis < 0) - 1)[where]
    side = tree.high - tree.low
    spread = evenness(cloud, place, tree.low[ends], side[ends], p)
    points = _Law(np.zeros(len(side)), (tree.low + tree.high) / 2, np.zeros(len(side)), np.zeros(len(side)))
    points.mass[ends], points.mean[ends] = spread.size / len(cloud), spread.mean
    points.variance[ends], points.error[ends] = spread.variance, spread.error
    law = _Law(tree.mass.copy(), tree.mean.copy(), tree.variance.copy(), np.zeros(len(side)))
    rough = np.flatnonzero(~tree.uniform)
    law.error[rough] = law.product(rough, tree, p)
    # From the points of a node to the law there.
    apart = points.error + law.error
    apart[rough] = np.minimum(apart[rough], _products(cloud, where, tree, rough, p))
    for first, last in zip(tree.levels[-2::-1], tree.levels[:0:-1], strict=True):
        at = np.flatnonzero(tree.axis[first:last] >= 0) + first
        if len(at) == 0:
            continue
        axis, (lower, upper) = tree.axis[at], tree.child[at].T
        length = side[at, axis]
        share = (tree.cut[at] - tree.low[at, axis]) / length
        phi, psi = points.join(at, lower, upper), law.join(at, lower, upper)
        for each, part in ((points, phi), (law, psi)):
            cut = length * np.abs(part - share) / (2 if p == 1 else math.sqrt(3))
            through = _mean(part, each.error[lower], 1 - part, each.error[upper], p) + cut
            each.error[at] = np.minimum(through, each.product(at, tree, p))
        more = phi > psi
        source, target = np.where(more, lower, upper), np.where(more, upper, lower)
        far = length / 2 if p == 1 else length * np.sqrt((1 - share + share**2) / 3)
        far = far + points.error[source] + law.error[target]
        step = points.mean[source] - law.mean[target]
        square = np.einsum("nd,nd->n", step, step) + points.variance[source] + law.variance[target]
        far = np.minimum(far, np.sqrt(square))
        stay = np.minimum(phi, psi), np.minimum(1 - phi, 1 - psi)
        here = _mean(stay[0], apart[lower], stay[1], apart[upper], p, np.abs(phi - psi), far)
        apart[at] = np.minimum(here, points.error[at] + law.error[at])
    return float(apart[0])


def _mean(first, x, second, y, p: int, third: Any = 0.0, z: Any = 0.0):
    """(first x^p + second y^p + third z^p)^(1/p)."""
    return first * x + second * y + third * z if p == 1 else np.sqrt(first * x * x + second * y * y + third * z * z)


def _products(cloud, where, tree: BoxTree, rough, p: int):
    """The cost of the product coupling of points and law on some of the ends."""
    number = np.full(len(tree.axis), -1)
    number[rough] = np.arange(len(rough))
    which = number[where]
    held = which >= 0
    at, which = where[held], which[held]
    away = cloud[held] - tree.mean[at]
    square = np.einsum("nd,nd->n", away, away) + tree.variance[at]
    size = np.maximum(np.bincount(which, minlength=len(rough)), 1)
    if p == 1:
        return np.bincount(which, np.sqrt(square), len(rough)) / size
    return np.sqrt(np.bincount(which, square, len(rough)) / size)


class _Law:
    """A law on the nodes of a tree: mass, mean and variance on each, and a bound on W_p to the uniform law there."""

    def __init__(self, mass, mean, variance, error):
        self.mass, self.mean, self.variance, self.error = mass, mean, variance, error

    def join(self, at, lower, upper):
        """Mass, mean and variance of nodes from those of their halves; the share of the lower half is returned."""
        self.mass[at] = self.mass[lower] + self.mass[upper]
        total = np.where(self.mass[at] > 0, self.mass[at], 1.0)
        share, rest = self.mass[lower] / total, self.mass[upper] / total
        step = self.mean[upper] - self.mean[lower]
        self.mean[at] = self.mean[lower] + step * rest[:, None]
        inner = share * self.variance[lower] + rest * self.variance[upper]
        self.variance[at] = inner + share * rest * np.einsum("nd,nd->n", step, step)
        return share

    def product(self, at, tree: BoxTree, p: int):
        """The cost of the product coupling with the uniform law on a node."""
        side = tree.high[at] - tree.low[at]
        away = self.mean[at] - tree.low[at] - side / 2
        square = np.einsum("nd,nd->n", away, away) + self.variance[at]
        out = np.sqrt(square + np.einsum("nd,nd->n", side, side) / 12)
        if p == 1 and np.count_nonzero(tree.high[0]) == 1:
            length = side.max(axis=1)
            out = np.minimum(out, square / np.where(length > 0, length, 1.0) + length / 4)
        return out
