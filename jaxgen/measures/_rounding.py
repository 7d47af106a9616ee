"""Masses to whole quanta along an order of the leaves, and what that costs (theory, section 8)."""

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from .._checks import whole_number
from ._record import Bound, Record

MAX_QUANTA = 1 << 24  # so that uint32 arithmetic has room for at least 8 bits of u beside a count


class Rounded(NamedTuple):
    """Counts of the leaves, in their order, and bounds on W_1 and W_2 to the masses before, for all and each label."""

    counts: Int[np.ndarray, " m"]
    bound: Bound
    label_bounds: tuple[Bound, ...]

    def record(self, before: Record, unchanged: bool) -> Record:
        """What was known of the masses before, with what the rounding cost: the sum, where they had been rounded.

        **Raises:** `ValueError` where masses were rounded, and changed since, as `unchanged` says.
        """
        earlier = before.bounds.get("rounding", (0.0, 0.0))
        if not unchanged:
            if any(earlier):
                raise ValueError("the arrays of this measure were changed since it was rounded: build it anew")
            before = Record()
        each = before.label_bounds.get("rounding") or ((0.0, 0.0),) * len(self.label_bounds)
        labels = dict(before.label_bounds)
        if "rounding" in labels or not any(earlier):
            labels["rounding"] = tuple(map(added, each, self.label_bounds))
        return Record({**before.bounds, "rounding": added(earlier, self.bound)}, labels, saved=before.saved)


def added(one: Bound, two: Bound) -> Bound:
    """The triangle inequality, for W_1 and for W_2.

    **Example:**

        >>> from jaxgen.measures import added
        >>> added((1.0, 2.0), (0.5, 0.5))
        (1.5, 2.5)
    """
    return one[0] + two[0], one[1] + two[1]


def round_masses(
    masses: Float[np.ndarray, " m"],
    centers: Float[np.ndarray, "m d"],
    offsets: Int[np.ndarray, " ends"],
    quanta: int | object,
    sides: Float[np.ndarray, "m d"] | None = None,
) -> Rounded:
    """Every cumulative mass, in the order of the leaves, to the nearest multiple of 1/quanta.

    **Arguments:**

    - `masses`, `centers`: of the leaves, label by label; `offsets`: where each label begins, and the end.
    - `quanta`: K. Every label keeps at least one quantum.
    - `sides`: of the leaves, where they differ.

    **Raises:** `ValueError` for quanta below the number of labels or above 2**24, `TypeError` for no integer.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.measures import round_masses
        >>> rounded = round_masses(np.array([0.3, 0.7]), np.array([[0.0], [1.0]]), np.array([0, 2]), 4)
        >>> rounded.counts.tolist(), round(rounded.bound[0], 4)  # a twentieth of the mass moves by 1
        ([1, 3], 0.05)
    """
    labels = len(offsets) - 1
    quanta = whole_number(quanta, "quanta")
    if not labels <= quanta <= MAX_QUANTA:
        kept = "" if labels == 1 else f" (one for each of the {labels} labels)"
        raise ValueError(f"quanta must lie between {labels}{kept} and 2**24 = {MAX_QUANTA}; got {quanta}")
    cdf = np.concatenate([[0.0], np.cumsum(masses.astype(np.float64))])
    cdf /= cdf[-1]
    edges = np.rint(quanta * cdf).astype(np.int64)
    ends = edges[offsets]
    if np.any(np.diff(ends) < 1):
        # Push the ends of starved labels apart, first to the right, then back from the last quantum.
        place = np.arange(labels + 1)
        ends = np.maximum.accumulate(ends - place) + place
        ends = np.minimum(ends, quanta - (labels - place))
        start = np.repeat(offsets[:-1], np.diff(offsets))
        label = np.repeat(place[:-1], np.diff(offsets))
        inner = (cdf[1:] - cdf[start]) / (cdf[offsets[1:]] - cdf[offsets[:-1]])[label]
        edges = np.concatenate([[0], ends[label] + np.rint(inner * np.diff(ends)[label]).astype(np.int64)])
    return Rounded(np.diff(edges), *transports(centers, cdf, edges / quanta, offsets, sides))


def transports(
    centers: Float[np.ndarray, "m d"],
    cdf_p: Float[np.ndarray, " ends"],
    cdf_q: Float[np.ndarray, " ends"],
    offsets: Int[np.ndarray, " bounds"],
    sides: Float[np.ndarray, "m d"] | None = None,
) -> tuple[Bound, tuple[Bound, ...]]:
    """The bounds of `curve_transport` between two laws, and between their conditional laws under each label."""
    each = tuple(
        curve_transport(
            centers[a:b], _within(cdf_p[a : b + 1]), _within(cdf_q[a : b + 1]), None if sides is None else sides[a:b]
        )
        for a, b in itertools.pairwise(offsets)
    )
    return curve_transport(centers, cdf_p, cdf_q, sides), each


def _within(cdf):
    """The cumulative masses of a label given the label."""
    return (cdf - cdf[0]) / (cdf[-1] - cdf[0])


def curve_transport(
    centers: Float[np.ndarray, "m d"],
    cdf_p: Float[np.ndarray, " ends"],
    cdf_q: Float[np.ndarray, " ends"],
    sides: Float[np.ndarray, "m d"] | None = None,
) -> Bound:
    """Bounds (on W_1, W_2) from the monotone coupling of two laws on the same leaves in the same order, in one pass.

    A piece of mass goes from the leaf where one cumulative mass has it to the leaf where the other has it, keeping its
    relative position v. From a leaf of centre z and sides s to one of z', s' it travels `z - z' + (s - s')(v - 1/2)`:
    in the mean square `|z - z'|^2 + |s - s'|^2 / 12`, whose root bounds the mean. Theory, section 8.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.measures import curve_transport
        >>> centers = np.array([[0.0, 0.0], [3.0, 4.0]])
        >>> curve_transport(centers, np.array([0, 0.5, 1]), np.array([0, 0.25, 1]))  # a quarter moves by 5
        (1.25, 2.5)
    """
    cuts = np.union1d(cdf_p, cdf_q)
    mass = np.diff(cuts)
    middle = (cuts[1:] + cuts[:-1]) / 2
    last = len(centers) - 1
    a = np.minimum(np.searchsorted(cdf_p, middle, side="right") - 1, last)
    b = np.minimum(np.searchsorted(cdf_q, middle, side="right") - 1, last)
    moved = a != b
    square = np.sum((centers[a[moved]] - centers[b[moved]]) ** 2, axis=1)
    if sides is not None:
        square += np.sum((sides[a[moved]] - sides[b[moved]]) ** 2, axis=1) / 12
    return float(mass[moved] @ np.sqrt(square)), float(np.sqrt(mass[moved] @ square))
