"""The envelope of a file: short, and open to sections that are not known yet; numbers at the bits they need."""

import itertools
import math
import struct

import jax
import numpy as np
import pytest
from hypothesis import given, strategies as st

import jaxgen.coding as coding
from jaxgen.coding._fields import Input, Output
from jaxgen.coding._numbers import float_bytes
from jaxgen.generators import SawtoothGenerator
from jaxgen.measures import QuantizedMeasure

PLAIN = QuantizedMeasure([[0, 1], [2, 2], [1, 0]], np.array([3, 1, 2]), 0.0, 1.0, 3)


def _with_sections(data: bytes, sections: bytes) -> bytes:
    place, flag = (2, 64) if data[2] >= 128 else (3, 128)
    assert not data[place] & flag
    return data[:place] + bytes([data[place] | flag]) + sections + b"\0" + data[place + 1 : -2]


def test_an_unknown_even_section_is_skipped_and_an_odd_one_is_not(seal, assert_same):
    data = coding.encode(PLAIN)
    assert_same(coding.decode(seal(_with_sections(data, b'\x02\x04{"a\xff' + b"\xc8\x00"))), PLAIN)
    with pytest.raises(coding.CodeError, match="section 7"):
        coding.decode(seal(_with_sections(data, b"\x02\x00" + b"\x07\x01!")))
    with pytest.raises(coding.CodeError, match="two sections 2"):
        coding.decode(seal(_with_sections(data, b"\x02\x00" * 2)))
    with pytest.raises(coding.CodeError, match=r"cut short|length"):
        coding.decode(seal(_with_sections(data, b"\x02\x7f")))


def test_a_section_where_it_means_nothing(seal, generators):
    # A codebook has no labels.
    data = coding.encode(generators["equal codebook"])
    assert len(data) < 256
    with pytest.raises(coding.CodeError, match="section 1"):
        coding.decode(seal(_with_sections(data, b"\x01\x01\x03")))


@pytest.mark.slow
def test_path_and_axes_in_files(seal):
    measure = QuantizedMeasure([[0, 1, 2], [2, 2, 0]], np.array([3, 1]), 0.0, [1.0, 2.0, 3.0], 3)
    plain = SawtoothGenerator(measure, 2)
    assert plain.axes.tolist() == [0, 1, 2]
    for path in ("zigzag", "serpentine"):
        for axes in itertools.permutations(range(3)):
            g = SawtoothGenerator(measure, 2, path, axes)
            back = coding.decode(coding.encode(g), SawtoothGenerator)
            assert back.path == path and tuple(back.axes.tolist()) == axes
            # A section of a byte, and two more where the others are not in their own order.
            more = 0 if (path, axes) == ("zigzag", (0, 1, 2)) else 4 + 2 * (axes[0] > axes[1])
            assert coding.code_length(g) == coding.code_length(plain) + 8 * more
    np.testing.assert_array_equal(back.sample(jax.random.key(3), 20), g.sample(jax.random.key(3), 20))
    # In files of old there is no such section: the axes are in their own order, whatever the sides.
    turned = QuantizedMeasure(measure.cells, measure.counts, 0.0, [3.0, 2.0, 1.0], 3)
    old = coding.encode(SawtoothGenerator(turned, 2, axes=(0, 1, 2)))
    assert old[3] < 128 and coding.decode(old, SawtoothGenerator).axes.tolist() == [0, 1, 2]
    assert SawtoothGenerator(turned, 2).axes.tolist() == [1, 2, 0]
    # Only one way to say a thing, and nothing that means nothing.
    data = coding.encode(plain)
    assert coding.decode(seal(_with_sections(data, b"\x07\x01\x05")), SawtoothGenerator).path == "serpentine"
    for section in (b"\x04", b"\x06", b"", b"\x05\x00\x01", b"\x05\x00", b"\x05\x01\x01", b"\x05\x01\x00\x00"):
        with pytest.raises(coding.CodeError):
            coding.decode(seal(_with_sections(data, b"\x07" + bytes([len(section)]) + section)))


def test_a_plain_measure_has_a_header_of_ten_bytes():
    # Sets of 3 of 9 cells, and compositions of 6 in 3 parts, both in whole bytes.
    payload = math.ceil(math.log2(math.comb(9, 3)) / 8) + math.ceil(math.log2(math.comb(5, 2)) / 8)
    assert len(coding.encode(PLAIN)) <= 10 + payload + 2


def test_a_box_of_few_significant_bits_costs_few_bytes():
    def box(low, high):
        return len(coding.encode(QuantizedMeasure(PLAIN.cells, PLAIN.counts, low, high, 3)))

    plain = box(0.0, 1.0)
    assert box(-0.5, 26.5) - plain <= 1 + 2 + 2  # how, and two numbers
    assert box([-0.5, 0.0], [16.5, 1.0]) - plain <= 1 + 2 * (1 + 2)
    assert box([-180.0, -90.0], [180.0, 90.0]) - plain <= 1 + 2 * (1 + 2 + 2)
    assert box(*np.float32([[0.1, 0.2], [0.3, 0.4]])) - plain <= 1 + 2 * (1 + 4 + 4)
    assert box([0.1, 0.2], [0.3, 0.4]) - plain <= 1 + 2 * (1 + 9 + 9)
    unit = QuantizedMeasure([[0] * 64], [1], 0.0, 1.0, 17)
    many = QuantizedMeasure([[0] * 64], [1], [-0.5] * 63 + [0.0], [16.5] * 63 + [1.0], 17)
    assert len(coding.encode(many)) - len(coding.encode(unit)) <= 1 + 2 * (16 + 2)


@given(st.floats())
def test_every_float_comes_back_in_at_most_nine_bytes(value):
    data = float_bytes(value)
    assert len(data) <= 9
    back = Input(data, 2).numbers(1)[0]
    assert struct.pack("<d", back) == struct.pack("<d", value) or (math.isnan(back) and math.isnan(value))


@given(st.floats(width=32, min_value=2.0**-7, max_value=255))
def test_ordinary_numbers_are_shorter_than_their_type(value):
    assert len(float_bytes(value)) <= 4
    assert len(float_bytes(float(round(value)))) <= 2
    assert len(float_bytes(-value / 3)) <= 9


def test_records_of_any_names_come_back():
    bounds = {"rounding": (0.5, 1.5), "truncation": (0.1, 0.0), "quantization": (1e-300, 1e300)}
    labels = {"rounding": ((0.0, 1.0), (2.0, 3.0)), "": ()}
    out = Output()
    coding.write_record(out, bounds, labels)
    data = Input(b"", 2, {n: memoryview(d) for n, d in out.sections.items()})
    assert coding.read_record(data) == (bounds, labels)
    data.end()


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_bounds_that_are_none(bad):
    out = Output()
    coding.write_record(out, {"rounding": (0.0, bad)})
    with pytest.raises(coding.CodeError, match="nonnegative and finite"):
        coding.read_record(Input(b"", 2, {n: memoryview(d) for n, d in out.sections.items()}))
