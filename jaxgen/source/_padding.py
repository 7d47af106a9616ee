"""Arrays between host and device without new programs: sizes of batches that many numbers of samples share."""

import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Int, Shaped


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


def entry(array: Shaped[Array, "n ..."], i: Int[Array, ""]) -> Shaped[Array, "..."]:
    """An entry that is known to be there, so that no loop over samples tests its place or wraps it around.

    **Example:**

        >>> import jax.numpy as jnp
        >>> from jaxgen.source import entry
        >>> int(entry(jnp.arange(6), jnp.asarray(5)))
        5
    """
    return array.at[i].get(mode="promise_in_bounds")


def unstacked(array: Shaped[Array, "n ..."]) -> tuple[Shaped[Array, "..."], ...]:
    """The entries one by one: mapped over samples each is an array of its own, and XLA fuses what is done to it.

    **Example:**

        >>> import jax.numpy as jnp
        >>> from jaxgen.source import unstacked
        >>> [int(x) for x in unstacked(jnp.arange(3))]
        [0, 1, 2]
    """
    return tuple(jax.lax.index_in_dim(array, i, keepdims=False) for i in range(len(array)))


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


def padded(array: Shaped[Array | np.ndarray, "n ..."]) -> Shaped[Array | np.ndarray, "size ..."]:
    """The array with zeros behind, up to `padded_size(n)`; itself, where it is traced, or so large that it is alone.

    **Example:**

        >>> import jax.numpy as jnp
        >>> from jaxgen.source import padded
        >>> padded(jnp.arange(1, 6)).tolist()
        [1, 2, 3, 4, 5, 0]
    """
    more = padded_size(len(array)) - len(array)
    if not more or isinstance(array, Tracer) or array.nbytes > 1 << 26:
        return array
    out = np.pad(np.asarray(array), [(0, more)] + [(0, 0)] * (array.ndim - 1))
    return out if isinstance(array, np.ndarray) else on_device(out)
