"""Derivatives of explicit generators: exact slopes off the jumps, by u, by boxes, by atoms (theory, section 12)."""

from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jaxgen as jg
from jaxgen.measures import QuantizedLeafMeasure, QuantizedMeasure

STEP = 2.0**-26  # less than a piece of most maps here
NEAR = 2.0**-40  # less than all pieces, and more than the last bit of u


def _grid(dim, labels=None, seed=0):
    """Gaps, empty rows, cells of different sides; quanta whose borders are floats."""
    rng = np.random.default_rng(seed)
    shape = (4, 3, 2)[:dim]
    filled = rng.random((labels or 1, *shape)) < 0.7
    filled.reshape(len(filled), -1)[:, -1] = True
    cells = np.argwhere(filled)
    low, high, counts = rng.uniform(-3, 0, dim), rng.uniform(1, 9, dim), _counts(rng, len(cells))
    names = (None, None) if labels is None else (cells[:, 0], tuple("abc"[:labels]))
    return QuantizedMeasure(cells[:, 1:], counts, low, high, shape, *names)


def _counts(rng, m):
    counts = rng.integers(1, 20, m)
    counts[0] += -counts.sum() % 64
    counts[0] += 64 * 2 ** int(np.ceil(np.log2(counts.sum() / 64))) - counts.sum()
    return counts


def _leaves(dim, labels=None, seed=0, m=12):
    rng = np.random.default_rng(seed)
    corners, sides = rng.uniform(-2, 2, (m, dim)), rng.choice([0.25, 0.5, 1.0], (m, dim))
    sides[0, 0] = 0.0
    names = (None, None) if labels is None else (np.arange(m) % labels, tuple("abc"[:labels]))
    return QuantizedLeafMeasure(corners, sides, _counts(rng, m), *names)


def _tree(dim):
    points = np.random.default_rng(1).normal(size=(40, dim))
    return jg.TreeMeasure.from_samples(points, bits=500)


PEANO, HILBERT = jg.PeanoCurve(), jg.HilbertCurve()


def _curve(levels, path, curve=PEANO):
    return lambda measure: jg.CurveGenerator(measure, levels, path, curve)


def _sawtooth(folds, path):
    return lambda measure: jg.SawtoothGenerator(measure, folds, path)


def _codebook(measure):
    return jg.CodebookGenerator(measure.low_corners, np.asarray(measure.counts))


# Measure, dimension, labels, construction.
KINDS = {
    "sawtooth 2": (_grid, 2, None, _sawtooth(3, "zigzag")),
    "sawtooth of labels": (_grid, 3, 2, _sawtooth(1, "zigzag")),
    "serpentine 3": (_grid, 3, None, _sawtooth(2, "serpentine")),
    "independent": (_grid, 3, 2, jg.IndependentGenerator),
    "line": (_grid, 2, 2, _curve(2, "line")),
    "diagonal": (_grid, 3, None, _curve(1, "diagonal")),
    "Hilbert": (_grid, 2, None, _curve(2, "diagonal", HILBERT)),
    "leaves": (_leaves, 2, 2, _curve(1, "line")),
    "codebook": (_leaves, 2, None, _codebook),
}
MORE = {
    **{f"{path} {d} {s}": (_grid, d, None, _sawtooth(s, path))
       for path in ("zigzag", "serpentine") for d in (1, 2, 3) for s in range(4)},
    **{f"{type(curve).__name__} {path} {d} {s}": (_grid, d, None, _curve(s, path, curve))
       for curve in (PEANO, HILBERT) for path in ("line", "diagonal", "centre")
       for d in (1, 2, 3) for s in range(3)},
    **{f"leaves {d}": (_leaves, d, 2, _curve(1, "line")) for d in (1, 2, 3)},
    **{f"tree {d}": (lambda dim, labels: _tree(dim), d, None, _curve(1, "line")) for d in (1, 2)},
}  # fmt: skip


def _made(name):
    measure, dim, labels, make = {**MORE, **KINDS}[name]
    return make(measure(dim, labels))


def _edges(g):
    """The borders of the first column, or the next float where they are none; and 0 and 1."""
    counts = np.asarray(g.measure.counts if g.branches.order is None else g.measure.counts[g.branches.order], float)
    begin = np.asarray(g.branches.begin)[g.branches.level(1 + g.branches.labelled)]
    starts = np.append(0, np.cumsum(counts))[begin]
    borders = starts / counts.sum()
    exact = [Fraction(b) * int(counts.sum()) == int(s) for b, s in zip(borders.tolist(), starts.tolist(), strict=True)]
    borders = np.where(exact, borders, np.nextafter(borders, 2.0))
    return np.repeat(np.append(borders, 1.0)[:, None], g.source_dim, axis=1)


def _slopes(g, n=60):
    """Points and Jacobians at random u, to their right and left; at borders and just inside; with and without code."""
    rng = np.random.default_rng(5)
    u = rng.uniform(0.001, 0.999, (n, g.source_dim))
    edges = _edges(g)
    inside = edges + np.where(edges < 1, NEAR, -NEAR)
    ahead = np.eye(g.source_dim)[:, None] * STEP
    batches = [u, *(u + ahead), *(u - ahead), edges, inside]
    codes = [None]
    if g.vocabulary is not None:
        codes.append(jnp.concatenate([jnp.arange(len(batch)) % len(g.vocabulary) for batch in batches]))

    @jax.jit
    def both(u, code):
        def one(u, code):
            return jax.jacfwd(lambda u: (lambda x: (x, x))(g(u, code=code)), has_aux=True)(u)

        return jax.vmap(one, in_axes=(0, None if code is None else 0))(u, code)

    for code in codes:
        slope, x = (np.asarray(part) for part in both(jnp.concatenate(batches), code))
        cuts = np.cumsum([len(batch) for batch in batches])[:-1]
        yield code is not None, np.split(x, cuts), np.split(slope, cuts)


def _check_by_u(name):
    g = _made(name)
    for asked, x, slope in _slopes(g):
        d = g.source_dim
        right, left = ((np.stack(side) - x[0]) / STEP for side in (x[1 : 1 + d], x[1 + d : 1 + 2 * d]))
        right, left = np.moveaxis(right, 0, -1), -np.moveaxis(left, 0, -1)
        # A jump or a turn within a step shows as two slopes that differ.
        scale = np.maximum(1, np.abs(slope[0]).max(axis=(1, 2), keepdims=True))
        smooth = np.all(np.abs(right - left) < 1e-5 * scale, axis=(1, 2))
        assert smooth.mean() > 0.9
        np.testing.assert_allclose(slope[0][smooth], right[smooth], rtol=0, atol=1e-5 * float(scale.max()))
        # One-sided on the borders: that of the right side, and at 1 that of the left. Under a label they are no floats.
        assert np.all(np.isfinite(slope[-2]))
        if not asked:
            np.testing.assert_allclose(slope[-2], slope[-1], rtol=1e-9, atol=1e-9)
    return slope[0]


@pytest.mark.sweep(1)
@pytest.mark.parametrize("name", list(KINDS))
def test_slopes_by_u(name, x64):
    slope = _check_by_u(name)
    assert np.any(slope != 0) != (name == "codebook")


@pytest.mark.slow
@pytest.mark.parametrize("name", list(MORE))
def test_slopes_by_u_of_all_constructions(name, x64):
    _check_by_u(name)


def test_the_slope_of_the_sawtooth_by_hand(x64):
    """Two by one cells of masses 1/4 and 3/4 on [0, 8] x [0, 1]: du/p is the step to the first coordinate."""
    g = jg.SawtoothGenerator(jg.GridMeasure.from_histogram([[1], [3]], low=[0, 0], high=[8, 1]), 2, axes=[0, 1])
    slopes = jax.jit(jax.vmap(jax.jacfwd(g)))(jnp.asarray([0.03, 0.08, 0.24, 0.3, 0.5, 0.9]))
    # x_1 has 4 / p, x_2 the four teeth of the position, up and down: 4 / p.
    np.testing.assert_allclose(slopes[:, 0], [16, 16, 16, 16 / 3, 16 / 3, 16 / 3], rtol=1e-12)
    np.testing.assert_allclose(slopes[:, 1], [16, -16, -16, 16 / 3, -16 / 3, -16 / 3], rtol=1e-12)


def test_the_slope_along_the_curve_by_hand(x64):
    """One leaf of sides 4 and 9, two levels: a third of 9 for each of 27 pieces, 81 runs of length 1 along the last."""
    g = jg.PeanoGenerator(jg.LeafMeasure([[0.0, 0.0]], [[4.0, 9.0]], [1.0]), 2)
    slopes = jax.jit(jax.vmap(jax.jacfwd(g)))(jnp.asarray([0.001, 0.5, 0.77]))
    assert np.all(slopes[:, 0] == 0) and np.all(np.abs(slopes[:, 1]) == 81)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["sawtooth 2", "line", *(pytest.param(name, marks=pytest.mark.slow) for name in ("serpentine 3", "independent"))],
)
def test_slopes_of_the_network_off_its_ramps(name, x64):
    g = _made(name)
    u = np.random.default_rng(2).uniform(0.001, 0.999, (50, g.source_dim))
    # A label is asked for, in front of u.
    hot = np.zeros((0,)) if g.vocabulary is None else np.eye(len(g.vocabulary))[1]
    network, code = g.network(2.0**-20), None if g.vocabulary is None else 1

    def by_network(u):
        return network(jnp.concatenate([hot, jnp.atleast_1d(u)]))

    of_network = np.asarray(jax.jit(jax.vmap(jax.jacfwd(by_network)))(u))
    of_kernel = np.asarray(jax.jit(jax.vmap(jax.jacfwd(lambda u: g(u, code=code))))(u))
    off = np.isclose(of_network, of_kernel, rtol=1e-6, atol=1e-6).all(axis=(1, 2))
    assert off.mean() > 0.95


@pytest.mark.sweep(1)
@pytest.mark.parametrize("name", ["sawtooth 2", pytest.param("diagonal", marks=pytest.mark.slow), "leaves", "codebook"])
def test_by_boxes_and_atoms(name, x64):
    """A point is affine in corners and sides: differences of any size are the derivative."""
    g = _made(name)
    u = jnp.asarray(np.random.default_rng(3).random((40, g.source_dim)))
    weight = np.random.default_rng(4).normal(size=(40, g.dim))

    def value(g, u):
        return jnp.sum(weight * jax.vmap(g)(u))

    # Boxes are NumPy arrays of the host here, and are found by Equinox all the same.
    slopes = eqx.filter_jit(eqx.filter_grad(value))(g, u)
    if name in ("leaves", "codebook"):
        _by_differences(value, g, u, slopes, lambda g: g.measure.low_corners)
    if name == "leaves":
        _by_differences(value, g, u, slopes, lambda g: g.measure.sides)
    if name in ("sawtooth 2", "diagonal"):
        _by_differences(value, g, u, slopes, lambda g: g.measure.low)
        _by_differences(value, g, u, slopes, lambda g: g.measure.high)
    if name == "codebook":
        ones = jax.jacfwd(lambda atoms: eqx.tree_at(lambda g: g.measure.low_corners, g, atoms)(0.3))(
            jnp.asarray(g.atoms)
        )
        at = int(np.argmax(np.all(np.asarray(g.atoms) == np.asarray(g(0.3)), axis=1)))
        np.testing.assert_array_equal(ones, np.eye(len(g.atoms))[at][None, :, None] * np.eye(2)[:, None])


def _by_differences(value, g, u, slopes, at):
    step = np.random.default_rng(6).normal(size=np.shape(at(g)))
    moved = eqx.tree_at(at, g, np.asarray(at(g)) + step)
    slope = np.sum(np.asarray(at(slopes)) * step)
    np.testing.assert_allclose(value(moved, u) - value(g, u), slope, rtol=1e-10)
    assert abs(slope) > 1e-3


@pytest.mark.slow
def test_transformations_compose(x64):
    g = _made("sawtooth 2")
    u = jnp.asarray(np.random.default_rng(7).uniform(0, 1, 20), jnp.result_type(float))
    forward = jax.jit(jax.vmap(jax.jacfwd(g)))(u)
    assert forward.dtype == u.dtype
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.jacrev(g)))(u), forward, rtol=1e-12)

    def summed(u):
        return jax.lax.scan(lambda total, v: (total + jnp.sum(g(v) ** 2), None), jnp.zeros((), u.dtype), u)[0]

    x = jax.jit(jax.vmap(g))(u)
    np.testing.assert_allclose(jax.jit(jax.grad(summed))(u), 2 * np.sum(np.asarray(x) * forward, axis=1), rtol=1e-12)
    # Of pieces of lines the second derivative of a square is that of the slopes.
    second = jax.jit(jax.hessian(lambda v: jnp.sum(g(v) ** 2)))(u[0])
    np.testing.assert_allclose(second, 2 * np.sum(np.asarray(forward[0]) ** 2), rtol=1e-12)
    _, pushed = jax.jvp(g, (u[1],), (jnp.asarray(2.0, u.dtype),))
    np.testing.assert_allclose(pushed, 2 * forward[1], rtol=1e-12)


@pytest.mark.slow
def test_float32_has_the_slopes_of_float64(x64):
    g = _made("line")
    u = np.random.default_rng(8).random(30).astype(np.float32)
    wide = np.asarray(jax.jit(jax.vmap(jax.jacfwd(lambda u: g(u))))(u.astype(np.float64)))
    with jax.enable_x64(False):
        g = _made("line")
        narrow = jax.jit(jax.vmap(jax.jacfwd(g)))(u)
        assert narrow.dtype == jnp.float32
        np.testing.assert_allclose(narrow, wide, rtol=1e-6)
        half = jnp.asarray(0.375, jnp.bfloat16)
        coarse = jg.PeanoGenerator(jg.GridMeasure.from_histogram([1, 1]), 0)
        assert float(jax.grad(lambda u: coarse(u)[0])(half)) == 1


@pytest.mark.slow
def test_words_carry_no_derivative_and_the_same_point():
    for name in ("sawtooth 2", "line"):
        g = _made(name)
        points = jax.jit(jax.vmap(g))
        words = jnp.asarray([[3 << 29, 5]], jnp.uint32)
        program = str(jax.make_jaxpr(lambda w, g=g: g.push(w, None)[0])(words))
        assert "stop_gradient" not in program and "f64" not in program
        u = jr.uniform(jr.key(0), (20,))
        exact = (u * 2**24).astype(jnp.uint32)[:, None] << 8
        np.testing.assert_array_equal(points(u), points(exact))
        with pytest.raises(TypeError, match="uint32"):
            jax.grad(lambda w, g=g: g(w)[0])(words[0])


@pytest.mark.parametrize("path, slope", [("line", [0, 9]), ("diagonal", [9, 9])])
def test_the_curve_itself_has_slopes(path, slope, x64):
    curve = jg.PeanoCurve()
    v = jnp.asarray([0.0, 0.2, 1 / 3, 0.9, 1.0])
    slopes = jax.jit(jax.vmap(jax.jacfwd(lambda v: curve(v, 2, 2, path))))(v)
    np.testing.assert_allclose(np.abs(slopes), np.broadcast_to(slope, (5, 2)))


@pytest.mark.slow
def test_a_gridded_condition_has_the_slopes_of_its_generator(x64):
    c = np.random.default_rng(9).random(50)
    g = jg.GriddedCondition.from_samples(c, np.stack([c, c**2], 1), condition_resolution=3, resolution=4)
    slope = jax.jacfwd(lambda u: g(u, 0.5))(0.3)
    np.testing.assert_allclose(slope, (g(0.3 + 1e-9, 0.5) - g(0.3 - 1e-9, 0.5)) / 2e-9, rtol=1e-5)
    assert np.any(slope != 0)
