"""ReLU networks as objects of theory: exact maps, exact counts, a builder, a calculus, and functions built with it."""

from ._builder import NetworkBuilder as NetworkBuilder, Signal as Signal, stack as stack
from ._calculus import (
    add as add,
    affine as affine,
    compose as compose,
    concatenate as concatenate,
    pad_depth as pad_depth,
    parallel as parallel,
)
from ._functions import (
    clip_inner as clip_inner,
    clip_outer as clip_outer,
    hat as hat,
    part_centres as part_centres,
    piecewise_linear as piecewise_linear,
    ramp as ramp,
    sawtooth as sawtooth,
    staircase as staircase,
    triangle_wave as triangle_wave,
    unfold as unfold,
)
from ._network import ReLUNetwork as ReLUNetwork, SparseAffine as SparseAffine
