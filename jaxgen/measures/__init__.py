"""What is to be generated: laws on grids, in floats or in quanta."""

from ._abstract import AbstractGridMeasure as AbstractGridMeasure
from ._build import check_points as check_points
from ._grid import GridMeasure as GridMeasure
from ._quantized import QuantizedMeasure as QuantizedMeasure, curve_transport as curve_transport
