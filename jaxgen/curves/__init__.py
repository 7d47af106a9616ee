"""Curves that fill a cube: for each the kernel and the ReLU network, side by side."""

from ._fixed_point import (
    Residual as Residual,
    float_to_words as float_to_words,
    fold as fold,
    from_limbs as from_limbs,
    limb_bits as limb_bits,
    one_minus as one_minus,
    scale as scale,
    stratum_words as stratum_words,
    ternary_digits as ternary_digits,
    to_float as to_float,
    to_limbs as to_limbs,
)
from ._networks import peano_network as peano_network
from ._peano import (
    cell_digits as cell_digits,
    levels_for as levels_for,
    peano_argsort as peano_argsort,
    peano_cell as peano_cell,
    peano_curve as peano_curve,
    peano_index as peano_index,
    peano_keys as peano_keys,
    peano_walk as peano_walk,
    reflect as reflect,
)
