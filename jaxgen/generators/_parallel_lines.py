"""What the zigzag without folds costs: parallel lines, that share what is between (theory, section 3).

Given all bins but the last two, the law is a line in each bin of the axis before the last, along which the place in the
bin rises from 0 to 1 with the last coordinate. Cut the plane into a tube about each line: between neighbours the border
is moved from that of their bins towards the middle of the lines, high up to the right and low down to the left, so that
each tube has the mass of its line. Cut the tube into boxes, put them in the order of the point of the line that they
are straight across from, or of their heights, and couple each with its stretch of the line, independently.
"""

import math

import numpy as np
from jaxtyping import Float, Int, Shaped

from ..curves import zigzag_distance

# Slabs that the last axis is cut into at least, and a cell; parts across a tube; slabs that are worth the while.
_SLABS, _FINE, _PARTS, _MOST = 256, 8, 12, 1 << 14


def unfolded_distance(
    cells: Int[np.ndarray, "m d"],
    weights: Shaped[np.ndarray, " m"],
    labels: Int[np.ndarray, " m"] | None,
    sides: Float[np.ndarray, " d"],
) -> tuple[float, float]:
    """Bounds on W_1 and W_2 between the zigzag without folds and its measure; cells and their sides in nested order.

    Never more than `zigzag_distance`: the coupling of lines is taken for each slice where it is better. Of the axes
    before the last two each costs as much as two independent places. For W_1 that is used up to three axes, and where
    there are too many cells not at all.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.generators._parallel_lines import unfolded_distance
        >>> cells = np.argwhere(np.ones((4, 4)))
        >>> w1, w2 = unfolded_distance(cells, np.ones(16), None, np.ones(2))
        >>> round(w1, 2), round(w2, 2)  # 1/3 and 1/sqrt(6) = 0.41, were the places independent
        (0.32, 0.36)
    """
    w1, w2 = zigzag_distance(sides[:-1])
    if len(sides) < 2 or np.any(sides[-2:] == 0):
        return w1, w2
    earlier = cells[:, :-2] if labels is None else np.concatenate([labels[:, None], cells[:, :-2]], axis=1)
    slices, where = np.unique(earlier, axis=0, return_inverse=True)
    last = cells[:, -2:] - cells[:, -2:].min(axis=0)
    shape = len(slices), *(last.max(axis=0) + 1)
    if shape[0] * shape[1] * max(_FINE * shape[2], _SLABS) > _MOST:
        return w1, w2
    masses = np.zeros(shape)
    masses[where.ravel(), last[:, 0], last[:, 1]] = weights
    mean, square = lines_distance(masses, *sides[-2:], *sides[:-2] if len(sides) == 3 else ())
    share = masses.sum(axis=(1, 2)) / masses.sum()
    square = share @ np.minimum(square, sides[-2] ** 2 / 6) + sides[:-2] @ sides[:-2] / 6
    w2 = min(w2, math.sqrt(square))
    return min(float(share @ np.minimum(mean, w1)) if len(sides) <= 3 else w1, w2), w2


def lines_distance(
    masses: Float[np.ndarray, "slices bins cells"], side: float, height: float, first: float | None = None
) -> tuple[Float[np.ndarray, " slices"], Float[np.ndarray, " slices"]]:
    """Mean, and mean square, of the distance that the coupling moves, in each slice.

    **Arguments:**

    - `masses`: of the bins of the axis before the last and the cells of the last, for each value of the earlier bins.
    - `side`, `height`: of a bin and of a cell. `first`: with one more axis before these two, the side of its bins; the
        mean is then that of three coordinates, of which the first is coupled with an independent place in the bin.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.generators._parallel_lines import lines_distance
        >>> w1, square = lines_distance(np.ones((1, 4, 4)), 1.0, 1.0)  # 1/3 and 1/sqrt(6), were the places independent
        >>> round(float(w1[0]), 3), round(float(square[0]) ** 0.5, 3)
        (0.316, 0.361)
    """
    found = [_cost(masses, side, height, first, bend) for bend in (0.0, 1.0)]
    return np.minimum(found[0][0], found[1][0]), np.minimum(found[0][1], found[1][1])


def _cost(masses: np.ndarray, side: float, height: float, first: float | None, bend: float):
    """The same for one order of the boxes: `bend` 0 by height, 1 by what they are straight across from."""
    slices, bins, cells = masses.shape
    fine = max(_FINE, -(-_SLABS // cells))
    slab, height = np.repeat(masses / fine, fine, axis=2), height / fine
    line = np.concatenate([np.zeros((slices, bins, 1)), np.cumsum(slab, axis=2)], axis=2)
    line /= np.where(line[..., -1:] > 0, line[..., -1:], 1.0)
    place, slope = (line[..., 1:] + line[..., :-1]) / 2, np.diff(line, axis=2) * side / height
    # What the borders leave of the bin, and what they take of the neighbours.
    right, left = _borders(slab, place, side, height)
    before, behind = np.zeros_like(slab), np.zeros_like(slab)
    before[:, 1:], behind[:, :-1] = slab[:, :-1], slab[:, 1:]
    width = np.stack([left[:, :-1], 1 - right[:, :-1] - left[:, 1:], right[:, 1:]], axis=-1) / _PARTS
    start = np.stack([-left[:, :-1], right[:, :-1], np.ones_like(slab)], axis=-1)
    mass = width * np.stack([before, slab, behind], axis=-1)
    across = start[..., None] + width[..., None] * (np.arange(_PARTS) + 0.5)
    at = (np.arange(slab.shape[2]) + 0.5) * height
    key = at[:, None, None] + bend * slope[..., None, None] * side * (across - place[..., None, None])
    boxes = (slices, bins, slab.shape[2] * 3 * _PARTS)
    order = np.argsort(key.reshape(boxes), axis=2, kind="stable")

    def sort(values):
        values = np.broadcast_to(values, (*slab.shape, 3, _PARTS)).reshape(boxes)
        return np.take_along_axis(values, order, axis=2)

    mass, across, width, at = sort(mass[..., None]), sort(across), sort(width[..., None]), sort(at[:, None, None])
    ends = np.concatenate([np.zeros((slices, bins, 1)), np.cumsum(mass, axis=2)], axis=2)
    ends /= np.where(ends[..., -1:] > 0, ends[..., -1:], 1.0)
    # The heights at the ends of a stretch, row by row: one function, moved by 2 from row to row.
    row = 2.0 * np.arange(slices * bins).reshape(slices, bins, 1)
    heights = np.tile(np.arange(line.shape[2]) * height, slices * bins)
    ends_at = np.interp((ends + row).ravel(), (line + row).ravel(), heights).reshape(ends.shape)
    rise = np.maximum((ends_at[..., :-1] - at) ** 2, (ends_at[..., 1:] - at) ** 2) + height**2 / 12
    r, spread = (ends[..., :-1] + ends[..., 1:]) / 2, np.diff(ends, axis=2) ** 2 / 12
    square = side**2 * ((r - across) ** 2 + spread + width**2 / 12) + rise
    weight = masses.sum(axis=(1, 2))
    mean_square = (mass * square).sum(axis=(1, 2)) / weight
    if first is None:
        return (mass * np.sqrt(square)).sum(axis=(1, 2)) / weight, mean_square
    # The place in the first bin is where on the axis before the last the line is.
    share = masses.sum(axis=2, keepdims=True) / weight[:, None, None]
    r, spread = np.cumsum(share, axis=1) - share + share * r, share**2 * spread
    mean = np.zeros(slices)
    for part in (np.arange(_PARTS) + 0.5) / _PARTS:
        more = first**2 * ((r - part) ** 2 + spread + 1 / (12 * _PARTS**2))
        mean += (mass * np.sqrt(square + more)).sum(axis=(1, 2)) / weight / _PARTS
    return mean, mean_square


def _borders(slab: np.ndarray, place: np.ndarray, side: float, height: float) -> tuple[np.ndarray, np.ndarray]:
    """How far each border is moved to the right, into the bin behind it, and to the left; `(slices, bins + 1, slabs)`.

    Nothing but the quality of the bound depends on it. To first order a border should move by s, half way between its
    lines, and what a tube then takes too much at some height it must take to another: with masses J through borders and
    V upwards, the least sum of `w (J/w - s)^2 side^2` and `w (V/w)^2 height^2` that keeps all masses is that of
    `J = w (s - difference of p / side^2)`, `V = -w difference of p / height^2`, with a potential p that solves a sparse
    system. What the borders give and take in all is then made equal by reducing the larger.
    """
    middle = (place[:, 1:] + place[:, :-1] - 1) / 2
    sideways, upwards = _harmonic(slab[:, :-1], slab[:, 1:]), _harmonic(slab[..., :-1], slab[..., 1:])
    through = sideways * (middle - _potential_differences(middle, sideways, upwards, side, height))
    right, left = (
        np.clip(sign * through / np.where(taken > 0, taken, 1.0), 0, 0.5)
        for sign, taken in ((1, slab[:, 1:]), (-1, slab[:, :-1]))
    )
    given, got = ((a * b).sum(axis=2, keepdims=True) for a, b in ((right, slab[:, 1:]), (left, slab[:, :-1])))
    out = []
    for part, mass in ((right, given), (left, got)):
        border = np.zeros((slab.shape[0], slab.shape[1] + 1, slab.shape[2]))
        border[:, 1:-1] = part * np.minimum(given, got) / np.where(mass > 0, mass, 1.0)
        out.append(border)
    return out[0], out[1]


def _harmonic(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return 2 * one * two / np.where(one + two > 0, one + two, 1.0)


def _potential_differences(middle, sideways, upwards, side: float, height: float) -> np.ndarray:
    """Of neighbouring bins, divided by `side^2`."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import spsolve

    slices, borders, slabs = middle.shape
    node = np.arange(slices * (borders + 1) * slabs).reshape(slices, borders + 1, slabs)
    ends = [(node[:, :-1], node[:, 1:]), (node[..., :-1], node[..., 1:])]
    first, second = (np.concatenate([pair[k].ravel() for pair in ends]) for k in (0, 1))
    weight = np.concatenate([(sideways / side**2).ravel(), (upwards / height**2).ravel()])
    flow = np.concatenate([(sideways * middle).ravel(), np.zeros(upwards.size)])
    size = node.size
    source = np.bincount(second, flow, size) - np.bincount(first, flow, size)
    degree = np.bincount(first, weight, size) + np.bincount(second, weight, size)
    entries = np.concatenate([degree + 1e-9 * degree.max() + (degree == 0), -weight, -weight])
    rows, columns = np.concatenate([node.ravel(), first, second]), np.concatenate([node.ravel(), second, first])
    potential = np.asarray(spsolve(coo_matrix((entries, (rows, columns)), shape=(size, size)).tocsc(), source))
    return np.diff(potential.reshape(node.shape), axis=1) / side**2
