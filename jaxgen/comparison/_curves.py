"""Error against depth and against size, and the curves that generators with one source run along."""

from collections.abc import Iterator

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ..data import Dataset
from ..distances import wasserstein
from ..generators import AbstractGenerator, PeanoGenerator, SawtoothGenerator
from ..measures import GridMeasure
from ._held_out import HeldOut
from ._records import Curves, DepthPoint, Path, SizePoint
from ._settings import Settings

# Curves fill at most so many dimensions here; distances of fewer points are noise, whatever the depth.
_MAX_DIM, _LEAST_POINTS = 4, 30
_PATH_POINTS = 3000
# A grid so coarse that the folds are what matters, and a curve so deep that nothing but its sampling does.
_COARSE, _DEEP = 9, 5
_KINDS = {"sawtooth": SawtoothGenerator, "Peano": PeanoGenerator}


def curves(train: Dataset, held_out: HeldOut, settings: Settings) -> Curves:
    """All curves of the figure; none with labels, or in high dimension."""
    if train.labels is not None or train.points.shape[1] > _MAX_DIM:
        return Curves()
    coarse = GridMeasure.from_samples(train.points, _COARSE)
    paths = tuple(Path(name, _path(_KINDS[name](coarse, s))) for name, s in (("sawtooth", 2), ("Peano", 1)))
    if held_out.n < _LEAST_POINTS:
        return Curves(paths=paths)
    # Stratified points along a deep curve stand for the measure: nearer to it than as many independent ones.
    deep = PeanoGenerator(coarse, _DEEP)
    reference, again = (_stratified(deep, held_out, i) for i in (8, 9))
    return Curves(
        depth=tuple(_depth_points(coarse, reference, held_out, settings)),
        size=tuple(_size_points(train, held_out, settings)),
        depth_floor=wasserstein(reference, again, 1),
        paths=paths,
    )


def _depth_points(
    coarse: GridMeasure, reference: np.ndarray, held_out: HeldOut, settings: Settings
) -> Iterator[DepthPoint]:
    for name, steps in (("sawtooth", settings.curve_folds), ("Peano", settings.curve_levels)):
        for s in steps:
            g = _KINDS[name](coarse, s)
            sampled = wasserstein(_stratified(g, held_out, 7), reference, 1)
            yield DepthPoint(name, s, g.size().depth, g.certificate().w1, sampled)


def _size_points(train: Dataset, held_out: HeldOut, settings: Settings) -> Iterator[SizePoint]:
    for n in settings.curve_resolutions:
        measure = GridMeasure.from_samples(train.points, n)
        for name, s in (("sawtooth", 6), ("Peano", 2)):
            g = _KINDS[name](measure, s)
            (w1,) = held_out.distances(held_out.sampler(g), orders=(1,))
            yield SizePoint(name, n, g.size().connectivity, w1.mean)


def _stratified(generator: AbstractGenerator, held_out: HeldOut, i: int) -> np.ndarray:
    return np.asarray(generator.sample(jr.fold_in(held_out.key, i), held_out.n, stratified=True))


def _path(generator: AbstractGenerator) -> np.ndarray:
    return np.asarray(eqx.filter_jit(eqx.filter_vmap(generator))(jnp.linspace(0, 1, _PATH_POINTS)))
