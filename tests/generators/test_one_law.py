"""One law, bit for bit: a sample is a function of the key and its number, whatever else is different."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jaxgen as jg

MASSES = [[1, 2, 5], [0, 3, 1]]


def generators():
    m = jg.GridMeasure.from_histogram(MASSES)
    atoms = np.arange(14.0).reshape(7, 2) / 16
    return {
        "sawtooth": jg.SawtoothGenerator(m, 3),
        "serpentine": jg.SawtoothGenerator(m, 3, "serpentine"),
        "peano": jg.PeanoGenerator(m),
        "hilbert": jg.CurveGenerator(m, curve=jg.HilbertCurve()),
        "independent": jg.IndependentGenerator(m),
        "codebook": jg.CodebookGenerator(atoms),
        "leaves": jg.LeafMeasure(atoms, 1 / 16, np.arange(1, 8)).generator(),
        "network": jg.MLPGenerator(2, 2, width=4, depth=2, low=0.0, high=1.0, key=jr.key(0)),
    }


# Samples 0, 1 and 1000 of `jr.key(42)`, times 2**20, rounded: what a new version must not change without saying so.
GOLDEN = {
    "sawtooth": [[847880, 745529], [628069, 546953], [634761, 501288]],
    "serpentine": [[847880, 764587], [628069, 546133], [634761, 502443]],
    "peano": [[295631, 757305], [597351, 407780], [967985, 407780]],
    "hilbert": [[624636, 917504], [576178, 567979], [643814, 393216]],
    "independent": [[445504, 916998], [250625, 946676], [207814, 63918]],
    "codebook": [[262144, 327680], [393216, 458752], [131072, 196608]],
    "leaves": [[673564, 761909], [447829, 464615], [418702, 514611]],
    "network": [[17167, 67161], [-146951, -144069], [-1665778, -442235]],
}


@pytest.mark.sweep(1)
@pytest.mark.parametrize("name", list(GOLDEN))
def test_samples_are_what_they_were(name):
    x = np.asarray(generators()[name].sample(jr.key(42), 1001), np.float64)[[0, 1, 1000]] * 2**20
    np.testing.assert_allclose(x, GOLDEN[name], atol=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "key", [jr.key(1), jr.PRNGKey(1), jr.key(1, impl="rbg"), jr.key(1, impl="unsafe_rbg")], ids=str
)
def test_chunks_and_kinds_of_keys_change_nothing(key):
    for g in (generators()[name] for name in ("peano", "independent")):
        x = np.asarray(g.sample(key, 40))
        parts = list(g.stream(key, 40, chunk_size=24))
        np.testing.assert_array_equal(np.concatenate(parts), x)
        np.testing.assert_array_equal(jax.jit(lambda k, g=g: g.sample(k, 40))(key), x)


@pytest.mark.slow
def test_double_precision_rounds_the_same_numbers_later():
    single = {name: np.asarray(g.sample(jr.key(2), 300)) for name, g in generators().items() if name != "network"}
    with jax.enable_x64(True):
        for name, x in single.items():
            y = np.asarray(generators()[name].sample(jr.key(2), 300))
            assert y.dtype == np.float64
            np.testing.assert_allclose(x, y, atol=2**-22)


@pytest.mark.slow
def test_a_flag_of_jax_changes_nothing():
    with jax.threefry_partitionable(not jax.config.jax_threefry_partitionable):
        other = {name: np.asarray(g.sample(jr.key(3), 9)) for name, g in generators().items() if name != "network"}
    for name, x in other.items():
        np.testing.assert_array_equal(generators()[name].sample(jr.key(3), 9), x)


@pytest.mark.slow
def test_devices_change_nothing():
    code = (
        "import sys, jax, jaxgen as jg; assert len(jax.devices()) == int(sys.argv[1]); "
        f"g = jg.PeanoGenerator(jg.GridMeasure.from_histogram({MASSES})); "
        "print([x.hex() for x in g.sample(jax.random.key(4), 50).ravel().tolist()])"
    )

    def drawn(devices):
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
        env, command = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}, [sys.executable, "-c", code]
        return subprocess.run([*command, str(devices)], env=env, capture_output=True, text=True, check=True).stdout

    assert drawn(1) == drawn(4)


@pytest.mark.slow
def test_the_walk_digit_by_digit_is_the_walk_of_every_curve():
    """Unrolled for few digits, scanned for many: the same integers, and floats to a rounding or two."""
    from jaxgen.curves import AbstractCurve, PeanoCurve
    from jaxgen.source import Residual

    rng = np.random.default_rng(0)
    for dim, levels in ((1, 3), (2, 0), (2, 2), (3, 2), (4, 3), (5, 3)):
        words = rng.integers(2**32, size=(50, 3), dtype=np.uint32)
        cells = rng.integers(0, 3**5, size=(50, dim)).astype(np.int32)
        for path in ("line", "diagonal", "centre") if levels == 2 else ("line",):

            def both(w, cell, levels=levels, path=path):
                r = Residual(jnp.uint32(5), Residual.of_words(w, 16).fraction, jnp.uint32(7), 16)
                fast = PeanoCurve().walk(cell, 5, r, levels, jnp.float32, path)
                return fast, AbstractCurve.walk(PeanoCurve(), cell, 5, r, levels, jnp.float32, path)

            fast, plain = jax.vmap(both)(words, cells)
            np.testing.assert_allclose(fast, plain, atol=2**-22)
