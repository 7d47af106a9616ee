"""The generators as ReLU networks: the same map, but on a set of u whose measure is bounded."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.curves import HilbertCurve
from jaxgen.generators import CurveGenerator, IndependentGenerator, PeanoGenerator, SawtoothGenerator
from jaxgen.measures import GridMeasure, QuantizedLeafMeasure, QuantizedMeasure


def sources(generator, n):
    """Uniform on the cube, stratified if single."""
    u = np.random.default_rng(0).random((n, generator.source_dim))
    if generator.source_dim == 1:
        u[:, 0] = (np.arange(n) + u[:, 0]) / n
    return u


def inputs(generator, u, condition=None):
    """What goes into the network: a one-hot label, where there are labels, and the source."""
    hot = [] if generator.vocabulary is None else np.array(generator.vocabulary) == condition
    return np.concatenate([np.broadcast_to(hot, (len(u), len(hot))), u], axis=1)


def check(generator, ramps, n, kernel, evaluate, condition=None):
    """The share of sources where network and kernel differ is at most what `ramp_measure` says; returns the shares."""
    u = sources(generator, n)
    low, high = (np.asarray(corner, float) for corner in (generator.measure.low, generator.measure.high))
    size = np.max(high - low)
    x, found = kernel(generator, jnp.asarray(u), condition), []
    for ramp in ramps:
        y = evaluate(generator.network(ramp), inputs(generator, u, condition))
        # The ramps go from corner to corner and from side to side, so that the network stays in the box.
        assert np.all(y >= low - 1e-9 * size) and np.all(y <= high + 1e-9 * size)
        wrong = np.mean(np.abs(x - y).max(axis=1) > 1e-10 * size)
        bound = generator.ramp_measure(ramp)
        # A binomial share, and no less sure a stratified one: five deviations. For narrow ramps that is no u at all.
        assert wrong <= bound + 5 * np.sqrt(bound / n)
        found.append(wrong)
    return found


CASES = [
    (SawtoothGenerator, 2, 1, [0]),
    (SawtoothGenerator, 3, 4, [2]),
    (SawtoothGenerator, 3, 5, [0]),
    (SawtoothGenerator, 2, 1, [3, "serpentine"]),
    (SawtoothGenerator, 3, 4, [2, "serpentine", (2, 0, 1)]),
    (SawtoothGenerator, 3, 5, [0, "serpentine", (1, 2, 0)]),
    (PeanoGenerator, 1, 6, [2]),
    (PeanoGenerator, 2, 7, [0]),
    (PeanoGenerator, 2, 8, [2]),
    (PeanoGenerator, 3, 9, [1]),
    (PeanoGenerator, 2, 8, [1, "diagonal"]),
    (PeanoGenerator, 3, 9, [1, "centre"]),
    (CurveGenerator, 2, 8, [0, "line", HilbertCurve()]),
    (IndependentGenerator, 2, 11, []),
    (IndependentGenerator, 3, 12, []),
]


@pytest.mark.sweep(1)
@pytest.mark.parametrize("kind, dim, seed, options", CASES)
def test_network_is_the_kernel_but_for_ramps(kind, dim, seed, options, x64, grid_measure, kernel, evaluate):
    g = kind(grid_measure(dim, seed), *options)
    wide, narrow = check(g, (2.0**-7, 2.0**-30), 2000, kernel, evaluate)
    # The bound is no idle one: where there are jumps or branches, wide ramps show, and narrow ones do not.
    assert narrow == 0 and (dim == 1 or wide > 0)


@pytest.mark.sweep(2)
@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("levels", [0, 1, 2])
def test_leaves_of_different_sizes(dim, levels, x64, leaf_measure, kernel, evaluate):
    g = leaf_measure(dim).generator(extra_levels=levels)
    wide, narrow = check(g, (2.0**-7, 2.0**-30), 1000, kernel, evaluate)
    assert narrow == 0 < wide


@pytest.mark.sweep(1)
@pytest.mark.parametrize("path", ["line", "diagonal", "centre"])
def test_leaves_of_different_sizes_in_single_precision(path, leaf_measure, kernel, evaluate):
    g, n, ramp = leaf_measure(2).generator(extra_levels=1, path=path), 1000, 2.0**-10
    u = np.float32(sources(g, n))
    x, y = kernel(g, u), evaluate(g.network(ramp), u, np.float32)
    # u is off by 2**-24, the position in a leaf by 1/p of that, and after two waves by 9/p.
    rounding = 8 * 2.0**-24 * (9 * g.measure.quanta / int(g.measure.counts.min()) + 4)
    bound = g.ramp_measure(ramp)
    assert np.mean(np.abs(x - y).max(axis=1) > rounding) <= bound + 5 * np.sqrt(bound / n)
    assert rounding < 2e-3


def test_leaves_of_equal_and_of_no_sides(x64, kernel, evaluate):
    corners = np.random.default_rng(0).uniform(-2, 2, (6, 2))
    for sides in (0.0, 0.5, [[0.5, 0.0]]):
        g = QuantizedLeafMeasure(corners, sides, [1, 2, 3, 4, 5, 6]).generator(extra_levels=1)
        assert check(g, (2.0**-30,), 500, kernel, evaluate) == [0]
    one = QuantizedLeafMeasure(corners[:1], 0.5, [3]).generator(extra_levels=0)
    assert one.ramp_measure(0.1) == 0 and check(one, (0.1,), 50, kernel, evaluate) == [0]


def serpentine(measure):
    return SawtoothGenerator(measure, 2, "serpentine", (1, 0))


@pytest.mark.sweep(1)
@pytest.mark.parametrize(
    "kind, seed", [(SawtoothGenerator, 1), (serpentine, 1), (PeanoGenerator, 2), (IndependentGenerator, 3)]
)
def test_networks_with_labels(kind, seed, x64, grid_measure, kernel, evaluate):
    g = kind(grid_measure(2, seed, labels=3))
    network = g.network()
    assert network.in_size == 3 + g.source_dim and network.out_size == 2
    for label in "abc":
        check(g, (2.0**-7, 2.0**-30), 1000, kernel, evaluate, label)


def test_leaves_with_labels(x64, leaf_measure, kernel, evaluate):
    g = leaf_measure(2, labels=3).generator(extra_levels=1)
    for label in "abc":
        check(g, (2.0**-7, 2.0**-30), 500, kernel, evaluate, label)


def test_certificates_name_the_ramps(grid_measure, leaf_measure):
    measure = grid_measure(2, 1)
    for g in (*(kind(measure) for kind in (SawtoothGenerator, PeanoGenerator, IndependentGenerator)),
              leaf_measure(2).generator()):  # fmt: skip
        plain, ramped = g.certificate(), g.certificate(ramp=1e-3)
        diameter = np.linalg.norm(np.asarray(g.measure.high, float) - np.asarray(g.measure.low, float))
        wrong = g.ramp_measure(1e-3)
        np.testing.assert_allclose(ramped.parts["ramps"], [wrong * diameter, np.sqrt(wrong) * diameter])
        # All the rest but the floats, which a network has others of.
        apart = [np.array([c.w1, c.w2]) - c.parts.get("float", (0.0, 0.0)) for c in (plain, ramped)]
        np.testing.assert_allclose(apart[1] - apart[0], ramped.parts["ramps"], rtol=1e-6)
        assert g.ramp_measure(0.999) <= 1


@pytest.mark.sweep(5)
@pytest.mark.parametrize("n", [2, 5, 9])
@pytest.mark.parametrize("dim, folds", [(1, 3), (2, 1), (2, 6), (3, 4)])
def test_sawtooth_counts(n, dim, folds):
    """Depth (d - 1) s + 3, connectivity O(n^d + s n^(d-1)): theory, section 3."""
    size = SawtoothGenerator(GridMeasure.from_histogram(np.ones((n,) * dim)), folds).size()
    assert size.depth == (dim - 1) * max(folds, 1) + 3
    assert size.connectivity <= 12 * n**dim + 15 * folds * n ** (dim - 1) + 20 * dim**2 * (folds + 1) + 20


@pytest.mark.parametrize("n, dim, folds", [(2, 2, 0), (8, 2, 6), (9, 3, 1), (4, 4, 3)])
def test_serpentine_counts(n, dim, folds):
    """`ceil(log2 n) + 2` layers more than the zigzag, and neurons that do not grow with the cells."""
    measure = GridMeasure.from_histogram(np.ones((n,) * dim))
    zigzag, serpentine = (SawtoothGenerator(measure, folds, path).size() for path in ("zigzag", "serpentine"))
    levels = (n - 1).bit_length()
    assert serpentine.depth - zigzag.depth == levels + 2 - (folds == 0)
    # Two waves and the coordinate a level, a clip, four weights a bin to enter, and what is passed on meanwhile.
    each, bins = 11 * (levels + folds) + 12, sum(n**k for k in range(1, dim))
    passed_on = dim * (levels + folds + 5)
    assert serpentine.connectivity - zigzag.connectivity <= (dim - 1) * each + 4 * bins + passed_on
    assert serpentine.width - zigzag.width <= 5 * (dim - 1)


@pytest.mark.sweep(2)
@pytest.mark.parametrize("dim, levels, extra", [(2, 1, 0), (2, 3, 2), (3, 1, 2), (6, 1, 1), (64, 2, 0), (64, 2, 1)])
def test_curve_counts(dim, levels, extra):
    """Depth O(d s), connectivity O(d m + (d s)^2), whatever the levels that lead to the cells: theory, section 4."""
    cells = np.unique(np.random.default_rng(0).integers(0, 3**levels, (40, dim)), axis=0)
    g = PeanoGenerator(QuantizedMeasure(cells, np.ones(len(cells), int), 0, 1, 3**levels), extra)
    ramp = 2.0**-4
    network, waves = g.network(ramp), dim * extra
    # Two layers find the leaf, one adds up, one turns the path round; the curve takes a layer a wave and three a level.
    assert network.depth <= 5 + waves + 3 * extra
    assert network.connectivity <= (2 * dim + 12) * len(cells) + 31 * waves**2 + 40 * dim
    # Weights of ordinary size, in any dimension.
    assert network.weight_magnitude <= 4 * max(3**levels, len(cells) / ramp, 3**extra / ramp)
    assert g.size() == (g.network().depth, g.network().width, g.network().connectivity)


def test_a_curve_without_a_network():
    g = CurveGenerator(GridMeasure.from_histogram([[1, 2], [0, 1]]), 1, curve=HilbertCurve())
    with pytest.raises(NotImplementedError, match=r"Use extra_levels=0"):
        g.network()
    assert g.size() is None


@pytest.fixture(scope="module")
def digits():
    """256 pictures of 64 pixels, in four labels of equal mass: all masses and positions are dyadic."""
    images = pytest.importorskip("sklearn.datasets").load_digits().data
    points = np.unique(images, axis=0)[:256]
    return GridMeasure.from_samples(points, 17, low=-0.5, high=16.5, labels=np.arange(256) % 4)


@pytest.mark.slow
@pytest.mark.parametrize("path, levels", [("line", 0), ("centre", 0), ("line", 1), ("centre", 1)])
def test_sixty_four_dimensions(digits, path, levels, x64, evaluate):
    """At u = j 2**-20 of a leaf all waves are multiples of 2**-20, so that the network knows every digit that matters.

    A u that is a float in general is known to 53 bits, of which the network makes 33 digits; the kernel is exact.
    """
    g, ramp, n = PeanoGenerator(digits, levels, path), 2.0**-6, 200
    assert g.measure.quanta == 256 and g.dim == 64
    rng = np.random.default_rng(1)
    # u of the joint law: the number of the leaf, and the position in it.
    leaf, inside = rng.integers(0, 256, n), rng.integers(0, 2**20, n)
    words = np.zeros((n, 1, g.source_words), np.uint32)
    words[:, 0, 0] = leaf << 24 | inside << 4
    x, codes = jax.jit(jax.vmap(lambda w: g.push(w, None)))(jnp.asarray(words))
    # The network reads the label, and u inside the label, a quarter of the mass.
    hot, u = np.eye(4)[np.asarray(codes)], (leaf % 64 + inside * 2.0**-20) / 64
    np.testing.assert_array_equal(np.asarray(codes), leaf // 64)
    network = g.network(ramp)
    y = evaluate(network, np.column_stack([hot, u]))
    wrong = np.abs(np.asarray(x) - y).max(axis=1) > 1e-9
    # Off the ramps of the leaf: the first and the last `ramp` of it. The waves have ramps of their own.
    position = inside * 2.0**-20
    clear = (position >= ramp) & (position < 1 - ramp)
    if levels == 0:
        assert not np.any(wrong & clear) and clear.sum() > n / 2
    else:
        bound = g.ramp_measure(2.0**-24)
        fine = evaluate(g.network(2.0**-24), np.column_stack([hot, u]))
        off = np.abs(np.asarray(x) - fine).max(axis=1) > 1e-9
        assert off.mean() <= bound + 5 * np.sqrt(bound / n)
    assert wrong.any() or path == "centre"
    assert network.out_size == 64 and network.weight_magnitude < 2**20
    # Without labels, the same leaves.
    assert PeanoGenerator(digits.given(2), levels, path).network(ramp).in_size == 1


@pytest.mark.parametrize("ramp", [0, 1, -0.5, np.nan, 2])
def test_bad_ramps(ramp, grid_measure):
    measure = grid_measure(2, 1)
    for kind in (SawtoothGenerator, PeanoGenerator, IndependentGenerator):
        g = kind(measure)
        for use in (g.network, g.ramp_measure, lambda r, g=g: g.certificate(ramp=r)):
            with pytest.raises(ValueError, match="ramp, the width"):
                use(ramp)


@pytest.mark.sweep(1)
@pytest.mark.parametrize(
    "make",
    [
        lambda m: SawtoothGenerator(m, 0),  # each branch dies in the last `ramp` of its bin
        lambda m: SawtoothGenerator(m, 1, "serpentine"),  # at either end of every second dyadic interval
        # At either end of every second bin, where most of the mass is.
        lambda m: SawtoothGenerator(
            GridMeasure.from_histogram(np.outer([1, 1, *[50, 1] * 3], np.ones(8))), 0, "serpentine"
        ),
        IndependentGenerator,  # steps take the first `ramp` of each bin
        lambda m: PeanoGenerator(m, 0),  # steps and falls, at either end of each leaf but the first and the last
    ],
    ids=["sawtooth", "serpentine", "serpentine without folds", "independent", "Peano"],
)
def test_the_measure_of_the_ramps_is_nearly_attained(x64, make, kernel, evaluate):
    g, ramp, n = make(GridMeasure.from_histogram(np.ones((8, 8), int))), 0.125, 128**2
    at = (np.arange(n) + 0.5) / n if g.source_dim == 1 else (np.indices((128, 128)).reshape(2, -1).T + 0.5) / 128
    u = np.reshape(at, (n, g.source_dim))
    wrong = np.mean(np.abs(kernel(g, jnp.asarray(u), None) - evaluate(g.network(ramp), u)).max(axis=1) > 1e-10)
    assert 0.9 * g.ramp_measure(ramp) < wrong <= g.ramp_measure(ramp)
