"""Measures and generators as bytes: they come back the same, and small enough; damage is noticed."""

import importlib.util
import math
import os
import pathlib
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import jaxgen.coding as coding
from jaxgen.coding._numbers import natural_bytes
from jaxgen.curves import HilbertCurve
from jaxgen.generators import CodebookGenerator, CurveGenerator, GriddedCondition, SawtoothGenerator
from jaxgen.limits import type_class_bits
from jaxgen.measures import GridMeasure, LeafMeasure, QuantizedMeasure, Record

GOLDEN = pathlib.Path(__file__).with_name("golden")
KEY = jax.random.key(0)


@st.composite
def _measures(draw):
    dim = draw(st.integers(1, 3))
    resolution = tuple(draw(st.lists(st.integers(1, 2**30), min_size=dim, max_size=dim)))
    vocabulary = draw(st.none() | st.lists(st.text() | st.integers(), min_size=1, max_size=3, unique=True))
    cell = st.tuples(*(st.integers(0, n - 1) for n in resolution))
    places = {}
    for label in range(len(vocabulary or [None])):
        for place in draw(st.sets(cell, min_size=1, max_size=4)):
            places[label, place] = draw(st.integers(1, 1 << 20))
    bound = st.sampled_from([0.0, 1.0]) | st.floats(-100, 100, width=32, allow_subnormal=False)
    corners = draw(st.lists(st.tuples(bound, bound).map(sorted), min_size=dim, max_size=dim))
    low, high = np.array(corners, np.float64).T
    return QuantizedMeasure(
        np.array([place for _, place in places]),
        np.array(list(places.values())),
        low,
        high,
        resolution,
        None if vocabulary is None else np.array([label for label, _ in places]),
        vocabulary,
        Record({"rounding": draw(st.tuples(st.floats(0, 10), st.floats(0, 10)))}),
    )


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(_measures())
def test_measures_come_back(assert_same, measure):
    data = coding.encode(measure)
    back = coding.decode(data)
    assert_same(back, measure)
    assert back.rounding_bound(1) == measure.rounding_bound(1)
    assert coding.encode(back) == data
    assert coding.code_length(measure) == 8 * len(data)


@pytest.mark.slow
def test_generators_come_back(generators, assert_same):
    for generator in generators.values():
        other = coding.decode(coding.encode(generator))
        assert_same(other, generator)
        assert other.certificate() == generator.certificate()


@pytest.mark.slow
def test_samples_are_the_same_bit_by_bit(generators):
    generator = generators["peano"]
    other = coding.decode(coding.encode(generator))
    np.testing.assert_array_equal(other.sample(KEY, 300), generator.sample(KEY, 300))


def test_bounds_of_labels_come_back(labelled):
    back = coding.decode(coding.encode(labelled))
    assert labelled.rounding_bound(2, "day") > 0
    assert all(back.rounding_bound(p, c) == labelled.rounding_bound(p, c) for p in (1, 2) for c in ("day", "night"))


def test_leaves_come_back(assert_same):
    rng = np.random.default_rng(4)
    leaves = LeafMeasure(rng.random((6, 2)), 0.1 * rng.random((6, 2)), rng.random(6)).quantize(40)
    back = coding.decode(coding.encode(leaves))
    assert_same(back, leaves)
    assert back.record.bounds == leaves.record.bounds


def test_other_curves_come_back(measure, assert_same):
    generator = CurveGenerator(measure, extra_levels=1, path="diagonal", curve=HilbertCurve())
    assert_same(coding.decode(coding.encode(generator)), generator)


def test_gridded_conditions_come_back(assert_same):
    rng = np.random.default_rng(3)
    gridded = GriddedCondition.from_samples(
        rng.random((50, 2)), rng.random((50, 2)), condition_resolution=(2, 3), resolution=4, high=[1.0, 2.5]
    )
    assert_same(coding.decode(coding.encode(gridded)), gridded)


def _many_cells(cells, counts, resolution):
    return QuantizedMeasure(cells, counts, 0.0, 1.0, resolution)


def _dense(n, quanta, weights):
    weights = np.asarray(weights, np.float64) * np.ones((n, n))
    rng = np.random.default_rng(5)
    masses = (weights / weights.sum()).ravel()
    counts = quanta(rng, n * n) if callable(quanta) else rng.multinomial(quanta, masses)
    at = np.flatnonzero(counts)
    return _many_cells(np.stack(np.divmod(at, n), axis=1), counts[at], n)


def _sparse(kind):
    rng = np.random.default_rng(6)
    cells = rng.integers(0, 27, (1797, 64))
    counts = np.ones(1797, np.int64)
    if kind == "near":
        cells[:, :-2] = 13
        cells = np.unique(cells, axis=0)
        counts = 1 + rng.multinomial(1797 - len(cells), np.full(len(cells), 1 / len(cells)))
    if kind == "few":
        cells, counts = cells[:3], np.array([1, 1795, 1])
    return _many_cells(cells, counts, 27)


SIZES = {
    "one cell, one quantum": lambda: _many_cells([[0]], np.array([1]), 1),
    "one of many cells": lambda: _many_cells([[5, 6, 7]], np.array([1 << 24]), 1 << 20),
    "two cells": lambda: _many_cells([[0], [1]], np.array([1, 9]), 2),
    "tiny": lambda: _many_cells([[0, 0], [2, 1]], np.array([2, 1]), 3),
    "dense, uniform measure": lambda: _dense(100, 10_000, 1.0),
    "dense, equally likely type": lambda: _dense(
        100,
        lambda rng, n: np.diff(np.sort(rng.choice(2 * n - 1, n - 1, replace=False)), prepend=-1, append=2 * n - 1) - 1,
        1,
    ),
    "dense, peaked": lambda: _dense(100, 10_000, 0.9 ** np.arange(100)),
    "dense, peaked at the end": lambda: _dense(100, 10_000, (0.9 ** np.arange(100)[::-1])[:, None]),
    "dense, all occupied": lambda: _dense(100, lambda rng, n: np.ones(n, np.int64), 1),
    "few quanta": lambda: _dense(1000, 300, 1.0),
    "many quanta": lambda: _dense(20, 1 << 22, 0.7 ** np.arange(20)),
    "sparse in 64 dimensions": lambda: _sparse("uniform"),
    "sparse, near one another": lambda: _sparse("near"),
    "sparse, few atoms": lambda: _sparse("few"),
}


@pytest.mark.sweep(9)
@pytest.mark.parametrize("name", SIZES)
def test_size_is_within_a_thousandth_of_the_limit(name, assert_same):
    measure = SIZES[name]()
    cells = math.prod(measure.resolution)
    assert coding.code_length(measure) <= 1.001 * type_class_bits(cells, measure.quanta) + 512
    assert_same(coding.decode(coding.encode(measure)), measure)


@pytest.mark.sweep(11)
@pytest.mark.parametrize("name", SIZES)
def test_box_costs_its_bounds(name):
    measure = SIZES[name]()
    low, high = np.zeros(measure.dim), np.ones(measure.dim)
    low[0], high[-1] = -3.25, 7.5
    boxed = QuantizedMeasure(measure.cells, measure.counts, low, high, measure.resolution)
    limit = 1.001 * type_class_bits(math.prod(measure.resolution), measure.quanta) + 512 + 2 * 64
    assert coding.code_length(boxed) <= limit


def test_a_million_cells_take_seconds(measure):
    # A coder that took a Python step a symbol would take ten times as long; the margin is for busy machines.
    large = _dense(1000, lambda rng, n: np.bincount(rng.integers(0, n, n), minlength=n), 1)
    coding.encode(measure)
    start = time.process_time()
    data = coding.encode(large)
    assert time.process_time() - start < 6
    assert 8 * len(data) <= 1.001 * type_class_bits(10**6, 10**6) + 512
    np.testing.assert_array_equal(coding.decode(data).counts, large.counts)


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_float_mode(network, assert_same):
    weights = [np.asarray(x) for x in (*network.weights, *network.biases)]

    # Numbers that float32 holds exactly, so that the objects are the same in both modes.
    def objects():
        cells = np.unique(np.random.default_rng(7).integers(0, 50, (300, 2)), axis=0)
        measure = QuantizedMeasure(cells, 1 + np.arange(len(cells)) % 7, [-0.5, 0.0], [1.25, 1.0], 50)
        atoms = np.random.default_rng(8).integers(0, 100, (30, 2)) / 8
        wide = [jnp.asarray(w, jnp.result_type(float)) for w in weights]
        moved = eqx.tree_at(lambda net: (*net.weights, *net.biases), network, wide)
        return [measure, CodebookGenerator(atoms, np.arange(1, 31)), moved]

    single = objects()
    files = [coding.encode(obj) for obj in single]
    with jax.enable_x64(True):
        double = objects()
        assert double[0].low.dtype == double[1].atoms.dtype == double[2].weights[0].dtype == np.float64
        assert [coding.encode(obj) for obj in double] == files
        assert_same(coding.decode(files[0]), double[0])
        assert_same(coding.decode(files[1]), double[1])
        wide = coding.decode(files[2]).weights
    for one, other in zip(coding.decode(files[2]).weights, wide, strict=True):
        np.testing.assert_array_equal(one, other)
    # What float32 does not hold is kept in double precision.
    with jax.enable_x64(True):
        odd = CodebookGenerator(np.array([[0.1, 0.2], [0.3, 0.4]]))
        np.testing.assert_array_equal(coding.decode(coding.encode(odd)).atoms, odd.atoms)


@pytest.mark.parametrize(
    "vocabulary", [("day", "night"), ('ä\n"', -7, 10**30, "\ud800", "", 0), tuple(range(9)), (1, 0)]
)
def test_labels(vocabulary):
    codes = np.arange(len(vocabulary))
    measure = QuantizedMeasure(0 * codes[:, None], 1 + 0 * codes, 0.0, 1.0, 1, codes, vocabulary)
    back = coding.decode(coding.encode(measure))
    assert back.vocabulary == vocabulary
    assert list(map(type, back.vocabulary)) == list(map(type, vocabulary))


def test_save_and_load(tmp_path, measure, assert_same):
    path = tmp_path / "law.jaxgen"
    coding.save(path, measure)
    assert_same(coding.load(str(path)), measure)
    coding.save(str(path), SawtoothGenerator(measure))
    assert isinstance(coding.load(path), SawtoothGenerator)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_a_new_file_is_as_open_as_any_of_this_process(tmp_path, measure):
    old = os.umask(0o027)
    try:
        coding.save(tmp_path / "law.jaxgen", measure)
    finally:
        os.umask(old)
    assert (tmp_path / "law.jaxgen").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("broken", ["os.replace", "os.fsync"])
def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, measure, broken):
    path = tmp_path / "law.jaxgen"
    coding.save(path, measure)
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(broken, fail)
    with pytest.raises(OSError, match="disk full"):
        coding.save(path, SawtoothGenerator(measure))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(TypeError):
        coding.save(tmp_path / "other", object())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (None, "NoneType"),
        (np.zeros(3), "ndarray"),
        (GridMeasure.from_histogram(np.ones((2, 2))), "quantize"),
        (GridMeasure, "QuantizedMeasure, SawtoothGenerator"),
    ],
)
def test_what_cannot_be_encoded_is_named(bad, message):
    with pytest.raises(TypeError, match=message):
        coding.encode(bad)


@pytest.mark.parametrize("bad", [None, "JXGN", 3, ["JXGN"]])
def test_only_bytes_are_decoded(bad):
    with pytest.raises(TypeError, match="bytes"):
        coding.decode(bad)


def test_every_flipped_bit_and_every_cut_is_noticed(generators):
    data = coding.encode(generators["labelled peano"])
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(coding.CodeError):
            coding.decode(flipped)
    for end in range(len(data)):
        with pytest.raises(coding.CodeError):
            coding.decode(data[:end])
    with pytest.raises(coding.CodeError):
        coding.decode(data + b"\0")


def _wide():
    """Cells of 28**13 > 2**62 in numbers of 63 bits, some of which are beyond the last cell."""
    cells = np.random.default_rng(0).integers(28, size=(5, 13))
    return QuantizedMeasure(cells, np.array([1, 2, 1, 1, 1]), 0.0, 1.0, 28)


@pytest.mark.slow
@pytest.mark.parametrize("wide", [False, True])
def test_no_body_is_written_in_two_ways(measure, seal, wide):
    """What is read where a bit was changed, and the checksum put right, is written just so: no bit is idle.

    (Behind the kind, that is, whose byte says whether there are sections, and a reader skips those it does not know.)
    """
    plain = QuantizedMeasure(measure.cells, measure.counts, 0.0, 1.0, measure.resolution)
    data, refused = coding.encode(_wide() if wide else plain), set()
    for bit in range(24, 8 * len(data) - 16, 3):
        flipped = bytearray(data[:-2])
        flipped[bit // 8] ^= 1 << bit % 8
        flipped = seal(bytes(flipped))
        try:
            obj = coding.decode(flipped)
        except coding.CodeError as error:
            refused.add(str(error))
        else:
            again = coding.encode(obj)
            # A box that became long is shorter unpacked.
            assert again == flipped or (again[2], flipped[2]) == (2, data[2])
    assert "the counts do not end as they are written" in refused
    assert ("something follows what the file holds" in refused) == (data[2] == 2)
    assert ("a position lies beyond the last cell of the grid" in refused) == wide


# A file of version 2 with a body of a measure (kind 0) and no sections; one of version 1 with no text.
_V2, _V1 = b"\x8aJ\2\0", b"JXGN\1\0\0"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"PNG\0", "not a jaxgen file"),
        (b"\x8aJ\3\0" + bytes(9), "version 3"),
        (b"\x8aJ\2\x3f" + bytes(9), "kind 63"),
        # 2**24 - 1 cells of a grid of 2**30 in each of 3 dimensions, in no bytes.
        (_V2 + b"\x0b" + b"\x80\x80\x80\x80\4" + b"\xff\xff\xff\7" * 2 + b"\0", "only"),
        (_V1 + b"\x14\3" + b"\x80\x80\x80\x80\4" + b"\xff\xff\xff\7" * 2 + b"\0", "only"),
        # All 2**20 cells of a grid of two dimensions, which takes no bits, and 2**24 - 1 quanta on them, in no bytes.
        (_V2 + b"\x07\x80\x08" + b"\xff\xff\xff\7" + b"\x80\x80\x40" + b"\0", "only"),
        # 2**20 dimensions, each with its own resolution.
        (_V2 + b"\xfe\xff\xff\1" + bytes(9), "resolutions"),
        (_V1 + b"\x04" + b"\x80\x80\x40" + bytes(9), "resolutions"),
        # A network a million wide and deep.
        (b"\x8aJ\2\5" + b"\0\1\1" + b"\x80\x80\x40" * 2 + b"\x08" + bytes(9), "layers"),
        (b"JXGN\1\5\0" + b"\0\1\1" + b"\x80\x80\x40" * 2 + b"\x08" + bytes(9), "layers"),
        (b"JXGN\2\0" + bytes(9), "version 2"),
        (b"JXGN\1\x09" + bytes(9), "kind 9"),
        (b"JXGN\1\0\x02{}" + bytes(9), "vocabulary"),
        (b"JXGN\1\0\x84\1" + b"[" * 132 + bytes(9), "JSON"),
        # A measure has no place for the metadata of a generator.
        (b"JXGN\1\0\x13" + b'{"metadata":{"a":1}}'[:19] + bytes(9), "JSON"),
    ],
)
def test_claims_are_checked_before_they_are_believed(seal, body, message):
    with pytest.raises(coding.CodeError, match=message):
        coding.decode(seal(body))


@pytest.mark.parametrize(
    "bomb",
    [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b"[1e999]", b"NaN", b'"\\', b"\xff", b'{"modality":1e999}'],
)
def test_bombs_of_json_are_refused(seal, measure, bomb):
    size = natural_bytes(len(bomb))
    rest = coding.encode(measure)[3:-2]
    with pytest.raises(coding.CodeError):
        coding.decode(seal(b"\x8aJ\2\6" + size + bomb + rest))
    with pytest.raises(coding.CodeError):
        coding.decode(seal(b"JXGN\1\0" + size + bomb + bytes(9)))


def test_metadata_of_a_generator_are_no_part_of_a_measure(seal, measure):
    text = b'{"metadata":{"rate":8000}}'
    old = (GOLDEN / "v1_measure.jaxgen").read_bytes()
    with pytest.raises(coding.CodeError, match="metadata"):
        coding.decode(seal(old[:6] + bytes([len(text)]) + text + old[7:-4]))


@pytest.mark.sweep(1)
@pytest.mark.parametrize("cases", [200, 2000])
def test_random_damage(cases):
    path = GOLDEN.with_name("fuzz.py")
    spec = importlib.util.spec_from_file_location("fuzz", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    outcomes = module.fuzz(cases, seed=1)
    assert sum(outcomes.values()) == cases
    assert outcomes["valid"] < cases / 5
