"""What is to be generated: laws on leaves, boxes with a mass each, in floats or in quanta."""

from . import _codec as _codec, _tree_codec as _tree_codec
from ._abstract import AbstractMeasure as AbstractMeasure, natural_generator as natural_generator
from ._abstract_grid import AbstractGridMeasure as AbstractGridMeasure
from ._boxes import Boxes as Boxes
from ._build import lexicographic as lexicographic
from ._cell_counts import CellCounts as CellCounts
from ._floats import POSITION_ERROR as POSITION_ERROR, unit_roundoff as unit_roundoff
from ._generator import Generator as Generator
from ._grid import GridMeasure as GridMeasure
from ._lattice import Lattice as Lattice, LatticeMeasure as LatticeMeasure
from ._leaves import (
    AbstractLeafMeasure as AbstractLeafMeasure,
    LeafMeasure as LeafMeasure,
    QuantizedLeafMeasure as QuantizedLeafMeasure,
)
from ._line_law import line_error as line_error
from ._merge import merge as merge
from ._node_bound import node_bound as node_bound
from ._quantized import QuantizedMeasure as QuantizedMeasure
from ._record import Bound as Bound, Record as Record, fingerprint as fingerprint
from ._reweighed import reweighed as reweighed
from ._rounding import (
    MAX_QUANTA as MAX_QUANTA,
    added as added,
    curve_transport as curve_transport,
    round_masses as round_masses,
)
from ._short_box import (
    LEAST_BOX_BITS as LEAST_BOX_BITS,
    box_bits_for as box_bits_for,
    short_box as short_box,
)
from ._tree import TreeMeasure as TreeMeasure
from ._tree_search import tree_of_leaves as tree_of_leaves, trees as trees, with_bounds as with_bounds
from ._vocabulary import (
    Condition as Condition,
    Label as Label,
    as_vocabulary as as_vocabulary,
    label_code as label_code,
    plain_label as plain_label,
    unknown_label as unknown_label,
)
