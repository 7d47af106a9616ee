"""What may be said of which generator is better: every sentence can come out the other way."""

import math

import numpy as np
import pytest

from jaxgen.comparison import Entry, Halves
from jaxgen.comparison._ranking import bits, costs, paired, sentences, weights

HALVES = Halves((1.0, 1.1, 0.9, 1.0))


def tree(**changes):
    given = {"bits": 1000, "near": 0.5, "unseen": (1.0, 1.2, 1.1, 1.3), "nanoseconds_per_sample": 50.0, **changes}
    return Entry("a tree", "explicit", "tree", **given)


def net(**changes):
    given = {"bits": 9000, "near": 0.5, "unseen": (1.5, 1.7, 1.6, 1.9), "nanoseconds_per_sample": 90.0, **changes}
    return Entry("a net", "trained", "nets", **given)


def test_differences_are_paired():
    found = paired(tree(), net())
    each = np.array([-0.5, -0.5, -0.5, -0.6])
    assert found.difference == pytest.approx(each.mean())
    assert found.error == pytest.approx(math.sqrt(1.25 * each.var(ddof=1))) and found.seen
    # The same means, and no difference to be seen, as the splits do not agree.
    assert not paired(tree(), net(unseen=(0.2, 2.6, 0.3, 3.6))).seen
    single = paired(tree(), net(unseen=(9.0,)))
    assert single.difference == -8.0 and math.isnan(single.error) and not single.seen


def test_costs_are_the_least_of_those_that_are_as_near():
    entries = [tree(), tree(bits=400, near=0.8), net(), net(bits=2000, near=0.9), tree(bits=None, near=0.1)]
    assert list(costs(entries, bits)) == [(pytest.approx(0.51), {"explicit, exact": 1000, "nets": 9000})]
    assert next(costs([tree(near=0.1), net()], bits))[1] == {"explicit, exact": 1000, "nets": None}
    assert list(costs(entries, weights)) == []


@pytest.mark.parametrize(
    ("other", "first", "second", "third"),
    [
        (net(), "9.0 times fewer bits", "a tree is nearer by 0.52", "No other was better"),
        (net(bits=500), "2.0 times more bits", "a tree is nearer", "Another is better at bits"),
        (net(near=0.1), "nearer to its points than any explicit one", "a tree is nearer", "which no explicit one"),
        (net(unseen=(0.5, 0.7, 0.6, 0.8)), "fewer", "a net is nearer by 0.5", "points that none has seen"),
        (net(unseen=(0.2, 2.6, 0.3, 3.6)), "fewer", "no difference seen", "No other was better"),
        (net(unseen=(3.0,)), "fewer", "on one split, which ranks nothing", "No other was better"),
        (net(nanoseconds_per_sample=5.0), "fewer", "a tree is nearer", "better at ns a sample"),
        (net(bits=None), "Nearest to its points of the explicit ones is a tree", "a tree", "No other was better"),
    ],
)
def test_each_sentence_follows_its_numbers(other, first, second, third):
    said = list(sentences([tree(), other], HALVES))
    assert first in said[0] and second in said[1] and third in said[2]


def test_without_others_there_is_no_ranking():
    said = list(sentences([tree(), Entry("broken", "user", failed="no")], HALVES))
    assert len(said) == 2 and "a tree, with W1 = 0.5" in said[0] and "1 ± 0.07 apart" in said[1]
    assert list(sentences([net()], HALVES)) == []
