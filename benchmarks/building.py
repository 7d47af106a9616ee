"""Measures of points, against the histograms of NumPy."""

import numpy as np

import jaxgen as jg

from .rows import Row


def rows(small: bool):
    """Nanoseconds a point."""
    rng = np.random.default_rng(0)
    n = 10_000 if small else 10_000_000
    points = rng.random((n, 2))

    def counts(masses, histogram):
        seen = histogram[0]
        return np.array_equal(np.sort(np.rint(np.asarray(masses, float) * n)), np.sort(seen[seen > 0]))

    yield Row(
        f"from_samples, {n:.0e} points, 100 x 100",
        lambda: jg.GridMeasure.from_samples(points, 100, low=0.0, high=1.0).masses,
        "numpy.histogramdd",
        lambda: np.histogramdd(points, bins=100, range=[(0, 1), (0, 1)]),
        n,
        same=counts,
    )
    side = 30 if small else 1000
    cells = rng.integers(0, side, (n, 2))
    yield Row(
        f"measure, quanta and generator, {n:.0e} points, {side}^2 cells",
        lambda: jg.GridMeasure.from_samples(points, side).quantize(1 << 22).generator().branches.order,
        "numpy.unique of the cells",
        lambda: np.unique(np.ravel_multi_index(tuple(cells.T), (side, side)), return_counts=True),
        n,
    )
