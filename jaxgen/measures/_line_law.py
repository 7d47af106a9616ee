"""W_1 on the line between points and a law on intervals, exactly: the area between their distribution functions."""

import numpy as np
from jaxtyping import Float


def line_error(
    points: Float[np.ndarray, " n"],
    corners: Float[np.ndarray, " m"],
    sides: Float[np.ndarray, " m"],
    masses: Float[np.ndarray, " m"],
) -> float:
    """The distance from the uniform law on points to that of disjoint intervals, uniform inside each, or atoms.

    Between the points, the ends of the intervals and their neighbours both distribution functions are linear, and so is
    what they differ by: from a to b over a length l, the area is `l (|a| + |b|) / 2` where a and b have one sign, and
    `l (a^2 + b^2) / (2 (|a| + |b|))` where they have two.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.measures import line_error
        >>> line_error(np.array([0.5]), np.array([0.0]), np.array([1.0]), np.array([1.0]))  # E|U - 1/2|
        0.25
    """
    order = np.lexsort((sides, corners))  # an atom before the interval that begins there
    starts, ends = corners[order], (corners + sides)[order]
    knots = np.ravel(np.stack([starts, ends], axis=1))
    total = np.cumsum(masses[order]) / masses.sum()
    heights = np.ravel(np.stack([total - masses[order] / masses.sum(), total], axis=1))
    x = np.sort(np.concatenate([points, knots]))
    data = np.searchsorted(np.sort(points), x[:-1], side="right") / len(points)
    # From the right of one abscissa to the left of the next: in between nothing jumps, an atom neither.
    a, b = _height(x[:-1], knots, heights, "right") - data, _height(x[1:], knots, heights, "left") - data
    both = np.abs(a) + np.abs(b)
    area = np.where(a * b >= 0, both / 2, (a * a + b * b) / np.where(both > 0, 2 * both, 1.0))
    return float(np.diff(x) @ area)


def _height(x, knots, heights, side) -> Float[np.ndarray, " k"]:
    """The distribution function on one side of each x: linear between knots, which come twice where it jumps."""
    i = np.searchsorted(knots, x, side=side)
    before, after = np.maximum(i - 1, 0), np.minimum(i, len(knots) - 1)
    step = knots[after] - knots[before]
    share = np.where(step > 0, (x - knots[before]) / np.where(step > 0, step, 1.0), 0.0)
    height = heights[before] + share * (heights[after] - heights[before])
    return np.where(i == 0, 0.0, np.where(i == len(knots), heights[-1], height))
