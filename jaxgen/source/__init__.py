"""One uniform number with every bit exact: its words, the position inside a node, the search among leaves."""

from ._padding import (
    cut as cut,
    entry as entry,
    on_device as on_device,
    padded as padded,
    padded_size as padded_size,
    unstacked as unstacked,
)
from ._residual import (
    Residual as Residual,
    factor_bits as factor_bits,
    multiplied as multiplied,
    split_words as split_words,
)
from ._slope import motion as motion, moved_inside as moved_inside
from ._threefry import sample_words as sample_words, seed as seed, threefry as threefry
from ._tree import Branches as Branches, QuantileTree as QuantileTree, branches as branches
from ._words import float_to_words as float_to_words, stratum_words as stratum_words, words_to_float as words_to_float
