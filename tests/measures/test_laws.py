"""Moments, marginals, density and reference sampler of grid measures, against brute force."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from jaxgen.measures import GridMeasure, QuantizedMeasure

LOW, HIGH, RESOLUTION = np.array([-1.0, 2.0, 0.0]), np.array([3.0, 2.5, 10.0]), (4, 3, 2)


def random_histogram(seed=0, resolution=RESOLUTION):
    rng = np.random.default_rng(seed)
    return rng.integers(1, 9, resolution) * (rng.random(resolution) < 0.6)


def build(seed=0):
    return GridMeasure.from_histogram(random_histogram(seed), low=LOW, high=HIGH)


def labelled():
    rng = np.random.default_rng(5)
    points = rng.random((40, 2))
    points[-5:] = points[:5]  # the same points under another label
    labels = np.repeat(["x", "y", "z"], [20, 15, 5])
    return GridMeasure.from_samples(points, (3, 4), labels=labels, low=0, high=1), points, labels


def test_mean_and_variance():
    for measure in (build(), QuantizedMeasure(**fields(build()))):
        histogram = random_histogram() / random_histogram().sum()
        for k in range(3):
            side = (HIGH[k] - LOW[k]) / RESOLUTION[k]
            p = histogram.sum(axis=tuple(j for j in range(3) if j != k))
            a = LOW[k] + side * np.arange(RESOLUTION[k])
            first = p @ ((a + side) ** 2 - a**2) / (2 * side)
            second = p @ ((a + side) ** 3 - a**3) / (3 * side)
            np.testing.assert_allclose(measure.mean()[k], first, rtol=1e-5)
            np.testing.assert_allclose(measure.variance()[k], second - first**2, rtol=1e-4)


def fields(measure):
    counts = np.rint(np.asarray(measure.masses) * measure.record.total).astype(int)
    return dict(cells=measure.cells, counts=counts, low=measure.low, high=measure.high, resolution=measure.resolution)


@pytest.mark.parametrize("axes", [0, 2, (1,), (2, 0), (0, 1, 2), (1, 2, 0)])
def test_marginals(axes):
    listed = [axes] if isinstance(axes, int) else list(axes)
    histogram = random_histogram() / random_histogram().sum()
    kept = histogram.sum(axis=tuple(k for k in range(3) if k not in listed))
    expected = kept.transpose(np.argsort(np.argsort(listed)))
    for measure in (build(), QuantizedMeasure(**fields(build()))):
        m = measure.marginal(axes)
        assert type(m) is type(measure) and m.resolution == expected.shape
        got = np.zeros(m.resolution)
        got[tuple(np.asarray(m.cells).T)] = m.masses
        np.testing.assert_allclose(got, expected, rtol=1e-6)
        np.testing.assert_array_equal(m.low, LOW[listed])
        np.testing.assert_allclose(m.mean(), np.asarray(measure.mean())[listed], rtol=1e-5)


def test_marginals_keep_labels_and_counts():
    m, points, labels = labelled()
    one = m.marginal(1)
    for label in "xyz":
        expected = np.histogram(points[labels == label, 1], bins=4, range=(0, 1))[0]
        got = np.zeros(4)
        got[np.asarray(one.given(label).cells)[:, 0]] = one.given(label).masses
        np.testing.assert_allclose(got, expected / expected.sum(), rtol=1e-6)
    assert m.quantize(40).marginal(1).quanta == 40


@pytest.mark.parametrize("axes", [[], [0, 0], 3, -1, [0, 5]])
def test_bad_axes(axes):
    with pytest.raises(ValueError, match="axes must be distinct"):
        build().marginal(axes)


def test_density_in_every_cell():
    measure, histogram = build(), random_histogram() / random_histogram().sum()
    rng = np.random.default_rng(1)
    cells = np.indices(RESOLUTION).reshape(3, -1).T
    side = (HIGH - LOW) / RESOLUTION
    x = LOW + (cells + rng.uniform(0.01, 0.99, cells.shape)) * side
    at = jax.jit(jax.vmap(measure.log_prob))
    density = np.exp(np.asarray(at(x)))
    np.testing.assert_allclose(density * side.prod(), histogram.reshape(-1), rtol=1e-5)
    # Constant on each cell, the density integrates to the sum over the cells.
    assert abs((density * side.prod()).sum() - 1) < 1e-5
    outside = np.asarray(at(np.array([[-1.1, 2.2, 5], [0, 2.6, 5], [0, 2.2, 10.001]] * 8)))
    assert np.all(outside == -np.inf)
    # The corners belong to the box.
    full = GridMeasure.from_histogram(np.ones((2, 2)))
    np.testing.assert_allclose(jax.vmap(full.log_prob)(jnp.asarray([[0.0, 0], [1, 1], [0, 1]])), 0, atol=1e-6)


@pytest.mark.slow
def test_density_of_labels_also_when_the_measure_is_traced():
    m, points, labels = labelled()
    at = eqx.filter_jit(lambda measure, x, label: jax.vmap(lambda v: measure.log_prob(v, label))(x))
    joint, cell = 0, tuple((points * (3, 4)).astype(int).T)
    for label in "xyz":
        counts = np.histogram2d(*points[labels == label].T, bins=(3, 4), range=[(0, 1)] * 2)[0]
        with np.errstate(divide="ignore"):
            np.testing.assert_allclose(at(m, points, label), np.log(12 * counts / counts.sum())[cell], rtol=1e-5)
        joint = joint + counts / 40
    np.testing.assert_allclose(at(m, points, None), np.log(12 * joint[cell]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(m.log_prob(points[0], "x"), at(m, points, "x")[0], rtol=1e-5, atol=1e-6)


def test_density_in_64_dimensions():
    rng = np.random.default_rng(2)
    cells = np.unique(rng.integers(0, 17, (100, 64)), axis=0)
    m = GridMeasure(cells=cells, masses=np.arange(1, 101.0), low=0, high=17, resolution=17)
    at = jax.jit(jax.vmap(m.log_prob))
    np.testing.assert_allclose(at(m.centers), jnp.log(m.masses), rtol=1e-5)
    neighbour = np.asarray(m.cells) + 0.5
    neighbour[:, -1] = (neighbour[:, -1] + 1) % 17
    assert np.all(np.asarray(at(neighbour)) == -np.inf)


def test_bad_points_and_conditions():
    m = build()
    for x in (0.0, np.zeros(2), np.zeros((2, 3))):
        with pytest.raises(ValueError, match=r"shape \(3,\)"):
            m.log_prob(x)
    with pytest.raises(ValueError, match="there are no labels"):
        m.log_prob(np.zeros(3), "x")
    with pytest.raises(ValueError, match="there are no labels"):
        m.given("x")
    with pytest.raises(ValueError, match="unknown label 'q'; the nearest of 3 known labels are"):
        labelled()[0].given("q")


@pytest.mark.parametrize("kind", ["float", "quanta"])
def test_reference_samples(kind):
    measure = build() if kind == "float" else QuantizedMeasure(**fields(build()))
    n = 20000
    x = np.asarray(measure.sample(jr.key(0), n), np.float64)
    assert x.shape == (n, 3)
    # Four subcells an axis in every cell: the position is tested too.
    fine = tuple(4 * r for r in RESOLUTION)
    expected = np.kron(random_histogram() / random_histogram().sum(), np.ones((4, 4, 4))) / 64
    counts = np.histogramdd(x, bins=fine, range=list(zip(LOW, HIGH, strict=True)))[0]
    assert counts.sum() == n and not counts[expected == 0].any()
    p = expected[expected > 0]
    statistic = np.sum((counts[expected > 0] - n * p) ** 2 / (n * p))
    # Chi-square with f degrees of freedom: by Laurent and Massart, P(X > f + 2 sqrt(f t) + 2 t) < exp(-t); t = 12. The
    # cells of the smallest expected count, above 1, make the variance at most 2 f + sum 1/(n p), below 2.5 f.
    f, t = len(p) - 1, 12
    assert np.sum(1 / (n * p)) < f / 2
    assert statistic < f + 1.2 * 2 * np.sqrt(f * t) + 2 * t


def test_reference_samples_are_reproducible_and_counted():
    m = build()
    np.testing.assert_array_equal(m.sample(jr.key(3), 5), m.sample(jr.key(3), 5))
    for n in (0, -3):
        with pytest.raises(ValueError, match="n must be at least 1"):
            m.sample(jr.key(0), n)
