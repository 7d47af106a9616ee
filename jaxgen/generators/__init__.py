"""u -> x: maps from uniform numbers, and a prompt, to points."""

from ._base import AbstractGenerator as AbstractGenerator, Certificate as Certificate, Size as Size
from ._codebook import CodebookGenerator as CodebookGenerator
from ._grid import AbstractGridGenerator as AbstractGridGenerator
from ._gridded import GriddedCondition as GriddedCondition
from ._independent import IndependentGenerator as IndependentGenerator
from ._mlp import MLPGenerator as MLPGenerator
from ._peano import PeanoGenerator as PeanoGenerator
from ._sawtooth import SawtoothGenerator as SawtoothGenerator
