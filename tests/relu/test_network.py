import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp

from jaxgen.relu import ReLUNetwork

W1 = np.array([[1.0, -2.0], [0.0, 3.0], [-1.0, 0.5]])
B1 = np.array([0.0, -1.0, 0.25])
W2 = np.array([[2.0, -4.0, 0.0], [1.0, 0.0, -1.0]])
X = np.array([[0.5, 1.0], [-1.0, 0.25], [4.0, -2.0], [0.0, 0.0]])


def reference(x):
    return np.maximum(x @ W1.T + B1, 0) @ W2.T


@pytest.fixture
def network():
    return ReLUNetwork([(W1, B1), (W2, None)])


def test_counts_are_those_of_the_theory(network):
    assert network.sizes == (2, 3, 2)
    assert (network.in_size, network.out_size, network.depth, network.width) == (2, 2, 2, 3)
    assert network.connectivity == 5 + 2 + 4
    assert network.weight_magnitude == 4.0
    assert ReLUNetwork([(np.zeros((1, 7)), None)]).width == 7
    assert ReLUNetwork([(np.zeros((1, 7)), None)]).connectivity == 0
    assert ReLUNetwork([(np.zeros((1, 7)), None)]).weight_magnitude == 0.0
    assert ReLUNetwork([([[1.0]], [-9.0])]).weight_magnitude == 9.0


def test_a_stored_zero_is_not_counted(network):
    zeroed = eqx.tree_at(lambda n: n.layers[0].weights, network, network.layers[0].weights.at[0].set(0.0))
    assert zeroed.layers[0].weights.shape == network.layers[0].weights.shape
    assert zeroed.connectivity == network.connectivity - 1
    assert zeroed.layers_as_scipy()[0][0].nnz == 4


def test_realization_in_both_precisions(network, precision):
    network = ReLUNetwork([(W1, B1), (W2, None)])
    assert network.dtype == precision
    y = jax.jit(jax.vmap(network))(X)
    assert y.dtype == precision
    np.testing.assert_array_equal(y, reference(X))  # dyadic numbers: exact in either precision


def test_single_examples_scalars_and_integers(network):
    np.testing.assert_array_equal(network(X[0]), reference(X[0]))
    y = network(np.array([1, 2]))
    assert y.dtype == jnp.float32
    np.testing.assert_array_equal(y, reference(np.array([1, 2])))
    line = ReLUNetwork([([[2.0]], [1.0])])
    assert line(3.0).shape == line([3.0]).shape == line(3).shape == (1,)
    assert line(3.0) == line([3.0]) == line(3) == 7.0


@pytest.mark.parametrize("x", [1.0, np.ones(3), np.ones((1, 2)), np.ones(0)])
def test_input_of_another_shape(network, x):
    with pytest.raises((ValueError, TypeError)):
        network(x)


@pytest.mark.slow
def test_derivatives_by_input_and_weights(precision):
    network = ReLUNetwork([(W1, B1), (W2, None)])
    for x in X[:3]:
        hidden = W1 @ x + B1
        jacobian = W2 @ np.diag(hidden > 0) @ W1
        np.testing.assert_array_equal(jax.jacrev(network)(jnp.asarray(x)), jacobian)
        np.testing.assert_array_equal(jax.jacfwd(network)(jnp.asarray(x)), jacobian)
        by = eqx.filter_grad(lambda n, x=x: n(x).sum())(network)
        back = (hidden > 0) * W2.sum(axis=0)
        np.testing.assert_array_equal(by.layers[0].bias, back)
        np.testing.assert_array_equal(by.layers[0].weights, np.outer(back, x)[W1 != 0])
        np.testing.assert_array_equal(by.layers[1].weights, np.tile(np.maximum(hidden, 0), (2, 1))[W2 != 0])
        np.testing.assert_array_equal(by.layers[1].bias, [1, 1])


def test_a_network_is_an_argument_of_jit_not_a_constant():
    traces = []

    @jax.jit
    def evaluate(network, x):
        traces.append(None)
        return network(x)

    for scale in (1.0, 2.0):
        network = ReLUNetwork([(scale * W1, B1), (W2, None)])
        np.testing.assert_array_equal(evaluate(network, X[0]), np.maximum(scale * W1 @ X[0] + B1, 0) @ W2.T)
    assert len(traces) == 1


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix, sp.lil_array, jnp.asarray])
def test_dense_and_sparse_layers_are_the_same(network, kind):
    other = ReLUNetwork([(kind(W1), list(B1)), (kind(W2), None)])
    assert eqx.tree_equal(network, other)


def test_repeated_entries_add_and_the_argument_is_left_alone():
    given = sp.csr_array((np.array([5.0, -5.0, 1.0, 2.0]), np.array([1, 1, 0, 0]), np.array([0, 2, 4])), shape=(2, 2))
    network = ReLUNetwork([(given, None)])
    assert network.connectivity == network.layers[0].weights.size == 1
    np.testing.assert_array_equal(network(np.array([1.0, 1.0])), [0, 3])
    np.testing.assert_array_equal(given.data, [5, -5, 1, 2])


def test_layers_come_back(precision):
    rng = np.random.default_rng(0)
    network = ReLUNetwork([(rng.standard_normal((4, 3)), rng.standard_normal(4)), (rng.standard_normal((2, 4)), None)])
    layers = network.layers_as_scipy()
    assert all(weight.dtype == bias.dtype == np.float64 for weight, bias in layers)
    assert eqx.tree_equal(network, ReLUNetwork(layers, dtype=network.dtype))


def test_stored_type():
    assert ReLUNetwork([(W1, B1)], dtype=jnp.bfloat16).dtype == jnp.bfloat16
    with pytest.raises(ValueError, match="x64"):
        ReLUNetwork([(W1, B1)], dtype=np.float64)
    with pytest.raises(TypeError, match="floating"):
        ReLUNetwork([(W1, B1)], dtype=np.int32)
    with pytest.raises(ValueError, match="too large for float32"):
        ReLUNetwork([([[1e39]], None)])


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ([], ValueError, "empty"),
        ([(np.ones((0, 2)), None)], ValueError, r"\(0, 2\)"),
        ([(np.ones((2, 0)), None)], ValueError, r"\(2, 0\)"),
        ([(sp.csr_array((0, 3)), None)], ValueError, r"\(0, 3\)"),
        ([(np.ones(3), None)], ValueError, r"\(3,\)"),
        ([(np.ones((2, 3)), np.ones(3))], ValueError, r"bias has shape \(3,\).*expected \(2,\)"),
        ([(np.ones((2, 3)), np.ones((2, 1)))], ValueError, "bias has shape"),
        ([(W1, B1), (W1, None)], ValueError, "layer 1 has 3 outputs.*layer 2 expects 2"),
        ([(W1, B1), ([[1.0, np.nan, 0.0]], None)], ValueError, "pair 2.*weight has 1 entries that are NaN"),
        ([(sp.csr_array([[np.inf]]), None)], ValueError, "infinite"),
        ([([[1.0]], [np.inf])], ValueError, "bias has 1 entries"),
        ([([[1j]], None)], TypeError, "complex"),
        ([(sp.csr_array([[1j]]), None)], TypeError, "complex"),
        ([([["a"]], None)], TypeError, "real numbers"),
    ],
)
def test_bad_layers(layers, error, message):
    with pytest.raises(error, match=message):
        ReLUNetwork(layers)


def test_layers_are_pairs():
    with pytest.raises((ValueError, TypeError)):
        ReLUNetwork([(W1, B1, B1)])
    with pytest.raises((ValueError, TypeError)):
        ReLUNetwork([W1])


@pytest.mark.slow
def test_a_million_nonzeros_in_layers_of_a_hundred_thousand():
    size, entries = 100_000, 500_000
    rng = np.random.default_rng(0)

    def layer():
        flat = rng.choice(size * size, size=entries, replace=False, shuffle=False)
        weight = sp.coo_array((rng.choice([-1.0, 1.0], entries), (flat // size, flat % size)), shape=(size, size))
        return weight, rng.choice([-1.0, 0.0, 1.0], size)

    first, second = layer(), layer()
    start = time.perf_counter()
    network = ReLUNetwork([first, second])
    assert time.perf_counter() - start < 3
    assert network.connectivity == 2 * entries + sum(np.count_nonzero(bias) for _, bias in (first, second))
    assert network.width == size
    # Memory by nonzeros: a dense layer would take 40 GB.
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(network)) == 2 * entries * 12 + 2 * size * 4
    x = rng.integers(-8, 8, size).astype(float)
    expected = second[0] @ np.maximum(first[0] @ x + first[1], 0) + second[1]
    np.testing.assert_array_equal(jax.jit(network.__call__)(x), expected)  # small integers: exact in float32
    slope = jax.jit(jax.grad(lambda x: network(x).sum()))(jnp.asarray(x))
    back = (first[0] @ x + first[1] > 0) * second[0].sum(axis=0)
    np.testing.assert_array_equal(slope, back @ first[0])
