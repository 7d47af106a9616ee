"""What is called eagerly is compiled once, and a new value is no new program: no loop costs seconds or memory."""

import resource
import sys

import equinox as eqx
import jax
import jax.monitoring
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jaxgen as jg

programs = 0


def _count(name: str, *_, **__) -> None:
    global programs
    programs += "backend_compile" in name or "jaxpr_trace" in name


jax.monitoring.register_event_duration_secs_listener(_count)


class Flat:
    """A block in which nothing is traced or compiled, but for `most` programs, and memory stays where it is.

    The peak is what is measured, so that the loop of a leak of one program a call (0.1 MB or more) shows.
    """

    def __init__(self, name: str, most: int = 0, megabytes: float = 8):
        self.name, self.most, self.megabytes = name, most, megabytes

    def __enter__(self):
        self.programs, self.peak = programs, _peak()

    def __exit__(self, kind, *_):
        if kind is None:
            assert programs - self.programs <= self.most, f"{self.name}: {programs - self.programs} new programs"
            assert _peak() - self.peak < self.megabytes, f"{self.name}: {_peak() - self.peak:.0f} MB more"


def _peak() -> float:
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


@pytest.fixture
def points():
    return np.random.default_rng(0).normal(size=(300, 2))


def _generators(points):
    measure = jg.GridMeasure.from_samples(points, 9)
    yield jg.CurveGenerator(measure)
    yield jg.CurveGenerator(jg.LeafMeasure(points[:9], 1.0, np.ones(9)))
    yield jg.SawtoothGenerator(measure)
    yield jg.IndependentGenerator(measure)
    yield jg.CodebookGenerator(points[:20])
    yield jg.MLPGenerator(2, key=jr.key(0))


def test_the_counter_counts():
    before = programs
    jax.jit(lambda x: x + len("a program that nothing else has"))(0.0)
    assert programs >= before + 2


@pytest.mark.slow
def test_a_loop_of_calls_compiles_nothing_new(points):
    for g in _generators(points):
        u = np.random.default_rng(1).uniform(size=(200, g.source_dim)).astype(np.float32)
        g(u[0])
        with Flat(type(g).__name__):
            for value in u:
                g(value)


@pytest.mark.slow
def test_a_gridded_condition_compiles_nothing_new(points):
    c = np.random.default_rng(2).uniform(size=len(points))
    g = jg.GriddedCondition.from_samples(c, points, condition_resolution=4, resolution=9)
    g(np.float32(0.5), np.float32(0.1))
    g.sample(jr.key(0), 5, 0.5)
    with Flat("GriddedCondition"):
        for i in range(200):
            g(np.float32(i / 200), np.float32(0.3))
            g.sample(jr.key(0), 5, i / 200)


@pytest.mark.slow
def test_networks_compile_nothing_new(points):
    measure = jg.GridMeasure.from_samples(points, 4)
    network = jg.PeanoGenerator(measure, 1).network()
    network(np.float32(0.5))
    with Flat("network"):
        for i in range(200):
            network(np.float32(i / 200))


@pytest.mark.slow
def test_measures_compile_nothing_new(points):
    labels = np.repeat(["a", "b"], 150)
    grid = jg.GridMeasure.from_samples(points, 9, labels=labels)
    leaves = jg.LeafMeasure(points[:20], 1.0, np.ones(20), np.repeat([0, 1], 10), ("a", "b"))
    for measure in (grid, grid.quantize(1000), leaves, leaves.quantize(1000)):

        def use(i, m=measure):
            m.log_prob(points[i] / 2)
            m.log_prob(points[i] / 2, "ab"[i % 2])
            m.sample(jr.key(i), 5)
            m.mean(), m.variance(), m.proven("rounding")

        use(0)
        with Flat(type(measure).__name__):
            for i in range(200):
                use(i)


@pytest.mark.slow
def test_distances_compile_nothing_new(points):
    clouds = [points[:20] + i / 100 for i in range(200)]
    jg.wasserstein(clouds[0], clouds[1])
    jg.sinkhorn_divergence(clouds[0], clouds[1])
    with Flat("distances"):
        for y in clouds:
            jg.wasserstein(clouds[0], y)
            jg.sinkhorn_divergence(clouds[0], y)


def _measure(seed, quanta=1000, low=0.0, high=1.0):
    """Of one shape: all cells of a grid, with masses, a box and quanta of its own."""
    masses = np.random.default_rng(seed).uniform(1, 2, (4, 4))
    return jg.GridMeasure.from_histogram(masses, low=low, high=high).quantize(quanta)


def _atoms(seed):
    return np.random.default_rng(seed).normal(size=(16, 2))


MAKERS = {
    "line": lambda m, seed: jg.CurveGenerator(m, path="line"),
    "diagonal": lambda m, seed: jg.CurveGenerator(m, path="diagonal"),
    "centre": lambda m, seed: jg.CurveGenerator(m, path="centre"),
    "Hilbert": lambda m, seed: jg.CurveGenerator(m, curve=jg.HilbertCurve()),
    "sawtooth": lambda m, seed: jg.SawtoothGenerator(m),
    "serpentine": lambda m, seed: jg.SawtoothGenerator(m, path="serpentine"),
    "independent": lambda m, seed: jg.IndependentGenerator(m),
    "codebook": lambda m, seed: jg.CodebookGenerator(_atoms(seed)),
    "leaves": lambda m, seed: jg.CurveGenerator(
        jg.LeafMeasure(_atoms(seed), np.abs(_atoms(seed + 9)), np.arange(1, 17.0)).quantize(1000 + seed)
    ),
}


@pytest.mark.sweep(1)
@pytest.mark.parametrize("name", list(MAKERS))
def test_values_are_not_structure(name):
    make = MAKERS[name]
    first = make(_measure(0), 0)
    # Other masses; other quanta, of digits of the same size; another box, longer on another axis.
    others = [make(_measure(1), 1), make(_measure(2, 60_000), 2), make(_measure(3, 1000, -2.0, [7.0, 5.0]), 3)]
    u = np.full(first.source_dim, 0.3, np.float32)
    x = np.asarray(first.sample(jr.key(0), 200))
    first(u)
    with Flat(name):
        for g in others:
            g(u)
            y = np.asarray(g.sample(jr.key(0), 200))
            assert not np.array_equal(x, y)
            # Another key, and another n of the same padded size, 256.
            np.testing.assert_array_equal(y[:197], g.sample(jr.key(0), 197))
            assert g.sample(jr.key(1), 256).shape == (256, 2)
    # More quanta than digits of 16 bits have room for are another program: the block above can fail.
    if name in ("line", "sawtooth", "independent"):
        before = programs
        make(_measure(0, 1 << 20), 0).sample(jr.key(0), 200)
        assert programs > before


@pytest.mark.sweep(1)
@pytest.mark.parametrize("name", ["peano", "tree", "sawtooth", "independent", "codebook"])
def test_measures_of_one_padded_size_are_one_program(name, points):
    def make(m):
        if name == "codebook":
            return jg.CodebookGenerator(points[:m])
        if name == "tree":
            return jg.LeafMeasure(points[:m], np.abs(points[:m]), np.arange(1, m + 1)).generator()
        measure = jg.QuantizedMeasure(np.stack([np.arange(m), np.arange(m) % 7], axis=1), np.arange(1, m + 1), 0, 1, m)
        kinds = {"peano": jg.PeanoGenerator, "sawtooth": jg.SawtoothGenerator, "independent": jg.IndependentGenerator}
        return kinds[name](measure)

    others = [make(m) for m in (66, 80, 95)]  # padded to 96, with a root
    u = np.full(others[0].source_dim, 0.3, np.float32)
    make(70).sample(jr.key(0), 100), make(70)(u)
    with Flat(name):
        for g in others:
            g.sample(jr.key(0), 100), g(u)


def test_a_kernel_is_remembered_for_the_very_same_arrays_only(points):
    for g in _generators(points):
        assert g.kernel() is g.kernel()
    g = jg.CurveGenerator(jg.LeafMeasure(points[:9], 1.0, np.arange(1, 10)))
    before, u = g.kernel(), np.float32(0.3)
    moved = eqx.tree_at(lambda g: g.measure.low_corners, g, np.asarray(g.measure.low_corners) + 5)
    np.testing.assert_allclose(moved(u), g(u) + 5, atol=1e-5)
    heavier = eqx.tree_at(lambda g: g.measure.counts, g, g.measure.counts[::-1])
    assert not np.array_equal(heavier.kernel().tree.start, before.tree.start)
    np.testing.assert_array_equal(g.kernel().tree.start, before.tree.start)


@pytest.mark.slow
def test_what_is_remembered_while_a_function_is_traced_is_numbers(points):
    """Called first inside a function of its own, on arrays that are known there."""
    made = jax.jit(lambda w: jg.PeanoGenerator(jg.GridMeasure([[0, 0], [1, 1]], w, 0.0, 1.0, 2)))(
        np.float32([0.25, 0.75])
    )
    for g in (jax.tree.map(jnp.asarray, generator) for generator in (*_generators(points), made)):
        x = jax.jit(lambda u, g=g: g(u))(np.full(g.source_dim, 0.3, np.float32))
        np.testing.assert_allclose(g(np.full(g.source_dim, 0.3, np.float32)), x, rtol=1e-5, atol=1e-6)
        assert g.sample(jr.key(0), 3).shape == (3, 2)


OPTIONS = [{}, {"stratified": True}, {"condition": "a"}, {"condition": {"a": 1.0, "b": 2.0}}, {"code": 1}]


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_200_numbers_of_samples_are_a_handful_of_programs(options):
    labels = np.repeat(["a", "b"], 8)
    g = jg.CurveGenerator(jg.GridMeasure.from_samples(_atoms(0), 4, labels=labels), extra_levels=0, path="centre")
    # Batches are of 2**k or 3 * 2**k samples: here three sizes.
    sizes = [192, 256, 384]
    numbers = np.random.default_rng(0).permutation(np.arange(129, 385))[:200]
    for n in sizes:
        g.sample(jr.key(0), n, **options)
    with Flat(f"sample {options}"):
        for i, n in enumerate(numbers):
            before = programs
            assert g.sample(jr.key(0), int(n), **options).shape == (n, 2)
            assert programs == before, f"number {i}, n = {n}, is a new program"
