"""The generator that is trained, not built: a plain ReLU network from uniform numbers to points."""

import itertools
import math
from collections.abc import Sequence
from typing import NoReturn, SupportsIndex

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

from .._checks import Numbers, box_corners, require_volume, whole_number
from ..measures import Label, as_vocabulary
from ..relu import ReLUNetwork
from ..source import QuantileTree, branches, factor_bits, float_to_words
from ._base import AbstractGenerator, unit_source
from ._conditions import one_code

# Label masses are held as this many quanta: the most that the fixed-point source divides exactly.
_QUANTA = 1 << 24


class MLPGenerator(AbstractGenerator):
    """A plain ReLU network from `source_dim` uniform numbers, and a one-hot label if conditional, to R^`dim`.

    The network acts in the unit cube of the box `[low, high]`; the box is carried along and not trained. What is not
    given at construction (`low` and `high`, `label_masses`) is taken from the data by `fit`. The weights, tuples
    `weights` of `(out, in)` matrices and `biases` of `(out,)` vectors, are random at first; `jaxgen.fit` trains them.

    **Example:**

        >>> import jax, jaxgen as jg
        >>> g = jg.MLPGenerator(dim=2, width=8, depth=3, key=jax.random.key(0))
        >>> g(0.5).shape, g.network().sizes
        ((2,), (1, 8, 8, 2))
    """

    weights: tuple[Float[Array, "out in"], ...]
    biases: tuple[Float[Array, " out"], ...]
    low: Float[Array, " dim"] | None
    high: Float[Array, " dim"] | None
    label_counts: UInt32[Array, " labels"] | None
    dim: int = eqx.field(static=True)
    source_dim: int = eqx.field(static=True)
    vocabulary: tuple[Label, ...] | None = eqx.field(static=True)

    def __init__(
        self,
        dim: SupportsIndex | object = 2,
        source_dim: SupportsIndex | object = 1,
        width: SupportsIndex | object = 64,
        depth: SupportsIndex | object = 4,
        *,
        key: PRNGKeyArray,
        vocabulary: Sequence[Label] | None = None,
        label_masses: Numbers | None = None,
        low: Numbers | None = None,
        high: Numbers | None = None,
    ):
        """**Arguments:**

        - `dim`, `source_dim`: how many numbers come out, and how many uniform ones go in.
        - `width`: of the hidden layers; `depth`: number of affine layers (theory, section 1).
        - `vocabulary`: the labels of a conditional generator. The network then reads (one-hot label, u).
        - `label_masses`: one nonnegative weight a label, the law of the label where none is asked for; rounded to
            multiples of 2**-24. Until given, or taken from data, all labels are equally likely.
        - `low`, `high`: `(dim,)` or a scalar, the box that the output starts in; the unit cube until it is known.

        **Raises:** `ValueError` for sizes below 1, a vocabulary that is empty or repeats a label, bad label masses,
        and a box that is not finite or has `low >= high` on some axis.
        """
        self.dim, self.source_dim = whole_number(dim, "dim", 1), whole_number(source_dim, "source_dim", 1)
        width, depth = whole_number(width, "width", 1), whole_number(depth, "depth", 1)
        self.vocabulary = as_vocabulary(vocabulary)
        self.label_counts = None if label_masses is None else _label_counts(label_masses, self.vocabulary)
        self.low, self.high = _box(low, high, self.dim)
        sizes = [len(self.vocabulary or ()) + self.source_dim, *[width] * (depth - 1), self.dim]
        self.weights, self.biases = _initial(sizes, self.source_dim, key)

    def __call__(
        self,
        u: Numbers,
        condition: Label | None = None,
        *,
        code: Numbers | None = None,
    ) -> Float[Array, " dim"]:
        """The point that `u`, a scalar or `(source_dim,)` in [0, 1], is sent to.

        `condition` is a label, `code` the position of one in the vocabulary, possibly traced. Without either, a
        conditional generator reads its label from the first number: the labels share [0, 1] in proportion to their
        masses (theory, section 7).
        """
        u, code = unit_source(u, self.source_dim), one_code(condition, code, self.vocabulary)
        if self.vocabulary is not None and code is None:
            labels = self._labels()
            _, code, _ = labels.locate(float_to_words(u[0], 2), None)
            # The position in the interval of the label, in floats, so that it has a derivative.
            start, count = (jnp.asarray(a[1 + code], u.dtype) for a in (labels.start, labels.count))
            u = u.at[0].set(jnp.clip((u[0] * _QUANTA - start) / count, 0, 1))
        return self._map(u, code)

    def trainable(self) -> "MLPGenerator":
        """Which leaves are parameters, as a filter: weights and biases; the box is the unit of the output.

        **Example:**

            >>> import jax, jaxgen as jg
            >>> g = jg.MLPGenerator(dim=2, width=8, depth=3, low=0.0, high=1.0, key=jax.random.key(0))
            >>> sum(jax.tree.leaves(g.trainable()))  # three matrices and three vectors, and no box
            6
        """
        frozen = jax.tree.map(lambda _: False, self)
        return eqx.tree_at(
            lambda g: (g.weights, g.biases), frozen, jax.tree.map(lambda _: True, (self.weights, self.biases))
        )

    def network(self) -> ReLUNetwork:
        """The same map as a `ReLUNetwork` of the input u, or of (one-hot label, u); the box is folded in its end."""
        layers = [
            (np.asarray(w, np.float64), np.asarray(b, np.float64))
            for w, b in zip(self.weights, self.biases, strict=True)
        ]
        if self.low is not None and self.high is not None:
            low, side = np.asarray(self.low, np.float64), np.asarray(self.high - self.low, np.float64)
            w, b = layers[-1]
            layers[-1] = side[:, None] * w, low + side * b
        return ReLUNetwork(layers, dtype=self.weights[0].dtype)

    def bits(self) -> int:
        """32 for each weight and bias: what the network takes as it is, without rounding."""
        return 32 * sum(a.size for a in (*self.weights, *self.biases))

    def certificate(self) -> NoReturn:
        """Raises `ValueError`: nothing is proven about a trained network."""
        raise ValueError(
            "a trained network has no certificate: nothing bounds the distance of its law from its data. Measure it "
            "on held-out data with jaxgen.wasserstein, or build a SawtoothGenerator or a PeanoGenerator."
        )

    def suited_to(self, points: Numbers, codes: Numbers | None = None) -> "MLPGenerator":
        """The same network, with the box of `points` and the label masses of `codes` where none were given.

        Raises `ValueError` for points that are empty, not finite, or not of shape `(n, dim)`.

        **Example:**

            >>> import jax, jaxgen as jg
            >>> g = jg.MLPGenerator(dim=1, width=8, depth=3, key=jax.random.key(0)).suited_to([[0.0], [4.0]])
            >>> g.low.tolist(), g.high.tolist()
            ([0.0], [4.0])
        """
        out = self
        points = np.asarray(points, np.float64)
        if points.ndim != 2 or points.shape[1] != self.dim or not len(points):
            raise ValueError(f"points must have shape (n, {self.dim}) with n >= 1; got {points.shape}")
        if self.low is None:
            low, high = points.min(axis=0), points.max(axis=0)
            # A constant coordinate has a box of no width; any width does, and one is a sensible one.
            box = _box(low, np.where(high > low, high, low + np.maximum(1.0, np.abs(low))), self.dim)
            out = eqx.tree_at(lambda g: (g.low, g.high), out, box, is_leaf=lambda leaf: leaf is None)
        if codes is not None and self.vocabulary is not None and self.label_counts is None:
            masses = np.bincount(np.asarray(codes), minlength=len(self.vocabulary))
            counts = _label_counts(masses, self.vocabulary)
            out = eqx.tree_at(lambda g: g.label_counts, out, counts, is_leaf=lambda leaf: leaf is None)
        return out

    def _map(self, u, code):
        # One-hot times a matrix is a column of it.
        labels = len(self.vocabulary or ())
        first = self.weights[0]
        x = first[:, labels:] @ u + self.biases[0]
        if labels:
            x = x + first[:, code]
        for w, b in zip(self.weights[1:], self.biases[1:], strict=True):
            x = w @ jax.nn.relu(x) + b
        if self.low is not None and self.high is not None:
            # The box is the unit of the output, not a parameter.
            low, high = jax.lax.stop_gradient((self.low, self.high))
            x = low + (high - low) * x
        return x

    def push(
        self, words: UInt32[Array, "source_dim words"], code: Int[Array, ""] | None
    ) -> tuple[Float[Array, " dim"], Int[Array, ""]]:
        """The label exactly by its interval of the first number, and then the network, on 24 bits of each number."""
        dtype = self.weights[0].dtype
        u = (words[:, 0] >> 8).astype(dtype) * 2.0**-24
        if self.vocabulary is None:
            return self._map(u, None), jnp.zeros((), jnp.int32)
        if code is None:
            _, code, r = self._labels().locate(words[0], None)
            u = u.at[0].set(r.to_float(dtype))
        return self._map(u, code), jnp.asarray(code, jnp.int32)

    def _labels(self) -> QuantileTree:
        """The interval of each label: all have the same mass until it is known."""
        names = self.vocabulary or ()
        counts = _label_counts(np.ones(len(names)), names) if self.label_counts is None else self.label_counts
        plain = branches([np.arange(len(names))], len(names))
        return plain.weighed(counts, factor_bits(_QUANTA))


# One program, with one draw for all layers: with one for each they took most of a second to compile.
@eqx.filter_jit
def _initial(sizes, source_dim, key):
    """He scaling; the kink of each first-layer neuron passes through a random point of the cube of sources.

    u in [0, 1] has variance 1/12 about its mean: sources are scaled by sqrt(12), as if they had been standardized.
    """
    shapes = [(fan_out, fan_in) for fan_in, fan_out in itertools.pairwise(sizes)]
    most, last = max(map(math.prod, shapes)), len(shapes) - 1

    def split(key, _):
        key, one, two = jr.split(key, 3)
        return key, (one, two)

    drawn, kinks = jax.lax.scan(split, key, length=len(shapes))[1]
    normal, weights, biases = jax.vmap(lambda key: jr.normal(key, (most,)))(drawn), [], []
    for layer, (fan_out, fan_in) in enumerate(shapes):
        w, b = normal[layer, : fan_out * fan_in].reshape(fan_out, fan_in), jnp.zeros(fan_out)
        if layer == 0:
            # One label is on at a time, so that its column counts as one input.
            labels = fan_in - source_dim
            w = w * jnp.sqrt(2 / (source_dim + (labels > 0)))
            w = w.at[:, labels:].multiply(jnp.sqrt(12))
            b = -jnp.sum(w[:, labels:] * jr.uniform(kinks[0], (fan_out, source_dim)), axis=1)
        else:
            w = w * jnp.sqrt((1 if layer == last else 2) / fan_in)
        if layer == last:
            # Start around the center of the box, a quarter of its side wide.
            w, b = w / 4, b + 0.5
        weights.append(w)
        biases.append(b)
    return tuple(weights), tuple(biases)


def _label_counts(masses, vocabulary):
    if vocabulary is None:
        raise ValueError("label_masses was given without a vocabulary; give the labels too")
    masses = np.asarray(masses, np.float64)
    if masses.shape != (len(vocabulary),):
        raise ValueError(f"label_masses must hold one mass a label, shape ({len(vocabulary)},); got {masses.shape}")
    if not (np.isfinite(masses).all() and (masses >= 0).all() and masses.sum() > 0):
        raise ValueError("label_masses must be finite, nonnegative and not all zero")
    ends = np.rint(np.cumsum(masses) / masses.sum() * _QUANTA)
    ends[-1] = _QUANTA
    return jnp.asarray(np.diff(ends, prepend=0).astype(np.uint32))


def _box(low, high, dim):
    if low is None and high is None:
        return None, None
    if low is None or high is None:
        raise ValueError("low and high must be given together, or both left out")
    low, high = box_corners(low, high, dim)
    require_volume(low, high)
    return jnp.asarray(low), jnp.asarray(high)
