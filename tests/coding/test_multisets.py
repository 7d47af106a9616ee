"""The codes of sets and compositions: every one comes back, in as many bits as there are of them, logged."""

import itertools
import math

import jax
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from jaxgen.coding._cells import WideIndex, from_row_major, row_major
from jaxgen.coding._coder import Reader, Writer
from jaxgen.coding._multisets import SMALL, code_composition, code_multiset, code_subset, least_bits
from jaxgen.coding._range import RangeDecoder, RangeEncoder, decision


def _through(code, values, *sizes):
    """What a reader makes of what a writer wrote, and the bits that it took."""
    writer = Writer()
    code(writer, values, *sizes)
    parts = writer.finish()
    reader = Reader(*parts)
    out = code(reader, None, *sizes)
    reader.finish()
    return out, 8 * sum(map(len, parts))


_decision = jax.jit(decision)


def _log2_binomial(n, k):
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(2)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.integers(1, 2**61), st.data())
def test_sets_come_back(places, data):
    values = data.draw(st.sets(st.integers(0, places - 1), max_size=30))
    values = np.array(sorted(values), np.int64)
    out, bits = _through(code_subset, values, len(values), places)
    np.testing.assert_array_equal(out, values)
    exact = math.log2(math.comb(places, len(values)))
    # Buckets, about one an item, are padded to a whole number of them: n log2(1 + 1/n) <= log2(e) bits at most.
    assert bits <= exact + math.log2(math.e) + 16 + 0.01 * len(values)
    if values.size:
        assert least_bits(len(values), math.log2(places)) <= exact + 1e-6 * (1 + exact)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 2**18), min_size=1, max_size=60))
def test_compositions_come_back(counts):
    counts = np.array(counts)
    out, bits = _through(code_composition, counts, len(counts), int(counts.sum()))
    np.testing.assert_array_equal(out, counts)
    # The bars are a multiset, whose buckets are padded as those of a set are.
    exact = math.log2(math.comb(int(counts.sum()) - 1, len(counts) - 1))
    assert bits <= exact + math.log2(math.e) + 16 + 0.01 * len(counts)


@pytest.mark.parametrize(("parts", "total"), [(3, 7), (1, 4), (5, 5), (4, 9)])
def test_all_small_compositions_cost_the_same(parts, total):
    every = [c for c in itertools.product(range(1, total + 1), repeat=parts) if sum(c) == total]
    costs = [_through(code_composition, np.array(c), parts, total)[1] for c in every]
    assert max(costs) <= math.log2(len(every)) + 16


def _uneven(kind, items, places, rng):
    """Sorted distinct places, spread in various ways."""
    if kind == "uniform":
        return np.sort(rng.choice(places, items, replace=False)) if places < 10**7 else _distinct(items, places, rng)
    if kind == "first":
        return np.arange(items)
    if kind == "last":
        return np.arange(places - items, places)
    if kind == "dense end":
        return places - items - items // 3 + np.sort(rng.choice(items + items // 3, items, replace=False))
    if kind == "crowded":  # runs of 50 neighbours in the last two percent
        starts = np.sort(rng.choice(places // 5000, items // 50, replace=False)) * 100 + places - places // 50
        return (starts[:, None] + np.arange(50)).ravel()
    halves = _distinct(items // 2, places // 2, rng) * 2
    return np.sort(np.concatenate([halves, halves + 1]))


def _distinct(items, places, rng):
    values = np.unique(rng.integers(0, places, 2 * items))
    return np.sort(rng.choice(values, items, replace=False))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["uniform", "first", "last", "dense end", "crowded", "pairs"])
@pytest.mark.parametrize(("items", "places"), [(20_000, 60_000), (20_000, 10**6), (20_000, 10**9), (5_000, 2**61)])
def test_no_set_costs_more_than_its_share(kind, items, places):
    if kind == "crowded" and places < 10**8:
        places *= 100
    values = _uneven(kind, items, places, np.random.default_rng(0))
    out, bits = _through(code_subset, values, len(values), places)
    np.testing.assert_array_equal(out, values)
    assert bits <= 1.001 * _log2_binomial(places, len(values)) + 32


@pytest.mark.parametrize("shape", ["even", "one", "geometric", "halves"])
@pytest.mark.parametrize(("parts", "total"), [(20_000, 1_000_000), (20_000, 25_000), (2, 1 << 24), (3000, 1 << 24)])
def test_no_composition_costs_more_than_its_share(shape, parts, total):
    free = total - parts
    weights = {
        "even": np.ones(parts),
        "one": np.eye(1, parts, parts - 1)[0],
        "geometric": 0.99 ** np.arange(parts),
        "halves": (np.arange(parts) >= parts // 2) * 1.0,
    }[shape]
    counts = 1 + np.random.default_rng(1).multinomial(free, weights / weights.sum())
    out, bits = _through(code_composition, counts, parts, total)
    np.testing.assert_array_equal(out, counts)
    assert bits <= 1.001 * _log2_binomial(total - 1, parts - 1) + 32


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_probability_of_another_item_is_that_of_equally_likely_multisets(data):
    # Where the law is not extreme; elsewhere the bound on the length is what counts.
    bits = data.draw(st.sampled_from([0, 1, 2, 5, 12]))
    buckets, held = data.draw(st.integers(1, 50)), data.draw(st.integers(0, 5))
    items = data.draw(st.integers(1, 2 * buckets))
    word = int(_decision(*(np.uint32(x) for x in (items, held, buckets, bits))))
    rare = (word & 0xFFFF) * 2.0 ** -(16 + (word >> 16 & 15))
    size, others = 2**bits, buckets * 2**bits
    ways = [
        math.comb(held + t + size - 1, held + t) * math.comb(items - t + others - 1, items - t)
        for t in range(items + 1)
    ]
    exact = sum(ways[1:]) / sum(ways) if word >> 20 & 1 else ways[0] / sum(ways)
    assert exact <= 0.5 + 1e-3
    assert abs(math.log(rare / max(exact, 2.0**-16))) < 1e-3 or rare < 2.0**-15


@pytest.mark.slow
def test_windows_of_the_coder_join_seamlessly():
    # Many problems, most of them over and done with before their last bucket, across several windows.
    rng = np.random.default_rng(2)
    buckets = rng.integers(2, 200, 800)
    bits = rng.integers(0, 30, 800)
    counts = [rng.poisson(rng.choice([0.01, 1.0, 20.0]), b) for b in buckets]
    for c in counts:
        c[rng.integers(len(c))] += 1
    problems = np.array([[c.sum() for c in counts], buckets, bits], np.uint32)
    flat = np.concatenate(counts).astype(np.uint32)
    encoder = RangeEncoder()
    encoder.write(flat, problems)
    encoder.write(flat[: buckets[0]], problems[:, :1])
    code = encoder.finish()
    decoder = RangeDecoder(code)
    np.testing.assert_array_equal(decoder.read(problems), flat)
    np.testing.assert_array_equal(decoder.read(problems[:, :1]), flat[: buckets[0]])
    assert decoder.used == len(code)


@pytest.mark.parametrize(
    "radices", [[27] * 64, [2] * 62, [1, 2**30, 1, 7, 2**30, 5], [1000, 3] * 900, [2**30] * 140 + [3]]
)
def test_wide_cells_come_back(radices):
    rng = np.random.default_rng(3)
    cells = np.stack([rng.integers(0, n, 40) for n in radices], axis=1)
    cells[0], cells[1] = 0, np.array(radices) - 1
    index = WideIndex(radices)
    words = index.pack(cells)
    numbers = [int.from_bytes(row.astype(">u4").tobytes(), "big") for row in words]
    assert numbers[0] == 0 and max(numbers) == numbers[1] < index.places
    np.testing.assert_array_equal(index.unpack(words), cells)
    # Row-major order is the order of the cells as tuples, whatever the padding.
    assert sorted(range(40), key=numbers.__getitem__) == sorted(range(40), key=lambda i: tuple(cells[i]))
    size = sum(map(math.log2, radices))
    assert math.prod(radices) <= index.places and math.log2(index.places) <= size * (1 + 1 / 4000)
    words = words[np.lexsort(words.T[::-1])]

    def code(coder, values):
        out = index.zeros(40) if values is None else values
        code_multiset(coder, out, index.places)
        return out

    out, bits = _through(code, words)
    np.testing.assert_array_equal(out, words)
    assert bits <= 1.001 * (40 * sum(map(math.log2, radices)) - math.log2(math.factorial(40))) + 32


def test_row_major_is_inverted():
    radices = (3, 1, 2**30, 5)
    assert math.prod(radices) < SMALL
    cells = np.stack([np.random.default_rng(4).integers(0, n, 50) for n in radices], axis=1)
    np.testing.assert_array_equal(from_row_major(row_major(cells, radices), radices), cells)
