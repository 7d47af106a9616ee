"""The random words of a sample: a function of the key and the number of the sample, and of nothing else.

Words are the Threefry-2x32 cipher of Salmon, Moraes, Dror and Shaw ("Parallel random numbers: as easy as 1, 2, 3",
2011), under a key made from that of the user, of the counters (sample, pair of words). So they are the same in any
chunk, on any number of devices, whatever the implementation of the key and the flags of JAX are; and what XLA makes of
it is one loop, where a key folded in for each sample and words drawn from it are three ciphers and several loops.
"""

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, PRNGKeyArray, UInt32

Pair = tuple[UInt32[Array, "..."], UInt32[Array, "..."]]

# Keeps the words of samples apart from what the user draws with the same key: the first letters of "sample".
_APART = 0x73616D70
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
# Words of a sample up to which each is an array of its own.
_FEW = 8


# Traced once, however many words a sample has: XLA puts the operations back where it is called.
@jax.jit
def threefry(key: Pair, counter: Pair) -> Pair:
    """Two words for a key and a counter of two words each: the 20 rounds of Threefry-2x32.

    **Example:**

        >>> import jax.numpy as jnp
        >>> from jaxgen.source import threefry
        >>> zero = jnp.zeros((), jnp.uint32)
        >>> [hex(int(word)) for word in threefry((zero, zero), (zero, zero))]  # as published with the cipher
        ['0x6b200159', '0x99ba4efe']
    """
    keys = *key, key[0] ^ key[1] ^ 0x1BD11BDA
    x, y = counter[0] + keys[0], counter[1] + keys[1]
    for i in range(5):
        for r in _ROTATIONS[i % 2]:
            x = x + y
            y = x ^ (y << r | y >> (32 - r))
        x, y = x + keys[(i + 1) % 3], y + keys[(i + 2) % 3] + jnp.uint32(i + 1)
    return x, y


# A program of its own, which all samplers share: it takes a fifth of the time that one of theirs takes to compile.
@jax.jit
def seed(key: PRNGKeyArray | UInt32[Array, " words"]) -> Pair:
    """The key of the cipher, from one of JAX, typed or not, of any implementation.

    **Example:**

        >>> import jax
        >>> from jaxgen.source import seed
        >>> [word.dtype.name for word in seed(jax.random.key(0, impl="rbg"))]
        ['uint32', 'uint32']
    """
    words = jr.key_data(jr.fold_in(key, _APART)).reshape(-1, 2)
    out = words[0, 0], words[0, 1]
    for pair in words[1:]:
        out = threefry(out, (pair[0], pair[1]))
    return out


def sample_words(seed: Pair, i: UInt32[Array, ""], sources: int, words: int) -> UInt32[Array, "sources words"]:
    """The words of the uniform numbers of sample i, most significant first.

    **Example:**

        >>> import jax, jax.numpy as jnp
        >>> from jaxgen.source import sample_words, seed
        >>> sample_words(seed(jax.random.key(0)), jnp.uint32(7), sources=2, words=3).shape
        (2, 3)
    """
    pairs = -(-words // 2)
    if sources * words <= _FEW:
        rows = []
        for source in range(sources):
            drawn = [threefry(seed, (i, jnp.uint32(source * pairs + j))) for j in range(pairs)]
            rows.append(jnp.stack([word for pair in drawn for word in pair][:words]))
        return jnp.stack(rows)
    counters = jnp.arange(sources * pairs, dtype=jnp.uint32).reshape(sources, pairs)
    drawn = threefry(seed, (jnp.broadcast_to(i, counters.shape), counters))
    return jnp.stack(drawn, axis=2).reshape(sources, 2 * pairs)[:, :words]
