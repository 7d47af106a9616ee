"""Continuous conditions: a box of conditions is cut into cells, and the cells are labels (theory, section 7)."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, PRNGKeyArray
from scipy.ndimage import distance_transform_edt

from ..measures import GridMeasure, check_points
from ..relu import ReLUNetwork, compose
from ._base import Certificate, exact_words, point_at
from ._grid import AbstractGridGenerator, check_ramp, whole_number
from ._layers import Layer, carry, clip_first, clip_second
from ._peano import PeanoGenerator

_MAX_CELLS = 1 << 20


class GriddedCondition(eqx.Module):
    """The law of x given a continuous condition c: that of the cell of c, in a grid on a box of R^m.

    A cell without data is served by the nearest one with data: the distance is that of the centres where the box is
    the unit cube, so that the units of the axes of c do not matter. `generator` is the conditional generator, `table`
    the position in its vocabulary of the label that serves each cell. Theory, section 7.

    !!! example

        ```python
        g = GriddedCondition.from_samples(c, x, condition_resolution=16, resolution=32)
        points = g.sample(key, 1000, [0.3])
        ```
    """

    generator: AbstractGridGenerator
    table: Int32[Array, " cells"]
    low: Float[Array, " m"]
    high: Float[Array, " m"]
    condition_resolution: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        generator: AbstractGridGenerator,
        condition_resolution: int | Sequence[int],
        low: Any = 0.0,
        high: Any = 1.0,
    ):
        """- `generator`: its labels are cells of the grid of conditions, numbered row by row (the last axis fastest).
        - `condition_resolution`: cells on each of the m axes of the condition; an integer is m = 1.
        - `low`, `high`: the box of the conditions, numbers or `(m,)`; the unit cube by default.

        Raises `ValueError` for a resolution below 1, more than 2**20 cells, a box that is not finite or has
        `low >= high`, and labels that are no cells; `TypeError` for anything but a generator of a grid measure.
        """
        if not isinstance(generator, AbstractGridGenerator):
            raise TypeError(f"generator must be made from a grid measure; got {type(generator).__name__}")
        self.condition_resolution, low, high = _checked_grid(condition_resolution, low, high)
        self.low, self.high = jnp.asarray(low), jnp.asarray(high)
        cells = math.prod(self.condition_resolution)
        given = generator.vocabulary or ()
        labels = [label for label in given if isinstance(label, int) and 0 <= label < cells]
        if not given or len(labels) < len(given):
            raise ValueError(
                f"the labels of generator must be cells of the grid of conditions, integers from 0 to {cells - 1}; "
                f"got {given[:5] or 'none'}. GriddedCondition.from_samples makes such labels."
            )
        self.generator = generator
        code, empty = np.zeros(cells, np.int32), np.ones(cells, bool)
        code[labels], empty[labels] = np.arange(len(labels)), False
        # Axes of a single cell leave both numbering and distances as they are.
        shape = [n for n in self.condition_resolution if n > 1] or [1]
        nearest = distance_transform_edt(
            empty.reshape(shape), sampling=[1 / n for n in shape], return_distances=False, return_indices=True
        )
        self.table = jnp.asarray(code[np.ravel_multi_index(tuple(np.asarray(nearest)), shape).ravel()])

    @classmethod
    def from_samples(
        cls,
        conditions: Any,
        points: Any,
        *,
        condition_resolution: int | Sequence[int],
        resolution: int | Sequence[int],
        make: Callable[[GridMeasure], AbstractGridGenerator] = PeanoGenerator,
        low: Any = 0.0,
        high: Any = 1.0,
    ) -> "GriddedCondition":
        """From pairs of a condition and a point.

        - `conditions`: `(N, m)`, or `(N,)` for m = 1, in the box from `low` to `high`; `points`: `(N, d)`.
        - `condition_resolution`: cells on each axis of the condition; an integer holds for all of them.
        - `resolution`: cells on each axis of the points, on their bounding box, as in `GridMeasure.from_samples`.
        - `make`: what makes the generator of the measure of points labelled by cells.

        Raises `ValueError` as the constructor does, as `GridMeasure.from_samples` does, and for conditions that are
        not finite, lie outside the box, or are not as many as the points.
        """
        conditions, points = check_points(conditions, "conditions"), check_points(points)
        if len(conditions) != len(points):
            raise ValueError(f"there must be as many conditions as points; got {len(conditions)} and {len(points)}")
        grid, low, high = _checked_grid(condition_resolution, low, high, conditions.shape[1])
        labels = _cell(_in_box(conditions, low, high, "conditions"), low, high, grid)
        return cls(make(GridMeasure.from_samples(points, resolution, labels=labels)), grid, low, high)

    @property
    def condition_dim(self) -> int:
        """Dimension m of the condition."""
        return len(self.condition_resolution)

    def __call__(self, u: Any, c: Any) -> Float[Array, " dim"]:
        """The point, shape `(dim,)`, that one source value is sent to under one condition.

        `u` is as for the generator; `c` has shape `(m,)`, or is a number for m = 1, in the box. Both may be traced.
        Raises `ValueError` for a wrong shape, and a runtime error for c outside the box or NaN.
        """
        return point_at(self.generator, exact_words(self.generator, u), self.table[self._cell_of(c)])

    def label(self, c: Any) -> int:
        """The label that serves one condition: `g.generator.measure.given(g.label(c))` is the measure behind it."""
        return int(np.asarray(self.generator.vocabulary)[int(self.table[self._cell_of(c)])])

    def sample(self, key: PRNGKeyArray, n: int, c: Any, stratified: bool = False) -> Float[Array, "n dim"]:
        """Draws `n` points, as the `sample` of the generator does.

        `c` is one condition, as in a call, or `(n, m)`, one a sample (also `(n,)` for m = 1). Raises `ValueError` for
        a wrong shape, NaN, and conditions outside the box.
        """
        c, m = np.asarray(c), self.condition_dim
        one = c.shape == (m,) or (m == 1 and c.ndim == 0)
        if not one and c.shape != (n, m) and not (m == 1 and c.shape == (n,)):
            raise ValueError(f"c must be one condition of shape ({m},), or one a sample, ({n}, {m}); got {c.shape}")
        low, high = np.asarray(self.low), np.asarray(self.high)
        cells = _cell(_in_box(c.reshape(-1, m), low, high, "c"), low, high, self.condition_resolution)
        labels = np.asarray(self.generator.vocabulary)[np.asarray(self.table)[cells]].tolist()
        return self.generator.sample(key, n, labels[0] if one else labels, stratified)

    def certificate(self, ramp: float | None = None, c: Any = None) -> Certificate:
        """The certificate of the generator: of the law of x alone, or of its law under the label that serves `c`.

        It bounds the distance to the data of that label, and says nothing of how the law varies inside a cell. With
        `ramp`, it holds for `network(ramp)` at every `c` outside the ramps. Errors as in a call.
        """
        return self.generator.certificate(ramp, None if c is None else self.label(c))

    def transition_measure(self, ramp: float = 2.0**-20) -> float:
        """The share of the box of conditions on which the indicators of `network(ramp)` are not one-hot, exactly.

        `1 - prod_k (1 - (n_k - 1) min(ramp, 1/n_k))` for n_k cells on axis k: at most `ramp sum_k (n_k - 1)`. For every
        other c the network of (c, u) is that of the generator under the label of c. Raises `ValueError` for a ramp
        outside (0, 1).
        """
        ramp = check_ramp(ramp)
        return -math.expm1(sum(math.log1p(-(n - 1) * min(ramp, 1 / n)) for n in self.condition_resolution))

    def network(self, ramp: float = 2.0**-20) -> ReLUNetwork:
        """The same map as a ReLU network of `(c, u)`: indicators of the cells, then the generator's `network(ramp)`.

        The indicators are trapezoids, whose ramps take the last `ramp` of the box's side before each border between
        cells. They are 0 and 1 except on `transition_measure(ramp)` of the box, where neighbours mix. They sum to 1 for
        every c if m = 1, and wherever c lies in the ramps of at most one axis; elsewhere to at most 1.

        Raises `ValueError` for a ramp outside (0, 1), and where a weight would overflow the float type.
        """
        generator: Any = self.generator  # whose `network` takes the width of the ramps
        return compose(generator.network(ramp), self._indicators(ramp), nonnegative=True)

    def _indicators(self, ramp: float) -> ReLUNetwork:
        """`(c, u) -> (one-hot label, u)`, depth 5; connectivity O(m cells)."""
        ramp = check_ramp(ramp)
        grid, m, sources = self.condition_resolution, self.condition_dim, self.generator.source_dim
        low = np.asarray(self.low, np.float64)
        side = np.asarray(self.high, np.float64) - low
        # The corner is taken away before anything is divided by the ramp, so that a box far from 0 costs no accuracy.
        corner = Layer(m + sources)
        corner.connect(corner.neurons(np.append(-low, np.zeros(sources))), np.arange(m + sources), 1.0)
        axis = np.repeat(np.arange(m), [n - 1 for n in grid])
        border = np.concatenate([np.arange(1, n) / n for n in grid])
        rising = Layer(corner.size)
        weight, bias = clip_first((border - ramp) * side[axis], ramp * side[axis])
        inner = rising.neurons(bias)
        rising.connect(inner, axis, weight)
        u = carry(rising, m + np.arange(sources))
        clipped = Layer(rising.size)
        step = clip_second(clipped, inner)
        u = carry(clipped, u)
        # The indicator of bin i of an axis is step_i - step_{i+1}, with step_0 = 1 and step_n = 0; that of a cell is
        # rho(sum of m indicators - (m - 1)), at most their product.
        cells = np.arange(math.prod(grid))
        bins = cells[:, None] // _strides(grid) % np.asarray(grid)
        trapezoid = Layer(clipped.size)
        on = trapezoid.neurons(1.0 - m + np.sum(bins == 0, axis=1))
        for k, before in enumerate(itertools.accumulate((n - 1 for n in grid[:-1]), initial=0)):
            entered, left = bins[:, k] > 0, bins[:, k] < grid[k] - 1
            trapezoid.connect(on[entered], step[before + bins[entered, k] - 1], 1.0)
            trapezoid.connect(on[left], step[before + bins[left, k]], -1.0)
        u = carry(trapezoid, u)
        label = Layer(trapezoid.size)
        label.connect(label.neurons(np.zeros(len(self.generator.vocabulary or ())))[np.asarray(self.table)], on, 1.0)
        carry(label, u)
        return ReLUNetwork([layer.pair() for layer in (corner, rising, clipped, trapezoid, label)])

    def _cell_of(self, c):
        c, m = jnp.asarray(c, self.low.dtype), self.condition_dim
        if c.shape != (m,) and not (m == 1 and c.shape == ()):
            raise ValueError(f"c must have shape ({m},); got {c.shape}. Use jax.vmap for a batch.")
        c = eqx.error_if(c, ~jnp.all((c >= self.low) & (c <= self.high)), "c must lie in the box of the conditions")
        return _cell(c.reshape(m), self.low, self.high, self.condition_resolution)


def _checked_grid(resolution, low, high, dim: int | None = None):
    """Cells an axis as a tuple, and the corners of the box as NumPy arrays of the default float type."""
    grid = (resolution,) * (dim or 1) if np.ndim(resolution) == 0 else tuple(resolution)
    grid = tuple(whole_number(n, "condition_resolution") for n in grid)
    if not grid or min(grid) < 1 or len(grid) != (dim or len(grid)):
        raise ValueError(f"condition_resolution must be at least 1 on every axis of the condition; got {resolution}")
    if math.prod(grid) > _MAX_CELLS:
        raise ValueError(
            f"condition_resolution asks for {math.prod(grid)} cells, at most 2**20 are possible; use fewer an axis"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = (np.asarray(corner, np.float64).astype(jnp.result_type(float)) for corner in (low, high))
        sound = all(v.shape in ((), (len(grid),)) for v in (low, high)) and np.all(np.isfinite(high - low))
    if not sound or np.any(low >= high):
        raise ValueError(
            f"low and high must be numbers or have shape ({len(grid)},), finite, with low < high on every axis; "
            f"got {low} and {high}"
        )
    return grid, np.broadcast_to(low, len(grid)), np.broadcast_to(high, len(grid))


def _in_box(c, low, high, name: str):
    """Conditions `(N, m)` in the float type of the box. Raises `ValueError` if they are not finite, or outside it."""
    c = check_points(c, name).astype(low.dtype)
    outside = np.any((c < low) | (c > high), axis=1).sum()
    if outside:
        raise ValueError(f"{outside} of {len(c)} rows of {name} lie outside the box low={low}, high={high}")
    return c


def _cell(c, low, high, grid):
    """Numbers, row by row, of the cells of `(..., m)` conditions in the box: NumPy and JAX arrays alike."""
    last = np.asarray(grid, np.int32) - 1
    bins = ((c - low) * (np.asarray(grid, low.dtype) / (high - low))).astype(np.int32).clip(0, last)
    return (bins * _strides(grid)).sum(axis=-1)


def _strides(grid) -> np.ndarray:
    return np.cumprod([1, *grid[:0:-1]], dtype=np.int32)[::-1]
