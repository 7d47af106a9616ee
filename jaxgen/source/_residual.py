"""The position inside a node, held exactly in uint32 arithmetic (theory, section 9)."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

# Scans over this many digits or fewer are unrolled: XLA then fuses the whole chain into one loop over samples.
_UNROLL = 16


def digit_bits(quanta: int) -> int:
    """Bits of a digit so that `quanta * 2**bits <= 2**32`.

    **Example:**

        >>> from jaxgen.source import digit_bits
        >>> digit_bits(1000), digit_bits(2**24)
        (16, 8)
    """
    return 16 if quanta <= 1 << 16 else 8


class Residual(eqx.Module):
    """A number of [0, 1) held exactly as `(whole + 0.b_1 b_2 ...) / count`, `0 <= whole < count`.

    The position inside a node that holds `count` quanta. The digits b_i have `bits` bits, so few that no product leaves
    uint32. Everything a generator does to its source is one operation, `scale`: multiply by an integer, take off the
    integer part. With factor K it is the quantile step, with 2**s it is s folds, with b**m it is m digits of a curve of
    base b, with 2**bits it is long division.

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

    whole: UInt32[Array, ""]
    fraction: UInt32[Array, " digits"]
    count: UInt32[Array, ""]
    bits: int = eqx.field(static=True)
    moved: Float[Array, ""] | None = None

    @classmethod
    def of_words(cls, words: UInt32[Array, " words"], bits: int, moved: Float[Array, ""] | None = None) -> "Residual":
        """A uniform number: the fraction that its words write, in digits of 8 or 16 bits; and its derivative, if any.

        **Example:**

            >>> import jax.numpy as jnp
            >>> from jaxgen.source import Residual
            >>> float(Residual.of_words(jnp.asarray([1 << 31], jnp.uint32), bits=8).to_float(jnp.float32))
            0.5
        """
        shifts = jnp.arange(32 - bits, -1, -bits, dtype=jnp.uint32)
        fraction = ((words[:, None] >> shifts[None]) & jnp.uint32(2**bits - 1)).reshape(-1)
        one = jnp.ones((), jnp.uint32)
        return cls(0 * one, fraction, one, bits, moved)

    def scale(self, factor: int | UInt32[Array, ""]) -> tuple[UInt32[Array, ""], "Residual"]:
        """`factor` times the number, as an integer and a residual.

        Needs `factor * count <= 2**32` and `factor <= 2**(32 - bits)`. The largest intermediate is
        `(2**bits - 1) * factor + (factor - 1) < 2**32`, and in the last step
        `(count - 1) * factor + (factor - 1) < 2**32`.

        **Example:**

            >>> import jax.numpy as jnp
            >>> from jaxgen.source import Residual
            >>> whole, rest = Residual.of_words(jnp.asarray([3 << 30], jnp.uint32), bits=16).scale(10)  # 10 * 3/4
            >>> int(whole), float(rest.to_float(jnp.float32))
            (7, 0.5)
        """
        factor = jnp.asarray(factor, jnp.uint32)

        def step(carry, digit):
            v = digit * factor + carry
            return v >> self.bits, v & jnp.uint32(2**self.bits - 1)

        carry, fraction = self._from_the_last(step, jnp.zeros_like(self.whole))
        v = self.whole * factor + carry
        moved = None if self.moved is None else self.moved * factor.astype(self.moved.dtype)
        return v // self.count, Residual(v % self.count, fraction, self.count, self.bits, moved)

    def one_minus(self) -> "Residual":
        """`1 - r`; the endpoint 1 itself, met with probability 2**-(bits of the source), becomes the largest number.

        **Example:**

            >>> import jax.numpy as jnp
            >>> from jaxgen.source import Residual
            >>> r = Residual.of_words(jnp.asarray([3 << 30], jnp.uint32), bits=16)
            >>> float(r.one_minus().to_float(jnp.float32))
            0.25
        """
        full = jnp.uint32(2**self.bits - 1)

        def step(carry, digit):
            v = (digit ^ full) + carry
            return v >> self.bits, v & full

        carry, fraction = self._from_the_last(step, jnp.ones_like(self.whole))
        # -fraction = (1 - fraction) - 1 unless the fraction is zero, which the carry out says.
        whole = self.count - 1 - self.whole + carry
        end = whole == self.count
        whole, fraction = jnp.where(end, self.count - 1, whole), jnp.where(end, full, fraction)
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

    def digits(self, base: int, n: int) -> tuple[UInt32[Array, " n"], "Residual"]:
        """The first `n` digits in a base, and what is left; as many at a time as uint32 allows.

        **Example:**

            >>> import jax.numpy as jnp
            >>> from jaxgen.source import Residual
            >>> digits, rest = Residual.of_words(jnp.asarray([3 << 30], jnp.uint32), bits=16).digits(3, 4)  # 3/4
            >>> digits.tolist(), float(rest.to_float(jnp.float32))
            ([2, 0, 2, 0], 0.75)
        """
        at_once = 0
        # Digits of 8 bits stand beside counts of up to 2**24, those of 16 beside 2**16.
        while base ** (at_once + 1) * (1 << (32 - self.bits)) <= 2**32:
            at_once += 1
        powers = jnp.asarray([base**j for j in reversed(range(at_once))], jnp.uint32)

        def step(r, _):
            block, r = r.scale(base**at_once)
            return r, (block // powers) % base

        full, rest = divmod(n, at_once)
        r, blocks = jax.lax.scan(step, self, None, length=full)
        out = [blocks.reshape(-1)]
        if rest:
            block, r = r.scale(base**rest)
            out.append((block // powers[at_once - rest :]) % base)
        return jnp.concatenate(out), r

    def to_float(self, dtype: jnp.dtype | type) -> Float[Array, ""]:
        """The number, rounded to `dtype`; with its derivative, where it has one.

        **Example:**

            >>> import jax.numpy as jnp
            >>> from jaxgen.source import Residual
            >>> r = Residual(jnp.uint32(1), jnp.asarray([1 << 15], jnp.uint32), jnp.uint32(2), bits=16)  # (1 + 1/2) / 2
            >>> float(r.to_float(jnp.float32))
            0.75
        """
        rest = jnp.zeros((), dtype)
        for i in reversed(range(min(self.fraction.shape[0], -(-64 // self.bits)))):
            rest = (self.fraction[i].astype(dtype) + rest) * 2.0**-self.bits
        value = (self.whole.astype(dtype) + rest) / self.count.astype(dtype)
        return value if self.moved is None else value + self.moved.astype(dtype)

    def _from_the_last(self, step, carry):
        return jax.lax.scan(step, carry, self.fraction, reverse=True, unroll=min(_UNROLL, self.fraction.shape[0]))
