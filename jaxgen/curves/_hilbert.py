"""The Hilbert curve of any dimension: its order and kernel on bits (theory, section 4).

J. Skilling, *Programming the Hilbert curve* (2004), read from the top: at each level the bits of the coordinates are
taken in a frame, axes exchanged and turned over, that the levels above have led to. With b_0, ..., b_{d-1} the bits in
the frame, the digits of the index are `g_i + s` modulo 2, where `g_i = b_0 + ... + b_i` and s is the sum of g_{d-1}
over the levels above; then, for i = 0, 1, ... in turn, the axis 0 of the frame is turned over if b_i = 1, and exchanged
with axis i else.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, UInt32

from ._abstract import AbstractCurve

_WORD_BITS = 64


class HilbertCurve(AbstractCurve):
    """The Hilbert curve in base 2: consecutive cells share a face, and finer levels than those of base 3 can be had.

    It has no recursive ReLU network: the frame of a level permutes the axes, so that each coordinate would be a product
    of a signal and an indicator of one of the d 2**(d-1) frames, where the Peano curve needs reflections only, which
    the triangle wave makes by itself.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.curves import HilbertCurve
        >>> cells = np.indices((2, 2)).reshape(2, -1).T
        >>> cells[HilbertCurve().argsort(cells, levels=1)].tolist()
        [[0, 0], [0, 1], [1, 1], [1, 0]]
    """

    base: ClassVar[int] = 2

    def keys(self, cells: Int[np.ndarray, "m d"], levels: int) -> list[np.ndarray]:
        """Words of 64 bits of the index, one bit of all cells at a time."""
        x = np.ascontiguousarray(np.asarray(cells).T).astype(np.uint32)
        d, m = x.shape
        words = np.zeros((max(1, -(-levels * d // _WORD_BITS)), m), np.uint64)
        spin = np.zeros(m, np.uint32)
        for level in range(levels):
            bit, below = np.uint32(levels - 1 - level), np.uint32((1 << (levels - 1 - level)) - 1)
            gray = spin
            bits = x >> bit & np.uint32(1)
            for i in range(d):
                gray = gray ^ bits[i]
                word = words[(level * d + i) // _WORD_BITS]
                word *= np.uint64(2)
                word += gray
                # Axis 0 is turned over where the bit is set, else exchanged with axis i, in the bits below.
                change = np.where(bits[i] == 1, below, (x[0] ^ x[i]) & below)
                x[i] ^= np.where(bits[i] == 1, np.uint32(0), change)
                x[0] ^= change if i else np.where(bits[i] == 1, below, np.uint32(0))
            spin = gray
        return list(words)

    def steps(
        self, digits: UInt32[Array, "levels d"], cell: Int[Array, " d"], cell_levels: int
    ) -> tuple[UInt32[Array, "levels d"], Bool[Array, " d"]]:
        """Follows the frame through the bits of the cell, then from digits to bits.

        The last coordinate runs as the frame says. The others go with it or against it such that the diagonals of
        neighbouring cells are mirror images, as they are along the Peano curve (theory, section 4).
        """
        dim = digits.shape[1]
        whole = cell.astype(jnp.uint32)
        axes, turned = jnp.arange(dim, dtype=jnp.int32), jnp.zeros((dim,), jnp.uint32)
        shifts = jnp.arange(cell_levels - 1, -1, -1, dtype=jnp.uint32)

        def above(state, shift):
            axes, turned, spin = state
            bits = (whole[axes] >> shift & 1) ^ turned
            return (*_next_frame(axes, turned, bits), spin ^ _parity(bits)), None

        def inside(state, digit):
            axes, turned, spin = state
            gray = digit ^ spin
            bits = gray ^ jnp.concatenate([jnp.zeros((1,), jnp.uint32), gray[:-1]])
            out = jnp.zeros((dim,), jnp.uint32).at[axes].set(bits ^ turned)
            # The sum carried on is g_{d-1} + s: the last digit itself.
            return (*_next_frame(axes, turned, bits), digit[-1]), out

        state, _ = jax.lax.scan(above, (axes, turned, jnp.zeros((), jnp.uint32)), shifts)
        (axes, turned, _), bits = jax.lax.scan(inside, state, digits.astype(jnp.uint32))
        odd = (bits[-1] if len(digits) else whole) & 1
        backward = jnp.zeros((dim,), jnp.uint32).at[axes].set(turned)[-1] ^ odd[-1] ^ odd
        return bits, backward == 1

    def _no_network(self) -> str:
        return (
            "the Hilbert curve has no recursive ReLU network: its frames exchange the axes, which takes a product of "
            "signals at each level. Use extra_levels=0 for the network (a staircase to the cells), or the Peano curve"
        )


def _parity(bits: UInt32[Array, " d"]) -> UInt32[Array, ""]:
    return bits.sum(dtype=jnp.uint32) & 1


def _next_frame(axes, turned, bits):
    """Axis 0 turned over for a bit that is set, exchanged with axis i for one that is not, i = 0, 1, ... in turn."""

    def step(frame, i):
        axes, turned = frame
        on = bits[i] == 1
        swapped = (axes.at[0].set(axes[i]).at[i].set(axes[0]), turned.at[0].set(turned[i]).at[i].set(turned[0]))
        axes = jnp.where(on, axes, swapped[0])
        turned = jnp.where(on, turned.at[0].set(turned[0] ^ 1), swapped[1])
        return (axes, turned), None

    return jax.lax.scan(step, (axes, turned), jnp.arange(bits.shape[0]))[0]
