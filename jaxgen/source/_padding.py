"""Sizes of batches that many numbers of samples share, so that a new number is no new program."""

import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Shaped


def padded_size(n: int) -> int:
    """The least of 2**k and 3 * 2**k that is at least n: at most a half more."""
    power = 1 << max(0, (n - 1).bit_length())
    return 3 * power // 4 if power >= 4 and n <= 3 * power // 4 else power


def cut(array: Shaped[Array, "size ..."], n: int) -> Shaped[Array, "n ..."]:
    """The first n entries; on the host where they are few, where a cut of a new size compiles nothing."""
    if array.shape[0] == n:
        return array
    if isinstance(array, Tracer) or array.nbytes > 1 << 26:
        return array[:n]
    return jax.device_put(np.asarray(array)[:n], array.sharding)
