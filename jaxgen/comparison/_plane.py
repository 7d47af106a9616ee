"""The plane on which every generator is judged: Wasserstein error against bits (theory, sections 8 and 10)."""

from collections.abc import Iterator, Sequence

import numpy as np

from .. import limits
from ..coding import code_length, quantize_network
from ..data import Dataset
from ..generators import PeanoGenerator
from ..measures import GridMeasure
from ..rate import quantize
from ._held_out import HeldOut
from ._records import BitsLimit, LengthLimit, Limits, PlanePoint, Trained
from ._settings import Settings

# Levels below the cells of a quantized measure: they cost no bits, and the filling is then no part of the error.
_EXTRA_LEVELS = 3


def plane(
    train: Dataset, held_out: HeldOut, networks: Sequence[Trained], settings: Settings
) -> tuple[tuple[PlanePoint, ...], Limits]:
    """A point for each budget of bits and for each network at each precision, and the limits; none with labels."""
    if train.labels is not None:
        return (), Limits()
    points = (*_explicit(train, held_out, settings), *_trained(held_out, networks, settings))
    limit = Limits(tuple(_bits_limits(train, points)), tuple(_length_limits(train, networks)))
    return points, limit


def _explicit(train: Dataset, held_out: HeldOut, settings: Settings) -> Iterator[PlanePoint]:
    """What `quantize` finds for each budget, at the cost of the whole encoded file."""
    for budget in settings.budgets:
        try:
            measure = quantize(train.points, bits=budget)
        except ValueError:
            continue  # the header and the box alone take more than the budget
        generator = PeanoGenerator(measure, _EXTRA_LEVELS)
        (w1,) = held_out.distances(held_out.sampler(generator), orders=(1,))
        yield PlanePoint("explicit", "Peano", code_length(generator), w1.mean, budget=budget)


def _trained(held_out: HeldOut, networks: Sequence[Trained], settings: Settings) -> Iterator[PlanePoint]:
    """At the smaller of the entropy-coded file and `weights * precision` for the rounded weights."""
    for trained in networks:
        network = trained.fitted.generator
        for precision in settings.precisions:
            bits = min(code_length(network, weight_bits=precision), network.bits() // 32 * precision)
            sampler = held_out.sampler(quantize_network(network, precision))
            (w1,) = held_out.distances(sampler, orders=(1,))
            family = f"trained, {network.source_dim} source{'s'[: network.source_dim > 1]}"
            yield PlanePoint(family, trained.name, bits, w1.mean, precision=precision)


def _bits_limits(train: Dataset, points: Sequence[PlanePoint]) -> Iterator[BitsLimit]:
    """For each number of bits, the error that every code has on some law on the largest cube in the box.

    A worst case over all laws, not a statement about these data.
    """
    dim, side = train.points.shape[1], float(np.ptp(train.points, axis=0).min())
    for bits in sorted({float(point.bits) for point in points}) if side > 0 else ():
        yield BitsLimit(bits, side * limits.covering_error(bits, dim))


def _length_limits(train: Dataset, networks: Sequence[Trained]) -> Iterator[LengthLimit]:
    """For each network with one source, the least W_1 of any law on a curve as long as its own.

    To a law with the largest density of the training points on a grid of 27 cells an axis.
    """
    dim = train.points.shape[1]
    grid = GridMeasure.from_samples(train.points, 27 if dim <= 3 else 3)
    volume = float(np.prod(np.asarray(grid.cell_sides, np.float64)))
    if volume == 0 or dim == 1:
        return
    density = float(np.max(np.asarray(grid.masses))) / volume
    for trained in networks:
        if trained.fitted.generator.source_dim == 1:
            length = limits.curve_length(trained.fitted.generator)
            yield LengthLimit(trained.name, length, limits.length_bound(length, dim, density))
