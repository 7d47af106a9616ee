"""Pieces of networks: counted, and the bound against networks that are there."""

import itertools
import math

import jax.random as jr
import numpy as np
import ot
import pytest

from jaxgen import GridMeasure, MLPGenerator, relu
from jaxgen.limits import curve_length, length_bound, network_bound, pieces


def random_network(rng, sizes):
    return relu.ReLUNetwork(
        [(rng.normal(size=(b, a)) * math.sqrt(2 / a), rng.normal(size=b) * 0.5) for a, b in itertools.pairwise(sizes)]
    )


def evaluate(network, u):
    h, layers = u[None], network.layers_as_scipy()
    for weight, bias in layers[:-1]:
        h = np.maximum(weight @ h + bias[:, None], 0)
    return layers[-1][0] @ h + layers[-1][1][:, None]


def counted(network, low, high, n=200_001):
    """Pieces of different slope: each change of slope is at most two steps of the sampling wide."""
    slopes = np.diff(evaluate(network, np.linspace(low, high, n)), axis=1) * (n - 1) / (high - low)
    change = (np.abs(np.diff(slopes, axis=1)) > 1e-5 * (1 + np.abs(slopes[:, 1:]))).any(axis=0)
    return 1 + int((change[1:] & ~change[:-1]).sum() + change[0])


@pytest.mark.parametrize("sizes", [(1, 3, 2), (1, 5, 4, 2), (1, 4, 4, 4, 1), (1, 2)])
def test_no_network_has_more(sizes):
    found = [counted(random_network(np.random.default_rng(seed), sizes), -20, 20) for seed in range(8)]
    assert max(found) <= pieces(sizes[1:-1]) == math.prod(n + 1 for n in sizes[1:-1])
    if len(sizes) == 3:
        assert max(found) == pieces(sizes[1:-1])


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_attained_by_triangle_waves(layers):
    # 3x - 2 rho(3x - 1) + 2 rho(3x - 2), iterated; 3x is one more neuron, which never changes sign on [0, 1].
    first = ([[3.0], [3.0], [3.0]], [0.0, -1.0, -2.0])
    between = (3 * np.outer(np.ones(3), [1.0, -2.0, 2.0]), [0.0, -1.0, -2.0])
    network = relu.ReLUNetwork([first, *[between] * (layers - 1), ([[1.0, -2.0, 2.0]], [0.0])])
    assert counted(network, 0.0, 1.0) == pieces([2] * layers) == 3**layers
    assert curve_length(network) == pytest.approx(3**layers, rel=1e-12)


def test_huge_numbers_are_exact():
    assert pieces([1000] * 300) == 1001**300
    assert network_bound([1000] * 300, 2) == 0
    assert 0 < network_bound([1000] * 90, 2) < 1e-260
    assert pieces([]) == 1 and pieces(np.array([2, 3])) == 12


def zigzag(teeth, low, high):
    """x runs along [low, high] while y goes up and down: `teeth` pieces, from as many neurons."""
    knots = np.arange(1, teeth) / teeth
    sign = (-1.0) ** np.arange(1, teeth)
    weight = np.concatenate([[[1.0], [-1.0]], np.ones((teeth - 2, 1))])
    bias = np.concatenate([[-knots[0], knots[0]], -knots[1:]])
    # u = knot + rho(u - knot) - rho(knot - u); the first knot has both sides.
    along = np.concatenate([[1.0, -1.0], np.zeros(teeth - 2)]) * (high - low)
    up = np.concatenate([[-teeth, -teeth], 2 * teeth * -sign[1:] * -1.0])
    return relu.ReLUNetwork([(weight, bias), (np.stack([along, up]), [low + knots[0] * (high - low), 1.0])])


@pytest.mark.sweep(2)
@pytest.mark.parametrize("teeth", [8, 40, 200])
def test_nearly_attained_by_a_zigzag(teeth):
    # On a box of sides 1/50 and 1: each piece is nearly as long as the sides together. Its law is uniform in y given
    # the tooth, and so within h/3 of the uniform law (theory, section 3).
    width = 0.02
    network = zigzag(teeth, 0.0, width)
    x, y = evaluate(network, np.arange(teeth * 4 + 1) / (4 * teeth))
    np.testing.assert_allclose(x, np.arange(teeth * 4 + 1) * width / (4 * teeth), atol=1e-6)
    np.testing.assert_allclose(y, np.abs((np.arange(teeth * 4 + 1) / 4 + 1) % 2 - 1), atol=1e-4)
    assert network.sizes == (1, teeth, 2) and counted(network, 0.0, 1.0) == teeth
    most = width / teeth / 3
    bound = network_bound(network, 2, 1 / width, sides=[width, 1.0])
    assert bound == network_bound([teeth], 2, 1 / width, sides=[width, 1.0])
    assert bound == pytest.approx(length_bound((teeth + 1) * (1 + width), 2, 1 / width), rel=1e-12)
    assert (0.64 if teeth == 8 else 0.7) * most < bound < most


@pytest.mark.sweep(1)
@pytest.mark.parametrize("sizes", [(1, 2, 2), (1, 3, 2), (1, 2, 2, 2), (1, 4, 4, 2)])
def test_no_network_is_nearer(sizes):
    # Exact transport from networks, fitted to the square in the mean and the spread, to its uniform law.
    ticks = (np.arange(20) + 0.5) / 20
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    errors = []
    for seed in range(20):
        points = evaluate(random_network(np.random.default_rng(seed), sizes), (np.arange(400) + 0.5) / 400).T
        points = 0.5 + (points - points.mean(axis=0)) / (points.std(axis=0) + 1e-9) / math.sqrt(12)
        errors.append(ot.emd2([], [], np.linalg.norm(points[:, None] - grid, axis=-1)))
    assert network_bound(sizes[1:-1], 2) < min(errors) + 0.3826 / 20


def test_the_box_of_a_law_is_that_of_its_cells():
    law = GridMeasure([[1, 0], [2, 0]], [1.0, 1.0], [0.0, 0.0], [4.0, 8.0], (4, 8))
    assert network_bound([5], law=law) == pytest.approx(length_bound(6 * 3.0, 2, 0.5), rel=1e-6)
    assert network_bound([5], law=law) == pytest.approx(network_bound([5], 2, 0.5, sides=[2.0, 1.0]), rel=1e-6)
    assert network_bound([5], law=GridMeasure.from_samples(np.ones((3, 2)), 3)) == 0


def test_a_generator_counts_as_its_network():
    g = MLPGenerator(dim=2, source_dim=1, width=6, depth=3, key=jr.key(0))
    assert pieces(g) == pieces(g.network()) == 49
    assert network_bound(g, 2) == network_bound([6, 6], 2) == pytest.approx(length_bound(98.0, 2), rel=1e-12)
    # What the weights are in fact is never more.
    assert length_bound(curve_length(g), 2) >= network_bound(g, 2) or curve_length(g) > 98


def test_bad_input():
    with pytest.raises(ValueError, match="source_dim = 2"):
        pieces(MLPGenerator(dim=2, source_dim=2, width=6, depth=3, key=jr.key(0)))
    with pytest.raises(ValueError, match="one input, a curve; got 2 inputs"):
        network_bound(relu.affine([[1.0, 2.0]]), 1)
    with pytest.raises(ValueError, match=r"network\[1\] must be at least 1"):
        pieces([3, 0])
    with pytest.raises(TypeError, match=r"network\[0\] must be an integer"):
        pieces([2.5])
    with pytest.raises(TypeError, match="must be a ReLUNetwork"):
        pieces("wide")
    for sides in ([1.0], [1.0, 0.0], [1.0, math.inf]):
        with pytest.raises(ValueError, match="sides must be 2 positive"):
            network_bound([3], 2, sides=sides)
    with pytest.raises(ValueError, match="sides are those of the law"):
        network_bound([3], sides=[1.0, 1.0], law=GridMeasure.from_histogram([[1.0]]))
    with pytest.raises(ValueError, match="dim is missing"):
        network_bound([3])
