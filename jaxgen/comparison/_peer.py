"""What a model of another library is to a comparison."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, ArrayLike, Float

from ..data import Dataset

# A uniform float that is rounded to 0 or 1 has no finite quantile.
_EDGE = 2.0**-24


class Made(NamedTuple):
    """A model, what it was called, and the bits of what it takes to tell it."""

    law: Any
    bits: float | int


class Peer(NamedTuple):
    """A way to fit a model to points: its family in the planes, whether it is made of each split, and how."""

    family: str
    quick: bool
    make: Callable[[Dataset, int], Made]


def normal(u: Float[ArrayLike, " d"]) -> Float[Array, " d"]:
    """Standard normal numbers, as finite functions of uniform ones."""
    return ndtri(jnp.clip(jnp.atleast_1d(jnp.asarray(u)), _EDGE, 1 - _EDGE))
