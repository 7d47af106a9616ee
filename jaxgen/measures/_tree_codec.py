"""Trees in files.

Body of a `TreeMeasure`, one stream of the range coder: d - 1, the box, the number of quanta, how they fall to the
labels, and the tree of each. Sections: labels, and the record of what was proven.
"""

import numpy as np

from .. import coding
from ..coding import CodeError, Input, Output, PackedReader, PackedWriter
from ._dyadic_leaves import leaves_of
from ._kd_tree import Cuts, unit_sides
from ._record import Record
from ._rounding import MAX_QUANTA
from ._tree import TreeMeasure


def _write(out: Output, tree: TreeMeasure) -> None:
    coding.write_vocabulary(out, tree.vocabulary)
    if tree.record.saved and tree.unchanged:
        coding.write_record(out, tree.record.bounds, tree.record.label_bounds or None)
    low, high = np.asarray(tree.low, np.float64), np.asarray(tree.high, np.float64)
    writer, levels = PackedWriter(), tree.levels
    coding.code_small(writer, tree.dim - 1)
    coding.code_corners(writer, low, high, tree.dim)
    coding.code_whole(writer, tree.quanta, 5)
    coding.code_composition(writer, levels[0].quanta, len(levels[0].quanta), tree.quanta)
    coding.code_tree(writer, levels[0].quanta, Cuts(unit_sides(low, high)).side, levels)
    out.raw(writer.finish()[0])


def _read(data: Input) -> TreeMeasure:
    vocabulary, record = coding.read_vocabulary(data), Record(*coding.read_record(data))
    reader = PackedReader(bytes(data.part(data.left)))
    dim = 1 + coding.code_small(reader, None)
    reader.require(dim)
    low, high = coding.code_corners(reader, None, None, dim)
    quanta, roots = coding.code_whole(reader, None, 5), 1 if vocabulary is None else len(vocabulary)
    if not roots <= quanta <= MAX_QUANTA:
        raise CodeError(f"the file claims {quanta} quanta for {roots} labels")
    if not (np.all(np.isfinite(low)) and np.all(np.isfinite(high))):
        raise CodeError("the box of the tree is not finite")
    sizes, cuts = coding.code_composition(reader, None, roots, quanta), Cuts(unit_sides(low, high))
    leaves = leaves_of(coding.code_tree(reader, sizes, cuts.side, None, coding.most_nodes(reader)), cuts, dim)
    reader.finish()
    labels = None if vocabulary is None else leaves.root
    return TreeMeasure(leaves.cells, leaves.halvings, leaves.quanta, low, high, labels, vocabulary, record)


coding.register(TreeMeasure, 10, _write, _read)
