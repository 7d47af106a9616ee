"""Files that were written once load for ever, and mean the same; see `golden/make.py` for those of version 2."""

import math
import pathlib

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jaxgen as jg
import jaxgen.coding as coding

GOLDEN = pathlib.Path(__file__).with_name("golden")
V1 = sorted(path.stem[3:] for path in GOLDEN.glob("v1_*.jaxgen"))
V2 = sorted(path.stem[3:] for path in GOLDEN.glob("v2_*.jaxgen"))
KEY = jax.random.key(5)


class GoldenModule(eqx.Module):
    """The same as in `golden/make.py`."""

    radius: float
    names: list
    parts: dict


@pytest.fixture(scope="module")
def expected():
    with np.load(GOLDEN / "v1.npz") as arrays:
        return dict(arrays)


def _cells(cells, masses):
    """Cells and masses in an order that is theirs alone."""
    return sorted((tuple(cell), mass) for cell, mass in zip(cells.tolist(), masses.tolist(), strict=True))


def drawn_as_then(generator):
    """The first 64 samples of the key as they were drawn then: the words are others now, and are sent where they were.

    A key was folded in for each sample, and held as many words as quanta of 16 or of 24 bits asked for.
    """
    words = 2
    if isinstance(generator, jg.generators.AbstractExplicitGenerator):
        leaf_bits = 0 if generator.measure.size == 1 else 16 if generator.measure.quanta <= 2**16 else 24
        words = math.ceil((leaf_bits + generator.position_bits + 32 - 1e-9) / 32)

    def one(i):
        bits = jr.bits(jr.fold_in(KEY, i), (generator.source_dim, words), jnp.uint32)
        return generator.push(bits, None)[0]

    return jax.vmap(one)(jnp.arange(64, dtype=jnp.uint32))


@pytest.mark.sweep(2)
@pytest.mark.parametrize("name", V1)
def test_files_of_version_1_mean_what_they_meant(name, expected):
    obj = coding.load(GOLDEN / f"v1_{name}.jaxgen")
    if name.startswith("measure"):
        found = _cells(np.asarray(obj.cells), np.asarray(obj.masses))
        assert found == _cells(expected[f"{name}.cells"], expected[f"{name}.masses"])
        return
    generator = obj.generator if name == "prompted" else obj
    # Which cell, and where in it, are integers and exact; the last step, `low + (cell + inside) * side`, is in floats,
    # where a compiler may or may not fuse the product and the sum: two units in the last place of the largest number.
    # A trained network has sums of up to 8 products in three layers, in any order.
    units = 3 * 8 if name.startswith("mlp") else 2
    atol = units * np.spacing(np.abs(expected[name]).max())
    np.testing.assert_allclose(drawn_as_then(generator), expected[name], rtol=0, atol=atol)
    if f"{name}.certificate" in expected:
        # A bound may have become better since.
        certificate = generator.certificate()
        w1, w2 = expected[f"{name}.certificate"]
        # What floats add was no part of it then.
        assert certificate.w1 - certificate.parts["float"][0] <= w1 * (1 + 1e-12)
        assert certificate.w2 - certificate.parts["float"][1] <= w2 * (1 + 1e-12)


@pytest.mark.sweep(5)
@pytest.mark.parametrize("name", V1)
def test_they_are_shorter_in_version_2_and_lose_nothing(name, assert_same):
    old = (GOLDEN / f"v1_{name}.jaxgen").read_bytes()
    obj = coding.decode(old)
    new = coding.encode(obj)
    assert len(new) < len(old)
    assert_same(coding.decode(new), obj)


@pytest.mark.sweep(14)
@pytest.mark.parametrize("name", V2)
def test_the_bytes_of_version_2_stay(name, assert_same):
    """Where measures are packed since, in a file of its own: shorter, and the same object."""
    coding.register_class(GoldenModule)  # not that of `make.py`, should it have been imported
    old, packed = GOLDEN / f"v2_{name}.jaxgen", GOLDEN / f"packed_{name}.jaxgen"
    obj = coding.load(old)
    if packed.exists():
        assert packed.stat().st_size < old.stat().st_size
        if name != "module":
            assert_same(coding.load(packed), obj)
    data = (packed if packed.exists() else old).read_bytes()
    assert coding.encode(obj) == coding.encode(coding.decode(data)) == data
