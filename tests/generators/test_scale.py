"""Scale: time and memory by occupied cells. Larger runs belong to the benchmarks."""

import jax.random as jr
import numpy as np
import pytest

from jaxgen.generators import PeanoGenerator, SawtoothGenerator
from jaxgen.measures import GridMeasure

KEY = jr.key(0)


def test_digits():
    images = pytest.importorskip("sklearn.datasets").load_digits()
    m = GridMeasure.from_samples(images.data, 17, low=0, high=16, labels=images.target)
    assert m.dim == 64 and m.vocabulary == tuple(range(10)) and m.record.total == 1797
    g = PeanoGenerator(m, 1)
    x = np.asarray(g.sample(KEY, 200, condition=3))
    assert x.shape == (200, 64) and x.min() >= 0 and x.max() <= 16
    cells = {tuple(c) for c in np.asarray(m.given(3).cells).tolist()}
    assert {tuple(c) for c in np.floor(x * 17 / 16).astype(int).tolist()} <= cells


@pytest.mark.slow
def test_twenty_thousand_points_in_784_dimensions():
    rng = np.random.default_rng(1)
    points = rng.integers(0, 3, (20_000, 784), dtype=np.uint8)
    points[:, ::2] = 0
    m = GridMeasure.from_samples(points, 3, low=0, high=3)
    assert m.cells.shape == (20_000, 784)
    x = np.asarray(PeanoGenerator(m, 1).sample(KEY, 200))
    # The digits of a sample are those of one of the points.
    seen = {row.tobytes() for row in points}
    assert all(row.tobytes() in seen for row in np.floor(x).astype(np.uint8))


@pytest.mark.slow
def test_ninety_thousand_cells():
    masses = np.random.default_rng(2).gamma(0.3, size=(300, 300))
    m = GridMeasure.from_histogram(masses)
    for build in (SawtoothGenerator, PeanoGenerator):
        g = build(m, 2)
        assert g.measure.quanta == 2**24 and len(g.measure.cells) <= 90_000
        x = np.asarray(g.sample(KEY, 200))
        assert np.all(masses[tuple(np.minimum(np.floor(x * 300), 299).astype(int).T)] > 0)
