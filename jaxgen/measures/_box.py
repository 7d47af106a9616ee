"""Boxes, resolutions and weights, checked where a user hands them over."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def as_resolution(resolution: int | Sequence[int], dim: int) -> tuple[int, ...]:
    """Cells an axis, a tuple of `dim` integers.

    Raises `ValueError` below 1 or above 2**30, and `TypeError` for anything but integers.
    """
    n = np.asarray(resolution)
    if not np.issubdtype(n.dtype, np.integer):
        raise TypeError(f"resolution must be an integer or one integer an axis; got {resolution!r}")
    if n.ndim > 1 or (n.ndim == 1 and n.shape != (dim,)):
        raise ValueError(f"resolution must be an integer or {dim} of them; got {resolution!r}")
    if np.any(n < 1) or np.any(n > 1 << 30):
        raise ValueError(f"resolution must lie between 1 and 2**30 on every axis; got {resolution!r}")
    return tuple(int(k) for k in np.broadcast_to(n, (dim,)))


def as_box(low: Any, high: Any, dim: int, name: str = "the box") -> tuple[Float[Array, " d"], Float[Array, " d"]]:
    """Corners of a box in the default float type, rounded outwards so that no point of the box is lost.

    A side of zero length stays one: its two ends are rounded to the nearest. Raises `ValueError` for corners that are
    not finite, have the wrong shape, or are upside down.
    """
    corners, out = [], []
    dtype = jnp.result_type(float)
    for corner, which in ((low, "low"), (high, "high")):
        corner = np.asarray(corner, np.float64)
        if corner.ndim > 1 or (corner.ndim == 1 and corner.shape != (dim,)):
            raise ValueError(f"{which} must be a number or have shape ({dim},); got shape {corner.shape}")
        corner = np.broadcast_to(corner, (dim,))
        if not np.all(np.isfinite(corner)) or np.any(np.abs(corner) > 1e37):
            raise ValueError(f"{which} must be finite and below 1e37 in absolute value; got {corner}")
        corners.append(corner)
    flat = corners[0] == corners[1]
    for corner, away in zip(corners, (-np.inf, np.inf), strict=True):
        near = corner.astype(dtype)
        wrong = (near > corner) if away < 0 else (near < corner)
        out.append(np.where(wrong & ~flat, np.nextafter(near, np.asarray(away, dtype)), near))
    if np.any(out[0] > out[1]):
        raise ValueError(f"{name} is upside down: low must not exceed high; got low={out[0]}, high={out[1]}")
    return jnp.asarray(out[0], dtype), jnp.asarray(out[1], dtype)


def require_volume(low: Any, high: Any) -> None:
    """Raises `ValueError` where a box that a user gave has a side of zero length."""
    flat = np.flatnonzero(np.asarray(low, np.float64) == np.asarray(high, np.float64))
    if flat.size:
        raise ValueError(f"the box has no volume: low equals high on axis {', '.join(map(str, flat[:5]))}")


def check_weights(weights, name: str) -> np.ndarray:
    """Nonnegative finite weights with a positive sum, in float64."""
    weights = np.asarray(weights, np.float64)
    if not np.all(np.isfinite(weights)):
        raise ValueError(f"{name} must be finite; {np.sum(~np.isfinite(weights))} of {weights.size} are not")
    if np.any(weights < 0):
        raise ValueError(f"{name} must not be negative; the smallest is {weights.min():g}")
    if not weights.sum() > 0:
        raise ValueError(f"{name} must not sum to zero")
    return weights
