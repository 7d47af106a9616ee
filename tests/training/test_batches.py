"""Batches have the law they stand for, and one member in each stratum."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jaxgen.training._batches import curve_order, data_batch, source_batch


def test_every_point_is_drawn_equally_often():
    n, size, repeats = 10, 4, 20000
    drawn = jax.vmap(lambda k: data_batch(k, n, size))(jr.split(jr.key(0), repeats))
    counts = np.bincount(np.asarray(drawn).ravel(), minlength=n) / repeats
    # Each count has mean size/n = 0.4 and, being a sum of at most two indicators, variance at most 1/2 a draw:
    # five standard deviations.
    np.testing.assert_allclose(counts, size / n, atol=5 * np.sqrt(0.5 / repeats))


def test_a_batch_as_large_as_the_data_is_the_data():
    np.testing.assert_array_equal(data_batch(jr.key(1), 50, 50), np.arange(50))


def test_order_is_by_label_and_then_along_the_curve():
    points = np.random.default_rng(1).uniform(size=(3000, 2))
    order = curve_order(points, None)
    assert sorted(order) == list(range(3000))
    # The curve is Hoelder 1/2: |x - y|^2 <= 5 |s - t|, so neighbours in order are near, unlike in the given order.
    steps = np.linalg.norm(np.diff(points[order], axis=0), axis=1)
    assert np.mean(steps**2) < 5 / 3000 < np.mean(np.diff(points, axis=0) ** 2)
    codes = np.arange(3000) % 3
    assert np.all(np.diff(codes[curve_order(points, codes)]) >= 0)


def test_sources_are_stratified_on_every_axis():
    u = np.asarray(source_batch(jr.key(2), 64, 3, None))
    assert u.shape == (64, 3)
    for axis in u.T:
        np.testing.assert_array_equal(np.sort(np.floor(axis * 64)), np.arange(64))
    assert not np.array_equal(np.argsort(u[:, 1]), np.argsort(u[:, 2]))


def test_sources_are_stratified_within_each_label():
    codes = jnp.asarray([0, 0, 0, 2, 5, 5])
    u = np.asarray(source_batch(jr.key(3), 6, 1, codes))[:, 0]
    np.testing.assert_array_equal(np.floor(u * np.array([3, 3, 3, 1, 2, 2])), [0, 1, 2, 0, 0, 1])
