"""The Hilbert curve: a bijection between neighbours, the same by its order and by its kernel, in any dimension."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.curves import HilbertCurve
from jaxgen.source import Residual

CURVE = HilbertCurve()
steps = jax.jit(jax.vmap(CURVE.steps, (0, 0, None)), static_argnums=2)
SHAPES = [(1, 6), (2, 1), (2, 5), (3, 3), (4, 2), (5, 2), (9, 1)]


def all_cells(dim, levels):
    return np.indices((2**levels,) * dim).reshape(dim, -1).T


def integers(bits):
    """`(n, levels, d)` bits of coordinates to cells `(n, d)`."""
    bits = np.asarray(bits).astype(np.int64)
    return sum(bits[:, k] << (bits.shape[1] - 1 - k) for k in range(bits.shape[1]))


@pytest.mark.parametrize("dim, levels", SHAPES)
def test_every_cell_once_and_neighbours_share_a_face(dim, levels):
    cells = all_cells(dim, levels)
    (key,) = CURVE.keys(cells, levels)
    assert np.array_equal(np.sort(key), np.arange(2 ** (dim * levels)))
    cells = cells[CURVE.argsort(cells, levels)]
    np.testing.assert_array_equal(np.abs(np.diff(cells, axis=0)).sum(axis=1), 1)
    assert cells[0].tolist() == [0] * dim


@pytest.mark.sweep(2)
@pytest.mark.parametrize("dim, levels", SHAPES)
def test_the_kernel_is_the_order(dim, levels):
    digits = np.array(list(itertools.product(range(2), repeat=dim * levels)), np.uint32).reshape(-1, levels, dim)
    by_kernel = integers(steps(digits, np.zeros((len(digits), dim), np.int32), 0)[0])
    cells = all_cells(dim, levels)
    np.testing.assert_array_equal(by_kernel, cells[CURVE.argsort(cells, levels)])


@pytest.mark.sweep(2)
@pytest.mark.parametrize("dim, first, then", [(1, 2, 3), (2, 2, 3), (3, 1, 2), (4, 1, 1), (3, 0, 2)])
def test_inside_a_cell_the_order_goes_on(dim, first, then):
    """The curve of k + s levels is that of k levels, each cell of it walked by s more."""
    coarse = all_cells(dim, first)
    coarse = coarse[CURVE.argsort(coarse, first)].astype(np.int32)
    digits = np.array(list(itertools.product(range(2), repeat=dim * then)), np.uint32).reshape(-1, then, dim)
    cell = np.repeat(coarse, len(digits), axis=0)
    inside, backward = steps(np.tile(digits, (len(coarse), 1, 1)), cell, first)
    fine = (cell << then) + integers(inside)
    expected = all_cells(dim, first + then)
    expected = expected[CURVE.argsort(expected, first + then)]
    np.testing.assert_array_equal(fine, expected)
    # What runs backward inside the last cell does so too when the curve is followed from its root.
    bits = np.stack([expected >> k & 1 for k in reversed(range(first + then))], axis=1)
    number = np.arange(len(expected))
    index = np.stack([number >> k & 1 for k in reversed(range(dim * (first + then)))], axis=1)
    root = steps(index.reshape(-1, first + then, dim).astype(np.uint32), np.zeros_like(cell), 0)
    np.testing.assert_array_equal(root[0], bits)
    np.testing.assert_array_equal(root[1], backward)


def test_a_walk_visits_the_finer_cells_in_order():
    """In floats: the position of a share of the stretch inside a cell, through `walk` itself."""
    coarse = all_cells(2, 2)
    coarse = coarse[CURVE.argsort(coarse, 2)].astype(np.int32)
    share = ((np.arange(16) + 0.5) / 16 * 2**32).astype(np.uint32)[:, None]

    def position(cell, words):
        return CURVE.walk(cell, 2, Residual.of_words(words, 16), 2, jnp.float32, "centre")

    x = (coarse[:, None] + jax.jit(jax.vmap(jax.vmap(position, (None, 0)), (0, None)))(coarse, share)) / 4
    expected = all_cells(2, 4)
    np.testing.assert_array_equal(x.reshape(-1, 2), (expected[CURVE.argsort(expected, 4)] + 0.5) / 16)


def test_keys_of_70_dimensions():
    dim, levels = 70, 3
    rng = np.random.default_rng(0)
    numbers = [int.from_bytes(rng.bytes(26), "big") for _ in range(40)]
    # The next number too: with carries over the border between words, and over that between levels.
    numbers += [2**j - 1 for j in (1, 63, 64, 69, 70, 71, 140, 209)]
    numbers = sorted(numbers + [n + 1 for n in numbers])
    bits = np.array([[n >> k & 1 for k in reversed(range(dim * levels))] for n in numbers], np.uint32)
    cells = integers(steps(bits.reshape(-1, levels, dim), np.zeros((len(numbers), dim), np.int32), 0)[0])
    keys = [key.tolist() for key in CURVE.keys(cells, levels)]
    lengths = [64, 64, 64, dim * levels - 192]
    assert len(keys) == len(lengths)
    back = [0] * len(numbers)
    for key, length in zip(keys, lengths, strict=True):
        back = [(n << length) + word for n, word in zip(back, key, strict=True)]
    assert back == numbers
    shuffled = rng.permutation(len(cells))
    np.testing.assert_array_equal(cells[shuffled][CURVE.argsort(cells[shuffled], levels)], cells)
    steps_of_one = [i for i in range(len(numbers) - 1) if numbers[i + 1] == numbers[i] + 1]
    assert len(steps_of_one) >= 48
    assert all(np.abs(cells[i + 1] - cells[i]).sum() == 1 for i in steps_of_one)


def test_the_finest_levels_fit_a_word():
    cells = np.array([[2**30 - 1, 0], [0, 0], [0, 2**30 - 1]])
    order = CURVE.argsort(cells, 30)
    assert order[0] == 1
    (key,) = CURVE.keys(cells, 30)
    # The curve begins and ends at two corners that share an edge of the square.
    assert sorted(key.tolist())[0] == 0 and max(key.tolist()) == 2**60 - 1


def test_levels_and_the_lack_of_a_network():
    assert [CURVE.levels_for((n,)) for n in (1, 2, 3, 4, 5, 1024)] == [0, 1, 2, 2, 3, 10]
    with pytest.raises(NotImplementedError, match="exchange the axes"):
        CURVE.network(2, 1, 1000)
    for path, expected in [("centre", [0.5, 0.5]), ("line", [0.5, 0.25]), ("diagonal", [0.25, 0.25])]:
        np.testing.assert_array_equal(CURVE.network(2, 0, 1000, path)(0.25), expected)
