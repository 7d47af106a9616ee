"""The limits of a report are those of `jaxgen.limits` for the law of its training points on a grid."""

import jax.random as jr
import numpy as np
import pytest

from jaxgen import CodebookGenerator, MLPGenerator, limits
from jaxgen.comparison._limits import bits_limits, limit_law, row_limit
from jaxgen.data import Dataset


def dataset(dim, labels=None):
    return Dataset("points", np.random.default_rng(0).normal(size=(80, dim)), tuple("abc"[:dim]), labels)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_row_has_the_limit_of_its_size(dim):
    law = limit_law(dataset(dim))
    codebook = CodebookGenerator(np.arange(7.0)[:, None] * np.ones(dim))
    curve, many = (MLPGenerator(dim=dim, source_dim=n, width=9, depth=3, key=jr.key(0)) for n in (1, dim + 1))
    assert row_limit(codebook, 3, 9, law) == limits.quantization_error(7, p=1, law=law) > 0
    assert row_limit(curve, 3, 9, law) == limits.network_bound([9, 9], law=law)
    assert row_limit(many, 3, 9, law) is row_limit(curve, None, None, law) is row_limit(curve, 3, 9, None) is None


def test_bits_on_the_occupied_cells():
    train = dataset(2)
    law = limit_law(train)
    found = list(bits_limits(law, [900, 100, 900]))
    assert [limit.bits for limit in found] == [100, 900]
    volume = len(law.cells) * float(np.prod(np.asarray(law.cell_sides, np.float64)))
    assert [w for _, w in found] == pytest.approx([limits.covering_error(b, 2, volume) for b in (100, 900)], rel=1e-8)
    flat = Dataset("flat", train.points * [1.0, 0.0], ("a", "b"), None)
    assert list(bits_limits(limit_law(flat), [900])) == []


def test_labels_have_none():
    assert limit_law(dataset(2, labels=("x",) * 80)) is None
    assert list(bits_limits(None, [])) == []
