"""What a generator is trained towards: the data, checked, in the units of the loss and in the order of the batches."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._checks import Numbers, finite_points
from ._batches import curve_order


class Target(NamedTuple):
    """Points centred and divided by `unit`, so that two are a mean squared distance of 1 apart, and their labels."""

    points: Float[Array, "n d"]
    center: Float[Array, " d"]
    unit: Float[Array, ""]
    codes: Int[Array, " n"] | None

    def at(self, chosen: Int[Array, " size"]) -> "Target":
        """Some of the points."""
        return self._replace(points=self.points[chosen], codes=None if self.codes is None else self.codes[chosen])


def make_target(points: Float[np.ndarray, "n d"], codes: Int[np.ndarray, " n"] | None) -> tuple[Target, float]:
    """The target of training, and its unit in float64."""
    order = curve_order(points, codes)
    points = points[order]
    center = points.mean(axis=0)
    unit = math.sqrt(2 * np.mean(np.sum((points - center) ** 2, axis=1)))
    largest = float(np.abs(points).max())
    if unit <= largest * math.sqrt(points.shape[1]) * 2.0**-48:
        # Points that are all alike, up to the rounding of their mean, have no unit of their own.
        unit = largest or 1.0
    ordered = None if codes is None else jnp.asarray(codes[order], jnp.int32)
    return Target(jnp.asarray((points - center) / unit), jnp.asarray(center), jnp.asarray(unit), ordered), unit


def check_data(data: Numbers, dim: int | None, name: str = "data") -> Float[np.ndarray, "n d"]:
    """The data in float64. Raises `ValueError` and `TypeError` for what cannot be trained towards."""
    points = finite_points(data, name).astype(np.float64)
    if dim is not None and points.shape[1] != dim:
        raise ValueError(f"{name} has points of dimension {points.shape[1]}, the generator of dimension {dim}")
    largest, dtype = np.abs(points).max(), jnp.result_type(float)
    if largest > math.sqrt(float(jnp.finfo(dtype).max)) / 16:
        raise ValueError(f"{name} reaches {largest:.3g}, too large to be squared in {dtype}; rescale it")
    return points


def check_labels(
    labels: Iterable[str | int | np.generic] | None, vocabulary: tuple[str | int, ...] | None, n: int
) -> Int[np.ndarray, " n"] | None:
    """The position of each label in the vocabulary. Raises `ValueError` where labels and vocabulary do not fit."""
    if vocabulary is None:
        if labels is not None:
            raise ValueError("labels were given, but the generator has no vocabulary; build it with vocabulary=")
        return None
    if labels is None:
        raise ValueError("the generator is conditional: give labels=, one for each point")
    known = [c.item() if isinstance(c, np.generic) else c for c in labels]
    if len(known) != n:
        raise ValueError(f"labels must hold one label for each point, {n}; got {len(known)}")
    table = {label: code for code, label in enumerate(vocabulary)}
    unknown = sorted({str(c) for c in known if c not in table})
    if unknown:
        raise ValueError(f"labels holds {len(unknown)} not in the generator's vocabulary: {', '.join(unknown[:5])}")
    return np.array([table[c] for c in known])
