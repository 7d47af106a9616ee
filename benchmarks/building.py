"""Measures of points, against the histograms of NumPy."""

import numpy as np

import jaxgen as jg

from .rows import Row


def rows(small: bool):
    """Nanoseconds a point."""
    n, side = (10_000, 30) if small else (10_000_000, 1000)
    points = np.random.default_rng(0).random((n, 2))

    def equal(ours, counts) -> bool:
        return np.array_equal(np.sort(np.rint(np.asarray(ours[0], float) * n)), np.sort(counts[counts > 0]))

    def grid(resolution):
        return jg.GridMeasure.from_samples(points, resolution, low=0.0, high=1.0)

    yield Row(
        f"from_samples, {n:.0e} points, 100 x 100",
        lambda: (grid(100).masses,),
        "numpy.histogramdd",
        lambda: np.histogramdd(points, bins=100, range=[(0, 1), (0, 1)])[0],
        n,
        points.nbytes,
        same=equal,
    )

    def generator():
        measure = grid(side)
        return measure.masses, measure.quantize(1 << 22).generator().branches.order

    yield Row(
        f"from_samples, quantize and generator, {n:.0e} points, {side} x {side}",
        generator,
        "numpy.histogramdd",
        lambda: np.histogramdd(points, bins=side, range=[(0, 1), (0, 1)])[0],
        n,
        points.nbytes,
        same=equal,
    )
    yield Row(
        f"the same, {n:.0e} points, {side} x {side}",
        generator,
        "numpy.unique of the cells",
        lambda: np.unique((points * side).astype(np.int64) @ [side, 1], return_counts=True)[1],
        n,
        points.nbytes,
        same=equal,
    )
