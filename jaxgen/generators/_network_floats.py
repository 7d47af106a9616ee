"""What floats add to the network of leaves: a bound on W_1 and W_2 to the kernel, ramps apart (theory, section 9).

Let u be the unit roundoff, F_i the mass before leaf i and p_i its mass. Farther than `BORDER u` and the ramp from every
F_i the staircases are exactly 0 and 1, and the position in the leaf is known to `(8 + 8 F_i) u / p_i + 10 u`. Each wave
makes an error three times larger and adds `WAVE u` to it at most.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ..measures import Bound
from ._axes import exchanged

BORDER = 32.0
WAVE = 240.0


class Leaves(NamedTuple):
    """What the network is made of: as `leaf_network` has it, in units of the data, and the levels of Peano's curve.

    - `starts`, `masses`: `(m,)`; `corners`, `sides`: `(m, d)`, corners relative to `low`; `whole`: the size of a cell
        on each axis where corners are counted in cells, or `None`.
    - `axes`: which coordinate of the path changes places with the last, `(m,)`; `runs`: how far the path inside a
        finest cell runs, scaled to the leaf, `(m,)`.
    """

    starts: Float[np.ndarray, " m"]
    masses: Float[np.ndarray, " m"]
    corners: Float[np.ndarray, "m d"]
    sides: Float[np.ndarray, "m d"]
    axes: Int[np.ndarray, " m"]
    runs: Float[np.ndarray, " m"]
    low: Float[np.ndarray, " d"]
    whole: Float[np.ndarray, " d"] | None
    levels: int


def network_floats(leaves: Leaves, ramp: float, u: float, part: slice) -> Bound | None:
    """Bounds on W_1 and W_2, under the leaves `part`, for a ramp of at most 1/4; `None` where floats are too coarse."""
    m = len(leaves.starts)
    if ramp > 1 / 4 or 4 * m * u > 1:
        return None
    share = leaves.masses[part] / leaves.masses[part].sum()
    box = float(np.linalg.norm(_box(leaves, u)))
    wrong, far = _borders(leaves, ramp, u, part)
    often, spread, near = _inside(leaves, u, part)
    out = []
    for p in (1, 2):
        borders = float(wrong @ far**p) ** (1 / p)
        each = np.min(often * spread[:, None] ** p + near**p, axis=1)
        out.append(borders + float(share @ each) ** (1 / p) + box)
    return out[0], out[1]


def _box(leaves: Leaves, u: float) -> Float[np.ndarray, " d"]:
    """The staircases of the corners, and the last layer, on each axis, where they are settled."""
    m, width = len(leaves.starts), (leaves.corners + leaves.sides).max(axis=0)
    climbs = np.abs(leaves.corners[0]) + np.abs(np.diff(leaves.corners, axis=0)).sum(axis=0)
    whole = leaves.whole
    exact = np.zeros(len(width), bool) if whole is None else climbs * u < np.where(whole > 0, whole, 1.0)
    sums = np.where(exact, 0.0, 2 * (m + 2) * u * climbs)
    taken = exchanged(np.broadcast_to(np.arange(len(width)), leaves.sides.shape), leaves.axes)
    gates = max(len(np.unique(column)) for column in (leaves.sides + 1j * taken).T)
    arithmetic = (gates + 12) * u * (width + 4 * leaves.sides.max(axis=0))
    largest = np.maximum(np.abs(leaves.low), np.abs(leaves.low + width)) + arithmetic + sums
    return sums + arithmetic + 2 * np.where(leaves.low == 0, 0.0, 2 * u * largest)


def _borders(leaves: Leaves, ramp: float, u: float, part: slice) -> tuple[np.ndarray, np.ndarray]:
    """How likely u is near each border, and how far apart kernel and network can be there.

    There the corner is one of those of a run of leaves, and steps between them in any order; and the path is somewhere
    in one of them. Only borders closer than four times the stretch share a run.
    """
    starts, masses = leaves.starts, leaves.masses
    inner = np.arange(max(part.start or 0, 1), len(starts) if part.stop is None else part.stop)
    stretch = BORDER * u / (1 - ramp)
    first = np.searchsorted(starts, starts[inner] - 4 * stretch) - 1
    last = np.searchsorted(starts, starts[inner] + 4 * stretch, side="right")
    steps = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(leaves.corners, axis=0), axis=1)))
    sizes = np.append(0.0, np.cumsum(np.linalg.norm(leaves.sides, axis=1)))
    first = np.maximum(first, 0)
    far = steps[last - 1] - steps[first] + 2 * (sizes[last] - sizes[first])
    wrong = 2 * stretch + ramp * (masses[inner - 1] + masses[inner])
    return wrong / masses[part].sum(), far


def _inside(leaves: Leaves, u: float, part: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each leaf and each number J of levels trusted: how often one of them is wrong, the size of the leaf, and how
    far off the path is else; `(m, J)`, `(m,)`, `(m, J)`."""
    starts, masses, sides = leaves.starts[part], leaves.masses[part], leaves.sides[part]
    dim, levels, spread = sides.shape[1], leaves.levels, np.linalg.norm(sides, axis=1)
    known = u * ((8 + 8 * starts) / masses + 10)
    if levels == 0:
        near = leaves.runs[part] * np.minimum(known + 12 * u, 1.0) + 12 * u * spread
        return np.zeros((len(masses), 1)), spread, near[:, None]
    trusted = np.arange(levels + 1)
    with np.errstate(over="ignore", invalid="ignore"):
        grown = np.float64(3.0) ** (dim * trusted) * (known + WAVE * u)[:, None]
        often = np.minimum(2 * grown, 1.0) * (trusted > 0)
        # A wave that has left [0, 1] goes on leaving it.
        beyond = WAVE * u * np.float64(3.0) ** (dim * levels)
        part_of_leaf = np.float64(3.0) ** -trusted * (1 + beyond)
        off = np.where(trusted == levels, np.float64(3.0) ** -levels * grown, part_of_leaf)
    off = np.minimum(np.where(np.isfinite(off), off, 1.0) + 12 * (levels + 1) * u, 1.0)
    return often, spread, off * spread[:, None]
