"""The dyadic k-d tree of points: how their mass splits, and how near the uniform law on a node is (theory, section 8).

Points may be boxes, each a node of the tree with a mass that is uniform there: what is said of points, with integrals
over the boxes, is true of these.

The nodes of one depth have boxes of one size: the box is cut at the middle of its longest side, again and again. For a
node v of mass m_v, split along a side of length s_v, with the share phi_v of its mass in the lower half, and the points
mu on it, W_1(mu on v, uniform on v) <= D_v / m_v with

    D_v = min( m_v s_v |phi_v - 1/2| / 2 + D_lower + D_upper,   integral over v of E|x - uniform point of v| dmu ).

The first is of second order: m_v s_v |phi_v - 1/2| / 2 is the distance from the uniform law on v to the uniform laws
on its halves with the masses that they have. The second is the cost of the product coupling.
"""

import dataclasses
import heapq
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from ._evenness import product_mean

_MAX_DEPTH = 64  # and 4 for each axis
MAX_HALVINGS = 48  # of one axis, so that corners are exact multiples of sides


class Cuts:
    """Which axis of a box is cut at each depth, always the longest, and how long it is; -1 and 0 where none can be.

    **Arguments:** `sides`: of the box, in any unit.
    """

    def __init__(self, sides: Float[np.ndarray, " d"]):
        self._heap = [(-float(side), axis, 0) for axis, side in enumerate(sides) if side > 0]
        heapq.heapify(self._heap)
        self._cuts: list[tuple[int, float]] = []

    def __getitem__(self, depth: int) -> tuple[int, float]:
        while len(self._cuts) <= depth and self._heap:
            side, axis, cuts = heapq.heappop(self._heap)
            self._cuts.append((axis, -side))
            if cuts + 1 < MAX_HALVINGS:
                heapq.heappush(self._heap, (side / 2, axis, cuts + 1))
        return self._cuts[depth] if depth < len(self._cuts) else (-1, 0.0)

    def axis(self, depth: int) -> int:
        """The axis that is cut."""
        return self[depth][0]

    def side(self, depth: int) -> float:
        """The side that is cut."""
        return self[depth][1]


@dataclasses.dataclass
class Depth:
    """The nodes of a depth that hold points, label by label and each half before the other.

    - `axis`, `side`: that is cut, -1 and 0 at the last depth; `diagonal`: of the nodes.
    - `size`: points of each node, or the mass of its boxes; `lower`: in its lower half.
    - `split`: which of the nodes have children here, and `child`, for those, the places of the two, -1 where empty.
    - `error`: D; `halves`: the D of the two halves, `(2, nodes)`.

    Masses are shares of all, lengths are in units of the longest side of the box.
    """

    axis: int
    side: float
    diagonal: float
    size: Num[np.ndarray, " nodes"]
    lower: Num[np.ndarray, " nodes"]
    split: Bool[np.ndarray, " nodes"]
    child: Int[np.ndarray, "splits 2"]
    error: Float[np.ndarray, " nodes"]
    halves: Float[np.ndarray, "2 nodes"]


def unit_sides(low: Float[np.ndarray, " d"], high: Float[np.ndarray, " d"]) -> Float[np.ndarray, " d"]:
    """The sides of a box in units of the longest."""
    # Through halves, where a side is beyond the largest double.
    half = high / 2 - low / 2
    return half / (half.max() or 1.0)


def unit_cloud(
    points: Float[np.ndarray, "n d"], low: Float[np.ndarray, " d"], high: Float[np.ndarray, " d"]
) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, " d"], float]:
    """Points from the corner of their box and the sides of the box in units of its longest side, and that side."""
    # Through halves, where a side is beyond the largest double.
    half = high / 2 - low / 2
    unit = float(half.max())
    if unit == 0:
        return np.zeros_like(points), np.zeros_like(half), 0.0
    return (points / 2 - low / 2) / unit, half / unit, 2 * unit


class Boxes(NamedTuple):
    """Of points that are boxes: the mass, and how often the box of all was cut to have them."""

    mass: Num[np.ndarray, " n"]
    depth: Int[np.ndarray, " n"]


def kd_tree(
    cloud: Float[np.ndarray, "n d"],
    sides: Float[np.ndarray, " d"],
    sizes: Int[np.ndarray, " labels"],
    tolerance: float,
    boxes: Boxes | None = None,
) -> list[Depth]:
    """The tree of points in a box from 0 to `sides`, whose longest side is 1; one for each label.

    Nodes are cut as long as the product coupling of a node costs more than `tolerance`.

    **Arguments:**

    - `cloud`: label by label, so many of each as `sizes` says.
    - `boxes`: where they are the centres of boxes of which none is in another.
    """
    cuts = Cuts(sides)
    side, rows, size, own = sides.copy(), cloud, sizes, np.zeros(1)
    if boxes is not None:
        rows, own = np.column_stack([cloud, *boxes]), _variances(cuts, sides, int(boxes.depth.max()))
    total = len(cloud) if boxes is None else float(boxes.mass.sum())
    corner = np.zeros((len(sizes), cloud.shape[1]))
    depths: list[Depth] = []
    while True:
        axis, length = cuts[len(depths)]
        node = np.repeat(np.arange(len(size)), size)
        starts = np.cumsum(size) - size
        away = rows[:, : len(sides)] - (corner + side / 2)[node]
        upper = away[:, axis] >= 0
        lower = size - np.add.reduceat(upper.astype(np.int64), starts)
        if boxes is None:
            mass, lower_mass, cost = size, lower, _from_uniform(away, side)
        else:
            weight, deep = rows[:, -2], rows[:, -1].astype(np.int64)
            mass, lower_mass = (np.add.reduceat(part, starts) for part in (weight, np.where(upper, 0.0, weight)))
            # A box that is all of a node is uniform there.
            cost = np.where(deep > len(depths), weight * _from_uniform(away, side, own[deep]), 0.0)
        product = np.add.reduceat(cost, starts) / total
        split = (product > tolerance) & (axis >= 0) & (len(depths) < _MAX_DEPTH + 4 * len(sides))
        halves = np.stack([lower, size - lower], axis=1)[split]
        held = halves.ravel() > 0
        child = np.where(held, np.cumsum(held) - 1, -1).reshape(-1, 2)
        diagonal, empty = float(np.linalg.norm(side)), np.zeros((2, len(size)))
        depths.append(Depth(axis, length, diagonal, mass, lower_mass, split, child, product, empty))
        if not split.any():
            break
        rows = _parted(rows, upper, split, node, halves)
        corner = np.repeat(corner[split], 2, axis=0)
        corner[1::2, axis] += side[axis] / 2
        corner, size = corner[held], halves.ravel()[held]
        side = side.copy()
        side[axis] /= 2
    _errors(depths, total)
    return depths


def _variances(cuts: Cuts, sides: Float[np.ndarray, " d"], deepest: int) -> Float[np.ndarray, " depths"]:
    """Of the uniform law on a node of each depth, summed over the axes."""
    side, out = sides.copy(), [sides @ sides / 12]
    for depth in range(deepest):
        side[cuts.axis(depth)] /= 2
        out.append(side @ side / 12)
    return np.array(out)


def _from_uniform(
    away: Float[np.ndarray, "n d"], side: Float[np.ndarray, " d"], own: Float[np.ndarray, " n"] | float = 0.0
) -> Float[np.ndarray, " n"]:
    """A bound on E|x - U| for x with a mean `away` from the centre of a box and a variance, U uniform on the box."""
    square = np.einsum("nd,nd->n", away, away) + own + side @ side / 12
    return product_mean(square, np.broadcast_to(side, away.shape), bool(np.count_nonzero(side) == 1))


def _parted(points, upper, split, node, halves):
    """The points of the nodes that are split, those of each lower half before those of the upper one."""
    kept = split[node]
    upper, first = upper[kept], np.cumsum(halves.ravel()) - halves.ravel()
    which = np.cumsum(split)[node[kept]] - 1
    # How many of its own half stand before a point: of all before it, less those of the nodes before.
    ones = np.cumsum(upper)
    zeros = np.arange(1, len(upper) + 1) - ones
    before = np.cumsum(halves, axis=0) - halves
    place = np.where(
        upper,
        first[2 * which + 1] + ones - 1 - before[which, 1],
        first[2 * which] + zeros - 1 - before[which, 0],
    )
    out = np.empty((len(upper), points.shape[1]))
    out[place] = points[kept]
    return out


def _errors(depths: list[Depth], total: float | int) -> None:
    """D from the last depth to the first."""
    for depth, below in zip(reversed(depths[:-1]), reversed(depths[1:]), strict=True):
        at, child = np.flatnonzero(depth.split), depth.child
        depth.halves[:, at] = np.where(child.T >= 0, below.error[child.T], 0.0)
        share = depth.lower[at] / depth.size[at]
        cut = depth.size[at] / total * depth.side * np.abs(share - 0.5) / 2
        depth.error[at] = np.minimum(depth.error[at], cut + depth.halves[:, at].sum(axis=0))
