"""The Peano curve on digits: a bijection between neighbours, the same in every form."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from jaxgen.curves import PeanoCurve
from jaxgen.source import Residual

CURVE = PeanoCurve()
steps = jax.jit(jax.vmap(CURVE.steps, (0, 0, None)), static_argnums=2)


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


def cells_of(index, dim):
    """Cells by the kernel, from digits of the curve `(n, levels * dim)`."""
    digits = jnp.asarray(index, jnp.uint32).reshape(len(index), -1, dim)
    out = np.asarray(steps(digits, jnp.zeros((len(index), dim), jnp.int32), 0)[0])
    return sum(out[:, k].astype(np.int64) * 3 ** (out.shape[1] - 1 - k) for k in range(out.shape[1]))


def index_of(cells, levels):
    """Digits of the curve, by the keys on the host."""
    words = [key.tolist() for key in CURVE.keys(cells, levels)]
    total = levels * cells.shape[1]
    lengths = [min(40, total - 40 * k) for k in range(len(words))]
    return [
        [digit for word, length in zip(row, lengths, strict=True) for digit in base3(word, length)]
        for row in zip(*words, strict=True)
    ]


@pytest.mark.sweep(4)
@pytest.mark.parametrize("dim, levels", [(1, 4), (2, 1), (2, 2), (2, 4), (3, 2), (4, 2), (8, 1)])
def test_every_cell_once_and_neighbours_share_a_face(dim, levels):
    index = np.array(list(itertools.product(range(3), repeat=dim * levels)))
    cells = cells_of(index, dim)
    assert len(np.unique(cells, axis=0)) == len(index) == 3 ** (dim * levels)
    assert cells.min() == 0 and cells.max() == 3**levels - 1
    np.testing.assert_array_equal(np.abs(np.diff(cells, axis=0)).sum(axis=1), 1)
    np.testing.assert_array_equal(index_of(cells, levels), index)
    assert np.array_equal(CURVE.argsort(cells, levels), np.arange(len(cells)))


def test_against_the_definition():
    for dim, levels in [(2, 3), (3, 2)]:
        numbers = range(3 ** (dim * levels))
        expected = [cell_of(number, dim, levels) for number in numbers]
        np.testing.assert_array_equal(cells_of([base3(number, dim * levels) for number in numbers], dim), expected)


@pytest.mark.sweep(2)
@pytest.mark.parametrize("dim, levels", [(64, 3), (784, 1), (2, 18), (1, 19)])
def test_large_curves_at_random(dim, levels):
    rng = np.random.default_rng(0)
    numbers = [int.from_bytes(rng.bytes(200), "big") % (3 ** (dim * levels) - 1) for _ in range(50)]
    # Numbers with a long carry too, where the step from one to the next is felt at every level.
    numbers += [3**j - 1 for j in range(1, dim * levels, max(1, dim * levels // 50))]
    here = [base3(number, dim * levels) for number in numbers]
    after = [base3(number + 1, dim * levels) for number in numbers]
    cells, following = cells_of(here, dim), cells_of(after, dim)
    np.testing.assert_array_equal(np.abs(cells - following).sum(axis=1), 1)
    np.testing.assert_array_equal(index_of(cells, levels), here)
    assert cells[0].tolist() == cell_of(numbers[0], dim, levels)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([(1, 19), (2, 3), (3, 14), (41, 1), (40, 2), (7, 18)]), st.integers(0, 2**32 - 1))
def test_keys_on_the_host_are_the_index_of_the_kernel(shape, seed):
    dim, levels = shape
    cells = np.random.default_rng(seed).integers(0, 3**levels, (20, dim)).astype(np.int32)
    # The rule is its own inverse: the kernel takes the digits of the coordinates to those of the curve.
    digits = np.stack([cells // 3 ** (levels - 1 - k) % 3 for k in range(levels)], axis=1)
    index = np.asarray(steps(digits.astype(np.uint32), np.zeros((20, dim), np.int32), 0)[0]).reshape(20, -1)
    np.testing.assert_array_equal(index_of(cells, levels), index)
    order = CURVE.argsort(cells, levels)
    assert index[order].tolist() == sorted(index.tolist())


def test_argsort_is_stable_and_settles_late_differences():
    # Equal in the first 40 digits and more; some equal in all.
    cells = np.zeros((6, 200), np.int32)
    cells[:, -1] = [2, 1, 2, 0, 1, 0]
    np.testing.assert_array_equal(CURVE.argsort(cells, 1), [3, 5, 1, 4, 0, 2])
    np.testing.assert_array_equal(CURVE.argsort(np.zeros((3, 2), np.int32), 0), [0, 1, 2])


def test_levels():
    assert [CURVE.levels_for((n,)) for n in (1, 2, 3, 4, 9, 10, 27, 28)] == [0, 1, 1, 2, 2, 3, 3, 4]
    assert CURVE.levels_for((1, 28, 3)) == 4
    no_digits = CURVE.steps(jnp.zeros((0, 2), jnp.uint32), jnp.asarray([5, 0]), 2)[0]
    assert no_digits.shape == (0, 2)


def test_reflection_is_an_involution_and_carries_on_from_a_cell():
    digits = jnp.asarray(np.random.default_rng(1).integers(0, 3, (100, 5, 3)), jnp.uint32)
    nowhere = jnp.zeros((100, 3), jnp.int32)
    whole, backward = steps(digits, nowhere, 0)
    np.testing.assert_array_equal(steps(whole, nowhere, 0)[0], digits)
    cell = jnp.asarray(cells_of(np.asarray(digits[:, :2]).reshape(100, -1), 3), jnp.int32)
    inside, also_backward = steps(digits[:, 2:], cell, 2)
    np.testing.assert_array_equal(inside, whole[:, 2:])
    np.testing.assert_array_equal(also_backward, backward)


def test_the_curve_goes_through_its_cells_and_does_not_jump(precision):
    for dim, levels in [(2, 2), (3, 1)]:
        n = 3 ** (dim * levels)
        curve = jax.jit(jax.vmap(lambda v, d=dim, k=levels: CURVE(v, d, k)))
        eps = float(jnp.finfo(precision).eps)
        # One batch, and so one program: the middle of each cell, either side of each border, and the ends.
        v = np.arange(1, n) / n
        batch = np.concatenate([(np.arange(n) + 0.5) / n, v - 4 * eps, v + 4 * eps, [0, 1]])
        middle, before, after, ends = np.split(np.asarray(curve(jnp.asarray(batch))), np.cumsum([n, n - 1, n - 1]))
        cells = [cell_of(i, dim, levels) for i in range(n)]
        # The curve is 3**(dim levels) / 3**levels times as fast as its parameter, whose rounding it shows.
        stretch = n / 3**levels
        np.testing.assert_allclose(middle, (np.array(cells) + 0.5) / 3**levels, rtol=0, atol=4 * stretch * eps)
        assert np.abs(before - after).max() < 20 * stretch * eps
        np.testing.assert_allclose(ends, [[0] * dim, [1] * dim], atol=4 * eps)


def test_paths_differ_only_inside_the_last_cell():
    v = jnp.asarray(np.random.default_rng(2).random(200).astype(np.float32))
    line, diagonal, centre = (
        np.asarray(jax.jit(jax.vmap(lambda u, p=path: CURVE(u, 3, 1, p)))(v)) * 3
        for path in ("line", "diagonal", "centre")
    )
    np.testing.assert_allclose(centre, np.floor(diagonal) + 0.5, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(line[:, :2], centre[:, :2])
    np.testing.assert_array_equal(line[:, 2], diagonal[:, 2])
    assert np.ptp(line[:, 2] - centre[:, 2]) > 0.9
    with pytest.raises(ValueError, match="path must be one of line, diagonal, centre; got 'spiral'"):
        CURVE(v[0], 2, 1, "spiral")


def test_a_walk_inside_a_cell_is_the_stretch_of_the_curve():
    """The curve of three levels at v is the walk of two levels in the cell that one level leads to."""
    rng = np.random.default_rng(3)
    words = jnp.asarray(rng.integers(0, 2**32, (100, 2), dtype=np.uint32))

    @jax.jit
    @jax.vmap
    def both(words):
        r = Residual.of_words(words, 16)
        whole = CURVE.walk(jnp.zeros((2,), jnp.int32), 0, r, 3, jnp.float32, "diagonal")
        digits, left = r.digits(3, 2)
        cell = CURVE.steps(jnp.stack(digits)[None], jnp.zeros((2,), jnp.int32), 0)[0][0].astype(jnp.int32)
        return whole, (cell + CURVE.walk(cell, 1, left, 2, jnp.float32, "diagonal")) / 3

    whole, parts = both(words)
    np.testing.assert_allclose(whole, parts, rtol=0, atol=1e-6)


def test_points_in_the_order_of_the_curve():
    centers = (np.array([cell_of(i, 2, 2) for i in range(81)]) + 0.5) / 9
    # The bounding box is a little smaller than the square, and the cells fill it as they filled the square.
    box = np.concatenate([centers, [[0, 0], [1, 1]]])
    shuffled = np.random.default_rng(4).permutation(83)
    order = shuffled[CURVE.order(box[shuffled])]
    assert order[1:-1].tolist() == list(range(81))
    assert {order[0], order[-1]} == {81, 82}
    x = np.random.default_rng(5).normal(size=50)
    np.testing.assert_array_equal(CURVE.order(x), np.argsort(x))
    # A constant coordinate and points far from 0 do no harm.
    np.testing.assert_array_equal(CURVE.order(np.column_stack([np.full(50, 1e6), x])), np.argsort(x))
    with pytest.raises(ValueError, match="points must be finite"):
        CURVE.order([[np.nan, 1.0], [0.0, 1.0]])
