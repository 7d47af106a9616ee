"""The search among leaves against a walk through a list of quanta, in fractions."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.source import Residual, branches, factor_bits

WORDS = 3
M = 12  # leaves


def example(seed, columns, labels):
    """Sorted columns of distinct leaves, labels, and counts."""
    rng = np.random.default_rng(seed)
    rows = np.unique(rng.integers(0, 3, (200, columns)), axis=0)
    rows = rows[np.sort(rng.permutation(len(rows))[: min(len(rows), M)])]
    codes = np.sort(np.concatenate([np.arange(labels), rng.integers(0, labels, len(rows) - labels)]))
    order = np.lexsort([*rows.T[::-1], codes])
    return list(rows[order].T.astype(np.int32)), codes[order].astype(np.int32), rng.integers(1, 50, len(rows))


def path_of(columns, counts, u):
    """The values of each column and the position left over: u is a share of the leaves that are handed over."""
    counts = [Fraction(int(c)) for c in counts]
    quantum = u * sum(counts)
    for leaf, count in enumerate(counts):
        if quantum < count:
            return [int(column[leaf]) for column in columns], quantum / count
        quantum -= count
    raise AssertionError


def value(r):
    fraction = sum(Fraction(int(word), 2 ** (32 * (i + 1))) for i, word in enumerate(np.asarray(r.fraction)))
    return (int(r.whole) + fraction) / int(r.count)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_descending_all_levels_is_the_quantile_step(seed):
    columns, labels, counts = example(seed, 3, 2)
    tree = branches(columns, len(counts), labels).weighed(jnp.asarray(counts, jnp.uint32), 16)
    words = np.random.default_rng(seed).integers(0, 2**32, (60, WORDS), dtype=np.uint32)
    words[0], words[1] = 0, 2**32 - 1
    us = [sum(Fraction(int(w), 2 ** (32 * (i + 1))) for i, w in enumerate(row)) for row in words]

    def descend(words, code):
        label, node, r = tree.enter(words, code)
        values = []
        for k in range(len(columns)):
            node, r = tree.descend(node, r, tree.columns + k)
            values.append(tree.value[node])
        return label, jnp.stack(values), r, tree.count[node]

    for code in (None, 0, 1):
        part = slice(None) if code is None else labels == code
        asked = None if code is None else jnp.full(len(words), code)
        label, values, r, count = jax.device_get(jax.jit(jax.vmap(descend))(words, asked))
        for i, u in enumerate(us):
            expected, inside = path_of([labels[part], *(c[part] for c in columns)], counts[part], u)
            assert [label[i], *values[i]] == expected
            assert value(jax.tree.map(lambda array, i=i: array[i], r)) == inside
        np.testing.assert_array_equal(r.count, count)


@pytest.mark.sweep(2)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("labels", [1, 3])
def test_locate_meets_each_leaf_as_often_as_it_has_quanta(labels, bits):
    _, codes, counts = example(7, 2, labels)
    leaves = np.arange(len(counts))[::-1].copy()  # names of the leaves: not their places
    tree = branches([leaves], len(leaves), codes if labels > 1 else None)
    tree = tree.weighed(jnp.asarray(counts, jnp.uint32), bits)
    total = counts.sum()
    # The middle of each quantum.
    words = np.array([(2 * q + 1) * 2**31 // total for q in range(total)], np.uint32)[:, None]
    label, leaf, r = jax.jit(jax.vmap(lambda w: tree.locate(w, None)))(words)
    np.testing.assert_array_equal(np.asarray(leaf), np.repeat(leaves, counts))
    np.testing.assert_array_equal(np.asarray(r.whole), np.concatenate([np.arange(c) for c in counts]))
    if labels > 1:
        np.testing.assert_array_equal(np.asarray(label), np.repeat(codes, counts))


@pytest.mark.sweep(1)
@pytest.mark.parametrize("kind", ["even", "one heavy", "heavy tail", "halves"])
@pytest.mark.parametrize("leaves", [1, 2, 3, 64, 1000])
def test_a_guide_leads_to_the_leaf_of_a_linear_search(leaves, kind):
    """With the guide, and without it where counts are traced; laws for which a bucket holds one leaf, or nearly all."""
    rng = np.random.default_rng(leaves)
    counts = {
        "even": np.full(leaves, 7),
        "one heavy": np.where(np.arange(leaves) == leaves // 2, 2**23, 1),
        "heavy tail": np.minimum(rng.pareto(0.5, leaves) + 1, 2**12).astype(int),
        "halves": np.maximum(1, 2**20 >> np.minimum(np.arange(leaves), 30)),
    }[kind]
    total, shape = int(counts.sum()), branches([np.arange(leaves)], leaves)
    starts = np.cumsum(counts) - counts
    # All borders, and places between.
    quanta = np.unique(np.concatenate([starts, starts + counts - 1, rng.integers(0, total, 300)]))
    quanta = np.concatenate([quanta, np.zeros(4096 - len(quanta), quanta.dtype)])
    middles = [(2 * q + 1) * 2**63 // total for q in quanta.tolist()]
    words = np.array([divmod(middle, 2**32) for middle in middles], np.uint32)
    expected = np.searchsorted(starts, quanta, side="right") - 1

    @jax.jit
    def found(counts, words):
        tree = shape.weighed(counts, factor_bits(total))
        return jax.vmap(lambda w: tree.locate(w, None)[1:])(words)

    guided = shape.weighed(jnp.asarray(counts, jnp.uint32), factor_bits(total)).padded()
    assert int(guided.levels[1, 2]) <= max(0, (leaves - 1).bit_length())
    for leaf, r in (
        jax.jit(jax.vmap(lambda w: guided.locate(w, None)[1:]))(words),
        found(jnp.asarray(counts, jnp.uint32), words),
    ):
        np.testing.assert_array_equal(leaf, expected)
        np.testing.assert_array_equal(r.whole, quanta - starts[expected])
        np.testing.assert_array_equal(r.count, counts[expected])


def test_a_search_is_short_where_masses_are_of_one_order():
    counts = np.random.default_rng(0).integers(50, 100, 5000)
    tree = branches([np.arange(5000)], 5000).weighed(jnp.asarray(counts, jnp.uint32), 8)
    assert int(tree.levels[1, 2]) <= 2


@pytest.mark.slow
def test_the_largest_counts_fill_a_word_and_no_more():
    counts = np.array([1, 2**24 - 2, 1])
    tree = branches([np.arange(3)], 3).weighed(jnp.asarray(counts, jnp.uint32), factor_bits(2**24))
    for u, leaf, whole in [(0, 0, 0), (2**8, 1, 0), (2**32 - 2**8 - 1, 1, 2**24 - 3), (2**32 - 1, 2, 0)]:
        _, found, r = tree.locate(jnp.asarray([u], jnp.uint32), None)
        assert (int(found), int(r.whole)) == (leaf, whole)


def test_branches_know_their_leaves_and_their_mass():
    columns = [np.array([0, 0, 0, 4, 4]), np.array([1, 2, 2, 0, 0]), np.array([3, 0, 9, 5, 6])]
    labels = np.array([0, 0, 1, 1, 1])
    tree = branches(columns, 5, labels)
    assert tree.offsets == (0, 1, 3, 6, 10, 15)
    by_level = [np.asarray(tree.value[tree.level(k)]).tolist() for k in range(5)]
    assert by_level == [[0], [0, 1], [0, 0, 4], [1, 2, 2, 0], [3, 0, 9, 5, 6]]
    assert np.asarray(tree.begin[tree.level(2)]).tolist() == [0, 2, 3]
    assert np.asarray(tree.end[tree.level(2)]).tolist() == [2, 3, 5]
    np.testing.assert_allclose(tree.masses(np.array([1, 2, 3, 4, 6]))[tree.level(1)], [3 / 16, 13 / 16])


def test_one_leaf_is_the_number_itself():
    tree = branches([np.array([5])], 1).weighed(jnp.asarray([1], jnp.uint32), 16)
    words = jnp.asarray([123456789, 42], jnp.uint32)
    label, leaf, r = tree.locate(words, None)
    assert (int(label), int(leaf)) == (0, 5)
    assert value(r) == value(Residual.of_words(words, 16))
