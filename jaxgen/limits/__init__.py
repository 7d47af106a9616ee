"""How near to a law, and in how few bits, any method can get."""

from ._atoms import (
    density_norm as density_norm,
    normal_density_norm as normal_density_norm,
    quantization_error as quantization_error,
    samples as samples,
    second_moment as second_moment,
    zador as zador,
)
from ._bits import type_class_bits as type_class_bits
from ._covering import (
    CoveringBound as CoveringBound,
    covering_argument as covering_argument,
    covering_bits as covering_bits,
    covering_error as covering_error,
    occupied_volume as occupied_volume,
)
from ._length import curve_length as curve_length, length_bound as length_bound
from ._pieces import network_bound as network_bound, pieces as pieces
