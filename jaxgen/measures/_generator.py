"""What a measure knows of the generators that are made of it, which stand in a room above."""

from collections.abc import Iterator, Mapping
from typing import Literal, Protocol, overload, runtime_checkable

from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import Numbers
from ..relu import ReLUNetwork
from ._record import Bound
from ._vocabulary import Condition, Label


@runtime_checkable
class Proven(Protocol):
    """Bounds on W_1 and W_2, and what they are made of: see `jaxgen.Certificate`."""

    @property
    def w1(self) -> float: ...
    @property
    def w2(self) -> float: ...
    @property
    def parts(self) -> Mapping[str, Bound]: ...


@runtime_checkable
class Generator(Protocol):
    """What the generator of a measure can do: `jaxgen.AbstractGenerator` says what each of it means.

    **Example:**

        >>> import jaxgen as jg
        >>> isinstance(jg.GridMeasure.from_histogram([1, 2]).generator(), jg.measures.Generator)
        True
    """

    @property
    def dim(self) -> int: ...
    @property
    def vocabulary(self) -> tuple[Label, ...] | None: ...

    def __call__(
        self, u: Numbers, condition: Label | None = None, *, code: Numbers | None = None
    ) -> Float[Array, " dim"]: ...

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
    ) -> tuple[Float[Array, "n dim"], list[Label]]: ...
    def stream(
        self, key: PRNGKeyArray, n: int, condition: Condition = None, stratified: bool = False
    ) -> Iterator[Float[Array, "chunk dim"]]: ...
    def network(self) -> ReLUNetwork: ...
    def certificate(self) -> Proven: ...
