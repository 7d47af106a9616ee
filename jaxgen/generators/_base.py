"""What every generator is: a map from uniform numbers, and perhaps a label, to a point of R^d."""

import abc
import math
import warnings
from collections.abc import Iterator
from typing import Any, ClassVar, Literal, NamedTuple, overload

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray, UInt32

from .._checks import Numbers, whole_number
from ..coding import code_length
from ..measures import Condition, Label
from ..relu import ReLUNetwork
from ..source import cut, padded_size, sample_words, seed, stratum_words, words_to_float
from ._certificate import Certificate
from ._conditions import sample_codes

# Bits drawn beyond the last one that the law needs: the masses of the finest cells are then right to 2**-GUARD_BITS.
GUARD_BITS = 32
# Numbers alive at once while sampling. It bounds the memory beside the output, and nothing else: sample i is a function
# of the key and of i alone, whatever the chunk it is drawn in.
_CHUNK_NUMBERS = 1 << 22


class Size(NamedTuple):
    """What the ReLU form of a generator takes (theory, section 1).

    **Example:**

        >>> import jaxgen as jg
        >>> jg.CodebookGenerator([0.0, 1.0, 3.0]).size()
        Size(depth=3, width=2, connectivity=10)
    """

    depth: int
    width: int
    connectivity: int


class AbstractGenerator(eqx.Module):
    """A map from `source_dim` uniform numbers to a point of R^`dim`.

    A subclass gives `dim` and `__call__`, and can then be sampled, streamed, compared and saved:

    - `dim`: dimension of the points; `source_dim`: how many uniform numbers go in, 1 unless it says otherwise.
    - `__call__(u)`: the point of one source value, a scalar if `source_dim` is 1, else `(source_dim,)`; in JAX.
    - If it has labels: `vocabulary`, a tuple of them, and `__call__(u, condition=None, *, code=None)`, where
        `condition` is a label and `code` the position of one, possibly traced.
    - If floats are too coarse for it: `push(words, code)`, the same map of exact words, and `source_bits`.
    - If it has them: `network()`, the same map as a ReLU network, and `certificate()`, a proven bound. A report says
        where they are missing.

    Fields are what makes an instance: `save` writes them, and `load` finds the class, which must be defined, by name.

    **Example:** the uniform law on a hoop.

        >>> import equinox as eqx, jax, jax.numpy as jnp, jaxgen as jg
        >>> class Hoop(jg.AbstractGenerator):
        ...     radius: float
        ...     dim = 2
        ...     def __call__(self, u):
        ...         return self.radius * jnp.stack([jnp.cos(2 * jnp.pi * u), jnp.sin(2 * jnp.pi * u)])
        >>> hoop = Hoop(2.0)
        >>> hoop.sample(jax.random.key(0), 5).shape
        (5, 2)
        >>> jg.decode(jg.encode(hoop)).radius
        2.0
    """

    dim: eqx.AbstractVar[int]
    source_dim: ClassVar[int] = 1
    source_bits: ClassVar[int] = 24
    vocabulary: ClassVar[tuple[Label, ...] | None] = None

    @abc.abstractmethod
    def __call__(self, u: ArrayLike) -> Float[Array, " dim"]:
        """The point that one source value, a scalar or `(source_dim,)` in [0, 1], is sent to."""

    def push(
        self, words: UInt32[Array, "source_dim words"], code: Int[Array, ""] | None
    ) -> tuple[Float[Array, " dim"], Int[Array, ""]]:
        """The point, and the code of its label, for one fixed-point source (most significant word first).

        `code` asks for a label of the vocabulary; `None` leaves the label to the law. By default the words are rounded
        down to floats and called; the code is then -1 where the law chose a label that only it knows.

        **Example:**

            >>> import jax.numpy as jnp, jaxgen as jg
            >>> g = jg.GridMeasure.from_histogram([1, 3], high=4.0).generator()
            >>> g.push(jnp.asarray([[1 << 31, 0]], jnp.uint32), None)[0].tolist()  # u = 1/2, exactly
            [2.6666667461395264]
        """
        u = jax.vmap(lambda w: words_to_float(w, jnp.result_type(float)))(words)
        u = u[0] if self.source_dim == 1 else u
        x = self(u) if code is None else self(u, code=code)  # pyright: ignore[reportCallIssue]
        return jnp.asarray(x).reshape(self.dim), jnp.asarray(-1 if code is None else code, jnp.int32)

    def kernel(self) -> Any:
        """What has `push`, and all that it needs, computed before it is compiled: by default the generator itself.

        **Example:**

            >>> import jax, jaxgen as jg
            >>> g = jg.MLPGenerator(dim=2, key=jax.random.key(0))
            >>> g.kernel() is g
            True
        """
        return self

    def network(self) -> ReLUNetwork:
        """The same map as a ReLU network, layer by layer. Raises `NotImplementedError` where there is none.

        **Example:**

            >>> import jaxgen as jg
            >>> g = jg.CodebookGenerator([0.0, 1.0, 3.0])
            >>> float(g.network()(0.5)[0]) == float(g(0.5)[0])
            True
        """
        raise NotImplementedError(f"a {type(self).__name__} has no ReLU form")

    def certificate(self) -> Certificate:
        """A proven bound on the distance of the law from its measure; `NotImplementedError` where there is none.

        **Example:**

            >>> import jaxgen as jg
            >>> m = jg.GridMeasure.from_histogram([[1, 2], [0, 1]])
            >>> [round(jg.PeanoGenerator(m, extra_levels=s).certificate().w2, 4) for s in (0, 1, 2)]
            [0.1443, 0.0481, 0.016]
        """
        raise NotImplementedError(f"nothing is proven about a {type(self).__name__}: it has no certificate")

    def relative(self) -> Any:
        """The generator relative to the corner of its box; `NotImplementedError` where there is no box."""
        raise NotImplementedError(f"a {type(self).__name__} has no box that its points could be relative to")

    def size(self) -> Size | None:
        """Depth, width and connectivity of `network()`; `None` where there is no ReLU form.

        **Example:**

            >>> import jaxgen as jg
            >>> jg.SawtoothGenerator(jg.GridMeasure.from_histogram([[1, 2], [0, 1]]), folds=6).size().depth
            9
        """
        try:
            with warnings.catch_warnings():
                # Counts are the same whatever its floats hold.
                warnings.simplefilter("ignore", UserWarning)
                network = self.network()
        except NotImplementedError:
            return None
        return Size(network.depth, network.width, network.connectivity)

    def bits(self) -> int:
        """Bits of the whole file that holds the generator.

        **Example:**

            >>> import jaxgen as jg
            >>> g = jg.GridMeasure.from_histogram([1, 2, 1]).quantize(4).generator()
            >>> g.bits() == 8 * len(jg.encode(g))
            True
        """
        return code_length(self)

    @property
    def source_words(self) -> int:
        """Number of 32-bit words of each uniform number that `sample` draws."""
        return math.ceil((self.source_bits + GUARD_BITS) / 32)

    @overload
    def sample(
        self,
        key: PRNGKeyArray,
        n: int,
        condition: Condition = None,
        stratified: bool = False,
        return_labels: Literal[False] = False,
        *,
        code: Numbers | None = None,
        relative: bool = False,
    ) -> Float[Array, "n dim"]: ...
    @overload
    def sample(
        self,
        key: PRNGKeyArray,
        n: int,
        condition: Condition = None,
        stratified: bool = False,
        *,
        return_labels: Literal[True],
        code: Numbers | None = None,
        relative: bool = False,
    ) -> tuple[Float[Array, "n dim"], list[Label]]: ...
    def sample(self, key, n, condition=None, stratified=False, return_labels=False, *, code=None, relative=False):
        """Draws `n` points, in the coordinates of the data the generator was made from.

        The source is drawn with as many bits as the law needs (`source_bits`, and a guard of 32), so that no law is
        too deep for it. Point i is a function of `key` and i alone.

        **Arguments:**

        - `condition`: a label, a sequence of labels (one a sample), or a mapping from labels to weights (each sample
            draws its label); `None` draws from the joint law. `code`: instead, positions in the vocabulary.
        - `stratified`: one source value in each of [j/n, (j+1)/n), within each label asked for (theory, section 4).
        - `return_labels`: also return the labels, a list, one a sample.
        - `relative`: points relative to the lower corner of the box, for a box that is far from 0: see `relative()`.

        **Returns:** `(n, dim)`, and the labels if asked for.

        **Raises:** `ValueError` for n < 1, an unknown label (naming the nearest known ones), a condition on an
        unconditional generator, and `stratified=True` with more than one source or n > 2**24.

        **Example:**

            >>> import jax, jaxgen as jg
            >>> g = jg.GridMeasure.from_samples([0.0, 1.0, 2.0], 2, labels=["a", "b", "b"]).generator()
            >>> g.sample(jax.random.key(0), 4, {"a": 0.25, "b": 0.75}).shape
            (4, 1)
            >>> g.sample(jax.random.key(0), 2, ["b", "a"], return_labels=True)[1]
            ['b', 'a']
        """
        n, codes, strata = self._plan(key, n, condition, stratified, code)
        chunk, generator = self._chunk_size(), self.relative() if relative else self
        drawn = [_drawn(generator, key, first, min(chunk, n - first), codes, strata) for first in range(0, n, chunk)]
        x = drawn[0][0] if len(drawn) == 1 else jnp.concatenate([part[0] for part in drawn])
        return (x, self._names([part[1] for part in drawn])) if return_labels else x

    @overload
    def stream(
        self,
        key: PRNGKeyArray,
        n: int,
        condition: Condition = None,
        stratified: bool = False,
        return_labels: Literal[False] = False,
        chunk_size: int | None = None,
        *,
        code: Numbers | None = None,
        relative: bool = False,
    ) -> Iterator[Float[Array, "chunk dim"]]: ...
    @overload
    def stream(
        self,
        key: PRNGKeyArray,
        n: int,
        condition: Condition = None,
        stratified: bool = False,
        *,
        return_labels: Literal[True],
        chunk_size: int | None = None,
        code: Numbers | None = None,
        relative: bool = False,
    ) -> Iterator[tuple[Float[Array, "chunk dim"], list[Label]]]: ...
    def stream(
        self,
        key,
        n,
        condition=None,
        stratified=False,
        return_labels=False,
        chunk_size=None,
        *,
        code=None,
        relative=False,
    ) -> Iterator[Any]:
        """Yields the points of `sample(key, n, ...)`, in order, `chunk_size` at a time: for outputs beyond memory.

        The default chunk holds about 2**22 numbers. Arguments and errors as in `sample`.

        **Example:**

            >>> import jax, jaxgen as jg
            >>> g = jg.GridMeasure.from_histogram([[1, 2], [0, 1]]).generator()
            >>> [part.shape for part in g.stream(jax.random.key(0), 5, chunk_size=2)]
            [(2, 2), (2, 2), (1, 2)]
        """
        n, codes, strata = self._plan(key, n, condition, stratified, code)
        size = self._chunk_size() if chunk_size is None else whole_number(chunk_size, "chunk_size", 1)
        generator = self.relative() if relative else self

        def chunks():
            for first in range(0, n, size):
                x, labels = _drawn(generator, key, first, min(size, n - first), codes, strata)
                yield (x, self._names([labels])) if return_labels else x

        return chunks()

    def _chunk_size(self) -> int:
        most = max(1, _CHUNK_NUMBERS // (self.dim + self.source_dim * self.source_words))
        return 1 << (most.bit_length() - 1)

    def _plan(self, key, n, condition, stratified, code):
        """n, the codes of the labels asked for, and the rank and number of each sample among those of its label."""
        n = whole_number(n, "n", 1, 2**32 - 1)
        codes = sample_codes(condition, code, self.vocabulary, n, key, stratified)
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
        return n, codes, (ranks, totals[groups].astype(np.uint32))

    def _names(self, codes: list[Int[Array, " n"]]) -> list[Label]:
        known = np.concatenate([np.asarray(part) for part in codes])
        if self.vocabulary is None or known.min() < 0:
            raise ValueError("return_labels=True needs a generator with labels that tells them; this one does not")
        return [self.vocabulary[i] for i in known]


def _drawn(generator: AbstractGenerator, key, first: int, n: int, codes, strata):
    """Points `first` to `first + n` of the stream that belongs to `key`, and the codes of their labels.

    They are drawn in a batch of a size that many n share, so that a new n is no new program; what is too much is cut
    off on the host, where a cut of a new size compiles nothing.
    """
    size = padded_size(n)

    def part(array, fill: int):
        if array is None:
            return None
        some = array[first : first + n]
        if isinstance(some, Tracer):
            return jnp.pad(some, (0, size - n), constant_values=fill)
        return jax.device_put(np.pad(np.asarray(some), (0, size - n), constant_values=fill))

    where = None if strata is None else (part(strata[0], 0), part(strata[1], 1))
    sources = generator.source_dim, generator.source_words
    x, labels = _draw(generator.kernel(), seed(key), np.uint32(first), size, sources, part(codes, 0), where)
    return cut(x, n), cut(labels, n)


@eqx.filter_jit
def _draw(kernel: Any, seeded, first, n: int, sources: tuple[int, int], codes, strata):
    def one(i, code, stratum):
        words = sample_words(seeded, first + i, *sources)
        if stratum is not None:
            rank, total = stratum
            words = stratum_words(rank, total, words[0])[None]
        return kernel.push(words, code)

    return jax.vmap(one)(jnp.arange(n, dtype=jnp.uint32), codes, strata)


def unit_source(u: Numbers, source_dim: int) -> Float[Array, " source_dim"]:
    """`u` as a float array of shape `(source_dim,)`, with a runtime error outside [0, 1].

    **Raises:** `ValueError` for another shape.
    """
    u = jnp.asarray(u)
    if not jnp.issubdtype(u.dtype, jnp.floating):
        u = u.astype(jnp.result_type(float))
    if u.shape not in ((source_dim,), () if source_dim == 1 else (source_dim,)):
        raise ValueError(
            f"u must have shape {'() or ' if source_dim == 1 else ''}({source_dim},); got {u.shape}. "
            "A generator maps one source value; use jax.vmap for a batch."
        )
    return _in_unit_interval(u.reshape(source_dim))


# Called eagerly, what follows would be traced and compiled anew at each call, and the memory of its programs never
# given back; called through one jitted function it is compiled once for each kind and shape.
@eqx.filter_jit
def _in_unit_interval(u):
    return eqx.error_if(u, ~jnp.all((u >= 0) & (u <= 1)), "u must lie in [0, 1]")
