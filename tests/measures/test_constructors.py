"""Points, histograms, densities and images to grid measures; and what is wrong with them, in the user's words."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from jaxgen.measures import GridMeasure, QuantizedMeasure

few = settings(max_examples=25, deadline=None)
POINTS = np.array([[0.0, 1.0], [2.0, 5.0], [4.0, 3.0]])


def dense(measure):
    """All cells of a measure as an array."""
    out = np.zeros(measure.resolution)
    out[tuple(np.asarray(measure.cells).T)] = measure.masses
    return out


@few
@given(st.integers(0, 2**32 - 1), st.sampled_from([((5,), 30), ((3, 7), 30), ((4, 2, 3), 40), ((1, 2000), 9)]))
def test_samples_are_numpys_histogram(seed, shape):
    resolution, n = shape
    rng = np.random.default_rng(seed)
    points, weights = rng.normal(size=(n, len(resolution))) * 10.0 ** rng.integers(-3, 4), rng.integers(0, 3, n)
    weights[0] = 1
    for w in (None, weights.astype(float)):
        m = GridMeasure.from_samples(points, resolution, weights=w)
        box = list(zip(np.asarray(m.low, float), np.asarray(m.high, float), strict=True))
        expected, _ = np.histogramdd(points, bins=resolution, range=box, weights=w)
        np.testing.assert_allclose(dense(m), expected / expected.sum(), rtol=1e-6)
        assert m.record.total == (n if w is None else None)
        assert np.all(points >= np.asarray(m.low)) and np.all(points <= np.asarray(m.high))
        assert np.asarray(m.masses).min() > 0
    # The cells are kept row by row.
    assert np.all(np.diff(np.ravel_multi_index(tuple(np.asarray(m.cells).T), resolution)) > 0)


def test_all_ways_of_counting_agree():
    points, labels = np.random.default_rng(0).random((50, 3)), np.repeat(["b", "a"], 25)
    # Dense counting, sorted cell numbers, and sorted cells: 2**21, 2**36 and 2**90 cells on the same tree of halves.
    for resolution in (2**3, 2**12, 2**30):
        m = GridMeasure.from_samples(points, resolution, labels=labels, low=0, high=1)
        expected = np.unique(np.column_stack([labels == "b", points * resolution // 1]), axis=0, return_counts=True)
        got = np.column_stack([m.labels, m.cells])
        if resolution < 2**24:
            # Label by label, and row by row within a label.
            np.testing.assert_array_equal(got, expected[0])
        np.testing.assert_allclose(np.asarray(m.masses) * 50, expected[1], rtol=1e-6)
        assert m.vocabulary == ("a", "b")


def test_the_largest_point_belongs_to_the_last_cell():
    m = GridMeasure.from_samples(np.arange(17), 17)
    np.testing.assert_array_equal(m.cells[:, 0], np.arange(17))
    np.testing.assert_allclose(m.masses, 1 / 17)
    assert (m.low, m.high, m.dim, m.resolution) == (0, 16, 1, (17,))


def test_a_given_box_and_points_outside():
    with pytest.raises(ValueError, match=r"2 of 3 points lie outside .*clip=True"):
        GridMeasure.from_samples(POINTS, 4, low=1.0, high=4.5)
    clipped = GridMeasure.from_samples(POINTS, 4, low=1.0, high=4.5, clip=True)
    np.testing.assert_allclose(dense(clipped)[[0, 1, 3], [0, 3, 2]], 1 / 3, rtol=1e-6)
    half = GridMeasure.from_samples(POINTS, 4, low=-4)
    np.testing.assert_array_equal(half.high, [4, 5])
    np.testing.assert_array_equal(half.low, [-4, -4])


@pytest.mark.parametrize("value", [0.0, 0.1, -1e9 / 3])
def test_a_constant_column_has_a_side_of_length_zero(value):
    points = np.column_stack([np.full(4, value), np.arange(4)])
    m = GridMeasure.from_samples(points, 4)
    assert m.low[0] == m.high[0] == value
    np.testing.assert_array_equal(m.cells[:, 0], 0)
    assert np.all(np.asarray(m.centers)[:, 0] == np.float32(value))
    GridMeasure.from_samples(points, 4, high=[value, 3])
    with pytest.raises(ValueError, match=r"no volume.*axis 0"):
        GridMeasure.from_samples(points, 4, low=[value, 0], high=[value, 3])
    with pytest.raises(ValueError, match="zero length"):
        m.log_prob(m.low)


def test_duplicates_one_cell_and_a_mass_of_one():
    m = GridMeasure.from_samples(np.ones((5, 2)), 3)
    assert m.masses.tolist() == [1.0] and m.cells.tolist() == [[0, 0]]
    one = GridMeasure.from_histogram([[0, 0], [0, 7]])
    assert one.masses.tolist() == [1.0] and one.cells.tolist() == [[1, 1]] and one.record.total == 7
    assert one.quantize(5).counts.tolist() == [5]


@pytest.mark.parametrize(
    "points, changes, error, message",
    [
        ([], {}, ValueError, "points is empty"),
        (np.zeros((0, 3)), {}, ValueError, "points is empty"),
        (np.zeros((3, 0)), {}, ValueError, r"shape \(n, d\)"),
        (np.zeros((3, 2, 2)), {}, ValueError, r"shape \(n, d\)"),
        ([[1.0, 2.0]], {}, ValueError, "at least two points"),
        ([1.0, np.nan, 2.0, np.inf], {}, ValueError, "2 of 4 rows hold NaN or infinity, the first is row 1"),
        (["a", "b"], {}, TypeError, "points must be real"),
        ([1j, 2], {}, TypeError, "points must be real"),
        ([[1, 2], [1]], {}, ValueError, "inhomogeneous"),
        ([1e300, 1.0], {}, ValueError, "below 1e37"),
        (POINTS, {"resolution": 0}, ValueError, "resolution must lie between 1"),
        (POINTS, {"resolution": 2**31}, ValueError, "resolution must lie between 1"),
        (POINTS, {"resolution": (3, -1)}, ValueError, "resolution must lie between 1"),
        (POINTS, {"resolution": (3, 3, 3)}, ValueError, "resolution must be an integer or 2"),
        (POINTS, {"resolution": 2.5}, TypeError, "resolution must be an integer"),
        (POINTS, {"weights": [1, 2]}, ValueError, r"weights must have shape \(3,\)"),
        (POINTS, {"weights": [1, -2, 3]}, ValueError, "weights must not be negative"),
        (POINTS, {"weights": [0, 0, 0]}, ValueError, "weights must not sum to zero"),
        (POINTS, {"weights": [1, np.nan, 0]}, ValueError, "weights must be finite; 1 of 3"),
        (POINTS, {"labels": ["a", "b"]}, ValueError, "labels must hold one label a point"),
        (POINTS, {"labels": [0.5, 1.5, 2.5]}, TypeError, "labels must be strings or integers"),
        (POINTS, {"low": 9.0}, ValueError, "upside down"),
        (POINTS, {"low": [0.0, 1.0, 2.0]}, ValueError, "low must be a number or have shape"),
        (POINTS, {"high": np.nan}, ValueError, "high must be finite"),
    ],
)
def test_bad_samples(points, changes, error, message):
    with pytest.raises(error, match=message):
        GridMeasure.from_samples(points, **{"resolution": 3, **changes})


def test_histograms():
    histogram = np.array([[0, 2, 1], [1, 0, 0]])
    m = GridMeasure.from_histogram(histogram)
    np.testing.assert_allclose(dense(m), histogram / 4)
    assert m.resolution == (2, 3) and m.record.total == 4 and m.cells.shape == (3, 2)
    np.testing.assert_array_equal(m.high, [1, 1])
    assert GridMeasure.from_histogram(histogram / 3.0, low=[-1, 2], high=5).record.total is None
    assert dense(GridMeasure.from_histogram(np.ones((2,) * 8))).shape == (2,) * 8


@pytest.mark.parametrize(
    "histogram, box, message",
    [
        (3.0, {}, "at least one axis"),
        ([], {}, "at least one axis and one cell"),
        ([1, -1], {}, "must not be negative"),
        ([0, 0], {}, "sum to zero"),
        ([np.inf, 1], {}, "finite"),
        ([1, 1], {"low": 1.0}, "no volume"),
        ([1, 1], {"low": 2.0}, "upside down"),
        ([[1, 1]], {"high": [1, 2, 3]}, "shape"),
    ],
)
def test_bad_histograms(histogram, box, message):
    with pytest.raises(ValueError, match=message):
        GridMeasure.from_histogram(histogram, **box)


def test_densities_are_integrated(x64):
    # Two Gauss nodes an axis are exact to degree 3: the integral of x^3 + y over [a, b] x [c, d].
    m = GridMeasure.from_density(lambda x: x[0] ** 3 + x[1], (4, 3), low=[0, 1], high=[2, 4])
    a, c = np.meshgrid(np.arange(4) / 2, 1.0 + np.arange(3), indexing="ij")
    b, d = a + 0.5, c + 1
    exact = (b**4 - a**4) / 4 * (d - c) + (b - a) * (d**2 - c**2) / 2
    np.testing.assert_allclose(dense(m), exact / exact.sum(), rtol=1e-12)
    quartic = GridMeasure.from_density(lambda x: x[0] ** 4, 5, dim=1, nodes=3)
    np.testing.assert_allclose(dense(quartic), np.diff((np.arange(6) / 5) ** 5), rtol=1e-12)


def test_density_zero_in_places():
    m = GridMeasure.from_density(lambda x: jnp.where(x[0] > 0.5, 1.0, 0.0), (4, 2))
    assert m.cells[:, 0].min() == 2 and len(m.cells) == 4
    np.testing.assert_allclose(m.masses, 0.25)


@pytest.mark.parametrize(
    "density, changes, message",
    [
        (lambda x: x[0] - 0.5, {}, "density must not be negative"),
        (lambda x: x[0] * 0, {}, "sum to zero"),
        (lambda x: jnp.log(x[0] - 2), {}, "density must be finite"),
        (lambda x: x, {}, "must return a scalar"),
        (lambda x: x[0], {"dim": None}, "dimension must be clear"),
        (lambda x: x[0], {"low": [0, 0, 0]}, "dimension must be clear"),
        (lambda x: x[0], {"resolution": 2**20}, "too large"),
        (lambda x: x[0], {"nodes": 0}, "nodes must be at least 1"),
        (lambda x: x[0], {"high": 0.0}, "no volume"),
    ],
)
def test_bad_densities(density, changes, message):
    with pytest.raises(ValueError, match=message):
        GridMeasure.from_density(density, **{"resolution": 2, "dim": 2, **changes})


def test_images_are_upright(tmp_path):
    # One bright pixel at the top right of a picture twice as wide as high.
    picture = np.zeros((2, 4), np.uint8)
    picture[0, 3] = 255
    m = GridMeasure.from_image(picture)
    assert m.cells.tolist() == [[3, 1]] and m.resolution == (4, 2)
    np.testing.assert_allclose(m.high, [1, 0.5])
    Image.fromarray(picture).save(tmp_path / "a.png")
    saved = GridMeasure.from_image(str(tmp_path / "a.png"))
    assert saved.cells.tolist() == [[3, 1]] and saved.resolution == (4, 2)
    dark = GridMeasure.from_image(picture, invert=True)
    assert len(dark.cells) == 7 and [3, 1] not in dark.cells.tolist()
    color = np.stack([picture, picture, 0 * picture], axis=2)
    assert GridMeasure.from_image(color).cells.tolist() == [[3, 1]]
    coarse = GridMeasure.from_image(np.arange(32.0).reshape(4, 8), resolution=4)
    blocks = np.arange(32.0).reshape(2, 2, 4, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(dense(coarse), blocks[::-1].T / blocks.sum(), rtol=1e-6)


def test_bad_images(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ValueError, match="not a picture"):
        GridMeasure.from_image(tmp_path / "text.png")
    with pytest.raises(FileNotFoundError):
        GridMeasure.from_image(tmp_path / "missing.png")
    with pytest.raises(ValueError, match="all black"):
        GridMeasure.from_image(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="all white"):
        GridMeasure.from_image(np.ones((3, 3)), invert=True)
    for wrong in (np.ones(3), np.ones((0, 2)), np.ones((2, 2, 2, 2))):
        with pytest.raises(ValueError, match="image must have shape"):
            GridMeasure.from_image(wrong)
    with pytest.raises(ValueError, match="finite"):
        GridMeasure.from_image([[np.nan, 1.0]])
    with pytest.raises(ValueError, match="resolution"):
        GridMeasure.from_image(np.ones((3, 3)), resolution=0)


FIELDS = {"cells": [[0, 1], [2, 0]], "low": 0, "high": 1, "resolution": 3}


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"cells": [[0, 1], [0, 1]]}, ValueError, "1 of 2 repeat"),
        ({"cells": [[0, 1], [3, 0]]}, ValueError, "between 0 and resolution - 1"),
        ({"cells": [[0, 1], [-1, 0]]}, ValueError, "between 0 and resolution - 1"),
        ({"cells": [[0.5, 1], [1, 0]]}, TypeError, "cells must be integers"),
        ({"cells": np.zeros((2, 0), int)}, ValueError, r"cells must have shape \(m, d\)"),
        ({"cells": [0, 1]}, ValueError, r"cells must have shape \(m, d\)"),
        ({"labels": [0, 1]}, ValueError, "labels and vocabulary go together"),
        ({"labels": [0, 1], "vocabulary": ("a", "a")}, ValueError, "must not repeat"),
        ({"labels": [0, 0], "vocabulary": ("a", "b")}, ValueError, "use every code"),
        ({"labels": [0], "vocabulary": ("a",)}, ValueError, "one code a cell"),
        ({"low": 2}, ValueError, "upside down"),
    ],
)
def test_bad_fields(changes, error, message):
    with pytest.raises(error, match=message):
        GridMeasure(**FIELDS | {"masses": [0.5, 0.5]} | changes)
    with pytest.raises(error, match=message):
        QuantizedMeasure(**FIELDS | {"counts": [1, 2]} | changes)


def test_bad_masses_and_counts():
    for masses, message in [
        ([1.0], "one mass a cell"),
        ([1, -1], "negative"),
        ([0, 0], "zero"),
        ([np.nan, 1], "finite"),
    ]:
        with pytest.raises(ValueError, match=message):
            GridMeasure(masses=masses, **FIELDS)
    for counts, message in [([1], "one mass a cell"), ([1, 0], "at least 1"), ([2**24, 1], "at most 2")]:
        with pytest.raises(ValueError, match=message):
            QuantizedMeasure(counts=counts, **FIELDS)
    with pytest.raises(TypeError, match="counts must be integers"):
        QuantizedMeasure(counts=[0.5, 0.5], **FIELDS)


def test_fields_are_normalized_and_sorted(precision):
    m = GridMeasure(cells=[[2, 0], [1, 1], [0, 0]], masses=[3.0, 0.0, 1.0], low=[0, -1], high=2, resolution=(3, 2))
    assert m.cells.tolist() == [[0, 0], [2, 0]] and m.masses.tolist() == [0.25, 0.75]
    assert m.masses.dtype == jnp.dtype(precision) and m.low.dtype == np.float64 and m.cells.dtype == jnp.int32
    q = QuantizedMeasure(cells=[[2, 0], [0, 0]], counts=[3, 1], low=[0, -1], high=2, resolution=(3, 2))
    assert q.cells.tolist() == m.cells.tolist() and q.counts.tolist() == [1, 3] and q.quanta == 4
    assert q.counts.dtype == jnp.uint32 and q.masses.dtype == jnp.dtype(precision)
    np.testing.assert_array_equal(q.masses, m.masses)
