"""What training adds to a construction, and what it destroys, at equal weights."""

import dataclasses
from collections.abc import Iterator

import jax.random as jr

from .._checks import TooFewBits
from ..rate import TREE_DIMENSIONS
from ..training import SinkhornLoss, TrainingError, fit
from ._explicit import of_budget
from ._measure import Measured, failure, measure_network, network_row
from ._settings import Settings
from ._yardstick import Yardstick

# A ramp of this share of what it leads to has weights that steps of training can move.
_RAMP = 2.0**-6
_LEARNING_RATE = 1e-3
_FAMILY = "constructions, trained on"


def continued(bits: int, yardstick: Yardstick, settings: Settings, progress: bool) -> Iterator[Measured]:
    """The network of a law of so many bits, with wide ramps, as it was built and after training has gone on from it.

    Its matrices keep their entries, and biases that were zero are set free.

    Nothing for labels, for many dimensions, and where the budget is too small.
    """
    train = yardstick.splits[0].train
    if train.labels is not None or train.points.shape[1] > TREE_DIMENSIONS:
        return
    try:
        generator = of_budget(bits, 0)(train)
    except TooFewBits:
        return
    name = f"construction of {bits:,} bits"
    yield measure_network(f"{name}, wide ramps", generator, yardstick, "constructions, wide ramps", _RAMP)
    trained_on = f"{name}, trained on"
    try:
        fitted = fit(
            generator.network(_RAMP), train.points, key=jr.key(settings.seed), steps=settings.steps,
            learning_rate=_LEARNING_RATE, loss=SinkhornLoss(anneal=1.0), progress=progress,
        )  # fmt: skip
    except TrainingError as error:
        yield failure(trained_on, "trained", error)
        return
    found = network_row(trained_on, "trained", fitted.generator, yardstick, _FAMILY)
    yield found._replace(entry=dataclasses.replace(found.entry, seconds=fitted.seconds))
