"""The limits of a report are those of `jaxgen.limits` for the law of its training points on a grid."""

import jax.random as jr
import numpy as np
import pytest

from jaxgen import CodebookGenerator, MLPGenerator, limits
from jaxgen.comparison._limits import bits_limits, gridded, length_limits, row_limit
from jaxgen.data import Dataset
from jaxgen.distances import data_bound, law_distance
from jaxgen.training import Fitted


def dataset(dim, labels=None):
    return Dataset("points", np.random.default_rng(0).normal(size=(80, dim)), tuple("abc"[:dim]), labels)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_row_has_the_limit_of_its_size(dim):
    points = gridded(dataset(dim))
    exact = points._replace(apart=0.0)
    codebook = CodebookGenerator(np.arange(7.0)[:, None] * np.ones(dim))
    curve, many = (MLPGenerator(dim=dim, source_dim=n, width=9, depth=3, key=jr.key(0)) for n in (1, dim + 1))
    assert row_limit(codebook, 3, 9, exact) == (least := limits.quantization_error(7, p=1, law=points.law)) > 0
    assert row_limit(curve, 3, 9, exact) == (limits.network_bound([9, 9], law=points.law) or None)
    assert row_limit(many, 3, 9, exact) is row_limit(curve, None, None, exact) is row_limit(curve, 3, 9, None) is None
    # What is proven of the grid is proven of the points, as far as these are from it.
    assert points.apart == data_bound(dataset(dim).points, points.law) > 0
    found = row_limit(codebook, 3, 9, points)
    assert found is None if least <= points.apart else found == pytest.approx(least - points.apart)
    assert row_limit(codebook, 3, 9, points._replace(apart=least)) is None


@pytest.mark.parametrize("dim", [1, 2])
def test_nothing_of_that_many_atoms_is_nearer(dim):
    data = dataset(dim)
    one, points = CodebookGenerator.from_samples(data.points, 2, key=jr.key(0)), gridded(data)
    least = limits.quantization_error(2, p=1, law=points.law)
    found = row_limit(one, None, None, points)
    assert found == pytest.approx(least - points.apart) and 0 < found <= law_distance(one, data.points).value
    assert row_limit(one, None, None, points._replace(apart=least)) is None


def test_bits_on_the_occupied_cells():
    train = dataset(2)
    law = gridded(train).law
    found = list(bits_limits(law, [900, 100, 900]))
    assert [limit.bits for limit in found] == [100, 900]
    volume = len(law.cells) * float(np.prod(np.asarray(law.cell_sides, np.float64)))
    assert [w for _, w in found] == pytest.approx([limits.covering_error(b, 2, volume) for b in (100, 900)], rel=1e-8)
    flat = Dataset("flat", train.points * [1.0, 0.0], ("a", "b"), None)
    assert list(bits_limits(gridded(flat).law, [900])) == []


def test_labels_have_none():
    assert gridded(dataset(2, labels=("x",) * 80)) is None
    assert list(bits_limits(None, [])) == []


@pytest.mark.slow
def test_a_curve_is_as_near_as_its_length_allows():
    points = gridded(dataset(2))
    short, other = (MLPGenerator(dim=2, source_dim=n, width=3, depth=2, key=jr.key(0)) for n in (1, 2))
    about = (np.zeros(1), None, 1, 8, None, 0.0, 0.0, False)
    networks = {"one": Fitted(short, *about), "two": Fitted(other, *about)}
    (found,) = length_limits(points._replace(apart=0.0), networks)
    least = limits.length_bound(limits.curve_length(short), law=points.law)
    assert found.name == "one" and found.w1 == least > points.apart
    assert [limit.w1 for limit in length_limits(points, networks)] == [pytest.approx(least - points.apart)]
    assert list(length_limits(points._replace(apart=least), networks)) == []
    assert least - points.apart <= law_distance(short, dataset(2).points).value
