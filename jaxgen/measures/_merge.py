"""The mixture of measures of parts of the data, in one box (theory, section 8)."""

from collections.abc import Sequence
from typing import Any, SupportsFloat, TypeVar

import numpy as np
from jaxtyping import Float

from .._checks import Numbers, nonnegative_weights
from ._abstract import AbstractMeasure
from ._build import merge_cells
from ._dyadic_leaves import DyadicLeaves, mixed
from ._grid import GridMeasure
from ._kd_tree import Cuts, unit_sides
from ._node_bound import box_bound
from ._quantized import QuantizedMeasure, quantized
from ._record import Bound, Record
from ._rounding import MAX_QUANTA, added
from ._tree import TreeMeasure
from ._tree_search import tree_of_boxes
from ._vocabulary import Label, joined

AnyKind = TypeVar("AnyKind", bound=AbstractMeasure)


def merge(
    parts: Sequence[AnyKind], weights: Numbers | None = None, *, bits: SupportsFloat | object | None = None
) -> AnyKind:
    """One measure for all the data, from measures of its parts in one box: their mixture, with all their quanta.

    Counts of points add up exactly. Other masses are mixed and, in quanta, rounded to as many as the parts have
    together (2**24 at most); trees are as fine as the finest of them wherever that lowers the error, or pruned to a
    budget. What this costs is in the record: `rounding_bound(p)` is to the mixture of what the parts were rounded
    from, and `proven("points")` and `proven("law")` are the mixtures of what was proven of the parts, of which

        W_1(all points, merged) <= sum of share * W_1(points of the part, part) + W_1(mixture, merged)

    makes a bound to all the points. Merging in turn costs each time; the counts of `measures.CellCounts` add up in any
    order. Theory, section 8.

    **Arguments:**

    - `parts`: `GridMeasure`s, `QuantizedMeasure`s or `TreeMeasure`s, all of one kind, in the same box and, but for
        trees, of the same resolution; with labels all or none.
    - `weights`: of the parts, such as their numbers of points. By default the counts are added, where they are those of
        points, as in `GridMeasure.from_samples` and `counted`. Quanta that masses were rounded to, and those of a tree,
        are not.
    - `bits`: for trees, the budget of the merged one, header and box included.

    **Returns:** a measure of the same kind.

    **Raises:** `ValueError` for no parts, boxes, resolutions or dimensions that differ, labels of some parts only,
    weights that are missing, negative or not one a part, and a budget that the header alone exceeds; `TypeError` for
    kinds that differ, and a budget for what is no tree.

    **Example:**

        >>> import jaxgen as jg, numpy as np
        >>> box, points = dict(low=0.0, high=1.0), np.random.default_rng(0).random((2, 50))
        >>> grids = [jg.GridMeasure.from_samples(part, 8, **box) for part in points]
        >>> all_at_once = jg.GridMeasure.from_samples(points.ravel(), 8, **box)
        >>> jg.merge(grids).masses.tolist() == all_at_once.masses.tolist()
        True
        >>> trees = [jg.TreeMeasure.from_samples(part, bits=200, **box) for part in points]
        >>> tree = jg.merge(trees, weights=[50, 50])  # with bits=200 pruned to what 200 bits hold
        >>> tree.quanta == sum(each.quanta for each in trees)
        True
        >>> bound = tree.proven("law")[0] + tree.rounding_bound(1)  # on W_1 to all the points
        >>> jg.data_bound(points.ravel(), tree) <= bound < 0.2
        True
    """
    kinds = [kind for kind in (GridMeasure, QuantizedMeasure, TreeMeasure) if all(isinstance(m, kind) for m in parts)]
    if not len(parts):
        raise ValueError("parts is empty; give at least one measure")
    if not kinds:
        names = ", ".join(sorted({type(part).__name__ for part in parts}))
        raise TypeError(f"parts must be grids, quantized grids or trees, all of one kind; got {names}")
    if bits is not None and kinds[0] is not TreeMeasure:
        raise TypeError("bits= is for trees; quantize a merged grid with its quantize method")
    _in_one_box(parts)
    if weights is not None:
        weights = nonnegative_weights(weights, "weights", len(parts))
        parts, weights = [part for part, weight in zip(parts, weights, strict=True) if weight > 0], weights[weights > 0]
    if kinds[0] is TreeMeasure:
        return _merged_trees(parts, weights, bits)  # pyright: ignore[reportReturnType, reportArgumentType]
    return _merged_grids(parts, weights, kinds[0])  # pyright: ignore[reportReturnType, reportArgumentType]


def _in_one_box(parts: Sequence[Any]) -> None:
    for i, part in enumerate(parts):
        for name in ("dim", "low", "high", "resolution"):
            first, its = getattr(parts[0], name, None), getattr(part, name, None)
            if not np.array_equal(np.asarray(first), np.asarray(its)):
                raise ValueError(f"parts must have one box and grid: {name} is {first} in part 0 and {its} in part {i}")
        if (part.vocabulary is None) != (parts[0].vocabulary is None):
            raise ValueError("some parts have labels and some have none; give labels to all, or to none")
        if part.proven("rounding") is None:
            raise ValueError(f"the arrays of part {i} were changed since it was rounded: build it anew")


def _codes(parts: Sequence[AbstractMeasure]) -> tuple[tuple[Label, ...] | None, list[Any]]:
    """The vocabulary of all parts, and the codes of each in it."""
    if parts[0].vocabulary is None:
        return None, [None] * len(parts)
    vocabulary, places = joined([part.vocabulary or () for part in parts])
    return vocabulary, [place[np.asarray(part.labels)] for part, place in zip(parts, places, strict=True)]


def _mixed_record(parts: Sequence[AbstractMeasure], shares: Float[np.ndarray, " parts"]) -> dict[str, Bound]:
    """What was proven of all parts, for the mixture: W_p^p is convex."""
    bounds: dict[str, Bound] = {}
    for name in ("points", "law", "rounding"):
        each = [bound for part in parts if (bound := part.proven(name)) is not None]
        if len(each) == len(parts) and any(name in part.record.bounds for part in parts):
            first, second = np.array(each).T
            bounds[name] = float(shares @ first), float(np.sqrt(shares @ second**2))
    return bounds


def _merged_grids(
    parts: Sequence[GridMeasure | QuantizedMeasure], weights: Float[np.ndarray, " parts"] | None, kind: type
) -> GridMeasure | QuantizedMeasure:
    masses = [part._host_weights() for part in parts]
    if weights is None:
        for i, (part, mass) in enumerate(zip(parts, masses, strict=True)):
            if not np.issubdtype(mass.dtype, np.integer) or part.rounding_bound(1) > 0:
                raise ValueError(
                    f"the masses of part {i} are no counts of points: give weights=, the sizes of the parts"
                )
        sizes = np.array([mass.sum(dtype=np.int64) for mass in masses])
        masses, total = [mass.astype(np.int64) for mass in masses], int(sizes.sum())
    else:
        sizes, total = weights, None
        masses = [w * (mass / mass.sum(dtype=np.float64)) for w, mass in zip(weights, masses, strict=True)]
    (vocabulary, codes), first = _codes(parts), parts[0]
    cells = np.concatenate([np.asarray(part.cells) for part in parts])
    cells, labels, mass = merge_cells(
        cells, None if vocabulary is None else np.concatenate(codes), np.concatenate(masses)
    )
    record = Record(_mixed_record(parts, sizes / sizes.sum()), total=total)
    fields = (first.low, first.high, first.resolution, labels, vocabulary, record)
    quanta = sum(part.quanta for part in parts if isinstance(part, QuantizedMeasure))
    if kind is QuantizedMeasure and total is not None and quanta <= MAX_QUANTA:
        return QuantizedMeasure(cells, mass, *fields)
    merged = GridMeasure(cells, mass, *fields)
    return quantized(merged, min(quanta, MAX_QUANTA), mass.astype(np.float64)) if kind is QuantizedMeasure else merged


def _merged_trees(parts: Sequence[TreeMeasure], weights: Float[np.ndarray, " parts"] | None, bits: Any) -> TreeMeasure:
    if weights is None:
        raise ValueError("the quanta of a tree are no counts of points: give weights=, the sizes of the parts")
    quanta = np.array([part.quanta for part in parts], np.float64)
    # So that the masses of quanta of as many points as there are quanta are whole.
    scales = weights * quanta.sum() / (weights.sum() * quanta)
    (vocabulary, codes), leaves = _codes(parts), [part._leaves() for part in parts]
    leaves = [
        each._replace(quanta=each.quanta * scale, root=each.root if code is None else code)
        for each, scale, code in zip(leaves, scales, codes, strict=True)
    ]
    low, high = (np.asarray(corner, np.float64) for corner in (parts[0].low, parts[0].high))
    mixture = mixed(leaves, Cuts(unit_sides(low, high)))
    tree, bound = tree_of_boxes(mixture, low, high, vocabulary, bits)
    between = _between(mixture, tree._leaves(), low, high)
    bound = min(bound[0], between[0]), min(bound[1], between[1])
    bounds = _mixed_record(parts, weights / weights.sum())
    return tree.with_record(
        Record({**bounds, "rounding": added(bounds.get("rounding", (0.0, 0.0)), bound)}, saved=bits is None)
    )


def _between(one: DyadicLeaves, two: DyadicLeaves, low, high) -> Bound:
    """Between two laws on leaves of trees in one box, whatever their labels: on the leaves that they have together."""
    sides, length = unit_sides(low, high), 2 * float((high / 2 - low / 2).max())
    if length == 0:
        return 0.0, 0.0
    parts = [
        each._replace(quanta=each.quanta / each.quanta.sum(), root=np.zeros_like(each.root)) for each in (one, two)
    ]
    none = [each._replace(quanta=np.zeros(len(each.root))) for each in parts]
    first, second = (mixed(pair, Cuts(sides)) for pair in ((parts[0], none[1]), (none[0], parts[1])))
    side = np.ldexp(sides, -first.halvings)
    masses = np.stack([first.quanta, second.quanta])
    w1, w2 = box_bound(first.cells * side, (first.cells + 1) * side, masses, sides)
    return length * w1, length * w2
