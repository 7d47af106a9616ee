"""Anyone's model as something to draw points from: what it was taken to be, or what was wrong with it."""

import dataclasses
import functools
import inspect
import math
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from .._checks import Tried, finite_points, first_line, real_array
from ..coding import load
from ..data import Dataset, load_points
from ..distances import SourceMap, declared_shapes, source_map
from ..generators import AbstractGenerator
from ..measures import AbstractMeasure, Condition, Label, unknown_label

# Points, from a key, how many, and the labels asked for.
_Draw: TypeAlias = Callable[[PRNGKeyArray, int, Condition], object]
# Where the objects come from whose `sample` is a function of the key alone, and may be compiled.
_LIBRARIES = {"flowjax": "FlowJAX", "numpyro": "NumPyro"}
_TRIALS = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Wrapped:
    """A model that was taken to be something to draw points from.

    - `kind_name`: what it was taken to be, in words. `dim`: of its points. `draw`: what `sample` checks.
    - `law`: what `law_distance` takes; `None` where there are samples only.
    - `source_dim`: uniform numbers a point, where they are known. `numbers`: floats that its arrays hold, if any.
    - `generator`: the jaxgen generator that it is, if it is one. `own_units`: whether its points are in the units that
      it speaks of itself in.
    """

    kind_name: str
    dim: int
    draw: _Draw
    law: object = None
    source_dim: int | None = None
    numbers: int | None = None
    generator: AbstractGenerator | None = None
    own_units: bool = True

    @property
    def vocabulary(self) -> tuple[Label, ...] | None:
        """The labels that it takes."""
        return None if self.generator is None else self.generator.vocabulary

    def sample(self, key: PRNGKeyArray, n: int, condition: Condition = None) -> Float[np.ndarray, "n d"]:
        """`n` points, in float64; with labels, where it takes any: else `condition` is left aside.

        **Raises:** `ValueError` for points that are not finite or not of its dimension; `TypeError` for anything but
        numbers; whatever the model raises.
        """
        return _points(self.draw(key, n, condition if self.vocabulary else None), n, self.dim)


def wrapped(given: object, dim: int, labels: Sequence[Label] | None = None, n: int = _TRIALS) -> Wrapped:
    """What a model is taken to be, tried by drawing some points.

    In this order: a measure or generator of jaxgen, or the path of one; samples, or the path of them; a distribution
    of FlowJAX, NumPyro or SciPy, by its `sample`, `rvs` or `resample`; a function. A function with `source_dim`,
    `in_size` or `in_features` is a map of so many uniform numbers. Any other with one argument is tried as a map of a
    scalar, of `(1,)` and of `(dim,)` numbers, of which the first is taken that gives `dim` numbers; with two, as a
    sampler `(key, n)` and `(key, shape)`.

    **Arguments:**

    - `given`: the model. `dim`: of the points that are wanted.
    - `labels`: those that it will be asked for, if it takes labels.
    - `n`: points to try it with.

    **Raises:** `ValueError` for a model that raises, of points of another dimension or not finite, and that does not
    know the labels; `TypeError` for what is no model; both say what was tried, and how to wrap it.

    **Example:**

        >>> import jax, jax.numpy as jnp
        >>> from jaxgen.comparison._wrap import wrapped
        >>> ring = wrapped(lambda u: jnp.stack([jnp.cos(6.3 * u), jnp.sin(6.3 * u)]), dim=2)
        >>> ring.kind_name, ring.sample(jax.random.key(0), 5).shape
        ('a callable of 1 uniform number', (5, 2))
        >>> wrapped(lambda key, n: jax.random.normal(key, (n, 2)), dim=2).kind_name
        'a sampler (key, n)'
    """
    # Not as many as coordinates: points and their transpose have then different shapes.
    n += n == dim
    taken = _taken(given, dim, n)
    known, asked = taken.vocabulary, None
    if known is not None and labels:
        asked = [labels[i % len(labels)] for i in range(n)]
        for label in dict.fromkeys(labels):
            if label not in known:
                raise ValueError(f"{taken.kind_name} must know the labels of the data: {unknown_label(label, known)}")
    try:
        taken.sample(jr.key(0), n, asked)
    except Exception as error:  # anybody's code may raise anything
        raise ValueError(f"{taken.kind_name} could not be sampled: {first_line(error)}") from error
    return taken


def _taken(given: Any, dim: int, n: int) -> Wrapped:
    made = given.func if isinstance(given, functools.partial) else given
    if isinstance(made, type):
        raise TypeError(
            f"a model must be an instance; got the class {made.__name__}: give what {made.__name__}(...) returns"
        )
    if isinstance(given, str | os.PathLike):
        given = _loaded(pathlib.Path(given))
    if isinstance(given, Dataset):
        given = given.points
    if isinstance(given, AbstractMeasure):
        generator: Any = given.generator()
        return _of_generator(generator, dim, f"the {type(generator).__name__} of a {type(given).__name__}")
    if isinstance(given, AbstractGenerator):
        return _of_generator(given, dim, f"a generator ({type(given).__name__})")
    if hasattr(given, "__array__") or isinstance(given, list | tuple):
        return _of_points(given, dim)
    declared, calls = declared_shapes(given), _distribution_calls(given)
    if callable(given) and (declared is not None or not calls):
        return _of_function(given, dim, declared, n)
    tried = Tried()
    taken = _of_sampler(given, dim, calls, tried, n)
    if taken is not None:
        return taken
    if calls:
        raise ValueError(
            f"{calls[0].kind}, a {type(given).__name__}, gave no {n} points of dimension {dim}: {tried}. "
            f"Give lambda key, n: model.sample(...), with what it needs, of shape (n, {dim})"
        )
    raise TypeError(
        "a model must be a generator, a measure, samples, a distribution, a function of uniform numbers or a sampler "
        f"(key, n); got {_short(given)} of type {type(given).__name__}. {_as_function(dim)}"
    )


def _loaded(path: pathlib.Path) -> object:
    try:
        return load(path) if path.suffix == ".jaxgen" else load_points(path)
    except OSError as error:
        raise ValueError(f"a model given by a string must be a file: {error}") from error


def _of_generator(generator: AbstractGenerator, dim: int, kind: str) -> Wrapped:
    if generator.dim != dim:
        raise ValueError(
            f"{kind} has points of dimension {generator.dim}; the data have {dim}: build it from points of dimension "
            f"{dim}, or give lambda key, n: project(model.sample(key, n))"
        )
    return Wrapped(
        kind,
        dim,
        generator.sample,
        law=generator,
        source_dim=generator.source_dim,
        numbers=_numbers(generator),
        generator=generator,
    )


def _of_points(given: object, dim: int) -> Wrapped:
    array = real_array(given, "samples")
    if array.ndim > 2 and array.size:
        array = array.reshape(len(array), -1)  # pictures
    points = finite_points(array, "samples").astype(np.float64)
    if points.shape[1] != dim:
        transposed = ": transpose them" if points.shape[0] == dim else ""
        raise ValueError(f"samples must have shape (n, {dim}); got {points.shape}{transposed}")

    def draw(key: PRNGKeyArray, n: int, condition: Condition) -> np.ndarray:
        return points[_numpy_rng(key).choice(len(points), n, replace=n > len(points))]

    return Wrapped(f"{len(points):,} samples", dim, draw, law=points, numbers=points.size)


def _of_function(given: Callable[..., Any], dim: int, declared: list[tuple[int, ...]] | None, n: int) -> Wrapped:
    called, tried = _Signature.of(given), Tried()
    kind = "a callable" if hasattr(given, "__name__") else f"a callable ({type(given).__name__})"
    if called.most == 0:
        raise TypeError(
            f"{kind} must take an argument, uniform numbers, or two, (key, n); this one takes none: give "
            "lambda key, n: numpy.stack([model() for _ in range(n)])"
        )
    if called.least > (1 if declared else 2) or called.keywords:
        raise TypeError(
            f"{kind} must take one argument, uniform numbers, or two, (key, n); this one needs "
            f"{', '.join(called.needed)}: bind its parameters, as lambda u: model(u, ...)"
        )
    if called.least <= 1:
        found = source_map(given, declared or [(), (1,), (dim,)], dim, tried)
        if found is not None:
            return _of_map(found, dim, kind)
    if called.most >= 2 and not declared:
        taken = _of_sampler(given, dim, _sampler_calls(given, dim), tried, n)
        if taken is not None:
            return taken
    bind = "; bind parameters, as lambda u: model(u, ...)" if called.least == 2 else ""
    raise ValueError(f"{kind} gave no points of dimension {dim}: {tried}. {_as_function(dim)}{bind}")


def _of_map(found: SourceMap, dim: int, kind: str) -> Wrapped:
    count = found.source_dim

    def draw(key: PRNGKeyArray, n: int, condition: Condition) -> np.ndarray:
        # A float is 0 once in 2^24 times, where quantile functions are infinite: the middle of what is rounded to 0.
        u = _numpy_rng(key).random((n, count), np.float32).astype(np.float64)
        return found.points(np.maximum(u, 2.0**-24))

    name = f"{kind} of {count} uniform number{'s'[: count > 1]}{'' if found.traced else ', which JAX cannot trace'}"
    return Wrapped(name, dim, draw, law=found, source_dim=count, numbers=_numbers(found.law))


class _Call(NamedTuple):
    """A way to ask for n points: how it is written, what it makes of the model, and the call itself."""

    words: str
    kind: str
    draw: Callable[[PRNGKeyArray, int], Any]


def _of_sampler(given: object, dim: int, calls: list[_Call], tried: Tried, n: int) -> Wrapped | None:
    """The first way to ask for points that gives some."""
    for call in calls:
        try:
            _points(call.draw(jr.key(0), n), n, dim)
        except Exception as error:  # anybody's code may raise anything
            tried.add(f"{call.words} for n = {n}", f"failed, {first_line(error)}")
            continue
        return Wrapped(call.kind, dim, lambda key, n, condition, call=call: call.draw(key, n), numbers=_numbers(given))
    return None


def _sampler_calls(given: Callable[..., Any], dim: int) -> list[_Call]:
    return [
        _Call("f(key, n)", "a sampler (key, n)", given),
        _Call("f(rng, n)", "a sampler (numpy.random.Generator, n)", lambda key, n: given(_numpy_rng(key), n)),
        _Call("f(key, (n,))", "a sampler (key, shape)", lambda key, n: given(key, (n,))),
        _Call(f"f(key, (n, {dim}))", "a sampler (key, shape)", lambda key, n: given(key, (n, dim))),
    ]


def _distribution_calls(given: Any) -> list[_Call]:
    """How a distribution may be asked for n points, by its methods; none if it is no distribution."""
    roots = [kind.__module__.partition(".")[0] for kind in type(given).__mro__]
    library = next((_LIBRARIES[root] for root in roots if root in _LIBRARIES), None)
    scipy = "a SciPy distribution" if "scipy" in roots else f"a distribution ({type(given).__name__})"
    name = scipy if library is None else f"a {library} distribution"
    calls = []
    if callable(getattr(given, "rvs", None)):
        # One draw of several coordinates comes without its first axis.
        calls.append(("rvs(size=n)", lambda key, n: given.rvs(size=max(n, 2), random_state=_numpy_rng(key))[:n]))
    if callable(getattr(given, "resample", None)):
        calls.append(("resample(n).T", lambda key, n: given.resample(n, seed=_numpy_rng(key)).T))
    if callable(getattr(given, "sample", None)):
        if library is not None:
            program = _compiled_sample(given)
            calls.append(("sample(key, (n,)), compiled,", lambda key, n: program(key, (n,))))
        calls.append(("sample(key, (n,))", lambda key, n: given.sample(key, (n,))))
        calls.append(("sample(key, n)", given.sample))
        calls.append(("sample((n,), rng=...)", lambda key, n: given.sample((n,), rng=_numpy_rng(key))))
    return [_Call(words, name, draw) for words, draw in calls]


def _compiled_sample(given: Any) -> Callable[[PRNGKeyArray, tuple[int, ...]], Shaped[Array, "n ..."]]:
    """A flow that is called op by op takes as long for a batch as to compile it."""
    arrays, rest = eqx.partition(given, eqx.is_array)
    program = jax.jit(lambda arrays, key, shape: eqx.combine(arrays, rest).sample(key, shape), static_argnums=2)
    return lambda key, shape: program(arrays, key, shape)


class _Signature(NamedTuple):
    """How many positional arguments a function needs and takes, what it needs, and whether keywords are among that."""

    least: int
    most: float
    needed: list[str]
    keywords: bool

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "_Signature":
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):  # some functions written in C have none
            return cls(0, math.inf, [], False)
        positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        needed = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        keywords = any(p.kind is p.KEYWORD_ONLY for p in needed)
        most = math.inf if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(positional)
        return cls(sum(p in positional for p in needed), most, [p.name for p in needed], keywords)


def _points(out: object, n: int, dim: int) -> Float[np.ndarray, "n d"]:
    """What a model gave as n finite points, whose coordinates may have a shape of their own."""
    array = real_array(out, "what it gave")
    if array.ndim == 0 or len(array) != n or array.size != n * dim:
        raise ValueError(f"what it gave must have shape ({n}, {dim}); got {array.shape}")
    return finite_points(array.reshape(n, dim), "what it gave").astype(np.float64)


def _numbers(model: object) -> int | None:
    """Floats in the arrays of a model; what a function keeps to itself cannot be counted."""
    return sum(leaf.size for leaf in jax.tree.leaves(model) if eqx.is_inexact_array(leaf)) or None


def _numpy_rng(key: PRNGKeyArray) -> np.random.Generator:
    return np.random.default_rng(np.asarray(jr.bits(key, (4,), jnp.uint32)))


def _as_function(dim: int) -> str:
    return (
        f"Give a sampler of shape (n, {dim}), as lambda key, n: model.sample(n); for a map of k uniform numbers it is "
        "lambda key, n: jax.vmap(model)(jax.random.uniform(key, (n, k)))"
    )


def _short(given: object) -> str:
    text = (repr(given).splitlines() or [""])[0]
    return text if len(text) <= 60 else f"{text[:57]}..."
