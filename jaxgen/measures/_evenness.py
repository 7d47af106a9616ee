"""How far the points in each of many boxes are from the uniform law there, by dyadic cuts (theory, section 8).

Let a box v be cut in two halves along a side s, phi the share of its points mu in the lower one. Stretching the lower
part phi of the side to the lower half, and the rest to the upper one, and going on so in the halves, maps the uniform
law U_v to mu. The cost of this map is known exactly: with x uniform on v and T(x) where it goes,

    E|T(x) - x|^2 = E|T(x) - c|^2 + E|x - c|^2 - 2 sum_j g_j,       c the centre of v,    g_j = cov(T_j, x_j),

and g_v is the mean of that of the halves, but for the axis that is cut, along which it is

    2 phi^2 g_lower + 2 (1 - phi)^2 g_upper + s phi (1 - phi) (mean_upper - mean_lower) / 2.

For one point the map goes nowhere else, and g = 0, which is the product coupling. W_1 is at most the root of that mean
square, and at most phi D_lower + (1 - phi) D_upper + s |phi - 1/2| / 2, the smaller at each node.

Nodes are visited from those of one point up, where both halves have points. A node that is all that its ancestor holds
is brought there in one step, by the map that stretches its box.
"""

import heapq
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

_KEY_BITS, _AXIS_BITS, _TABLE_BITS = 62, 50, 11
_MOST_NODES = 1 << 21
_CHUNK = 1 << 17
# Boxes are cut in one order for all where they have more shapes than this, up to factors of 2.
_MAX_SHAPES = 256


class Evenness(NamedTuple):
    """Of the points in each box: how many, their mean, their variance, summed over the axes, the covariances g with the
    uniform law, and a bound on W_1 to it."""

    size: Int[np.ndarray, " boxes"]
    mean: Float[np.ndarray, "boxes d"]
    variance: Float[np.ndarray, " boxes"]
    common: Float[np.ndarray, "boxes d"]
    error: Float[np.ndarray, " boxes"]


class Arranged(NamedTuple):
    """Points in boxes, in an order in which those of each dyadic node stand together.

    - `weights`: of the points, whole numbers: as many points as that.
    - `key`: of each point, the box and below it one bit a halving; `height`: of the borders between points, the bit at
        which their keys part, -1 where they are the same.
    """

    points: Float[np.ndarray, "n d"]
    weights: Int[np.ndarray, " n"]
    key: Int[np.ndarray, " n"]
    height: Int[np.ndarray, " borders"]
    low: Float[np.ndarray, "boxes d"]
    side: Float[np.ndarray, "boxes d"]
    shapes: "_Shapes"


def arranged(
    points: Float[np.ndarray, "n d"],
    box: Int[np.ndarray, " n"],
    low: Float[np.ndarray, "boxes d"],
    side: Float[np.ndarray, "boxes d"],
    weights: Int[np.ndarray, " n"],
) -> Arranged:
    """Points in order; `box` says which box each of them is in, from `low` to `low + side`."""
    shapes = _Shapes(side, max(1, len(low) - 1).bit_length())
    key = shapes.keys(points, box, low, side)
    order = np.argsort(key)
    key, points, weights = key[order], points[order], weights[order]
    differ = key[:-1] ^ key[1:]
    # Of the digits but the highest one, those under a digit 1 are dropped, so that no rounding makes it another.
    height = np.frexp((differ & ~(differ >> 1)).astype(np.float64))[1].astype(np.int8) - 1
    return Arranged(points, weights, key, height, low, side, shapes)


def clusters(arranged: Arranged, most: int) -> Int[np.ndarray, " clusters"]:
    """Where the largest nodes begin that hold no more than their part of the points, were all alike, at most so many;
    equal points stay together."""
    height, few = arranged.height, -(-len(arranged.key) // most)
    return np.flatnonzero(np.append(True, _apart(height, few) | (height >= arranged.shapes.bits)))


def evenness(arranged: Arranged) -> Evenness:
    """How even the points of each box are."""
    return _Merging(arranged).merged()


def squared(
    away: Float[np.ndarray, "n d"],
    variance: Float[np.ndarray, " n"],
    side: Float[np.ndarray, "n d"],
    common: Float[np.ndarray, "n d"] | None = None,
) -> Float[np.ndarray, " n"]:
    """The mean square of how far a map moves the uniform law on a box, from the covariances g.

    **Arguments:** `away`: of the mean that it has then, from the centre; `variance`: that it has then.
    """
    square = np.einsum("nd,nd->n", away, away) + variance + np.einsum("nd,nd->n", side, side) / 12
    # The difference is of a square that is larger, and must not be below the truth by what that was rounded.
    return square if common is None else np.maximum(square * (1 + 2.0**-48) - 2 * common.sum(axis=1), 0.0)


def product_mean(
    square: Float[np.ndarray, " n"], side: Float[np.ndarray, "n d"], line: bool
) -> Float[np.ndarray, " n"]:
    """A bound on E|x - U| from the mean square of x - U, U uniform on a box and x independent.

    On a `line`, for x inside, E|x - U| = (x - c)^2/s + s/4, and E(x - U)^2 = (x - c)^2 + s^2/12.
    """
    out = np.sqrt(square)
    if line:
        length = side.max(axis=1)
        out = np.where(length > 0, np.minimum(out, square / np.where(length > 0, length, 1.0) + length / 6), out)
    return out


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

    def __init__(self, arranged: Arranged):
        points, weights, key, height, self.low, self.side, self.shapes = arranged
        self.line = int(np.count_nonzero(self.side.max(axis=0, initial=0.0))) == 1
        starts = clusters(arranged, _MOST_NODES)
        apart = np.zeros(len(height), bool)
        apart[starts[1:] - 1] = True
        self.height = height[apart]
        self.size = np.add.reduceat(weights, starts)
        self.box = key[starts] >> self.shapes.bits
        self.at = points[starts]
        if len(starts) == len(key):
            self.mean, self.square = self.at.copy(), np.zeros(len(key))
        else:
            self.mean = np.add.reduceat(weights[:, None] * points, starts, axis=0) / self.size[:, None]
            away = points - np.repeat(self.mean, np.diff(starts, append=len(key)), axis=0)
            self.square = np.add.reduceat(weights * np.einsum("nd,nd->n", away, away), starts)
        self.level = np.maximum.reduceat(np.append(np.where(apart, -1, height), np.int8(-1)), starts) + np.int8(1)
        self.first = np.arange(len(starts), dtype=np.int32)
        self.last = self.first.copy()
        self.common, self.error = np.zeros_like(self.mean), np.empty(len(starts))
        for begin in range(0, len(starts), _CHUNK):
            some = np.arange(begin, min(begin + _CHUNK, len(starts)))
            self.error[some] = self._product(some, *self._node(some, self.level[some]))

    def merged(self) -> Evenness:
        order = np.argsort(self.height, kind="stable")
        ends = np.searchsorted(self.height[order], np.arange(self.shapes.bits + 1))
        for level in range(self.shapes.bits):
            for begin in range(ends[level], ends[level + 1], _CHUNK):
                self._merge(order[begin : min(begin + _CHUNK, ends[level + 1])], level)
        starts = np.flatnonzero(np.diff(self.box, prepend=-1))
        at, (boxes, dim) = self.box[starts], self.low.shape
        out = Evenness(
            np.zeros(boxes, np.int64),
            self.low + self.side / 2,
            np.zeros(boxes),
            np.zeros((boxes, dim)),
            np.zeros(boxes),
        )
        out.size[at], out.mean[at] = self.size[starts], self.mean[starts]
        out.variance[at] = self.square[starts] / self.size[starts]
        out.common[at], out.error[at] = self._lifted(starts, self.low[at] + self.side[at] / 2, self.side[at])
        return out

    def _merge(self, borders, level: int) -> None:
        """Joins the runs on both sides of borders, which are the halves of a node of the next level."""
        lower, upper, rows = self.first[borders], borders + 1, np.arange(len(borders))
        last = self.last[upper]
        centre, side = self._node(lower, level + 1)
        axis = self.shapes.axis[self.shapes.which[self.box[lower]], level]
        length = side[rows, axis]
        half, quarter = side.copy(), np.zeros_like(side)
        half[rows, axis] /= 2
        quarter[rows, axis] = length / 4
        (g, one), (h, two) = self._lifted(lower, centre - quarter, half), self._lifted(upper, centre + quarter, half)
        size = self.size[lower] + self.size[upper]
        phi, rest = self.size[lower] / size, self.size[upper] / size
        step = self.mean[upper] - self.mean[lower]
        common = phi[:, None] * g + rest[:, None] * h
        cut = 2 * phi**2 * g[rows, axis] + 2 * rest**2 * h[rows, axis]
        common[rows, axis] = cut + length * phi * rest / 2 * step[rows, axis]
        self.square[lower] += self.square[upper] + np.einsum("nd,nd->n", step, step) * phi * self.size[upper]
        self.mean[lower] += step * rest[:, None]
        self.size[lower], self.level[lower] = size, level + 1
        self.first[last], self.last[lower] = lower, last
        self.common[lower] = common
        through = phi * one + rest * two + length * np.abs(phi - 0.5) / 2
        self.error[lower] = np.minimum(through, self._product(lower, centre, side, common))

    def _node(self, runs, level):
        """Centres and sides of the nodes of a level, one number or one for each, in which runs are."""
        box = self.box[runs]
        cells = np.ldexp(1.0, self.shapes.cuts[self.shapes.which[box], level])
        low, whole = self.low[box], self.side[box]
        side = whole / cells
        place = np.floor((self.at[runs] - low) / np.where(side > 0, side, 1.0))
        return low + (np.clip(place, 0.0, cells - 1) + 0.5) * side, side

    def _product(self, runs, centre, side, common=None):
        """What it costs to bring the uniform law on nodes to runs by the map, or by the product coupling."""
        variance, away = self.square[runs] / self.size[runs], self.mean[runs] - centre
        out = product_mean(squared(away, variance, side), side, self.line)
        return out if common is None else np.minimum(out, np.sqrt(squared(away, variance, side, common)))

    def _lifted(self, runs, centre, side):
        """Covariances, and the bound on W_1, of runs on nodes that hold their own."""
        own_centre, own_side = self._node(runs, self.level[runs])
        common = self.common[runs] * (side / np.where(own_side > 0, own_side, 1.0))
        stretch = self.error[runs] + stretched(own_centre - centre, side - own_side)
        return common, np.minimum(self._product(runs, centre, side, common), stretch)


def _apart(height: Int[np.ndarray, " borders"], few: int) -> Bool[np.ndarray, " borders"]:
    """Which borders between points are the middle of a node with more than a few points, from how high they stand."""
    size = np.full(len(height), 2)
    for other, here in ((slice(None, -1), slice(1, None)), (slice(1, None), slice(None, -1))):
        inside, back = np.ones(len(height), bool), height
        # How far the borders on one side are lower than this one.
        for _ in range(few):
            shifted = np.full_like(back, 127)
            shifted[here] = back[other]
            back = shifted
            inside &= back < height
            size += inside
    return (size > few) & (height >= 0)


def stretched(apart: Float[np.ndarray, "n d"], longer: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
    """A bound on W_1 between the uniform laws on boxes, one in the other: by the map that stretches one to the other.

    **Arguments:** `apart`: of the centres; `longer`: differences of the sides.
    """
    square = np.einsum("nd,nd->n", apart, apart) + np.einsum("nd,nd->n", longer, longer) / 12
    # On each axis the map moves by a - (a + b) u, with a + b the difference of sides, (a - b)/2 that of centres.
    each = np.where(longer > 0, longer / 4 + apart**2 / np.where(longer > 0, longer, 1.0), np.abs(apart))
    return np.minimum(np.sqrt(square), each.sum(axis=1))
