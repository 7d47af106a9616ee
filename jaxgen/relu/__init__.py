"""ReLU networks as objects of theory: exact maps, exact counts, a calculus, and the functions built with it."""

from ._network import ReLUNetwork as ReLUNetwork, SparseAffine as SparseAffine
