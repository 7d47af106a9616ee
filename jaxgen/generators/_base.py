"""What every generator is: a map from `source_dim` uniform numbers, and perhaps a prompt, to a point of R^d."""

import abc
import dataclasses
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

from ..curves import float_to_words, stratum_words
from ..relu import ReLUNetwork
from ._labels import Condition, Label, label_code, label_codes

# Bits drawn beyond the last one that the law needs: the masses of the finest cells are then right to 2**-GUARD_BITS.
GUARD_BITS = 32
# Numbers alive at once while sampling. It bounds the memory beside the output, and nothing else: sample i is a function
# of the key and of i alone, whatever the chunk it is drawn in.
_CHUNK_NUMBERS = 1 << 22


@dataclasses.dataclass(frozen=True)
class Certificate:
    """A proven bound on the Wasserstein distance between the law of a generator and its measure.

    `w1` and `w2` bound W_1 and W_2 for the Euclidean norm, in the units of the data; `parts` names what they are made
    of, as pairs `(w1, w2)`, and `rule` says how the parts combine.
    """

    w1: float
    w2: float
    parts: dict[str, tuple[float, float]]
    rule: str = ""


class Size(NamedTuple):
    """What the ReLU form of a generator takes (theory, section 1)."""

    depth: int
    width: int
    connectivity: int


class AbstractGenerator(eqx.Module):
    """A map from `source_dim` uniform numbers to a point of R^`dim`.

    `source_bits` is the number of bits of each uniform number that the law needs (theory, section 9). A conditional
    generator has a `vocabulary`, the labels it can be asked for; it is `None` otherwise.
    """

    dim: eqx.AbstractVar[int]
    source_dim: eqx.AbstractVar[int]
    source_bits: eqx.AbstractVar[int]
    vocabulary: eqx.AbstractVar[tuple[Label, ...] | None]

    @abc.abstractmethod
    def __call__(self, u: Any, condition: Label | None = None) -> Float[Array, " dim"]:
        """The point that one source value, a scalar or `(source_dim,)` in [0, 1], is sent to."""

    @abc.abstractmethod
    def network(self) -> ReLUNetwork:
        """The same map as a ReLU network, layer by layer."""

    @abc.abstractmethod
    def certificate(self) -> Certificate:
        """A proven bound on the distance of the law from its measure; raises `ValueError` if there is none."""

    @abc.abstractmethod
    def _push(
        self, words: UInt32[Array, "source_dim words"], code: Int[Array, ""] | None
    ) -> tuple[Float[Array, " dim"], Int[Array, ""]]:
        """The point, and the code of its label, for one fixed-point source (most significant word first).

        `code` asks for a label of the vocabulary; `None` leaves the label to the law.
        """

    def size(self) -> Size | None:
        """Depth, width and connectivity of `network()`; `None` where there is no ReLU form."""
        network = self.network()
        return Size(network.depth, network.width, network.connectivity)

    def bits(self) -> int:
        """Bits of the whole file that holds the generator, trained weights at 32 bits each."""
        from ..coding import code_length

        return code_length(self)

    @property
    def source_words(self) -> int:
        """Number of 32-bit words of each uniform number that `sample` draws."""
        return math.ceil((self.source_bits + GUARD_BITS) / 32)

    @property
    def _numbers_per_sample(self) -> int:
        return self.dim + self.source_dim * self.source_words

    def sample(
        self,
        key: PRNGKeyArray,
        n: int,
        condition: Condition = None,
        stratified: bool = False,
        return_labels: bool = False,
    ) -> Any:
        """Draws `n` points, shape `(n, dim)`, in the coordinates of the data the generator was made from.

        The source is drawn with as many bits as the law needs (`source_bits`, and a guard of 32), so that no law is
        too deep for it. Point i is a function of `key` and i alone.

        - `condition`: a label, a sequence of labels (one a sample), or a mapping from labels to weights (each sample
          draws its label); `None` draws from the joint law.
        - `stratified`: one source value in each of [j/n, (j+1)/n), within each label asked for (theory, section 4).
        - `return_labels`: also return the labels, a list, one a sample.

        Raises `ValueError` for n < 1, an unknown label (naming the nearest known ones), a condition on an
        unconditional generator, and `stratified=True` with more than one source or n > 2**24.
        """
        n, codes, strata = self._plan(key, n, condition, stratified)
        x, labels = _draw(self, key, jnp.zeros((), jnp.uint32), n, codes, strata)
        return self._result(x, labels, return_labels)

    def stream(
        self,
        key: PRNGKeyArray,
        n: int,
        condition: Condition = None,
        stratified: bool = False,
        return_labels: bool = False,
        chunk_size: int | None = None,
    ) -> Iterator[Any]:
        """Yields the points of `sample(key, n, ...)`, in order, `chunk_size` at a time: for outputs beyond memory.

        The default chunk holds about 2**22 numbers. Arguments and errors as in `sample`.
        """
        n, codes, strata = self._plan(key, n, condition, stratified)
        default = max(1, _CHUNK_NUMBERS // self._numbers_per_sample)
        size = min(n, default if chunk_size is None else chunk_size)
        if size < 1:
            raise ValueError(f"chunk_size must be at least 1; got {chunk_size}")

        def chunks():
            for first in range(0, n, size):
                part = slice(first, min(first + size, n))
                some = None if codes is None else codes[part]
                where = None if strata is None else tuple(a[part] for a in strata)
                x, labels = _draw(self, key, jnp.asarray(first, jnp.uint32), part.stop - first, some, where)
                yield self._result(x, labels, return_labels)

        return chunks()

    def _plan(self, key, n, condition, stratified):
        if isinstance(n, bool) or not isinstance(n, int | np.integer):
            raise TypeError(f"n, the number of samples, must be an integer; got {type(n).__name__}")
        if not 1 <= n < 2**32:
            raise ValueError(f"n, the number of samples, must lie between 1 and 2**32 - 1; got {n}")
        n = int(n)
        codes = label_codes(condition, self.vocabulary, n, key, stratified)
        if not stratified:
            return n, codes, None
        if self.source_dim != 1:
            raise ValueError(
                f"stratified=True needs a generator with one source; this one has {self.source_dim}. "
                "Use stratified=False."
            )
        if n > 1 << 24:
            raise ValueError(f"stratified=True takes at most 2**24 samples at a time; got n={n}")
        # Sample j is number `rank` of the `total` that share its label.
        groups = np.zeros(n, np.int64) if codes is None else np.asarray(codes)
        totals = np.bincount(groups)
        order = np.argsort(groups, kind="stable")
        ranks = np.empty(n, np.uint32)
        ranks[order] = np.arange(n) - np.repeat(np.cumsum(totals) - totals, totals)
        return n, codes, (jnp.asarray(ranks), jnp.asarray(totals[groups].astype(np.uint32)))

    def _result(self, x, labels, return_labels):
        if not return_labels:
            return x
        if self.vocabulary is None:
            raise ValueError("return_labels=True needs a generator with labels; this one has none")
        return x, [self.vocabulary[i] for i in np.asarray(labels)]

    def _code(self, condition: Label | None) -> Int[Array, ""] | None:
        code = label_code(condition, self.vocabulary)
        return None if code is None else jnp.asarray(code, jnp.int32)


@eqx.filter_jit
def _draw(generator, key, first, n: int, codes, strata):
    """Points `first` to `first + n` of the stream that belongs to `key`, in chunks of bounded memory."""
    words = generator.source_words

    def one(i, code, stratum):
        bits = jr.bits(jr.fold_in(key, first + i), (generator.source_dim, words), jnp.uint32)
        if stratum is not None:
            rank, total = stratum
            bits = stratum_words(rank, total, bits[0])[None]
        return generator._push(bits, code)

    chunk = max(1, min(n, _CHUNK_NUMBERS // generator._numbers_per_sample))
    index = (jnp.arange(n, dtype=jnp.uint32), codes, strata)
    if chunk == n:
        return jax.vmap(one)(*index)
    return jax.lax.map(lambda args: one(*args), index, batch_size=chunk)


def require_unit_interval(u, source_dim: int):
    """`u` as a float array of shape `(source_dim,)`, with a runtime error outside [0, 1]."""
    u = jnp.asarray(u)
    if not jnp.issubdtype(u.dtype, jnp.floating):
        u = u.astype(jnp.result_type(float))
    if u.shape not in ((source_dim,), () if source_dim == 1 else (source_dim,)):
        raise ValueError(
            f"u must have shape {() if source_dim == 1 else ''} or ({source_dim},); got {u.shape}. "
            "A generator maps one source value; use jax.vmap for a batch."
        )
    return _in_unit_interval(u.reshape(source_dim))


@eqx.filter_jit
def _in_unit_interval(u):
    return eqx.error_if(u, ~jnp.all((u >= 0) & (u <= 1)), "u must lie in [0, 1]")


def exact_words(generator: Any, u: Any) -> UInt32[Array, "source_dim words"]:
    """The fixed-point source that floats or uint32 words stand for, for a generator that says its `float_bits`.

    Raises `ValueError` for a wrong shape, and for a float type with fewer bits than resolve the law.
    """
    u, sources = jnp.asarray(u), generator.source_dim
    if u.dtype == jnp.uint32 and u.ndim:
        words = u[None] if u.ndim == 1 and sources == 1 else u
        if words.ndim != 2 or words.shape[0] != sources or words.shape[1] < 1:
            raise ValueError(
                f"u as uint32 words must have shape ({sources}, words); got {u.shape}. Use jax.vmap for a batch."
            )
        return words
    u = require_unit_interval(u, sources)
    bits = jnp.finfo(u.dtype).nmant + 1
    if generator.float_bits > bits:
        raise ValueError(
            f"u is {u.dtype}, which holds {bits} bits, but {generator.float_bits} bits are needed to resolve the law "
            f"(and {generator.source_bits} for all of it): the last coordinates would come out wrong. Use `sample`, "
            "which draws as many bits as the law needs, uint32 words, fewer folds or levels, or a wider float."
        )
    # A float32 of [2**-126, 1) ends within 150 places, but its law within bits + guard.
    length = max(generator.source_words, -(-(bits + GUARD_BITS) // 32))
    return _words_of(u, length)


# Called eagerly, a kernel would be traced and compiled anew at each call, and the memory of its programs never given
# back; called through one jitted function it is compiled once for each kind and shape.
@eqx.filter_jit
def point_at(generator: AbstractGenerator, words: UInt32[Array, "source_dim words"], code: Int[Array, ""] | None):
    """The point that one fixed-point source is sent to."""
    return generator._push(words, code)[0]


@eqx.filter_jit
def _words_of(u, length: int):
    return jax.vmap(lambda v: float_to_words(v, length))(u)
