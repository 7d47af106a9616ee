"""How far apart two laws are: exactly, in comparison, and between two bounds."""

from ._bounds import WassersteinBounds as WassersteinBounds, wasserstein_bounds as wasserstein_bounds
from ._curve import curve_coupling as curve_coupling
from ._data import data_bound as data_bound
from ._exact import wasserstein as wasserstein
from ._floor import TwoSampleFloor as TwoSampleFloor, two_sample_floor as two_sample_floor
from ._sinkhorn import (
    SinkhornDivergence as SinkhornDivergence,
    sinkhorn_divergence as sinkhorn_divergence,
)
