"""How many bits of u a law needs, and the exact words that a source value stands for (theory, section 9)."""

import math
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, UInt32

from .._checks import Numbers
from ..measures import MAX_QUANTA, AbstractMeasure
from ..source import factor_bits, float_to_words, motion
from ._base import GUARD_BITS, unit_source

if TYPE_CHECKING:
    from ._explicit import AbstractExplicitGenerator
    from ._kernel import AbstractKernel

_MAX_SOURCE_BITS = 1 << 20
# A float source must resolve the finest cells of this much of the mass.
_RESOLVED = 0.99


class Remembered:
    """What was computed from the arrays of a generator, as long as they are the very same.

    Like a record, it is no part of the structure of a generator: all are equal.
    """

    __slots__ = ("_arrays", "_counts", "_found", "_kernel")

    def __init__(self, generator: "AbstractExplicitGenerator"):
        self._counts, self._found, self._arrays, self._kernel = None, (0, 0), [], None
        self.bits(generator)

    def kernel(self, generator: "AbstractExplicitGenerator") -> "AbstractKernel":
        """The kernel of the generator, in arrays of sizes that many kernels share."""
        arrays = jax.tree.leaves(generator)
        if any(isinstance(array, Tracer) for array in arrays):
            return generator.new_kernel()
        known, self_same = self._kernel, len(arrays) == len(self._arrays)
        if known is None or not self_same or any(a is not b for a, b in zip(arrays, self._arrays, strict=True)):
            # Also while some function is traced that knows these arrays: what is remembered must be numbers.
            with jax.ensure_compile_time_eval():
                known = generator.new_kernel().padded()
            self._arrays, self._kernel = arrays, known
        return known

    def bits(self, generator: "AbstractExplicitGenerator") -> tuple[int, int]:
        """Bits that resolve the finest cells of all the mass, and of 99 % of it (theory, section 9).

        Of masses that are not known, because the measure is traced: those of the smallest there can be, and of equal.

        **Raises:** `ValueError` for more quanta than the arithmetic of the generator has room for.
        """
        counts = getattr(generator.measure, "counts", None)
        if counts is None:
            # Whatever the masses are, and if all are the same.
            bits = (math.log2(MAX_QUANTA), math.log2(generator.measure.size))
            every, most = (math.ceil(b + generator.position_bits - 1e-9) for b in bits)
            return every, most
        if counts is not self._counts and not isinstance(counts, Tracer):
            host, most = np.asarray(counts), 1 << (32 - generator.factor_bits)
            if (total := int(host.sum(dtype=np.int64))) > most:
                raise ValueError(
                    f"the counts were changed and sum to {total} now; this generator was built for {most} quanta at "
                    "most: build it anew from its measure"
                )
            self._counts, self._found = counts, _bits_needed(host, generator.position_bits)
        return self._found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remembered)

    def __hash__(self) -> int:
        return 0


def _bits_needed(counts: np.ndarray, position_bits: float) -> tuple[int, int]:
    """A cell of mass p takes log2(1/p) bits to reach and `position_bits` to move in."""
    counts = np.sort(counts.astype(np.int64))
    total = int(counts.sum())
    light = counts[np.searchsorted(np.cumsum(counts), (1 - _RESOLVED) * total)]
    every, most = (math.ceil(math.log2(total / c) + position_bits - 1e-9) for c in (int(counts[0]), int(light)))
    return every, most


def digits_for(measure: AbstractMeasure, position_bits: float, name: str) -> int:
    """Bits of a digit. **Raises:** `ValueError`, naming the argument that asks for too long a source."""
    if position_bits > _MAX_SOURCE_BITS - 24:
        raise ValueError(
            f"{name} asks for a source of {position_bits:.0f} bits; at most 2**20 are possible. Use fewer."
        )
    return factor_bits(int(measure._weights().sum(dtype=np.int64)) if hasattr(measure, "counts") else MAX_QUANTA)


def exact_source(
    generator: "AbstractExplicitGenerator", u: Numbers
) -> tuple[UInt32[Array, "source_dim words"], Float[Array, " source_dim"] | None]:
    """The fixed-point source that floats or uint32 words stand for; of floats, zeros that have their derivatives, too.

    **Raises:** `ValueError` for a wrong shape, and for a float type with fewer bits than resolve the law.
    """
    u, sources = jnp.asarray(u), generator.source_dim
    if u.dtype == jnp.uint32 and u.ndim:
        words = u[None] if u.ndim == 1 and sources == 1 else u
        if words.ndim != 2 or words.shape[0] != sources or words.shape[1] < 1:
            raise ValueError(
                f"u as uint32 words must have shape ({sources}, words); got {u.shape}. Use jax.vmap for a batch."
            )
        return words, None
    u = unit_source(u, sources)
    bits = jnp.finfo(u.dtype).nmant + 1
    if generator.float_bits > bits:
        raise ValueError(
            f"u is {u.dtype}, which holds {bits} bits, but {generator.float_bits} bits are needed to resolve the law "
            f"(and {generator.source_bits} for all of it): the last coordinates would come out wrong. Use `sample`, "
            "which draws as many bits as the law needs, uint32 words, fewer folds or levels, or a wider float."
        )
    # A float32 of [2**-126, 1) ends within 150 places, but its law within bits + guard.
    return _words_of(u, max(generator.source_words, -(-(bits + GUARD_BITS) // 32)))


@eqx.filter_jit
def _words_of(
    u: Float[Array, " sources"], length: int
) -> tuple[UInt32[Array, "sources words"], Float[Array, " sources"]]:
    words = jax.vmap(lambda v: float_to_words(v, length))(jax.lax.stop_gradient(u))
    return words, motion(u).astype(jnp.result_type(float))
