"""How data are split, and what is the same for every generator."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from jaxgen import CodebookGenerator
from jaxgen.comparison._measure import own
from jaxgen.comparison._split import as_dataset, halves
from jaxgen.comparison._wrap import Wrapped, wrapped
from jaxgen.comparison._yardstick import Yardstick
from jaxgen.distances import law_distance, law_points, wasserstein

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


def test_each_law_is_judged_by_the_half_that_it_was_not_made_of():
    data = as_dataset(POINTS, None)
    yardstick = Yardstick(tuple(halves(data, seed) for seed in range(3)), 64, 0)
    atoms = [CodebookGenerator(split.train.points) for split in yardstick.splits]
    models = [own(each) for each in atoms]
    assert yardstick.near(models[0]) == 0
    # A law that is its points is as far from the other half as the halves are from each other.
    assert yardstick.unseen(models) == pytest.approx(yardstick.halves().w1, rel=1e-6)
    assert yardstick.unseen(models[:1]) == yardstick.unseen(models)[:1]


def test_laws_that_are_known_by_samples_only():
    split = halves(as_dataset(POINTS, None), 0)
    drawn = wrapped(lambda key, n: jr.normal(key, (n, 2)), 2)
    one, same, other = (Yardstick((split,), 64, seed).near(drawn) for seed in (0, 0, 1))
    assert drawn.law is None and one == same != other
    # 60 = 3 * 20 samples against 20 points, by hand.
    x = drawn.sample(jr.key(0), 60)
    assert one == pytest.approx(wasserstein(x, split.train.points, 1))


@pytest.mark.parametrize(("sources", "offset"), [(1, 0.0), (2, 0.0), (1, 20.0), (2, 20.0)])
def test_few_values_stand_for_many_only_where_they_say_the_same(sources, offset):
    """Near and far, from a law as it is and from its points: never more than a percent from the law by all values."""
    split = halves(as_dataset(POINTS, None), 0)

    class Law:
        source_dim = sources

        def __call__(self, u):
            u = jnp.atleast_1d(u)
            return jnp.stack([u[0], jnp.sin(9 * u[-1])]) * 2 - offset

    law = law_points(Law(), 512)
    known = Wrapped("points of a law", 2, lambda *_: law, law, sources)
    full = law_distance(Law(), split.train.points, n=512).value
    for model in (known, wrapped(Law(), 2)):
        assert Yardstick((split,), 512, 0).near(model) == pytest.approx(full, rel=0.01)
