"""The code of networks: every bit of every weight comes back, and its length is a few times the least there can be."""

import importlib.util
import itertools
import pathlib

import jax
import numpy as np
import ot
import pytest
from hypothesis import example, given, settings, strategies as st
from hypothesis.extra.numpy import arrays

import jaxgen.coding as coding
from jaxgen.coding import network_bits, network_code, read_network
from jaxgen.coding._coder import PackedReader, PackedWriter
from jaxgen.coding._sequences import Pool, code_sequence
from jaxgen.generators import CodebookGenerator, IndependentGenerator, PeanoGenerator, SawtoothGenerator
from jaxgen.limits import covering_error
from jaxgen.measures import GridMeasure, LeafMeasure
from jaxgen.relu import ReLUNetwork, SparseAffine, hat, piecewise_linear, sawtooth, triangle_wave


def _grid():
    points = np.random.default_rng(0).normal(size=(40, 2))
    return GridMeasure.from_samples(points, (9, 7), labels=["a", "b"] * 20).quantize(30)


def _leaves():
    rng = np.random.default_rng(1)
    corners = np.arange(12.0)[:, None] + [0, 100]
    return LeafMeasure(corners, rng.choice([0.25, 0.5, 1.0], (12, 2)), rng.random(12)).quantize(40)


NETWORKS = {
    "hat": hat,
    "sawtooth": lambda: sawtooth(30),
    "triangle": lambda: triangle_wave(7),
    "pieces": lambda: piecewise_linear([0.0, 0.3, 0.7, 1.0], [[0.0, 1.0], [2.0, 0.1], [1.0, 1.0], [0.0, 0.0]]),
    "curve": lambda: PeanoGenerator(_grid(), 2).network(2.0**-12),
    "centres": lambda: PeanoGenerator(_grid(), 0, "centre").network(1e-3),
    "leaves": lambda: PeanoGenerator(_leaves(), 0).network(2.0**-12),
    "nested": lambda: SawtoothGenerator(_grid(), 3).network(2.0**-12),
    "independent": lambda: IndependentGenerator(_grid()).network(2.0**-12),
    "codebook": lambda: CodebookGenerator(np.random.default_rng(2).random((40, 3))).network(2.0**-12),
    "random": lambda: _random((3, 30, 20, 2)),
    "one weight": lambda: ReLUNetwork([([[0.1]], None)]),
    "no weights": lambda: ReLUNetwork([([[0.0, 0.0]] * 3, [1.0, 2.0, 3.0]), ([[0.0] * 3], None)]),
}  # fmt: skip
LARGE = {"curve", "leaves", "nested", "independent", "triangle", "pieces"}


def _random(sizes):
    rng = np.random.default_rng(3)
    pairs = itertools.pairwise(sizes)
    return ReLUNetwork([(rng.normal(size=(rows, cols)), rng.normal(size=rows)) for cols, rows in pairs])


def _same_bits(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.sweep(2)
@pytest.mark.filterwarnings("ignore:the network is in float32", "ignore:points in float32")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in NETWORKS]
)
@pytest.mark.parametrize("wide", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_networks_come_back_bit_by_bit(name, wide):
    with jax.enable_x64(wide):
        network = NETWORKS[name]()
        data = network_code(network)
        _same_bits(read_network(data), network)
        file = coding.encode(network)
        _same_bits(coding.decode(file), network)
        assert len(file) == len(data) + (5 if len(data) < 4091 else 7)


def _with(network, weights):
    """Its first layer with other weights, which no constructor looks at."""
    first = object.__new__(SparseAffine)
    for name in ("rows", "cols", "bias", "in_size", "out_size"):
        object.__setattr__(first, name, getattr(network.layers[0], name))
    object.__setattr__(first, "weights", jax.numpy.asarray(weights, network.dtype))
    out = object.__new__(ReLUNetwork)
    object.__setattr__(out, "layers", (first, *network.layers[1:]))
    return out


def test_weights_that_are_none_come_back_too():
    network = ReLUNetwork([(np.ones((4, 4)), np.zeros(4)), (np.ones((1, 4)), None)])
    strange = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, 3.4e38, 1.0] * 2
    _same_bits(read_network(network_code(_with(network, strange))), _with(network, strange))
    zeros = _with(network, [0.0, 1.0] * 8)
    _same_bits(read_network(network_code(zeros)), zeros)


def test_networks_that_have_no_such_code_are_written_as_modules():
    network = hat()
    turned = object.__new__(SparseAffine)
    for name in ("weights", "bias", "in_size", "out_size"):
        object.__setattr__(turned, name, getattr(network.layers[0], name))
    object.__setattr__(turned, "rows", network.layers[0].rows[::-1])
    object.__setattr__(turned, "cols", network.layers[0].cols)
    out = object.__new__(ReLUNetwork)
    object.__setattr__(out, "layers", (turned, *network.layers[1:]))
    with pytest.raises(TypeError, match="sorted"):
        network_code(out)
    _same_bits(coding.decode(coding.encode(out)), out)


INTEGERS = st.one_of(st.integers(-3, 3), st.integers(-300, 300), st.integers(-(2**63), 2**63 - 1))


@settings(max_examples=15, deadline=None)
@given(
    st.lists(arrays(np.int64, st.integers(1, 40), elements=INTEGERS), min_size=1, max_size=4),
    st.sampled_from([np.array, np.cumsum, np.sort]),
)
@example([np.array([-(2**63), 2**63 - 1, 0])], np.array)
@example([np.zeros(40, np.int64)], np.array)
def test_sequences_come_back(series, change):
    with np.errstate(over="ignore"):
        series = [change(values) for values in series]
    # Later ones may be told against earlier ones.
    series += [np.diff(series[-1]), np.concatenate([[7], series[0]]), series[0] + 1]
    writer, pool = PackedWriter(), Pool()
    for values in series:
        code_sequence(writer, values, len(values), pool)
    data = writer.finish()[0]
    reader, pool = PackedReader(data), Pool()
    for values in series:
        np.testing.assert_array_equal(code_sequence(reader, None, len(values), pool), values)
    reader.finish()
    # No number takes more than its digits twice.
    digits = sum(2 * int(v).bit_length() + 3 for values in series for v in values.tolist())
    assert 8 * len(data) <= digits + 64 * len(series)


@pytest.mark.slow
def test_weights_of_no_pattern_take_what_they_take():
    network = _random((10, 100, 100, 1))
    assert 8 * len(network_code(network)) <= 30 * network.connectivity
    exact = ReLUNetwork([(np.random.default_rng(0).integers(0, 2, (40, 40)), None)])
    # Which of 1,600 weights are there, and that they are 1: no more than one bit each, and headers.
    assert 8 * len(network_code(exact)) <= 3 * 1600


def test_damaged_codes_are_refused():
    data = network_code(PeanoGenerator(_grid(), 0, "centre").network(2.0**-12))
    for bit in range(0, 8 * len(data), 31):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            read_network(bytes(flipped))
        except coding.CodeError:
            continue
    for end in range(0, len(data), 29):
        with pytest.raises(coding.CodeError):
            read_network(data[:end])
    with pytest.raises(coding.CodeError):
        read_network(b"")


@pytest.fixture(scope="module")
def sized():
    """The law and the network of the benchmark, whose table is in the theory."""
    path = pathlib.Path(__file__).parents[2] / "benchmarks" / "network_bits.py"
    spec = importlib.util.spec_from_file_location("network_bits", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.sized


def _ratios(sized, limit, dim):
    with jax.enable_x64(True):
        law = sized(limit, dim)
        assert law.proven <= covering_error(limit, dim)
        data = network_code(law.network)
        _same_bits(read_network(data), law.network)
        return 8 * len(data) / limit, network_bits(law.network, 32) / limit


@pytest.mark.slow
def test_the_error_is_that_of_the_network(sized):
    """Exactly: the law of a network of steps has few atoms, and between them ramps of known measure."""
    with jax.enable_x64(True):
        law = sized(200.0, 2)
        u = (np.arange(20_000) + 0.5) / 20_000
        found = np.asarray(jax.vmap(law.network)(u[:, None]))
    atoms, counts = np.unique(found, axis=0, return_counts=True)
    centres = np.asarray(law.measure._host_centers())
    near = np.abs(atoms[:, None] - centres[None]).max(axis=2).min(axis=1) < 1e-9
    assert counts[~near].sum() <= 0.01 * len(u) and len(np.unique(np.round(atoms[near], 9), axis=0)) == len(centres)
    points = np.random.default_rng(0).random((len(law.points), 2))
    np.testing.assert_array_equal(points, law.points)
    cost = ot.dist(law.points, found[::10], metric="euclidean")
    exact = ot.emd2(np.full(len(points), 1 / len(points)), np.full(2000, 1 / 2000), cost)
    assert exact <= law.proven + 1e-3


# Bits of the network over the covering limit at its error, from 10^2 bits on, 10^3, 10^4 and so on.
BOUNDS = {1: (4.5, 1.6, 1.2, 1.2, 1.2), 2: (9.5, 5.0, 4.3, 4.3, 4.3), 3: (11.0, 6.2, 5.2, 5.0, 5.0)}


@pytest.mark.parametrize(
    ("dim", "decades"),
    [(2, (2, 4)), *(pytest.param(dim, (2, 3, 4, 5, 6), marks=pytest.mark.slow) for dim in (1, 2, 3))],
)
def test_the_bits_of_the_network_are_in_proportion_to_the_limit(sized, dim, decades):
    """And those of 32 bits a weight and its place grow with the logarithm of the number of weights."""
    coded, plain = zip(*(_ratios(sized, 10.0**k, dim) for k in decades), strict=True)
    for k, ratio in zip(decades, coded, strict=True):
        assert ratio <= BOUNDS[dim][k - 2]
    assert plain[0] > 15 * min(coded[0], 4.5)
    # From 10^2 to 10^4 bits log2 of the width grows by more than 6; so does the plain description of each weight.
    assert plain[-1] / plain[0] > 1.15
