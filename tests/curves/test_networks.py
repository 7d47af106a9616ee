"""The Peano curve as a ReLU network: the same map as the kernel, integer weights, counts in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.curves import PeanoCurve, peano_network

SLOPE = 2**24


def evaluate(network, inputs):
    """The network on a batch by SciPy's products, which need no compilation."""
    x = np.atleast_2d(inputs)
    *hidden, last = network.layers_as_scipy()
    for weight, bias in hidden:
        x = np.maximum(weight @ x + bias[:, None], 0)
    return (last[0] @ x + last[1][:, None]).T


def away_from_ramps(v, waves, slope):
    """Where no wave t_j lies within its ramp; t_j's thirds are the multiples of 3**-(j+1), on either side of them."""
    keep = np.ones(len(v), bool)
    for j in range(waves):
        third = 3.0 ** (j + 1) * v
        keep &= np.abs(third - np.rint(third)) > 1 / slope + 1e-9 * 3.0**j
    return keep


def test_the_module_evaluates_to_the_same(x64):
    network, v = peano_network(2, 1, SLOPE), jnp.linspace(0.01, 1, 40)
    np.testing.assert_allclose(jax.jit(jax.vmap(network))(v), evaluate(network, v), rtol=0, atol=1e-12)


def kernel(v, dim, levels, path="diagonal"):
    return np.asarray(jax.jit(jax.vmap(lambda w: PeanoCurve()(w, dim, levels, path)))(v))


@pytest.mark.sweep(2)
@pytest.mark.parametrize("path", ["diagonal", "line", "centre"])
@pytest.mark.parametrize("dim, levels", [(1, 1), (1, 3), (2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (5, 1)])
def test_network_is_the_kernel(dim, levels, path, x64):
    rng = np.random.default_rng(dim * levels)
    v = np.concatenate([rng.random(100), [0.0, 1.0]])
    v = jnp.asarray(v[away_from_ramps(v, dim * levels, SLOPE) | (v == 0) | (v == 1)])
    assert len(v) > 90
    network = peano_network(dim, levels, SLOPE, path)
    # A wave t_D amplifies the rounding of v by 3**D: 1e-12 for D <= 6.
    np.testing.assert_allclose(evaluate(network, v) / 3.0**levels, kernel(v, dim, levels, path), rtol=0, atol=1e-12)
    same = PeanoCurve().network(dim, levels, SLOPE, path)
    np.testing.assert_array_equal(evaluate(same, v), evaluate(network, v))


def test_ramps_are_where_they_are_said_to_be(x64):
    slope = 50
    v = jnp.linspace(0, 1, 20001)
    ours = evaluate(peano_network(2, 1, slope), v) / 3
    wrong = np.abs(ours - kernel(v, 2, 1)).max(axis=1) > 1e-9
    near = ~away_from_ramps(np.asarray(v), 2, slope)
    assert not np.any(wrong & ~near)
    # t_0 spends 2/(3B) of the time in ramps, t_1 as much again.
    assert 0 < wrong.mean() <= 4 / (3 * slope) + 4 / 20001


SHAPES = [(1, 2), (1, 5), (2, 1), (2, 2), (2, 4), (3, 1), (3, 3), (4, 2), (7, 3), (12, 1)]


@pytest.mark.sweep(21)
@pytest.mark.parametrize("path", ["diagonal", "centre", "line"])
@pytest.mark.parametrize("dim, levels", SHAPES)
def test_counts(dim, levels, path):
    network = peano_network(dim, levels, 999, path)
    waves, first = dim * levels, levels == 1
    depth = waves + levels + {"diagonal": 3, "centre": 2, "line": 2}[path]
    beyond = {
        "diagonal": 30 * waves - 3 * dim - 2,
        "centre": 29 * waves - 6 * dim - 12 + dim * first,
        "line": 29 * waves - 6 * dim - 28 + (dim + 3) * first,
    }
    assert network.depth == depth
    assert network.connectivity == waves * (waves + levels) // 2 + beyond[path] <= 31 * waves**2
    assert (network.in_size, network.out_size) == (1, dim)
    entries = np.concatenate([a for w, b in network.layers_as_scipy() for a in (w.data, b)])
    fractions = entries[entries != np.rint(entries)]
    assert set(np.abs(fractions) % 1) <= ({0.5} if path != "diagonal" else set())


def test_no_levels():
    for path, expected in [("diagonal", [0.25, 0.25]), ("centre", [0.5, 0.5]), ("line", [0.5, 0.25])]:
        network = peano_network(2, 0, 9, path)
        np.testing.assert_array_equal(evaluate(network, 0.25), [expected])
        assert (network.connectivity, network.depth) == (2, 1)


def test_the_centre_path_stays_at_centres(x64):
    v = jnp.asarray(np.random.default_rng(3).random(50))
    ours = evaluate(peano_network(2, 2, SLOPE, "centre"), v)
    np.testing.assert_allclose(ours, np.floor(9 * kernel(v, 2, 2)) + 0.5, rtol=0, atol=1e-9)


def test_a_slope_beyond_floats():
    with pytest.raises(ValueError, match="slope"):
        peano_network(2, 1, 10**400)
