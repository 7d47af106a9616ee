"""The explicit generators of a comparison: how they are made of points, and their rows."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import equinox as eqx
import jax
import jax.random as jr
import numpy as np

from .._checks import TooFewBits
from ..data import Dataset
from ..generators import (
    AbstractExplicitGenerator,
    CodebookGenerator,
    IndependentGenerator,
    PeanoGenerator,
    SawtoothGenerator,
)
from ..measures import GridMeasure, TreeMeasure
from ..rate import TREE_DIMENSIONS, best_grid
from ._measure import Measured, measure, measure_network, own
from ._settings import Settings
from ._yardstick import Yardstick

# Atoms of the codebook, at most.
_MAX_ATOMS = 256


class Explicit(NamedTuple):
    """How to make an explicit generator of points, and the line of the planes that it is on."""

    make: Callable[[Dataset], AbstractExplicitGenerator]
    family: str


def explicit_makers(train: Dataset, settings: Settings) -> dict[str, Explicit]:
    """How to build each explicit generator of points."""

    def grid(data: Dataset) -> GridMeasure:
        return GridMeasure.from_samples(data.points, settings.resolution, labels=data.labels)

    makers: dict[str, Explicit] = {
        "sawtooth": Explicit(lambda data: SawtoothGenerator(grid(data), settings.folds), "sawtooth"),
        "Peano": Explicit(lambda data: PeanoGenerator(grid(data), settings.extra_levels), "Peano"),
        "independent": Explicit(lambda data: IndependentGenerator(grid(data)), "independent"),
    }
    if train.labels is not None:
        return makers
    atoms = min(_MAX_ATOMS, len(train.points) // 2, len(np.unique(train.points, axis=0)))
    key = jr.key(settings.seed)
    makers[f"codebook, {atoms} atoms"] = Explicit(
        lambda data: CodebookGenerator.from_samples(data.points, atoms, key=key), "codebook"
    )
    family = "tree" if train.points.shape[1] <= TREE_DIMENSIONS else "grid"
    for bits in settings.budgets:
        makers[f"{family}, {bits:,} bits"] = Explicit(of_budget(bits, settings.extra_levels), family)
    return makers


def of_budget(bits: int, levels: int) -> Callable[[Dataset], AbstractExplicitGenerator]:
    """The generator of a measure that takes so many bits."""

    def make(data: Dataset) -> AbstractExplicitGenerator:
        if data.points.shape[1] > TREE_DIMENSIONS:
            return PeanoGenerator(best_grid(data.points, bits), levels)
        return PeanoGenerator(TreeMeasure.from_samples(data.points, bits), levels)

    return make


def explicit_rows(name: str, how: Explicit, yardstick: Yardstick, settings: Settings) -> Iterator[Measured]:
    """An explicit generator as a kernel, made of each split, and as a network; nothing, where its budget is too small.

    With labels it is no network of one input.
    """
    splits = yardstick.splits
    began = time.thread_time()
    try:
        generator = how.make(splits[0].train)
    except TooFewBits:
        return
    jax.block_until_ready(eqx.filter(generator, eqx.is_array))
    seconds = time.thread_time() - began
    made = [generator]
    for split in splits[1:]:
        yardstick.go_on()
        made.append(how.make(split.train))
    # A kernel is as near to its measure as its certificate says, and that law is discretised leaf by leaf.
    models = [own(each, each.measure) for each in made]
    yield measure(name, "explicit", models, yardstick, seconds, how.family)
    if splits[0].train.labels is None and how.family in settings.networks:
        yield measure_network(f"{name}, as a network", generator, yardstick, f"{how.family}, as a network")
