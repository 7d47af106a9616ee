"""The generators as ReLU networks: the same map, but on a set of u whose measure is bounded."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.curves import levels_for
from jaxgen.generators import IndependentGenerator, PeanoGenerator, SawtoothGenerator
from jaxgen.measures import GridMeasure, QuantizedMeasure


def evaluate(network, inputs):
    """The network on a batch `(n, in)` by SciPy's products, which need no compilation."""
    x = np.asarray(inputs, float).T
    *hidden, last = network.layers_as_scipy()
    for weight, bias in hidden:
        x = np.maximum(weight @ x + bias[:, None], 0)
    return (last[0] @ x + last[1][:, None]).T


def measure(dim, seed, labels=None):
    """Zeros, empty rows, unequal boxes and resolutions."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(2, 5, dim))
    filled = rng.random(((labels or 1), *shape)) < 0.6
    if dim > 1:
        filled[:, rng.integers(shape[0])] = False
    filled.reshape(len(filled), -1)[:, -1] = True
    cells = np.argwhere(filled)
    counts = rng.integers(1, 20, len(cells))
    names = None if labels is None else tuple("abc"[:labels])
    low, high = rng.uniform(-3, 0, dim), rng.uniform(1, 9, dim)
    return QuantizedMeasure(cells[:, 1:], counts, low, high, shape, None if labels is None else cells[:, 0], names)


def reach(generator):
    """Sides of the box that the network stays in, ramps included: for Peano, that of the whole curve."""
    measure = generator.measure
    cells = 3 ** levels_for(measure.resolution) if isinstance(generator, PeanoGenerator) else measure.resolution
    return np.asarray(measure.cell_sides, float) * cells


def differ(generator, ramps, n, conditions=(None,)):
    """For each ramp width the share of sources, stratified if single, at which network and kernel differ."""
    rng = np.random.default_rng(0)
    u = rng.random((n, generator.source_dim))
    if generator.source_dim == 1:
        u[:, 0] = (np.arange(n) + u[:, 0]) / n
    low, sides = np.asarray(generator.measure.low), reach(generator)
    networks = [generator.network(ramp) for ramp in ramps]
    wrong = np.zeros((len(ramps), len(conditions)))
    for j, condition in enumerate(conditions):
        x = np.asarray(jax.jit(jax.vmap(lambda v, c=condition: generator(v, c)))(jnp.asarray(u)))
        # What goes in: a one-hot label, where there are labels, and the source.
        hot = [] if generator.vocabulary is None else np.array(generator.vocabulary) == condition
        for i, network in enumerate(networks):
            y = evaluate(network, np.concatenate([np.broadcast_to(hot, (n, len(hot))), u], axis=1))
            assert np.all(y >= low - 1e-9) and np.all(y <= low + sides + 1e-9)
            wrong[i, j] = np.mean(np.abs(x - y).max(axis=1) > 1e-10 * sides.max())
    return wrong.mean(axis=1)


CASES = [
    (SawtoothGenerator, 1, 0, 0),
    (SawtoothGenerator, 2, 1, 0),
    (SawtoothGenerator, 2, 2, 1),
    (SawtoothGenerator, 2, 3, 3),
    (SawtoothGenerator, 3, 4, 2),
    (SawtoothGenerator, 3, 5, 0),
    (PeanoGenerator, 1, 6, 2),
    (PeanoGenerator, 2, 7, 0),
    (PeanoGenerator, 2, 8, 2),
    (PeanoGenerator, 3, 9, 1),
    (IndependentGenerator, 1, 10, None),
    (IndependentGenerator, 2, 11, None),
    (IndependentGenerator, 3, 12, None),
]


@pytest.mark.parametrize("kind, dim, seed, depth", CASES)
def test_network_is_the_kernel_but_for_ramps(kind, dim, seed, depth, x64):
    g = kind(measure(dim, seed), *([] if depth is None else [depth]))
    n, ramps = 4000, (2.0**-7, 2.0**-24)
    shares = differ(g, ramps, n)
    for share, ramp in zip(shares, ramps, strict=True):
        bound = g.ramp_measure(ramp)
        # Stratified: each of fewer than 60 ramps can count one more u than its length. Independent: 5 deviations.
        slack = 60 / n if g.source_dim == 1 else 5 * np.sqrt(bound / n)
        assert share <= bound + (slack if ramp > 2.0**-20 else 0)
        assert bound < 60 * 4 * ramp
    # The bound is no idle one: where there are jumps or branches, wide ramps show.
    assert dim == 1 or shares[0] > shares[1]


@pytest.mark.parametrize(
    "kind, dim, seed", [(SawtoothGenerator, 2, 1), (PeanoGenerator, 2, 2), (IndependentGenerator, 2, 3)]
)
def test_networks_with_labels(kind, dim, seed, x64):
    g = kind(measure(dim, seed, labels=3))
    network = g.network()
    assert network.in_size == 3 + g.source_dim and network.out_size == dim
    assert differ(g, [2.0**-24], 1000, conditions="abc")[0] <= 0.002


def test_certificates_name_the_ramps():
    for kind in (SawtoothGenerator, PeanoGenerator, IndependentGenerator):
        g = kind(measure(2, 1))
        plain, ramped = g.certificate(), g.certificate(ramp=1e-3)
        diameter = np.linalg.norm(reach(g))
        wrong = g.ramp_measure(1e-3)
        np.testing.assert_allclose(ramped.parts["ramps"], [wrong * diameter, np.sqrt(wrong) * diameter])
        np.testing.assert_allclose(ramped.w1 - plain.w1, wrong * diameter)
        np.testing.assert_allclose(ramped.w2 - plain.w2, np.sqrt(wrong) * diameter)
        assert g.ramp_measure(0.999) <= 1


@pytest.mark.parametrize("n", [2, 5, 9])
@pytest.mark.parametrize("dim, folds", [(1, 3), (2, 1), (2, 6), (3, 4)])
def test_sawtooth_counts(n, dim, folds):
    """Depth (d - 1) s + 3, connectivity O(n^d + s n^(d-1)): theory, section 3."""
    full = GridMeasure.from_histogram(np.ones((n,) * dim))
    network = SawtoothGenerator(full, folds).network()
    assert network.depth == (dim - 1) * max(folds, 1) + 3
    assert network.connectivity <= 12 * n**dim + 15 * folds * n ** (dim - 1) + 20 * dim**2 * (folds + 1) + 20


@pytest.mark.parametrize("dim, levels, extra", [(2, 1, 0), (2, 2, 2), (3, 1, 2), (6, 1, 1), (2, 3, 1)])
def test_peano_counts(dim, levels, extra):
    """Connectivity O(cells + (d K)^2): theory, section 4."""
    rng = np.random.default_rng(0)
    cells = np.unique(rng.integers(0, 3**levels, (40, dim)), axis=0)
    g = PeanoGenerator(QuantizedMeasure(cells, np.ones(len(cells), int), 0, 1, 3**levels), extra)
    network = g.network(ramp=2.0**-4)
    waves = dim * (levels + extra)
    assert network.depth <= 3 + waves + levels + extra + 3
    assert network.connectivity <= 10 * len(cells) + 31 * waves**2 + dim


def test_a_million_cells_are_never_formed():
    """A network of 64 inputs' worth of curve: connectivity by occupied cells and (d K)^2."""
    rng = np.random.default_rng(1)
    cells = rng.integers(0, 9, (30, 64))
    g = PeanoGenerator(QuantizedMeasure(cells, np.ones(30, int), 0, 9, 9), 0)
    with jax.enable_x64(True):
        network = g.network(ramp=0.5)
    assert network.connectivity < 10 * 30 + 31 * 128**2 and network.out_size == 64
    with pytest.raises(ValueError, match="too large for float32"):
        g.network(ramp=0.5)


@pytest.mark.parametrize("ramp", [0, 1, -0.5, np.nan, 2])
def test_bad_ramps(ramp):
    for kind in (SawtoothGenerator, PeanoGenerator, IndependentGenerator):
        g = kind(measure(2, 1))
        for use in (g.network, g.ramp_measure, lambda r, g=g: g.certificate(ramp=r)):
            with pytest.raises(ValueError, match="ramp, the width"):
                use(ramp)


def test_the_skeleton_of_a_peano_network_has_its_counts():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 40)
    for dim, resolution, extra, some in ((1, 7, 1, None), (2, 5, 2, None), (2, 9, 0, labels), (3, 3, 1, None)):
        g = PeanoGenerator(GridMeasure.from_samples(rng.random((40, dim)), resolution, labels=some), extra)
        network, skeleton = g.network(), g.skeleton()
        assert skeleton.sizes == network.sizes
        assert skeleton.connectivity == network.connectivity


def test_the_skeleton_counts_where_weights_fit_no_float():
    rng = np.random.default_rng(1)
    g = PeanoGenerator(GridMeasure.from_samples(rng.integers(0, 17, (50, 300)), 17, low=-0.5, high=16.5), 0)
    with pytest.raises(ValueError, match="too large"):
        g.network()
    assert g.skeleton().depth > 300
    assert g.skeleton().out_size == 300
