"""What a step of training compares with a batch of data: samples of a generator, or the weighted leaves of a law."""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..distances import declared_shapes
from ..generators import AbstractExplicitGenerator, CodebookGenerator
from ..measures import AbstractMeasure
from ._batches import source_batch

# What a shift of 1 is, of the unit of the data: a step of Adam moves a logit by 0.2, and an atom by a hundredth.
_SHIFT = 0.05


class Cloud(NamedTuple):
    """Points with labels, if there are any, and weights that sum to 1, where they are not equal."""

    points: Float[Array, "n d"]
    codes: Int[Array, " n"] | None
    weights: Float[Array, " n"] | None


class Samples(eqx.Module):
    """A generator that is trained through its samples: its parameters are those of the map."""

    generator: Any

    @property
    def source_shape(self) -> tuple[int, ...] | None:
        """Of the source value that it takes, by its `source_dim`, or the size of the input of a module, if it has any.

        **Raises:** `ValueError` and `TypeError` where these are no number of numbers.
        """
        shapes = declared_shapes(self.generator)
        return None if shapes is None else shapes[-1 if hasattr(self.generator, "source_dim") else 0]

    def cloud(self, key: PRNGKeyArray, size: int, codes: Int[Array, " n"] | None) -> Cloud:
        """One sample a source, as many under each label as the batch of data has."""
        shape = self.source_shape
        assert shape is not None  # asked for before the first step
        u = source_batch(key, size, math.prod(shape), codes).reshape(size, *shape)
        if codes is None:
            return Cloud(jax.vmap(self.generator)(u), None, None)
        return Cloud(jax.vmap(lambda u, code: self.generator(u, code=code))(u, codes), codes, None)

    def trainable(self) -> "Samples":
        """Which leaves are parameters: those that the generator marks."""
        marks = getattr(self.generator, "trainable", lambda: jax.tree.map(lambda _: True, self.generator))()
        return eqx.tree_at(lambda model: model.generator, self, marks)


class Leaves(eqx.Module):
    """A law on leaves that is trained through their masses: `d E f(X) = sum_i dp_i E[f | leaf i]` (theory, section 12).

    Each leaf stands at its centre. Under each label the masses are the softmax of the logits. Atoms may move as well:
    `shifts`, in units of `unit`.
    """

    logits: Float[Array, " m"]
    shifts: Float[Array, "m d"] | None
    centers: Float[Array, "m d"]
    unit: Float[Array, ""]
    labels: Int[Array, " m"] | None
    label_count: int = eqx.field(static=True)

    def cloud(self, key: PRNGKeyArray, size: int, codes: Int[Array, " n"] | None) -> Cloud:
        """All leaves, each label with the share that it has in the batch of data: masses of labels are known, and what
        is learnt is the law under each."""
        weights = self.conditional_masses()
        if codes is not None:
            weights = weights * (jnp.bincount(codes, length=self.label_count) / len(codes))[self.labels]
        return Cloud(self.points(), self.labels, weights)

    def trainable(self) -> "Leaves":
        """Which leaves are parameters: logits, and shifts where there are any."""
        marks = eqx.tree_at(lambda model: model.logits, jax.tree.map(lambda _: False, self), True)
        return marks if self.shifts is None else eqx.tree_at(lambda model: model.shifts, marks, True)

    def points(self) -> Float[Array, "m d"]:
        """Where the leaves are, in the units of the data."""
        return self.centers if self.shifts is None else self.centers + self.unit * self.shifts

    def conditional_masses(self) -> Float[Array, " m"]:
        """The mass of each leaf under its label; they sum to 1 over each."""
        codes = jnp.zeros(self.logits.shape, jnp.int32) if self.labels is None else self.labels
        options = {"num_segments": self.label_count, "indices_are_sorted": True}
        largest = jax.ops.segment_max(self.logits, codes, **options)
        powers = jnp.exp(self.logits - jax.lax.stop_gradient(largest)[codes])
        return powers / jax.ops.segment_sum(powers, codes, **options)[codes]


def leaves_of(generator: AbstractExplicitGenerator, unit: float | None, atoms: bool) -> Leaves:
    """The weighted leaves of an explicit generator, with its own masses to begin with.

    **Arguments:** `atoms`: whether they move too; `unit`: in which length, by default that of their own spread.

    **Raises:** `ValueError` where atoms are to move, and the generator has none.
    """
    measure: AbstractMeasure = generator.measure
    if atoms and not isinstance(generator, CodebookGenerator):
        raise ValueError(f"atoms=True is for a CodebookGenerator; the leaves of a {type(generator).__name__} stay")
    dtype, centers = jnp.result_type(float), np.asarray(measure.centers, np.float64)
    own = math.sqrt(2 * np.mean(np.sum((centers - centers.mean(axis=0)) ** 2, axis=1)))
    return Leaves(
        jnp.asarray(np.log(measure._weights().astype(np.float64)), dtype),
        jnp.zeros(centers.shape, dtype) if atoms else None,
        jnp.asarray(centers, dtype),
        jnp.asarray(_SHIFT * (unit or own or 1.0), dtype),
        None if measure.vocabulary is None else jnp.asarray(measure.labels),
        len(measure.vocabulary or (None,)),
    )
