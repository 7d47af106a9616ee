"""The comparison: explicit generators, trained ones and the user's own, on the same held-out points."""

import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from jaxtyping import ArrayLike

from .._checks import whole_number
from ..data import Dataset
from ..generators import (
    AbstractGenerator,
    CodebookGenerator,
    IndependentGenerator,
    MLPGenerator,
    PeanoGenerator,
    SawtoothGenerator,
)
from ..measures import GridMeasure
from ..training import Fitted, TrainingError, fit
from ._curves import curves
from ._held_out import HeldOut
from ._limits import limit_law
from ._measure import failure, measure, measure_or_report
from ._notes import notes
from ._plane import plane
from ._records import Entry
from ._report import Report
from ._settings import PRESETS, Settings, default_resolution
from ._split import as_dataset, halves

_Result = TypeVar("_Result")
# Atoms of the codebook, at most; affine layers of the trained networks.
_MAX_ATOMS, _DEPTH = 256, 4


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
    repeats: int | None = None,
    samples: int | None = None,
    seed: int = 0,
    preset: str = "default",
    progress: bool = True,
) -> Report:
    """Sets explicit and trained generators side by side on held-out data.

    The data are split at random into halves: generators are built from one, distances measured to the other. Ctrl-C
    during training keeps the best state so far, skips the rest of the training, and marks the report `interrupted`; a
    network whose loss does not stay finite is reported as failed. What a generator does not have (a certificate, a ReLU
    form, a code) is said in the notes.

    **Arguments:**

    - `data`: points `(n, d)` (or `(n,)`), n >= 20, a `Dataset`, or the path of a file (`load_points`); `None` takes the
      US airports.
    - `labels`: one a point: every generator is then conditional, and asked for the labels of the held-out points.
    - `generators`: the user's own, by name: any `jaxgen` generator or subclass of `AbstractGenerator`, or any callable
      that sends one uniform number (or `source_dim` of them) to a point. The bits of a callable are counted from its
      arrays at 32 a number, unless a pair `(generator, bits)` says otherwise. One that fails is reported as failed,
      with the reason.
    - `image_shape`: (height, width) of the pictures that the points are: the figure then shows them as pictures.
    - `resolution`: cells an axis of the grid. `folds`, `extra_levels`: of the sawtooth and Peano generators.
    - `widths`, `steps`: of the trained networks, for one source and for d. `repeats`, `samples`: of the distances,
      which are exact and between that many points.
    - `seed`: of the halves, of everything drawn, and of the training.
    - `preset`: "quick", "default" or "full": the defaults of all these.
    - `progress`: whether to show progress bars.

    **Returns:** a `Report` with `.table()`, `.plot(path)` and `.save(folder)`.

    **Raises:** `ValueError` for data that are empty, not finite, or fewer than 20 points, and for labels of the wrong
    length, or of which none is in both halves; `TypeError` for data or labels of the wrong type.

    **Example:**

        >>> import jaxgen as jg, numpy as np
        >>> labels = ["day", "night"] * 20
        >>> report = jg.compare(np.arange(40.0), labels=labels, widths=(), preset="quick", progress=False)
        >>> [entry.name for entry in report.entries]  # no widths: no trained networks
        ['sawtooth (explicit)', 'Peano (explicit)', 'independent (explicit)']
        >>> 0 <= report.entries[0].certificate.w1 < report.entries[0].w1.mean  # units of the data
        True
    """
    asked = {"widths": widths, "steps": steps, "repeats": repeats, "samples": samples}
    settings = _settings(preset, seed=seed, folds=folds, extra_levels=extra_levels, **asked)
    dataset = as_dataset(data, labels)
    dim = dataset.points.shape[1]
    if image_shape is not None and (len(image_shape) != 2 or image_shape[0] * image_shape[1] != dim):
        raise ValueError(f"image_shape must be (height, width) with height * width = {dim}; got {image_shape}")
    train, test, unseen = halves(dataset, seed)
    cells = default_resolution(dim) if resolution is None else resolution
    settings = dataclasses.replace(
        settings,
        resolution=tuple(cells) if isinstance(cells, Sequence) else cells,
        train_points=len(train.points),
        held_out_points=len(test.points),
        # As many points a distance as both halves have: the halves of an odd number of points differ by one.
        points_per_distance=min(settings.samples, len(train.points), len(test.points)),
    )
    report = _report(train, test, settings, generators or {}, progress)
    left_out = [f"{unseen} held-out points are left out: no training point has their label."] if unseen else []
    return dataclasses.replace(report, image_shape=image_shape, notes=(*report.notes, *left_out))


def _settings(preset: str, **asked: Any) -> Settings:
    """A preset with what was asked for in place of its defaults."""
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}; got {preset!r}")
    for name in ("steps", "repeats", "samples"):
        if asked[name] is not None:
            whole_number(asked[name], name, 1)
    given = {name: value for name, value in asked.items() if value is not None}
    if "widths" in given:
        given["widths"] = tuple(given["widths"])
    return dataclasses.replace(PRESETS[preset], device=jax.devices()[0].device_kind, **given)


def _report(
    train: Dataset, test: Dataset, settings: Settings, generators: Mapping[str, object], progress: bool
) -> Report:
    """Everything is built, trained and measured, stage by stage of a progress bar."""
    from tqdm import tqdm

    held_out = HeldOut(test, settings.points_per_distance, settings.repeats, settings.seed, limit_law(train))
    explicit = _explicit(train, settings)
    dim = train.points.shape[1]
    shapes = [(width, count) for count in sorted({1, dim}) for width in settings.widths]
    stages = len(explicit) + len(shapes) + len(generators) + 3
    with tqdm(total=stages, disable=not progress, unit="stage", desc="comparing") as bar:

        def stage(text: str, work: Callable[..., _Result], *arguments: Any) -> _Result:
            bar.set_description(text)
            result = work(*arguments)
            bar.update()
            return result

        floor = stage("floor", held_out.floor, train)
        entries = [stage(name, _measure_explicit, name, make, held_out) for name, make in explicit.items()]
        networks: dict[str, Fitted[MLPGenerator]] = {}
        for width, count in shapes:
            if not any(fitted.interrupted for fitted in networks.values()):
                name = f"trained, width {width}, {count} source{'s'[: count > 1]}"
                entry, fitted = stage(name, _train, name, train, width, count, held_out, settings, progress)
                entries.append(entry)
                networks |= fitted
        entries += [stage(name, measure_or_report, name, given, held_out) for name, given in generators.items()]
        lines = stage("curves", curves, train, held_out, settings)
        points, limits = stage("bits", plane, train, held_out, networks, settings)
        bar.set_description("done")
    return Report(
        title=f"jaxgen comparison on {train.name}",
        columns=train.columns,
        entries=tuple(entries),
        floor=floor,
        settings=settings,
        train=train.points,
        test=test.points,
        notes=tuple(notes(settings, entries, networks)),
        curves=lines,
        plane=points,
        limits=limits,
        interrupted=any(fitted.interrupted for fitted in networks.values()),
    )


def _explicit(train: Dataset, settings: Settings) -> dict[str, Callable[[], AbstractGenerator]]:
    """How to build each explicit generator of the training points."""
    grid = GridMeasure.from_samples(train.points, settings.resolution, labels=train.labels)
    makers: dict[str, Callable[[], AbstractGenerator]] = {
        "sawtooth (explicit)": lambda: SawtoothGenerator(grid, settings.folds),
        "Peano (explicit)": lambda: PeanoGenerator(grid, settings.extra_levels),
        "independent (explicit)": lambda: IndependentGenerator(grid),
    }
    if train.labels is None:
        atoms = min(_MAX_ATOMS, len(train.points) // 2, len(np.unique(train.points, axis=0)))
        key = jr.key(settings.seed)
        makers[f"codebook, {atoms} atoms"] = lambda: CodebookGenerator.from_samples(train.points, atoms, key=key)
    return makers


def _measure_explicit(name: str, make: Callable[[], AbstractGenerator], held_out: HeldOut) -> Entry:
    began = time.perf_counter()
    generator = make()
    jax.block_until_ready(eqx.filter(generator, eqx.is_array))
    return measure(name, "explicit", generator, held_out, time.perf_counter() - began)


def _train(
    name: str, data: Dataset, width: int, source_dim: int, held_out: HeldOut, settings: Settings, progress: bool
) -> tuple[Entry, dict[str, Fitted[MLPGenerator]]]:
    """A trained network, measured, or the reason why there is none."""
    untrained = MLPGenerator(
        dim=data.points.shape[1],
        source_dim=source_dim,
        width=width,
        depth=_DEPTH,
        key=jr.key(settings.seed),
        vocabulary=None if data.labels is None else tuple(sorted(set(data.labels))),
    )
    key = jr.key(settings.seed + 1)
    try:
        fitted = fit(untrained, data.points, key=key, steps=settings.steps, labels=data.labels, progress=progress)
    except TrainingError as error:
        return failure(name, "trained", error), {}
    return measure(name, "trained", fitted.generator, held_out, fitted.seconds), {name: fitted}
