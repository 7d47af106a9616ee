"""What a file holds, as far as a type checker can know before it is read."""

from typing import Protocol, TypeVar, runtime_checkable

from jaxtyping import Array, Float, PRNGKeyArray

Loaded = TypeVar("Loaded")


@runtime_checkable
class Law(Protocol):
    """A law that can be sampled: a measure or a generator. Name the class to `load` for the methods of its own.

    **Example:**

        >>> import jaxgen as jg
        >>> law = jg.decode(jg.encode(jg.QuantizedMeasure([[0]], [1], 0.0, 1.0, 2)))
        >>> isinstance(law, jg.coding.Law), isinstance(0.5, jg.coding.Law)
        (True, False)
    """

    @property
    def dim(self) -> int:
        """Dimension of the points.

        **Example:**

            >>> import jaxgen as jg
            >>> jg.decode(jg.encode(jg.CodebookGenerator([0.0, 1.0]))).dim
            1
        """
        ...

    @property
    def vocabulary(self) -> tuple[str | int, ...] | None:
        """The labels that can be asked for.

        **Example:**

            >>> import jaxgen as jg
            >>> jg.decode(jg.encode(jg.CodebookGenerator([0.0, 1.0]))).vocabulary is None
            True
        """
        ...

    def sample(self, key: PRNGKeyArray, n: int) -> Float[Array, "n dim"]:
        """`n` points.

        **Example:**

            >>> import jax, jaxgen as jg
            >>> jg.decode(jg.encode(jg.CodebookGenerator([0.0, 1.0]))).sample(jax.random.key(0), 3).shape
            (3, 1)
        """
        ...
