"""The comparison: explicit generators, trained ones and the user's own, on the same held-out points."""

import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from jaxtyping import ArrayLike, Float

from .._checks import TooFewBits, whole_number
from ..data import Dataset
from ..generators import (
    AbstractExplicitGenerator,
    CodebookGenerator,
    IndependentGenerator,
    MLPGenerator,
    PeanoGenerator,
    SawtoothGenerator,
)
from ..measures import GridMeasure, TreeMeasure
from ..rate import TREE_DIMENSIONS, best_grid
from ..training import Fitted
from ._curves import curves
from ._integrals import integrals
from ._limits import gridded, limits_of
from ._measure import Measured, failure, measure, measure_network, measure_or_report, own
from ._notes import notes
from ._peers import Peer, peers
from ._records import Curves, Entry, Integrals
from ._report import Report
from ._settings import PRESETS, Settings, default_resolution
from ._split import Split, as_dataset, halves
from ._stages import Ahead, Stages
from ._trained import rounded, seconds_a_step, shapes, steps_of, trained
from ._units import divided, units, units_of
from ._wrap import wrapped
from ._yardstick import Yardstick

# Atoms of the codebook, at most.
_MAX_ATOMS = 256
# More steps of training than these are announced, with the time that they take.
_MANY_STEPS = 20_000


def compare(
    data: Dataset | ArrayLike | Sequence[Any] | str | os.PathLike[str] | None = None,
    *,
    labels: Iterable[object] | None = None,
    generators: Mapping[str, object] | None = None,
    image_shape: tuple[int, int] | None = None,
    resolution: int | Sequence[int] | None = None,
    folds: int = 6,
    extra_levels: int = 2,
    widths: Sequence[int] | None = None,
    steps: int | None = None,
    splits: int | None = None,
    sources: int | None = None,
    scale: str | None = None,
    seed: int = 0,
    preset: str = "default",
    progress: bool = True,
) -> Report:
    """Sets explicit and trained generators side by side, as laws: near to their points, and to points unseen.

    The data are split at random into halves, several times: generators are made of one half, and W_1 from their laws is
    measured to the points they were made from (*approximation*, beside what is proven of it), and to the other half
    (*generalisation*). Explicit generators are judged twice, as exact kernels and as ReLU networks in floats. From
    Ctrl-C on nothing more is built: the report is of what there is, a network in training at its best state so far,
    and marked `interrupted`; a network whose loss does not stay finite is reported as failed. What a generator does not
    have (a certificate, a ReLU form, a code) is said in the notes. Theory, section 11.

    **Arguments:**

    - `data`: points `(n, d)` (or `(n,)`), n >= 20, a `Dataset`, or the path of a file (`load_points`); `None` takes the
      US airports.
    - `labels`: one a point: every generator is then conditional, and asked for the labels of the held-out points.
    - `generators`: the user's own, by name: any `jaxgen` generator or subclass of `AbstractGenerator`, a callable of
      one uniform number or of several, in JAX or NumPy, a sampler `(key, n)` or `(key, shape)`, a distribution of
      FlowJAX, NumPyro or SciPy, an Equinox module, or samples. The bits of what is not ours are counted from its arrays
      at 32 a number, unless a pair `(generator, bits)` says otherwise. They are measured before anything is trained;
      one that fails is reported as failed, with the reason.
    - `image_shape`: (height, width) of the pictures that the points are: the figure then shows them as pictures.
    - `resolution`: cells an axis of the grid. `folds`, `extra_levels`: of the sawtooth and Peano generators.
    - `widths`, `steps`: of the trained networks, for one source and for d.
    - `splits`: random splits of the data. `sources`: values of the source that a law is discretised by.
    - `scale`: "std" divides each coordinate by its standard deviation, and the points of the user's generators, which
      are in the units of the data in any case. By default distances are in the units that the data come in.
    - `seed`: of the halves, of everything drawn, and of the training.
    - `preset`: "quick", "default" or "full": the defaults of all these.
    - `progress`: whether to show what is under way: a bar in a terminal, else a line a stage.

    **Returns:** a `Report` with `.table()`, `.plot(path)` and `.save(folder)`.

    **Raises:** `ValueError` for data that are empty, not finite, or fewer than 20 points, and for labels of the wrong
    length, or of which none is in both halves, and for an unknown scale or preset;
    `TypeError` for data or labels of the wrong type.

    **Example:**

        >>> import jaxgen as jg, numpy as np
        >>> labels = ["day", "night"] * 20
        >>> report = jg.compare(np.arange(40.0), labels=labels, widths=(), preset="quick", progress=False)
        >>> [entry.name for entry in report.entries if entry.kind == "explicit"]  # no widths: no trained networks
        ['sawtooth', 'Peano', 'independent']
        >>> 0 <= report.entries[0].certificate.w1 < report.entries[0].near  # units of the data
        True
    """
    asked = {"widths": widths, "steps": steps, "splits": splits, "sources": sources}
    settings = _settings(preset, seed=seed, folds=folds, extra_levels=extra_levels, **asked)
    dataset = as_dataset(data, labels)
    unit = units_of(dataset, scale)
    dataset = dataset if unit is None else divided(dataset, unit)
    dim = dataset.points.shape[1]
    if image_shape is not None and (len(image_shape) != 2 or image_shape[0] * image_shape[1] != dim):
        raise ValueError(f"image_shape must be (height, width) with height * width = {dim}; got {image_shape}")
    each = tuple(halves(dataset, seed + k) for k in range(settings.splits))
    cells = default_resolution(dim) if resolution is None else resolution
    settings = dataclasses.replace(
        settings,
        resolution=tuple(cells) if isinstance(cells, Sequence) else cells,
        train_points=len(each[0].train.points),
        held_out_points=len(each[0].test.points),
    )
    report = _report(each, settings, generators or {}, unit, progress)
    return dataclasses.replace(report, image_shape=image_shape)


def _settings(preset: str, **asked: Any) -> Settings:
    """A preset with what was asked for in place of its defaults."""
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}; got {preset!r}")
    for name, least in (("steps", 1), ("splits", 1), ("sources", 2)):
        if asked[name] is not None:
            whole_number(asked[name], name, least)
    given = {name: value for name, value in asked.items() if value is not None}
    if "widths" in given:
        given["widths"] = tuple(given["widths"])
    return dataclasses.replace(PRESETS[preset], device=jax.devices()[0].device_kind, **given)


class _Explicit(NamedTuple):
    """How to make an explicit generator of points, and the line of the planes that it is on."""

    make: Callable[[Dataset], AbstractExplicitGenerator]
    family: str


def _report(
    splits: tuple[Split, ...],
    settings: Settings,
    generators: Mapping[str, object],
    unit: Float[np.ndarray, " d"] | None,
    progress: bool,
) -> Report:
    """Everything is built, trained and measured, stage by stage."""
    train = splits[0].train
    yardstick = Yardstick(splits, settings.sources, settings.seed, gridded(train))
    between = yardstick.halves()
    explicit = _explicit(train, settings)
    others, missing = peers(train, settings.peers, settings.seed)
    networks_of = shapes(train.points.shape[1], settings)
    works: dict[str, Callable[[], Iterator[Measured]]] = {
        **{name: partial(_measured, name, how, yardstick, settings) for name, how in explicit.items()},
        **{name: partial(_peer, name, peer, yardstick) for name, peer in others.items()},
    }
    # In units of an explicit generator, whose networks and kernels take about as long as 150 steps.
    training, rounding = settings.trained_splits * settings.steps / 150, len(settings.precisions)
    if progress and (steps := steps_of(networks_of, settings)) > _MANY_STEPS:
        each = seconds_a_step(networks_of[-1], train, settings)
        print(
            f"At most {steps:,} steps of training, of {1e3 * each:.3g} ms: {_duration(each * steps)}", file=sys.stderr
        )
    stages = Stages(len(generators) + len(works) + 3 + len(networks_of) * (training + rounding), progress)
    users: list[Measured] = []
    found: list[Measured] = []
    with Ahead(works, yardstick.stop) as ahead:
        for name, given in generators.items():
            with_networks = bool(settings.networks)
            users += stages.run(name, 1, partial(measure_or_report, name, given, yardstick, with_networks, unit))
        for name in works:
            found += stages.run(name, 1, partial(ahead.found, name))
    lines = stages.run("curves", 1, lambda: [curves(train, settings)])
    integrated = stages.run("integrals", 1, lambda: [integrals(train, settings)])
    networks: dict[str, Fitted[MLPGenerator]] = {}
    fewer: list[Entry] = []
    for shape in networks_of:
        begun = partial(trained, shape, yardstick, settings, stages.terminal)
        for measured, fitted in stages.run(shape.name, training, begun):
            found.append(measured)
            if fitted:
                networks[shape.name] = fitted
                stages.interrupted |= fitted.interrupted
                coarser = partial(rounded, measured.entry, fitted, yardstick, settings, stages.terminal)
                fewer += stages.run(f"{shape.name}, weights of few bits", rounding, coarser)
    found += users
    entries = stages.run("times", 1, lambda: (measured.timed for measured in found))
    entries += [measured.entry for measured in found[len(entries) :]]
    stages.close()
    estimated = integrated[0] if integrated else Integrals(absent="the comparison was interrupted")
    return Report(
        title=f"jaxgen comparison on {train.name}",
        columns=train.columns,
        entries=tuple(entries),
        rounded=tuple(fewer),
        halves=between,
        settings=settings,
        train=train.points,
        test=splits[0].test.points,
        notes=(
            *notes(settings, entries, networks, splits[0].left_out, stages.interrupted, estimated),
            *units(train, unit),
            *missing,
        ),
        curves=lines[0] if lines else Curves(),
        integrals=estimated,
        limits=limits_of(yardstick.gridded, networks, [*entries, *fewer]),
        interrupted=stages.interrupted,
    )


def _explicit(train: Dataset, settings: Settings) -> dict[str, _Explicit]:
    """How to build each explicit generator of points."""

    def grid(data: Dataset) -> GridMeasure:
        return GridMeasure.from_samples(data.points, settings.resolution, labels=data.labels)

    makers: dict[str, _Explicit] = {
        "sawtooth": _Explicit(lambda data: SawtoothGenerator(grid(data), settings.folds), "sawtooth"),
        "Peano": _Explicit(lambda data: PeanoGenerator(grid(data), settings.extra_levels), "Peano"),
        "independent": _Explicit(lambda data: IndependentGenerator(grid(data)), "independent"),
    }
    if train.labels is not None:
        return makers
    atoms = min(_MAX_ATOMS, len(train.points) // 2, len(np.unique(train.points, axis=0)))
    key = jr.key(settings.seed)
    makers[f"codebook, {atoms} atoms"] = _Explicit(
        lambda data: CodebookGenerator.from_samples(data.points, atoms, key=key), "codebook"
    )
    family = "tree" if train.points.shape[1] <= TREE_DIMENSIONS else "grid"
    for bits in settings.budgets:
        makers[f"{family}, {bits:,} bits"] = _Explicit(_of_budget(bits, settings.extra_levels), family)
    return makers


def _of_budget(bits: int, levels: int) -> Callable[[Dataset], AbstractExplicitGenerator]:
    """The generator of a measure that takes so many bits."""

    def make(data: Dataset) -> AbstractExplicitGenerator:
        if data.points.shape[1] > TREE_DIMENSIONS:
            return PeanoGenerator(best_grid(data.points, bits), levels)
        return PeanoGenerator(TreeMeasure.from_samples(data.points, bits), levels)

    return make


def _measured(name: str, how: _Explicit, yardstick: Yardstick, settings: Settings) -> Iterator[Measured]:
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


def _peer(name: str, peer: Peer, yardstick: Yardstick) -> Iterator[Measured]:
    """A model of another library, made of each split, or of the first where it takes long."""
    splits = yardstick.splits if peer.quick else yardstick.splits[:1]
    began = time.thread_time()
    try:
        made = peer.make(splits[0].train, yardstick.seed)
        seconds = time.thread_time() - began
        laws = [made.law, *(peer.make(split.train, yardstick.seed).law for split in splits[1:])]
        models = [wrapped(law, split.train.points.shape[1]) for law, split in zip(laws, splits, strict=True)]
        yield measure(name, "peer", models, yardstick, seconds, peer.family, made.bits)
    except Exception as error:  # another library may raise anything, and must not take the others down
        yield failure(name, "peer", error)


def _duration(seconds: float | int) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{max(minutes, 1)} min"
