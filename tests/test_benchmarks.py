"""The checks of the benchmarks that both sides make the same law can fail."""

import importlib
import pathlib
import sys

import numpy as np
import pytest

import jaxgen as jg


@pytest.fixture(scope="module")
def suite():
    """The package, which is not installed."""
    sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
    yield lambda name: importlib.import_module(f"benchmarks.{name}")
    sys.path.pop(0)


def test_a_cloud_of_another_law_is_seen(suite):
    sampling, rng = suite("sampling"), np.random.default_rng(0)
    masses = rng.random((8, 8))
    measure = jg.GridMeasure.from_histogram(masses).quantize(sampling.QUANTA)
    n = 1 << 14

    def cloud(p):
        cell = rng.choice(64, n, p=(p / p.sum()).ravel())
        return (np.stack(np.unravel_index(cell, (8, 8)), axis=1) + rng.random((n, 2))) * np.asarray(measure.cell_sides)

    assert sampling.fits(measure, cloud(masses))
    # A seventh of the mass of eight blocks of about 1,000 points: 4.7 standard deviations each.
    masses[0] *= 1.3
    masses[-1] *= 0.7
    assert not sampling.fits(measure, cloud(masses))


def test_points_outside_their_leaves_are_seen(suite):
    dimensions, rng = suite("dimensions"), np.random.default_rng(0)
    low = np.arange(16.0)[:, None] * np.ones(5)
    high, masses = low + 0.5, np.full(16, 1 / 16)
    x = low[rng.integers(0, 16, 400)] + 0.5 * rng.random((400, 5))
    assert dimensions.lies_in(x, low, high, masses)
    assert not dimensions.lies_in(x + 0.6, low, high, masses)
    assert not dimensions.lies_in(np.repeat(x[:200], 2, axis=0)[:200] * 0 + low[3], low, high, masses)


def test_a_row_whose_sides_differ_is_refused(suite):
    rows = suite("rows")
    device = rows.Device.measured(1 << 8)
    row = rows.Row("one", lambda: 1, "two", lambda: 2, 1, 8, same=lambda a, b: a == b)
    with pytest.raises(RuntimeError, match="one: not the same as two"):
        rows.measured(row, device)
    again = rows.measured(rows.Row("one", lambda: 1, "one", lambda: 1, 1, 8, same=lambda a, b: a == b), device)
    assert again["same"] == "held" and again["ratio"] > 0 and again["over_floor"] > 0
