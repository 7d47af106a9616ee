"""The points that no generator has seen, and how far samples are from them."""

import collections
import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..data import Dataset
from ..distances import wasserstein
from ..generators import AbstractGenerator
from ..measures import GridMeasure
from ._records import Floor, LabelError, Spread

# Labels that have a distance of their own, at most; and points without which it would mean nothing.
_LABELS, _LEAST = 6, 20
Labels = Sequence[str | int] | None
# Draws points, one for each label if there are labels.
Sampler = Callable[[PRNGKeyArray, Labels], Float[np.ndarray, "n d"]]


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Held-out points, and the random choices that are the same for every generator.

    - `data`: the points, and their labels if there are any. `n`: points a distance. `repeats`: subsets of so many.
    - `seed`: of the subsets, and of the keys that samples are drawn with.
    - `law`: of the training points on a grid, to which limits are; none with labels.
    """

    data: Dataset
    n: int
    repeats: int
    seed: int
    law: GridMeasure | None = None

    @property
    def key(self) -> PRNGKeyArray:
        """From which all keys of a comparison come."""
        return jr.key(self.seed)

    @property
    def subsets(self) -> list[np.ndarray]:
        """The held-out points of each repeat, by their positions."""
        rng = np.random.default_rng(self.seed)
        return [rng.permutation(len(self.data.points))[: self.n] for _ in range(self.repeats)]

    @property
    def batch(self) -> int:
        """Everything is drawn this many points at a time, so that each generator is compiled once."""
        return max(self.n, 256, min(1 << 14, (1 << 17) // self.data.points.shape[1]))

    def sampler(self, generator: object) -> Sampler:
        """Draws a batch of points; the labels asked for are repeated to fill it."""

        def sample(key: PRNGKeyArray, condition: Labels) -> Float[np.ndarray, "n d"]:
            labels = self.data.labels if condition is None else condition
            filled = None if labels is None else [labels[i % len(labels)] for i in range(self.batch)]
            return draw(generator, key, self.batch, filled)

        return sample

    def nanoseconds_per_sample(self, sampler: Sampler) -> float:
        """Median over three batches; the generator has been compiled before."""
        seconds = []
        for i in range(3):
            began = time.perf_counter()
            sampler(jr.key(i), None)
            seconds.append(time.perf_counter() - began)
        return float(np.median(seconds) / self.batch * 1e9)

    def distances(self, sampler: Sampler, orders: Sequence[int] = (1, 2)) -> list[Spread]:
        """W_p between samples and held-out points over the repeats, for each p of `orders`."""
        points, labels = self.data.points, self.data.labels
        values = []
        for i, subset in enumerate(self.subsets):
            condition = None if labels is None else [labels[j] for j in subset]
            x = sampler(jr.fold_in(self.key, i), condition)[: len(subset)]
            if x.shape[1] != points.shape[1]:
                raise ValueError(
                    f"the generator gives points of dimension {x.shape[1]}; the data have {points.shape[1]}"
                )
            values.append([wasserstein(x, points[subset], p) for p in orders])
        return [Spread.of(list(column)) for column in zip(*values, strict=True)]

    def per_label(self, sampler: Sampler) -> tuple[LabelError, ...]:
        """W_1 for each of the most common labels, between its held-out points and as many samples given the label."""
        out, labels = [], list(self.data.labels or ())
        names = np.asarray([str(c) for c in labels])
        for i, (name, count) in enumerate(collections.Counter(names.tolist()).most_common(_LABELS)):
            if count < _LEAST:
                break
            at = np.flatnonzero(names == name)[:1000]
            x = sampler(jr.fold_in(self.key, 1000 + i), [labels[j] for j in at])[: len(at)]
            out.append(LabelError(name, wasserstein(x, self.data.points[at], 1)))
        return tuple(out)

    def floor(self, train: Dataset) -> Floor:
        """What the training points score."""
        rng = np.random.default_rng(self.seed + 1)
        own: dict[str | int, list[int]] = {}
        for i, label in enumerate(train.labels or ()):
            own.setdefault(label, []).append(i)

        def resample(key: PRNGKeyArray, condition: Labels) -> Float[np.ndarray, "n d"]:
            if condition is None:
                return train.points[rng.permutation(len(train.points))]
            return train.points[[rng.choice(own[c]) for c in condition]]

        w1, w2 = self.distances(resample)
        return Floor(w1, w2, self.per_label(resample))


def draw(generator: Any, key: PRNGKeyArray, n: int, condition: Labels = None) -> Float[np.ndarray, "n d"]:
    """`n` points of a jaxgen generator, or of any callable of one uniform source value.

    Raises `ValueError` where what comes out is not `(n, d)` and finite.
    """
    if isinstance(generator, AbstractGenerator):
        points = generator.sample(key, n, None if generator.vocabulary is None else condition)
    else:
        sources = int(getattr(generator, "source_dim", 1))
        points = _apply(generator, jr.uniform(key, (n,) if sources == 1 else (n, sources)))
        points = points[:, None] if points.ndim == 1 else points
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or len(points) != n:
        raise ValueError(f"the generator gave samples of shape {points.shape}; ({n}, d) was expected")
    if not np.all(np.isfinite(points)):
        raise ValueError("the generator gave NaN or infinite points")
    return points


@eqx.filter_jit
def _apply(generator: Any, u: Float[Array, "n *sources"]) -> Array:
    return jax.vmap(generator)(u)
