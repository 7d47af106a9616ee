"""Arrays between host and device without new programs: sizes of batches that many numbers of samples share."""

import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Shaped


def padded_size(n: int) -> int:
    """The least of 2**k and 3 * 2**k that is at least n: at most a half more.

    **Example:**

        >>> from jaxgen.source import padded_size
        >>> [padded_size(n) for n in (1, 3, 5, 7, 96, 97)]
        [1, 3, 6, 8, 96, 128]
    """
    power = 1 << max(0, (n - 1).bit_length())
    return 3 * power // 4 if power >= 4 and n <= 3 * power // 4 else power


def cut(array: Shaped[Array, "size ..."], n: int) -> Shaped[Array, "n ..."]:
    """The first n entries; on the host where they are few, where a cut of a new size compiles nothing.

    **Example:**

        >>> import jax.numpy as jnp
        >>> from jaxgen.source import cut
        >>> cut(jnp.arange(6), 5).tolist()
        [0, 1, 2, 3, 4]
    """
    if array.shape[0] == n:
        return array
    if isinstance(array, Tracer) or array.nbytes > 1 << 26:
        return array[:n]
    return jax.device_put(np.asarray(array)[:n], array.sharding)


def on_device(array: Shaped[np.ndarray, "..."]) -> Shaped[Array, "..."]:
    """An array of the host as one of the device, known in its entries while a function is traced.

    By `device_put`, because `jnp.asarray` compiles a copy for each new shape.

    **Example:**

        >>> import jax, numpy as np
        >>> from jaxgen.source import on_device
        >>> float(jax.jit(lambda x: x * np.asarray(on_device(np.arange(3))).sum())(2.0))
        6.0
    """
    with jax.ensure_compile_time_eval():
        return jax.device_put(array)
