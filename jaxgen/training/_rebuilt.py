"""An explicit generator with the masses, and the atoms, that training found: the same construction."""

from functools import singledispatch
from typing import Any

import numpy as np
from jaxtyping import Float

from ..generators import (
    AbstractExplicitGenerator,
    CodebookGenerator,
    CurveGenerator,
    IndependentGenerator,
    SawtoothGenerator,
)
from ..measures import AbstractMeasure, LeafMeasure, reweighed
from ._models import Leaves


def learnt(
    generator: AbstractExplicitGenerator, leaves: Leaves, label_masses: Float[np.ndarray, " labels"], quanta: int
) -> Any:
    """The construction of `generator` on the leaves as they were learnt, in quanta; rounding is in its certificate."""
    measure = generator.measure
    masses = np.asarray(leaves.conditional_masses(), np.float64)
    masses = masses * (1.0 if measure.labels is None else label_masses[np.asarray(measure.labels)])
    if leaves.shifts is None:
        return rebuilt(generator, reweighed(measure, masses, quanta))
    moved = np.asarray(measure.low_corners, np.float64) + np.asarray(leaves.unit * leaves.shifts, np.float64)
    return rebuilt(generator, LeafMeasure(moved, 0.0, masses).quantize(quanta))


@singledispatch
def rebuilt(generator: AbstractExplicitGenerator, measure: AbstractMeasure) -> AbstractExplicitGenerator:
    """The same construction on another measure of its kind. Other rooms register theirs."""
    raise TypeError(f"how a {type(generator).__name__} is built on other masses is not registered")


@rebuilt.register
def _(generator: CurveGenerator, measure: AbstractMeasure) -> AbstractExplicitGenerator:
    axes = np.asarray(generator.axes)
    if axes.ndim:
        # One axis a leaf, of those that are left.
        old = dict(zip(_boxes(generator.measure), axes.tolist(), strict=True))
        axes = np.array([old[box] for box in _boxes(measure)])
    return CurveGenerator(measure, generator.extra_levels, generator.path, generator.curve, axes)


@rebuilt.register
def _(generator: SawtoothGenerator, measure: AbstractMeasure) -> AbstractExplicitGenerator:
    return SawtoothGenerator(measure, generator.folds, generator.path, np.asarray(generator.axes), generator.gradient)


@rebuilt.register
def _(generator: IndependentGenerator, measure: AbstractMeasure) -> AbstractExplicitGenerator:
    return IndependentGenerator(measure)


@rebuilt.register
def _(generator: CodebookGenerator, measure: AbstractMeasure) -> AbstractExplicitGenerator:
    rounding = measure.proven("rounding") or (0.0, 0.0)
    return CodebookGenerator(measure.low_corners, measure._weights().astype(np.int64), rounding=rounding)


def _boxes(measure: AbstractMeasure) -> list[tuple[float, ...]]:
    labels = np.zeros(measure.size) if measure.labels is None else np.asarray(measure.labels, np.float64)
    corners, sides = np.asarray(measure.low_corners, np.float64), np.asarray(measure.sides, np.float64)
    return list(map(tuple, np.column_stack([labels, corners, sides]).tolist()))
