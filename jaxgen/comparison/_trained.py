"""Trained networks as a good practitioner would train them, never judged by what they were chosen with."""

import dataclasses
import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax.random as jr
import numpy as np

from ..coding import code_length, quantize_network
from ..data import Dataset
from ..distances import law_points, law_value
from ..generators import MLPGenerator
from ..training import Fitted, SinkhornLoss, TrainingError, fit, fit_rounded
from ._measure import Measured, failure, measure, own
from ._records import Entry
from ._settings import Settings
from ._wrap import Wrapped
from ._yardstick import Yardstick

# The share of the points that chooses between seeds; training goes on while it brings so much.
_VALIDATION, _WORTH = 0.2, 0.98
# Seconds that tell how long a step takes.
_TRIAL_SECONDS = 1.0
# Of a network that is trained further: a fifth of the learning rate that `fit` takes by default.
_SLOWER = 1e-3
# Affine layers of a network whose name does not tell.
_DEPTH = 4


class Shape(NamedTuple):
    """A network to be trained."""

    width: int
    depth: int
    sources: int

    @property
    def name(self) -> str:
        """As the report has it."""
        depth = "" if self.depth == _DEPTH else f"depth {self.depth}, "
        return f"trained, width {self.width}, {depth}{_sources(self.sources)}"


def shapes(dim: int, settings: Settings) -> list[Shape]:
    """One number and as many as there are coordinates, for each depth and width."""
    each = itertools.product(sorted({1, dim}), settings.depths, settings.widths)
    return [Shape(width, depth, sources) for sources, depth, width in each]


def steps_of(shapes: Sequence[Shape], settings: Settings) -> int:
    """Steps of training, at most, of all networks on all splits, with those that choose, go on, and round."""
    chosen = settings.seeds + settings.trained_splits - 1
    rounding = settings.tuning * len(settings.precisions) * (1 + len(settings.pruned))
    each = settings.steps * (chosen + settings.rounds * settings.trained_splits) + rounding
    return len(shapes) * each + len(settings.continued) * settings.steps


def seconds_a_step(shape: Shape, data: Dataset, settings: Settings) -> float:
    """Of the time that a step takes on this machine, from a second of them."""
    seen: list[tuple[float, int]] = []

    def watch(step: int, *_: object) -> None:
        seen.append((time.perf_counter(), step))
        if seen[-1][0] - seen[0][0] > _TRIAL_SECONDS:
            raise KeyboardInterrupt

    _fit(shape, data, settings, settings.seed, progress=False, callback=watch)
    (began, first), (ended, last) = seen[0], seen[-1]
    return (ended - began) / max(1, last - first)


def trained(
    shape: Shape, yardstick: Yardstick, settings: Settings, progress: bool
) -> Iterator[tuple[Measured, Fitted[MLPGenerator] | None]]:
    """A trained network, measured, or the reason why there is none."""
    fits: list[Fitted[MLPGenerator]] = []
    seed = settings.seed
    for split in yardstick.splits[: settings.trained_splits]:
        try:
            if not fits and settings.seeds > 1:
                seed, fitted = _best_seed(shape, split.train, settings, progress)
            else:
                fitted = _fit(shape, split.train, settings, seed, progress)
            fitted = _further(fitted, split.train, settings, progress)
        except TrainingError as error:
            yield failure(shape.name, "trained", error), None
            return
        fits.append(fitted)
        if fitted.interrupted:
            break
    models = [discretised(fitted.generator, yardstick) for fitted in fits]
    family = f"trained, {_sources(shape.sources)}"
    yield measure(shape.name, "trained", models, yardstick, fits[0].seconds, family), fits[0]


def _fit(
    shape: Shape, data: Dataset, settings: Settings, seed: int, progress: bool, **options: Any
) -> Fitted[MLPGenerator]:
    untrained = MLPGenerator(
        dim=data.points.shape[1],
        source_dim=shape.sources,
        width=shape.width,
        depth=shape.depth,
        key=jr.key(seed),
        vocabulary=None if data.labels is None else tuple(sorted(set(data.labels))),
    )
    key = jr.key(settings.seed + 1)  # so that all seeds of the weights hold out the same points
    return fit(untrained, data.points, key=key, steps=settings.steps, labels=data.labels, progress=progress, **options)


def _best_seed(shape: Shape, data: Dataset, settings: Settings, progress: bool) -> tuple[int, Fitted[MLPGenerator]]:
    """The seed of the weights whose network is nearest to a part of the points that none is trained with, and that
    network at its best state."""
    found: list[tuple[int, Fitted[MLPGenerator]]] = []
    failed: list[TrainingError] = []
    for seed in range(settings.seed, settings.seed + settings.seeds):
        try:
            found.append((seed, _fit(shape, data, settings, seed, progress, validation=_VALIDATION)))
        except TrainingError as error:
            failed.append(error)
            continue
        if found[-1][1].interrupted:
            break
    if not found:
        raise failed[0]
    return min(found, key=lambda pair: float(np.min(pair[1].validation_losses, initial=np.inf)))


def _further(fitted: Fitted[MLPGenerator], data: Dataset, settings: Settings, progress: bool) -> Fitted[MLPGenerator]:
    """More steps on all the points, as long as they bring the law nearer to these."""
    if data.labels or fitted.interrupted or not settings.rounds:
        return fitted
    near = law_value(fitted.generator, data.points, 1, settings.sources)
    for k in range(settings.rounds):
        more = fit(
            fitted.generator, data.points, key=jr.key(settings.seed + 2 + k), steps=settings.steps,
            learning_rate=_SLOWER, loss=SinkhornLoss(anneal=1.0), progress=progress,
        )  # fmt: skip
        nearer = law_value(more.generator, data.points, 1, settings.sources)
        if nearer < near:
            fitted = dataclasses.replace(
                fitted,
                generator=more.generator,
                losses=np.concatenate([fitted.losses, more.losses]),
                seconds=fitted.seconds + more.seconds,
                interrupted=more.interrupted,
            )
        if nearer > _WORTH * near or more.interrupted:
            break
        near = nearer
    return fitted


def discretised(generator: MLPGenerator, yardstick: Yardstick) -> Wrapped:
    """A trained network whose law is evaluated once, for all that is asked of it."""
    if generator.vocabulary is not None:
        return own(generator, None)
    n = yardstick.n if generator.source_dim > 1 else in_step(yardstick.n, len(yardstick.splits[0].train.points))
    return own(generator, law_points(generator, n))


def in_step(n: int, points: int) -> int:
    """About n, and a multiple of the number of points, if that is at most 2 n.

    The network simplex is much faster where each point takes a whole number of values (`benchmarks/distances.py`). Not
    for explicit networks: midpoints of quanta, which count points, are where folds have no bits left.

    **Example:**

        >>> from jaxgen.comparison._trained import in_step
        >>> in_step(2048, 1688), in_step(1024, 1688), in_step(4096, 1688), in_step(1024, 10_000)
        (1688, 1688, 3376, 1024)
    """
    return points * max(1, round(n / points)) if points <= 2 * n else n


def rounded(
    entry: Entry, fitted: Fitted[MLPGenerator], yardstick: Yardstick, settings: Settings, progress: bool
) -> Iterator[Entry]:
    """The trained network with weights of fewer bits, and fewer weights, trained on as it was rounded if so many steps
    are asked for; at the smaller of its entropy-coded file and the plain one."""
    shares = (0.0, *settings.pruned) if settings.tuning else (0.0,)
    for bits, share in itertools.product(settings.precisions, shares):
        network = _few_bits(fitted.generator, bits, share, yardstick.splits[0].train, settings, progress)
        model = discretised(network, yardstick)
        size = network.size()
        pruned = f", {100 * share:g} % pruned" if share else ""
        yield dataclasses.replace(
            entry,
            name=f"{entry.name}, weights of {bits} bits{pruned}",
            bits=min(code_length(network, weight_bits=bits), network.bits() // 32 * bits),
            connectivity=size.connectivity if size else entry.connectivity,
            near=yardstick.near(model),
            unseen=yardstick.unseen([model]),
            samples=None,
        )


def _few_bits(
    network: MLPGenerator, bits: int, share: float, data: Dataset, settings: Settings, progress: bool
) -> MLPGenerator:
    if not settings.tuning:
        return quantize_network(network, bits)
    options: dict[str, Any] = {"steps": settings.tuning, "labels": data.labels, "progress": progress}
    key = jr.key(settings.seed + 100)
    try:
        return fit_rounded(network, data.points, key=key, weight_bits=bits, pruned=share, **options).generator
    except TrainingError:
        return quantize_network(network, bits)


def _sources(count: int) -> str:
    return f"{count} source{'s'[: count > 1]}"
