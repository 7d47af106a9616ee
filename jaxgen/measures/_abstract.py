"""Measures on grids, kept by their occupied cells (theory, section 2)."""

import abc
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..curves import levels_for, peano_argsort, peano_index
from ._box import as_box, as_resolution

Label = str | int


class AbstractGridMeasure(eqx.Module):
    """A law on a box: cells of a grid with masses, and the uniform law inside each cell.

    Only occupied cells are stored, in the order of the Peano curve, label by label where there are labels. Cell `c`
    spans `low + c * (high - low) / resolution` to `low + (c + 1) * (high - low) / resolution`. A side of zero length is
    allowed: that coordinate is constant.
    """

    cells: eqx.AbstractVar[Int[Array, "m d"]]
    masses: eqx.AbstractVar[Float[Array, " m"]]
    low: eqx.AbstractVar[Float[Array, " d"]]
    high: eqx.AbstractVar[Float[Array, " d"]]
    resolution: eqx.AbstractVar[tuple[int, ...]]
    labels: eqx.AbstractVar[Int[Array, " m"] | None]
    vocabulary: eqx.AbstractVar[tuple[Label, ...] | None]

    @abc.abstractmethod
    def _rebuilt(self, weights: np.ndarray, **fields: Any) -> "AbstractGridMeasure":
        """A measure of the same kind on other cells, with weights like those of `_weights`."""

    @abc.abstractmethod
    def _weights(self) -> np.ndarray:
        """Masses or counts, on the host."""

    @property
    def dim(self) -> int:
        """Dimension d of the box."""
        return len(self.resolution)

    @property
    def cell_sides(self) -> Float[Array, " d"]:
        """Side lengths of a cell, in the units of the data."""
        return (self.high - self.low) / jnp.asarray(self.resolution, self.low.dtype)

    @property
    def centers(self) -> Float[Array, "m d"]:
        """Centres of the occupied cells, in the units of the data."""
        return self.low + (self.cells + 0.5) * self.cell_sides

    def _host_centers(self) -> Float[np.ndarray, "m d"]:
        """`centers` in float64 on the host, where an operation on arrays of a new shape compiles nothing."""
        low, high = np.asarray(self.low, np.float64), np.asarray(self.high, np.float64)
        return low + (np.asarray(self.cells) + 0.5) * ((high - low) / np.asarray(self.resolution))

    @property
    def label_offsets(self) -> Int[np.ndarray, " bounds"]:
        """Where the cells of each label begin, on the host: those of label c are `offsets[c]` to `offsets[c + 1]`."""
        if self.vocabulary is None or self.labels is None:
            return np.array([0, self.cells.shape[0]])
        return np.searchsorted(np.asarray(self.labels), np.arange(len(self.vocabulary) + 1))

    def mean(self) -> Float[Array, " d"]:
        """Mean of the law, in the units of the data."""
        return self.masses @ self.centers

    def variance(self) -> Float[Array, " d"]:
        """Variance of each coordinate: that of the centres, and 1/12 of the squared side within a cell."""
        return self.masses @ (self.centers - self.mean()) ** 2 + self.cell_sides**2 / 12

    def sample(self, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        """Draws `n` independent points: a cell by its mass, and d more uniform numbers in the cell.

        The reference sampler, that shares nothing with the generators. Raises `ValueError` for n < 1.
        """
        if n < 1:
            raise ValueError(f"n, the number of samples, must be at least 1; got {n}")
        return _reference_sample(self, key, n)

    def log_prob(self, x: Any, condition: Label | None = None) -> Float[Array, ""]:
        """Logarithm of the density at one point `x`, in inverse units of the data; minus infinity outside the cells.

        With `condition`, of the conditional law of that label. Raises `ValueError` for a point of the wrong shape, an
        unknown label, and a box without volume (which has no density). For a batch use `jax.vmap`.
        """
        x = jnp.asarray(x, self.low.dtype)
        if x.shape != (self.dim,):
            raise ValueError(f"x must be one point of shape ({self.dim},); got {x.shape}. Use jax.vmap for a batch.")
        if not isinstance(self.low, Tracer) and np.any(np.asarray(self.low) == np.asarray(self.high)):
            raise ValueError("the box has a side of zero length, so the law has no density")
        codes = jnp.zeros(self.masses.shape, jnp.int32) if self.labels is None else self.labels
        asked = range(len(self.vocabulary or (None,))) if condition is None else [self._code(condition)]
        unit = (x - self.low) / (self.high - self.low)
        size = jnp.asarray(self.resolution)
        inside = jnp.all((unit >= 0) & (unit <= 1))
        cell = jnp.clip(jnp.floor(unit * size).astype(jnp.int32), 0, size - 1)
        search = jax.vmap(lambda lo, hi: _find(self.cells, cell, lo, hi, levels_for(self.resolution)))
        first, last = (jnp.searchsorted(codes, jnp.asarray(asked), side=side) for side in ("left", "right"))
        at, found = search(first, last)
        mass = jnp.sum(jnp.where(found, self.masses[at], 0.0))
        if condition is not None:
            mass = mass / jnp.sum(jnp.where(codes == asked[0], self.masses, 0.0))
        return jnp.where(inside, jnp.log(mass), -jnp.inf) - jnp.sum(jnp.log(self.cell_sides))

    def marginal(self, axes: int | Sequence[int]) -> "AbstractGridMeasure":
        """The law of the coordinates `axes`, in that order. Raises `ValueError` for repeated or unknown axes."""
        axes = [axes] if isinstance(axes, int | np.integer) else list(axes)
        if not axes or len(set(axes)) < len(axes) or not all(0 <= k < self.dim for k in axes):
            raise ValueError(f"axes must be distinct and lie between 0 and {self.dim - 1}; got {axes}")
        cells, labels, weights = merge_cells(
            np.asarray(self.cells)[:, axes], self.labels, self._weights(), [self.resolution[k] for k in axes]
        )
        return self._rebuilt(
            weights,
            cells=cells,
            low=np.asarray(self.low)[axes],
            high=np.asarray(self.high)[axes],
            resolution=tuple(self.resolution[k] for k in axes),
            labels=labels,
            vocabulary=self.vocabulary,
        )

    def given(self, condition: Label) -> "AbstractGridMeasure":
        """The conditional law of a label, as a measure without labels. Raises `ValueError` for an unknown label."""
        first, last = self.label_offsets[self._code(condition) :][:2]
        return self._rebuilt(
            self._weights()[first:last],
            cells=self.cells[first:last],
            low=self.low,
            high=self.high,
            resolution=self.resolution,
            labels=None,
            vocabulary=None,
        )

    def _code(self, condition: Label) -> int:
        if self.vocabulary is None:
            raise ValueError(f"condition={condition!r} was given, but the measure has no labels")
        if condition not in self.vocabulary:
            raise ValueError(f"unknown label {condition!r}; the measure has {len(self.vocabulary)} labels")
        return self.vocabulary.index(condition)


def merge_cells(cells, labels, weights, resolution):
    """Adds up the weights of equal (label, cell) pairs; returns them in canonical order."""
    order = canonical_order(cells, labels, resolution)
    cells, weights = cells[order], np.asarray(weights)[order]
    new = np.ones(len(cells), bool)
    new[1:] = np.any(cells[1:] != cells[:-1], axis=1)
    if labels is not None:
        labels = np.asarray(labels)[order]
        new[1:] |= labels[1:] != labels[:-1]
        labels = labels[new]
    return cells[new], labels, np.add.reduceat(weights, np.flatnonzero(new))


def canonical_order(cells, labels, resolution):
    """The permutation to label-major, then Peano order."""
    order = peano_argsort(cells, levels_for(resolution))
    if labels is None:
        return order
    return order[np.argsort(np.asarray(labels)[order], kind="stable")]


def canonical(cells, weights, low, high, resolution, labels, vocabulary):
    """Checks the fields of a grid measure and puts its cells in order; NumPy in, NumPy out.

    Raises `ValueError` naming the field that is wrong.
    """
    cells = np.asarray(cells)
    if cells.ndim != 2 or cells.shape[0] == 0 or cells.shape[1] == 0:
        raise ValueError(f"cells must have shape (m, d) with m, d >= 1; got {cells.shape}")
    if not np.issubdtype(cells.dtype, np.integer):
        raise TypeError(f"cells must be integers; got {cells.dtype}")
    m, d = cells.shape
    resolution = as_resolution(resolution, d)
    low, high = as_box(low, high, d)
    if np.any(cells < 0) or np.any(cells >= np.array(resolution)):
        raise ValueError(
            f"cells must lie between 0 and resolution - 1 = {tuple(n - 1 for n in resolution)} on every axis"
        )
    weights = np.asarray(weights)
    if weights.shape != (m,):
        raise ValueError(f"one mass a cell was expected, shape ({m},); got {weights.shape}")
    if (labels is None) != (vocabulary is None):
        raise ValueError("labels and vocabulary go together: give both or neither")
    if labels is not None:
        labels = np.asarray(labels, np.int32)
        vocabulary = tuple(vocabulary)
        if labels.shape != (m,):
            raise ValueError(f"labels must hold one code a cell, shape ({m},); got {labels.shape}")
        if len(set(vocabulary)) < len(vocabulary):
            raise ValueError("vocabulary must not repeat a label")
        if not np.array_equal(np.unique(labels), np.arange(len(vocabulary))):
            raise ValueError(f"labels must use every code from 0 to {len(vocabulary) - 1}, the size of the vocabulary")
    merged_cells, merged_labels, merged = merge_cells(cells.astype(np.int32), labels, weights, resolution)
    if len(merged) < m:
        raise ValueError(f"cells must be distinct; {m - len(merged)} of {m} repeat an earlier one")
    return merged_cells, merged, low, high, resolution, merged_labels, vocabulary


@eqx.filter_jit
def _reference_sample(measure, key, n):
    which, where = jr.split(key)
    edges = jnp.cumsum(measure.masses)
    cell = jnp.searchsorted(edges, jr.uniform(which, (n,), edges.dtype) * edges[-1], side="right")
    cell = jnp.minimum(cell, edges.shape[0] - 1)
    return measure.low + (measure.cells[cell] + jr.uniform(where, (n, measure.dim), edges.dtype)) * measure.cell_sides


def _find(cells, cell, low, high, levels):
    """Binary search for `cell` among `cells[low:high]`, in Peano order: its place, and whether it is there."""
    key = peano_index(cell, levels)

    def before(at):
        other = peano_index(cells[at], levels)
        first = jnp.argmax(key != other) if levels * cell.shape[0] else 0
        return other[first] <= key[first] if levels * cell.shape[0] else jnp.asarray(True)

    def step(_, state):
        low, size = state
        half = size // 2
        here = before(low + half)
        return jnp.where(here, low + half, low), jnp.where(here, size - half, half)

    steps = max(1, int(cells.shape[0]).bit_length())
    at, _ = jax.lax.fori_loop(0, steps, step, (low, high - low))
    return at, jnp.all(cells[at] == cell)
