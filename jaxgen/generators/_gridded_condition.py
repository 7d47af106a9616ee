"""Continuous conditions: a box of conditions is cut into cells, and the cells are labels (theory, section 7)."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, SupportsFloat, SupportsIndex

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Int, Int32, PRNGKeyArray, UInt32

from .._checks import Numbers, box_corners, finite_points, ramp_width, require_volume, whole_number
from ..measures import GridMeasure
from ..relu import NetworkBuilder, ReLUNetwork, affine, clip_inner, clip_outer, compose, parallel
from ._base import AbstractGenerator
from ._certificate import Certificate
from ._curve import CurveGenerator
from ._exact_source import exact_source
from ._explicit import AbstractExplicitGenerator, point_at

_MAX_CELLS = 1 << 20


class GriddedCondition(AbstractGenerator):
    """The law of x given a continuous condition c: that of the cell of c, in a grid on a box of R^m.

    A cell without data is served by the nearest one with data: the distance is that of the centres where the box is
    the unit cube, so that the units of the axes of c do not matter. `generator` is the conditional generator, `table`
    the position in its vocabulary of the label that serves each cell. Theory, section 7.

    **Example:** points near a line, given the first coordinate.

        >>> import jax, numpy as np, jaxgen as jg
        >>> c = np.linspace(0, 1, 1000)
        >>> g = jg.GriddedCondition.from_samples(c, 10 * c, condition_resolution=10, resolution=100)
        >>> bool(abs(g.sample(jax.random.key(0), 50, 0.35) - 3.5).max() < 0.6)
        True
    """

    generator: AbstractExplicitGenerator
    table: Int32[Array, " cells"]
    low: Float[Array | np.ndarray, " m"]
    high: Float[Array | np.ndarray, " m"]
    condition_resolution: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        generator: AbstractExplicitGenerator | object,
        condition_resolution: SupportsIndex | Sequence[SupportsIndex] | object,
        low: Numbers = 0.0,
        high: Numbers = 1.0,
    ):
        """**Arguments:**

        - `generator`: its labels are cells of the grid of conditions, numbered row by row (the last axis fastest).
        - `condition_resolution`: cells on each of the m axes of the condition; an integer is m = 1.
        - `low`, `high`: the box of the conditions, numbers or `(m,)`; the unit cube by default.

        **Raises:** `ValueError` for a resolution below 1, more than 2**20 cells, a box that is not finite or has
        `low >= high`, and labels that are no cells; `TypeError` for anything but an explicit generator.
        """
        from scipy.ndimage import distance_transform_edt

        if not isinstance(generator, AbstractExplicitGenerator):
            raise TypeError(f"generator must be an explicit one, made from a measure; got {type(generator).__name__}")
        self.condition_resolution, low, high = _checked_grid(condition_resolution, low, high)
        self.low, self.high = low.copy(), high.copy()
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
        conditions: ArrayLike | object,
        points: ArrayLike | object,
        *,
        condition_resolution: SupportsIndex | Sequence[SupportsIndex] | object,
        resolution: int | Sequence[int],
        make: Callable[[GridMeasure], AbstractExplicitGenerator] = CurveGenerator,
        low: Numbers = 0.0,
        high: Numbers = 1.0,
    ) -> "GriddedCondition":
        """From pairs of a condition and a point.

        **Arguments:**

        - `conditions`: `(N, m)`, or `(N,)` for m = 1, in the box from `low` to `high`; `points`: `(N, d)`.
        - `condition_resolution`: cells on each axis of the condition; an integer holds for all of them.
        - `resolution`: cells on each axis of the points, on their bounding box, as in `GridMeasure.from_samples`.
        - `make`: what makes the generator of the measure of points labelled by cells.

        **Raises:** `ValueError` as the constructor does, as `GridMeasure.from_samples` does, and for conditions that
        are not finite, lie outside the box, or are not as many as the points.

        **Example:**

            >>> import numpy as np, jaxgen as jg
            >>> c = np.linspace(0, 1, 100)
            >>> g = jg.GriddedCondition.from_samples(c, c**2, condition_resolution=5, resolution=20)
            >>> g.condition_dim, g.dim
            (1, 1)
        """
        conditions, points = finite_points(conditions, "conditions"), finite_points(points)
        if len(conditions) != len(points):
            raise ValueError(f"there must be as many conditions as points; got {len(conditions)} and {len(points)}")
        grid, low, high = _checked_grid(condition_resolution, low, high, conditions.shape[1])
        labels = _cell(_in_box(conditions, low, high, "conditions"), low, high, grid)
        return cls(make(GridMeasure.from_samples(points, resolution, labels=labels)), grid, low, high)

    @property
    def dim(self) -> int:
        """Dimension of the points."""
        return self.generator.dim

    @property
    def source_dim(self) -> int:
        """How many uniform numbers go in, beside the condition."""
        return self.generator.source_dim

    @property
    def source_bits(self) -> int:
        """Bits of each uniform number that the law needs."""
        return self.generator.source_bits

    @property
    def condition_dim(self) -> int:
        """Dimension m of the condition."""
        return len(self.condition_resolution)

    def __call__(self, u: Numbers, condition: Numbers | None = None) -> Float[Array, " dim"]:
        """The point, `(dim,)`, that one source value is sent to under a condition; without one, by the law of x.

        `u` is as for the generator; `condition` has shape `(m,)`, or is a number for m = 1, in the box. Both may be
        traced. Raises `ValueError` for a wrong shape, and a runtime error for a condition outside the box or NaN.
        """
        code = None if condition is None else self.table[self._cell_of(condition)]
        words, moved = exact_source(self.generator, u)
        return point_at(self.generator.kernel(), words, code, moved)

    def push(
        self, words: UInt32[Array, "source_dim words"], code: Int[Array, ""] | None
    ) -> tuple[Float[Array, " dim"], Int[Array, ""]]:
        """That of the generator."""
        return self.generator.push(words, code)

    def kernel(self) -> Any:
        """That of the generator."""
        return self.generator.kernel()

    def label(self, condition: Numbers) -> int:
        """The label that serves one condition: `g.generator.measure.given(g.label(c))` is the measure behind it.

        **Example:**

            >>> import numpy as np, jaxgen as jg
            >>> c = np.linspace(0, 1, 100)
            >>> jg.GriddedCondition.from_samples(c, c**2, condition_resolution=5, resolution=20).label(0.5)
            2
        """
        return int(np.asarray(self.generator.vocabulary)[int(self.table[self._cell_of(condition)])])

    # A condition is a point here, where other generators have labels.
    def sample(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        key: PRNGKeyArray,
        n: SupportsIndex,
        condition: Numbers | None = None,
        stratified: bool = False,
        relative: bool = False,
    ) -> Float[Array, "n dim"]:
        """Draws `n` points, as the `sample` of the generator does.

        `condition` is one condition, as in a call, or `(n, m)`, one a sample (also `(n,)` for m = 1). Raises
        `ValueError` for a wrong shape, NaN, and conditions outside the box.
        """
        n = whole_number(n, "n", 1)
        return self.generator.sample(key, n, None, stratified, code=self._codes(condition, n), relative=relative)

    def stream(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        key: PRNGKeyArray,
        n: SupportsIndex,
        condition: Numbers | None = None,
        stratified: bool = False,
        chunk_size: int | None = None,
        relative: bool = False,
    ) -> Iterator[Float[Array, "chunk dim"]]:
        """Yields the points of `sample`, in order, `chunk_size` at a time."""
        n = whole_number(n, "n", 1)
        codes = self._codes(condition, n)
        return self.generator.stream(key, n, None, stratified, chunk_size=chunk_size, code=codes, relative=relative)

    def relative(self) -> "GriddedCondition":
        """The same, with a generator relative to the corner of the box of its points; conditions are as before."""
        return eqx.tree_at(lambda g: g.generator, self, self.generator.relative())

    def certificate(
        self,
        ramp: SupportsFloat | None = None,
        condition: Numbers | None = None,
        *,
        stratified: SupportsIndex | None = None,
        relative: bool = False,
        dtype: DTypeLike | None = None,
    ) -> Certificate:
        """That of the generator: of the law of x alone, or of its law under the label that serves a condition, or the
        mixture of those that serve several, `(n, m)`, one a sample.

        It bounds the distance to the data of that label, and says nothing of how the law varies inside a cell. With
        `ramp`, it holds for `network(ramp)` at every condition outside the ramps. Errors as in a call.
        """
        codes = None if condition is None else np.asarray(self._codes(condition, len(np.atleast_1d(condition))))
        labels = None if codes is None else np.asarray(self.generator.vocabulary)[codes].tolist()
        return self.generator.certificate(ramp, labels, stratified=stratified, relative=relative, dtype=dtype)

    def _codes(self, condition: Numbers | None, n: int) -> Int[Array, "..."] | None:
        if condition is None:
            return None
        c, m = np.asarray(condition), self.condition_dim
        one = c.shape == (m,) or (m == 1 and c.ndim == 0)
        if not one and c.shape != (n, m) and not (m == 1 and c.shape == (n,)):
            raise ValueError(
                f"condition must be one condition of shape ({m},), or one a sample, ({n}, {m}); got {c.shape}"
            )
        low, high = np.asarray(self.low), np.asarray(self.high)
        cells = _cell(_in_box(c.reshape(-1, m), low, high, "condition"), low, high, self.condition_resolution)
        codes = np.asarray(self.table)[cells]
        return jax.device_put(codes[0] if one else codes)

    def transition_measure(self, ramp: SupportsFloat = 2.0**-20) -> float:
        """The share of the box of conditions on which the indicators of `network(ramp)` are not one-hot, exactly.

        `1 - prod_k (1 - (n_k - 1) min(ramp, 1/n_k))` for n_k cells on axis k: at most `ramp sum_k (n_k - 1)`. For every
        other c the network of (c, u) is that of the generator under the label of c. Raises `ValueError` for a ramp
        outside (0, 1).

        **Example:**

            >>> import numpy as np, jaxgen as jg
            >>> c = np.linspace(0, 1, 100)
            >>> g = jg.GriddedCondition.from_samples(c, c**2, condition_resolution=5, resolution=20)
            >>> round(g.transition_measure(ramp=0.01), 4)  # four borders
            0.04
        """
        ramp = ramp_width(ramp)
        return -math.expm1(sum(math.log1p(-(n - 1) * min(ramp, 1 / n)) for n in self.condition_resolution))

    def network(self, ramp: SupportsFloat = 2.0**-20) -> ReLUNetwork:
        """The same map as a ReLU network of `(c, u)`: indicators of the cells, then the generator's `network(ramp)`.

        The indicators are trapezoids, whose ramps take the last `ramp` of the box's side before each border between
        cells. They are 0 and 1 except on `transition_measure(ramp)` of the box, where neighbours mix. They sum to 1 for
        every c if m = 1, and wherever c lies in the ramps of at most one axis; elsewhere to at most 1.

        Raises `ValueError` for a ramp outside (0, 1), and where a weight would overflow the float type.
        """
        grid, m = self.condition_resolution, self.condition_dim
        ramp, low = ramp_width(ramp), np.asarray(self.low, np.float64)
        side = np.asarray(self.high, np.float64) - low
        # The corner is taken away before anything is divided by the ramp, so that a box far from 0 costs no accuracy.
        net = NetworkBuilder(c=m)
        net.layer(c=net["c"] - low)
        axis = np.repeat(np.arange(m), [n - 1 for n in grid])
        border = np.concatenate([np.arange(1, n) / n for n in grid])
        net.layer(half=clip_inner(net["c"][axis], (border - ramp) * side[axis], ramp * side[axis]))
        net.layer(step=clip_outer(net["half"]))
        # The indicator of bin i of an axis is step_i - step_{i+1}, with step_0 = 1 and step_n = 0; that of a cell is
        # rho(sum of m indicators - (m - 1)), at most their product.
        cells = np.arange(math.prod(grid))
        bins = cells[:, None] // _strides(grid) % np.asarray(grid)
        on = net.constant(1.0 - m + np.sum(bins == 0, axis=1))
        for k, before in enumerate(itertools.accumulate((n - 1 for n in grid[:-1]), initial=0)):
            entered, left = np.flatnonzero(bins[:, k] > 0), np.flatnonzero(bins[:, k] < grid[k] - 1)
            on = on + net["step"][before + bins[entered, k] - 1].add_at(entered, len(cells))
            on = on - net["step"][before + bins[left, k]].add_at(left, len(cells))
        net.layer(on=on)
        label = net.network(net["on"].add_at(np.asarray(self.table), len(self.generator.vocabulary or ())))
        both = parallel(label, affine(np.eye(self.source_dim)), nonnegative=True)
        return compose(self.generator.network(ramp), both, nonnegative=True)

    def _cell_of(self, c):
        # What is known before it is traced is a float64 on the host, like the box.
        c, m = c if isinstance(c, Tracer) else np.asarray(c), self.condition_dim
        if c.shape != (m,) and not (m == 1 and c.shape == ()):
            raise ValueError(f"condition must have shape ({m},); got {c.shape}. Use jax.vmap for a batch.")
        outside = _outside(c.reshape(1, m), self.low, self.high)[0]
        wide = c if isinstance(c, Tracer) else c.astype(np.float64)
        with np.errstate(invalid="ignore"):
            cell = _cell(wide.reshape(m), self.low, self.high, self.condition_resolution)
        return eqx.error_if(jnp.asarray(cell), outside, "condition must lie in the box of the conditions")


def _checked_grid(resolution, low, high, dim: int | None = None):
    """Cells an axis as a tuple, and the corners of the box in float64."""
    grid = (resolution,) * (dim or 1) if np.ndim(resolution) == 0 else tuple(resolution)
    grid = tuple(whole_number(n, "condition_resolution") for n in grid)
    if not grid or min(grid) < 1 or len(grid) != (dim or len(grid)):
        raise ValueError(f"condition_resolution must be at least 1 on every axis of the condition; got {resolution}")
    if math.prod(grid) > _MAX_CELLS:
        raise ValueError(
            f"condition_resolution asks for {math.prod(grid)} cells, at most 2**20 are possible; use fewer an axis"
        )
    low, high = box_corners(low, high, len(grid), "the box of conditions")
    require_volume(low, high)
    return grid, low, high


def _in_box(c, low, high, name: str):
    """Conditions `(N, m)` in float64. Raises `ValueError` if they are not finite, or outside the box."""
    c = finite_points(c, name)
    outside = _outside(c, low, high).sum()
    if outside:
        raise ValueError(f"{outside} of {len(c)} rows of {name} lie outside the box low={low}, high={high}")
    return c.astype(np.float64)


def _outside(c, low, high):
    """Which rows lie outside the box, or are NaN, in the type of the conditions: its 0.1 is that of the box."""
    low, high = (x.astype(c.dtype) if c.dtype.kind == "f" else x for x in (low, high))
    inside: Any = (c >= low) & (c <= high)
    return ~inside.all(axis=1)


def _cell(c, low, high, grid):
    """Numbers, row by row, of the cells of `(..., m)` conditions in the box: NumPy and JAX arrays alike."""
    last = np.asarray(grid, np.int32) - 1
    bins = ((c - low) * (np.asarray(grid, low.dtype) / (high - low))).astype(np.int32).clip(0, last)
    return (bins * _strides(grid)).sum(axis=-1)


def _strides(grid) -> np.ndarray:
    return np.cumprod([1, *grid[:0:-1]], dtype=np.int32)[::-1]
