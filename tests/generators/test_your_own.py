"""How to add a generator or a curve of one's own: what to write, and what then works.

A generator needs `dim` and `__call__`; a curve needs an order (`keys`) and a walk (`steps`). The rest is inherited.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

import jaxgen as jg
from jaxgen.curves import AbstractCurve

KEY = jax.random.key(0)


class Loop(jg.AbstractGenerator):
    """The least there is: the uniform law on a circle, from one uniform number."""

    radius: float
    dim = 2

    def __call__(self, u):
        return self.radius * jnp.stack([jnp.cos(2 * jnp.pi * u), jnp.sin(2 * jnp.pi * u)])


class Annulus(jg.AbstractGenerator):
    """Two sources: `u` has shape `(2,)`. Fields may be arrays, and are then trained and saved with the rest."""

    radii: Float[Array, "2"]
    dim = 2
    source_dim = 2

    def __call__(self, u):
        inner, outer = self.radii**2
        return jnp.sqrt(inner + (outer - inner) * u[0]) * Loop(1.0)(u[1])


class Compass(jg.AbstractGenerator):
    """Labels: `condition` is one of them, `code` its position; without either, u chooses among them itself."""

    spread: Float[Array, ""]
    dim = 2
    vocabulary = ("north", "east", "south", "west")

    def __call__(self, u, condition=None, *, code=None):
        if condition is not None:
            code = self.vocabulary.index(condition)
        if code is None:
            code = jnp.minimum(jnp.floor(4 * u), 3)
            u = 4 * u - code
        turn = jnp.pi / 2 * code
        return jnp.stack([jnp.sin(turn), jnp.cos(turn)]) + self.spread * (u - 0.5)


class Cantor(jg.AbstractGenerator):
    """A law finer than floats: the bits of u, far more than a float holds, are the digits 0 and 2 of two points.

    `push` reads the words of the source, most significant first; `source_bits` says how many bits are wanted.
    """

    dim = 2
    source_bits = 64

    def __call__(self, u):
        words = jnp.floor(jnp.asarray(u) * 2.0**32).astype(jnp.uint32)
        return self.push(jnp.stack([words, jnp.zeros_like(words)])[None], None)[0]

    def push(self, words, code):
        bits = (words[0, :2, None] >> jnp.arange(31, -1, -1, dtype=jnp.uint32)) & 1
        x = (2.0 * bits[:, :10]) @ (3.0 ** -jnp.arange(1, 11))
        return x, jnp.asarray(-1, jnp.int32)


GENERATORS = [Loop(2.0), Annulus(jnp.array([1.0, 2.0])), Compass(jnp.array(0.25)), Cantor()]


@pytest.mark.sweep(1)
@pytest.mark.parametrize("g", GENERATORS, ids=lambda g: type(g).__name__)
def test_what_a_generator_of_ones_own_can_do(g, tmp_path):
    # Sampled and streamed, point by point the same.
    x = g.sample(KEY, 30)
    assert x.shape == (30, 2) and len(np.unique(np.asarray(x), axis=0)) == 30
    np.testing.assert_array_equal(np.concatenate(list(g.stream(KEY, 30, chunk_size=7))), x)
    # Encoded, saved and found again by the name of its class.
    assert type(jg.decode(jg.encode(g))) is type(g)
    jg.save(tmp_path / "own.jg", g)
    np.testing.assert_array_equal(jg.load(tmp_path / "own.jg").sample(KEY, 30), x)
    assert g.bits() == jg.code_length(g) == 8 * (tmp_path / "own.jg").stat().st_size
    # What it has not, it says in a sentence.
    with pytest.raises(NotImplementedError, match=f"a {type(g).__name__} has no ReLU form"):
        g.network()
    with pytest.raises(NotImplementedError, match=f"nothing is proven about a {type(g).__name__}"):
        g.certificate()
    assert g.size() is None


def test_the_laws_are_what_they_should_be():
    ring, annulus, _, cantor = (np.asarray(g.sample(KEY, 2000), float) for g in GENERATORS)
    np.testing.assert_allclose(np.linalg.norm(ring, axis=1), 2, rtol=1e-5)
    # Of the annulus the squared radius is uniform on [1, 4]: Kolmogorov-Smirnov, P(sup > 2.3 / sqrt(n)) < 6e-5.
    square = np.sort(np.sum(annulus**2, axis=1))
    assert np.abs((square - 1) / 3 - (np.arange(2000) + 0.5) / 2000).max() < 2.3 / np.sqrt(2000)
    # Stratified, a source in every 20th of the circle.
    turn = np.arctan2(*np.asarray(Loop(1.0).sample(KEY, 20, stratified=True)).T[::-1]) / (2 * np.pi) % 1
    np.testing.assert_array_equal(np.floor(20 * turn), np.arange(20))
    # No Cantor digit is 1, in either coordinate. Bits 32 to 41 of u make the second one: of 1024 values, 2000 draws hit
    # 879 in the mean, with a deviation of 10.
    for digit in range(1, 11):
        assert not np.any(np.floor((cantor + 3.0**-10 / 2) * 3**digit) % 3 == 1)
    assert len(np.unique(cantor[:, 1])) > 820


def test_labels_of_ones_own():
    g = Compass(jnp.array(0.0))
    x, names = g.sample(KEY, 3, ["east", "north", "west"], return_labels=True)
    np.testing.assert_allclose(x, [[1, 0], [0, 1], [-1, 0]], atol=1e-6)
    assert names == ["east", "north", "west"]
    np.testing.assert_array_equal(g.sample(KEY, 3, code=jnp.array([1, 0, 3])), x)
    np.testing.assert_array_equal(g.sample(KEY, 5, {"south": 1.0}), g.sample(KEY, 5, "south"))
    with pytest.raises(ValueError, match=r"unknown label 'est'.*east"):
        g.sample(KEY, 3, "est")
    with pytest.raises(ValueError, match="positions in the vocabulary"):
        g.sample(KEY, 3, code=4)
    # Where only the law knows the labels that it chose, they cannot be told.
    with pytest.raises(ValueError, match="tells them"):
        g.sample(KEY, 3, return_labels=True)


class SerpentineCurve(AbstractCurve):
    """Boustrophedon, as the ox ploughs: in each cell the `base**d` parts row by row, to and fro, on every level.

    A digit of the curve is turned over where the digits of the earlier coordinates have an odd sum: Gray's code.
    """

    base: ClassVar[int] = 4

    def keys(self, cells, levels):
        """One key a level and coordinate, most significant first: the digits of the curve."""
        keys = []
        for level in range(levels):
            part = np.asarray(cells) // self.base ** (levels - 1 - level) % self.base
            odd = np.zeros(len(part), np.int64)
            for column in part.T:
                keys.append(np.where(odd % 2 == 1, self.base - 1 - column, column))
                odd = odd + column
        return keys

    def steps(self, digits, cell, cell_levels):
        """The same rule, from the digits of the curve; the cell that it starts in does not matter."""
        out, odd = [], jnp.zeros(digits.shape[:1], digits.dtype)
        for column in digits.T:
            out.append(jnp.where(odd % 2 == 1, self.base - 1 - column, column))
            odd = odd + out[-1]
        return jnp.stack(out, axis=1), jnp.zeros(cell.shape, bool)


def test_the_order_of_the_serpentine():
    cells = np.indices((4, 4)).reshape(2, -1).T
    path = cells[SerpentineCurve().argsort(cells, levels=1)]
    np.testing.assert_array_equal(path[:9, 1], [0, 1, 2, 3, 3, 2, 1, 0, 0])
    assert np.all(np.abs(np.diff(path, axis=0)).sum(axis=1) == 1)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_what_a_curve_of_ones_own_can_do(dim):
    curve, rng = SerpentineCurve(), np.random.default_rng(dim)
    measure = jg.GridMeasure.from_histogram(rng.integers(0, 4, (5,) * dim))
    g = jg.CurveGenerator(measure, extra_levels=1, curve=curve)
    # Stratified samples have the masses of the cells.
    n = g.measure.quanta
    cells, found = np.unique(np.floor(np.asarray(g.sample(KEY, n, stratified=True)) * 5), axis=0, return_counts=True)
    np.testing.assert_array_equal(cells, g.measure.cells)
    np.testing.assert_array_equal(found, g.measure.counts)
    # The walk inside the cells and the order of finer cells are one curve.
    full = [jg.GridMeasure.from_histogram(np.ones((size,) * dim, int)) for size in (4, 16)]
    u = jnp.asarray(rng.random(200), jnp.float32)
    walked, ordered = (
        jax.jit(jax.vmap(jg.CurveGenerator(m, extra, curve=curve)))(u) for m, extra in zip(full, (1, 0), strict=True)
    )
    np.testing.assert_allclose(walked, ordered, atol=1e-5)
    # The certificate of the line through the finest cells, whose side is 1/20.
    np.testing.assert_allclose(g.certificate().parts["filling"][1], np.sqrt((dim - 1) / 12) / 20, rtol=1e-6)
    # A file holds the curve by the name of its class.
    back = jg.decode(jg.encode(g))
    assert type(back.curve) is SerpentineCurve and back.certificate() == g.certificate()
    np.testing.assert_array_equal(back.sample(KEY, 20), g.sample(KEY, 20))
    # Without extra levels there is the network too: a staircase to the cells. With them it would take one of its own.
    plain = jg.CurveGenerator(measure, extra_levels=0, curve=curve)
    x, y = (jax.jit(jax.vmap(f))(u) for f in (plain, plain.network(2.0**-10)))
    ramps = plain.ramp_measure(2.0**-10)
    assert np.mean(np.abs(x - y).max(axis=1) > 1e-3) <= ramps + 5 * np.sqrt(ramps / 200)
    with pytest.raises(NotImplementedError, match="SerpentineCurve has no ReLU network"):
        g.network()


def test_no_more_than_is_asked_for():
    """Fields are the whole instance: two of one class share a compiled program, and gradients reach the arrays."""
    grad = eqx.filter_grad(lambda g: jnp.sum(g.sample(KEY, 4) ** 2))(Annulus(jnp.array([1.0, 2.0])))
    assert np.all(np.asarray(grad.radii) > 0)
