"""The trained generator: its map is its network, its source is exact, its labels have the law they were given."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from jaxgen.generators import MLPGenerator

KEY = jr.key(0)
LABELS = ("north", "south", 7)


def build(**changes):
    return MLPGenerator(**{"dim": 2, "source_dim": 1, "width": 8, "depth": 3, "key": KEY, **changes})


@pytest.mark.slow
@pytest.mark.parametrize("source_dim, depth", [(1, 1), (1, 3), (2, 4)])
def test_network_is_the_same_map(precision, source_dim, depth):
    g = build(source_dim=source_dim, depth=depth, low=[-100.0, 3.0], high=[50.0, 4.0])
    network = g.network()
    u = jr.uniform(jr.key(1), (50, source_dim))
    ours, theirs = jax.vmap(g)(u), jax.vmap(network)(u)
    assert ours.shape == (50, 2) and ours.dtype == theirs.dtype == jnp.dtype(precision)
    # Sums of fewer than 100 terms in another order, below 1e3: relative error 100 eps of the largest.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e5 * jnp.finfo(precision).eps)
    assert network.depth == depth
    assert network.sizes == (source_dim, *[8] * (depth - 1), 2)


@pytest.mark.slow
def test_network_without_a_box_in_float64():
    with jax.enable_x64(True):
        g = build(width=64, depth=4)
        u = jnp.linspace(0, 1, 200)[:, None]
        np.testing.assert_allclose(jax.vmap(g)(u), jax.vmap(g.network())(u), rtol=0, atol=1e-12)


@pytest.mark.slow
def test_conditional_network_reads_the_one_hot_label_first():
    with jax.enable_x64(True):
        g = build(vocabulary=LABELS, low=0, high=10)
        network, u = g.network(), jnp.asarray([0.3])
        for code, label in enumerate(LABELS):
            x = network(jnp.concatenate([jnp.eye(3)[code], u]))
            np.testing.assert_allclose(g(u, condition=label), x, rtol=0, atol=1e-12)
            np.testing.assert_array_equal(g(u, code=code), g(u, condition=label))


@pytest.mark.slow
def test_jit_vmap_and_grad():
    g = build()
    u = jr.uniform(jr.key(2), (5,))
    np.testing.assert_allclose(jax.jit(jax.vmap(g))(u), jnp.stack([g(v) for v in u]), rtol=1e-5)
    step = 1e-3
    slope = (g(u[0] + step) - g(u[0])) / step
    # Piecewise linear: away from kinks the difference quotient is the derivative, up to rounding / step.
    np.testing.assert_allclose(jax.jacfwd(g)(u[0]), slope, atol=2e-3)

    grads = eqx.filter_grad(lambda h: jnp.sum(jax.vmap(h)(u)))(build(low=-5, high=5))
    assert all(np.isfinite(w).all() and np.abs(w).max() > 0 for w in grads.weights)
    np.testing.assert_array_equal(grads.low, 0)
    np.testing.assert_array_equal(grads.high, 0)


def test_first_layer_kinks_are_spread_over_the_sources():
    g = build(width=2000, depth=2)
    kinks = np.sort(np.asarray(-g.biases[0] / g.weights[0][:, 0]))
    # Kolmogorov-Smirnov: P(sup |F_n - F| > 2.3 / sqrt(n)) < 6e-5.
    assert np.abs(kinks - (np.arange(2000) + 0.5) / 2000).max() < 2.3 / np.sqrt(2000)


@pytest.mark.slow
def test_samples_are_the_map_of_24_bit_sources():
    g = build(source_dim=2)
    assert g.source_bits == 24
    words = jr.bits(jr.key(3), (2, g.source_words), jnp.uint32)
    x, _ = g.push(words, None)
    u = np.asarray(words)[:, 0] // 256 / 2.0**24
    np.testing.assert_allclose(x, g(jnp.asarray(u, jnp.float32)), rtol=1e-6)
    assert g.sample(jr.key(4), 7).shape == (7, 2)


@pytest.mark.slow
def test_labels_of_the_joint_law_have_their_masses_and_split_the_source():
    g = build(vocabulary=LABELS, label_masses=[1, 0, 3])
    n = 256
    _, labels = g.sample(jr.key(5), n, stratified=True, return_labels=True)
    # Stratified sources fall into an interval of mass 1/4 exactly n/4 times.
    assert labels.count("north") == n // 4 and labels.count(7) == 3 * n // 4
    u = jnp.asarray([0.0, 0.125, 0.249, 0.25, 0.75])
    expected = [g(4 * u[i], "north") for i in range(3)] + [g(jnp.asarray(v), 7) for v in (0.0, 2 / 3)]
    np.testing.assert_allclose(jax.vmap(g)(u), jnp.stack(expected), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(g(1.0), g(1.0, 7), rtol=1e-6)


@pytest.mark.slow
def test_an_exact_source_gives_what_the_float_one_gives():
    g = build(vocabulary=LABELS, label_masses=[1, 2, 3])
    words = jr.bits(jr.key(6), (64, 1, g.source_words), jnp.uint32)
    x, codes = jax.vmap(lambda w: g.push(w, None))(words)
    u = np.asarray(words)[:, 0, 0] / 2.0**32
    np.testing.assert_array_equal(codes, np.searchsorted([1 / 6, 1 / 2], u, side="right"))
    # u is rounded to 2**-24, and the label intervals divide it by at least 1/6.
    np.testing.assert_allclose(x, jax.vmap(g)(jnp.asarray(u, jnp.float32)), atol=1e-4)


def test_what_was_not_given_is_taken_from_data():
    points = np.array([[0.0, 5.0], [2.0, 5.0], [4.0, 5.0]])
    g = build(vocabulary=LABELS).suited_to(points, [0, 0, 2])
    np.testing.assert_array_equal(g.low, [0, 5])
    np.testing.assert_array_equal(g.high, [4, 10])
    np.testing.assert_allclose(np.asarray(g.label_counts) / 2**24, [2 / 3, 0, 1 / 3], atol=2**-24)
    given = build(vocabulary=LABELS, low=0, high=1, label_masses=[1, 1, 1]).suited_to(points, [0, 0, 2])
    np.testing.assert_array_equal(given.high, [1, 1])
    assert np.ptp(np.asarray(given.label_counts, np.int64)) <= 1


def test_there_is_no_certificate():
    with pytest.raises(ValueError, match="no certificate"):
        build().certificate()


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"width": 0}, ValueError, "width must be at least 1"),
        ({"depth": 0}, ValueError, "depth must be at least 1"),
        ({"dim": 2.0}, TypeError, "dim must be an integer"),
        ({"vocabulary": ()}, ValueError, "at least one label"),
        ({"vocabulary": ("a", "a")}, ValueError, "not repeat a label"),
        ({"label_masses": [1.0]}, ValueError, "without a vocabulary"),
        ({"vocabulary": ("a", "b"), "label_masses": [1.0]}, ValueError, "one mass a label"),
        ({"vocabulary": ("a", "b"), "label_masses": [1.0, np.nan]}, ValueError, "finite, nonnegative"),
        ({"low": 0.0}, ValueError, "given together"),
        ({"low": 0.0, "high": [1.0, 0.0]}, ValueError, "the box has no volume: low equals high on axis 1"),
        ({"low": 0.0, "high": [1.0, 1.0, 1.0]}, ValueError, "shape"),
    ],
)
def test_bad_input(changes, error, message):
    with pytest.raises(error, match=message):
        build(**changes)


def test_bad_calls():
    g = build(vocabulary=LABELS)
    with pytest.raises(ValueError, match=r"unknown label 'nort'.*north"):
        g(0.5, "nort")
    with pytest.raises(ValueError, match="there are no labels: build the measure with labels="):
        build()(0.5, "north")
    with pytest.raises(ValueError, match="shape"):
        build()(jnp.zeros(3))
    with pytest.raises(eqx.EquinoxRuntimeError, match=r"\[0, 1\]"):
        build()(1.5)
    with pytest.raises(ValueError, match="points must have shape"):
        g.suited_to(np.zeros((0, 2)))
