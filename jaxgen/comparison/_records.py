"""What a comparison finds, number by number."""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Spread(NamedTuple):
    """Mean and standard deviation over the repeats of a measurement.

    **Example:**

        >>> from jaxgen.comparison import Spread
        >>> Spread.of([1.0, 3.0])
        Spread(mean=2.0, std=1.0)
    """

    mean: float
    std: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        """The spread of one value a repeat.

        **Example:**

            >>> from jaxgen.comparison import Spread
            >>> Spread.of([2.0, 2.0])
            Spread(mean=2.0, std=0.0)
        """
        return cls(float(np.mean(values)), float(np.std(values)))

    def __str__(self) -> str:
        return f"{self.mean:.3g} ± {self.std:.1g}"


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
class Floor:
    """What the training points themselves score: two samples of one law, neither of them generated.

    A distance between samples cannot be expected to go below it (theory, section 11).

    **Example:**

        >>> from jaxgen.comparison import Floor, Spread
        >>> Floor(w1=Spread(1.0, 0.1), w2=Spread(1.2, 0.1)).per_label
        ()
    """

    w1: Spread
    w2: Spread
    per_label: tuple[LabelError, ...] = ()


@dataclasses.dataclass(frozen=True)
class Entry:
    """One generator of a comparison, and what was measured of it.

    **Arguments:**

    - `name`, `kind`: the kind is "explicit", "trained" or "user".
    - `source_dim`: uniform numbers a point. `depth`, `width`, `connectivity`: of its ReLU form (theory, section 1), or
      how many numbers the arrays of a user's module hold.
    - `bits`: of the whole encoded generator, or of its arrays.
    - `w1`, `w2`: distances to the held-out points, in the units of the data.
    - `certificate`: what is proven, if anything, of the distance to its measure; `to_points`: to the points that the
      measure was made from; `rounding`: the part for the last rounding to a float, of W_1.
    - `limit`: the least W_1 that anything of its size can have to the training points on a grid: so many atoms, or a
      network with one input of such depth and width (theory, section 10).
    - `seconds`: to build or to train it. `nanoseconds_per_sample`: to draw from it.
    - `per_label`: the error of each label that has enough held-out points.
    - `absent`: what it does not have, and why.
    - `failed`: why it could not be measured.
    - `samples`: `(n, d)`, for the figure.

    **Example:**

        >>> from jaxgen.comparison import Entry, Spread
        >>> str(Entry("mine", "user", w1=Spread(1.234, 0.1)).w1)
        '1.23 ± 0.1'
    """

    name: str
    kind: str
    source_dim: int | None = None
    depth: int | None = None
    width: int | None = None
    connectivity: int | None = None
    bits: float | int | None = None
    w1: Spread | None = None
    w2: Spread | None = None
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


@dataclasses.dataclass(frozen=True)
class DepthPoint:
    """A generator with s folds, or extra levels, on a coarse grid: W_1 to its measure, proven and sampled."""

    kind: str
    s: int
    depth: int
    certificate: float
    w1: float


@dataclasses.dataclass(frozen=True)
class SizePoint:
    """A generator on a grid of so many cells an axis: W_1 to the held-out points."""

    kind: str
    resolution: int
    connectivity: int
    w1: float


@dataclasses.dataclass(frozen=True)
class Path:
    """The curve u -> x of a generator with one source, at equally spaced u."""

    kind: str
    points: Float[np.ndarray, "n d"]


@dataclasses.dataclass(frozen=True)
class Curves:
    """Error against depth and against size, and the curves themselves.

    `depth_floor` is W_1 between two of the samples that stand for the measure in `depth`.
    """

    depth: tuple[DepthPoint, ...] = ()
    size: tuple[SizePoint, ...] = ()
    depth_floor: float | None = None
    paths: tuple[Path, ...] = ()


@dataclasses.dataclass(frozen=True)
class PlanePoint:
    """W_1 to the held-out points against bits, of the best for a budget, or of a network at a precision.

    **Example:**

        >>> from jaxgen.comparison import PlanePoint
        >>> PlanePoint("explicit", "Peano", bits=1000, w1=2.0, budget=1024).bits <= 1024
        True
    """

    family: str
    name: str
    bits: int
    w1: float
    budget: int | None = None
    precision: int | None = None


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
