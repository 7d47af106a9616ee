"""Distances between laws: against what is known in closed form, and against exact transport between atoms."""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgen as jg
from jaxgen.distances._law_distance import _words, source_values

SQUARE = jg.GridMeasure.from_histogram([[1.0]])
# The mean distance of a point of the unit square from its centre.
CENTRE = (math.sqrt(2) + math.asinh(1)) / 6


class Wheel(jg.AbstractGenerator):
    radius: float
    dim = 2

    def __call__(self, u):
        return self.radius * jnp.stack([jnp.cos(2 * jnp.pi * u), jnp.sin(2 * jnp.pi * u)])


class Plain:
    """A map that JAX cannot trace."""

    source_dim = 1

    def __call__(self, u):
        return [math.cos(2 * math.pi * float(u)), math.sin(2 * math.pi * float(u))]


@pytest.mark.sweep(1)
@pytest.mark.parametrize("n", [2, 7, 1000])
def test_the_uniform_law_on_the_line(n):
    line = jg.GridMeasure.from_histogram([1, 1])
    # The distance |x - 1/2| of midpoints is 1/4 on average for an even n, and (1 - 1/n^2)/4 for an odd one.
    found = jg.law_distance(jg.IndependentGenerator(line), [0.5], n=n)
    assert found.value == found.low == found.high == pytest.approx((1 - (n % 2) / n**2) / 4, rel=1e-6)
    assert found.n == n and found.p == 1


@pytest.mark.sweep(1)
@pytest.mark.parametrize("law", [
    SQUARE, jg.PeanoGenerator(SQUARE, 4), jg.SawtoothGenerator(SQUARE, 6), jg.IndependentGenerator(SQUARE),
    jg.LeafMeasure([[0.0, 0.0], [0.5, 0.0]], [[0.5, 1.0], [0.5, 1.0]], [1.0, 1.0]),
])  # fmt: skip
def test_the_uniform_square(law):
    for p, truth in ((1, CENTRE), (2, 1 / math.sqrt(6))):
        found = jg.law_distance(law, [[0.5, 0.5]], p, n=1024)
        # The points of a net of 1024 are 1/32 apart, and each moment is off by less than 1/32 of a cell's own.
        assert found.value == pytest.approx(truth, rel=2e-3)
        assert abs(found.value - truth) < 4 * found.discretisation + 2e-3 * truth


@pytest.mark.slow
def test_anybodys_map():
    ring = jg.law_distance(Wheel(2.0), [[0.0, 0.0]], n=64)
    assert ring.value == pytest.approx(2, rel=1e-6) and ring.discretisation < 1e-6
    assert jg.law_distance(Plain(), [[0.0, 0.0]], n=64).value == pytest.approx(1, rel=1e-6)
    assert jg.law_distance(Plain(), Wheel(1.0), n=64).value < 1e-6
    network = eqx.nn.MLP(1, 2, 4, 1, key=jax.random.key(0))
    points = jax.vmap(network)((jnp.arange(8)[:, None] + 0.5) / 8)
    assert jg.law_distance(network, points, n=8).value < 1e-6
    scalar = eqx.nn.MLP("scalar", "scalar", 4, 1, key=jax.random.key(0))
    assert jg.law_distance(scalar, jax.vmap(scalar)((jnp.arange(8) + 0.5) / 8), n=8).value < 1e-6


def test_what_a_map_says_of_itself():
    linear = eqx.nn.Linear(2, 2, use_bias=False, key=jax.random.key(0))
    points = jax.vmap(linear)(jnp.asarray(source_values(2, 16), jnp.float32))
    assert jg.law_distance(linear, points, n=16).value < 1e-6

    @dataclasses.dataclass
    class Segment:
        """Traced, and not hashable: what is changed in it is not missed."""

        end: float
        source_dim = 1

        def __call__(self, u):
            return self.end * u

    segment = Segment(2.0)
    assert jg.law_distance(segment, [0.0], n=64).value == pytest.approx(1)
    segment.end = 4.0
    assert jg.law_distance(segment, [0.0], n=64).value == pytest.approx(2)


def test_atoms_have_their_weights():
    rng = np.random.default_rng(0)
    atoms, masses, points = rng.random((5, 2)), np.array([1, 2, 3, 4, 6]), rng.random((7, 2))
    codebook = jg.CodebookGenerator(atoms, masses)
    expected = jg.wasserstein(atoms, points, 1, a=masses)
    for law in (codebook, codebook.measure):
        found = jg.law_distance(law, points, n=4)
        assert found.value == pytest.approx(expected, rel=1e-6) and found.discretisation == 0
    assert jg.law_distance(points, points[:3]).value == pytest.approx(jg.wasserstein(points, points[:3], 1))


def test_the_certificate_of_a_resting_point_is_its_distance():
    measure = jg.GridMeasure.from_samples(np.random.default_rng(1).normal(size=(50, 2)), 5)
    generator = jg.PeanoGenerator(measure, 0, path="centre")
    found = jg.law_distance(generator, measure, n=1024)
    # Each centre takes in its own cell, so that the certificate is exact; the values of the net are off by some parts
    # in a thousand, of which `discretisation` is an estimate.
    assert found.value == pytest.approx(generator.certificate().w1, rel=0.01)


@pytest.mark.slow
def test_labels():
    measure = jg.GridMeasure.from_samples([0.0, 1.0, 2.0, 2.0], 3, labels=["a", "b", "b", "b"], low=-0.5, high=2.5)
    for law in (measure, measure.generator(), jg.IndependentGenerator(measure)):
        # One bin of width 1 around 0; or 1/3 around 1 and 2/3 around 2.
        assert jg.law_distance(law, [0.0], n=512, condition="a").value == pytest.approx(0.25, rel=1e-3)
        assert jg.law_distance(law, [2.0], n=512, condition="b").value == pytest.approx(0.5, rel=1e-2)
    with pytest.raises(ValueError, match="neither a nor b has labels"):
        jg.law_distance(SQUARE, [[0.5, 0.5]], condition="a")
    with pytest.raises(ValueError, match="unknown label"):
        jg.law_distance(measure, [0.0], condition="c")


@pytest.mark.slow
def test_deep_folds_do_not_see_the_same_bits_twice():
    """A midpoint (2j + 1)/2^11 has no bit left after 11 folds: all second coordinates would be 0."""
    measure = jg.GridMeasure.from_histogram(np.ones((4, 4)))
    deep, shallow = jg.SawtoothGenerator(measure, 40), jg.SawtoothGenerator(measure, 6)
    corner = [jg.law_distance(law, [[0.0, 0.0]], n=1024).value for law in (deep, shallow)]
    assert corner == pytest.approx([0.7652] * 2, rel=0.03)


def test_files(tmp_path):
    path = tmp_path / "ring.jaxgen"
    jg.save(path, SQUARE.quantize(1))
    assert jg.law_distance(path, SQUARE, n=64) == jg.law_distance(str(path), SQUARE, n=64)
    assert jg.law_distance(path, SQUARE, n=64).value == 0
    points = jg.data.airports().points[:50]
    np.save(tmp_path / "points.npy", points)
    expected = jg.law_distance(points, points[:20])
    assert jg.law_distance(tmp_path / "points.npy", points[:20]) == expected
    assert jg.law_distance(jg.data.Dataset("airports", points, ("x", "y"), None), points[:20]) == expected
    with pytest.raises(FileNotFoundError):
        jg.law_distance(tmp_path / "none.jaxgen", SQUARE)


@pytest.mark.slow
def test_laws_too_deep_for_floats():
    """64 axes, of which one float32 number resolves 24 bits: exact words find all their corners."""
    measure = jg.GridMeasure.from_samples(np.random.default_rng(0).random((20, 64)), 3)
    generator = jg.PeanoGenerator(measure, 1, path="centre")
    atoms = measure.low + (np.asarray(measure.cells) + 0.5) / 3 * (measure.high - measure.low)
    found = jg.law_distance(generator, atoms, 2, n=40)
    # Each cell is seen at 1/4 and 3/4, which are 0.0202... and 0.2020... in base 3: one third off on every axis.
    assert found.value == pytest.approx(math.hypot(*(np.asarray(measure.cell_sides) / 3)), rel=1e-6)


@pytest.mark.parametrize("unit", [1e-20, 1e25])
def test_units(unit):
    rng = np.random.default_rng(0)
    x, y = rng.random((6, 2)), rng.random((9, 2))
    for p in (1, 2):
        assert jg.law_distance(unit * x, unit * y, p).value == pytest.approx(unit * jg.law_distance(x, y, p).value)


def test_source_values_are_even_and_their_words_exact():
    for sources, n in ((1, 10), (3, 8)):
        values, words = source_values(sources, n), _words(sources, 3, n)
        found = (words.astype(object) * [1 << 64, 1 << 32, 1]).sum(axis=-1)
        exact = [[2 * j + 1] for j in range(n)] if sources == 1 else (values * 2**53).astype(int).tolist()
        whole = 2 * n if sources == 1 else 1 << 53
        assert found.tolist() == [[(above << 96) // whole for above in row] for row in exact]
    # Of 2^k Sobol points, one is in each of 2^k bins of every axis.
    np.testing.assert_array_equal(
        np.sort(np.floor(source_values(3, 64) * 64), axis=0), np.arange(64.0)[:, None] + [[0] * 3]
    )


@pytest.mark.slow
def test_more_points_than_the_exact_solver_takes():
    lattice = (np.stack(np.meshgrid(*[np.arange(130)] * 2), axis=-1).reshape(-1, 2) + 0.5) / 130
    found = jg.law_distance(SQUARE, lattice, n=1024)
    # The distance of the lattice to the square, and of that to its 16,900 values on the curve, are of one size.
    assert found.n == len(lattice) and found.low <= found.high == found.value
    assert CENTRE / 130 / 2 < found.value < 4 * CENTRE / 130
    line = jg.GridMeasure.from_histogram([1])
    points = (np.arange(100_000) + 0.5) / 100_000
    assert jg.law_distance(line, points).value < 1e-6


@pytest.mark.slow
def test_airports():
    """Theory, section 11: 0.18 at 16,384 bits and 0.44 at 8,192, to the training half; the halves are 2.03 apart."""
    points = jg.data.airports().points
    order = np.random.default_rng(0).permutation(len(points))
    train, test = points[order[:1688]], points[order[1688:]]
    assert jg.wasserstein(train, test, 1) == pytest.approx(2.03, abs=0.005)
    for bits, known in ((8192, 0.44), (16384, 0.18)):
        assert jg.law_distance(jg.quantize(train, bits=bits), train).value < known


@pytest.mark.parametrize(("arguments", "error", "message"), [
    (([], [0.0]), ValueError, "a is empty"),
    (([0.0], [np.nan]), ValueError, "b must be finite"),
    (([[0.0, 1.0]], [0.0]), ValueError, "same dimension"),
    ((SQUARE, [0.0]), ValueError, "same dimension"),
    ((SQUARE, [[0.0, 0.0]], 0.5), ValueError, "p must be"),
    ((SQUARE, [[0.0, 0.0]], 1, 1), ValueError, "n must be at least 2"),
    ((lambda u: u, [0.0]), TypeError, "without source_dim"),
    ((None, [0.0]), TypeError, "a must be real numbers"),
])  # fmt: skip
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        jg.law_distance(*arguments)


def test_a_law_that_is_not_finite_is_named():
    class Broken:
        source_dim = 2

        def __call__(self, u):
            return jnp.log(u - 2)

    with pytest.raises(ValueError, match="the law of b must be finite"):
        jg.law_distance(SQUARE, Broken(), n=8)


def test_a_function_that_gives_no_points_is_refused():
    class Two:
        source_dim = 2

        def __init__(self, function):
            self.function = function

        def __call__(self, u):
            return self.function(u)

    rng = np.random.default_rng(0)
    for function, message in (
        (lambda u: 1 / 0, r"a gives no points: u of shape \(2,\) raised ZeroDivisionError"),
        (lambda u: object(), "a gives no points: .* must be an array of numbers"),
        (lambda u: rng.normal(size=2), "the law of a must be the same for the same u"),
        (lambda u: rng.normal(np.asarray(u)), "the law of a must be the same for the same u"),
    ):
        with pytest.raises(ValueError, match=message):
            jg.law_distance(Two(function), [[0.0, 0.0]], n=8)


def test_every_leaf_keeps_its_mass():
    """Masses of 1/3 and 2/3 at a distance of 100: a share 1/n of it in the wrong leaf would be 100 / sqrt(n) in W_2."""
    thirds = jg.LeafMeasure([0.0, 100.0], [1.0, 1.0], [1, 2]).quantize(3)
    points = np.concatenate([(np.arange(500) + 0.5) / 500, 100 + (np.arange(1000) + 0.5) / 1000])
    for n in (64, 100, 1024):
        assert jg.law_distance(thirds, points, p=2, n=n).value < 1 / n + 0.002
