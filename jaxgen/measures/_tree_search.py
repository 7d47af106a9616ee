"""From points, and from boxes, to trees: as many bits, or as many leaves, as are allowed (theory, section 8)."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import SupportsFloat, SupportsIndex

import numpy as np
from jaxtyping import Float, Int

from .._checks import Numbers, TooFewBits, box_corners, finite_points, real_number, whole_number
from ..coding import TreeLevel, code_length
from ._dyadic_leaves import DyadicLeaves, leaves_of
from ._kd_tree import Boxes, Cuts, kd_tree, unit_cloud, unit_sides
from ._line_law import line_error
from ._node_bound import node_bound
from ._prune import Pruned, Quanta, candidates
from ._record import Bound, Record
from ._rounding import MAX_QUANTA
from ._short_box import LEAST_BOX_BITS, MOST_BOX_BITS, box_bits_for, short_box
from ._tree import TreeMeasure
from ._vocabulary import Label, encode_labels

# A node is not cut where that could gain less than this share of what a bit is worth.
_WORTH = 0.05
# Of the longest side: far below what a float64 tells apart.
_FINEST = 1e-18


@dataclasses.dataclass
class _Source:
    """Points in their box, or boxes of its tree, label by label, ready to be cut.

    - `cloud`: points, or centres, and `sides`: of the box, in units of its longest side, which is `length` long.
    - `sizes`: how many of each label; `boxes`: their masses; `count`: of the points that all this stands for.
    - `line`: the points as they were given, where the distance to them is known: on the line, without labels.
    """

    cloud: Float[np.ndarray, "n d"]
    sizes: Int[np.ndarray, " labels"]
    low: Float[np.ndarray, " d"]
    high: Float[np.ndarray, " d"]
    sides: Float[np.ndarray, " d"]
    length: float
    vocabulary: tuple[Label, ...] | None
    count: int
    boxes: Boxes | None = None
    line: Float[np.ndarray, " n"] | None = None

    def __post_init__(self):
        self.cuts = Cuts(self.sides)

    def depths(self, tolerance: float):
        return kd_tree(self.cloud, self.sides, self.sizes, tolerance, self.boxes)

    def measure(self, levels: list[TreeLevel]) -> TreeMeasure:
        leaves = leaves_of(levels, self.cuts, self.cloud.shape[1])
        labels = None if self.vocabulary is None else leaves.root
        return TreeMeasure(leaves.cells, leaves.halvings, leaves.quanta, self.low, self.high, labels, self.vocabulary)

    def roots(self) -> TreeMeasure:
        """One leaf, and one quantum, for each label."""
        size = len(self.sizes)
        return self.measure([TreeLevel(np.ones(size, np.int64), np.ones(size, bool), np.zeros(size, np.int64))])

    def error(self, tree: TreeMeasure, bound: float) -> float:
        """The distance to the points where it is known, on the line, else the bound, in units of the box."""
        if self.line is None:
            return bound * self.length
        corners, sides = (np.asarray(array, np.float64)[:, 0] for array in (tree.low_corners, tree.sides))
        return line_error(self.line, corners, sides, np.asarray(tree.counts, np.float64))


def _of_points(points: Numbers, low: Numbers | None, high: Numbers | None, labels, side_bits: int) -> _Source:
    cloud = finite_points(points).astype(np.float64)
    codes, vocabulary = encode_labels(labels, len(cloud))
    least, most = short_box(cloud.min(axis=0), cloud.max(axis=0), side_bits)
    corners = least if low is None else low, most if high is None else high
    least, most = box_corners(*corners, cloud.shape[1])
    if outside := int(np.any((cloud < least) | (cloud > most), axis=1).sum()):
        raise ValueError(
            f"{outside} of {len(cloud)} points lie outside the box low={least}, high={most}; enlarge the box"
        )
    codes = np.zeros(len(cloud), np.int64) if codes is None else np.asarray(codes, np.int64)
    unit, sides, length = unit_cloud(cloud[np.argsort(codes, kind="stable")], least, most)
    line = cloud[:, 0] if cloud.shape[1] == 1 and length > 0 and vocabulary is None else None
    return _Source(unit, np.bincount(codes), least, most, sides, length, vocabulary, len(cloud), None, line)


def _of_leaves(leaves: DyadicLeaves, low, high, vocabulary: tuple[Label, ...] | None) -> _Source:
    sides, length = unit_sides(low, high), 2 * float((high / 2 - low / 2).max())
    centres = (leaves.cells + 0.5) * np.ldexp(sides, -leaves.halvings)
    boxes = Boxes(leaves.quanta, leaves.halvings.sum(axis=1))
    count = round(float(leaves.quanta.sum()))
    return _Source(centres, np.bincount(leaves.root), low, high, sides, length, vocabulary, count, boxes)


def trees(
    points: Numbers,
    bits: SupportsFloat | object,
    *,
    low: Numbers | None = None,
    high: Numbers | None = None,
    labels: Sequence[object] | np.ndarray | None = None,
) -> list[tuple[TreeMeasure, float]]:
    """Trees of several numbers of quanta that fit a budget of bits, each with its bound on W_1 to the points.

    On the line, the distance itself. Arguments and errors as for `TreeMeasure.from_samples`.

    **Example:**

        >>> import jaxgen as jg
        >>> [(tree.quanta, round(error, 3)) for tree, error in jg.measures.trees([0.0, 0.1, 0.9, 1.0], bits=200)][0]
        (4, 0.0)
    """
    budget = real_number(bits, "bits")
    side_bits = box_bits_for(budget)
    while True:
        source = _of_points(points, low, high, labels, side_bits)
        least = code_length(source.roots())
        if least <= budget or side_bits <= LEAST_BOX_BITS:
            break
        side_bits -= 1
    fitting = [(tree, source.error(tree, pruned.error)) for tree, pruned in _fitting(source, budget, least)]
    return fitting or [(root := source.roots(), source.error(root, math.inf))]


def _fitting(source: _Source, budget: float, least: int) -> list[tuple[TreeMeasure, Pruned]]:
    """Trees of several numbers of quanta that take at most so many bits, of which the roots alone take `least`."""
    if not least <= budget < math.inf:
        raise TooFewBits(budget, least)
    # Quanta take as many bits more as they have, and as there are ways for them to fall to the labels.
    size, labelled = source.count, len(source.sizes)
    ways = math.lgamma(size) - math.lgamma(labelled) - math.lgamma(size - labelled + 1)
    overhead = least + min(size, MAX_QUANTA).bit_length() + math.ceil(ways / math.log(2))
    if overhead >= budget:
        return []
    payload, tolerance = budget - overhead, 0.4 / budget**2
    while True:
        found = candidates(source.depths(tolerance), payload, MAX_QUANTA)
        first = next(found, None)
        if first is None or tolerance <= _FINEST:
            break
        if first.bits < 0.9 * payload:
            # What is not cut yet is worth the bits that are left.
            tolerance = tolerance / 1e6 if tolerance > 1e9 * _FINEST else _FINEST
        elif tolerance > 4 * _WORTH * first.price:
            tolerance = max(_WORTH * first.price, _FINEST)
        else:
            break
    made = [(source.measure(each.levels), each) for each in itertools.chain([first] if first else [], found)]
    return [(tree, pruned) for tree, pruned in made if code_length(tree) <= budget]


def tree_of_boxes(
    leaves: DyadicLeaves,
    low: Float[np.ndarray, " d"],
    high: Float[np.ndarray, " d"],
    vocabulary: tuple[Label, ...] | None,
    bits: SupportsFloat | object | None,
) -> tuple[TreeMeasure, Bound]:
    """A tree for a law that is uniform on each of some nodes, none of them in another, and bounds on W_1 and W_2 to it.

    The tree of the least bound in so many bits; with `None`, that of as many quanta as the masses add up to.
    """
    source = _of_leaves(leaves, low, high, vocabulary)
    found = []
    if bits is not None:
        found = _fitting(source, real_number(bits, "bits"), code_length(source.roots()))
    if not found:
        whole = bits is None
        quanta = max(len(source.sizes), min(source.count, MAX_QUANTA)) if whole else len(source.sizes)
        pruned = Quanta(source.depths(0.0 if whole else math.inf), quanta).best()
        found = [(source.measure(pruned.levels), pruned)]
    tree, pruned = min(found, key=lambda each: each[1].error)
    # What the labels have too much or too little is somewhere else in the box.
    masses = np.bincount(leaves.root, leaves.quanta) / leaves.quanta.sum()
    moved = float(np.abs(masses - tree.label_masses).sum()) / 2
    wide = float(np.linalg.norm(source.sides))
    first, second = pruned.error + moved * wide, pruned.square + moved * wide**2
    return tree, (source.length * first, source.length * math.sqrt(second))


def tree_of_leaves(
    points: Numbers, leaves: SupportsIndex, *, low: Numbers | None = None, high: Numbers | None = None
) -> TreeMeasure:
    """The tree of at most so many leaves with the least error bound: one quantum a point, and a price a leaf.

    Arguments and errors as for `TreeMeasure.from_samples`.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.measures.tree_of_leaves([0.0, 0.1, 0.9, 1.0], 2).size
        2
    """
    most = whole_number(leaves, "leaves", 1)
    source = _of_points(points, low, high, None, MOST_BOX_BITS)
    # A leaf is worth more than the last one that there is: about the error over the number of leaves.
    depths = source.depths(0.01 / most**2)
    return source.measure(Quanta(depths, min(source.count, MAX_QUANTA)).of_leaves(most))


def with_bounds(tree: TreeMeasure, points: Numbers, labels: Sequence[object] | np.ndarray | None) -> TreeMeasure:
    """The tree with bounds on its distance to the points, and on those under each label, in its record.

    **Example:**

        >>> import jaxgen as jg
        >>> from jaxgen.measures import with_bounds
        >>> tree = with_bounds(jg.TreeMeasure([[0]], [[0]], [1], 0.0, 1.0), [0.5], None)
        >>> [round(w, 4) for w in tree.proven("law")]  # E|U - 1/2|, and the root of E(U - 1/2)^2
        [0.25, 0.2887]
    """
    cloud, each = finite_points(points).astype(np.float64), {}
    if tree.vocabulary is not None:
        codes, _ = encode_labels(labels, len(cloud))
        parts = [cloud[np.asarray(codes) == code] for code in range(len(tree.vocabulary))]
        each = {
            "law": tuple(
                node_bound(part, tree.given(label)) for part, label in zip(parts, tree.vocabulary, strict=True)
            )
        }
    return tree.with_record(Record({"law": node_bound(cloud, tree)}, each, saved=False))
