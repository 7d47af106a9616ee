"""The comparison: explicit generators, trained ones and the user's own, on the same held-out points."""

import dataclasses
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import ArrayLike, Float

from .._checks import whole_number
from ..data import Dataset
from ..generators import (
    MLPGenerator,
)
from ..training import Fitted
from ._continued import continued
from ._curves import curves
from ._explicit import explicit_makers, explicit_rows
from ._integrals import integrals
from ._limits import gridded, limits_of
from ._measure import Measured, measure_or_report
from ._notes import notes
from ._peers import peer_row, peers
from ._records import Curves, Entry, Integrals
from ._report import Report
from ._settings import PRESETS, Settings, default_resolution
from ._split import Split, as_dataset, halves
from ._stages import Ahead, Stages
from ._trained import Shape, rounded, seconds_a_step, shapes, steps_of, trained
from ._units import divided, units, units_of
from ._yardstick import Yardstick

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
    explicit = explicit_makers(train, settings)
    others, missing = peers(train, settings.peers, settings.seed)
    networks_of = shapes(train.points.shape[1], settings)
    works: dict[str, Callable[[], Iterator[Measured]]] = {
        **{name: partial(explicit_rows, name, how, yardstick, settings) for name, how in explicit.items()},
        **{name: partial(peer_row, name, peer, yardstick) for name, peer in others.items()},
    }
    # In units of an explicit generator, whose networks and kernels take about as long as 150 steps.
    training, rounding = settings.trained_splits * settings.steps / 150, len(settings.precisions)
    if progress and (steps := steps_of(networks_of, settings)) > _MANY_STEPS:
        each = seconds_a_step(networks_of[-1], train, settings)
        print(
            f"At most {steps:,} steps of training, of {1e3 * each:.3g} ms: {_duration(each * steps)}", file=sys.stderr
        )
    going_on = settings.steps / 150
    work = len(networks_of) * (training + rounding) + len(settings.continued) * going_on
    stages = Stages(len(generators) + len(works) + 3 + work, progress)
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
    rows, networks, fewer = _networks(networks_of, yardstick, settings, stages, training, rounding)
    found += rows
    for bits in settings.continued:
        goes_on = partial(continued, bits, yardstick, settings, stages.terminal)
        found += stages.run(f"construction of {bits:,} bits, trained on", going_on, goes_on)
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


def _networks(
    networks_of: Sequence[Shape],
    yardstick: Yardstick,
    settings: Settings,
    stages: Stages,
    training: float | int,
    rounding: float | int,
) -> tuple[list[Measured], dict[str, Fitted[MLPGenerator]], list[Entry]]:
    """Trained networks, measured; how they were trained, by name; and with weights of fewer bits."""
    rows: list[Measured] = []
    networks: dict[str, Fitted[MLPGenerator]] = {}
    fewer: list[Entry] = []
    for shape in networks_of:
        begun = partial(trained, shape, yardstick, settings, stages.terminal)
        for measured, fitted in stages.run(shape.name, training, begun):
            rows.append(measured)
            if fitted:
                networks[shape.name] = fitted
                stages.interrupted |= fitted.interrupted
                coarser = partial(rounded, measured.entry, fitted, yardstick, settings, stages.terminal)
                fewer += stages.run(f"{shape.name}, weights of few bits", rounding, coarser)
    return rows, networks, fewer


def _duration(seconds: float | int) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{max(minutes, 1)} min"
