"""The code of trees: questions that have the probabilities of theory, and files that give back what was written."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import betabinom, binom

import jaxgen as jg
from jaxgen.coding import (
    CodeError,
    PackedReader,
    PackedWriter,
    TreeLevel,
    about_tree_bits,
    code_tree,
    most_nodes,
    tree_bits,
)
from jaxgen.coding._beta_binomial import Mixture, Splits, exp2, log2, log_splits
from jaxgen.coding._decisions import decode_decisions, encode_decisions, packed
from jaxgen.coding._range import RangeEncoder

SHAPES = [0.5, *(2.0**j for j in range(11))]


def followed(splits, n, k):
    """The probabilities of the numbers k, by the questions that lead to them."""
    low, high, chance = np.zeros(len(k), np.int64), np.full(len(k), n + 1), np.ones(len(k))
    open_ = np.arange(len(k))
    while len(open_):
        words = splits.words(np.zeros(len(open_), np.int64), low[open_], high[open_])
        middle = (low[open_] + high[open_]) >> 1
        upper = k[open_] >= middle
        rare = (words & 0xFFFF) / 2.0 ** (16 + (words >> 16 & 15).astype(float))
        chance[open_] *= np.where(upper == (words >> 20 & 1), rare, 1 - rare)
        low[open_], high[open_] = np.where(upper, middle, low[open_]), np.where(upper, high[open_], middle)
        open_ = open_[high[open_] - low[open_] > 1]
    return chance


def mixture(n, k):
    """The mixture with equal weights, by SciPy."""
    parts = [np.isin(k, [0, n]) * 0.5, *(betabinom.pmf(k, n, a, a) for a in SHAPES), binom.pmf(k, n, 0.5)]
    return np.mean(parts, axis=0)


@pytest.mark.parametrize("n", [1, 2, 7, 64, 65, 127, 300, 5000])
def test_the_questions_have_the_probabilities_of_the_mixture(n):
    k = np.arange(n + 1)
    chance, expected = followed(Splits(np.array([n]), Mixture().weights), n, k), mixture(n, k)
    assert abs(chance.sum() - 1) < 1e-9  # a law, whatever is rounded
    # What it costs to take buckets for numbers: the Kullback-Leibler divergence, in bits.
    assert 0 <= np.sum(expected * np.log2(expected / chance)) + 1e-9 < (1e-6 if n <= 64 else 2e-3)
    np.testing.assert_allclose(np.exp2(log_splits(k, np.full(n + 1, n))).mean(axis=0), expected, rtol=1e-8)


def test_the_weights_are_learned():
    mixed, k = Mixture(), np.full(50, 10)
    mixed.learn(k, np.full(50, 20))  # always the half: even more even than a fair coin
    assert mixed.weights[-4:].sum() > 0.9 and mixed.weights[0] < 1e-6
    mixed.deepen()  # the roots of the weights, and a tenth for all
    assert 0.006 < mixed.weights[0] < 0.01 and abs(mixed.weights.sum() - 1) < 1e-12


def test_logarithms_and_powers_are_those_of_numpy():
    x = np.geomspace(1e-300, 1e300, 1001)
    np.testing.assert_allclose(log2(x), np.log2(x), rtol=1e-14, atol=1e-13)
    np.testing.assert_allclose(exp2(-x[x < 900]), np.exp2(-x[x < 900]), rtol=1e-12)


def test_a_long_list_of_decisions_is_coded_as_many_short_ones():
    rng = np.random.default_rng(0)
    total = rng.integers(2, 1000, 5000)
    words = packed(rng.integers(1, total), total) | (rng.random(5000) < 0.5).astype(np.uint32) << np.uint32(31)
    start = RangeEncoder()._coder
    state, stream = encode_decisions(start, words)
    parts = [start, []]
    for i in range(0, 5000, 1000):
        parts[0], some = encode_decisions(parts[0], words[i : i + 1000])
        parts[1].append(some)
    np.testing.assert_array_equal(state, parts[0])
    np.testing.assert_array_equal(stream, np.concatenate(parts[1]))
    encoder = RangeEncoder()
    encoder.decide(words)
    data = np.frombuffer(encoder.finish(), np.uint8)
    begin = np.array([int.from_bytes(data[:4].tobytes(), "big"), 0xFFFFFFFF], np.uint32)
    _, used, answers = decode_decisions(begin, data[4:], words & 0x7FFFFFFF)
    np.testing.assert_array_equal(answers, words >> 31 == 1)
    _, used_one, first = decode_decisions(begin, data[4:], words[:1000] & 0x7FFFFFFF)
    np.testing.assert_array_equal(first, answers[:1000])
    assert used_one < used


def side(depth):
    return 2.0 ** -(depth // 2) if depth < 11 else 0.0


def random_levels(rng, roots, leaf):
    levels, quanta = [], rng.integers(1, 400, roots)
    while len(quanta):
        is_leaf = (rng.random(len(quanta)) < leaf) if len(levels) < 11 else np.ones(len(quanta), bool)
        left = np.where(is_leaf, 0, rng.binomial(quanta, rng.beta(0.7, 0.7, len(quanta))))
        levels.append(TreeLevel(quanta, is_leaf, left))
        quanta = levels[-1].children()
    return levels


@pytest.mark.slow
@given(seed=st.integers(0, 2**32 - 1), roots=st.integers(1, 4), leaf=st.sampled_from([0.02, 0.3, 0.9]))
@settings(max_examples=15, deadline=None)
def test_what_was_written_is_read(seed, roots, leaf):
    levels = random_levels(np.random.default_rng(seed), roots, leaf)
    writer = PackedWriter()
    code_tree(writer, levels[0].quanta, side, levels)
    data = writer.finish()[0]
    # As long as the questions are, to two bytes.
    assert tree_bits(levels, side) - 8 <= 8 * len(data) <= tree_bits(levels, side) + 16
    reader = PackedReader(data)
    again = code_tree(reader, levels[0].quanta, side, None, most_nodes(reader))
    reader.finish()
    assert len(again) == len(levels)
    for one, two in zip(levels, again, strict=True):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@given(seed=st.integers(0, 2**32 - 1), roots=st.integers(1, 4), leaf=st.sampled_from([0.02, 0.3, 0.9]))
@settings(max_examples=15, deadline=None)
def test_the_quick_count_of_bits_is_near(seed, roots, leaf):
    levels = random_levels(np.random.default_rng(seed), roots, leaf)
    exact = tree_bits(levels, side)
    # Buckets and digits of large n cost a few thousandths of what is coded, the floor of a block a little more.
    assert abs(about_tree_bits(levels, side) - exact) < 0.005 * exact + 3


def test_a_short_file_claims_no_long_tree():
    levels, writer = random_levels(np.random.default_rng(0), 1, 0.02), PackedWriter()
    code_tree(writer, levels[0].quanta, side, levels)
    data = writer.finish()[0]
    held = sum(len(level.quanta) for level in levels)
    assert held <= most_nodes(PackedReader(data)) <= 400 * (len(data) + 8)
    with pytest.raises(CodeError, match="more nodes than it can hold"):
        code_tree(PackedReader(data), levels[0].quanta, side, None, held - 1)


@pytest.mark.slow
def test_no_file_is_written_in_two_ways(seal):
    """What is read where a bit was changed, and the checksum put right, is written just so."""
    where = np.array([[0, 0], [2, 0], [3, 0]]), np.array([[1, 0], [2, 0], [2, 0]])
    for tree in (
        jg.TreeMeasure(*where, [30_001, 77, 5], [0.0, -1.0], [4.0, 1.0]),
        jg.TreeMeasure(*where, [3, 1, 2], [-2.375, -2.375], [1.625, -0.375]),
        jg.TreeMeasure([[0]], [[0]], [1], -0.5, 1.5),
    ):
        data = jg.encode(tree)
        for bit in range(24, 8 * len(data) - 16):
            flipped = bytearray(data[:-2])
            flipped[bit // 8] ^= 1 << bit % 8
            flipped = seal(bytes(flipped))
            try:
                found = jg.decode(flipped)
            except jg.CodeError:
                continue
            assert jg.encode(found) == flipped
