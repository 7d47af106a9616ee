"""Arguments, checked once, where a user hands them over: each function names the argument in its error."""

import math
import operator
from collections.abc import Sequence
from typing import Any, Protocol, SupportsFloat, SupportsIndex, TypeAlias, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Shaped


@runtime_checkable
class SupportsArray(Protocol):
    """An array of another library, such as a table."""

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray: ...


# Whatever NumPy makes into an array: points `(n, d)`, weights, corners of a box, a source value.
Numbers: TypeAlias = ArrayLike | SupportsArray | Sequence[Any]

_LARGEST = 1e37  # of a corner of a box: its square is near the end of float32


def is_traced(tree: object) -> bool:
    """Whether some array of a module, or of anything else, is traced, so that its numbers are not known here."""
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(tree))


def require_numbers(tree: object, what: str) -> None:
    """Raises `TypeError` where arrays are traced, and what is asked for needs their numbers."""
    if is_traced(tree):
        raise TypeError(
            f"{what} needs the numbers of a {type(tree).__name__}, and some of its arrays are traced here: build it "
            "outside of jit, vmap and grad. Points, and their derivatives, can be had inside."
        )


class TooFewBits(ValueError):
    """A budget that the header and the box alone exceed, or that is none; `least` is enough."""

    def __init__(self, bits: float | int, least: int):
        super().__init__(
            f"bits={bits:g} must be finite and at least {least}, which the header and the box alone take; "
            "give a larger budget"
        )
        self.least = least


class Tried:
    """What was tried in vain, and what came out; what had the same outcome is said in one breath."""

    def __init__(self):
        self._calls: dict[str, list[str]] = {}

    def add(self, call: str, outcome: str) -> None:
        """One more call."""
        self._calls.setdefault(outcome.rstrip("."), []).append(call)

    def __bool__(self) -> bool:
        return bool(self._calls)

    def __str__(self) -> str:
        return "; ".join(f"{', '.join(calls)} {outcome}" for outcome, calls in self._calls.items())


def whole_number(value: SupportsIndex | object, name: str, least: int = 0, most: int | None = None) -> int:
    """An integer of at least `least` and at most `most`. Raises `TypeError` and `ValueError` naming the argument."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)  # pyright: ignore[reportArgumentType]
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {value!r} of type {type(value).__name__}") from None
    if number < least:
        wanted = "not be negative" if least == 0 else f"be at least {least}"
        raise ValueError(f"{name} must {wanted}; got {number}")
    if most is not None and number > most:
        raise ValueError(f"{name} must be at most {most}; got {number}")
    return number


def positive_number(value: SupportsFloat | object, name: str) -> float:
    """A positive finite number. Raises `TypeError` and `ValueError` naming the argument."""
    number = real_number(value, name)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{name} must be a positive finite number; got {value}")
    return number


def real_number(value: SupportsFloat | object, name: str) -> float:
    """A real number as a float. Raises `TypeError` naming the argument."""
    if isinstance(value, bool | str | bytes | complex) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} must be a number; got {value!r} of type {type(value).__name__}")
    return float(value)  # pyright: ignore[reportArgumentType]


def transport_order(p: SupportsFloat | object) -> float:
    """The order p of W_p, a finite number >= 1."""
    order = real_number(p, "p")
    if not (math.isfinite(order) and order >= 1):
        raise ValueError(f"p must be a finite number >= 1; got {p}")
    return order


def ramp_width(ramp: SupportsFloat | object) -> float:
    """The width of the ramps that stand for jumps in a network, a number between 0 and 1."""
    width = real_number(ramp, "ramp")
    if not 0 < width < 1:
        raise ValueError(f"ramp, the width of the ramps that stand for jumps, must lie between 0 and 1; got {ramp}")
    return width


def finite_points(points: Numbers | object, name: str = "points") -> Shaped[np.ndarray, "n d"]:
    """Finite real points as `(n, d)`, in their own type; a vector is d = 1.

    Raises `TypeError` for anything but real numbers, and `ValueError` for an empty or wrong shape, NaN and infinity.
    """
    array = _real_numbers(points, name)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"{name} must have shape (n, d), or (n,) for d = 1; got {array.shape}")
    if array.shape[0] == 0:
        raise ValueError(f"{name} is empty: shape {array.shape}; at least one point is needed")
    # A sum is finite only if all its terms are, short of an overflow that the slow test settles.
    with np.errstate(over="ignore", invalid="ignore"):
        total = array.sum(dtype=np.float64)
    if not np.isfinite(total) and (bad := ~np.isfinite(array).all(axis=1)).any():
        raise ValueError(
            f"{name} must be finite; {bad.sum()} of {len(array)} rows hold NaN or infinity, "
            f"the first is row {np.flatnonzero(bad)[0]}"
        )
    return array


def real_array(out: object, name: str) -> Shaped[np.ndarray, "..."]:
    """What anybody's code gave, as real numbers in their own shape. Raises `TypeError` for anything else."""
    try:
        array = np.asarray(out)
    except ValueError:
        array = np.empty(0, object)
    if array.dtype == object:
        raise TypeError(f"{name} must be an array of numbers; got something of type {type(out).__name__}")
    return _real_numbers(array, name)


def first_line(error: Exception) -> str:
    """What went wrong in anybody's code, on one line that is not too long."""
    lines = str(error).strip().splitlines() or [""]
    text = f"{type(error).__name__}: {lines[0]}"
    return text if len(text) <= 160 else f"{text[:157]}..."


def nonnegative_weights(
    weights: Numbers | object, name: str = "weights", size: int | None = None
) -> Float[np.ndarray, "..."]:
    """Nonnegative finite weights with a positive sum, in float64; `(size,)` of them if `size` is given."""
    array = _real_numbers(weights, name).astype(np.float64)
    if size is not None and array.shape != (size,):
        raise ValueError(f"{name} must have shape ({size},), one entry each; got {array.shape}")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite; {np.sum(~np.isfinite(array))} of {array.size} are not")
    if np.any(array < 0):
        raise ValueError(f"{name} must not be negative; the smallest is {array.min():g}")
    if not array.sum() > 0:
        raise ValueError(f"{name} must not sum to zero")
    return array


def _real_numbers(values: Numbers | object, name: str) -> Shaped[np.ndarray, "..."]:
    array = np.asarray(values)
    if array.dtype.kind not in "fiub" and not np.can_cast(array.dtype, np.float64, "same_kind"):
        raise TypeError(f"{name} must be real numbers; got dtype {array.dtype}")
    return array


def grid_resolution(resolution: int | Numbers, dim: int, name: str = "resolution") -> tuple[int, ...]:
    """Cells an axis, a tuple of `dim` integers between 1 and 2**30."""
    n = np.asarray(resolution)
    if not np.issubdtype(n.dtype, np.integer):
        raise TypeError(f"{name} must be an integer or one integer an axis; got {resolution!r}")
    if n.ndim > 1 or (n.ndim == 1 and n.shape != (dim,)):
        raise ValueError(f"{name} must be an integer or {dim} of them; got {resolution!r}")
    if np.any(n < 1) or np.any(n > 1 << 30):
        raise ValueError(f"{name} must lie between 1 and 2**30 on every axis; got {resolution!r}")
    return tuple(int(k) for k in np.broadcast_to(n, (dim,)))


def box_corners(
    low: Numbers, high: Numbers, dim: int, name: str = "the box"
) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " d"]]:
    """The corners of a box as float64 `(d,)`; sides of zero length are allowed.

    Raises `ValueError` for corners that are not finite, have the wrong shape, or are upside down.
    """
    corners = []
    for corner, which in ((low, "low"), (high, "high")):
        array = np.asarray(corner, np.float64)
        if array.ndim > 1 or (array.ndim == 1 and array.shape != (dim,)):
            raise ValueError(f"{which} must be a number or have shape ({dim},); got shape {array.shape}")
        array = np.broadcast_to(array, (dim,))
        if not np.all(np.isfinite(array)) or np.any(np.abs(array) > _LARGEST):
            raise ValueError(f"{which} must be finite and below 1e37 in absolute value; got {array}")
        corners.append(array)
    if np.any(corners[0] > corners[1]):
        raise ValueError(f"{name} is upside down: low must not exceed high; got low={corners[0]}, high={corners[1]}")
    return corners[0], corners[1]


def traced_corners(low: Numbers, high: Numbers, dim: int) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
    """The corners of a box that is traced, taken as they are. Raises `ValueError` for a wrong shape."""
    corners = [jnp.asarray(corner, jnp.result_type(float)) for corner in (low, high)]
    for corner, which in zip(corners, ("low", "high"), strict=True):
        if corner.shape not in ((), (dim,)):
            raise ValueError(f"{which} must be a number or have shape ({dim},); got shape {corner.shape}")
    return jnp.broadcast_to(corners[0], (dim,)), jnp.broadcast_to(corners[1], (dim,))


def require_volume(low: Numbers, high: Numbers) -> None:
    """Raises `ValueError` where a box that a user gave has a side of zero length."""
    flat = np.flatnonzero(np.asarray(low, np.float64) == np.asarray(high, np.float64))
    if flat.size:
        raise ValueError(f"the box has no volume: low equals high on axis {', '.join(map(str, flat[:5]))}")
