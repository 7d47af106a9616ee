"""What a generator computes, apart from what it knows: arrays that send words to points (theory, section 2)."""

import abc

import equinox as eqx
import jax
from jaxtyping import Array, Float, Int, UInt32


class AbstractKernel(eqx.Module):
    """The map of an explicit generator on exact words: a tree to locate in, and what places.

    It holds nothing that is not computed with, and nothing of it but shapes and the construction is static: kernels of
    measures of one padded size are one compiled program.

    **Example:**

        >>> import jax.numpy as jnp, jaxgen as jg
        >>> kernel = jg.GridMeasure.from_histogram([1, 3], high=4.0).generator().kernel()
        >>> kernel.push(jnp.asarray([[1 << 31, 0]], jnp.uint32), None)[0].tolist()  # u = 1/2, exactly
        [2.6666667461395264]
    """

    @abc.abstractmethod
    def send(
        self,
        words: UInt32[Array, "source_dim words"],
        code: Int[Array, ""] | None,
        moved: Float[Array, " source_dim"] | None,
    ) -> tuple[Float[Array, " dim"], Int[Array, ""]]:
        """Locate, in exact integers; then place, in floats."""

    @abc.abstractmethod
    def padded(self) -> "AbstractKernel":
        """The same kernel in arrays of sizes that many kernels share."""

    def push(
        self,
        words: UInt32[Array, "source_dim words"],
        code: Int[Array, ""] | None,
        moved: Float[Array, " source_dim"] | None = None,
    ) -> tuple[Float[Array, " dim"], Int[Array, ""]]:
        """The point, and the code of its label, for one fixed-point source; as `push` of the generator."""
        # Where the arrays are constants of a program, as in jit(vmap(generator)), XLA would build them into its
        # kernels, which fails for some thousands of leaves ("Unknown MLIR failure" on CPU).
        return jax.lax.optimization_barrier(self).send(words, code, moved)
