"""Weights of stated precision: on a grid, near the given ones, stable, and no longer than they say."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

import jaxgen.coding as coding
from jaxgen.coding._networks import _lattice, _round
from jaxgen.generators import MLPGenerator
from jaxgen.relu import ReLUNetwork

KEY = jax.random.key(3)


def _network(**kwargs):
    return MLPGenerator(**{"dim": 2, "width": 16, "depth": 3, "key": KEY, **kwargs})


def _entries(module):
    return np.concatenate([np.ravel(x) for x in (*module.weights, *module.biases)])


@pytest.mark.slow
@pytest.mark.parametrize("bits", [2, 3, 5, 8, 12, 16])
@pytest.mark.parametrize("labelled", [False, True])
def test_networks_come_back_rounded(bits, labelled, assert_same):
    extra = {"vocabulary": ("a", "b"), "label_masses": [1, 3], "low": -1, "high": [2, 5]} if labelled else {}
    network = _network(**extra)
    data = coding.encode(network, weight_bits=bits)
    out = coding.decode(data)
    rounded = coding.quantize_network(network, bits)
    assert_same(out, rounded)
    assert coding.encode(out, weight_bits=bits) == data
    assert coding.code_length(network, bits) == 8 * len(data)
    np.testing.assert_array_equal(_entries(coding.quantize_network(rounded, bits)), _entries(rounded))


def test_more_bits_are_nearer():
    network = _network()
    errors = [
        np.linalg.norm(_entries(coding.quantize_network(network, bits)) - _entries(network)) for bits in range(2, 17)
    ]
    assert np.all(np.diff(errors) < 0)
    assert errors[-1] < 1e-4 * np.linalg.norm(_entries(network))


def test_entropy_coding_saves_on_gaussian_weights():
    # A Gaussian at step h has entropy log2(sqrt(2 pi e) / h) bits; 4 standard deviations at 8 bits make h = 1/32.
    linear = eqx.nn.Linear(100, 100, use_bias=False, key=KEY)
    linear = eqx.tree_at(lambda x: x.weight, linear, jax.random.normal(KEY, (100, 100)))
    values = np.asarray(coding.quantize_network(linear, 8).weight).ravel()
    _, counts = np.unique(values, return_counts=True)
    entropy = -np.sum(counts * np.log2(counts / counts.sum()))
    bits = coding.module_bits(linear, 8)
    # What the frequencies of the leading six bits of eight cannot see is little; their description is 64 numbers.
    assert 0.98 * entropy < bits < 1.01 * entropy + 64 * math.log2(10_001) / 2 + 100
    assert bits < 0.97 * 8 * 10_000


def test_bits_of_any_module():
    module = eqx.nn.MLP(2, 3, 8, 2, key=KEY)
    size = sum(x.size for x in jax.tree.leaves(eqx.filter(module, eqx.is_inexact_array)))
    assert coding.module_bits(module) == 32 * size
    for bits in (2, 8, 16):
        assert coding.module_bits(module, bits) <= bits * size + 32 * 6 + 64
        rounded = coding.quantize_network(module, bits)
        assert coding.module_bits(rounded, bits) == coding.module_bits(module, bits)
        assert jax.tree.structure(rounded) == jax.tree.structure(module)


def test_plain_network_bits():
    # Two layers: 3 + 2 nonzero weights and biases in a network of width 2.
    network = ReLUNetwork([([[1.0], [2.0]], [0.0, 1.0]), ([[1.0, -1.0]], [0.0])])
    assert network.connectivity == 5 and network.width == 2
    assert coding.network_bits(network, 8) == 5 * (8 + 2)
    with pytest.raises(ValueError, match="weight_bits"):
        coding.network_bits(network, 0)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(
    hnp.arrays(np.float32, (7,), elements=st.floats(-(2.0**100), 2.0**100, width=32)),
    st.integers(2, 16),
)
def test_rounding_is_exact_and_idempotent(values, bits):
    rounded = _round(values, bits)
    np.testing.assert_array_equal(rounded.astype(np.float32), rounded)
    found = _lattice(rounded, bits)
    assert found is not None
    step, multiples = found
    assert np.abs(multiples).max(initial=0) < 2 ** (bits - 1)
    np.testing.assert_array_equal(np.float32(step) * multiples.astype(np.float32), rounded.astype(np.float32))
    np.testing.assert_array_equal(_round(rounded, bits), rounded)
    if np.abs(values).max() > 1e-25:
        assert np.linalg.norm(rounded - values) <= np.linalg.norm(values.astype(np.float64))


def _linear(values):
    module = eqx.nn.Linear(1, 1, use_bias=False, key=KEY)
    return eqx.tree_at(lambda x: x.weight, module, jnp.asarray(values, jnp.float32))


@pytest.mark.parametrize("values", [np.zeros((3, 4)), np.full((3, 4), 0.1), np.ones((1, 1)), [[3.0, -6.0, 9.0]]])
def test_arrays_of_few_values_are_kept(values):
    np.testing.assert_array_equal(coding.quantize_network(_linear(values), 4).weight, np.asarray(values, np.float32))


def test_denormal_weights_vanish():
    rounded = np.asarray(coding.quantize_network(_linear([[1e-40, 0, 1.0]]), 4).weight)
    assert rounded[0, 0] == 0
    # The step has 8 significant bits.
    assert abs(rounded[0, 2] - 1) <= 2.0**-7


@pytest.mark.slow
def test_an_all_zero_network_is_not_a_way_to_claim_a_long_one():
    network = jax.tree.map(jnp.zeros_like, _network(width=100))
    data = coding.encode(network, 4)
    size = _entries(network).size
    assert 8 * len(data) >= size / 64
    np.testing.assert_array_equal(_entries(coding.decode(data)), 0)


@pytest.mark.parametrize("bits", [1, 17, 0, -3])
def test_bad_precision(bits):
    with pytest.raises(ValueError, match="weight_bits"):
        coding.quantize_network(_network(), bits)
    with pytest.raises(ValueError, match="weight_bits"):
        coding.encode(_network(), bits)


def test_bad_modules():
    with pytest.raises(TypeError, match="float arrays"):
        coding.quantize_network(eqx.nn.Identity(), 8)
    with pytest.raises(TypeError, match="float arrays"):
        coding.module_bits(eqx.nn.Identity())
    with pytest.raises(TypeError, match="integer"):
        coding.quantize_network(_network(), 8.0)
    broken = eqx.tree_at(lambda n: n.biases[0], _network(), jnp.full(16, jnp.nan))
    with pytest.raises(ValueError, match="finite"):
        coding.encode(broken)


def test_precision_is_for_networks():
    from jaxgen.measures import GridMeasure

    with pytest.raises(ValueError, match="weight_bits"):
        coding.encode(GridMeasure.from_histogram(np.ones((2, 2))).quantize(4), weight_bits=8)


@pytest.mark.parametrize("step", [-0.5, 2.0**120])
def test_steps_are_checked_before_they_are_believed(monkeypatch, step):
    out = coding.Output()
    monkeypatch.setattr("jaxgen.coding._networks._lattice", lambda values, bits: (step, np.array([1, 2, 3])))
    coding.write_arrays(out, [np.ones(3)], 8)
    with pytest.raises(coding.CodeError, match="steps of the weights"):
        coding.read_arrays(coding.Input(memoryview(out.finish()), 2), [(3,)], 8)
