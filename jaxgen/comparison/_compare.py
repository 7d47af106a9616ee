"""The comparison: explicit generators, trained ones and the user's own, on the same held-out points."""

import dataclasses
import operator
import pathlib
import platform
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.random as jr
import numpy as np
from tqdm import tqdm

from ..distances import wasserstein
from ..generators import (
    CodebookGenerator,
    IndependentGenerator,
    MLPGenerator,
    PeanoGenerator,
    SawtoothGenerator,
)
from .._checks import finite_points as check_points
from ..measures import GridMeasure
from ..training import TrainingError, fit
from ._data import Dataset, airports, load_points
from ._entries import Judge, failure, measure, measure_or_report
from ._figure import curve_of
from ._files import RESOLUTION
from ._plane import limit_lines, plane_points
from ._report import Report


@dataclasses.dataclass(frozen=True)
class Preset:
    """How much work a comparison does.

    Training steps and widths; repeats and points of each distance; bits and precisions of the plane; resolutions and
    folds of the curves of error against size and depth.
    """

    steps: int
    widths: tuple[int, ...]
    repeats: int
    samples: int
    budgets: tuple[int, ...]
    precisions: tuple[int, ...]
    resolutions: tuple[int, ...]
    folds: tuple[int, ...]


_BUDGETS = tuple(2**k for k in range(8, 18))
PRESETS = {
    "quick": Preset(300, (32,), 2, 400, _BUDGETS[2::4], (4, 8), (9,), (1, 4)),
    "default": Preset(3000, (16, 64), 3, 1000, _BUDGETS, (2, 4, 6, 8, 16), (3, 9, 27), (0, 1, 2, 4)),
    "full": Preset(
        20000, (8, 16, 32, 64, 128), 5, 1500, _BUDGETS, (2, 3, 4, 5, 6, 8, 12, 16), (3, 9, 27, 81), (0, 1, 2, 3, 4, 6)
    ),
}


def compare(
    data: Any = None,
    *,
    labels: Sequence[str | int] | None = None,
    generators: Mapping[str, Any] | None = None,
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

    The data are split at random into halves: generators are built from one, distances measured to the other.

    - `data`: points `(N, d)` (or `(N,)`), a `Dataset`, or the path of a file (`load_points`); `None` takes the US
      airports.
    - `labels`: one a point: every generator is then conditional, and asked for the labels of the held-out points.
    - `generators`: the user's own, by name: any `jaxgen` generator, or any callable that sends one uniform number (or
      `source_dim` of them) to a point. Their bits are counted from their arrays at 32 a number, unless a pair
      `(generator, bits)` says otherwise. One that fails is reported as failed, with the reason.
    - `image_shape`: (height, width) of the pictures that the points are: the figure then shows them as pictures.
    - `resolution`: cells an axis of the grid; `folds`, `extra_levels`: of the sawtooth and Peano generators.
    - `widths`, `steps`: of the trained networks, for one source and for d; `repeats`, `samples`: of the distances,
      which are exact and between that many points.
    - `preset`: "quick", "default" or "full": the defaults of all these.

    Returns a `Report` with `.table()`, `.plot(path)` and `.save(folder)`. Ctrl-C during training keeps the best state
    so far, skips the rest of the training, and marks the report `interrupted`; a network whose loss does not stay
    finite is reported as failed. Raises `ValueError` for data that are empty, not finite, or fewer than 20 points, and
    for labels of the wrong length, or of which none is in both halves.
    """
    for name, value in (("steps", steps), ("repeats", repeats), ("samples", samples)):
        if value is not None and operator.index(value) < 1:
            raise ValueError(f"{name} must be at least 1; got {value}")
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}; got {preset!r}")
    chosen = {"widths": widths and tuple(widths), "steps": steps, "repeats": repeats, "samples": samples}
    plan = dataclasses.replace(PRESETS[preset], **{k: v for k, v in chosen.items() if v is not None})
    dataset = _as_dataset(data, labels)
    points = check_points(dataset.points, "data").astype(np.float64)
    count, dim = points.shape
    if count < 20:
        raise ValueError(f"data must hold at least 20 points, to be split into two halves; got {count}")
    if image_shape is not None and (len(image_shape) != 2 or image_shape[0] * image_shape[1] != dim):
        raise ValueError(f"image_shape must be (height, width) with height * width = {dim}; got {image_shape}")
    if resolution is None:
        resolution = RESOLUTION.get(dim, 17)

    order = np.random.default_rng(seed).permutation(count)
    train, test = points[order[: count // 2]], points[order[count // 2 :]]
    names = None if dataset.labels is None else [dataset.labels[i] for i in order]
    unseen = 0
    train_labels = None if names is None else names[: count // 2]
    test_labels = None if names is None else names[count // 2 :]
    if train_labels is not None and test_labels is not None:
        known = set(train_labels)
        seen = [i for i, c in enumerate(test_labels) if c in known]
        if not seen:
            raise ValueError(
                "no label of the held-out half of the data occurs in the other half, from which the generators are "
                "built; labels must repeat"
            )
        unseen = len(test) - len(seen)
        test, test_labels = test[seen], [test_labels[i] for i in seen]
    # As many points a distance as both halves have: the halves of an odd number of points differ by one.
    judge = Judge(test, test_labels, min(plan.samples, len(train), len(test)), plan.repeats, seed)
    report = Report(
        title=f"jaxgen comparison on {dataset.name}", columns=dataset.columns, entries=[], floor={},
        settings=_settings(plan, preset, seed, resolution, folds, extra_levels, len(train), len(test), judge.n),
        train=train, test=test, notes=[], curves={}, plane=[], image_shape=image_shape,
    )  # fmt: skip

    sources = (1,) if dim == 1 else (1, dim)
    trained = [(w, s) for s in sources for w in plan.widths]
    stages = 6 + len(trained) + len(generators or {}) + 2
    with tqdm(total=stages, disable=not progress, unit="stage", desc="comparing") as bar:

        def stage(text: str) -> None:
            bar.set_description(text)

        def done(entry) -> None:
            report.entries.append(entry)
            bar.update()

        stage("floor")
        _floor(report, judge, train, train_labels, seed)
        bar.update()
        stage("explicit")
        grid = GridMeasure.from_samples(train, resolution, labels=train_labels)
        sawtooth, _ = measure("sawtooth (explicit)", "explicit", lambda: SawtoothGenerator(grid, folds), judge)
        done(sawtooth)
        peano, _ = measure("Peano (explicit)", "explicit", lambda: PeanoGenerator(grid, extra_levels), judge)
        done(peano)
        independent, _ = measure("independent (explicit)", "explicit", lambda: IndependentGenerator(grid), judge)
        done(independent)
        if train_labels is None:
            atoms = min(256, len(train) // 2, len(np.unique(train, axis=0)))
            codebook, _ = measure(
                f"codebook, {atoms} atoms", "explicit",
                lambda: CodebookGenerator.from_samples(train, atoms, key=jr.key(seed)), judge,
            )  # fmt: skip
            done(codebook)
        networks = []
        for width, source in trained:
            if report.interrupted:
                break
            stage(f"training, {source} source{'s'[: source > 1]}, width {width}")
            began = time.perf_counter()
            vocabulary = None if train_labels is None else tuple(sorted(set(train_labels)))
            untrained = MLPGenerator(
                dim=dim, source_dim=source, width=width, depth=4, key=jr.key(seed), vocabulary=vocabulary
            )
            name = f"trained, width {width}, {source} source{'s'[: source > 1]}"
            try:
                fitted = fit(
                    untrained, train, key=jr.key(seed + 1), steps=plan.steps, labels=train_labels, progress=progress
                )
            except TrainingError as error:
                done(failure(name, "trained", error))
                continue
            report.interrupted = report.interrupted or fitted.interrupted
            network = fitted.generator
            entry, _ = measure(
                name, "trained", lambda network=network: network, judge, seconds=time.perf_counter() - began
            )
            networks.append((entry, network, fitted))
            done(entry)
        for name, given in (generators or {}).items():
            stage(name)
            done(measure_or_report(name, "user", given, judge))
        stage("curves")
        report.curves = _curves(train, grid, judge, plan)
        bar.update()
        stage("bits")
        if train_labels is None:
            report.plane = plane_points(train, judge, networks, plan)
            report.limits = limit_lines(train, networks, [p["bits"] for p in report.plane])
        bar.update()
        bar.set_description("done")
    report.notes += _notes(report, sawtooth, independent, networks, plan)
    if unseen:
        report.notes.append(f"{unseen} held-out points are left out: no training point has their label.")
    return report


def _as_dataset(data: Any, labels: Sequence | None) -> Dataset:
    if data is None:
        data = airports()
    elif isinstance(data, str | pathlib.Path):
        data = load_points(data)
    elif not isinstance(data, Dataset):
        points = check_points(data, "data")
        data = Dataset("data", points, tuple(f"x{k}" for k in range(points.shape[1])))
    if labels is not None:
        data = dataclasses.replace(data, labels=tuple(labels))
    if data.labels is not None and not (
        all(isinstance(c, str) for c in data.labels) or all(isinstance(c, int | np.integer) for c in data.labels)
    ):
        raise TypeError("labels must be all strings or all integers")
    if data.labels is not None and len(data.labels) != len(data.points):
        raise ValueError(f"labels must hold one label a point, {len(data.points)}; got {len(data.labels)}")
    return data


def _settings(plan, preset, seed, resolution, folds, extra_levels, train, test, n) -> dict[str, Any]:
    return {
        "preset": preset, **dataclasses.asdict(plan), "seed": seed, "resolution": resolution, "folds": folds,
        "extra_levels": extra_levels, "train_points": train, "held_out_points": test, "points_per_distance": n,
        "jax": jax.__version__, "device": jax.devices()[0].device_kind, "python": platform.python_version(),
    }  # fmt: skip


def _floor(report: Report, judge: Judge, train: np.ndarray, labels: Sequence | None, seed: int) -> None:
    """What the training points themselves score: two samples of one law, neither of them generated."""
    rng = np.random.default_rng(seed + 1)
    own: dict[str | int, list[int]] = {}
    for i, label in enumerate(labels or ()):
        own.setdefault(label, []).append(i)

    def resample(key, condition):
        if condition is None or labels is None:
            return train[rng.permutation(len(train))]
        return train[[rng.choice(own[c]) for c in condition]]

    report.floor = dict(zip((1, 2), judge.distances(resample), strict=True))
    if judge.shown:
        report.label_floor = judge.per_label(resample)


def _curves(train: np.ndarray, grid: GridMeasure, judge: Judge, plan: Preset) -> dict[str, Any]:
    """Error against depth and against size, and the curves themselves, for the figure."""
    out: dict[str, Any] = {"depth": [], "size": [], "path": {}}
    labelled = grid.vocabulary is not None
    if labelled or grid.dim > 4:
        return out
    # A coarse grid, on which the folds are what matters.
    coarse = GridMeasure.from_samples(train, 9)
    kinds = (("sawtooth", SawtoothGenerator, plan.folds), ("Peano", PeanoGenerator, (0, 1, 2)))
    # Stratified points along a deep curve stand for the measure: nearer to it than as many independent ones.
    deep = PeanoGenerator(coarse, 5)
    reference, again = (np.asarray(deep.sample(jr.fold_in(judge.key, i), judge.n, stratified=True)) for i in (8, 9))
    out["depth_floor"] = wasserstein(reference, again, 1)
    for name, kind, sizes in kinds:
        for s in sizes:
            g = kind(coarse, s)
            x = np.asarray(g.sample(jr.fold_in(judge.key, 7), judge.n, stratified=True))
            size = {"kind": name, "s": s, "depth": g.network().depth}
            out["depth"].append(size | {"certificate": g.certificate().w1, "w1": wasserstein(x, reference, 1)})
        out["path"][name] = curve_of(kind(coarse, 2 if name == "sawtooth" else 1))
    for n in plan.resolutions:
        measure_n = GridMeasure.from_samples(train, n)
        for name, kind, s in (("sawtooth", SawtoothGenerator, 6), ("Peano", PeanoGenerator, 2)):
            g = kind(measure_n, s)
            (w1,) = judge.distances(lambda key, c, g=g: judge.draw(g, key, c), orders=(1,))
            out["size"].append({"kind": name, "resolution": n, "connectivity": g.network().connectivity, "w1": w1[0]})
    return out


def _notes(report: Report, sawtooth, independent, networks, plan: Preset) -> list[str]:
    assert sawtooth.w1 and independent.w1 and sawtooth.certificate
    n = report.settings["points_per_distance"]
    notes = [
        f"Distances are exact (assignment) between {n} samples and {n} held-out points, mean ± standard deviation over "
        f"{plan.repeats} repeats. The two-sample floor is what the training points themselves score: a law that fits "
        "perfectly scores about that much.",
        "Certificates are proven bounds on W1 and W2 between the law of a generator and the measure it was built from.",
        f"One uniform number costs nothing: W1 is {sawtooth.w1[0]:.4g} with one source (sawtooth) and "
        f"{independent.w1[0]:.4g} with {independent.source_dim} (independent); the certificate allows a difference of "
        f"{sawtooth.certificate[0]:.2g}, and the spread over repeats is {max(sawtooth.w1[1], independent.w1[1]):.2g}.",
        "Bits: the whole encoded file of an explicit generator; 32 for each weight of a trained one (the plane shows "
        "what fewer bits do).",
    ]
    if networks:
        f = networks[0][2]
        notes.append(
            f"Trained networks: {len(f.losses)} Adam steps on the Sinkhorn divergence, batches of {f.batch_size}, peak "
            f"learning rate {f.learning_rate:g} with warm-up and cosine decay, epsilon from {f.epsilon[0]:.3g} down to "
            f"{f.epsilon[1]:.3g} (squared units of the data). Learning rate, epsilon, batch size and depth were tuned "
            "once on the US airports for the time such a run takes; see the documentation of `fit`."
        )
    if report.interrupted:
        notes.append("Training was interrupted: the networks show the best state they had reached.")
    return notes
