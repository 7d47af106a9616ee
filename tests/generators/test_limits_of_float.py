"""What comes out is a float: its distance from the point that is meant, in fractions, is at most the part `float`."""

import itertools
import math
import warnings
from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

import jaxgen as jg
from jaxgen.measures import QuantizedLeafMeasure, QuantizedMeasure


def meant(g, u):
    """The point that a `CurveGenerator` stands for, relative to nothing, in fractions; Peano, "line" or "centre"."""
    measure, order = g.measure, np.asarray(g.branches.order)
    counts = np.asarray(measure.counts)[order].tolist()
    starts, quantum = [0, *itertools.accumulate(counts)], u * sum(counts)
    at = next(i for i, end in enumerate(starts[1:]) if quantum < end)
    r, leaf, d = (quantum - starts[at]) / counts[at], order[at], g.dim
    grid = isinstance(measure, QuantizedMeasure)
    cell = np.asarray(measure.cells)[leaf].tolist() if grid else [0] * d
    # The axis of the longest side changes places with the last, on the way in and on the way out.
    axis = int(np.broadcast_to(g.axes, (measure.size,))[leaf])
    sums, digits = list(cell), [[] for _ in range(d)]
    sums[axis], sums[-1] = sums[-1], sums[axis]
    for _, i in itertools.product(range(g.extra_levels), range(d)):
        r *= 3
        digit, r = math.floor(r), r - math.floor(r)
        digits[i].append(2 - digit if (sum(sums) - sums[i]) % 2 else digit)
        sums[i] += digit
    inside = [Fraction(1, 2)] * d
    if g.path == "line":
        inside[-1] = 1 - r if (sum(sums) - sums[-1]) % 2 else r
    for i, own in enumerate(digits):
        for digit in reversed(own):
            inside[i] = (digit + inside[i]) / 3
    inside[axis], inside[-1] = inside[-1], inside[axis]
    if grid:
        box = zip(
            *(np.asarray(a, float).tolist() for a in (measure.low, measure.high)), measure.resolution, strict=True
        )
        return [Fraction(lo) + (c + v) * (Fraction(hi) - Fraction(lo)) / n
                for c, v, (lo, hi, n) in zip(cell, inside, box, strict=True)]  # fmt: skip
    corner, side = (np.asarray(a, float)[leaf].tolist() for a in (measure.low_corners, measure.sides))
    return [Fraction(c) + Fraction(s) * v for c, s, v in zip(corner, side, inside, strict=True)]


def random_box(rng, d):
    """Sides of 1e-6 to 1e6, offsets of 1 to 1e9 times them."""
    sides = 10.0 ** rng.uniform(-6, 6, d)
    low = rng.choice([-1, 1], d) * sides * 10.0 ** rng.uniform(0, 9, d)
    return low, low + sides


def on_grid(rng, d, levels):
    shape = (1, 3, 7, 4, 2)[:d]
    cells = np.stack(np.unravel_index(rng.permutation(math.prod(shape))[: min(6, math.prod(shape))], shape), axis=1)
    low, high = random_box(rng, d)
    return jg.PeanoGenerator(QuantizedMeasure(cells, rng.integers(1, 9, len(cells)), low, high, shape), levels)


def on_leaves(rng, d, levels):
    low, high = random_box(rng, d)
    corners, sides = low + rng.random((6, d)) * (high - low), (high - low) * rng.choice([0.0, 0.25, 0.5], (6, d))
    return QuantizedLeafMeasure(corners, sides, rng.integers(1, 9, 6)).generator(extra_levels=levels)


@eqx.filter_jit
def pushed(g, words, code=None):
    return jax.vmap(lambda w: g.push(w.reshape(g.source_dim, -1), code)[0])(words)


def off(g, n, rng):
    """How far the floats are from what is meant, of n sources at most, by the part `float`: absolute and relative."""
    words = rng.integers(0, 2**32, (n, g.source_words), dtype=np.uint32)
    sources = [Fraction(int("".join(f"{w:032b}" for w in row), 2), 2 ** (32 * len(row))) for row in words.tolist()]
    exact = [meant(g, u) for u in sources]
    found = []
    for relative in (False, True):
        x = np.asarray(pushed(g.relative() if relative else g, words), float).tolist()
        corner = [Fraction(c) if relative else 0 for c in np.asarray(g.measure.low, float).tolist()]
        squares = [
            sum((Fraction(a) + c - b) ** 2 for a, b, c in zip(*row, corner, strict=True))
            for row in zip(x, exact, strict=True)
        ]
        mean, root = g.certificate(relative=relative).parts["float"]
        if isinstance(g.measure, QuantizedMeasure):
            assert mean == root
            found.append(math.sqrt(max(squares)) / root)
        else:
            # A mean over leaves: each single one is within the root of the largest mass.
            found.append(math.sqrt(max(squares)) / root / math.sqrt(g.measure.quanta))
    return found


def sweep(make, dims, boxes, levels, n=8):
    worst = np.zeros(2)
    for d in dims:
        rng = np.random.default_rng(d)
        for _ in range(boxes):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                g = make(rng, d, levels)
            worst = np.maximum(worst, off(g, n, rng))
    return worst


@pytest.mark.sweep(1)
@pytest.mark.parametrize("make", [on_grid, on_leaves])
def test_no_float_is_farther_off_than_its_part(make, precision):
    absolute, relative = sweep(make, (1, 2), 6, 1)
    assert absolute <= 1 and relative <= 1
    # It is as large as it must be: half an ulp of the largest corner, and some roundings of the width.
    assert make is on_leaves or (absolute > 0.9 and relative > 0.15)


@pytest.mark.slow
@pytest.mark.parametrize("make", [on_grid, on_leaves])
@pytest.mark.parametrize("levels", [0, 2, 20])
def test_no_float_is_farther_off_in_many_boxes(make, levels, precision):
    absolute, relative = sweep(make, range(1, 6), 12, levels)
    assert absolute <= 1 and relative <= 1


@pytest.mark.slow
def test_leaves_cost_the_mean_over_them(precision):
    """Atoms: rounded once each, and nothing else, so that the part is what they are off, on average."""
    atoms = 10.0 ** np.random.default_rng(0).uniform(-3, 9, (20, 2))
    g = jg.CodebookGenerator(atoms, np.arange(1, 21))
    stored, x = np.asarray(g.atoms), np.asarray(g.sample(jr.key(0), 210, stratified=True), float)
    counts = np.asarray(g.measure.counts)
    np.testing.assert_array_equal(x, np.repeat(stored.astype(precision), counts, axis=0))
    each = np.linalg.norm(stored.astype(precision) - stored, axis=1)
    expected = counts @ each / 210, math.sqrt(counts @ each**2 / 210)
    np.testing.assert_allclose(g.certificate().parts["float"], expected, rtol=1e-5)
    # Relative to the corner, the small ones keep their digits.
    assert g.certificate(relative=True).parts["float"][0] < 1e-6 * 1e9


@pytest.mark.slow
def test_far_from_zero_the_certificate_covers_what_comes_out():
    """Seconds of an hour: 29 distinct floats, and a distance of tens of seconds."""
    p = 1.7e9 + np.random.default_rng(0).uniform(0, 3600, 4000)
    with pytest.warns(UserWarning, match=r"off by up to .* relative=True.*measure.low.*float64"):
        g = jg.PeanoGenerator(jg.GridMeasure.from_samples(p, 729))
    x = np.asarray(g.sample(jr.key(0), 4000, stratified=True), float)[:, 0]
    near = np.asarray(g.sample(jr.key(0), 4000, stratified=True, relative=True), float)[:, 0] + g.measure.low[0]
    exact = np.asarray(g.measure.low + (np.asarray(g.measure.cells) + 0.5) * g.measure.cell_sides)[:, 0]
    distance = scipy.stats.wasserstein_distance(x, exact, None, np.asarray(g.measure.counts))
    side = float(g.measure.cell_sides[0])
    assert len(np.unique(x)) < 32 and distance > 30
    assert distance - side / 4 <= g.certificate().w1 < 3 * distance
    assert scipy.stats.wasserstein_distance(x, p) <= jg.data_bound(p, g)
    assert scipy.stats.wasserstein_distance(near, p) <= jg.data_bound(p, g, relative=True) < side / 2
    assert g.certificate(relative=True).w1 < 2e-3 and g.certificate(dtype="float64").w1 < 1e-6
    # The corner goes through a file to its last bit, and what comes out is the same.
    back = jg.decode(jg.encode(g))
    np.testing.assert_array_equal([back.measure.low, back.measure.high], [g.measure.low, g.measure.high])
    assert back.measure.low.dtype == np.float64
    np.testing.assert_array_equal(back.sample(jr.key(1), 9, relative=True), g.sample(jr.key(1), 9, relative=True))


@pytest.mark.slow
def test_exact_transport_between_floats_and_what_is_meant():
    """A square of metres on a map, against exact transport: all of the distance is that of the floats."""
    low = 4.5e6 + 0.3
    with pytest.warns(UserWarning, match="relative=True"):
        g = jg.PeanoGenerator(jg.GridMeasure.from_histogram(np.ones((9, 9), int), low=low, high=low + 1), 2)
    key, n = jr.key(3), 324
    x, near = (np.asarray(g.sample(key, n, stratified=True, relative=r), float) for r in (False, True))
    with jax.enable_x64(True):
        exact = np.asarray(g.sample(key, n, stratified=True))
    for p in (1, 2):
        cost = np.linalg.norm(x[:, None] - exact[None], axis=2) ** p
        distance = cost[scipy.optimize.linear_sum_assignment(cost)].mean() ** (1 / p)
        bound = g.certificate().parts["float"][p - 1]
        assert 20 * g.filling()[p - 1] < distance <= bound < 3 * distance
    assert np.abs(near + g.measure.low - exact).max() < 1e-6


@pytest.mark.slow
def test_samples_relative_to_the_corner(evaluate):
    box = {"low": [-3.0, 50.0], "high": [1.0, 57.0]}
    g = jg.PeanoGenerator(jg.GridMeasure.from_histogram([[1, 2], [3, 0]], **box), 2)
    key, u = jr.key(0), jnp.float32(0.3)
    x, near = g.sample(key, 50), g.sample(key, 50, relative=True)
    np.testing.assert_allclose(near + g.measure.low, x, rtol=1e-6)
    np.testing.assert_array_equal(jnp.concatenate(list(g.stream(key, 50, chunk_size=40, relative=True))), near)
    np.testing.assert_allclose(g.relative()(u) + g.measure.low, g(u), rtol=1e-6)
    moved = g.relative()
    np.testing.assert_array_equal([moved.measure.low, moved.measure.high], [[0, 0], [4, 7]])
    for name, pair in g.certificate(relative=True).parts.items():
        np.testing.assert_allclose(moved.certificate().parts[name], pair, rtol=1e-6)
    assert moved.certificate().w2 < g.certificate().w2
    made, plain = (evaluate(one.network(), [[0.3]], np.float32) for one in (g.relative(), g))
    np.testing.assert_allclose(made + g.measure.low, plain, rtol=1e-6)
    with pytest.raises(NotImplementedError, match="no box"):
        jg.MLPGenerator(dim=1, source_dim=1, width=2, depth=2, key=key).sample(key, 3, relative=True)


def test_a_rounded_measure_moved_keeps_what_is_proven():
    rng = np.random.default_rng(0)
    grid = jg.GridMeasure.from_histogram(rng.random((3, 3)), low=5.0, high=6.0).quantize(50)
    leaves = jg.LeafMeasure(5 + rng.random((9, 2)), 0.125, rng.random(9)).quantize(50)
    for q in (grid, leaves):
        assert q.relative().rounding_bound(1) == q.rounding_bound(1) > 0
        assert np.all(np.asarray(q.relative().low) == 0)
        np.testing.assert_allclose(q.relative().mean() + q.low, q.mean(), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["curve", "codebook", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("sawtooth", "independent"))]
)
def test_a_half_lands_where_it_is(kind):
    """float16 sources are read to their last bit, or refused by name where they have too few."""
    m = jg.GridMeasure.from_histogram([[1, 2], [3, 2]])
    g = {
        "curve": lambda: jg.PeanoGenerator(m, 1),
        "sawtooth": lambda: jg.SawtoothGenerator(m, 2),
        "independent": lambda: jg.IndependentGenerator(m),
        "codebook": lambda: jg.CodebookGenerator([0.0, 1.0, 2.0], [1, 2, 1]),
    }[kind]()
    for value in (0.3, 0.0, 1.0, 0.9995, 6e-8):
        half = np.full(() if g.source_dim == 1 else 2, value, np.float16)
        np.testing.assert_array_equal(g(half), g(half.astype(np.float32)))
        if kind == "curve":
            np.testing.assert_array_equal(jax.vmap(g)(half[None])[0], g(half))
    with pytest.raises(ValueError, match="float16, which holds 11 bits"):
        jg.PeanoGenerator(m, 4)(np.float16(0.3))


def test_generators_warn_once_and_only_where_it_matters():
    counts = np.random.default_rng(0).integers(0, 9, (9, 9))
    ordinary = jg.GridMeasure.from_histogram(counts, low=[-180, -90], high=[180, 90])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for make in (jg.PeanoGenerator, jg.SawtoothGenerator, jg.IndependentGenerator):
            make(ordinary).certificate()
        jg.PeanoGenerator(jg.GridMeasure.from_histogram([0.3, 0.7]))
        jg.CodebookGenerator([0.1, 0.2, 5.0])
    # Levels beyond what floats hold: no corner helps.
    with pytest.warns(UserWarning, match=r"float64; fewer extra_levels") as seen:
        jg.PeanoGenerator(ordinary, 16)
    assert len(seen) == 1 and "relative=True" not in str(seen[0].message)
    with pytest.warns(UserWarning, match="relative=True") as seen:
        g = jg.CodebookGenerator(1e9 + np.arange(4.0))
        g.certificate(), g.sample(jr.key(0), 2), g.sample(jr.key(0), 2)
    assert len(seen) == 1
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("error")
        jg.CodebookGenerator(1e9 + np.arange(4.0))
        jg.PeanoGenerator(ordinary, 16)


def test_networks_say_where_their_floats_have_too_few_bits():
    m = jg.GridMeasure.from_histogram([[1, 2], [3, 2]])
    for g, fits in ((jg.PeanoGenerator(m, 8), "extra_levels=6"), (jg.SawtoothGenerator(m, 30), "folds=21")):
        with pytest.warns(UserWarning, match=rf"float32, which holds 24 bits.*float64 \(53 bits.* or {fits}"):
            g.network()
        name = fits.split("=")[0]
        assert type(g)(m, **{name: int(fits.split("=")[1])}).float_bits <= 24
        assert type(g)(m, **{name: int(fits.split("=")[1]) + 1}).float_bits > 24
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            g.size()
            type(g)(m, 2).network()


def float_network(g, ramp, n, evaluate, dtype, relative=False, condition=None):
    """Kernel and network at the same n floats, one a stratum: mean and root mean square of what is between."""
    bits = 24 if dtype == "float32" else 53
    u = np.random.default_rng(0).random((n, g.source_dim))
    u[:, 0] = (np.arange(n) + u[:, 0]) / n
    u = np.floor(u * 2.0**bits) / 2.0**bits
    words = np.zeros((n, g.source_dim, 4), np.uint32)
    words[..., 0] = np.floor(u * 2.0**32)
    words[..., 1] = np.floor((u * 2.0**32 - words[..., 0]) * 2.0**32)
    hot = [] if g.vocabulary is None else np.array(g.vocabulary) == condition
    inputs = np.concatenate([np.broadcast_to(hot, (n, len(hot))), u], axis=1)
    with jax.enable_x64(dtype == "float64"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        network = (g.relative() if relative else g).network(ramp)
    y = evaluate(network, inputs, np.dtype(dtype)).astype(float) + (g.measure.low if relative else 0)
    with jax.enable_x64(True):
        x = np.asarray(pushed(g, words, None if condition is None else jnp.asarray(g.vocabulary.index(condition))))
    square = ((x - y) ** 2).sum(axis=1)
    return np.sqrt(square).mean(), math.sqrt(square.mean())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("levels", [2, *(pytest.param(s, marks=pytest.mark.slow) for s in (0, 1, 3, 9))])
@pytest.mark.parametrize("kind", ["grid", "codebook", pytest.param("leaves", marks=pytest.mark.slow)])
def test_networks_in_floats_are_as_near_as_their_certificate_says(kind, levels, dtype, evaluate):
    """In mean and mean square over the source, which is a coupling: to sampling errors of far less than the bound."""
    rng, ramp = np.random.default_rng(levels), 2.0**-14
    cells = np.argwhere(rng.random((9, 9)) < 0.7)
    if kind == "codebook" and levels:
        pytest.skip("a codebook has no levels")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        g = {
            "grid": lambda: jg.PeanoGenerator(
                QuantizedMeasure(cells, rng.integers(1, 9, len(cells)), [-3, 200], [1, 209], (9, 9)), levels
            ),
            "leaves": lambda: QuantizedLeafMeasure(
                rng.uniform(-2, 2, (30, 2)), rng.choice([0.25, 0.5, 1.0], (30, 2)), rng.integers(1, 9, 30)
            ).generator(extra_levels=levels),
            "codebook": lambda: jg.CodebookGenerator(rng.normal(size=(200, 2)) + 50, rng.integers(1, 9, 200)),
        }[kind]()
    for relative in (False, True):
        found = float_network(g, ramp, 1 << 13, evaluate, dtype, relative)
        parts = g.certificate(ramp, relative=relative, dtype=dtype).parts
        for p in (0, 1):
            assert found[p] <= parts["float"][p] + parts["ramps"][p]
        # Not idle: in double precision, or with few digits, next to nothing.
        assert dtype == "float32" or levels > 3 or parts["float"][0] < 1e-3


def test_floats_of_a_network_that_resolves_nothing_cost_the_size_of_its_leaves():
    m = QuantizedMeasure([[0, 0], [1, 1]], [1, 1], 0.0, 2.0, 2)
    with pytest.warns(UserWarning, match="fewer extra_levels"):
        deep = jg.PeanoGenerator(m, 20)
    few = jg.PeanoGenerator(m, 2)
    ramp, leaf = 2.0**-14, math.sqrt(2)
    assert few.certificate(ramp).parts["float"][0] < 0.1 < deep.certificate(ramp).parts["float"][0] < 1.1 * leaf
    assert few.certificate(ramp, dtype="float64").parts["float"][0] < 1e-3


def nested(kind, folds, dim, rng, labels=None):
    """On a grid with gaps, far from zero on one axis; cells of 1 to 8 quanta."""
    shape = {2: (6, 5), 3: (4, 3, 4), 4: (3, 2, 3, 2)}[dim]
    filled = rng.random((labels or 1, *shape)) < 0.7
    filled[(slice(None), *[0] * dim)] = True
    cells, low = np.argwhere(filled), np.append(np.zeros(dim - 1), 50.0)
    codes, names = (None, None) if labels is None else (cells[:, 0], tuple("abc"[:labels]))
    m = QuantizedMeasure(cells[:, 1:], rng.integers(1, 9, len(cells)), low, low + shape, shape, codes, names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return jg.IndependentGenerator(m) if kind == "independent" else jg.SawtoothGenerator(m, folds, kind)


NESTED = [
    *itertools.product(("zigzag", "serpentine"), (0, 1, 4, 8), (2, 4), (None,), ("float32", "float64")),
    *itertools.product(("zigzag", "serpentine"), (3,), (3,), (3,), ("float32", "float64")),
    *itertools.product(("independent",), (None,), (2, 3), (None, 3), ("float32", "float64")),
]
QUICK = [("zigzag", 3, 3, 2, "float32")]


@pytest.mark.parametrize(
    "kind, folds, dim, labels, dtype", [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in NESTED)]
)
def test_nested_networks_in_floats_are_as_near_as_their_certificate_says(kind, folds, dim, labels, dtype, evaluate):
    """As above; where digits are lost, too, which in float64 begins at 5 or 6 folds in four dimensions."""
    g, condition = nested(kind, folds, dim, np.random.default_rng(dim), labels), None if labels is None else "b"
    for ramp, relative in ((2.0**-30, False), (2.0**-8, True)):
        found = float_network(g, ramp, 1 << 12, evaluate, dtype, relative, condition)
        parts = g.certificate(ramp, condition, relative=relative, dtype=dtype).parts
        for p in (0, 1):
            assert found[p] <= parts["float"][p] + parts["ramps"][p]
        # With so narrow ramps that no source is in one, floats are all that there is.
        assert ramp > 2.0**-12 or found[0] <= parts["float"][0]
        if dtype == "float64" and (folds or 0) * (dim - 1) < 12:
            assert parts["float"][0] < 1e-4 and parts["float"][1] < 1e-2


@pytest.mark.slow
def test_floats_that_lose_the_last_coordinate_cost_about_its_width(evaluate):
    """Folds double what is not known, and it is divided by lengths: 2**27, and the product of all of these."""
    counts = np.random.default_rng(0).integers(1, 9, 81)
    dense = QuantizedMeasure(np.argwhere(np.ones((3, 3, 3, 3))), counts, 0.0, 1.0, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        g = jg.SawtoothGenerator(dense, 9)
    ramp = 2.0**-20
    single, double = (g.certificate(ramp, dtype=dtype).parts["float"] for dtype in ("float32", "float64"))
    found = float_network(g, ramp, 1 << 10, evaluate, "float32")
    # Two independent places on the axis are a third apart. The bound allows branches to be alive beside each other.
    assert 0.25 < found[0] <= single[0] < 4 and found[1] <= single[1] < 4
    assert double[0] < 1e-3
    # The doubling: of two folds and one, all that is left are the first terms.
    few = [jg.SawtoothGenerator(dense, s).certificate(ramp, dtype="float64").parts["float"][0] for s in (1, 2, 3)]
    assert few[1] / few[0] > 4 and few[2] / few[1] > 4 and few[0] < 1e-9


def test_what_floats_add_to_a_nested_network_number_by_number():
    """Proposition 22b where it can be written down, u = 2**-24."""

    def floats(g, ramp=0.25, relative=False):
        found = np.array(g.certificate(ramp, relative=relative, dtype="float32").parts["float"])
        return found / [2.0**-24, 2.0**-12]

    def expected(lost, far, near, box):
        """In units of u, and of its root."""
        u = 2.0**-24
        return lost * far + near + box, math.sqrt(lost) * far + (near + box) * math.sqrt(u)

    # One cell of sides 2 and 3, the second last: a border on either side of the first, and no jump.
    cell = QuantizedMeasure([[0, 0]], [1], 0.0, [2.0, 3.0], 1)
    near = math.hypot(2 * (44 + 10), 3 * (4 * 180 + 32 + 10))
    want = expected(2 * 140, math.hypot(2, 2 * 3), near, 14 * math.hypot(2, 3))
    np.testing.assert_allclose(floats(jg.SawtoothGenerator(cell, 2)), want, rtol=1e-5)
    # Without folds branches die in ramps, and are read but once; fresh numbers are cut off at the end of the box.
    near = math.hypot(2 * (44 + 10), 3 * (180 + 32 + 10))
    want = expected(4 / 3 * 3 * 140, math.hypot(2, 2 * 3), near, 14 * math.hypot(2, 3))
    np.testing.assert_allclose(floats(jg.SawtoothGenerator(cell, 0)), want, rtol=1e-5)
    want = expected(4 / 3 * 3 * 140, math.hypot(2, 3), (44 + 10) * math.hypot(2, 3), 14 * math.hypot(2, 3))
    np.testing.assert_allclose(floats(jg.IndependentGenerator(cell)), want, rtol=1e-5)
    # The first of a serpentine: twice, and how often the wave of four parts takes another, which is a part away.
    first, waves = 2 * 2 * 54 + 2 * 380, 4 * 54 + 378 * 4
    near, stairs = math.hypot(first, 3 * (4 * 180 + 42)), 4 * waves * (2 * 2 / 4)
    want = expected(2 * 140, math.hypot(2, 2 * 3), near, 14 * math.hypot(2, 3))
    np.testing.assert_allclose(floats(jg.SawtoothGenerator(cell, 2, "serpentine"))[0], want[0] + stairs, rtol=1e-3)
    # Two cells and a gap: the jump's ramp, its ends, and the end of the cell before it; half of the mass each.
    gap = QuantizedMeasure([[0], [2]], [1, 1], [6.0], [9.0], 3)
    line = jg.SawtoothGenerator(gap, 5)
    near, lost = 3 * (44 / 1.5 + 14), 0.5 * 140 / 0.5 + 0.5 * 2 * 140 / 0.5
    np.testing.assert_allclose(floats(line, relative=True), expected(lost, 3, near, 3 * 18), rtol=1e-5)
    np.testing.assert_allclose(floats(line), expected(lost, 3, near, 3 * 18 + 4 * 9), rtol=1e-5)
    # A neighbour of 1/4096 makes the coordinate steep; one shorter than twice the error, and it may be anywhere.
    for light, steep in ((1, 44 * 4096 / 2), (2.0**-8, 2.0**24)):
        heavy = int(4095 / light)
        pair = QuantizedMeasure([[0], [1]], [heavy, 1], [0.0], [2.0], 2)
        near = 2 * (steep + 12)
        assert floats(jg.SawtoothGenerator(pair, 1))[0] == pytest.approx(near + 2 * 16, rel=1e-3)


@pytest.mark.slow
def test_a_network_whose_floats_are_not_bounded_says_so():
    """A curve that has no network, and ramps that are wider than the proof allows."""
    m = jg.GridMeasure.from_histogram([[1, 2], [3, 2]])
    hilbert = jg.CurveGenerator(m, 1, curve=jg.HilbertCurve())
    for g, ramp in ((hilbert, 2.0**-10), (jg.SawtoothGenerator(m, 2), 0.3), (jg.IndependentGenerator(m), 0.3)):
        certificate = g.certificate(ramp)
        assert "float" not in certificate.parts and "in exact arithmetic" in certificate.rule
        assert "float" in g.certificate().parts and "exact arithmetic" not in g.certificate().rule
    for g in (jg.SawtoothGenerator(m, 2), jg.IndependentGenerator(m)):
        assert "float" in g.certificate(0.25).parts
