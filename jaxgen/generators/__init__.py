"""u -> x: maps from uniform numbers, and a prompt, to points."""

from ..measures import Condition as Condition
from . import _codec as _codec
from ._base import AbstractGenerator as AbstractGenerator, Size as Size
from ._certificate import Certificate as Certificate
from ._codebook import CodebookGenerator as CodebookGenerator
from ._curve import CurveGenerator as CurveGenerator, PeanoGenerator as PeanoGenerator, TreeGenerator as TreeGenerator
from ._explicit import AbstractExplicitGenerator as AbstractExplicitGenerator, CellMoments as CellMoments
from ._gridded_condition import GriddedCondition as GriddedCondition
from ._independent import IndependentGenerator as IndependentGenerator
from ._mlp import MLPGenerator as MLPGenerator
from ._sawtooth import SawtoothGenerator as SawtoothGenerator
