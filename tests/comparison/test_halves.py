"""How data are split, and what is the same for every generator."""

import jax.random as jr
import numpy as np
import pytest

from jaxgen.comparison._held_out import HeldOut
from jaxgen.comparison._split import as_dataset, halves
from jaxgen.distances import wasserstein

POINTS = np.random.default_rng(0).normal(size=(41, 2))


def test_halves_are_all_of_the_data_and_another_seed_splits_otherwise():
    data = as_dataset(POINTS, None)
    train, test, unseen = halves(data, 0)
    assert (len(train.points), len(test.points), unseen) == (20, 21, 0)
    both = np.concatenate([train.points, test.points])
    np.testing.assert_array_equal(both[np.lexsort(both.T)], POINTS[np.lexsort(POINTS.T)])
    np.testing.assert_array_equal(halves(data, 0)[0].points, train.points)
    assert not np.array_equal(halves(data, 1)[0].points, train.points)


def test_labels_stay_with_their_points_and_unseen_ones_are_left_out():
    order = np.random.default_rng(0).permutation(41)
    labels = np.arange(41) % 2
    labels[order[30]] = 7
    train, test, unseen = halves(as_dataset(POINTS, labels), 0)
    assert unseen == 1 and len(test.points) == 20 and set(train.labels) == set(test.labels) == {0, 1}
    where = {tuple(x): label for x, label in zip(POINTS, labels.tolist(), strict=True)}
    for half in (train, test):
        assert [where[tuple(x)] for x in half.points] == list(half.labels)


def test_the_floor_is_that_of_the_training_points():
    train, test, _ = halves(as_dataset(POINTS, None), 0)
    held_out = HeldOut(test, 20, 3, 0)
    # All training points are taken each time, in another order.
    w1 = [wasserstein(train.points, test.points[subset], 1) for subset in held_out.subsets]
    floor = held_out.floor(train)
    assert floor.w1.mean == pytest.approx(np.mean(w1)) and floor.w1.std == pytest.approx(np.std(w1))


def test_another_seed_draws_otherwise():
    _, test, _ = halves(as_dataset(POINTS, None), 0)
    one, same, other = (HeldOut(test, 20, 2, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.subsets, same.subsets)
    assert not np.array_equal(one.subsets, other.subsets)
    assert jr.key_data(one.key).tolist() != jr.key_data(other.key).tolist()
    scores = [given.distances(given.sampler(lambda u: np.array([1.0, 0.0]) * u)) for given in (one, same, other)]
    assert scores[0] == scores[1] != scores[2]
