"""Trees in files.

Body of a `TreeMeasure`: an integer `2 (d - 1) + unit` (the box is the unit cube); unless it is, a byte that says how
its corners are written, and low and high; quanta; the payload: how they fall to the labels, and the tree. Sections:
labels, and the record of what was proven.
"""

import numpy as np

from .. import coding
from ..coding import CodeError, Input, Output
from ._dyadic_leaves import leaves_of
from ._kd_tree import Cuts
from ._record import Record
from ._rounding import MAX_QUANTA
from ._tree import TreeMeasure, _unit_sides

_MAX_DIM = 1 << 20
_UNIT = coding.box_kind(np.zeros(1), np.ones(1))


def _write(out: Output, tree: TreeMeasure) -> None:
    low, high = np.asarray(tree.low, np.float64), np.asarray(tree.high, np.float64)
    unit = coding.box_kind(low, high) == _UNIT
    out.integer((tree.dim - 1) << 1 | unit)
    if not unit:
        out.byte(coding.box_kind(low, high))
        coding.write_box(out, low, high)
    coding.write_vocabulary(out, tree.vocabulary)
    if tree.record.saved and tree.unchanged:
        coding.write_record(out, tree.record.bounds, tree.record.label_bounds or None)
    levels = tree.levels
    out.integer(tree.quanta)
    coding.write_forest(out, levels, Cuts(_unit_sides(low, high)).side)


def _read(data: Input) -> TreeMeasure:
    flags = data.integer("dim", 2 * _MAX_DIM - 1)
    dim = (flags >> 1) + 1
    low, high = coding.read_box(data, _UNIT if flags & 1 else data.byte(), dim)
    vocabulary = coding.read_vocabulary(data)
    record = Record(*coding.read_record(data))
    quanta = data.integer("quanta", MAX_QUANTA)
    roots = 1 if vocabulary is None else len(vocabulary)
    if not 1 <= roots <= quanta:
        raise CodeError(f"the file claims {quanta} quanta for {roots} labels")
    if not (np.all(low <= high) and np.all(np.isfinite(low)) and np.all(np.isfinite(high))):
        raise CodeError("the box of the tree is upside down, or not finite")
    cuts = Cuts(_unit_sides(low, high))
    leaves = leaves_of(coding.read_forest(data, roots, quanta, cuts.side), cuts, dim)
    labels = None if vocabulary is None else leaves.root
    return TreeMeasure(leaves.cells, leaves.halvings, leaves.quanta, low, high, labels, vocabulary, record)


coding.register(TreeMeasure, 10, _write, _read)
