"""One uniform number with as many bits as a law needs, in uint32 arithmetic (theory, section 9).

A uniform number is a fixed-point fraction of 32-bit words, most significant first. The kernels cut the words into
limbs of `b` bits so small that no product leaves uint32, and carry a *residual*: a number of [0, 1) held exactly as

    (whole + 0.limb_1 limb_2 ...) / count,      0 <= whole < count,

the position inside a node of the quantile tree that holds `count` quanta. Everything a generator does to its source is
one operation on it, `scale`: multiply by an integer, take off the integer part. With factor K it is the quantile step,
with 2**s it is s folds, with 3**m it is m digits of a Peano curve, with 2**b it is long division.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32


class Residual(NamedTuple):
    """(whole + fraction) / count, exactly; `limbs` are the fraction, most significant first."""

    whole: UInt32[Array, ""]
    limbs: UInt32[Array, " limbs"]
    count: UInt32[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]  (tuple.count is not wanted)


# Scans over this many limbs or fewer are unrolled: XLA then fuses the whole chain into one loop over samples.
_UNROLL = 16


def limb_bits(quanta: int) -> int:
    """Bits per limb so that `quanta * 2**bits <= 2**32`."""
    return 16 if quanta <= 1 << 16 else 8


def to_limbs(words: UInt32[Array, " words"], bits: int) -> UInt32[Array, " limbs"]:
    """The same fraction in limbs of 8 or 16 bits."""
    shifts = jnp.arange(32 - bits, -1, -bits, dtype=jnp.uint32)
    return ((words[:, None] >> shifts) & jnp.uint32(2**bits - 1)).reshape(-1)


def from_limbs(limbs: UInt32[Array, " limbs"], bits: int) -> UInt32[Array, " words"]:
    """Inverse of `to_limbs`."""
    shifts = jnp.arange(32 - bits, -1, -bits, dtype=jnp.uint32)
    return (limbs.reshape(-1, 32 // bits) << shifts).sum(axis=1, dtype=jnp.uint32)


def float_to_words(u: Float[Array, ""], words: int) -> UInt32[Array, " words"]:
    """A float of [0, 1] as a fraction, exactly: shifts by powers of two and floors do not round. 1 becomes 0.111..."""

    def step(x, _):
        x = x * 2.0**32
        word = jnp.floor(x)
        return x - word, word.astype(jnp.uint32)

    _, out = jax.lax.scan(step, u, None, length=words)
    return jnp.where(u >= 1, jnp.uint32(0xFFFFFFFF), out)


def scale(r: Residual, factor, bits: int) -> tuple[UInt32[Array, ""], Residual]:
    """`factor * r` as an integer and a residual. Needs `factor * count <= 2**32` and `factor <= 2**(32 - bits)`.

    The largest intermediate is `(2**bits - 1) * factor + (factor - 1) < 2**32`, and in the last step
    `(count - 1) * factor + (factor - 1) < 2**32`.
    """
    factor = jnp.asarray(factor, jnp.uint32)

    def step(carry, limb):
        v = limb * factor + carry
        return v >> bits, v & jnp.uint32(2**bits - 1)

    carry, limbs = jax.lax.scan(
        step, jnp.zeros_like(r.whole), r.limbs, reverse=True, unroll=min(_UNROLL, r.limbs.shape[0])
    )
    v = r.whole * factor + carry
    return v // r.count, Residual(v % r.count, limbs, r.count)


def one_minus(r: Residual, bits: int) -> Residual:
    """`1 - r`; the endpoint 1 itself, met with probability 2**-(bits of the source), becomes the largest residual."""

    def step(carry, limb):
        v = (limb ^ jnp.uint32(2**bits - 1)) + carry
        return v >> bits, v & jnp.uint32(2**bits - 1)

    carry, limbs = jax.lax.scan(
        step, jnp.ones_like(r.whole), r.limbs, reverse=True, unroll=min(_UNROLL, r.limbs.shape[0])
    )
    # -fraction = (1 - fraction) - 1 unless the fraction is zero, which the carry out says.
    whole = r.count - 1 - r.whole + carry
    end = whole == r.count
    return Residual(jnp.where(end, r.count - 1, whole), jnp.where(end, jnp.uint32(2**bits - 1), limbs), r.count)


def fold(r: Residual, folds: int, bits: int) -> Residual:
    """The sawtooth g_s, s = `folds` (theory, section 1): on dyadic interval number D, up if D is even, else down."""
    while folds > 0:
        now = min(folds, bits)
        tooth, r = scale(r, 2**now, bits)
        down = one_minus(r, bits)
        odd = tooth % 2 == 1
        r = Residual(jnp.where(odd, down.whole, r.whole), jnp.where(odd, down.limbs, r.limbs), r.count)
        folds -= now
    return r


def ternary_digits(r: Residual, digits: int, quanta: int, bits: int) -> tuple[UInt32[Array, " digits"], Residual]:
    """The first `digits` base-3 digits of `r`, and what is left; as many at a time as uint32 allows."""
    at_once = 0
    while 3 ** (at_once + 1) * max(quanta, 2**bits) <= 2**32:
        at_once += 1
    powers = jnp.asarray([3**j for j in reversed(range(at_once))], jnp.uint32)

    def step(r, _):
        block, r = scale(r, 3**at_once, bits)
        return r, (block // powers) % 3

    full, rest = divmod(digits, at_once)
    r, blocks = jax.lax.scan(step, r, None, length=full)
    out = [blocks.reshape(-1)]
    if rest:
        block, r = scale(r, 3**rest, bits)
        out.append((block // powers[at_once - rest :]) % 3)
    return jnp.concatenate(out), r


def to_float(r: Residual, bits: int, dtype) -> Float[Array, ""]:
    """The residual, rounded to `dtype`."""
    fraction = jnp.zeros((), dtype)
    for i in reversed(range(min(r.limbs.shape[0], -(-64 // bits)))):
        fraction = (r.limbs[i].astype(dtype) + fraction) * 2.0**-bits
    return (r.whole.astype(dtype) + fraction) / r.count.astype(dtype)


def stratum_words(
    rank: UInt32[Array, ""], total: UInt32[Array, ""], words: UInt32[Array, " words"]
) -> UInt32[Array, " words"]:
    """The fraction `(rank + 0.words) / total`, by long division; `total <= 2**24`."""
    r = Residual(rank, to_limbs(words, 8), total)

    def step(whole, limb):
        v = (whole << 8) | limb
        return v % r.count, v // r.count

    _, limbs = jax.lax.scan(step, r.whole, r.limbs)
    return from_limbs(limbs, 8)
