"""What the tests of the generators share: evaluation of networks, measures with gaps, and leaves of different sizes."""

import functools

import jax
import numpy as np
import pytest

from jaxgen.measures import QuantizedLeafMeasure, QuantizedMeasure


def _evaluate(network, inputs, dtype=np.float64, layers=None):
    """The network on a batch `(n, in)` by SciPy's products in a float type, which need no compilation.

    With `layers`, the neurons of that hidden layer instead.
    """
    x = np.asarray(inputs, dtype).T
    affine = [(w.astype(dtype), b.astype(dtype)[:, None]) for w, b in network.layers_as_scipy()]
    for weight, bias in affine[: len(affine) - 1 if layers is None else layers]:
        x = np.maximum(weight @ x + bias, 0)
    return ((affine[-1][0] @ x + affine[-1][1]) if layers is None else x).T


@pytest.fixture(scope="session")
def evaluate():
    return _evaluate


@pytest.fixture(scope="session")
def grid_measure():
    """Makes measures with empty cells, empty rows, unequal boxes and resolutions."""

    def make(dim, seed, labels=None):
        rng = np.random.default_rng(seed)
        shape = tuple(rng.integers(2, 5, dim).tolist())
        filled = rng.random(((labels or 1), *shape)) < 0.6
        if dim > 1:
            filled[:, rng.integers(shape[0])] = False
        filled.reshape(len(filled), -1)[:, -1] = True
        cells = np.argwhere(filled)
        counts = rng.integers(1, 20, len(cells))
        names = None if labels is None else tuple("abc"[:labels])
        low, high = rng.uniform(-3, 0, dim), rng.uniform(1, 9, dim)
        return QuantizedMeasure(cells[:, 1:], counts, low, high, shape, None if labels is None else cells[:, 0], names)

    return make


@pytest.fixture(scope="session")
def leaf_measure():
    """Makes leaves of three sides an axis, which is what trees have, in no special order; some of them flat."""

    def make(dim, seed=0, leaves=12, labels=None):
        rng = np.random.default_rng(seed)
        corners, sides = rng.uniform(-2, 2, (leaves, dim)), rng.choice([0.25, 0.5, 1.0], (leaves, dim))
        sides[0, 0] = 0.0
        codes = None if labels is None else np.arange(leaves) % labels
        names = None if labels is None else tuple("abc"[:labels])
        return QuantizedLeafMeasure(corners, sides, rng.integers(1, 9, leaves), codes, names)

    return make


# The tests compile many small programs and run each once: not worth XLA's full effort.
@functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": "0"})
def _points(generator, u, code):
    return jax.vmap(generator if code is None else lambda v: generator(v, code=code))(u)


@pytest.fixture(scope="session")
def kernel():
    """A generator on a batch of sources, floats or words, under a label if one is given."""

    def points(generator, u, condition=None):
        code = None if condition is None else generator.vocabulary.index(condition)
        return np.asarray(_points(generator, u, code), np.float64)

    return points
