"""From points to trees: as many bits, or as many leaves, as are allowed (theory, section 8)."""

import itertools
import math
from collections.abc import Sequence
from typing import SupportsFloat, SupportsIndex

import numpy as np

from .._checks import Numbers, TooFewBits, box_corners, finite_points, real_number, whole_number
from ..coding import TreeLevel, code_length
from ._dyadic_leaves import leaves_of
from ._kd_tree import Cuts, kd_tree, unit_cloud
from ._line_law import line_error
from ._node_bound import node_bound
from ._prune import Quanta, candidates
from ._record import Record
from ._rounding import MAX_QUANTA
from ._short_box import LEAST_BOX_BITS, MOST_BOX_BITS, box_bits_for, short_box
from ._tree import TreeMeasure
from ._vocabulary import encode_labels

# A node is not cut where that could gain less than this share of what a bit is worth.
_WORTH = 0.05
# Of the longest side: far below what a float64 tells apart.
_FINEST = 1e-18


class _Points:
    """Points in their box, label by label, ready to be cut."""

    def __init__(self, points: Numbers, low: Numbers | None, high: Numbers | None, labels, side_bits: int):
        self.cloud = finite_points(points).astype(np.float64)
        codes, self.vocabulary = encode_labels(labels, len(self.cloud))
        least, most = short_box(self.cloud.min(axis=0), self.cloud.max(axis=0), side_bits)
        corners = least if low is None else low, most if high is None else high
        self.low, self.high = box_corners(*corners, self.cloud.shape[1])
        if outside := int(np.any((self.cloud < self.low) | (self.cloud > self.high), axis=1).sum()):
            raise ValueError(
                f"{outside} of {len(self.cloud)} points lie outside the box low={self.low}, high={self.high}; "
                "enlarge the box"
            )
        codes = np.zeros(len(self.cloud), np.int64) if codes is None else np.asarray(codes, np.int64)
        order = np.argsort(codes, kind="stable")
        self.unit, self.sides, self.length = unit_cloud(self.cloud[order], self.low, self.high)
        self.sizes, self.cuts = np.bincount(codes), Cuts(self.sides)

    def depths(self, tolerance: float):
        return kd_tree(self.unit, self.sides, self.sizes, tolerance)

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
        if self.cloud.shape[1] > 1 or self.length == 0 or self.vocabulary is not None:
            return bound * self.length
        corners, sides = (np.asarray(array, np.float64)[:, 0] for array in (tree.low_corners, tree.sides))
        return line_error(self.cloud[:, 0], corners, sides, np.asarray(tree.counts, np.float64))


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
        source = _Points(points, low, high, labels, side_bits)
        least = code_length(root := source.roots())
        if least <= budget or side_bits <= LEAST_BOX_BITS:
            break
        side_bits -= 1
    if not least <= budget < math.inf:
        raise TooFewBits(budget, least)
    # Quanta take as many bits more as they have, and as there are ways for them to fall to the labels.
    size, labelled = len(source.cloud), len(source.sizes)
    ways = math.lgamma(size) - math.lgamma(labelled) - math.lgamma(size - labelled + 1)
    overhead = least + min(size, MAX_QUANTA).bit_length() + math.ceil(ways / math.log(2))
    alone = [(root, source.error(root, math.inf))]
    if overhead >= budget:
        return alone
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
    made = [(source.measure(each.levels), each.error) for each in itertools.chain([first] if first else [], found)]
    fitting = [(tree, source.error(tree, bound)) for tree, bound in made if code_length(tree) <= budget]
    return fitting or alone


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
    source = _Points(points, low, high, None, MOST_BOX_BITS)
    # A leaf is worth more than the last one that there is: about the error over the number of leaves.
    depths = source.depths(0.01 / most**2)
    return source.measure(Quanta(depths, min(len(source.cloud), MAX_QUANTA)).of_leaves(most))


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
