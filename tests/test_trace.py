"""Measures and generators built while a function is traced, and their derivatives by masses (theory, section 12)."""

import equinox as eqx
import jax
import jax.monitoring
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import jaxgen as jg
from jaxgen.source import branches

CELLS = np.array([[2, 2], [0, 0], [0, 2], [1, 1], [2, 0]])  # in no order
MASSES = np.array([0.25, 0.1, 0.3, 0.2, 0.15])
CODES = np.array([1, 0, 1, 0, 1])
LOW, HIGH = np.array([0.0, -1.0]), np.array([3.0, 2.0])


def _grid(masses, low=LOW, high=HIGH, labels=False):
    names = {"labels": CODES, "vocabulary": ("a", "b")} if labels else {}
    return jg.GridMeasure(CELLS, masses, low, high, 3, **names)


def _leaves(masses, corners=CELLS / 3, sides=0.25, labels=False):
    names = {"labels": CODES, "vocabulary": ("a", "b")} if labels else {}
    return jg.LeafMeasure(corners, sides, masses, **names)


def _sawtooth(gradient="detached", folds=2):
    return lambda measure: jg.SawtoothGenerator(measure, folds, axes=[0, 1], gradient=gradient)


KINDS = {
    "sawtooth": (_grid, _sawtooth()),
    "serpentine": (_grid, lambda measure: jg.SawtoothGenerator(measure, 1, "serpentine", axes=[1, 0])),
    "independent": (_grid, jg.IndependentGenerator),
    "curve": (_grid, lambda measure: jg.PeanoGenerator(measure, 1)),
    "leaves": (_leaves, lambda measure: jg.CurveGenerator(measure, 1)),
}


QUICK = [("sawtooth", True), ("leaves", False)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, labels",
    [
        pytest.param(name, labels, marks=() if (name, labels) in QUICK else pytest.mark.slow)
        for name in KINDS
        for labels in (False, True)
    ],
)
def test_built_under_jit_is_built_outside(name, labels, x64):
    measure, make = KINDS[name]
    outside = make(measure(MASSES, labels=labels))
    u = np.random.default_rng(0).random((200, outside.source_dim))
    codes = jnp.arange(200) % 2 if labels else None

    @jax.jit
    def inside(masses, u, codes):
        g = make(measure(masses, labels=labels))
        points = jax.vmap(lambda u, code: g(u, code=code), (0, 0 if labels else None))(u, codes)
        return points, g.sample(jr.key(0), 200)

    expected = jax.jit(jax.vmap(lambda u, code: outside(u, code=code), (0, 0 if labels else None)))(u, codes)
    points, samples = inside(3 * MASSES, u, codes)
    # A border moves by some quanta of 2**-24, and places in a leaf by that times their slope.
    assert np.isclose(points, expected, atol=1e-4).all(axis=1).mean() > 0.99
    assert np.isclose(samples, outside.sample(jr.key(0), 200), atol=1e-4).all(axis=1).mean() > 0.99


def test_masses_are_rounded_as_outside(x64):
    masses = np.random.default_rng(1).random(300)
    tree = jax.jit(lambda m: branches([np.arange(300)], 300).of_masses(m))(masses)
    counts = jg.LeafMeasure(np.arange(300.0), 1.0, masses).quantize(2**24).counts
    np.testing.assert_array_equal(tree.count[1:], counts)
    assert tree.start_moved is not None and np.all(tree.start_moved == 0) and np.all(tree.count_moved == 0)


@pytest.mark.slow
def test_every_label_keeps_a_quantum_and_float32_loses_none(precision):
    rng = np.random.default_rng(2)
    masses, labels = rng.random(3000), np.repeat([0, 1, 2, 3], 750)
    masses[labels == 1], masses[labels == 3] = 1e-12, 0
    tree = jax.jit(lambda m: branches([np.arange(3000)], 3000, labels).of_masses(m))(masses)
    counts = np.asarray(tree.count, np.int64)
    assert counts[0] == 2**24 == counts[5:].sum() and np.all(counts >= 0)
    np.testing.assert_array_equal(counts[1:5], [counts[5:][labels == k].sum() for k in range(4)])
    assert np.all(counts[[2, 4]] == 1)
    share = 2**24 * masses / masses.sum()
    # The sums of floats of 24 bits are right to some units of the last place.
    assert np.abs(counts[5:] - share)[labels % 2 == 0].max() < (1.6 if precision == "float64" else 16)


def test_leaves_without_mass_are_never_met(x64):
    masses = jnp.asarray([0.0, 0.4, 0.0, 0.6, 0.0])
    u = jnp.concatenate([jnp.linspace(0, 1, 101), jnp.asarray([0.4])])
    x = jax.jit(lambda masses: jax.vmap(jg.LeafMeasure(jnp.arange(5.0), 0.5, masses).generator())(u))(masses)
    assert set(np.floor(np.asarray(x)[:, 0]).tolist()) == {1, 3}


def _points(make, u):
    """Of sources, as a function of the masses."""
    return jax.jit(lambda masses: jax.vmap(make(_grid(masses)))(u))


@pytest.mark.slow
def test_pathwise_derivatives_by_masses(x64):
    points = _points(_sawtooth("pathwise"), jnp.asarray(np.random.default_rng(3).random(100)))
    step, masses = 2.0**-12, jnp.asarray(MASSES)
    slopes = np.asarray(jax.jit(jax.jacfwd(points))(masses))
    np.testing.assert_allclose(jax.jit(jax.jacrev(points))(masses), slopes, rtol=1e-9, atol=1e-9)
    ends = [(points(masses + e), points(masses - e)) for e in step * np.eye(len(MASSES))]
    differences = np.stack([(right - left) / (2 * step) for right, left in ends], axis=-1)
    # Fixed leaves: differences of a point that jumps or turns are far off, and of the others of second order.
    near = np.abs(slopes - differences).max(axis=(1, 2)) < 0.02 * np.maximum(1, np.abs(slopes).max(axis=(1, 2)))
    assert near.mean() > 0.85


@pytest.mark.slow
def test_detached_derivatives_by_masses(x64):
    """The first coordinate is that of the path; the second sees the masses of its row, for what it is handed."""
    u, masses = jnp.asarray(np.random.default_rng(3).random(100)), jnp.asarray(MASSES)
    slopes, pathwise = (
        np.asarray(jax.jit(jax.jacfwd(_points(_sawtooth(name), u)))(masses)) for name in ("detached", "pathwise")
    )
    np.testing.assert_allclose(slopes[:, 0], pathwise[:, 0], rtol=1e-9)
    assert np.abs(slopes[:, 1] - pathwise[:, 1]).max() > 1
    x = np.asarray(jax.jit(jax.vmap(_sawtooth()(_grid(MASSES))))(u))
    for (first, second), slope in zip(x, slopes[:, 1], strict=True):
        row = np.flatnonzero(CELLS[:, 0] == int(first))
        row = row[np.argsort(CELLS[row, 1])]
        at = int(np.flatnonzero(CELLS[row, 1] == np.floor(second + 1))[0])
        # dr = -(dF + r dp) / p by the rule, F and p the masses before and of the bin, given the row.
        total = MASSES[row].sum()
        given = (np.eye(5)[row] - np.outer(MASSES[row] / total, np.isin(np.arange(5), row))) / total
        dr = -(given[:at].sum(axis=0) + (second - np.floor(second)) * given[at]) / (MASSES[row[at]] / total)
        np.testing.assert_allclose(slope, dr, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("gradient", ["detached", "pathwise"])
def test_slopes_by_u_and_boxes_are_those_of_fixed_masses(gradient, x64):
    u = jnp.asarray(np.random.default_rng(4).random(60))
    outside = _sawtooth(gradient)(_grid(MASSES))

    @jax.jit
    def slopes(masses, u, low):
        return jax.vmap(jax.jacfwd(lambda u, low: _sawtooth(gradient)(_grid(masses, low))(u), (0, 1)), (0, None))(
            u, low
        )

    by_u, by_low = slopes(MASSES, u, LOW)
    near = np.isclose(by_u, jax.jit(jax.vmap(jax.jacfwd(outside)))(u), rtol=1e-5).all(axis=1)
    assert near.mean() > 0.98
    at = (np.asarray(jax.jit(jax.vmap(outside))(u)) - LOW) / (HIGH - LOW)
    np.testing.assert_allclose(by_low[near], (1 - at[near])[:, :, None] * np.eye(2), atol=1e-4)


@pytest.mark.slow
def test_the_derivative_of_samples_by_masses(x64):
    """Words have no derivative, and the masses have theirs: the mean of u that are drawn, against the mean over u."""
    masses = jnp.asarray([0.2, 0.5, 0.3])

    def mean(masses):
        g = jg.SawtoothGenerator(jg.GridMeasure([[0], [1], [2]], masses, 0.0, 3.0, 3), 1)
        return jnp.mean(g.sample(jr.key(0), 2048, stratified=True))

    # The quantile function of neighbouring bins has no jumps: the derivative of the mean is that of the law.
    by_law = np.array([0.5, 1.5, 2.5]) - float(masses @ jnp.asarray([0.5, 1.5, 2.5]))
    np.testing.assert_allclose(jax.jit(jax.grad(mean))(masses), by_law, atol=2e-3)


@pytest.mark.slow
def test_the_bias_at_jumps(x64):
    """Theory, section 12: leaves [0, 1/10] and [9/10, 1] of masses p and 1 - p, f(x) = x, at p = 1/2."""
    u = jnp.asarray((np.arange(1000) + 0.5) / 1000)

    def of_points(p):
        measure = jg.GridMeasure([[0], [9]], jnp.stack([p, 1 - p]), 0.0, 1.0, 10)
        return jnp.mean(jax.vmap(jg.SawtoothGenerator(measure, gradient="pathwise"))(u))

    def of_the_law(p):
        points, weights = jg.LeafMeasure([0.0, 0.9], 0.1, jnp.stack([p, 1 - p])).weighted_points()
        return weights @ points[:, 0]

    np.testing.assert_allclose(jax.jit(jax.grad(of_points))(0.5), -0.1, rtol=1e-5)
    np.testing.assert_allclose(jax.grad(of_the_law)(0.5), -0.9, rtol=1e-12)


REFUSING = {
    "curve": lambda masses: jg.PeanoGenerator(_grid(masses), 1)(0.3),
    "leaves": lambda masses: jg.CurveGenerator(_leaves(masses), 0).sample(jr.key(0), 3),
    "codebook": lambda masses: jg.CodebookGenerator(CELLS, masses)(0.3),
}


@pytest.mark.sweep(1)
@pytest.mark.parametrize("name", list(REFUSING))
def test_derivatives_by_masses_are_refused_along_curves_and_for_codebooks(name):
    points = REFUSING[name]
    for transform in (jax.jacfwd, lambda f: jax.jit(jax.jacrev(f))):
        with pytest.raises(TypeError, match=r"measure\.weighted_points"):
            transform(points)(jnp.asarray(MASSES))
    # Where they are meant to stand, they do.
    assert not np.any(jax.jit(jax.jacfwd(lambda masses: points(jax.lax.stop_gradient(masses))))(MASSES))


@pytest.mark.slow
def test_by_places_while_masses_are_traced(x64):
    def point(corners, sides, u, masses):
        return jg.CurveGenerator(_leaves(masses, corners, sides), 1)(u)

    corners, sides = jnp.asarray(CELLS / 3), jnp.full((5, 2), 0.25)
    slopes = jax.jit(jax.jacfwd(point, (0, 1, 2)))(corners, sides, 0.3, MASSES)
    g = jg.CurveGenerator(_leaves(MASSES), 1)
    expected = jax.jacfwd(lambda c, s, u: eqx.tree_at(lambda g: (g.measure.low_corners, g.measure.sides), g, (c, s))(u),
                          (0, 1, 2))(corners, sides, 0.3)  # fmt: skip
    for ours, theirs in zip(slopes, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
        assert np.any(theirs != 0)
    atoms = jnp.asarray([[0.0], [2.0], [5.0]])
    by_atoms = jax.jit(jax.jacfwd(lambda a, m: jg.CodebookGenerator(a, m)(0.5)))(atoms, jnp.asarray([1.0, 2.0, 1.0]))
    np.testing.assert_array_equal(by_atoms[0, :, 0], [0, 1, 0])


@pytest.mark.parametrize("each", [1, 5])
def test_weighted_points_have_the_derivative_of_the_law(each, x64):
    def mean(f, each):
        def value(masses, low):
            points, weights = _grid(masses, low).weighted_points(each)
            assert points.shape == (5 * each, 2) and weights.shape == (5 * each,)
            return weights @ jax.vmap(f)(points)

        return jax.jit(jax.grad(value, (0, 1)))(MASSES, LOW)

    # Of an affine function exactly: dp_i f(centre_i), with the masses over their sum, and the mean of 1 - place.
    by_masses, by_low = mean(lambda x: x @ jnp.asarray([2.0, -1.0]) + 5, each)
    values = (LOW + CELLS + 0.5) @ [2.0, -1.0] + 5
    np.testing.assert_allclose(by_masses, values - MASSES @ values, rtol=1e-10)
    np.testing.assert_allclose(by_low, (1 - MASSES @ (CELLS + 0.5) / 3) * [2.0, -1.0], rtol=1e-10)
    if each == 5:
        # Of a square up to the error of the lattice, which falls with its points.
        exact = ((LOW + CELLS + 0.5) ** 2 + 1 / 12).sum(axis=1)
        exact = exact - MASSES @ exact
        few, many = (np.abs(mean(lambda x: x @ x, n)[0] - exact).max() for n in (2, 64))
        assert many < 1e-3 and many <= few
    with pytest.raises(ValueError, match="each must be at least 1"):
        _grid(MASSES).weighted_points(0)


@pytest.mark.slow
def test_what_needs_numbers_says_so():
    def ask(what):
        def build(masses):
            what(_grid(masses))
            return masses.sum()

        return jax.grad(build)(jnp.asarray(MASSES))

    for what, name in (
        (lambda m: jg.PeanoGenerator(m).certificate(), "a certificate needs the numbers"),
        (lambda m: jg.PeanoGenerator(m).network(), "a network needs the numbers"),
        (lambda m: jg.SawtoothGenerator(m, axes=[0, 1]).network(), "a network needs the numbers"),
        (lambda m: jg.encode(m), "a code needs the numbers"),
        (lambda m: jg.encode(jg.PeanoGenerator(m)), "a code needs the numbers"),
        (lambda m: m.quantize(8), "outside of jit, vmap and grad"),
    ):
        with pytest.raises(TypeError, match=name):
            ask(what)
    with pytest.raises(ValueError, match=r"axes='auto'.*the box is traced"):
        jax.jit(lambda low: jg.SawtoothGenerator(_grid(MASSES, low))(0.3))(LOW)
    with pytest.raises(TypeError, match="cells, labels or counts of this GridMeasure are traced"):
        eqx.filter_jit(lambda measure: jg.PeanoGenerator(measure)(0.3))(_grid(MASSES))
    for wrong in (-1.0, np.nan):
        with pytest.raises(Exception, match="masses must be finite, nonnegative and not all zero"):
            jax.block_until_ready(jax.jit(lambda m: jg.PeanoGenerator(_grid(m))(0.3))(MASSES * [1, 1, wrong, 1, 1]))
    with pytest.raises(ValueError, match=r"masses must have shape \(5,\)"):
        jax.jit(lambda m: jg.PeanoGenerator(_grid(m))(0.3))(MASSES[1:])
    with pytest.raises(ValueError, match="gradient must be one of detached, pathwise"):
        jg.SawtoothGenerator(_grid(MASSES), gradient="none")


@pytest.mark.slow
def test_a_batch_of_laws():
    masses = jnp.stack([jnp.asarray(MASSES), jnp.asarray(MASSES[::-1].copy())])
    many = jax.jit(jax.vmap(lambda m: _sawtooth()(_grid(m))(0.3)))(masses)
    np.testing.assert_allclose(many, [_sawtooth()(_grid(np.asarray(m)))(0.3) for m in masses], atol=1e-4)


@pytest.mark.slow
def test_networks_and_codes_under_jit(x64):
    g = jg.PeanoGenerator(_grid(MASSES, labels=True), 1)
    u, codes = jnp.asarray(np.random.default_rng(5).random(40)), jnp.arange(40) % 2
    network = g.network()
    of_network = jax.jit(jax.vmap(lambda u, code: network(jnp.append(jax.nn.one_hot(code, 2), u))))(u, codes)
    of_kernel = jax.jit(jax.vmap(lambda u, code: g(u, code=code)))(u, codes)
    assert np.isclose(of_network, of_kernel, atol=1e-6).all(axis=1).mean() > 0.95
    slope = jax.jit(jax.vmap(jax.grad(lambda u, code: g(u, code=code).sum())))(u, codes)
    assert np.all(slope != 0)


programs = 0


def _count(name, *_, **__):
    global programs
    programs += "backend_compile" in name


jax.monitoring.register_event_duration_secs_listener(_count)


@pytest.mark.slow
def test_optax_trains_what_is_built_at_each_step():
    """Masses by a logarithm each, through the first coordinates of points; and a box, as any module: one program."""
    target = jnp.asarray([1.4, 0.2])

    def loss(logits, key):
        x = _sawtooth()(_grid(jax.nn.softmax(logits))).sample(key, 64)
        return jnp.sum((x.mean(axis=0) - target) ** 2)

    optimizer = optax.adam(0.1)

    @jax.jit
    def step(logits, state, key):
        value, slope = jax.value_and_grad(loss)(logits, key)
        updates, state = optimizer.update(slope, state)
        return optax.apply_updates(logits, updates), state, value

    logits = jnp.zeros(5)
    state, values, compiled = optimizer.init(logits), [], []
    for i in range(40):
        logits, state, value = step(logits, state, jr.key(i))
        values.append(float(value))
        compiled.append(programs)
    assert compiled[-1] == compiled[2]
    assert np.mean(values[-5:]) < 0.5 * values[0]


@pytest.mark.slow
def test_a_generator_is_any_equinox_module():
    g = jg.PeanoGenerator(_grid(MASSES).quantize(64), 1)
    params, rest = eqx.partition(g, eqx.is_inexact_array)
    # The box, and nothing else.
    assert len(jax.tree.leaves(params)) == 2
    optimizer = optax.sgd(0.1)

    @eqx.filter_jit
    def step(params, state):
        def loss(params):
            return jnp.sum(jax.vmap(eqx.combine(params, rest))(jnp.linspace(0, 1, 16)) ** 2) / 16

        updates, state = optimizer.update(eqx.filter_grad(loss)(params), state)
        return eqx.apply_updates(params, updates), state

    state, compiled = optimizer.init(params), []
    for _ in range(20):
        params, state = step(params, state)
        compiled.append(programs)
    assert compiled[-1] == compiled[2]
    trained = eqx.combine(params, rest)
    assert np.abs(trained.sample(jr.key(0), 50)).mean() < np.abs(g.sample(jr.key(0), 50)).mean()
