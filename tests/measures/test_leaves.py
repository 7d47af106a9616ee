"""Laws on boxes of any size: density, samples, labels, rounding and their generator, against what they are made of."""

import math

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import ot
import pytest

from jaxgen.generators import CurveGenerator
from jaxgen.measures import LeafMeasure, QuantizedLeafMeasure

# Corners and sides are multiples of 1/8; the first two overlap.
CORNERS = np.array([[0.0, 0.0], [0.5, 0.25], [2.0, 1.0], [-1.0, 0.5], [2.0, 2.0]])
SIDES = np.array([[1.0, 0.5], [0.5, 1.0], [0.25, 2.0], [0.5, 0.125], [1.0, 1.0]])
MASSES = np.array([0.3, 0.1, 0.2, 0.15, 0.25])
LABELS, NAMES = [1, 0, 1, 0, 0], ("left", "right")


def build(labels=None):
    return LeafMeasure(CORNERS, SIDES, MASSES, labels, None if labels is None else NAMES)


def quantiles(measure, n):
    """The quantile function of a law on the line at the middles of n shares; the leaves do not overlap."""
    order = np.argsort(np.asarray(measure.low_corners)[:, 0])
    left, side = (np.asarray(a, np.float64)[order, 0] for a in (measure.low_corners, measure.sides))
    mass = np.asarray(measure.masses, np.float64)[order]
    edges = np.concatenate([[0], np.cumsum(mass / mass.sum())])
    u = (np.arange(n) + 0.5) / n
    i = np.minimum(np.searchsorted(edges, u, side="right") - 1, len(mass) - 1)
    return left[i] + side[i] * (u - edges[i]) / np.diff(edges)[i]


def discretized(measure, n):
    """Each leaf by the midpoints of n x n parts: coupled as the leaves are, at a distance no larger."""
    inside = (np.indices((n, n)).reshape(2, -1).T + 0.5) / n
    points = np.asarray(measure.low_corners)[:, None] + np.asarray(measure.sides)[:, None] * inside
    masses = np.repeat(np.asarray(measure.masses, np.float64) / n**2, n**2)
    return points.reshape(-1, 2).astype(np.float64), masses / masses.sum()


def test_the_density_is_the_mixture_and_integrates_to_one():
    m = build()
    # Midpoints of a grid on which every leaf is a union of cells: the sum is the integral.
    x = (np.indices((40, 40)).reshape(2, -1).T + 0.5) / 8 + [-1.5, -1]
    density = np.exp(np.asarray(jax.jit(jax.vmap(m.log_prob))(x), np.float64))
    assert density.sum() / 64 == pytest.approx(1, abs=1e-5)
    expected = sum(
        p * np.all((x > a) & (x < a + s), axis=1) / s.prod() for a, s, p in zip(CORNERS, SIDES, MASSES, strict=True)
    )
    np.testing.assert_allclose(density, expected, rtol=1e-5)
    assert (expected == 0).any() and (expected > 1).any()
    # Both ends of a leaf belong to it.
    np.testing.assert_allclose(np.exp(m.log_prob([3.0, 3.0])), 0.25, rtol=1e-6)


def test_the_density_given_a_label():
    m = build(LABELS)
    for name, code in (("left", 0), ("right", 1)):
        part = m.given(name)
        assert part.labels is None and part.vocabulary is None
        chosen = np.array(LABELS) == code
        np.testing.assert_array_equal(part.low_corners, CORNERS[chosen])
        np.testing.assert_allclose(part.masses, MASSES[chosen] / MASSES[chosen].sum(), rtol=1e-6)
        for x in ([0.6, 0.3], [2.1, 1.5], [9.0, 9.0]):
            np.testing.assert_allclose(m.log_prob(x, name), part.log_prob(x), rtol=1e-5)
    np.testing.assert_allclose(m.label_masses, [0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(m.log_prob([0.6, 0.3]), math.log(0.3 / 0.5 + 0.1 / 0.5), rtol=1e-5)


def test_moments():
    m = build()
    mean = MASSES @ (CORNERS + SIDES / 2)
    second = sum(p * ((a + s) ** 3 - a**3) / (3 * s) for a, s, p in zip(CORNERS, SIDES, MASSES, strict=True))
    np.testing.assert_allclose(m.mean(), mean, rtol=1e-5)
    np.testing.assert_allclose(m.variance(), second - mean**2, rtol=1e-4)
    np.testing.assert_allclose((m.low, m.high), [[-1, 0], [3, 3]])


def test_samples_have_the_masses_of_the_leaves():
    m, n = build(), 20_000
    x = np.asarray(m.sample(jr.key(0), n), np.float64)
    assert x.shape == (n, 2)
    # On cells of side 1/8 and in parts of a leaf, 32 cells long or so, the law is known.
    edges = [np.arange(-1.5, 3.51, 0.125)] * 2
    counts = np.histogram2d(*x.T, bins=edges)[0]
    middle = np.stack(np.meshgrid(*(e[:-1] + 1 / 16 for e in edges), indexing="ij"), axis=-1)
    p = sum(
        q * np.all((middle > a) & (middle < a + s), axis=-1) / s.prod() / 64
        for a, s, q in zip(CORNERS, SIDES, MASSES, strict=True)
    )
    assert counts.sum() == n and not counts[p == 0].any()
    p, counts = p[p > 0], counts[p > 0]
    assert n * p.min() > 5
    # Chi-square with f degrees of freedom, as in test_laws: P(X > f + 2 sqrt(f t) + 2 t) < exp(-t), t = 12.
    f, t = len(p) - 1, 12
    assert np.sum((counts - n * p) ** 2 / (n * p)) < f + 1.2 * 2 * math.sqrt(f * t) + 2 * t


def test_order_and_labels():
    m = LeafMeasure([3.0, 1.0, 2.0, 0.0], 1.0, [1, 1, 0, 2], [1, 0, 0, 1], ("a", "b"))
    # Label by label, in the order given, without the leaf of no mass.
    assert m.low_corners.ravel().tolist() == [1, 3, 0]
    assert m.labels.tolist() == [0, 1, 1] and m.masses.tolist() == [0.25, 0.25, 0.5]
    assert m.label_offsets.tolist() == [0, 1, 3] and (m.size, m.dim) == (3, 1)
    with pytest.raises(ValueError, match="unknown label 'c'; the nearest of 2"):
        m.given("c")
    with pytest.raises(ValueError, match="there are no labels"):
        build().given("a")


@pytest.mark.slow
def test_float_types(precision):
    m = build()
    # Boxes are what they are, whatever JAX computes in; what comes out is of its type.
    assert m.low_corners.dtype == m.sides.dtype == np.float64 and m.masses.dtype == jnp.dtype(precision)
    assert m.sample(jr.key(0), 2).dtype == m.centers.dtype == jnp.dtype(precision)
    q = m.quantize(100)
    assert q.masses.dtype == jnp.dtype(precision) and q.counts.dtype == jnp.uint32
    assert m.log_prob(CORNERS[0]).dtype == jnp.dtype(precision)


@pytest.mark.slow
def test_atoms():
    m = LeafMeasure([[0.0, 1.0], [2.0, 3.0]], 0.0, [1, 3])
    x = np.asarray(m.sample(jr.key(1), 400))
    assert {tuple(row) for row in x.tolist()} == {(0, 1), (2, 3)}
    assert abs((x[:, 0] == 2).mean() - 0.75) < 5 * math.sqrt(3 / 16 / 400)
    np.testing.assert_allclose(m.variance(), [0.75, 0.75])
    with pytest.raises(ValueError, match="zero length, so the law has no density"):
        m.log_prob([0.0, 1.0])
    g = m.generator(extra_levels=3)
    assert {tuple(np.asarray(g(u)).tolist()) for u in (0.0, 0.2, 0.3, 0.99)} == {(0, 1), (2, 3)}
    assert g.certificate().w2 == pytest.approx(m.counted().proven("rounding")[1])


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("quanta", [1, 4, 30])
def test_the_cost_of_rounding_against_exact_transport(quanta, order):
    m = build()
    q = m.quantize(quanta)
    assert q.quanta == quanta
    (x, p), (y, r) = discretized(m, 4), discretized(q, 4)
    cost = np.linalg.norm(x[:, None] - y, axis=2) ** order
    truth = ot.emd2(p, r, cost) ** (1 / order)
    bound = q.proven("rounding")[order - 1]
    assert 0 < truth <= bound * (1 + 1e-6)


def test_the_cost_of_rounding_on_the_line():
    rng = np.random.default_rng(3)
    corners = np.cumsum(rng.uniform(0.5, 2, 20))
    m = LeafMeasure(corners, 0.3 * rng.random(20), rng.gamma(0.5, size=20))
    for quanta in (3, 10, 100):
        q = m.quantize(quanta)
        bounds = q.proven("rounding")
        gap = np.abs(quantiles(m, 200_000) - quantiles(q, 200_000))
        # The quantile functions pair the two laws best; the sum misses at most a step at each of 40 jumps.
        slack = 40 * np.ptp(corners) / 200_000
        assert gap.mean() <= bounds[0] + slack
        assert gap.mean() > 0.5 * bounds[0]
        assert math.sqrt((gap**2).mean()) <= math.sqrt(bounds[1] ** 2 + slack * np.ptp(corners))
    # Atoms in their order on the line: what is proven is the distance.
    atoms = LeafMeasure(corners, 0.0, rng.gamma(0.5, size=20))
    q = atoms.quantize(9)
    values = np.sort(corners)
    gap = np.cumsum(_full(atoms, values)) - np.cumsum(_full(q, values))
    assert q.proven("rounding")[0] == pytest.approx(np.abs(gap[:-1]) @ np.diff(values), rel=1e-4)


def _full(measure, values):
    out = np.zeros(len(values))
    out[np.searchsorted(values, np.asarray(measure.low_corners, np.float64)[:, 0] - 1e-4)] = measure.masses
    return out


def test_rounding_keeps_the_order_and_every_label():
    m = build(LABELS)
    q = m.quantize(2)
    assert q.vocabulary == NAMES and np.unique(q.labels).tolist() == [0, 1] and q.counts.tolist() == [1, 1]
    edges = np.cumsum(np.asarray(m.masses, np.float64))
    fine = m.quantize(1000)
    np.testing.assert_array_equal(fine.low_corners, m.low_corners)
    assert np.abs(np.cumsum(fine.counts) / 1000 - edges / edges[-1]).max() <= 0.5 / 1000 + 1e-9
    each = [fine.proven("rounding", name) for name in NAMES]
    for name, bound in zip(NAMES, each, strict=True):
        (x, p), (y, r) = discretized(m.given(name), 3), discretized(fine.given(name), 3)
        assert ot.emd2(p, r, np.linalg.norm(x[:, None] - y, axis=2)) <= bound[0] * (1 + 1e-6) + 1e-9
    assert fine.quantize(1000) is fine and fine.counted() is fine
    assert m.counted().quanta == 2**24
    with pytest.raises(ValueError, match=r"between 2 \(one for each of the 2 labels\)"):
        m.quantize(1)
    with pytest.raises(TypeError, match="quanta must be an integer"):
        m.quantize(2.0)


@pytest.mark.slow
def test_the_generator_has_the_law():
    m = build(LABELS)
    g = m.generator(extra_levels=2)
    assert isinstance(g, CurveGenerator) and g.vocabulary == NAMES and g.extra_levels == 2
    n = 4000
    x, labels = g.sample(jr.key(2), n, stratified=True, return_labels=True)
    x, right = np.asarray(x, np.float64), np.array(labels) == "right"
    # One number in each of n strata: the leaves' shares are right to within one stratum at either end.
    assert abs(right.mean() - 0.5) <= 2 / n
    last = np.all((x >= 2) & (x <= 3), axis=1) & ~right
    assert abs(last.mean() - 0.25) <= 2 / n
    # And inside a leaf the mean is that of the leaf, to the scale of a finest cell.
    assert np.abs(x[last].mean(axis=0) - 2.5).max() < 1 / 9 / 2
    given = np.asarray(g.sample(jr.key(3), n, "right", stratified=True))
    assert np.all(
        np.any(
            [
                np.all((given >= a) & (given <= a + s), axis=1)
                for a, s in zip(CORNERS[[0, 2]], SIDES[[0, 2]], strict=True)
            ],
            axis=0,
        )
    )


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"sides": [[1, -1], [1, 1]]}, ValueError, "sides must be finite and not negative"),
        ({"sides": [[1, np.nan], [1, 1]]}, ValueError, "sides must be finite"),
        ({"sides": "wide"}, TypeError, "sides must be real numbers"),
        ({"sides": [[1j, 1], [1, 1]]}, TypeError, "sides must be real numbers"),
        ({"sides": np.ones((3, 2))}, ValueError, r"sides must have shape \(2, 2\)"),
        ({"low_corners": [[0, np.inf], [1, 1]]}, ValueError, "low_corners must be finite"),
        ({"low_corners": [["a", "b"], ["c", "d"]]}, TypeError, "low_corners must be real numbers"),
        ({"low_corners": np.zeros((2, 2, 2))}, ValueError, r"low_corners must have shape \(n, d\)"),
        ({"low_corners": [[1e39, 0], [1, 1]]}, ValueError, "must be finite in float32"),
        ({"masses": [1, 2, 3]}, ValueError, r"masses must have shape \(2,\)"),
        ({"masses": [1, -1]}, ValueError, "masses must not be negative"),
        ({"masses": [np.nan, 1]}, ValueError, "masses must be finite"),
        ({"masses": [0, 0]}, ValueError, "masses must not sum to zero"),
        ({"masses": ["a", "b"]}, TypeError, "masses must be real numbers"),
        ({"labels": [0, 1]}, ValueError, "labels and vocabulary go together"),
        ({"labels": [0, 0], "vocabulary": ("a", "b")}, ValueError, "use every code"),
        ({"labels": [0, 1], "vocabulary": ("a", "b"), "masses": [1, 0]}, ValueError, "every label must have positive"),
        ({"labels": [0], "vocabulary": ("a",)}, ValueError, "one code a"),
        ({"labels": [0, 1], "vocabulary": "ab"}, ValueError, "vocabulary must be a sequence"),
    ],
)
def test_bad_leaves(changes, error, message):
    fields = {"low_corners": [[0.0, 0.0], [1.0, 1.0]], "sides": 1.0, "masses": [1, 1]} | changes
    with pytest.raises(error, match=message):
        LeafMeasure(**fields)
    if "masses" not in changes:
        fields["counts"] = fields.pop("masses")
        with pytest.raises(error, match=message):
            QuantizedLeafMeasure(**fields)


@pytest.mark.parametrize(
    "counts, error, message",
    [
        ([1], ValueError, "one mass a leaf"),
        ([1, 0], ValueError, "at least 1"),
        ([2**24, 1], ValueError, "at most 2"),
        ([0.5, 0.5], TypeError, "counts must be integers"),
    ],
)
def test_bad_counts(counts, error, message):
    with pytest.raises(error, match=message):
        QuantizedLeafMeasure([[0.0], [1.0]], 1.0, counts)


def test_bad_points():
    m = build()
    for x in (0.0, np.zeros(3), np.zeros((2, 2))):
        with pytest.raises(ValueError, match=r"x must be one point of shape \(2,\)"):
            m.log_prob(x)
    with pytest.raises(ValueError, match="n must be at least 1"):
        m.sample(jr.key(0), 0)
