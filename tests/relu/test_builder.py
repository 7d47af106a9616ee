import time

import equinox as eqx
import jax
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings, strategies as st

from jaxgen.relu import (
    NetworkBuilder,
    ReLUNetwork,
    Signal,
    clip_inner,
    clip_outer,
    compose,
    hat,
    sawtooth,
    stack,
    staircase,
)

few = settings(max_examples=25, deadline=None)
rng = np.random.default_rng(0)
X = rng.integers(-8, 8, 4) / 4


def at(signal, x=X):
    """The values of a block of signals at one value of the last layer."""
    return signal.matrix @ x + signal.bias


@pytest.fixture
def x():
    return NetworkBuilder(x=4)["x"] + np.array([0.5, 0.0, -1.0, 2.0])


def test_arithmetic_is_that_of_numpy(x):
    v, one, row = at(x), np.array([2.0, -1.0, 4.0, 0.5]), at(x)[1:2]
    for signal, expected in [
        (x + x, v + v),
        (x - 2 * x, -v),
        (-x, -v),
        (1 - x, 1 - v),
        (one - x, one - v),
        (x - one.tolist(), v - one),
        (x * one, v * one),
        (one * x, v * one),
        (np.float64(3) * x, 3 * v),
        (x / one, v / one),
        (x / 3, v / 3),
        (x[1] + x, row + v),
        (x - x[1], v - row),
        (x[1] * one, row * one),
        (x[1] - one, row - one),
        (x[1].repeat(3), np.repeat(row, 3)),
        (x.sum(), [v.sum()]),
        (2**70 * x, 2.0**70 * v),
    ]:
        assert isinstance(signal, Signal) and len(signal) == len(expected)
        np.testing.assert_allclose(at(signal), expected, rtol=1e-15)


def test_matrices_of_any_kind_multiply_blocks(x):
    matrix = np.array([[1.0, 0.0, -2.0, 0.5], [0.0, 0.0, 0.0, 0.0]])
    for kind in (np.asarray, sp.csr_array, sp.coo_array, sp.csc_matrix, np.ndarray.tolist):
        product = kind(matrix) @ x
        assert isinstance(product, Signal)
        np.testing.assert_array_equal(at(product), matrix @ at(x))
    np.testing.assert_array_equal(at(matrix[0] @ x), matrix[:1] @ at(x))
    assert len(np.ones((2, 0)) @ x[:0]) == 2


def test_rows_are_taken_and_scattered(x):
    v = at(x)
    for index in (slice(1, None), slice(None, None, -2), [0, 0, 3], np.array([True, False, True, True]), []):
        np.testing.assert_array_equal(at(x[index]), v[index])
    np.testing.assert_array_equal(at(x[-1]), v[-1:])
    np.testing.assert_array_equal([at(row)[0] for row in x], v)
    index = np.array([2, 0, 2, 4])
    expected = np.zeros(5)
    np.add.at(expected, index, v)
    np.testing.assert_array_equal(at(x.add_at(index, 5)), expected)
    # Adjoint of indexing: <y, block[index]> = <scatter(y), block>.
    y = np.array([1.0, 2.0, 4.0])
    np.testing.assert_array_equal(at((y * x[[1, 1, 3]]).sum()), at([0.0, 3.0, 0.0, 4.0] @ x))
    np.testing.assert_array_equal(at(stack(x[2:], 2 * x)), np.append(v[2:], 2 * v))


def test_blocks_that_do_not_fit_are_refused(x):
    for wrong, message in [
        (lambda: x + x[:2], "2 rows do not fit a block of 4 rows"),
        (lambda: x * [1.0, 2.0], "2 rows do not fit a block of 4"),
        (lambda: x + np.ones((4, 1)), r"shape \(4, 1\)"),
        (lambda: x.repeat(2), "4 rows"),
        (lambda: np.ones((2, 3)) @ x, r"shape \(2, 3\) does not fit a block of 4 rows"),
        (lambda: x.add_at([0, 1], 3), r"index has shape \(2,\)"),
        (lambda: x.add_at([0, 1, 2, 3], 3), "index"),
        (lambda: stack(), "nothing to stack"),
    ]:
        with pytest.raises(ValueError, match=message):
            wrong()
    with pytest.raises(IndexError):
        x[4]


def test_a_network_is_the_one_written_by_hand():
    net = NetworkBuilder(label=2, u=1)
    net.layer(**net.carry("label"), half=clip_inner(net["u"], [0.0, 1.0, 2.0], 0.5))
    net.layer(step=clip_outer(net["half"]), **net.carry("label"))
    net.define(both=net["step"][[0, 2]] + net["label"] - 1)
    network = net.network(np.array([[1.0, 2.0]]) @ net["both"])
    by_hand = ReLUNetwork(
        [
            ([[1, 0, 0], [0, 1, 0], [0, 0, -2], [0, 0, -2], [0, 0, -2]], [0, 0, 1, 3, 5]),
            ([[0, 0, -1, 0, 0], [0, 0, 0, -1, 0], [0, 0, 0, 0, -1], [1, 0, 0, 0, 0], [0, 1, 0, 0, 0]], [1, 1, 1, 0, 0]),
            ([[1, 0, 2, 1, 2]], [-3]),
        ]
    )
    assert eqx.tree_equal(network, by_hand)


@pytest.mark.slow
@few
@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_random_blocks_are_layers_by_hand(depth, seed):
    random = np.random.default_rng(seed)
    net = NetworkBuilder(first=1, second=2)
    layers, size = [], 3
    for _ in range(depth):
        rows = random.integers(1, 4, 2)
        weights = [random.choice([1.0, -1.0, 2.0, -3.0], (n, size)) for n in rows]
        bias = random.integers(-4, 4, rows.sum()) / 2
        whole = stack(net["first"], net["second"])
        first, second = (weight @ whole for weight in weights)
        net.layer(first=first + bias[: rows[0]], second=second + bias[rows[0] :])
        layers.append((np.concatenate(weights), bias))
        size = rows.sum()
    with jax.enable_x64(True):
        network = net.network(stack(net["first"], net["second"]).sum())
        assert eqx.tree_equal(network, ReLUNetwork([*layers, (np.ones((1, size)), None)]))


def test_constants_take_no_neurons():
    net = NetworkBuilder(u=1)
    u = net["u"]
    net.layer(mixed=u[[0, 0, 0]] * [1.0, 0.0, 1.0] - [0.0, 2.0, 1.0], three=net.constant([3.0, -3.0]), gone=u - u + 1)
    assert net["mixed"].matrix.shape == (3, 2)
    np.testing.assert_array_equal(net["mixed"].bias, [0, 0, 0])  # rho(-2) = 0
    np.testing.assert_array_equal(net["three"].bias, [3, 0])
    net.layer(**net.carry("three", "gone"), sum=net["mixed"].sum())
    network = net.network(stack(net["three"], net["gone"], net["sum"]))
    assert (network.sizes, network.connectivity) == ((1, 2, 1, 4), 3 + 2 + 3)
    assert network(4.0).tolist() == [3, 0, 1, 7]


@pytest.mark.parametrize("rows", [0, 2])
def test_a_layer_without_weights_has_one_neuron(rows):
    net = NetworkBuilder(u=1)
    net.layer(c=net.constant(np.ones(rows)))
    net.layer()
    net.layer(c=net.constant(np.ones(rows)))
    network = net.network(net["c"].sum() + 1)
    assert (network.sizes, network.connectivity, network(5.0).item()) == ((1, 1, 1, 1, 1), 1, rows + 1)


def test_signals_of_an_earlier_layer_are_refused():
    net = NetworkBuilder(u=1)
    u = net["u"]
    net.layer(u=u)
    for wrong, message in [
        (lambda: net["u"] + u, "layer 1 is combined with one of layer 0"),
        (lambda: u - net["u"], "layer 0 is combined with one of layer 1"),
        (lambda: stack(u, net["u"]), r"layers \[0, 1\] cannot be stacked"),
        (lambda: net.layer(v=u), "v is a signal of layer 0"),
        (lambda: net.define(v=u), "v is a signal of layer 0"),
        (lambda: net.network(u), "output is a signal of layer 0"),
        (lambda: net.apply(hat(), u), "signal is a signal of layer 0"),
        (lambda: net.apply(hat(), net["u"], v=u), "v is a signal of layer 0"),
        (lambda: net.layer(v=NetworkBuilder(u=1)["u"]), "another network"),
        (lambda: net["u"] + NetworkBuilder(u=1)["u"], "another network"),
    ]:
        with pytest.raises(ValueError, match=message):
            wrong()
    assert net.network(net["u"]).sizes == (1, 1, 1)  # nothing was added on the way


def test_names():
    net = NetworkBuilder(**{"half 1, 0": 1, "self": 2})
    net.define(twice=2 * net["self"])
    net.layer(**{"self": net["twice"], "name": net["half 1, 0"]})
    assert net.carry("self").keys() == {"self"}
    with pytest.raises(KeyError, match=r"no signal 'twice' on layer 1: it has \['name', 'self'\]"):
        net["twice"]
    with pytest.raises(ValueError, match="at least one input"):
        NetworkBuilder()
    with pytest.raises(TypeError, match="u must be an integer"):
        NetworkBuilder(u=1.5)
    with pytest.raises(TypeError):
        net.layer(u=1.0)


def test_a_hundred_thousand_rows_take_no_loop():
    m = 100_000
    staircase([0.0], [1.0], [1.0])
    begin = time.process_time()
    net = NetworkBuilder(label=3, u=1)
    net.layer(half=clip_inner(net["u"], np.arange(m) / m, np.full(m, 0.5 / m)), **net.carry("label"))
    net.layer(step=clip_outer(net["half"]), **net.carry("label"))
    net.layer(row=net["step"].add_at(np.arange(m) // 10, m // 10) / 10, **net.carry("label"))
    network = net.network(net["row"].sum() + net["label"][0])
    assert time.process_time() - begin < 1.0  # about 0.2; a loop over the rows takes a hundred times as long
    assert network.sizes == (4, m + 3, m + 3, m // 10 + 3, 1)


@pytest.mark.slow
def test_apply_runs_a_network_and_keeps_what_it_is_told_to():
    net = NetworkBuilder(x=1, w=1, lost=1)
    folded = net.apply(sawtooth(3), net["x"] / 2, w=net["w"])
    with pytest.raises(KeyError):
        net["lost"]
    network = net.network(stack(folded, net["w"]))
    assert network.sizes == (3, 4, 4, 4, 2)
    for x in (0.0, 0.25, 0.5, 0.8125):
        np.testing.assert_array_equal(network([x, 0.75, 9.0]), [sawtooth(3)(x / 2).item(), 0.75])
    with pytest.raises(ValueError, match=r"signal has 1 rows, the network expects 2 inputs"):
        net.apply(ReLUNetwork([(np.eye(2), None)]), net["w"])


@pytest.mark.parametrize("merge", [True, False, None])
@pytest.mark.parametrize("nonnegative", [True, False])
def test_apply_merges_as_compose_does(merge, nonnegative):
    inner = ReLUNetwork([(np.ones((3, 1)), [0.0, -1.0, 1.0]), (np.eye(3)[:2], None)])
    outer = ReLUNetwork([(np.array([[1.0, 2.0]]), [1.0])])
    net = NetworkBuilder(x=1)
    y = net.apply(inner, net["x"])
    network = net.network(net.apply(outer, y, merge=merge, nonnegative=nonnegative, y=y))
    assert eqx.tree_equal(compose(outer, inner, merge, nonnegative=nonnegative).layers[0], network.layers[0])
    assert network(2.0).item() == outer(inner(2.0)).item()
    assert network.depth == 2 + (merge is False)
