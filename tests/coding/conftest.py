import zlib

import jax
import numpy as np
import pytest

from jaxgen.generators import CodebookGenerator, IndependentGenerator, MLPGenerator, PeanoGenerator, SawtoothGenerator
from jaxgen.measures import GridMeasure


def _measure(labels):
    points = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    return GridMeasure.from_samples(points, (9, 7), labels=labels).quantize(150)


@pytest.fixture(scope="session")
def measure():
    return _measure(None)


@pytest.fixture(scope="session")
def labelled():
    return _measure(["day", "night"] * 100)


@pytest.fixture(scope="session")
def generators(measure, labelled):
    floats = GridMeasure.from_samples(np.random.default_rng(1).random((100, 2)), 4)
    atoms = np.random.default_rng(2).random((20, 3)).astype(np.float32)
    return {
        "sawtooth": SawtoothGenerator(measure, folds=5),
        "labelled sawtooth": SawtoothGenerator(labelled, folds=0),
        "serpentine": SawtoothGenerator(measure, 3, "serpentine", axes=(1, 0)),
        "peano": PeanoGenerator(measure, extra_levels=2),
        "labelled peano": PeanoGenerator(labelled, extra_levels=1),
        "peano from floats": PeanoGenerator(floats),
        "independent": IndependentGenerator(labelled),
        "codebook": CodebookGenerator(atoms, np.linspace(1, 2, 20)),
        "equal codebook": CodebookGenerator(atoms),
        "repeated atoms": CodebookGenerator(np.concatenate([atoms, atoms]), np.arange(1, 41)),
    }


@pytest.fixture(scope="session")
def network():
    return MLPGenerator(width=8, depth=3, key=jax.random.key(0))


@pytest.fixture(scope="session")
def assert_same():
    """Two objects of one class are equal to the last bit, static fields included, and so all that they do is."""

    def check(a, b):
        assert type(a) is type(b)
        assert jax.tree.structure(a) == jax.tree.structure(b)
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
            np.testing.assert_array_equal(x, y)
            assert np.asarray(x).dtype == np.asarray(y).dtype

    return check


@pytest.fixture(scope="session")
def seal():
    """A file of its beginning: the checksum is put behind it."""

    def sealed(body: bytes) -> bytes:
        size = 2 if len(body) + 2 < (4096 if body[2:3] >= b"\x80" else 256) and body[:1] == b"\x8a" else 4
        return body + zlib.crc32(body).to_bytes(4, "little")[:size]

    return sealed
