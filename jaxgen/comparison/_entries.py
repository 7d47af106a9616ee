"""Measuring one generator: its size, its speed, and how far its samples are from points it has not seen."""

import collections
import time
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import PRNGKeyArray

from ..coding import code_length, module_bits
from ..distances import wasserstein
from ..generators import AbstractGenerator, AbstractExplicitGenerator, CodebookGenerator, MLPGenerator, PeanoGenerator
from ._report import Entry

_PICTURE_POINTS = 4000


def draw(generator: Any, key: PRNGKeyArray, n: int, condition: Sequence | None = None) -> np.ndarray:
    """`n` points of a jaxgen generator, or of any callable of one uniform source value.

    Raises `ValueError` where what comes out is not `(n, d)` and finite.
    """
    if isinstance(generator, AbstractGenerator):
        points = generator.sample(key, n, None if generator.vocabulary is None else condition)
    else:
        sources = int(getattr(generator, "source_dim", 1))
        u = jr.uniform(key, (n,) if sources == 1 else (n, sources))
        points = _apply(generator, u)
        points = points[:, None] if points.ndim == 1 else points
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or len(points) != n:
        raise ValueError(f"the generator gave samples of shape {points.shape}; ({n}, d) was expected")
    if not np.all(np.isfinite(points)):
        raise ValueError("the generator gave NaN or infinite points")
    return points


@eqx.filter_jit
def _apply(generator, u):
    return jax.vmap(generator)(u)


class Judge:
    """The held-out points, the same for every generator: repeats of subsets, and the keys to draw with."""

    def __init__(self, test: np.ndarray, labels: Sequence | None, n: int, repeats: int, seed: int):
        rng = np.random.default_rng(seed)
        self.points, self.labels, self.n, self.key = test, labels, n, jr.key(seed)
        # Everything is drawn this many points at a time, so that each generator is compiled once.
        self.batch = max(n, 256, min(1 << 14, (1 << 20) // test.shape[1]))
        self.subsets = [rng.permutation(len(test))[:n] for _ in range(repeats)]
        # Labels with the most held-out points: enough of them for a distance to mean something.
        common = collections.Counter(map(str, labels or ())).most_common(6)
        self.shown = [name for name, count in common if count >= 20]

    def draw(self, generator: Any, key: PRNGKeyArray, condition: Sequence | None = None) -> np.ndarray:
        """A batch of points; `condition` is repeated to fill it."""
        if condition is None:
            condition = self.labels
        if condition is not None:
            condition = [condition[i % len(condition)] for i in range(self.batch)]
        return draw(generator, key, self.batch, condition)

    def nanoseconds_per_sample(self, generator: Any) -> float:
        """Median over three batches; the generator has been compiled before."""
        seconds = []
        for i in range(3):
            began = time.perf_counter()
            self.draw(generator, jr.key(i))
            seconds.append(time.perf_counter() - began)
        return float(np.median(seconds) / self.batch * 1e9)

    def distances(self, sampler: Callable[[PRNGKeyArray, Sequence | None], np.ndarray], orders=(1, 2)):
        """`(mean, std)` over the repeats of W_p between samples and held-out points, for each p of `orders`."""
        values = []
        for i, subset in enumerate(self.subsets):
            condition = None if self.labels is None else [self.labels[j] for j in subset]
            x = sampler(jr.fold_in(self.key, i), condition)[: len(subset)]
            if x.shape[1] != self.points.shape[1]:
                raise ValueError(
                    f"the generator gives points of dimension {x.shape[1]}; the data have {self.points.shape[1]}"
                )
            values.append([wasserstein(x, self.points[subset], p) for p in orders])
        return [(float(m), float(s)) for m, s in zip(np.mean(values, axis=0), np.std(values, axis=0), strict=True)]

    def per_label(self, sampler) -> dict[str, float]:
        """W_1 for each label shown, between its held-out points and as many samples given the label."""
        out = {}
        labels = list(self.labels or ())
        names = np.asarray([str(c) for c in labels])
        for i, name in enumerate(self.shown):
            at = np.flatnonzero(names == name)[:1000]
            x = sampler(jr.fold_in(self.key, 1000 + i), [labels[j] for j in at])[: len(at)]
            out[name] = wasserstein(x, self.points[at], 1)
        return out


def array_bits(generator: Any) -> float | None:
    """Bits of what a generator is stored as: its code where it has one, else 32 for each number of its arrays.

    `None` where it has none: what a function keeps to itself cannot be counted.
    """
    if isinstance(generator, AbstractExplicitGenerator | CodebookGenerator):
        return float(code_length(generator))
    has_arrays = jax.tree.leaves(eqx.filter(generator, eqx.is_inexact_array))
    return float(module_bits(generator, weight_bits=32)) if has_arrays else None


def measure(
    name: str,
    kind: str,
    make: Callable[[], Any],
    judge: Judge,
    *,
    bits: float | None = None,
    seconds: float | None = None,
) -> tuple[Entry, Any]:
    """Builds one generator and measures it; returns the entry and the generator. Raises whatever goes wrong."""
    began = time.perf_counter()
    generator = make()
    jax.block_until_ready(eqx.filter(generator, eqx.is_array))
    seconds = time.perf_counter() - began if seconds is None else seconds
    entry = Entry(name=name, kind=kind, source_dim=int(getattr(generator, "source_dim", 1)), seconds=seconds)
    entry.samples = judge.draw(generator, jr.fold_in(judge.key, 10_000))[:_PICTURE_POINTS]

    def sampler(key, condition):
        return judge.draw(generator, key, condition)

    entry.w1, entry.w2 = judge.distances(sampler)
    if judge.shown and getattr(generator, "vocabulary", None) is not None:
        entry.per_label = judge.per_label(sampler)
    entry.bits = array_bits(generator) if bits is None else float(bits)
    entry.nanoseconds_per_sample = judge.nanoseconds_per_sample(generator)
    if isinstance(generator, AbstractGenerator):
        # The weights of a Peano network fit no float in high dimension, but they can be counted.
        network = generator.skeleton() if isinstance(generator, PeanoGenerator) else generator.network()
        entry.depth, entry.width, entry.connectivity = network.depth, network.width, network.connectivity
        if not isinstance(generator, MLPGenerator):
            certificate = generator.certificate()
            entry.certificate = (certificate.w1, certificate.w2)
    else:
        leaves = jax.tree.leaves(eqx.filter(generator, eqx.is_inexact_array))
        entry.connectivity = int(sum(jnp.size(leaf) for leaf in leaves)) or None
    return entry, generator


def measure_or_report(name: str, kind: str, given: Any, judge: Judge) -> Entry:
    """`measure` for a user's generator, or `(generator, bits)`: whatever goes wrong becomes an entry that says so."""
    try:
        generator, bits = given if isinstance(given, tuple) else (given, None)
        return measure(name, kind, lambda: generator, judge, bits=bits)[0]
    except Exception as error:  # a user's code may raise anything, and must not take the others down
        return failure(name, kind, error)


def failure(name: str, kind: str, error: Exception) -> Entry:
    """The entry of a generator that could not be measured."""
    reason = str(error).strip().splitlines()
    return Entry(name=name, kind=kind, failed=f"{type(error).__name__}: {reason[0] if reason else ''}")
