"""jaxgen: explicit generative networks in JAX.

One uniform number, pushed through a deep ReLU network, becomes any law in any dimension, with a proven error and a
known number of bits; and a yardstick that says how far any generator is from what is possible.
"""

from . import (
    coding as coding,
    comparison as comparison,
    curves as curves,
    data as data,
    distances as distances,
    generators as generators,
    limits as limits,
    measures as measures,
    modalities as modalities,
    rate as rate,
    relu as relu,
    source as source,
    training as training,
)
from .coding import (
    CodeError as CodeError,
    code_length as code_length,
    decode as decode,
    encode as encode,
    load as load,
    save as save,
)
from .comparison import Report as Report, compare as compare
from .curves import HilbertCurve as HilbertCurve, PeanoCurve as PeanoCurve
from .distances import (
    curve_coupling as curve_coupling,
    data_bound as data_bound,
    law_distance as law_distance,
    sinkhorn_divergence as sinkhorn_divergence,
    two_sample_floor as two_sample_floor,
    wasserstein as wasserstein,
    wasserstein_bounds as wasserstein_bounds,
)
from .generators import (
    AbstractGenerator as AbstractGenerator,
    Certificate as Certificate,
    CodebookGenerator as CodebookGenerator,
    CurveGenerator as CurveGenerator,
    GriddedCondition as GriddedCondition,
    IndependentGenerator as IndependentGenerator,
    MLPGenerator as MLPGenerator,
    PeanoGenerator as PeanoGenerator,
    SawtoothGenerator as SawtoothGenerator,
    TreeGenerator as TreeGenerator,
)
from .measures import (
    GridMeasure as GridMeasure,
    LeafMeasure as LeafMeasure,
    QuantizedMeasure as QuantizedMeasure,
    TreeMeasure as TreeMeasure,
    merge as merge,
)
from .modalities import PromptedGenerator as PromptedGenerator
from .rate import quantize as quantize
from .relu import ReLUNetwork as ReLUNetwork
from .training import TrainingError as TrainingError, fit as fit

__version__ = "0.1.0"
