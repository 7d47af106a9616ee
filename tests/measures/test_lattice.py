"""Atoms on a lattice: the file holds them exactly, at their count and a small header."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from jaxgen.coding import CodeError, Trellis, code_length, decode, encode
from jaxgen.limits import type_class_bits
from jaxgen.measures import Generator, Lattice, LatticeMeasure, Record


def log2_binomial(n, k):
    return math.log2(math.comb(n, k))


def on_open_places(resolution, memory, share, seed):
    """A law on places that a walk along the line takes."""
    trellis, rng = Trellis(resolution, memory), np.random.default_rng(seed)
    # Of a line that is long enough, the first positions; the places say how long it is.
    most = math.prod(resolution)
    line = np.flatnonzero(rng.random(most) < share)
    while True:
        try:
            places = trellis.places(line, most)
            break
        except CodeError as error:
            most = int(str(error).rsplit(" ", 1)[1])
            line = line[line < most]
    return LatticeMeasure(
        places, 1 + rng.poisson(0.1, len(places)), Lattice((0.25,) * len(resolution), 0.5, resolution, memory)
    )


@pytest.mark.sweep(1)
@pytest.mark.parametrize("resolution", [(1500,), (60, 40), (16, 12, 10)])
@pytest.mark.parametrize("memory", [2, 7])
def test_the_file_takes_its_count_and_a_header(resolution, memory):
    measure = on_open_places(resolution, memory, 0.3, 0)
    data = encode(measure)
    back = decode(data, LatticeMeasure)
    np.testing.assert_array_equal(back.places, measure.places)
    np.testing.assert_array_equal(back.counts, measure.counts)
    np.testing.assert_array_equal(back.low_corners, measure.low_corners)
    assert back.lattice == measure.lattice
    length = Trellis(resolution, memory).positions(measure.places)[1]
    count = log2_binomial(length, measure.size) + log2_binomial(measure.quanta - 1, measure.size - 1)
    # Magic, version, kind, checksum, the box; three sizes; what an integer range coder loses.
    sizes = 40
    assert 8 * len(data) <= 1.005 * count + 64 + 40 * len(resolution) + sizes


@given(data=st.data(), dim=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_without_a_trellis_any_places_in_any_dimension(data, dim, seed):
    rng = np.random.default_rng(seed)
    resolution = tuple(data.draw(st.integers(1, 10**6)) for _ in range(dim))
    places = np.unique(rng.integers(0, resolution, (data.draw(st.integers(1, 30)), dim)), axis=0)
    low = tuple(data.draw(st.sampled_from([0.0, -3.5, 0.1, 1e9])) for _ in range(dim))
    lattice = Lattice(low, data.draw(st.sampled_from([1.0, 0.1, 2.0**-30, 3e5])), resolution)
    record = Record({"points": (0.5, 0.75)}) if data.draw(st.booleans()) else None
    measure = LatticeMeasure(places, rng.integers(1, 50, len(places)), lattice, record)
    back = decode(encode(measure), LatticeMeasure)
    np.testing.assert_array_equal(back.places, measure.places)
    np.testing.assert_array_equal(back.counts, measure.counts)
    assert back.lattice == measure.lattice and back.proven("points") == measure.proven("points")
    assert code_length(measure) <= type_class_bits(math.prod(resolution), measure.quanta) * 1.01 + 200 + 150 * dim


def test_it_is_a_measure_like_any():
    measure = LatticeMeasure([[3, 0], [1, 0]], [1, 3], Lattice((1.0, 5.0), 0.5, (4, 1)))
    assert measure.places.tolist() == [[1, 0], [3, 0]] and measure.counts.tolist() == [3, 1]
    assert measure.low_corners.tolist() == [[1.75, 5.0], [2.75, 5.0]]
    assert measure.relative().low_corners.tolist() == [[0.0, 0.0], [1.0, 0.0]]
    assert isinstance(measure.generator(), Generator) and measure.mean().tolist() == [2.0, 5.0]
    with pytest.raises(ValueError, match="label"):
        measure.given("a")


@pytest.mark.parametrize(
    ("places", "counts", "lattice", "error"),
    [
        ([[4]], [1], Lattice((0.0,), 1.0, (4,)), "below"),
        ([[1], [1]], [1, 1], Lattice((0.0,), 1.0, (4,)), "distinct"),
        ([[1]], [1, 1], Lattice((0.0,), 1.0, (4,)), "shape"),
        ([[1]], [1], Lattice((0.0,), 0.0, (4,)), "spacing"),
        ([[1]], [1], Lattice((0.0,), 1.0, (4, 4)), "as many"),
        ([[1]], [1], Lattice((math.nan,), 1.0, (4,)), "finite"),
        ([[1]], [1], Lattice((0.0,), 1.0, (4,), 3), "open"),
        ([[1]], [1], Lattice((0.0,), 1.0, (4,), 1), "memory"),
    ],
)
def test_what_is_wrong_is_said(places, counts, lattice, error):
    with pytest.raises(ValueError, match=error):
        LatticeMeasure(places, counts, lattice)
    with pytest.raises(TypeError, match="integers"):
        LatticeMeasure([[0.5]], [1], Lattice((0.0,), 1.0, (4,)))
