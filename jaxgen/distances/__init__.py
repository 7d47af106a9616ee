"""How far apart two laws are: exactly, in comparison, and between two bounds."""

from ._curve_coupling import curve_coupling as curve_coupling
from ._data_bound import data_bound as data_bound
from ._large_transport import WeightedCloud as WeightedCloud, large_cost as large_cost
from ._law_distance import (
    LawDistance as LawDistance,
    law_distance as law_distance,
    law_points as law_points,
    law_value as law_value,
    source_values as source_values,
)
from ._sinkhorn_divergence import SinkhornDivergence as SinkhornDivergence, sinkhorn_divergence as sinkhorn_divergence
from ._source_map import SourceMap as SourceMap, declared_shapes as declared_shapes, source_map as source_map
from ._two_sample_floor import TwoSampleFloor as TwoSampleFloor, two_sample_floor as two_sample_floor
from ._wasserstein import wasserstein as wasserstein
from ._wasserstein_bounds import WassersteinBounds as WassersteinBounds, wasserstein_bounds as wasserstein_bounds
