"""A uniform number as a fixed-point fraction: 32-bit words, most significant first (theory, section 9)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32


def float_to_words(u: Float[Array, ""], words: int) -> UInt32[Array, " words"]:
    """A float of [0, 1] as a fraction, exactly: shifts by powers of two and floors do not round. 1 becomes 0.111...

    **Example:**

        >>> import jax.numpy as jnp
        >>> from jaxgen.source import float_to_words
        >>> [int(word) for word in float_to_words(jnp.float32(0.75), 2)]
        [3221225472, 0]
    """

    def step(x, _):
        x = x * 2.0**32
        word = jnp.floor(x)
        return x - word, word.astype(jnp.uint32)

    wide = u.astype(jnp.promote_types(u.dtype, jnp.float32))  # a half knows no 2**32
    _, out = jax.lax.scan(step, wide, None, length=words, unroll=words <= 8)
    return jnp.where(wide >= 1, jnp.uint32(0xFFFFFFFF), out)


def words_to_float(words: UInt32[Array, " words"], dtype: jnp.dtype | type) -> Float[Array, ""]:
    """The fraction as a float below 1: as many of its leading bits as the mantissa holds.

    **Example:**

        >>> import jax.numpy as jnp
        >>> from jaxgen.source import words_to_float
        >>> float(words_to_float(jnp.asarray([3221225472], jnp.uint32), jnp.float32))
        0.75
    """
    bits = min(jnp.finfo(dtype).nmant + 1, 32 * words.shape[0])
    out = jnp.zeros((), dtype)
    for i in range(-(-bits // 32)):
        kept = min(32, bits - 32 * i)
        out = out + (words[i] >> (32 - kept)).astype(dtype) * 2.0 ** -(32 * i + kept)
    return out


def stratum_words(
    rank: UInt32[Array, ""], total: UInt32[Array, ""], words: UInt32[Array, " words"]
) -> UInt32[Array, " words"]:
    """The fraction `(rank + 0.words) / total`, by long division; `total <= 2**24`.

    **Example:**

        >>> import jax.numpy as jnp
        >>> from jaxgen.source import stratum_words
        >>> rank, total = jnp.uint32(1), jnp.uint32(4)
        >>> [int(word) for word in stratum_words(rank, total, jnp.asarray([1 << 31], jnp.uint32))]
        [1610612736]
    """

    def step(whole, byte):
        v = (whole << 8) | byte
        return v % total, v // total

    shifts = jnp.arange(24, -1, -8, dtype=jnp.uint32)
    _, out = jax.lax.scan(step, rank, ((words[:, None] >> shifts[None]) & jnp.uint32(255)).reshape(-1))
    return (out.reshape(-1, 4) << shifts[None]).sum(axis=1, dtype=jnp.uint32)
