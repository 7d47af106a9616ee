"""What floats add to the nested networks: a bound on W_1 and W_2 to the kernel, ramps apart (theory, section 9).

Let u be the unit roundoff. Level by level, the value that chooses a bin of its row is known to `eps`, in all neurons
that read it to `READ u` more. Farther than `eps + BORDER u` from the borders of bins, and from ramps, one bin is taken
and all rows but its own are exactly dead; its place is known to `(eps + READ u) / length`, and folded it is the next
value, known to `2**folds (eps + FOLD u) / length`. Nearer, this coordinate and the later ones are lost.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ..measures import AbstractGridMeasure, Bound
from ._nested import Rows

SOURCE, READ, BORDER, FOLD, STAIRS = 12.0, 32.0, 128.0, 168.0, 372.0


class _Nested(NamedTuple):
    """What a nested network is made of, the axes in nested order.

    - `rows`: of each coordinate; `masses`: of the leaves that are asked for, 0 for others.
    - `low`, `sides`, `bins`: corner, sides of the bins and their number on each axis.
    - `folds`: `None` for fresh numbers. `rests`: whether all coordinates but the last rest.
    """

    rows: Sequence[Rows]
    masses: Float[np.ndarray, " m"]
    low: Float[np.ndarray, " d"]
    sides: Float[np.ndarray, " d"]
    bins: Float[np.ndarray, " d"]
    folds: int | None
    rests: bool


def nested_floats(
    rows: Iterable[Rows],
    measure: AbstractGridMeasure,
    ramp: float,
    u: float,
    folds: int | None,
    rests: bool = False,
    axes: Int[np.ndarray, " d"] | None = None,
    order: Int[np.ndarray, " m"] | None = None,
    part: slice = slice(None),
) -> Bound | None:
    """Bounds on W_1 and W_2, under the leaves `part`, for a ramp of at most 1/4; `None` for wider ones.

    The other arguments are those of `nested_network`, and `order`, in which the construction takes the leaves.
    """
    if ramp > 1 / 4:
        return None
    axes = np.arange(measure.dim) if axes is None else axes
    masses, weights = np.zeros(measure.size), measure._weights()
    masses[part] = (weights if order is None else weights[order])[part]
    low, sides, bins = (np.asarray(a, np.float64)[axes] for a in (measure.low, measure.cell_sides, measure.resolution))
    net = _Nested(list(rows), masses, low, sides, bins, folds, rests)
    with np.errstate(over="ignore"):
        lost, stairs, near = _levels(net, ramp, u)
    box = float(np.linalg.norm(_box(net, u)))
    share = net.masses / net.masses.sum()
    out = [
        sum(float(often @ far**p) ** (1 / p) for often, far in (lost, stairs)) + float(share @ near**p) ** (1 / p) + box
        for p in (1, 2)
    ]
    return out[0], out[1]


def _levels(net: _Nested, ramp: float, u: float):
    """How often a coordinate and the later ones are lost, and how far that is; the same for a stair missed; how far off
    each leaf is else."""
    dim, parts = len(net.rows), 2.0 ** (net.folds or 0)
    shares, width = _shares(net), net.sides * net.bins
    # Fresh numbers are cut off at the end of the box.
    alive = 1.0 if net.folds is None else _alive(net.rows, u)
    # Where branches die in ramps, they pass through all values of the next row once more.
    crowd = 1.0 if net.folds else (1 - ramp) ** (1 - dim)
    often, far, missed, off = [], [], [], []
    eps, square = np.array([SOURCE * u]), np.zeros(1)
    for k, (rows, share, side, n) in enumerate(zip(net.rows, shares, net.sides, net.bins, strict=True)):
        known, later = eps[rows.row], k < dim - 1
        # A border on either side, and the inner end of a ramp.
        borders, steep = (2.0 + (not net.folds), rows.length) if later else _last_borders(rows)
        bad = np.minimum(crowd * (borders + (rows.gap != 0)) * (known + BORDER * u) / rows.length, 1.0)
        often.append(share @ bad)
        far.append(np.linalg.norm(width[k:] * alive ** np.arange(dim - k)))
        # The value stays in the half of a neighbour that is nearer, which has no ramp.
        reach = known + READ * u
        x = np.where(later | (reach <= steep / 2), np.minimum(reach / steep, n), n) + (2 * n + 8) * n * u
        if later and net.rests:
            wrong = parts * x + (6 * n + STAIRS) * n * parts * u
            missed.append(share * np.minimum(4 * wrong, 1.0))
            off.append(side * (2 / parts + x))
            x = 2 * x + (8 * n + STAIRS) * n * u
        square = square[rows.row] + np.where(bad < 1, side * np.minimum(x, n), 0.0) ** 2
        eps = np.full(len(rows.row), SOURCE * u) if net.folds is None else parts * (known + FOLD * u) / rows.length
    stairs = (np.concatenate(missed), np.concatenate(off)) if missed else (np.zeros(1), np.zeros(1))
    # Whatever is lost is lost at one coordinate first; at an early one it is the most.
    often = np.minimum(often, np.maximum(1 - np.cumsum(often) + often, 0.0))
    return (often, np.array(far)), stairs, np.sqrt(square)


def _last_borders(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Behind the last coordinate comes nothing that a border could switch, but a gap. How many borders of each bin have
    one, and the least length of the bin and its neighbours, which says how steep the coordinate is there."""
    same = rows.row[1:] == rows.row[:-1]
    before, behind = (np.concatenate(pair) for pair in (([False], same), (same, [False])))
    gap = (rows.gap != 0).astype(float)
    lengths = np.minimum(rows.length, np.where(before, np.roll(rows.length, 1), np.inf))
    return gap + behind * np.roll(gap, -1), np.minimum(lengths, np.where(behind, np.roll(rows.length, -1), np.inf))


def _shares(net: _Nested) -> list[np.ndarray]:
    """Of all that is asked for, what goes through each bin of each coordinate."""
    shares = [net.masses / net.masses.sum()]
    for before, rows in zip(net.rows[-2::-1], net.rows[:0:-1], strict=True):
        shares.append(np.bincount(rows.row, shares[-1], len(before.row)))
    return shares[::-1]


def _alive(rows: Sequence[Rows], u: float) -> float:
    """How many bins of one row may take a value at once: those that begin within rounding of each other, and one."""
    most = 0
    for level in rows:
        place = 2 * level.row + level.start
        most = max(most, int(np.max(np.searchsorted(place, place + 3 * BORDER * u, "right") - np.arange(len(place)))))
    return 1.0 + most


def _box(net: _Nested, u: float) -> Float[np.ndarray, " d"]:
    """The last layer: sums of clips, and the corner."""
    width = net.sides * net.bins
    sums = (2 * net.bins + 12) * u * width
    return sums + np.where(net.low == 0, 0.0, 4 * u * (np.maximum(np.abs(net.low), np.abs(net.low + width)) + sums))
