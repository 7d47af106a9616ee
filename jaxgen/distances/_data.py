"""From data to law in one pass: what a generator made from points is, at worst, away from them."""

import math

import numpy as np

from ..curves import levels_for, peano_argsort
from ..generators import AbstractGridGenerator, PeanoGenerator
from ..measures import AbstractGridMeasure
from ._clouds import PointsLike, as_cloud


def data_bound(points: PointsLike, law: AbstractGridMeasure | AbstractGridGenerator, p: int = 1) -> float:
    """An upper bound on W_p between the uniform law on points and a grid measure, or the law of its generator.

    Points and cells are both taken in the order of the Peano curve and coupled monotonically; inside its cell the law
    is taken independently of the point. With Y of the law in a cell of centre z, E Y = z, so that

        E|x - Y|^2 = |x - z|^2 + V,   V = variance of the law inside a cell,

    exactly, which is summed for p = 2, and of which the root is summed for p = 1 (Jensen). V is `sum h_k^2 / 12` for
    cells of sides h: the path of every generator has the marginals of the uniform law in a cell, up to the centre path
    of `PeanoGenerator`, which has less. O(N log N) for N points, in any dimension.

    - `points`: `(N, d)`, in the coordinates of the law; they may lie outside its box. `p`: 1 or 2.

    Returns the bound in units of the points. Raises `ValueError` for points that are empty, not finite or of another
    dimension, and for p other than 1 or 2; `TypeError` for a law that has no grid. Theory, section 11 (last line).
    """
    if p not in (1, 2):
        raise ValueError(f"p must be 1 or 2; got {p}")
    measure = law.measure if isinstance(law, AbstractGridGenerator) else law
    if not isinstance(measure, AbstractGridMeasure):
        raise TypeError(f"law must be a grid measure or a generator of one; got {type(law).__name__}")
    points = as_cloud(points, "points")
    if points.shape[1] != measure.dim:
        raise ValueError(f"points have dimension {points.shape[1]}; the law has {measure.dim}")
    n = np.asarray(measure.resolution, np.int64)
    low = np.asarray(measure.low, np.float64)
    sides = (np.asarray(measure.high, np.float64) - low) / n
    # One level below the cells: points that share a cell of which parts go elsewhere are then in order too.
    place = np.clip((points - low) * 3 / np.where(sides > 0, sides, 1.0), 0, 3 * n - 1)
    thirds = place.astype(np.int32 if 3 * n.max() < 1 << 31 else np.int64)
    points = points[peano_argsort(thirds, levels_for(measure.resolution) + 1)]
    # With labels the cells are stored label by label; the joint law of the points has no labels.
    order = slice(None)
    if measure.labels is not None:
        order = peano_argsort(np.asarray(measure.cells), levels_for(measure.resolution))
    centers = measure._host_centers()[order]
    edges = np.cumsum(measure._weights().astype(np.float64)[order])
    edges /= edges[-1]
    ends = np.arange(1, len(points) + 1) / len(points)
    cuts = np.union1d(edges, ends)
    mass = np.diff(cuts, prepend=0.0)
    middle = cuts - mass / 2
    x = points[np.minimum(np.searchsorted(ends, middle), len(points) - 1)]
    z = centers[np.minimum(np.searchsorted(edges, middle), len(centers) - 1)]
    # In units of the largest, so that no square overflows or vanishes.
    unit = max(float(np.abs(x - z).max()), float(sides.max()))
    if unit == 0:
        return 0.0
    variance = float((sides / unit) @ (sides / unit)) / 12
    if isinstance(law, PeanoGenerator) and law.path == "centre":
        variance *= 1 - 9.0**-law.extra_levels
    square = np.sum(((x - z) / unit) ** 2, axis=1) + variance
    return unit * (math.sqrt(float(mass @ square)) if p == 2 else float(mass @ np.sqrt(square)))
