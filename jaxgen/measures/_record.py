"""What was proven about a measure when it was made: kept beside it, and only as long as its arrays are the same."""

import zlib
from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import ArrayLike

Bound = tuple[float | int, float | int]  # on W_1 and W_2


class Record:
    """Frozen figures about the arrays of a measure or a generator, with a fingerprint of those arrays.

    - `bounds`: by name, bounds on W_1 and W_2 to what the arrays were made from: "rounding" to the masses that were
        rounded, "quantization" to what a codebook was made from; between the points, where there were any, and,
        before any rounding, "points" the centres of the leaves, "law" the law on the leaves.
    - `label_bounds`: the same for the conditional law of each label, where they are known.
    - `total`: the number of points, where the masses are multiples of 1/total.
    - `saved`: whether a file keeps the figures, which take bits.

    All records are equal to each other and hash alike: figures are no part of the structure of a measure, so that two
    measures of one shape share their compiled programs. `holds` says whether the arrays are still those it speaks of.

    **Example:**

        >>> import jax.numpy as jnp
        >>> from jaxgen.measures import Record
        >>> masses = jnp.asarray([0.5, 0.5])
        >>> record = Record({"rounding": (0.1, 0.2)}).of(masses)
        >>> record.holds(masses), record.holds(masses + 1), record == Record()
        (True, False, True)
    """

    __slots__ = ("_fingerprint", "bounds", "label_bounds", "saved", "total")

    def __init__(
        self,
        bounds: Mapping[str, Bound] | None = None,
        label_bounds: Mapping[str, tuple[Bound, ...]] | None = None,
        total: int | None = None,
        arrays: Iterable[ArrayLike] | None = None,
        saved: bool = True,
    ):
        self.bounds = _checked(bounds or {})
        self.label_bounds = dict(label_bounds or {})
        if "points" in self.bounds:
            (self.bounds["points"],) = _short([self.bounds["points"]])
        if "points" in self.label_bounds:
            self.label_bounds["points"] = _short(self.label_bounds["points"])
        self.total, self.saved = total, saved
        self._fingerprint = None if arrays is None else fingerprint(arrays)

    def of(self, *arrays: ArrayLike) -> "Record":
        """The same figures, about these arrays.

        **Example:**

            >>> import jax.numpy as jnp
            >>> from jaxgen.measures import Record
            >>> Record({"rounding": (0.1, 0.2)}).of(jnp.ones(2))
            Record(rounding <= (0.1, 0.2))
        """
        return Record(self.bounds, self.label_bounds, self.total, arrays, self.saved)

    def holds(self, *arrays: ArrayLike) -> bool:
        """Whether these are the arrays that the figures are about.

        **Example:**

            >>> import jax.numpy as jnp
            >>> from jaxgen.measures import Record
            >>> record = Record().of(jnp.ones(2))
            >>> record.holds(jnp.ones(2)), record.holds(jnp.zeros(2))
            (True, False)
        """
        return self._fingerprint is None or self._fingerprint == fingerprint(arrays)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record)

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return f"Record({', '.join(f'{name} <= {bound}' for name, bound in self.bounds.items())})"


def fingerprint(arrays: Iterable[ArrayLike]) -> int:
    """A checksum of shapes, types and entries.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.measures import fingerprint
        >>> one = fingerprint([np.ones(3)])
        >>> one == fingerprint([np.ones(3)]), one == fingerprint([np.ones(4)])
        (True, False)
    """
    value = 0
    for array in arrays:
        host = np.ascontiguousarray(array)
        value = zlib.crc32(f"{host.shape}{host.dtype}".encode(), value)
        value = zlib.crc32(host.reshape(-1).view(np.uint8).data, value)
    return value


def _short(bounds: Iterable[Bound]) -> tuple[Bound, ...]:
    """The next numbers of 16 binary digits, which take three bytes each in a file."""
    significand, exponent = np.frexp(np.asarray(list(bounds), np.float64).reshape(-1, 2))
    up = np.ldexp(np.ceil(np.ldexp(significand, 16)), exponent - 16)
    return tuple((float(w1), float(w2)) for w1, w2 in up)


def _checked(bounds: Mapping[str, Bound]) -> dict[str, Bound]:
    out = {}
    for name, (w1, w2) in bounds.items():
        if not (0 <= w1 < np.inf and 0 <= w2 < np.inf):
            raise ValueError(f"{name} must be two bounds, on W_1 and W_2, nonnegative and finite; got {(w1, w2)}")
        out[name] = (float(w1), float(w2))
    return out
