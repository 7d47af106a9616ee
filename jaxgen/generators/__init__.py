"""u -> x: maps from uniform numbers, and a prompt, to points."""

from ._base import AbstractGenerator as AbstractGenerator, Certificate as Certificate
from ._grid import AbstractGridGenerator as AbstractGridGenerator
from ._mlp import MLPGenerator as MLPGenerator
from ._sawtooth import SawtoothGenerator as SawtoothGenerator
