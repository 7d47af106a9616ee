"""The distance between laws, not between samples of them (theory, section 11)."""

import dataclasses
import math
import os
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple, SupportsFloat, SupportsIndex

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from .._checks import Tried, finite_points, transport_order, whole_number
from ..coding import load
from ..curves import PeanoCurve
from ..data import Dataset, load_points
from ..generators import AbstractGenerator, CurveGenerator, SawtoothGenerator
from ..measures import AbstractMeasure, Label, label_code
from ..source import padded_size, stratum_words
from ._clouds import Weights, as_pair
from ._source_map import SourceMap, declared_shapes, source_map
from ._wasserstein import MAX_PAIRS, exact_distance
from ._wasserstein_bounds import bracket

_FEWEST = 2
# Digits of base 3 that a float32 holds.
_FLOAT_DIGITS = 14
# Numbers alive at once while the map of a law is evaluated.
_CHUNK_NUMBERS = 1 << 22


@dataclasses.dataclass(frozen=True)
class LawDistance:
    """W_p between two laws, and how well it is known.

    - `value`: W_p between the two laws as they were discretised; where that is too large for the exact solver, `high`.
    - `low`, `high`: proven bounds on W_p between the laws as they were discretised; equal where it was solved exactly.
    - `discretisation`: an *estimate*, not a bound, of what the discretisation changes: the difference to the value for
        half as many source values; 0 where both sides are points or atoms.
    - `n`: source values a law was discretised with; `p`: the order.

    **Example:**

        >>> import jaxgen as jg
        >>> found = jg.law_distance(jg.CodebookGenerator([0.0, 1.0]), [0.0, 1.0, 1.0])
        >>> round(found.value, 4), found.discretisation
        (0.1667, 0.0)
    """

    value: float
    low: float
    high: float
    discretisation: float
    n: int
    p: float


def law_distance(
    a: object, b: object, p: SupportsFloat = 1, n: SupportsIndex = 8192, condition: Label | None = None
) -> LawDistance:
    """W_p between the laws of two generators, measures or clouds of points: no sampling noise, and no floor.

    Samples hide what is finer than the distance between two samples of one law. So the source is filled evenly: with
    the midpoints `(j + 1/2)/n` for one uniform number (for a sawtooth, whose folds leave no bit of a midpoint, with one
    place in each `[j/n, (j+1)/n)`, drawn by a fixed seed), with scrambled Sobol points (SciPy) for several. A measure
    is discretised leaf by leaf, along the curve in each, in about n points, with weights, so that each leaf keeps its
    mass; laws on atoms, and points, are taken as they are, with weights.
    The two clouds are then solved exactly (`wasserstein`; 8,192 values against 2,000 points take seconds), up to 2^26
    pairs of points; above that, as for 10^5 or 10^6 points, the answer is the bracket of `wasserstein_bounds`, with as
    many source values as there are points where that is more than n. Theory, section 11.

    **Arguments:**

    - `a`, `b`: each a generator; a callable with `source_dim`, from u, a number or `(source_dim,)` in [0, 1], to a
        point; a measure; points `(k, d)` or `(k,)` of equal weight, or a `Dataset`; or the path of a `.jaxgen` file, or
        of a file of points, as for `jaxgen.data.load_points`.
    - `p`: any order >= 1.
    - `n`: source values, at least 2; for several sources best a power of two.
    - `condition`: a label: the law given it, of each side that has labels.

    **Returns:** a `LawDistance`; `.value`, in the units of the points.

    **Raises:** `ValueError` for points that are empty or not finite, sides of different dimension, an unknown label, a
    label where no side has any, a generator whose points are not finite, p < 1 and n < 2; `TypeError` for anything else
    than a law; what `jaxgen.load` raises for a file.

    **Example:**

        >>> import jaxgen as jg
        >>> square = jg.GridMeasure.from_histogram([[1.0]])
        >>> found = jg.law_distance(square, [[0.5, 0.5]], n=1024)  # the mean distance from the centre is 0.3826
        >>> round(found.value, 3), found.discretisation < 0.001
        (0.383, True)
    """
    order, count = transport_order(p), whole_number(n, "n", _FEWEST)
    sides = _side(a, "a", condition), _side(b, "b", condition)
    if condition is not None and not any(side.labelled for side in sides):
        raise ValueError(f"condition={condition!r} was given, but neither a nor b has labels")
    count = max(count, *(side.size for side in sides))
    low, high = _between(sides[0].cloud(count), sides[1].cloud(count), order)
    change = 0.0
    if not all(side.size for side in sides):
        change = abs(high - _between(sides[0].cloud(count // 2), sides[1].cloud(count // 2), order)[1])
    return LawDistance(high, low, high, change, count, order)


def law_value(law: object, points: Float[np.ndarray, "k d"], p: float | int, n: int) -> float:
    """W_p from a law, discretised by n values of its source, to points: the value of `law_distance` alone.

    **Example:**

        >>> import numpy as np, jaxgen as jg
        >>> jg.distances.law_value(jg.CodebookGenerator([0.0, 1.0]), np.array([[0.0], [1.0]]), 1, n=16)
        0.0
    """
    return _between(_side(law, "the generator", None).cloud(n), _Cloud(points, None), float(p))[1]


def law_points(law: object, n: SupportsIndex, condition: Label | None = None) -> Float[np.ndarray, "n d"]:
    """The law of a generator, or of a callable with `source_dim`, as n points of equal weight, in the order of its
    source: what `law_distance` takes it for.

    **Raises:** as `law_distance`, and `TypeError` for laws with weights, as those of measures and codebooks.

    **Example:**

        >>> import jaxgen as jg
        >>> line = jg.GridMeasure.from_histogram([1.0]).generator(extra_levels=3)
        >>> jg.distances.law_points(line, 5).ravel().round(2).tolist()
        [0.1, 0.3, 0.5, 0.7, 0.9]
    """
    points, weights = _side(law, "the generator", condition).cloud(whole_number(n, "n", _FEWEST))
    if weights is not None:
        raise TypeError(f"a {type(law).__name__} has weights: it is no n points of equal weight")
    return points


class _Cloud(NamedTuple):
    points: Float[np.ndarray, "k d"]
    weights: Weights


class _Side(NamedTuple):
    """One side: how to make it a cloud of so many points; `size` of them whatever is asked for, if that is not 0."""

    cloud: Callable[[int], _Cloud]
    size: int
    labelled: bool


def _between(x: _Cloud, y: _Cloud, p: float) -> tuple[float, float]:
    """Bounds on W_p between two clouds, equal where it can be solved."""
    u, v, exponent = as_pair(x.points, y.points)
    if u.shape[1] == 1 or len(u) * len(v) <= MAX_PAIRS:
        low = high = exact_distance(u, v, p, x.weights, y.weights)
    else:
        low, high = bracket(u, v, p, x.weights, y.weights)
    return math.ldexp(low, exponent), math.ldexp(high, exponent)


def _side(law: Any, name: str, condition: Label | None) -> _Side:
    if isinstance(law, str | os.PathLike):
        path = pathlib.Path(law)
        law = load(path) if path.suffix == ".jaxgen" else load_points(path)
    if isinstance(law, Dataset):
        law = law.points
    labelled = getattr(law, "vocabulary", None) is not None
    if isinstance(law, AbstractMeasure):
        law = law.given(condition) if labelled and condition is not None else law
        return _of_measure(law, labelled)
    if isinstance(law, AbstractGenerator):
        code = label_code(condition, law.vocabulary) if labelled and condition is not None else None
        measure = getattr(law, "measure", None)
        if isinstance(measure, AbstractMeasure) and not np.any(np.asarray(measure.sides)):
            # Atoms: the law is that of the measure, with their weights.
            return _of_measure(measure if code is None else measure.given(condition), labelled)  # pyright: ignore[reportArgumentType]
        # Folds double a midpoint until no bit of it is left, so that all would meet in the same place of the folds.
        spread = isinstance(law, SawtoothGenerator)
        return _Side(lambda n: _checked(_pushed(law, n, code, spread), name), 0, labelled)
    if callable(law):
        function = _of_function(law, name)
        said = f"the law of {name}"
        return _Side(lambda n: _Cloud(function.points(source_values(function.source_dim, n), said), None), 0, False)
    points = finite_points(law, name).astype(np.float64)
    return _Side(lambda _: _Cloud(points, None), len(points), False)


def _of_measure(measure: AbstractMeasure, labelled: bool) -> _Side:
    if not np.any(np.asarray(measure.sides)):
        weights = measure._weights().astype(np.float64)
        atoms = _Cloud(measure._host_centers(), weights / weights.sum())  # pyright: ignore[reportAttributeAccessIssue]
        return _Side(lambda _: atoms, len(atoms.points), labelled)

    def cloud(n: int) -> _Cloud:
        # Levels enough that no two of the n values share a finest cell.
        levels = math.ceil(math.log(n, 3) / measure.dim)
        # Clouds too large for the exact solver want equal weights: their bracket is narrower.
        bracketed = measure.dim > 1 and n * n > MAX_PAIRS
        if bracketed or levels * measure.dim > _FLOAT_DIGITS or measure.size > 2 * n:
            return _pushed(CurveGenerator(measure, levels), n, None)
        return _filled(measure, n, levels)

    return _Side(cloud, 0, labelled)


def _filled(measure: AbstractMeasure, n: int, levels: int) -> _Cloud:
    """Midpoints along a curve in each leaf: one program for all measures of one dimension, whatever their leaves.

    About n in all, and every leaf keeps its mass: what is a quantum too much in one would be far from where it belongs.
    """
    masses = measure._weights().astype(np.float64)
    masses /= masses.sum()
    each = np.maximum(1, np.rint(n * masses)).astype(np.int64)
    leaf = np.repeat(np.arange(len(masses)), each)
    inside = (np.arange(len(leaf)) - (np.cumsum(each) - each)[leaf] + 0.5) / each[leaf]
    padded = np.zeros(padded_size(len(leaf)), np.float32)
    padded[: len(leaf)] = np.minimum(inside, 1 - 2.0**-24)
    path = np.asarray(_curve_points(jnp.asarray(padded), measure.dim, levels))[: len(leaf)]
    sides = np.asarray(measure.sides, np.float64)[leaf]
    corners = measure._host_centers()[leaf] - sides / 2  # pyright: ignore[reportAttributeAccessIssue]
    return _Cloud(corners + sides * path, (masses / each)[leaf])


@eqx.filter_jit
def _curve_points(v: Float[Array, " n"], dim: int, levels: int) -> Float[Array, "n dim"]:
    return jax.vmap(lambda one: PeanoCurve()(one, dim, levels, "line"))(v)


def _checked(cloud: _Cloud, name: str) -> _Cloud:
    return _Cloud(finite_points(cloud.points, f"the law of {name}"), None)


def _pushed(generator: AbstractGenerator, n: int, code: int | None, spread: bool = False) -> _Cloud:
    """A generator on exact words, so many that no law is too deep for them."""
    words = _words(generator.source_dim, generator.source_words, n, spread)
    label, kernel = None if code is None else jnp.asarray(code, jnp.int32), generator.kernel()
    size = max(1, _CHUNK_NUMBERS // (generator.dim + words.shape[1] * words.shape[2]))
    parts = [np.asarray(_push(kernel, words[i : i + size], label), np.float64) for i in range(0, n, size)]
    return _Cloud(np.concatenate(parts), None)


@eqx.filter_jit
def _push(kernel, words, code):
    return jax.vmap(lambda u: kernel.push(u, code)[0])(words)


def _of_function(law: Any, name: str) -> SourceMap:
    """Anybody's map of one or several uniform numbers, traced or not."""
    if isinstance(law, SourceMap):
        return law
    shapes, tried = declared_shapes(law), Tried()
    if shapes is None:
        raise TypeError(
            f"{name} is a {type(law).__name__} without source_dim: say how many uniform numbers it takes, for instance "
            "by a class with source_dim and __call__(u)"
        )
    found = source_map(law, shapes, tried=tried)
    if found is None:
        raise ValueError(f"{name} gives no points: {tried}")
    return found


def source_values(sources: int, n: int) -> Float[np.ndarray, "n sources"]:
    """Source values that fill the unit cube evenly: midpoints on the line, else scrambled Sobol points.

    **Raises:** `ValueError` for more sources than Sobol points are known for.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.distances.source_values(1, 4).ravel().tolist()
        [0.125, 0.375, 0.625, 0.875]
    """
    if sources == 1:
        return (np.arange(n)[:, None] + 0.5) / n
    from scipy.stats.qmc import Sobol

    if sources > Sobol.MAXDIM:
        raise ValueError(f"a law of {sources} sources cannot be discretised: Sobol points have {Sobol.MAXDIM} at most")
    points = Sobol(sources, rng=np.random.default_rng(0)).random_base2((n - 1).bit_length())[:n]
    return np.clip(points, 0.0, np.nextafter(1.0, 0.0))


def _words(sources: int, words: int, n: int, spread: bool = False) -> UInt32[np.ndarray, "n sources words"]:
    """The same as fixed-point numbers, exactly: a midpoint is a fraction of integers, and floats have few bits.

    With `spread`, one place drawn by a fixed seed in each stratum `[j/n, (j+1)/n)` instead of its midpoint.
    """
    out = np.zeros((words, n, sources), np.uint64)
    if sources == 1 and spread:
        places = np.random.default_rng(0).integers(1 << 32, size=(n, words), dtype=np.uint32)
        strata = jnp.arange(n, dtype=jnp.uint32), jnp.full(n, n, jnp.uint32)
        return np.asarray(jax.vmap(stratum_words)(*strata, jnp.asarray(places)))[:, None]
    if sources == 1:
        above, below = 2 * np.arange(n, dtype=np.uint64)[:, None] + np.uint64(1), np.uint64(2 * n)
    else:
        above, below = np.ldexp(source_values(sources, n), 53).astype(np.uint64), np.uint64(1 << 53)
    for k in range(4 * words):
        # Long division by bytes: no product leaves 64 bits.
        byte, above = np.divmod(above << np.uint64(8), below)
        out[k // 4] = out[k // 4] << np.uint64(8) | byte
    return np.moveaxis(out, 0, -1).astype(np.uint32)
