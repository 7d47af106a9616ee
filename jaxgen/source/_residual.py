"""The position inside a node, held exactly in uint32 arithmetic (theory, section 9)."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

from ._padding import unstacked

# A fraction of so many words or fewer is a tuple of scalars, and what is done to it is unrolled: mapped over samples,
# each word is an array of its own, and XLA makes one loop of the whole chain. Longer ones are arrays, scanned.
_SHORT = 8
# Steps of `digits` up to which they are unrolled.
_UNROLL = 4

Word = UInt32[Array, ""]
Fraction = tuple[Word, ...] | UInt32[Array, " words"]


def factor_bits(quanta: int) -> int:
    """Bits of a factor beside a count of so many quanta: `quanta * 2**bits <= 2**32`. One of 16, 12 and 8.

    **Example:**

        >>> from jaxgen.source import factor_bits
        >>> factor_bits(1000), factor_bits(2**20), factor_bits(2**24)
        (16, 12, 8)
    """
    return next(bits for bits in (16, 12, 8) if quanta << bits <= 1 << 32 or bits == 8)


def multiplied(fraction: Fraction, factor: int | Word) -> tuple[Word, Fraction]:
    """`factor` times the fraction 0.w_1 w_2 ... in words of 32 bits: its integer part, and what is left.

    **Example:**

        >>> import jax.numpy as jnp
        >>> from jaxgen.source import multiplied
        >>> whole, rest = multiplied(jnp.asarray([3 << 30], jnp.uint32), 10)  # 10 * 3/4
        >>> int(whole), [int(word) for word in rest]
        (7, [2147483648])
    """
    short = isinstance(factor, int) and factor <= 1 << 16
    factor = jnp.asarray(factor, jnp.uint32)

    def step(carry, word):
        return _times_short(word, factor, carry) if short else _times(word, factor, carry)

    return _from_the_last(step, jnp.zeros_like(factor), fraction)


def _times_short(word, factor, carry):
    """`word * factor + carry`, for carry < factor <= 2**16, as (high, low): nothing of it reaches 2**32."""
    low = (word & 0xFFFF) * factor + carry
    high = (word >> 16) * factor + (low >> 16)
    return high >> 16, high << 16 | low & 0xFFFF


# Traced once, as `threefry` is.
@jax.jit
def _times(word, factor, carry):
    """The same for any factor: four products of halves. High is at most factor - 1, so that it is a carry again."""
    low, high, less, more = word & 0xFFFF, word >> 16, factor & 0xFFFF, factor >> 16
    first, second, third = low * less, low * more, high * less
    middle = (first >> 16) + (second & 0xFFFF) + (third & 0xFFFF)
    out = (first & 0xFFFF | middle << 16) + carry
    return high * more + (second >> 16) + (third >> 16) + (middle >> 16) + (out < carry).astype(jnp.uint32), out


def _from_the_last(step: Callable, carry: Word, fraction: Fraction) -> tuple[Word, Fraction]:
    """`carry, word = step(carry, word)` for each word, the last one first."""
    if not isinstance(fraction, tuple):
        return jax.lax.scan(step, carry, fraction, reverse=True)
    words = []
    for word in reversed(fraction):
        carry, word = step(carry, word)
        words.append(word)
    return carry, tuple(reversed(words))


class Residual(eqx.Module):
    """A number of [0, 1) held exactly as `(whole + 0.w_1 w_2 ...) / count`, `0 <= whole < count`.

    The position inside a node that holds `count` quanta, with `count * 2**bits <= 2**32`. The w_i are words of 32 bits.
    Everything a generator does to its source is one operation, `scale`: multiply by an integer, take off the integer
    part. With factor K it is the quantile step, with 2**s it is s folds, with b**m it is m digits of a curve of base b.

    `moved`, where it is given, is exactly 0 and has the derivative of the number (`moved_inside` has the rule), so that
    what `to_float` gives can be differentiated. Without it nothing is spent on derivatives.

    **Example:**

        >>> import jax.numpy as jnp
        >>> from jaxgen.source import Residual
        >>> u = Residual.of_words(jnp.asarray([3 << 30], jnp.uint32), bits=16)  # 3/4
        >>> third, rest = u.scale(3)
        >>> int(third), float(rest.to_float(jnp.float32))
        (2, 0.25)
    """

    whole: Word
    fraction: Fraction
    count: Word
    bits: int = eqx.field(static=True)
    moved: Float[Array, ""] | None = None

    @classmethod
    def of_words(cls, words: UInt32[Array, " words"], bits: int, moved: Float[Array, ""] | None = None) -> "Residual":
        """A uniform number: the fraction that its words write; and its derivative, if any.

        **Example:**

            >>> import jax.numpy as jnp
            >>> from jaxgen.source import Residual
            >>> float(Residual.of_words(jnp.asarray([1 << 31], jnp.uint32), bits=8).to_float(jnp.float32))
            0.5
        """
        one = jnp.ones((), jnp.uint32)
        return cls(0 * one, split_words(words), one, bits, moved)

    def scale(self, factor: int | Word) -> tuple[Word, "Residual"]:
        """`factor` times the number, as an integer and a residual. Needs `factor * count <= 2**32`.

        As the carry from the fraction is below the factor, the largest intermediate is
        `(count - 1) * factor + (factor - 1) < 2**32`.

        **Example:**

            >>> import jax.numpy as jnp
            >>> from jaxgen.source import Residual
            >>> whole, rest = Residual.of_words(jnp.asarray([3 << 30], jnp.uint32), bits=16).scale(10)  # 10 * 3/4
            >>> int(whole), float(rest.to_float(jnp.float32))
            (7, 0.5)
        """
        carry, fraction = multiplied(self.fraction, factor)
        factor = jnp.asarray(factor, jnp.uint32)
        v = self.whole * factor + carry
        out = v // self.count
        moved = None if self.moved is None else self.moved * factor.astype(self.moved.dtype)
        return out, Residual(v - out * self.count, fraction, self.count, self.bits, moved)

    def one_minus(self) -> "Residual":
        """`1 - r`; the endpoint 1 itself, met with probability 2**-(bits of the source), becomes the largest number.

        **Example:**

            >>> import jax.numpy as jnp
            >>> from jaxgen.source import Residual
            >>> r = Residual.of_words(jnp.asarray([3 << 30], jnp.uint32), bits=16)
            >>> float(r.one_minus().to_float(jnp.float32))
            0.25
        """

        def step(carry, word):
            out = ~word + carry
            return (out < carry).astype(jnp.uint32), out

        carry, fraction = _from_the_last(step, jnp.ones_like(self.whole), self.fraction)
        # -fraction = (1 - fraction) - 1 unless the fraction is zero, which the carry out says.
        whole = self.count - 1 - self.whole + carry
        end = whole == self.count
        full = jnp.uint32(0xFFFFFFFF)
        whole, fraction = jax.tree.map(
            lambda last, x: jnp.where(end, last, x),
            (self.count - 1, jax.tree.map(lambda _: full, fraction)),
            (whole, fraction),
        )
        moved = None if self.moved is None else -self.moved
        return Residual(whole, fraction, self.count, self.bits, moved)

    def fold(self, folds: int) -> "Residual":
        """The sawtooth g_s, s = `folds` (theory, section 1): up on dyadic interval number D if D is even, else down.

        **Example:**

            >>> import jax.numpy as jnp
            >>> from jaxgen.source import Residual
            >>> r = Residual.of_words(jnp.asarray([3 << 29], jnp.uint32), bits=16)  # 3/8
            >>> [float(r.fold(s).to_float(jnp.float32)) for s in (1, 2)]
            [0.75, 0.5]
        """
        return self.fold_from_centre(folds, jnp.float32)[1]

    def fold_from_centre(self, folds: int, dtype: jnp.dtype | type) -> tuple[Float[Array, ""], "Residual"]:
        """The centre of the dyadic interval of length 2**-folds that the number lies in, and what `fold` gives."""
        r, teeth = self, []
        while folds > 0:
            now = min(folds, self.bits)
            tooth, r = r.scale(2**now)
            down = r.one_minus()
            odd = tooth % 2 == 1
            r = jax.tree.map(lambda turned, straight, odd=odd: jnp.where(odd, turned, straight), down, r)
            teeth.append((now, tooth.astype(dtype), odd))
            folds -= now
        centre = jnp.asarray(0.5, dtype)
        for now, tooth, odd in reversed(teeth):
            centre = (tooth + jnp.where(odd, 1 - centre, centre)) * 2.0**-now
        return centre, r

    def digits(self, base: int, n: int) -> tuple[Fraction, "Residual"]:
        """The first `n` digits in a base, one by one if they are few, and what is left.

        As many at a time as uint32 allows.

        **Example:**

            >>> import jax.numpy as jnp
            >>> from jaxgen.source import Residual
            >>> digits, rest = Residual.of_words(jnp.asarray([3 << 30], jnp.uint32), bits=16).digits(3, 4)  # 3/4
            >>> [int(digit) for digit in digits], float(rest.to_float(jnp.float32))
            ([2, 0, 2, 0], 0.75)
        """
        at_once = 0
        while base ** (at_once + 1) <= 1 << self.bits:
            at_once += 1
        full, rest = divmod(n, at_once)

        def step(r, number):
            block, r = r.scale(base**number)
            return r, tuple(block // base**j % base for j in reversed(range(number)))

        r, out = self, ()
        if full > _UNROLL:
            r, blocks = jax.lax.scan(lambda r, _: step(r, at_once), self, None, length=full)
            r, last = step(r, rest) if rest else (r, ())
            return jnp.concatenate([jnp.stack(blocks, axis=1).reshape(-1), jnp.asarray(last, jnp.uint32)]), r
        for number in [at_once] * full + [rest] * (rest > 0):
            r, block = step(r, number)
            out += block
        return out, r

    def to_float(self, dtype: jnp.dtype | type) -> Float[Array, ""]:
        """The number, rounded to `dtype`; with its derivative, where it has one.

        **Example:**

            >>> import jax.numpy as jnp
            >>> from jaxgen.source import Residual
            >>> r = Residual(jnp.uint32(1), (jnp.uint32(1 << 31),), jnp.uint32(2), bits=16)  # (1 + 1/2) / 2
            >>> float(r.to_float(jnp.float32))
            0.75
        """
        rest = jnp.zeros((), dtype)
        for word in reversed(self.fraction[:2]):
            rest = (word.astype(dtype) + rest) * 2.0**-32
        value = (self.whole.astype(dtype) + rest) / self.count.astype(dtype)
        return value if self.moved is None else value + self.moved.astype(dtype)


def split_words(words: UInt32[Array, " words"]) -> Fraction:
    """Words as a fraction: one by one if they are few.

    **Example:**

        >>> import jax.numpy as jnp
        >>> from jaxgen.source import split_words
        >>> [int(word) for word in split_words(jnp.asarray([1, 2], jnp.uint32))]
        [1, 2]
    """
    return unstacked(words) if len(words) <= _SHORT else words
