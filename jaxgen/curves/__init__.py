"""Curves that fill a cube: for each the order of cells, the walk inside one, the network and its constants."""

from ._abstract import AbstractCurve as AbstractCurve, check_path as check_path
from ._filling import (
    box_distance as box_distance,
    centre_distance as centre_distance,
    diagonal_distance as diagonal_distance,
    line_distance as line_distance,
    zigzag_distance as zigzag_distance,
)
from ._hilbert import HilbertCurve as HilbertCurve
from ._peano import PeanoCurve as PeanoCurve, peano_network as peano_network
