"""Where the leaves of a measure are: what is left of it once a leaf is known (theory, section 2)."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from ..source import entry, padded


class Boxes(eqx.Module):
    """The boxes of leaves, on a grid or not, and the point at a position inside one.

    - `corners`: integer cells of a grid whose corner is `low`, or lower corners, `(m, d)`.
    - `sides`: of every box, `(d,)`, or of each, `(m, d)`, in the units of the data; `low`: `(d,)`, or `None`.

    **Example:**

        >>> import jax.numpy as jnp, jaxgen as jg
        >>> boxes = jg.GridMeasure.from_histogram([1, 3], high=4.0).boxes
        >>> boxes.place(jnp.asarray(1), jnp.asarray([0.25])).tolist()
        [2.5]
    """

    corners: Shaped[Array | np.ndarray, "m d"]
    sides: Float[Array | np.ndarray, "*m d"]
    low: Float[Array | np.ndarray, " d"] | None

    @property
    def dim(self) -> int:
        """Dimension of the boxes."""
        return self.corners.shape[1]

    def cell(self, leaf: Int[Array, ""]) -> Int[Array, " d"]:
        """The cell of a grid that a leaf is; the first one where there is no grid.

        **Example:**

            >>> import jax.numpy as jnp, jaxgen as jg
            >>> jg.GridMeasure.from_histogram([0, 3]).boxes.cell(jnp.asarray(0)).tolist()
            [1]
        """
        return jnp.zeros((self.dim,), jnp.int32) if self.low is None else entry(jnp.asarray(self.corners), leaf)

    def place(self, leaf: Int[Array, ""], inside: Float[Array, " d"]) -> Float[Array, " d"]:
        """The point of a leaf at the position `inside` in [0, 1]^d: `corner + side * inside`."""
        dtype = jnp.result_type(float)
        sides = jnp.asarray(self.sides, dtype)
        if self.low is not None:
            return (
                jnp.asarray(self.low, dtype)
                + (entry(jnp.asarray(self.corners), leaf).astype(inside.dtype) + inside) * sides
            )
        sides = sides if sides.ndim == 1 else entry(sides, leaf)
        return entry(jnp.asarray(self.corners, dtype), leaf) + sides * inside

    def padded(self) -> "Boxes":
        """The same boxes in arrays of sizes that many measures share.

        **Example:**

            >>> import jaxgen as jg
            >>> jg.GridMeasure.from_histogram([1] * 5).boxes.padded().corners.shape
            (6, 1)
        """
        return Boxes(padded(self.corners), self.sides if self.sides.ndim == 1 else padded(self.sides), self.low)
