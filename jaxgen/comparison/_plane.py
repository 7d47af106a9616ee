"""The plane on which every generator is judged: Wasserstein error against bits (theory, sections 8 and 10)."""

from collections.abc import Iterator, Mapping

from ..coding import code_length, quantize_network
from ..data import Dataset
from ..generators import PeanoGenerator
from ..rate import quantize
from ..training import Fitted
from ._held_out import HeldOut
from ._limits import bits_limits, length_limits
from ._records import Limits, PlanePoint
from ._settings import Settings

# Levels below the cells of a quantized measure: they cost no bits, and the filling is then no part of the error.
_EXTRA_LEVELS = 3


def plane(
    train: Dataset, held_out: HeldOut, networks: Mapping[str, Fitted], settings: Settings
) -> tuple[tuple[PlanePoint, ...], Limits]:
    """A point for each budget of bits and for each network at each precision, and the limits; none with labels."""
    if train.labels is not None:
        return (), Limits()
    points = (*_explicit(train, held_out, settings), *_trained(held_out, networks, settings))
    limit = Limits(tuple(bits_limits(held_out.law, points)), tuple(length_limits(held_out.law, networks)))
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


def _trained(held_out: HeldOut, networks: Mapping[str, Fitted], settings: Settings) -> Iterator[PlanePoint]:
    """At the smaller of the entropy-coded file and `weights * precision` for the rounded weights."""
    for name, fitted in networks.items():
        network = fitted.generator
        for precision in settings.precisions:
            bits = min(code_length(network, weight_bits=precision), network.bits() // 32 * precision)
            sampler = held_out.sampler(quantize_network(network, precision))
            (w1,) = held_out.distances(sampler, orders=(1,))
            family = f"trained, {network.source_dim} source{'s'[: network.source_dim > 1]}"
            yield PlanePoint(family, name, bits, w1.mean, precision=precision)
