"""ReLU networks as objects of theory: exact maps, exact counts, a calculus, functions built with it."""

from ._blocks import (
    hat as hat,
    piecewise_linear as piecewise_linear,
    ramp as ramp,
    sawtooth as sawtooth,
    triangle_wave as triangle_wave,
    unfold as unfold,
)
from ._calculus import (
    add as add,
    affine as affine,
    compose as compose,
    concatenate as concatenate,
    pad_depth as pad_depth,
    parallel as parallel,
)
from ._network import ReLUNetwork as ReLUNetwork, SparseAffine as SparseAffine
