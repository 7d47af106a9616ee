"""Fixed-point arithmetic against Python fractions: every operation is exact, to the last bit."""

import functools as ft
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from jaxgen.relu import sawtooth
from jaxgen.source import (
    Residual,
    factor_bits,
    float_to_words,
    multiplied,
    split_words,
    stratum_words,
    words_to_float,
)

WORDS = 3
few = settings(max_examples=25, deadline=None)
words = st.lists(st.integers(0, 2**32 - 1), min_size=WORDS, max_size=WORDS)
# The edges of what is allowed, and everything between.
counts = st.sampled_from([1, 2, 3, 2**16 - 1, 2**16, 2**24]) | st.integers(1, 2**24)


@st.composite
def residuals(draw):
    count = draw(counts)
    whole = draw(st.sampled_from([0, count - 1]) | st.integers(0, count - 1))
    digits = draw(words | st.sampled_from([[0] * WORDS, [2**32 - 1] * WORDS]))
    return whole, digits, count


def build(example, bits):
    whole, digits, count = example
    return Residual(
        jnp.uint32(whole), Residual.of_words(jnp.asarray(digits, jnp.uint32), bits).fraction, jnp.uint32(count), bits
    )


def value(r):
    fraction = sum(Fraction(int(word), 2 ** (32 * (i + 1))) for i, word in enumerate(np.asarray(r.fraction)))
    return (int(r.whole) + fraction) / int(r.count)


@ft.cache
def jitted(function, *static):
    return jax.jit(lambda *args: function(*args, *static))


def tent(x):
    return 2 * x if x <= Fraction(1, 2) else 2 - 2 * x


def test_digits_leave_room_in_a_word():
    for quanta in (1, 2, 2**16, 2**16 + 1, 2**24):
        assert quanta * 2 ** factor_bits(quanta) <= 2**32
    assert [factor_bits(q) for q in (2**16, 2**16 + 1, 2**20, 2**20 + 1)] == [16, 12, 12, 8]


@few
@given(words)
def test_digits_hold_the_same_fraction(example):
    exact = sum(Fraction(w, 2 ** (32 * (i + 1))) for i, w in enumerate(example))
    for bits in (8, 16):
        assert value(Residual.of_words(jnp.asarray(example, jnp.uint32), bits)) == exact


@few
@given(residuals(), st.data())
def test_scale(example, data):
    for bits in (8, 16):
        limit = min(2**32 // example[2], 2**32 - 1)
        factor = data.draw(st.sampled_from([1, limit]) | st.integers(1, limit))
        r = build(example, bits)
        if example[2] * 2**bits > 2**32:
            continue
        integer, left = jitted(Residual.scale)(r, jnp.uint32(factor))
        exact = factor * value(r)
        assert int(integer) == exact // 1
        assert value(left) == exact % 1
        assert int(left.whole) < int(left.count)


@pytest.mark.sweep(4)
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("factor", [1, 3, 2**16 - 1, 2**16, 2**16 + 1, 2**18 - 1, 2**24, 2**31 + 1, 2**32 - 1])
def test_products_of_words_are_exact(factor, known):
    """Of factors that the program knows, which have a shorter way up to 2**16, and of others; where every carry counts.

    A word `-1 / f mod 2**32` has a product that ends in 2**32 - 1, to which any carry from below is one too many.
    """
    ones = 2**32 - 1
    edge = pow(factor, -1, 2**32) * ones % 2**32 if factor % 2 else ones
    rng = np.random.default_rng(factor)
    rows = [[edge, ones, ones], [edge, edge, ones], [ones] * 3, [0, 0, 1], *rng.integers(2**32, size=(20, 3)).tolist()]
    scaled = (lambda w: multiplied(split_words(w), factor)) if known else (lambda w, f: multiplied(split_words(w), f))
    for length in (3, 12):  # one by one, and scanned
        padded = np.array([row + [ones] * (length - 3) for row in rows], np.uint32)
        given_factor = () if known else (jnp.uint32(factor),)
        whole, rest = jax.jit(jax.vmap(scaled, in_axes=(0, *[None] * len(given_factor))))(padded, *given_factor)
        rest = np.stack(rest, axis=1) if isinstance(rest, tuple) else np.asarray(rest)
        for row, out, left in zip(padded.tolist(), np.asarray(whole).tolist(), rest.tolist(), strict=True):
            exact = factor * _integer(row)
            assert out == exact >> 32 * length
            assert _integer(left) == exact % 2 ** (32 * length)


def _integer(words):
    return sum(word << 32 * i for i, word in enumerate(reversed(words)))


@few
@given(residuals())
def test_one_minus(example):
    r = build(example, factor_bits(example[2]))
    smallest = Fraction(1, example[2] * 2 ** (32 * WORDS))
    # 1 is no residual, and becomes the largest one.
    assert value(jitted(Residual.one_minus)(r)) == min(1 - value(r), 1 - smallest)


@few
@given(residuals(), st.sampled_from([0, 1, 7, 8, 20]))
def test_fold_is_the_sawtooth(example, folds):
    r = build(example, factor_bits(example[2]))
    exact = value(r)
    for _ in range(folds):
        exact = tent(exact)
    smallest = Fraction(1, example[2] * 2 ** (32 * WORDS))
    centre, folded = jitted(Residual.fold_from_centre, folds, jnp.float32)(r)
    assert value(folded) == min(exact, 1 - smallest)
    # An odd number of at most 21 bits, over a power of two.
    assert Fraction(float(centre)) == (value(r) * 2**folds // 1 + Fraction(1, 2)) / 2**folds


@pytest.mark.slow
@pytest.mark.parametrize("folds", [0, 1, 3, 12])
def test_fold_is_the_sawtooth_network(folds):
    u = np.random.default_rng(folds).random(200).astype(np.float32)
    network = sawtooth(folds)

    def by_words(v):
        return Residual.of_words(float_to_words(v, 2), 8).fold(folds).to_float(v.dtype)

    # A float32 of [2**-40, 1) fits two words, and both sides are exact.
    np.testing.assert_array_equal(jax.vmap(by_words)(u), jax.vmap(network)(u)[:, 0])


@pytest.mark.slow
@few
@example((2**16 - 1, [2**32 - 1] * WORDS, 2**16), 2, 23)  # the largest whole, and bits that fill a word
@given(residuals(), st.sampled_from([2, 3, 10]), st.sampled_from([0, 1, 4, 5, 23]))
def test_digits(example, base, number):
    r = build(example, factor_bits(example[2]))
    digits, left = jitted(Residual.digits, base, number)(r)
    exact, expected = value(r), []
    for _ in range(number):
        expected.append(int(base * exact // 1))
        exact = base * exact % 1
    assert np.asarray(digits).tolist() == expected
    assert value(left) == exact


@few
@given(words, st.data())
def test_stratum_words_is_long_division(example, data):
    total = data.draw(st.sampled_from([1, 2**24, 1000]) | st.integers(1, 2**24))
    rank = data.draw(st.sampled_from([0, total - 1]) | st.integers(0, total - 1))
    out = jitted(stratum_words)(jnp.uint32(rank), jnp.uint32(total), jnp.asarray(example, jnp.uint32))
    exact = (rank + sum(Fraction(w, 2 ** (32 * (i + 1))) for i, w in enumerate(example))) / total
    got = sum(int(w) << (32 * (WORDS - 1 - i)) for i, w in enumerate(np.asarray(out)))
    assert got == exact * 2 ** (32 * WORDS) // 1


@few
@given(st.floats(0, 1, exclude_max=True, width=32, allow_subnormal=False))
def test_a_float_has_words(u):
    out = np.asarray(jitted(float_to_words, 5)(jnp.float32(u)))
    assert sum(Fraction(int(w), 2 ** (32 * (i + 1))) for i, w in enumerate(out)) == Fraction(u)


def test_one_has_all_its_bits_set():
    np.testing.assert_array_equal(float_to_words(jnp.float32(1), 2), [2**32 - 1] * 2)


@few
@given(words)
def test_words_to_float_keeps_the_leading_bits(example):
    exact = sum(Fraction(w, 2 ** (32 * (i + 1))) for i, w in enumerate(example))
    got = Fraction(float(jitted(words_to_float, jnp.float32)(jnp.asarray(example, jnp.uint32))))
    assert got == exact * 2**24 // 1 / Fraction(2**24)


def test_words_to_float_in_float64(x64):
    words = jnp.asarray([2**32 - 1, 2**32 - 1, 7], jnp.uint32)
    assert float(words_to_float(words, jnp.float64)) == 1 - 2.0**-53
    assert float(words_to_float(words[:1], jnp.float64)) == 1 - 2.0**-32


@few
@given(residuals())
def test_to_float_rounds(example):
    r = build(example, factor_bits(example[2]))
    # The first word and what is behind it, the sum with the whole, and the division round, each by a unit roundoff of
    # its value; whole and count are exact. If the whole is 0 so is the sum, and else the fraction is at most half of
    # it: 3 units in either case, where theory, section 9, grants 3.5.
    assert abs(Fraction(float(jitted(Residual.to_float, jnp.float32)(r))) - value(r)) <= Fraction(7, 2**25)
    with jax.enable_x64(True):
        assert abs(Fraction(float(jitted(Residual.to_float, jnp.float64)(r))) - value(r)) <= Fraction(7, 2**54)


def test_to_float_in_float64(x64):
    r = build((5, [123456789, 987654321, 5], 2**24 - 1), 8)
    assert abs(Fraction(float(r.to_float(jnp.float64))) - value(r)) <= Fraction(7, 2**54)
