"""JAX's transformations and its strict modes, and arrays exchanged in place: what holds, and what is said."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jaxgen as jg

KEY = jr.key(4)
LABELS = (1, 2, 5)


@pytest.fixture(scope="module")
def measure():
    rng = np.random.default_rng(0)
    points, labels = rng.random((60, 2)), [LABELS[i] for i in (np.arange(60) % 7) // 3]
    with jax.enable_x64(False):
        return jg.GridMeasure.from_samples(points, 4, low=0, high=1, labels=labels)


def _kinds(measure):
    return {
        "curve": jg.PeanoGenerator(measure, 1),
        "sawtooth": jg.SawtoothGenerator(measure, 2),
        "independent": jg.IndependentGenerator(measure),
        "mlp": jg.MLPGenerator(2, width=4, depth=2, key=KEY, vocabulary=LABELS),
    }


@pytest.fixture(scope="module")
def generators(measure):
    with jax.enable_x64(False):
        return _kinds(measure)


KINDS = ["curve", "sawtooth", "independent", "mlp"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_codes_are_positions_and_labels_are_labels(generators, kind):
    g = generators[kind]
    u = jnp.full((g.source_dim,), 0.3)
    by_code = [np.asarray(g(u, code=c)) for c in range(3)]
    for code, label in enumerate(LABELS):
        np.testing.assert_array_equal(g(u, label), by_code[code])
    # Label 1 is at position 0, and position 1 is label 2.
    assert np.any(np.asarray(g(u, 1)) != np.asarray(g(u, code=1)))
    traced = jax.jit(lambda u, c: g(u, code=c))
    batched = jax.jit(jax.vmap(lambda c: g(u, code=c)))(jnp.arange(3))
    np.testing.assert_allclose(traced(u, 2), by_code[2], rtol=1e-6)
    np.testing.assert_allclose(batched, np.stack(by_code), rtol=1e-6)
    for wrong in (-1, 3, np.int64(7)):
        with pytest.raises(ValueError, match="code must lie between 0 and 2"):
            g(u, code=wrong)
    with pytest.raises(ValueError, match="not both"):
        g(u, 1, code=0)
    with pytest.raises(ValueError, match="code must be an integer"):
        g(u, code=0.5)
    with pytest.raises(ValueError, match="unknown label 0"):
        g(u, 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["curve", "sawtooth"])
def test_samples_in_a_program_of_the_users(generators, kind):
    g, n = generators[kind], 24
    x = np.asarray(g.sample(KEY, n))
    codes = jnp.arange(n) % 3
    inside = eqx.filter_jit(lambda g, key, codes: g.sample(key, n, code=codes))(g, KEY, codes)
    np.testing.assert_allclose(inside, g.sample(KEY, n, code=np.asarray(codes)), rtol=1e-6, atol=1e-7)
    several = jax.jit(jax.vmap(lambda key: g.sample(key, n)))(jnp.stack([jr.key(1), KEY]))
    np.testing.assert_allclose(several[1], x, rtol=1e-6, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["curve", "codebook"])
def test_a_large_measure_as_constants_of_a_program(kind):
    """XLA fails to compile some programs in which arrays of 2**13 numbers are constants."""
    if kind == "curve":
        g = jg.PeanoGenerator(jg.GridMeasure.from_histogram(np.arange(1, 1 + 64**2).reshape(64, 64)), 1)
    else:
        g = jg.CodebookGenerator(np.random.default_rng(0).random((5000, 2)))
    u = jnp.linspace(0, 0.9, 7)
    np.testing.assert_allclose(jax.jit(jax.vmap(g))(u), jnp.stack([g(v) for v in u]), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind, stratified", [("curve", False), ("sawtooth", True), ("mlp", True)])
def test_streams_are_samples_bit_for_bit_in_odd_chunks(generators, kind, stratified):
    g, n = generators[kind], 23
    # XLA sums the products of a trained network in an order that depends on the batch.
    tolerance = 1e-6 if kind == "mlp" else 0
    condition = {1: 0.5, 5: 2.0}
    x, names = g.sample(KEY, n, condition, stratified, return_labels=True)
    parts = list(g.stream(KEY, n, condition, stratified, return_labels=True, chunk_size=7))
    assert [len(part) for part, _ in parts] == [7, 7, 7, 2]
    np.testing.assert_allclose(np.concatenate([part for part, _ in parts]), x, rtol=tolerance)
    assert [name for _, labels in parts for name in labels] == names and set(names) == {1, 5}


@pytest.mark.slow
def test_in_double_precision(generators):
    """Boxes are float64 whatever the mode, so points come out in the type that JAX computes in, and are the same."""
    g = generators["curve"]
    x = g.sample(KEY, 24)
    with jax.enable_x64(True):
        again, called = g.sample(KEY, 24), g(0.3, 2)
        assert again.dtype == called.dtype == jnp.float64
        assert np.abs(again - x).max() <= g.certificate(dtype="float32").parts["float"][0]
        made = jg.PeanoGenerator(jg.GridMeasure.from_histogram(np.arange(16).reshape(4, 4)), 1)
        assert made.sample(KEY, 24).dtype == made(0.3).dtype == jnp.float64


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["curve", "sawtooth", "mlp", "codebook", "leaves"])
def test_strict_ranks_and_types(measure, kind):
    corners = np.random.default_rng(1).random((5, 2))
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        if kind == "codebook":
            g = jg.CodebookGenerator(corners)
        elif kind == "leaves":
            g = jg.LeafMeasure(corners, corners[::-1], np.arange(1, 6)).generator(extra_levels=1)
        else:
            g = _kinds(measure)[kind]
        u = jnp.full((g.source_dim,), 0.3)
        label = None if g.vocabulary is None else 2
        assert g(u, label).shape == g(u).shape == jax.jit(lambda u: g(u))(u).shape == (2,)
        assert g.sample(KEY, 24, label).shape == (24, 2)
        if g.source_dim == 1:
            assert g.sample(KEY, 24, stratified=True).shape == (24, 2)
        network = g.network()
        assert network(jnp.zeros(network.in_size)).shape == (2,)


# Arrays exchanged in place: the law follows, and nothing is claimed that was proven about others.


def _histogram(g, n):
    """Counts of stratified samples in the cells of a measure on [0, 4)^2, in the order of its cells."""
    cells = np.floor(np.asarray(g.sample(KEY, n, stratified=True))).astype(int)
    table = np.zeros((4, 4), int)
    np.add.at(table, tuple(cells.T), 1)
    return table[tuple(np.asarray(g.measure.cells).T)]


@pytest.mark.slow
@pytest.mark.parametrize("make", [jg.PeanoGenerator, jg.SawtoothGenerator])
def test_counts_exchanged_in_a_grid(make):
    masses = np.random.default_rng(2).random((4, 4)) + 0.1
    g = make(jg.GridMeasure.from_histogram(masses, low=0, high=4).quantize(64), 2)
    assert g.certificate().parts["rounding"][1] > 0 and "built from" in g.certificate().about
    counts = np.asarray(g.measure.counts)[::-1] + np.arange(g.measure.size, dtype=np.uint32) % 3
    edited = eqx.tree_at(lambda g: g.measure.counts, g, jnp.asarray(counts))
    total = int(counts.sum())
    if make is jg.PeanoGenerator:
        np.testing.assert_array_equal(_histogram(edited, total), counts)
    else:
        # The bin of x_1 is 2**2 dyadic intervals, whose ends split strata.
        assert np.abs(_histogram(edited, 64 * total) / 64 - counts).max() <= 2 * 4 / 64
    certificate = edited.certificate()
    assert certificate.parts["rounding"] == (0, 0) and "built from" not in certificate.about
    assert (
        "changed" in certificate.about
        and certificate.w2 == certificate.parts["filling"][1] + certificate.parts["float"][1]
    )
    # Bits follow: the rarest cell decides.
    rarest = jnp.ones_like(edited.measure.counts).at[0].set(1 << 15)
    rare = eqx.tree_at(lambda g: g.measure.counts, g, rarest)
    assert rare.source_bits >= g.source_bits + 8
    back = jg.decode(jg.encode(edited))
    np.testing.assert_array_equal(back.measure.counts, counts)
    assert back.measure.rounding_bound(2) == 0 and back.certificate().parts["rounding"] == (0, 0)
    # What was not changed keeps its bound, through a file as well.
    assert jg.decode(jg.encode(g)).certificate() == g.certificate()


def test_a_box_exchanged_in_a_grid():
    g = jg.PeanoGenerator(jg.GridMeasure.from_histogram([[0.3, 1.1], [0.7, 0.2]]).quantize(16), 1)
    edited = eqx.tree_at(lambda g: g.measure.high, g, jnp.array([10.0, 1.0]))
    np.testing.assert_allclose(edited.sample(KEY, 9), np.asarray(g.sample(KEY, 9)) * [10, 1], rtol=1e-6)
    assert "changed" in edited.certificate().about
    # The filling is that of the box as it is: 5/3 by 1/6, along the second axis.
    np.testing.assert_allclose(edited.certificate().parts["filling"][1], 5 / 3 / np.sqrt(12), rtol=1e-6)


@pytest.mark.parametrize("what", ["atoms", "counts"])
def test_a_codebook_exchanged(what):
    points = np.random.default_rng(3).random((40, 2))
    g = jg.CodebookGenerator.from_samples(points, 4, key=KEY, restarts=1)
    assert g.error == g.certificate().w2 > 0  # its atoms were made floats, and are not rounded any more
    if what == "atoms":
        edited = eqx.tree_at(lambda g: g.measure.low_corners, g, g.atoms + 1)
        np.testing.assert_array_equal(edited.sample(KEY, 9), g.sample(KEY, 9) + 1)
    else:
        edited = eqx.tree_at(lambda g: g.measure.counts, g, jnp.asarray([1, 2, 3, 4], jnp.uint32))
        x = np.asarray(edited.sample(KEY, 10, stratified=True))
        np.testing.assert_array_equal(x, np.repeat(np.asarray(g.atoms), [1, 2, 3, 4], axis=0))
        assert edited.quanta == 10
    with pytest.raises(ValueError, match="changed since they were fitted"):
        _ = edited.error
    certificate = edited.certificate()
    assert certificate.w2 == certificate.parts["float"][1] < 1e-6 and "changed" in certificate.about
    back = jg.decode(jg.encode(edited))
    assert back.certificate().w2 == certificate.w2 and back.error == 0
    np.testing.assert_array_equal(back.atoms, edited.atoms)
    assert jg.decode(jg.encode(g)).error == g.error


def test_more_quanta_than_there_is_room_for_are_refused():
    """Counts of up to 2**16 are held beside digits of 16 bits: more of them would be a wrong law without a word."""
    g = jg.PeanoGenerator(jg.GridMeasure.from_histogram([[1, 2], [0, 1]]), 1)
    many = eqx.tree_at(lambda g: g.measure.counts, g, jnp.array([5_000_000, 6_000_000, 5_000_000], jnp.uint32))
    for use in (lambda: many(0.5), lambda: many.sample(jax.random.key(0), 3), lambda: many.source_bits):
        with pytest.raises(ValueError, match="built for 65536 quanta at most"):
            use()
    assert g(0.5).shape == (2,)
