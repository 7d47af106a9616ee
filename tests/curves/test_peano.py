"""The Peano curve on digits: a bijection between neighbours, the same in every form."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from jaxgen.curves import (
    cell_digits,
    levels_for,
    peano_argsort,
    peano_cell,
    peano_curve,
    peano_index,
    peano_keys,
    reflect,
)


def base3(number, digits):
    return [number // 3**j % 3 for j in reversed(range(digits))]


def cell_of(index, dim, levels):
    """Theory, section 4, word by word, in Python integers."""
    digits = base3(index, dim * levels)
    cell = [0] * dim
    for m, digit in enumerate(digits):
        others = sum(o for j, o in enumerate(digits[:m]) if j % dim != m % dim)
        cell[m % dim] = 3 * cell[m % dim] + (2 - digit if others % 2 else digit)
    return cell


@pytest.mark.parametrize("dim, levels", [(1, 4), (2, 1), (2, 2), (2, 4), (3, 2), (4, 2), (8, 1)])
def test_every_cell_once_and_neighbours_share_a_face(dim, levels):
    index = np.array(list(itertools.product(range(3), repeat=dim * levels)), np.uint8)
    cells = np.asarray(peano_cell(jnp.asarray(index), dim))
    assert len(np.unique(cells, axis=0)) == len(index) == 3 ** (dim * levels)
    assert cells.min() == 0 and cells.max() == 3**levels - 1
    np.testing.assert_array_equal(np.abs(np.diff(cells, axis=0)).sum(axis=1), 1)
    np.testing.assert_array_equal(peano_index(jnp.asarray(cells), levels), index)
    assert np.array_equal(peano_argsort(cells, levels), np.arange(len(cells)))


def test_against_the_definition():
    for dim, levels in [(2, 3), (3, 2)]:
        numbers = range(3 ** (dim * levels))
        expected = [cell_of(number, dim, levels) for number in numbers]
        digits = jnp.asarray([base3(number, dim * levels) for number in numbers], jnp.uint8)
        np.testing.assert_array_equal(peano_cell(digits, dim), expected)


@pytest.mark.parametrize("dim, levels", [(64, 3), (784, 1), (2, 18), (1, 19)])
def test_large_curves_at_random(dim, levels):
    rng = np.random.default_rng(0)
    numbers = [int.from_bytes(rng.bytes(200), "big") % (3 ** (dim * levels) - 1) for _ in range(50)]
    # Numbers with a long carry too, where the step from one to the next is felt at every level.
    numbers += [3**j - 1 for j in range(1, dim * levels, max(1, dim * levels // 50))]
    here = jnp.asarray([base3(number, dim * levels) for number in numbers], jnp.uint8)
    after = jnp.asarray([base3(number + 1, dim * levels) for number in numbers], jnp.uint8)
    cells, following = np.asarray(peano_cell(here, dim)), np.asarray(peano_cell(after, dim))
    np.testing.assert_array_equal(np.abs(cells - following).sum(axis=1), 1)
    np.testing.assert_array_equal(peano_index(jnp.asarray(cells), levels), here)
    assert cells[0].tolist() == cell_of(numbers[0], dim, levels)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([(1, 19), (2, 3), (3, 14), (41, 1), (40, 2), (7, 18)]), st.integers(0, 2**32 - 1))
def test_keys_on_the_host_are_the_index_of_the_kernel(shape, seed):
    dim, levels = shape
    cells = np.random.default_rng(seed).integers(0, 3**levels, (20, dim)).astype(np.int32)
    index = np.asarray(peano_index(cells, levels)).astype(np.uint64)
    for word, key in enumerate(peano_keys(cells, levels)):
        digits = index[:, 40 * word : 40 * (word + 1)]
        expected = np.zeros(20, np.uint64)
        for digit in digits.T:
            expected = expected * np.uint64(3) + digit
        np.testing.assert_array_equal(key, expected)
    order = peano_argsort(cells, levels)
    assert index[order].tolist() == sorted(index.tolist())


def test_argsort_is_stable_and_settles_late_differences():
    # Equal in the first 40 digits and more; some equal in all.
    cells = np.zeros((6, 200), np.int32)
    cells[:, -1] = [2, 1, 2, 0, 1, 0]
    np.testing.assert_array_equal(peano_argsort(cells, 1), [3, 5, 1, 4, 0, 2])
    np.testing.assert_array_equal(peano_argsort(np.zeros((3, 2), np.int32), 0), [0, 1, 2])


def test_levels():
    assert [levels_for((n,)) for n in (1, 2, 3, 4, 9, 10, 27, 28)] == [0, 1, 1, 2, 2, 3, 3, 4]
    assert levels_for((1, 28, 3)) == 4
    assert cell_digits(jnp.asarray([5, 0]), 0).shape == (0, 2)
    np.testing.assert_array_equal(cell_digits(jnp.asarray([5, 7]), 3), [[0, 0], [1, 2], [2, 1]])


def test_reflection_is_an_involution_and_carries_on_from_a_cell():
    digits = jnp.asarray(np.random.default_rng(1).integers(0, 3, (100, 5, 3)), jnp.uint8)
    np.testing.assert_array_equal(reflect(reflect(digits)), digits)
    whole = reflect(digits)
    cell = peano_cell(digits[:, :2].reshape(100, -1), 3)
    np.testing.assert_array_equal(reflect(digits[:, 2:], cell), whole[:, 2:])


def test_the_curve_goes_through_its_cells_and_does_not_jump(precision):
    for dim, levels in [(2, 2), (3, 1)]:
        n = 3 ** (dim * levels)
        curve = jax.jit(jax.vmap(lambda v, d=dim, k=levels: peano_curve(v, d, k)))
        eps = float(jnp.finfo(precision).eps)
        middle = np.asarray(curve(jnp.asarray((np.arange(n) + 0.5) / n)))
        cells = [cell_of(i, dim, levels) for i in range(n)]
        # The curve is 3**(dim levels) / 3**levels times as fast as its parameter, whose rounding it shows.
        stretch = n / 3**levels
        np.testing.assert_allclose(middle, (np.array(cells) + 0.5) / 3**levels, rtol=0, atol=4 * stretch * eps)
        v = np.arange(1, n) / n
        gap = np.asarray(curve(jnp.asarray(v - 4 * eps))) - np.asarray(curve(jnp.asarray(v + 4 * eps)))
        assert np.abs(gap).max() < 20 * stretch * eps
        np.testing.assert_allclose(curve(jnp.asarray([0.0, 1.0])), [[0] * dim, [1] * dim], atol=4 * eps)
