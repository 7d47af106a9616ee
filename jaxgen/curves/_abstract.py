"""What a curve is: an order of the cells of a grid, and a walk inside one."""

import abc
from collections.abc import Callable, Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from .._checks import Numbers, finite_points
from ..relu import ReLUNetwork
from ..source import Residual, float_to_words, motion
from ._filling import centre_distance, diagonal_distance, line_distance

# How a law fills a finest cell, and the distance to the uniform law on it.
_PATHS: dict[str, Callable[[np.ndarray], tuple[float, float]]] = {
    "line": line_distance,
    "diagonal": diagonal_distance,
    "centre": centre_distance,
}
# Digits of a curve that are worth having to put points in order, and bits of a coordinate that fit int32.
_ORDER_BITS, _MOST_BITS = 64, 30


class AbstractCurve(eqx.Module):
    """A curve that visits the `base**levels` cells an axis of a cube, one after another, level by level.

    Consecutive cells of one level are cut into `base**dim` parts each, visited in an order that depends on the cell.
    A subclass gives the `base`, the order of many cells on the host (`keys`), and one step of the walk inside a cell
    (`steps`); if it has one, the walk as a ReLU network (`network`). The rest follows.

    **Example:** `PeanoCurve` and `HilbertCurve` are two, each one file.

        >>> import jaxgen as jg
        >>> points = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
        >>> jg.HilbertCurve().order(points).tolist()
        [0, 2, 3, 1]
    """

    base: eqx.AbstractClassVar[int]
    # Whether the walk inside a cell depends on how many levels have led to it.
    heeds_levels: ClassVar[bool] = True

    @abc.abstractmethod
    def keys(self, cells: Int[np.ndarray, "m d"], levels: int) -> list[np.ndarray]:
        """Sort keys of cells of [0, base**levels)^d, as arrays `(m,)`, most significant first.

        **Example:**

            >>> import numpy as np, jaxgen as jg
            >>> [key.tolist() for key in jg.PeanoCurve().keys(np.array([[0, 0], [1, 2]]), 1)]
            [[0, 3]]
        """

    @abc.abstractmethod
    def steps(
        self, digits: UInt32[Array, "levels d"], cell: Int[Array, " d"], cell_levels: int
    ) -> tuple[UInt32[Array, "levels d"], Bool[Array, " d"]]:
        """Digits of the curve's parameter inside `cell`, to digits of the coordinates.

        `cell_levels` levels have led to `cell`. Also returns which coordinates run backward inside the last cell.

        **Example:**

            >>> import jax.numpy as jnp, jaxgen as jg
            >>> digits = jnp.asarray([[1, 0]], jnp.uint32)  # after an odd step to the right, up runs backward
            >>> steps, backward = jg.PeanoCurve().steps(digits, jnp.zeros(2, jnp.int32), 0)
            >>> steps.tolist(), backward.tolist()
            ([[1, 2]], [False, True])
        """

    def network(self, dim: int, levels: int, slope: int, path: str = "line") -> ReLUNetwork:
        """The walk v -> [0, base**levels]^dim inside a first cell as a ReLU network, with ramps of slope `slope`.

        **Raises:** `NotImplementedError`, saying why, where the curve has none beyond level 0.

        **Example:**

            >>> import jaxgen as jg
            >>> jg.PeanoCurve().network(dim=2, levels=1, slope=1000)(0.5).tolist()  # in units of a cell
            [1.5, 1.5]
        """
        if levels == 0:
            weight, bias = np.zeros((dim, 1)), np.full(dim, 0.5)
            if path == "diagonal":
                weight, bias = weight + 1, bias * 0
            elif path == "line":
                weight[-1], bias[-1] = 1, 0
            return ReLUNetwork([(weight, bias)])
        raise NotImplementedError(self._no_network())

    def _no_network(self) -> str:
        return f"{type(self).__name__} has no ReLU network of more than 0 levels: use extra_levels=0 for the network"

    def levels_for(self, resolution: Sequence[int]) -> int:
        """The smallest number of levels k with `base**k >= max(resolution)`.

        **Example:**

            >>> import jaxgen as jg
            >>> jg.PeanoCurve().levels_for((9, 4)), jg.HilbertCurve().levels_for((9, 4))
            (2, 4)
        """
        levels = 0
        while self.base**levels < max(resolution):
            levels += 1
        return levels

    def argsort(self, cells: Int[np.ndarray, "m d"], levels: int) -> Int[np.ndarray, " m"]:
        """The permutation that puts integer cells of [0, base**levels)^d in the order of the curve (stable).

        **Example:**

            >>> import numpy as np, jaxgen as jg
            >>> jg.HilbertCurve().argsort(np.array([[0, 0], [1, 0], [0, 1], [1, 1]]), 1).tolist()
            [0, 2, 3, 1]
        """
        keys, used = self.keys(cells, levels), 1
        while True:
            # Points of high dimension differ in their first digits already; a sort by all of them is the exception.
            order = np.lexsort(keys[:used][::-1])
            if used >= len(keys) or _all_distinct([key[order] for key in keys[:used]]):
                return order
            used *= 4

    def order(self, points: Numbers) -> Int[np.ndarray, " n"]:
        """The permutation that puts finite points in the order of the curve through their bounding box.

        **Example:**

            >>> import jaxgen as jg
            >>> jg.PeanoCurve().order([[0.0, 0.0], [1.0, 1.0], [0.1, 0.9]]).tolist()
            [0, 2, 1]
        """
        points = finite_points(points)
        if points.shape[1] == 1:
            return np.argsort(points[:, 0], kind="stable")
        low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
        levels = 0
        while self.base ** (levels + 1) < 1 << _MOST_BITS and (
            levels < 2 or self.base ** (levels * points.shape[1]) < 1 << _ORDER_BITS
        ):
            levels += 1
        side = self.base**levels
        cells = (points - low) / np.where(high > low, high - low, 1.0) * side
        return self.argsort(np.clip(cells.astype(np.int64), 0, side - 1), levels)

    def walk(
        self,
        cell: Int[Array, " d"],
        cell_levels: int,
        r: Residual,
        levels: int,
        dtype: jnp.dtype | type,
        path: str,
    ) -> Float[Array, " d"]:
        """The position in [0, 1]^d inside `cell` after the share `r` of its stretch of the curve, `levels` deeper.

        What is left of r then moves through the last cell: along the line through its centre on the last axis
        (`path="line"`), along its diagonal (`"diagonal"`), or not at all (`"centre"`).

        **Example:**

            >>> import jax.numpy as jnp, jaxgen as jg
            >>> from jaxgen.source import Residual
            >>> half = Residual.of_words(jnp.asarray([1 << 31], jnp.uint32), bits=16)
            >>> jg.PeanoCurve().walk(jnp.zeros(2, jnp.int32), 0, half, 0, jnp.float32, "diagonal").tolist()
            [0.5, 0.5]
        """
        dim = cell.shape[0]
        digits, r = r.digits(self.base, levels * dim)
        steps, backward = self.steps(jnp.asarray(digits, jnp.uint32).reshape(levels, dim), cell, cell_levels)
        if path == "centre":
            inner = jnp.full((dim,), 0.5, dtype)
        else:
            w = r.to_float(dtype)
            inner = jnp.where(backward, 1 - w, w)
            inner = inner if path == "diagonal" else inner.at[:-1].set(0.5)

        def unfold(inner, step):
            return (step.astype(dtype) + inner) / self.base, None

        return jax.lax.scan(unfold, inner, steps, reverse=True)[0]

    def __call__(self, v: Float[Array, ""], dim: int, levels: int, path: str = "diagonal") -> Float[Array, " dim"]:
        """The curve [0, 1] -> [0, 1]^dim with `levels` levels, exact in the bits of `v`. A batch: `jax.vmap`.

        Its derivative by `v` is the slope of the piece that `v` is on.
        """
        check_path(path)
        v = jnp.asarray(v)
        v = v if jnp.issubdtype(v.dtype, jnp.floating) else v.astype(jnp.result_type(float))
        words = float_to_words(jax.lax.stop_gradient(v), 5 if v.dtype == jnp.float32 else 34)
        r = Residual.of_words(words, 16, motion(v))
        return self.walk(jnp.zeros((dim,), jnp.int32), 0, r, levels, v.dtype, path)

    def filling(self, sides: Float[np.ndarray, " d"], path: str) -> tuple[float, float]:
        """Bounds on W_1 and W_2 between the path inside a finest cell with these sides and the uniform law on it.

        **Example:**

            >>> import numpy as np, jaxgen as jg
            >>> [round(w, 4) for w in jg.PeanoCurve().filling(np.ones(2), "line")]
            [0.25, 0.2887]
        """
        return _PATHS[path](np.asarray(sides, np.float64))


def check_path(path: str) -> str:
    """The name of a path. Raises `ValueError` for an unknown one.

    **Example:**

        >>> from jaxgen.curves import check_path
        >>> check_path("line")
        'line'
    """
    if path not in _PATHS:
        raise ValueError(f"path must be one of {', '.join(_PATHS)}; got {path!r}")
    return path


def _all_distinct(sorted_keys: list[np.ndarray]) -> bool:
    """Whether no two neighbours of a sorted list of keys, held as columns, are equal."""
    return bool(np.all(np.any([key[1:] != key[:-1] for key in sorted_keys], axis=0)))
