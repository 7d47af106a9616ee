"""From data to law: what a law made from points is, at worst, away from them."""

import math
from typing import Any, SupportsFloat

import numpy as np

from .._checks import Numbers, finite_points
from ..curves import PeanoCurve
from ..measures import AbstractMeasure, node_bound


def data_bound(points: Numbers, law: object, p: SupportsFloat = 1, *, relative: bool = False) -> float:
    """An upper bound on W_p between the uniform law on points and a measure, or the law of its generator.

    The smaller of two bounds. One goes from node to node of a tree, and sees how evenly points fill a leaf
    (`node_bound`; theory, section 8). The other, where the leaves are cells of a grid, takes points and cells in the
    order of the Peano curve and couples them monotonically; inside its cell the law is taken independently of the
    point. With Y of the law in a cell of centre z, E Y = z, so that

        E|x - Y|^2 = |x - z|^2 + V,   V = variance of the law inside a cell,

    exactly, which is summed for p = 2, and of which the root is summed for p = 1 (Jensen). V is `sum h_k^2 / 12`, that
    of the uniform law on a cell of sides h, or what a generator says of itself by `cell_moments()`: where V holds on
    average only, p = 1 has the bound of p = 2. Where the means differ, and for the nodes, the bound is that to the
    measure and the `filling()` of the law, its distance to the measure. O(N log N) for N points, in any dimension.
    Theory, section 11.

    The law of a generator is that of the floats which come out of it, in the type that JAX computes in now: what they
    are off (`float_error` of its measure) is added. A measure is what it is, and nothing is added.

    **Arguments:**

    - `points`: `(N, d)`, in the coordinates of the law; they may lie outside its box.
    - `law`: a measure, or a generator that has one as its `measure`; labels do not matter.
    - `p`: 1 or 2.
    - `relative`: of a generator, whose points are taken relative to the corner of the box.

    **Returns:** the bound, in units of the points.

    **Raises:** `ValueError` for points that are empty, not finite or of another dimension, and for p other than 1 or 2;
    `TypeError` for a law that is no measure's, and points that are not real numbers.

    **Example:**

        >>> import jaxgen as jg
        >>> points = [[0.25, 0.25], [0.75, 0.75]]
        >>> measure = jg.GridMeasure.from_samples(points, 2, low=0.0, high=1.0)  # two cells of side 1/2
        >>> round(jg.data_bound(points, measure, p=2), 6)  # a point in the middle of a square of side 1/2
        0.204124
        >>> atoms = jg.LeafMeasure(points, 0.0, [0.25, 0.75])
        >>> round(jg.data_bound(points, atoms), 6)  # a quarter of the mass moves by sqrt(1/2)
        0.176777
    """
    if p not in (1, 2):
        raise ValueError(f"p must be 1 or 2; got {p}")
    generator: Any = law
    order, measure = int(p), getattr(generator, "measure", generator)
    gridded = hasattr(measure, "cells") and hasattr(measure, "resolution")
    if not (gridded or isinstance(measure, AbstractMeasure)):
        raise TypeError(f"law must be a measure or a generator of one; got {type(law).__name__}")
    cloud = finite_points(points).astype(np.float64)
    if cloud.shape[1] != measure.dim:
        raise ValueError(f"points have dimension {cloud.shape[1]}; the law has {measure.dim}")
    nodes = node_bound(cloud, measure)[order - 1] if isinstance(measure, AbstractMeasure) else math.inf
    if not hasattr(law, "cell_moments"):
        return min(nodes, _along_the_curve(cloud, measure, None, order) if gridded else math.inf)
    own, floats = generator.cell_moments(), measure.float_error(relative)[order - 1]
    filling = generator.filling()[order - 1] if hasattr(law, "filling") else math.inf
    if not gridded:
        return nodes + filling + floats
    if own is None:
        return min(nodes, _along_the_curve(cloud, measure, None, order)) + filling + floats
    own_order = order if own.in_each_cell else 2
    return min(nodes + filling, _along_the_curve(cloud, measure, own, own_order)) + floats


def _along_the_curve(points: np.ndarray, measure: Any, own: Any, p: int) -> float:
    """The bound along the curve, in exact arithmetic; `own` are the moments of the law in each cell, `None` for the
    uniform law."""
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
