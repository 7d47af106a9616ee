"""From data to law in one pass: what a law made from points is, at worst, away from them."""

import math
from typing import Any, SupportsFloat

import numpy as np

from .._checks import Numbers, finite_points
from ..curves import PeanoCurve


def data_bound(points: Numbers, law: object, p: SupportsFloat = 1, *, relative: bool = False) -> float:
    """An upper bound on W_p between the uniform law on points and a grid measure, or the law of its generator.

    Points and cells are both taken in the order of the Peano curve and coupled monotonically; inside its cell the law
    is taken independently of the point. With Y of the law in a cell of centre z, E Y = z, so that

        E|x - Y|^2 = |x - z|^2 + V,   V = variance of the law inside a cell,

    exactly, which is summed for p = 2, and of which the root is summed for p = 1 (Jensen). V is `sum h_k^2 / 12`, that
    of the uniform law on a cell of sides h, or what a generator says of itself by `cell_moments()`: where V holds on
    average only, p = 1 has the bound of p = 2, and where the means differ, the bound is that to the measure and the
    `filling()` of the law, its distance to the measure. O(N log N) for N points, in any dimension. Theory, section 11.

    The law of a generator is that of the floats which come out of it, in the type that JAX computes in now: what they
    are off (`float_error` of its measure) is added. A measure is what it is, and nothing is added.

    **Arguments:**

    - `points`: `(N, d)`, in the coordinates of the law; they may lie outside its box.
    - `law`: a measure on a grid, or a generator that has one as its `measure`.
    - `p`: 1 or 2.
    - `relative`: of a generator, whose points are taken relative to the corner of the box.

    **Returns:** the bound, in units of the points.

    **Raises:** `ValueError` for points that are empty, not finite or of another dimension, and for p other than 1 or 2;
    `TypeError` for a law that has no grid, and points that are not real numbers.

    **Example:**

        >>> import jaxgen as jg
        >>> points = [[0.25, 0.25], [0.75, 0.75]]
        >>> measure = jg.GridMeasure.from_samples(points, 2, low=0.0, high=1.0)  # two cells of side 1/2
        >>> round(jg.data_bound(points, measure, p=2), 6)
        0.204124
    """
    if p not in (1, 2):
        raise ValueError(f"p must be 1 or 2; got {p}")
    generator: Any = law
    measure: Any = getattr(law, "measure", law)
    if not hasattr(law, "cell_moments"):
        return _exactly(points, law, measure, None, p)
    floats, own = measure.float_error(relative)[int(p) - 1], generator.cell_moments()
    if own is None:
        return _exactly(points, law, measure, None, p) + generator.filling()[int(p) - 1] + floats
    return _exactly(points, law, measure, own, p if own.in_each_cell else 2) + floats


def _exactly(points: Numbers, law: object, measure: Any, own: Any, p: SupportsFloat) -> float:
    """The bound in exact arithmetic; `own` are the moments of the law in each cell, `None` for the uniform law."""
    if not (hasattr(measure, "cells") and hasattr(measure, "resolution")):
        raise TypeError(f"law must be a grid measure or a generator of one; got {type(law).__name__}")
    points = finite_points(points).astype(np.float64)
    if points.shape[1] != measure.dim:
        raise ValueError(f"points have dimension {points.shape[1]}; the law has {measure.dim}")
    n, levels = np.asarray(measure.resolution, np.int64), PeanoCurve().levels_for(measure.resolution)
    low = np.asarray(measure.low, np.float64)
    sides = (np.asarray(measure.high, np.float64) - low) / n
    # One level below the cells: points that share a cell of which parts go elsewhere are then in order too.
    place = np.clip((points - low) * 3 / np.where(sides > 0, sides, 1.0), 0, 3 * n - 1)
    points = points[PeanoCurve().argsort(place.astype(np.int32 if 3 * n.max() < 1 << 31 else np.int64), levels + 1)]
    order = PeanoCurve().argsort(np.asarray(measure.cells), levels)
    centers = measure._host_centers()[order]
    edges = np.cumsum(measure._weights().astype(np.float64)[order])
    edges /= edges[-1]
    ends = np.arange(1, len(points) + 1) / len(points)
    cuts = np.union1d(edges, ends)
    mass = np.diff(cuts, prepend=0.0)
    middle = cuts - mass / 2
    difference = points[np.minimum(np.searchsorted(ends, middle), len(points) - 1)]
    difference -= centers[np.minimum(np.searchsorted(edges, middle), len(centers) - 1)]
    # In units of the largest, so that no square overflows or vanishes.
    unit = max(float(np.abs(difference).max()), float(sides.max()))
    if unit == 0:
        return 0.0
    variance = float((sides / unit) @ (sides / unit)) / 12 if own is None else own.variance / unit / unit
    square = np.sum((difference / unit) ** 2, axis=1) + variance
    return unit * (math.sqrt(float(mass @ square)) if p == 2 else float(mass @ np.sqrt(square)))
