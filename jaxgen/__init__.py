"""jaxgen: explicit generative networks in JAX.

One uniform number, pushed through a deep ReLU network, becomes any law in any dimension, with a proven error and a
known number of bits; and a yardstick that says how far any generator is from what is possible.
"""

from . import curves as curves, distances as distances, limits as limits, relu as relu
from .distances import (
    curve_coupling as curve_coupling,
    sinkhorn_divergence as sinkhorn_divergence,
    wasserstein as wasserstein,
    wasserstein_bounds as wasserstein_bounds,
)
from .generators import (
    AbstractGenerator as AbstractGenerator,
    Certificate as Certificate,
    IndependentGenerator as IndependentGenerator,
    MLPGenerator as MLPGenerator,
    PeanoGenerator as PeanoGenerator,
    SawtoothGenerator as SawtoothGenerator,
)
from .measures import GridMeasure as GridMeasure, QuantizedMeasure as QuantizedMeasure
from .relu import ReLUNetwork as ReLUNetwork

__version__ = "0.1.0"
