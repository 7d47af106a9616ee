"""Anybody's map of uniform numbers, on many values at once, whether JAX can trace it or not."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import checkify
from jaxtyping import Float

from .._checks import Tried, finite_points, first_line, real_array, whole_number

Shape: TypeAlias = tuple[int, ...]
# Of `(n, *shape)` source values the n points, in whatever shape.
_Way: TypeAlias = Callable[[np.ndarray], np.ndarray]
# Source values that decide how a map is called.
_TRIALS = 8
# Source values that are mapped at once.
_BLOCK = 1024


@dataclasses.dataclass(frozen=True, eq=False)
class SourceMap:
    """A function of one uniform number, or of several, and how to call it on many values at once.

    It is a law for `law_distance`: that of its points, of uniform numbers.

    - `law`: the function. `shape`: of the source value it takes, `()` or `(k,)`.
    - `traced`: whether JAX can trace it. `many`: the points of `(n, *shape)` values.

    **Example:**

        >>> import math
        >>> from jaxgen.distances import SourceMap, source_map
        >>> found = source_map(lambda u: [math.cos(u), math.sin(u)], [()], dim=2)
        >>> found.source_dim, found.traced, found.points([[0.0], [math.pi]]).round(3).tolist()
        (1, False, [[1.0, 0.0], [-1.0, 0.0]])
    """

    law: Callable[[Any], Any]
    shape: Shape
    traced: bool
    many: _Way

    @property
    def source_dim(self) -> int:
        """How many uniform numbers go in."""
        return math.prod(self.shape)

    def __call__(self, u: object) -> object:
        """What comes out for one source value."""
        return self.law(u)

    def points(
        self, u: Float[np.ndarray, "n sources"] | list[list[float]], name: str = "what the function gave"
    ) -> Float[np.ndarray, "n d"]:
        """The points of n source values, called `name` in errors.

        **Raises:** `ValueError` for points that are not finite, and for a function that draws numbers of its own.

        **Example:**

            >>> from jaxgen.distances import source_map
            >>> source_map(lambda u: u**2, [()]).points([[0.5], [1.0]]).tolist()
            [[0.25], [1.0]]
        """
        values = np.asarray(u, np.float64)
        values = values.reshape(len(values), *self.shape)
        x = finite_points(self.many(values).reshape(len(values), -1), name).astype(np.float64)
        # Traced, a function that draws numbers of its own draws them once, for all values of u.
        suspect = not self.traced or (len(x) > 1 and bool(np.all(x == x[0])))
        if suspect and not _close(_one_by_one(self.law)(values[:1]).reshape(-1), x[0]):
            raise ValueError(
                f"{name} must be the same for the same u: the function draws numbers of its own; give a function of u "
                "alone, or a sampler, as lambda key, n: numpy.stack([function() for _ in range(n)])"
            )
        return x


def declared_shapes(law: object) -> list[Shape] | None:
    """The shapes that a source value may have, by the `source_dim`, `in_size` or `in_features` of a function, if any.

    Raises `TypeError` and `ValueError` where these are no number of numbers.

    **Example:**

        >>> import equinox as eqx, jax
        >>> from jaxgen.distances import declared_shapes
        >>> declared_shapes(eqx.nn.MLP("scalar", 2, 8, 2, key=jax.random.key(0))), declared_shapes(abs)
        ([()], None)
    """
    for name in ("source_dim", "in_size", "in_features"):
        size = getattr(law, name, None)
        if size is not None:
            break
    else:
        return None
    if isinstance(size, str) and size == "scalar":
        return [()]
    count = whole_number(size, f"{name} of a {type(law).__name__}", 1)
    if count > 1:
        return [(count,)]
    # Of one number Equinox wants a vector, jaxgen a scalar.
    return [(), (1,)] if name == "source_dim" else [(1,), ()]


def source_map(
    law: Callable[[Any], Any], shapes: Sequence[Shape], dim: int | None = None, tried: Tried | None = None
) -> SourceMap | None:
    """The function with the first of the shapes that a source value may have, or `None` where none will do.

    **Arguments:**

    - `law`: the function of one source value.
    - `shapes`: to be tried, in order.
    - `dim`: how many numbers must come out; any, if it is not given.
    - `tried`: to which is added what came out for each shape that will not do.

    **Example:**

        >>> from jaxgen.distances import source_map
        >>> source_map(lambda u: u, [(), (1,), (2,)], dim=2).shape
        (2,)
    """
    tried = Tried() if tried is None else tried
    for shape in shapes:
        said = f"u of shape {shape}"
        try:
            out = jax.eval_shape(_array_of(law), jax.ShapeDtypeStruct(shape, jnp.result_type(float))).shape
            many, traced = _traced(law), True
        except Exception:  # what cannot be traced may still be called
            values, traced = np.random.default_rng(0).random((_TRIALS, *shape)), False
            try:
                many = _untraced(law, values)
                out = many(values).shape[1:]
            except Exception as error:  # anybody's code may raise anything
                tried.add(said, f"raised {first_line(error)}")
                continue
        if traced and shape and len(shapes) > 1 and _reads_beyond(law, shape):
            tried.add(said, "was read beyond its end")
        elif dim is None or math.prod(out) == dim:
            return SourceMap(law, shape, traced, many)
        else:
            tried.add(said, f"gave shape {out}")
    return None


def _array_of(law: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda u: jnp.asarray(law(u))


def _reads_beyond(law: Callable[[Any], Any], shape: Shape) -> bool:
    """Whether it reads numbers that u does not have: JAX takes the last one instead, and says nothing."""
    checked = checkify.checkify(_array_of(law), errors=checkify.index_checks)
    try:
        return checked(jnp.full(shape, 0.5))[0].get() is not None
    except Exception:  # not everything that can be traced can be checked
        return False


def _traced(law: Callable[[Any], Any]) -> _Way:
    # Arrays are arguments of the program, which is slow to compile where they are constants; the rest is closed over,
    # since it need not be hashable, and so that what is changed in it later is not missed by another program.
    arrays, rest = eqx.partition(law, eqx.is_array)
    program = jax.jit(lambda arrays, u: jax.vmap(_array_of(eqx.combine(arrays, rest)))(u))

    def many(u: np.ndarray) -> np.ndarray:
        # One program for any number of values: a block of them at a time.
        values = np.asarray(u, jnp.result_type(float))
        blocks = np.pad(values, [(0, -len(values) % _BLOCK), *[(0, 0)] * (values.ndim - 1)], mode="edge")
        parts = [np.asarray(program(arrays, blocks[i : i + _BLOCK])) for i in range(0, len(blocks), _BLOCK)]
        return np.concatenate(parts)[: len(values)]

    return many


def _untraced(law: Callable[[Any], Any], values: np.ndarray) -> _Way:
    """One value at a time, or all at once where a function of arrays gives the same."""
    slow = _one_by_one(law)
    expected = slow(values)
    # Functions written for one value have the values on the last axis of what comes out, those for rows on the first.
    arrangements = (lambda u: np.moveaxis(u, 0, -1)), (lambda u: u.reshape(len(u), -1))
    for arranged, axis in itertools.product(arrangements, (-1, 0)):
        fast = _at_once(law, arranged, axis)
        try:
            found = fast(values)
        except Exception:  # it takes one value only
            continue
        if found.shape == expected.shape and _close(found, expected):
            return fast
    return slow


def _one_by_one(law: Callable[[Any], Any]) -> _Way:
    return lambda u: np.stack([_numbers(law(value)) for value in u.copy()])


def _at_once(law: Callable[[Any], Any], arranged: _Way, axis: int) -> _Way:
    return lambda u: np.moveaxis(_numbers(law(arranged(u).copy())), axis, 0)


def _numbers(out: object) -> np.ndarray:
    """What a function gave, as finite numbers in its own shape."""
    array = real_array(out, "what came out")
    return finite_points(array.reshape(1, -1), "what came out").reshape(array.shape).astype(np.float64)


def _close(x: np.ndarray, y: np.ndarray) -> bool:
    """Equal but for what the order of operations changes in float32."""
    return np.allclose(x, y, rtol=1e-5, atol=1e-5 * float(np.max(np.abs(y), initial=0.0)))
