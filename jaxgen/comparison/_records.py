"""What a comparison finds, number by number."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Spread(NamedTuple):
    """Mean and standard deviation of a measurement over splits of the data.

    **Example:**

        >>> from jaxgen.comparison import Spread
        >>> Spread.of([1.0, 3.0]), str(Spread.of([2.0]))
        (Spread(mean=2.0, std=1.0), '2')
    """

    mean: float
    std: float | None = None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of one value a split; of a single value none is known.

        **Example:**

            >>> from jaxgen.comparison import Spread
            >>> Spread.of([2.0, 2.0])
            Spread(mean=2.0, std=0.0)
        """
        return cls(float(np.mean(values)), float(np.std(values)) if len(values) > 1 else None)

    def __str__(self) -> str:
        return f"{self.mean:.3g}" + ("" if self.std is None else f" ± {self.std:.1g}")


class Bound(NamedTuple):
    """Proven bounds on W_1 and W_2 between the law of a generator and its measure, or the points behind that, in the
    units of the data."""

    w1: float
    w2: float


@dataclasses.dataclass(frozen=True)
class Absence:
    """Something that a generator does not have, and why."""

    what: str
    why: str


@dataclasses.dataclass(frozen=True)
class LabelError:
    """W_1 between the held-out points of a label and samples given that label."""

    label: str
    w1: float


@dataclasses.dataclass(frozen=True)
class Entry:
    """One generator of a comparison, and what was measured of it.

    **Arguments:**

    - `name`, `kind`: the kind is "explicit" (the exact kernel), "network" (the ReLU network of an explicit one),
      "trained", "peer" (of another library) or "user". `family`: the line it is on in the planes.
    - `source_dim`: uniform numbers a point. `depth`, `width`, `connectivity`: of a ReLU network (theory, section 1), or
      how many numbers the arrays of a user's module hold; a kernel has none.
    - `bits`: of the whole encoded file, or of its arrays.
    - `near`: W_1 from its law to the points it was made from, those of the first half of the first split.
    - `unseen`: W_1 from its law to the held-out half, split by split; a generator that takes long to make is made of
      the first split only.
    - `certificate`: what is proven, if anything, of the distance to its measure; `to_points`: to the points that the
      measure was made from; `rounding`: the part for the last rounding to a float, of W_1.
    - `limit`: the least W_1 that anything of its size can have to the training points on a grid: so many atoms, or a
      network with one input of such depth and width (theory, section 10).
    - `seconds`: to build it, on one processor, or to train it. `nanoseconds_per_sample`: to draw from it.
    - `per_label`: the error of each label that has enough held-out points.
    - `absent`: what it does not have, and why.
    - `failed`: why it could not be measured.
    - `samples`: `(n, d)`, for the figure.

    **Example:**

        >>> from jaxgen.comparison import Entry
        >>> str(Entry("mine", "user", unseen=(1.0, 1.2)).held_out)
        '1.1 ± 0.1'
    """

    name: str
    kind: str
    family: str = ""
    source_dim: int | None = None
    depth: int | None = None
    width: int | None = None
    connectivity: int | None = None
    bits: float | int | None = None
    near: float | None = None
    unseen: tuple[float, ...] = ()
    certificate: Bound | None = None
    to_points: Bound | None = None
    rounding: float | None = None
    limit: float | None = None
    seconds: float | None = None
    nanoseconds_per_sample: float | None = None
    per_label: tuple[LabelError, ...] = ()
    absent: tuple[Absence, ...] = ()
    failed: str | None = None
    samples: Float[np.ndarray, "n d"] | None = None

    @property
    def held_out(self) -> Spread | None:
        """W_1 to the held-out points over the splits.

        **Example:**

            >>> from jaxgen.comparison import Entry
            >>> Entry("mine", "user").held_out is None
            True
        """
        return Spread.of(self.unseen) if self.unseen else None


@dataclasses.dataclass(frozen=True)
class Halves:
    """W_1 between the two halves of each split: two samples of one law, neither of them generated.

    What a law scores that says nothing but the points it was made from; one that guesses well can score less.

    **Example:**

        >>> from jaxgen.comparison import Halves
        >>> str(Halves((1.0, 1.2)).spread)
        '1.1 ± 0.1'
    """

    w1: tuple[float, ...]
    per_label: tuple[LabelError, ...] = ()

    @property
    def spread(self) -> Spread:
        """Over the splits.

        **Example:**

            >>> from jaxgen.comparison import Halves
            >>> Halves((3.0,)).spread
            Spread(mean=3.0, std=None)
        """
        return Spread.of(self.w1)


@dataclasses.dataclass(frozen=True)
class DepthPoint:
    """A generator with s folds, or extra levels, on a coarse grid: what is proven of its W_1 to its measure."""

    kind: str
    s: int
    depth: int
    certificate: float


@dataclasses.dataclass(frozen=True)
class Path:
    """The curve u -> x of a generator with one source, at equally spaced u."""

    kind: str
    points: Float[np.ndarray, "n d"]


@dataclasses.dataclass(frozen=True)
class Curves:
    """Error against depth, and the curves themselves."""

    depth: tuple[DepthPoint, ...] = ()
    paths: tuple[Path, ...] = ()


class BitsLimit(NamedTuple):
    """The error that every code of so many bits has on some law on the occupied cells: `limits.covering_error`."""

    bits: float
    w1: float


@dataclasses.dataclass(frozen=True)
class LengthLimit:
    """The least W_1 of any law on a curve as long as that of a network with one source."""

    name: str
    length: float
    w1: float


@dataclasses.dataclass(frozen=True)
class Limits:
    """What no method can cross: in bits on the occupied cells, and on curves of such a length (theory, 8 and 10)."""

    any_method: tuple[BitsLimit, ...] = ()
    length: tuple[LengthLimit, ...] = ()


@dataclasses.dataclass(frozen=True)
class IntegralError:
    """The error of an integral against the number of points, for one integrand and one way to choose points.

    - `integrand`: "smooth", "rough" or "indicator". `points`: "i.i.d.", "stratified" and "extensible" of one uniform
      number; "Sobol", scrambled, of as many as there are coordinates, through the inverse Rosenblatt map.
    - `rmse`: for each number of points. `uncertainty`: the standard error of the last one, relative to it.
    - `slope`: of its logarithm by that of the number of points; `theory`: the one that is proven, if any (theory,
      section 4).
    """

    integrand: str
    points: str
    rmse: tuple[float, ...]
    uncertainty: float
    slope: float
    theory: float | None = None


@dataclasses.dataclass(frozen=True)
class Integrals:
    """How fast integrals converge on the law of the training points on a grid.

    - `sizes`: numbers of points. `keys`: random integrands of each kind, each with points of its own.
    - `dim`: coordinates that vary. `absent`: why there are none.
    """

    sizes: tuple[int, ...] = ()
    keys: int = 0
    dim: int = 0
    errors: tuple[IntegralError, ...] = ()
    absent: str = ""
