"""What is proven of the error against depth, and the curves that generators with one source run along."""

from collections.abc import Iterator

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..data import Dataset
from ..generators import AbstractGenerator, PeanoGenerator, SawtoothGenerator
from ..measures import GridMeasure
from ._records import Curves, DepthPoint, Path
from ._settings import Settings

# Curves fill at most so many dimensions here.
_MAX_DIM = 4
_PATH_POINTS = 3000
# A grid so coarse that the folds are what matters.
_COARSE = 9
_KINDS = {"sawtooth": SawtoothGenerator, "Peano": PeanoGenerator}


def curves(train: Dataset, settings: Settings) -> Curves:
    """All curves of the figure; none with labels, or in high dimension."""
    if train.labels is not None or train.points.shape[1] > _MAX_DIM:
        return Curves()
    coarse = GridMeasure.from_samples(train.points, _COARSE)
    paths = tuple(Path(name, _path(_KINDS[name](coarse, s))) for name, s in (("sawtooth", 2), ("Peano", 1)))
    return Curves(tuple(_depth_points(coarse, settings)), paths)


def _depth_points(coarse: GridMeasure, settings: Settings) -> Iterator[DepthPoint]:
    for name, steps in (("sawtooth", settings.curve_folds), ("Peano", settings.curve_levels)):
        for s in steps:
            g = _KINDS[name](coarse, s)
            yield DepthPoint(name, s, g.size().depth, g.certificate().w1)


def _path(generator: AbstractGenerator) -> np.ndarray:
    return np.asarray(eqx.filter_jit(eqx.filter_vmap(generator))(jnp.linspace(0, 1, _PATH_POINTS)))
