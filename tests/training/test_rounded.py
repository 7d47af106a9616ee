"""Training after rounding: the weights stay on their lattice, pruned ones at zero, and the law comes nearer."""

import itertools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jaxgen as jg
from jaxgen.coding import quantize_network, rounding_step
from jaxgen.training import fit_rounded

POINTS = np.concatenate([np.linspace(0, 1, 96), np.linspace(4, 5, 32)])
QUIET = {"progress": False, "batch_size": 64}


@pytest.fixture(scope="module")
def network():
    untrained = jg.MLPGenerator(dim=1, width=16, depth=3, key=jr.key(0))
    return jg.fit(untrained, POINTS, key=jr.key(1), steps=300, **QUIET).generator


def distance(network):
    return jg.law_distance(network, POINTS, n=1024).value


@pytest.mark.slow
def test_training_under_the_rounding_brings_the_law_back(network):
    plain = quantize_network(network, 3)
    fitted = fit_rounded(network, POINTS, key=jr.key(2), weight_bits=3, steps=300, **QUIET)
    assert distance(fitted.generator) < 0.7 * distance(plain)
    # It is what its file holds: rounding again changes nothing.
    again = quantize_network(fitted.generator, 3)
    for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(fitted.generator), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(len(np.unique(w)) <= 7 for w in fitted.generator.weights)
    np.testing.assert_array_equal(fitted.generator.low, network.low)  # no parameter


@pytest.mark.slow
def test_pruned_weights_are_zero_and_fewer_bits(network):
    options = {"key": jr.key(2), "weight_bits": 4, "steps": 5, **QUIET}
    all_of_them, half = (fit_rounded(network, POINTS, pruned=share, **options).generator for share in (0.0, 0.5))
    for w, before in zip(half.weights, network.weights, strict=True):
        smallest = np.argsort(np.abs(np.asarray(before)), axis=None, kind="stable")[: w.size // 2]
        assert np.all(np.asarray(w).ravel()[smallest] == 0)
    assert half.size().connectivity < 0.6 * network.size().connectivity
    assert jg.code_length(half, weight_bits=4) < jg.code_length(all_of_them, weight_bits=4)


def test_steps_are_those_of_the_rounding():
    values = np.asarray(jr.normal(jr.key(0), (7, 9)))
    for bits in (2, 3, 8):
        step = rounding_step(values, bits)
        rounded = np.asarray(quantize_network(_Holder(jnp.asarray(values)), bits).values)
        np.testing.assert_allclose(rounded / step, np.rint(rounded / step), atol=1e-6)
        np.testing.assert_allclose(rounded, step * np.clip(np.rint(values / step), *_ends(bits)), rtol=1e-6)
    assert rounding_step(np.zeros(3), 4) == 0.0 and rounding_step(np.array([2.0, -6.0]), 3) == 2.0
    for bad, bits in itertools.product(([np.nan], [np.inf], [2.0**126]), (2, 16)):
        with pytest.raises(ValueError, match="finite and below"):
            rounding_step(np.array(bad), bits)
    with pytest.raises(ValueError, match="weight_bits"):
        rounding_step(np.ones(2), 1)


@pytest.mark.parametrize(
    "bad",
    [{"weight_bits": 1}, {"weight_bits": 17}, {"pruned": 1.0}, {"pruned": -0.1}, {"pruned": np.nan}, {"steps": 0}],
)
def test_bad_arguments_are_named(network, bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        fit_rounded(network, POINTS, key=jr.key(0), **QUIET, **bad)


def _ends(bits):
    most = 2 ** (bits - 1) - 1
    return -most, most


class _Holder(jg.generators.AbstractGenerator):
    values: jax.Array
    dim = 1

    def __call__(self, u):
        return self.values[0] * u
