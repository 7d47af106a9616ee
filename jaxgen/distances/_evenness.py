"""How far the points in each of many boxes are from the uniform law there: section 8 of the theory, by dyadic cuts.

For points mu in a box v, cut in two halves with the share phi of the points in the lower one,

    W_p(mu, U_v) <= D_v = min( (phi D_lower^p + (1 - phi) D_upper^p)^(1/p) + W_p(phi U_lower + (1 - phi) U_upper, U_v),
                               (mean of E|x - U_v|^p)^(1/p) ),

from nodes of one point up. Only nodes with points in both halves are visited, in the order of their sides: a node that
fills another evenly is brought there in one step, by the map that stretches its box.
"""

import heapq
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

_KEY_BITS, _AXIS_BITS, _TABLE_BITS = 62, 50, 11
_CHUNK = 1 << 17
# Boxes are cut in one order for all where they have more shapes than this, up to factors of 2.
_MAX_SHAPES = 256


class Evenness(NamedTuple):
    """Of the points in each box: how many, their mean and their variance, summed over the axes, and D."""

    size: Int[np.ndarray, " boxes"]
    mean: Float[np.ndarray, "boxes d"]
    variance: Float[np.ndarray, " boxes"]
    error: Float[np.ndarray, " boxes"]


def evenness(
    points: Float[np.ndarray, "n d"],
    box: Int[np.ndarray, " n"],
    low: Float[np.ndarray, "boxes d"],
    side: Float[np.ndarray, "boxes d"],
    p: int,
) -> Evenness:
    """Bounds on W_p between the points of each box and the uniform law there; `box` says which box each point is in."""
    shapes = _Shapes(side, max(1, len(low) - 1).bit_length())
    key = shapes.keys(points, box, low, side)
    order = np.argsort(key)
    key, points = key[order], points[order]
    del order
    return _Merging(key, points, low, side, shapes, p).merged()


class _Shapes:
    """In which order the axes of boxes are halved, the longest first: once for all boxes of a shape.

    - `which`: the shape of each box; `bits`: halvings of each.
    - `axis`: `(shapes, bits)`, that is cut, by the level of what is cut, less 1, from the finest up.
    - `cuts`: `(shapes, bits + 1, d)`, how often each axis is cut down to a level.
    """

    def __init__(self, side: Float[np.ndarray, "boxes d"], box_bits: int):
        longest = side.max(axis=1, initial=0.0, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(side > 0, np.rint(np.log2(side / longest)), -np.inf)
        ratio = np.maximum(ratio, np.where(ratio > -np.inf, -100.0, -np.inf))
        rows, self.which = np.unique(ratio, axis=0, return_inverse=True)
        self.which = self.which.ravel()
        if len(rows) > _MAX_SHAPES:
            rows, self.which = rows.max(axis=0, keepdims=True), np.zeros(len(side), np.int64)
        self.bits = min(_KEY_BITS - box_bits, _AXIS_BITS * max(1, int((rows > -np.inf).sum(axis=1).max())))
        self.axis = np.zeros((len(rows), self.bits), np.int64)
        self.cuts = np.zeros((len(rows), self.bits + 1, side.shape[1]), np.int64)
        for shape, row in enumerate(rows):
            heap = [(-length, axis, 0) for axis, length in enumerate(row) if length > -np.inf]
            heapq.heapify(heap)
            for level in range(self.bits - 1, -1, -1):
                self.cuts[shape, level] = self.cuts[shape, level + 1]
                self.axis[shape, level] = -1
                if heap:
                    length, axis, cuts = heapq.heappop(heap)
                    self.axis[shape, level] = axis
                    self.cuts[shape, level, axis] += 1
                    if cuts + 1 < _AXIS_BITS:
                        heapq.heappush(heap, (length + 1, axis, cuts + 1))

    def keys(self, points, box, low, side) -> Int[np.ndarray, " n"]:
        """The box, and below it one bit a halving: in order of their keys, points of a node stand together."""
        out = np.empty(len(points), np.int64)
        step = _CHUNK
        tables = [self._tables(shape) for shape in range(len(self.axis))]
        for start in range(0, len(points), step):
            part = slice(start, start + step)
            at, x = box[part], points[part]
            key = at << self.bits
            which = self.which[at]
            for shape in np.unique(which) if len(tables) > 1 else [0]:
                of = slice(None) if len(tables) == 1 else np.flatnonzero(which == shape)
                for k, spread in tables[shape]:
                    cells = np.ldexp(1.0, int(self.cuts[shape, 0, k]))
                    place = (x[of, k] - low[at[of], k]) * (cells / side[at[of], k])
                    code = np.clip(place, 0.0, cells - 1).astype(np.int64)
                    for shift, table in spread:
                        key[of] |= table[code >> shift & len(table) - 1]
            out[part] = key
        return out

    def _tables(self, shape: int):
        """For each axis that is cut, where the bits of a coordinate go, some at a time: `(shift, table)`."""
        out = []
        for k in range(self.cuts.shape[2]):
            places = np.flatnonzero(self.axis[shape] == k)  # of the bits of the coordinate, the lowest first
            spread = []
            for shift in range(0, len(places), _TABLE_BITS):
                table = np.zeros(1, np.int64)
                for place in places[shift : shift + _TABLE_BITS]:
                    table = np.concatenate([table, table | 1 << int(place)])
                spread.append((shift, table))
            if spread:
                out.append((k, spread))
        return out


class _Merging:
    """Nodes, as runs of points in the order of their keys, merged two by two; kept where their first point stands."""

    def __init__(self, key, points, low, side, shapes: _Shapes, p: int):
        self.low, self.side, self.shapes, self.p = low, side, shapes, p
        self.line = np.count_nonzero(side.max(axis=0, initial=0.0)) == 1
        new = np.diff(key, prepend=-1) != 0
        starts = np.flatnonzero(new)
        self.size = np.diff(starts, append=len(key))
        self.box = key[starts] >> shapes.bits
        self.at = points[starts]
        if len(starts) == len(key):
            self.mean, self.square = self.at.copy(), np.zeros(len(key))
        else:
            self.mean = np.add.reduceat(points, starts, axis=0) / self.size[:, None]
            away = points - np.repeat(self.mean, self.size, axis=0)
            self.square = np.add.reduceat(np.einsum("nd,nd->n", away, away), starts)
        differ = key[starts[:-1]] ^ key[starts[1:]]
        # Of the digits but the highest one, those under a digit 1 are dropped, so that no rounding makes it another.
        self.height = np.frexp((differ & ~(differ >> 1)).astype(np.float64))[1].astype(np.int8) - 1
        self.level = np.zeros(len(starts), np.int8)
        self.first = np.arange(len(starts), dtype=np.int32)
        self.last = self.first.copy()
        self.error = np.empty(len(starts))
        for begin in range(0, len(starts), _CHUNK):
            some = np.arange(begin, min(begin + _CHUNK, len(starts)))
            self.error[some] = self._product(some, *self._node(some, 0))

    def merged(self) -> Evenness:
        order = np.argsort(self.height, kind="stable")
        ends = np.searchsorted(self.height[order], np.arange(self.shapes.bits + 1))
        for level in range(self.shapes.bits):
            for begin in range(ends[level], ends[level + 1], _CHUNK):
                self._merge(order[begin : min(begin + _CHUNK, ends[level + 1])], level)
        starts = np.flatnonzero(np.diff(self.box, prepend=-1))
        boxes, dim = self.low.shape
        out = Evenness(np.zeros(boxes, np.int64), self.low + self.side / 2, np.zeros(boxes), np.zeros(boxes))
        at = self.box[starts]
        out.error[at] = self._lifted(starts, out.mean[at], self.side[at])
        out.size[at], out.mean[at] = self.size[starts], self.mean[starts]
        out.variance[at] = self.square[starts] / self.size[starts]
        return out

    def _merge(self, borders, level: int) -> None:
        """Joins the runs on both sides of borders, which are the halves of a node of the next level."""
        p, lower, upper = self.p, self.first[borders], borders + 1
        last = self.last[upper]
        centre, side = self._node(lower, level + 1)
        axis = self.shapes.axis[self.shapes.which[self.box[lower]], level]
        rows = np.arange(len(axis))
        length = side[rows, axis]
        half, quarter = side.copy(), np.zeros_like(side)
        half[rows, axis] /= 2
        quarter[rows, axis] = length / 4
        one, two = self._lifted(lower, centre - quarter, half), self._lifted(upper, centre + quarter, half)
        size = self.size[lower] + self.size[upper]
        phi, rest = self.size[lower] / size, self.size[upper] / size
        apart = self.mean[upper] - self.mean[lower]
        self.square[lower] += self.square[upper] + np.einsum("nd,nd->n", apart, apart) * phi * self.size[upper]
        self.mean[lower] += apart * rest[:, None]
        self.size[lower], self.level[lower] = size, level + 1
        self.first[last], self.last[lower] = lower, last
        cut = length * np.abs(phi - 0.5) / (2 if p == 1 else np.sqrt(3))
        halves = phi * one + rest * two if p == 1 else np.sqrt(phi * one * one + rest * two * two)
        self.error[lower] = np.minimum(halves + cut, self._product(lower, centre, side))

    def _node(self, runs, level):
        """Centres and sides of the nodes of a level, one number or one for each, in which runs are."""
        box = self.box[runs]
        cells = np.ldexp(1.0, self.shapes.cuts[self.shapes.which[box], level])
        low, whole = self.low[box], self.side[box]
        side = whole / cells
        place = np.floor((self.at[runs] - low) / np.where(side > 0, side, 1.0))
        return low + (np.clip(place, 0.0, cells - 1) + 0.5) * side, side

    def _product(self, runs, centre, side):
        """The cost of the product coupling with the uniform law on nodes."""
        away = self.mean[runs] - centre
        square = np.einsum("nd,nd->n", away, away) + self.square[runs] / self.size[runs]
        out = np.sqrt(square + np.einsum("nd,nd->n", side, side) / 12)
        if self.line and self.p == 1:
            length = side.max(axis=1)
            out = np.minimum(out, square / np.where(length > 0, length, 1.0) + length / 4)
        return out

    def _lifted(self, runs, centre, side):
        """D of runs on nodes that hold their own."""
        own_centre, own_side = self._node(runs, self.level[runs])
        stretch = stretched(own_centre - centre, side - own_side, self.p)
        return np.minimum(self._product(runs, centre, side), self.error[runs] + stretch)


def stretched(
    apart: Float[np.ndarray, "n d"], longer: Float[np.ndarray, "n d"], p: int
) -> Float[np.ndarray, " n"]:
    """A bound on W_p between the uniform laws on boxes, one in the other: by the map that stretches one to the other.

    **Arguments:** `apart`: of the centres; `longer`: differences of the sides.
    """
    out = np.sqrt(np.einsum("nd,nd->n", apart, apart) + np.einsum("nd,nd->n", longer, longer) / 12)
    if p == 1:
        # On each axis the map moves by a - (a + b) u, with a + b the difference of sides, 2 (a - b) that of centres.
        each = np.where(longer > 0, longer / 4 + apart**2 / np.where(longer > 0, longer, 1.0), np.abs(apart))
        out = np.minimum(out, each.sum(axis=1))
    return out
