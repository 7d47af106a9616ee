"""How far laws are from points: what is made of one half of the data is judged by both."""

import collections
import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax.random as jr
import numpy as np
from jaxtyping import Float

from ..data import Dataset
from ..distances import law_value, wasserstein
from ..measures import AbstractMeasure
from ._limits import Gridded
from ._records import Halves, LabelError
from ._split import Split
from ._wrap import Wrapped

# Labels that have a distance of their own, at most; and points without which it would mean nothing.
_LABELS, _LEAST = 6, 20
_PICTURE_POINTS = 4000
_PERCENT = 0.01


@dataclasses.dataclass(frozen=True)
class Yardstick:
    """Splits, and what is the same for every law that is measured by them.

    - `splits`: what takes long to make is made of the first only. `n`: source values a law is discretised by, half as
      many for distances to held-out points, which are larger.
    - `seed`: of the keys that samples are drawn with.
    - `gridded`: the training points on a grid, which limits are about; none with labels.
    - `stop`: set where threads that measure are to end.
    """

    splits: tuple[Split, ...]
    n: int
    seed: int
    gridded: Gridded | None = None
    stop: threading.Event = dataclasses.field(default_factory=threading.Event)

    def go_on(self) -> None:
        """Raises `KeyboardInterrupt` where nothing more is to be measured."""
        if self.stop.is_set():
            raise KeyboardInterrupt

    @property
    def batch(self) -> int:
        """Samples are drawn this many at a time."""
        return max(256, min(1 << 14, (1 << 17) // self.splits[0].train.points.shape[1]))

    def near(self, model: Wrapped) -> float:
        """W_1 to the points that generators are made from."""
        return self._distance(model, self.splits[0].train, self.n)

    def unseen(self, models: Sequence[Wrapped]) -> tuple[float, ...]:
        """W_1 of the law made of each split, as far as there are, to the half that was held out."""
        n = max(2, self.n // 2)
        return tuple(self._distance(model, split.test, n) for model, split in zip(models, self.splits, strict=False))

    def _distance(self, model: Wrapped, points: Dataset, n: int) -> float:
        """W_1 from the law of a model to points; with labels, and of what is known by samples only, from samples."""
        self.go_on()
        if model.law is not None and (points.labels is None or model.vocabulary is None):
            return _to_a_percent(model, points.points, n)
        size = len(points.points)
        n = size * max(1, n // size)
        labels = None if points.labels is None else [points.labels[i % size] for i in range(n)]
        return wasserstein(model.sample(jr.key(self.seed), n, labels), points.points, 1)

    def samples(self, model: Wrapped) -> Float[np.ndarray, "n d"]:
        """For the figure."""
        return self._batch(model, 0)[:_PICTURE_POINTS]

    def nanoseconds_per_sample(self, model: Wrapped) -> float:
        """Of a batch; what draws it has been compiled."""
        return nanoseconds(lambda: self._batch(model, 0), self.batch)

    def per_label(self, model: Wrapped) -> tuple[LabelError, ...]:
        """W_1 for each of the most common labels, between its held-out points and as many samples given the label."""
        if model.vocabulary is None:
            return ()
        test = self.splits[0].test

        def drawn(i: int, at: np.ndarray) -> Float[np.ndarray, "n d"]:
            labels = list(test.labels or ())
            return model.sample(jr.key(self.seed + 1 + i), len(at), [labels[j] for j in at])

        return tuple(
            LabelError(name, wasserstein(drawn(i, at), test.points[at], 1))
            for i, (name, at) in enumerate(_common(test))
        )

    def halves(self) -> Halves:
        """How far the halves are from each other."""
        between = tuple(wasserstein(split.train.points, split.test.points, 1) for split in self.splits)
        train, test = self.splits[0].train, self.splits[0].test
        names = np.asarray([str(label) for label in train.labels or ()])
        each = (
            LabelError(name, wasserstein(train.points[names == name], test.points[at], 1)) for name, at in _common(test)
        )
        return Halves(between, tuple(each))

    def _batch(self, model: Wrapped, i: int) -> Float[np.ndarray, "n d"]:
        labels = self.splits[0].test.labels
        filled = None if labels is None else [labels[j % len(labels)] for j in range(self.batch)]
        return model.sample(jr.key(self.seed + i), self.batch, filled)


def nanoseconds(work: Callable[[], object], samples: int) -> float:
    """The median of three times that work takes, a sample."""
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds) / samples * 1e9)


def _to_a_percent(model: Wrapped, points: Float[np.ndarray, "k d"], n: int) -> float:
    """By n source values, or by an eighth of them where a sixteenth gives the same to a percent.

    The solver takes longest where laws are far apart, and these are known by few values.
    """

    def value(part: int) -> float:
        law: Any = model.law
        if isinstance(law, np.ndarray) and model.source_dim is not None:
            # Midpoints of one source are in its order; the first of several are even themselves.
            step = max(1, len(law) // part)
            law = law[step // 2 :: step] if model.source_dim == 1 else law[:part]
        return law_value(law, points, 1, part)

    if isinstance(model.law, AbstractMeasure):  # not far, and of many leaves
        return value(n)
    few = max(2, n // 8)
    found = value(few)
    return found if abs(found - value(max(2, few // 2))) < _PERCENT * found else value(n)


def _common(data: Dataset):
    """The most common labels that have points enough, and the points of each."""
    names = np.asarray([str(label) for label in data.labels or ()])
    for name, count in collections.Counter(names.tolist()).most_common(_LABELS):
        if count >= _LEAST:
            yield name, np.flatnonzero(names == name)[:1000]
