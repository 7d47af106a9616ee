"""Samples: reproducible, in chunks, stratified, in both precisions; and what the source must hold."""

import functools as ft
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from jaxgen.generators import IndependentGenerator, PeanoGenerator, SawtoothGenerator
from jaxgen.measures import GridMeasure, QuantizedMeasure

KEY = jr.key(11)


def bump(n=9):
    """A non-uniform law on the square, in 2**12 quanta."""
    return _bump(n, bool(jax.config.jax_enable_x64))


@ft.cache
def _bump(n, _precision):
    density = lambda x: jnp.exp(-8 * (x[0] - 0.3) ** 2 - 4 * (x[1] - 0.7) ** 2)  # noqa: E731  (a density of one line)
    return GridMeasure.from_density(density, (n, n)).quantize(2**12)


def cell_counts(measure, x):
    side = np.asarray(measure.cell_sides, float)
    cells = np.floor((np.asarray(x, float) - np.asarray(measure.low, float)) / side).astype(int)
    counts = np.zeros(measure.resolution, int)
    np.add.at(counts, tuple(cells.T), 1)
    return counts[tuple(np.asarray(measure.cells).T)], counts.sum()


GENERATORS = {
    "sawtooth": lambda: SawtoothGenerator(bump(), 4),
    "serpentine": lambda: SawtoothGenerator(bump(), 4, "serpentine", (1, 0)),
    "peano": lambda: PeanoGenerator(bump(), 2),
    "independent": lambda: IndependentGenerator(bump()),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["serpentine", "peano", "independent"])
def test_streams_are_samples_bit_for_bit(kind):
    g, n = GENERATORS[kind](), 30
    x = np.asarray(g.sample(KEY, n))
    assert x.shape == (n, 2) and x.dtype == np.float32
    parts = list(g.stream(KEY, n, chunk_size=20))
    assert [len(part) for part in parts] == [20, 10]
    np.testing.assert_array_equal(np.concatenate(parts), x)
    np.testing.assert_array_equal(np.concatenate(list(g.stream(KEY, n))), x)
    # Point i is a function of the key and of i alone.
    np.testing.assert_array_equal(g.sample(KEY, 20), x[:20])
    assert not np.array_equal(g.sample(jr.key(12), 20), x[:20])


@pytest.mark.slow
def test_chunks_of_bounded_memory_change_nothing(monkeypatch):
    g = GENERATORS["peano"]()
    x = g.sample(KEY, 31)
    monkeypatch.setattr("jaxgen.generators._base._CHUNK_NUMBERS", 9 * (g.dim + g.source_dim * g.source_words))
    # The chunk is a power of two.
    assert [len(part) for part in g.stream(KEY, 20)] == [8, 8, 4]
    np.testing.assert_array_equal(g.sample(KEY, 31), x)


def test_stratified_streams():
    g = GENERATORS["peano"]()
    x = g.sample(KEY, 30, stratified=True)
    np.testing.assert_array_equal(np.concatenate(list(g.stream(KEY, 30, stratified=True, chunk_size=10))), x)


@pytest.mark.sweep(1)
@pytest.mark.parametrize("kind", ["sawtooth", "peano"])
@pytest.mark.parametrize("n", [1000, 2**13])
def test_stratified_samples_reproduce_the_masses(kind, n):
    g = GENERATORS[kind]()
    counts, inside = cell_counts(g.measure, g.sample(KEY, n, stratified=True))
    assert counts.sum() == inside == n
    error = np.abs(counts / n - np.asarray(g.measure.masses, float))
    if kind == "peano":
        # A cell is one interval of u, of which each end splits one stratum.
        assert error.max() < 2 / n
        if n % g.measure.quanta == 0:
            assert error.max() == 0
    else:
        # The bin of x_1 is 2^s dyadic intervals, each of which holds one interval of every bin of x_2; in the turning
        # points, where two of them meet, they are one.
        assert error.max() <= 2 * 2**g.folds / n


def test_every_stratum_holds_one_source():
    line = QuantizedMeasure([[0]], [1], 0.0, 1.0, 1)
    g, n = PeanoGenerator(line, 0), 777
    x = np.asarray(g.sample(KEY, n, stratified=True), float)[:, 0]
    np.testing.assert_array_equal(np.floor(x * n), np.arange(n))
    offsets = x * n % 1
    # Kolmogorov-Smirnov: P(sup > 2 / sqrt(n)) < 7e-4.
    assert np.abs(np.sort(offsets) - (np.arange(n) + 0.5) / n).max() < 2 / math.sqrt(n)


@pytest.mark.slow
def test_stratified_sampling_is_ten_times_better_for_smooth_statistics():
    n, repeats = 1024, 40
    g = PeanoGenerator(bump(27), 3)

    def statistic(x):
        return np.mean(np.sin(3 * x[:, 0]) * np.exp(x[:, 1]))

    keys = jr.split(KEY, repeats)
    # The exact mean under the law of the measure: products of integrals over each cell.
    low = np.asarray(g.measure.cells) / 27
    sine = (np.cos(3 * low[:, 0]) - np.cos(3 * (low[:, 0] + 1 / 27))) / 3
    growth = np.exp(low[:, 1] + 1 / 27) - np.exp(low[:, 1])
    exact = np.asarray(g.measure.masses, float) @ (sine * growth) * 27**2
    rmse = {}
    for stratified in (False, True):
        values = np.array([statistic(np.asarray(g.sample(key, n, stratified=stratified), float)) for key in keys])
        rmse[stratified] = math.sqrt(np.mean((values - exact) ** 2))
    # The ratio of two such estimates from 40 repeats is known to about 16 %.
    assert rmse[False] > 10 * 1.5 * rmse[True]


@pytest.mark.slow
def test_samples_have_the_law():
    for kind, build in GENERATORS.items():
        g, n = build(), 20000
        counts, _ = cell_counts(g.measure, g.sample(KEY, n))
        p = np.asarray(g.measure.masses, float)
        rare = n * p < 5
        observed = np.append(counts[~rare], counts[rare].sum())
        expected = np.append(n * p[~rare], n * p[rare].sum())
        # Pearson's statistic; by Laurent and Massart a chi-square variable with f degrees exceeds this below exp(-12).
        f, t = len(expected) - 1, 12
        assert ((observed - expected) ** 2 / expected).sum() < f + 2 * math.sqrt(f * t) + 2 * t, kind


@pytest.mark.slow
@pytest.mark.parametrize("kind", GENERATORS)
def test_jit_vmap_precision_and_edges(kind):
    points, samples = {}, {}
    for x64 in (False, True):
        with jax.enable_x64(x64):
            g = GENERATORS[kind]()
            dtype = jnp.float64 if x64 else jnp.float32
            u = jnp.asarray([0.0, 1.0, 2.0**-126, 0.5, 0.7123], dtype)
            u = jnp.stack([u, u], axis=1) if kind == "independent" else u
            points[x64] = eqx.filter_jit(lambda g, u: jax.vmap(g)(u))(g, u)
            samples[x64] = np.asarray(g.sample(jr.key(11), 20))
            assert points[x64].shape == (5, 2) and points[x64].dtype == samples[x64].dtype == dtype
            assert np.all(points[x64] >= g.measure.low) and np.all(points[x64] <= g.measure.high)
            if not x64:
                np.testing.assert_allclose(g(u[4]), points[x64][4], rtol=1e-6)
    # The sources are the same words in both precisions.
    np.testing.assert_allclose(samples[False], samples[True], rtol=0, atol=1e-6)
    # 0.7123 is not; its rounding grows by less than 2**12 for the cell, and 2**4 or 3**2 for the rest.
    np.testing.assert_allclose(points[False][4], points[True][4], rtol=0, atol=2.0**-25 * 2**16)
    np.testing.assert_allclose(points[False][:4], points[True][:4], rtol=0, atol=1e-6)


@pytest.mark.slow
def test_floats_with_too_few_bits():
    g = PeanoGenerator(bump(), 10)
    with pytest.raises(ValueError, match=rf"float32, which holds 24 bits, but {g.float_bits} bits are needed"):
        g(jnp.float32(0.3))
    with pytest.raises(ValueError, match="24 bits"):
        eqx.filter_jit(g)(jnp.float32(0.3))
    assert g.sample(KEY, 20).shape == (20, 2) and 24 < g.float_bits <= g.source_bits
    with jax.enable_x64(True):
        assert PeanoGenerator(bump(), 10)(0.3).dtype == jnp.float64
        with pytest.raises(ValueError, match="float64, which holds 53 bits"):
            PeanoGenerator(bump(), 20)(0.3)
    with pytest.raises(ValueError, match="float32, which holds 24 bits"):
        SawtoothGenerator(bump(), 30)(0.5)
    with pytest.raises(ValueError, match="float16, which holds 11 bits"):
        PeanoGenerator(bump(), 2)(jnp.float16(0.5))


def test_bits_of_the_source():
    q = QuantizedMeasure([[0, 0], [1, 1], [2, 2]], [1, 3, 4], 0, 1, 3)
    # The rarest cell has mass 1/8: 3 bits to reach it.
    assert SawtoothGenerator(q, 5).source_bits == 3 + 5
    assert PeanoGenerator(q, 4).source_bits == math.ceil(3 + 2 * 4 * math.log2(3))
    assert IndependentGenerator(q).source_bits == 3 and IndependentGenerator(q).source_dim == 2
    assert PeanoGenerator(q, 4).source_words == math.ceil((PeanoGenerator(q, 4).source_bits + 32) / 32)


def test_sources_of_a_wrong_kind():
    g, h = GENERATORS["peano"](), GENERATORS["independent"]()
    for u in (-0.1, 1.1, np.nan):
        with pytest.raises(eqx.EquinoxRuntimeError, match=r"u must lie in \[0, 1\]"):
            jax.block_until_ready(g(u))
    for u in (jnp.zeros(2), jnp.zeros((1, 1))):
        with pytest.raises(ValueError, match="u must have shape"):
            g(u)
    with pytest.raises(ValueError, match="u must have shape"):
        h(0.5)
    for words in (jnp.zeros((2, 3), jnp.uint32), jnp.zeros((1, 0), jnp.uint32), jnp.zeros((1, 1, 1), jnp.uint32)):
        with pytest.raises(ValueError, match="uint32 words"):
            g(words)


def test_numbers_of_samples():
    g, h = GENERATORS["peano"](), GENERATORS["independent"]()
    for n, message in ((0, "n must be at least 1"), (-1, "n must be at least 1"), (2**32, "n must be at most")):
        with pytest.raises(ValueError, match=message):
            g.sample(KEY, n)
    for n in (1.0, True, "3"):
        with pytest.raises(TypeError, match="n must be an integer"):
            g.sample(KEY, n)
    np.testing.assert_array_equal(g.sample(KEY, np.int64(20)), g.sample(KEY, 20))
    with pytest.raises(ValueError, match="one source"):
        h.sample(KEY, 4, stratified=True)
    with pytest.raises(ValueError, match=r"2\*\*24"):
        g.sample(KEY, 2**24 + 1, stratified=True)
    with pytest.raises(ValueError, match="chunk_size"):
        g.stream(KEY, 4, chunk_size=-1)
    with pytest.raises(ValueError, match="chunk_size"):
        g.stream(KEY, 4, chunk_size=0)
    with pytest.raises(ValueError, match="labels"):
        g.sample(KEY, 20, return_labels=True)


@pytest.mark.parametrize("build, name", [(SawtoothGenerator, "folds"), (PeanoGenerator, "extra_levels")])
def test_bad_depths_and_measures(build, name):
    with pytest.raises(ValueError, match=f"{name} must not be negative"):
        build(bump(), -1)
    for wrong in (1.5, "2", True, None):
        with pytest.raises(TypeError, match=f"{name} must be an integer"):
            build(bump(), wrong)
    with pytest.raises(ValueError, match=rf"{name} asks for a source of .* at most 2\*\*20"):
        build(bump(), 2**21)
    for wrong in (np.ones((4, 2)), None, [[1, 2]]):
        for kind in (build, IndependentGenerator):
            with pytest.raises(TypeError, match=r"GridMeasure.from_samples\(points, resolution\)"):
                kind(wrong)


@pytest.mark.slow
def test_one_cell_flat_sides_and_huge_boxes():
    flat = GridMeasure.from_samples(np.column_stack([np.full(5, 7.0), np.arange(5)]), 5)
    huge = GridMeasure.from_histogram([[1, 2], [0, 1]], low=-1e30, high=np.array([1e30, 1e36]))
    one = QuantizedMeasure([[3, 4]], [1], 0, 10, 10)
    for build in (SawtoothGenerator, PeanoGenerator):
        x = np.asarray(build(flat, 2).sample(KEY, 20))
        assert np.all(x[:, 0] == 7) and np.ptp(x[:, 1]) > 1
        assert np.isfinite(build(huge, 2).sample(KEY, 20)).all() and np.isfinite(build(huge, 2).certificate().w2)
        x = np.asarray(build(one, 2).sample(KEY, 20))
        assert np.all((x >= [3, 4]) & (x <= [4, 5])) and len(np.unique(x[:, -1])) > 10
