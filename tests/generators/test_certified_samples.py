"""Certificates for whatever can be sampled, and to the points behind a measure, against exact transport (POT)."""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import ot
import pytest

import jaxgen as jg
from jaxgen.measures import LeafMeasure, QuantizedLeafMeasure
from jaxgen.modalities import PromptedGenerator, Text
from jaxgen.source import padded_size


def transport(x, a, y, b, p):
    """W_p between weighted atoms, exactly."""
    cost = np.linalg.norm(np.asarray(x, float)[:, None] - np.asarray(y, float)[None], axis=2) ** p
    a, b = np.asarray(a, float), np.asarray(b, float)
    return ot.emd2(a / a.sum(), b / b.sum(), cost, numItermax=10**7) ** (1 / p)


def images(g, u, condition=None):
    """The points of exact sources, as 64 bits of each u."""
    words = np.floor(np.asarray(u) * 2.0**53).astype(np.uint64) << np.uint64(11)
    pair = np.stack([words >> np.uint64(32), words & np.uint64(2**32 - 1)], axis=1).astype(np.uint32)
    code = None if condition is None else jnp.asarray(g.vocabulary.index(condition))
    size = padded_size(len(pair))
    return np.asarray(_images(g, jnp.asarray(np.resize(pair, (size, 2))), code), float)[: len(pair)]


@eqx.filter_jit
def _images(g, words, code):
    return jax.vmap(lambda v: g(v, code=code))(words)


def law(g, n=512, condition=None):
    return images(g, (np.arange(n) + 0.5) / n, condition)


WEIGHTS = {"a": 0.7, "b": 0.3}


def test_the_filling_of_a_mixture_is_attained():
    """A large leaf and a small one far away; the path rests at the centres, so that there is one coupling in each."""
    sides = np.array([[1.0, 1.0], [0.25, 0.25]])
    measure = QuantizedLeafMeasure([[0, 0], [10, 10]], sides, [1, 1], [0, 1], ("a", "b"))
    g = jg.CurveGenerator(measure, 0, "centre")
    inside = (np.indices((20, 20)).reshape(2, -1).T + 0.5) / 20
    atoms = np.concatenate([corner + side * inside for corner, side in zip([[0, 0], [10, 10]], sides, strict=True)])
    centres = np.array([[0.5, 0.5], [10.125, 10.125]])
    for weights in (WEIGHTS, {"a": 1, "b": 9}):
        w = np.array(list(weights.values())) / sum(weights.values())
        certificate = g.certificate(condition=weights)
        for p, bound in ((1, certificate.w1), (2, certificate.w2)):
            exact = transport(atoms, np.repeat(w, 400), centres, w, p)
            assert 0.995 * bound <= exact <= bound
    # A mixture of one label, and labels of no weight.
    for alone in ({"b": 2.0}, {"a": 0, "b": 1}, ["b", "b"]):
        assert g.certificate(condition=alone) == g.certificate(condition="b") != g.certificate(condition="a")


def test_the_rounding_of_a_mixture_is_attained():
    """On the line the monotone coupling is the best, and labels that are far apart exchange nothing."""
    places, masses = np.array([[0.0], [1.0], [100.0], [104.0]]), np.array([0.3, 0.17, 0.11, 0.42])
    before = LeafMeasure(places, 0.0, masses, [0, 0, 1, 1], ("a", "b"))
    after = before.quantize(7)
    certificate = after.generator(extra_levels=0).certificate(condition=WEIGHTS)

    def mixture(measure):
        found = [(WEIGHTS[name], measure.given(name)) for name in WEIGHTS]
        x = np.concatenate([np.asarray(part.low_corners) for _, part in found])
        masses = [np.asarray(part.masses, float) for _, part in found]
        return x, np.concatenate([w * mass / mass.sum() for (w, _), mass in zip(found, masses, strict=True)])

    for p in (1, 2):
        exact = transport(*mixture(before), *mixture(after), p)
        assert exact > 0.01 and certificate.parts["rounding"][p - 1] == pytest.approx(exact, rel=1e-4)
    # Rounded once more, the bounds of the labels are added; the sum for all labels says nothing of one.
    twice = after.quantize(5)
    for name in WEIGHTS:
        x, y = before.given(name), twice.given(name)
        exact = transport(x.low_corners, x.masses, y.low_corners, y.masses, 1)
        assert exact <= twice.rounding_bound(1, name) + 1e-6
        assert twice.rounding_bound(1, name) >= after.rounding_bound(1, name)


def test_the_cost_for_all_labels_says_nothing_of_one():
    """The counterexample of theory, section 7."""
    measure = LeafMeasure([[0.0], [0.0], [1.0]], 0.0, [0.3, 0.2, 0.5], [0, 1, 1], ("a", "b")).quantize(4)
    assert measure.rounding_bound(1) < 1e-7
    assert measure.rounding_bound(1, "b") == pytest.approx(1 / 21, rel=1e-6)


def test_lists_of_labels_are_mixtures_of_their_frequencies():
    rng = np.random.default_rng(0)
    measure = jg.GridMeasure.from_samples(rng.random((60, 2)), 4, labels=rng.integers(3, 6, 60), weights=rng.random(60))
    g = measure.quantize(30).generator()
    mapping = g.certificate(condition={3: 2, 5: 1})
    for asked in ([3, 5, 3], np.array([5, 3, 3]), (3, 3, 5)):
        listed = g.certificate(condition=asked)
        assert dataclasses.astuple(listed)[:2] == pytest.approx(dataclasses.astuple(mapping)[:2], rel=1e-12)
        assert listed.to_points == pytest.approx(mapping.to_points, rel=1e-12)
    for wrong in ([3, 9], {9: 1.0}, 9, {}, {3: -1.0}):
        with pytest.raises(ValueError):
            g.certificate(condition=wrong)
    with pytest.raises(ValueError, match="labels for n=7"):
        g.certificate(condition=[3, 5], stratified=7)


def test_conditions_of_a_grid_are_mixed_too():
    c = np.linspace(0, 1, 200)
    g = jg.GriddedCondition.from_samples(c, np.sin(9 * c), condition_resolution=5, resolution=30)
    one, two = g.certificate(condition=0.1), g.certificate(condition=0.5)
    both = g.certificate(condition=np.array([0.1, 0.5, 0.11, 0.5]))
    for p in (0, 1):
        mean = np.mean([one.to_points[p] ** (p + 1), two.to_points[p] ** (p + 1)]) ** (1 / (p + 1))
        assert min(one.to_points[p], two.to_points[p]) < both.to_points[p] <= mean * 1.001


MAKERS = {
    "line": lambda m: jg.PeanoGenerator(m, 2),
    "centre": lambda m: jg.PeanoGenerator(m, 1, "centre"),
    "hilbert": lambda m: jg.CurveGenerator(m, 2, "diagonal", jg.HilbertCurve()),
    "zigzag": lambda m: jg.SawtoothGenerator(m, 2),
    "serpentine": lambda m: jg.SawtoothGenerator(m, 1, "serpentine"),
    "no folds": lambda m: jg.SawtoothGenerator(m, 0),
}
QUICK = ("line", "serpentine", "zigzag")


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in MAKERS])
def test_boxes_hold_the_images_of_strata_and_are_hardly_larger(name):
    rng = np.random.default_rng(1)
    points, labels = rng.random((30, 2)) * [3, 1], np.repeat([0, 1, 2], 10)
    g = MAKERS[name](jg.GridMeasure.from_samples(points, (4, 3), labels=labels))
    for condition, n in [(None, 1), (None, 10), (None, 40), (None, 360), (1, 10), (1, 120)]:
        u = (np.arange(n)[:, None] + (np.arange(2880 // n) + 0.5) * n / 2880) / n
        x = images(g, u.ravel(), condition).reshape(n, -1, 2)
        each, bound = np.linalg.norm(np.ptp(x, axis=1), axis=1), g.strata(n, condition)
        assert each.mean() <= bound[0] + 1e-6 and np.sqrt(np.mean(each**2)) <= bound[1] + 1e-6
        assert bound[0] <= 2.5 * each.mean() + 0.01, (n, condition)


def test_the_bound_on_stratified_samples_is_attained():
    """The sample may be at an atom that has next to no mass; and a stratum of many leaves is one box."""
    g = jg.CodebookGenerator([[0.0, 0.0], [3.0, 4.0]], [1, 9999])
    certificate = g.certificate(stratified=1)
    x, w = np.asarray(g.atoms), np.asarray(g.masses)
    for p, bound in ((1, certificate.w1), (2, certificate.w2)):
        exact = transport(images(g, [0.00001]), [1.0], x, w, p)
        assert 0.9998 * bound <= exact <= bound
    # Beyond that it is the law of the atoms, as soon as strata are atoms.
    assert jg.CodebookGenerator([0.0, 1.0, 5.0]).certificate(stratified=6).parts["strata"] == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("n, condition", [(5, WEIGHTS), pytest.param(36, None, marks=pytest.mark.slow)])
def test_stratified_samples_are_as_near_as_certified(n, condition):
    rng = np.random.default_rng(2)
    points, labels = rng.random((50, 2)), np.repeat(["a", "b"], 25)
    measure = jg.GridMeasure.from_samples(points, 4, labels=labels)
    weights = np.ones(50) if condition is None else np.repeat(list(WEIGHTS.values()), 25)
    for g in (jg.PeanoGenerator(measure, 1), jg.SawtoothGenerator(measure, 2)):
        x = np.asarray(g.sample(jax.random.key(n), n, condition, stratified=True))
        fine = law(g) if condition is None else np.concatenate([law(g, 256, name) for name in WEIGHTS])
        many = np.ones(512) if condition is None else np.repeat(list(WEIGHTS.values()), 256)
        certificate = g.certificate(condition=condition, stratified=n)
        for p in (1, 2):
            strata = certificate.parts["strata"][p - 1] + certificate.parts.get("labels", (0, 0))[p - 1]
            assert transport(x, np.ones(n), fine, many, p) <= strata + 0.01
            assert transport(x, np.ones(n), points, weights, p) <= certificate.to_points[p - 1]


def test_whole_samples_of_labels_are_off_by_what_the_part_says():
    measure = QuantizedLeafMeasure([[0.0], [1.0]], 0.0, [1, 1], [0, 1], ("a", "b"))
    g = measure.generator(extra_levels=0)
    certificate = g.certificate(condition=WEIGHTS, stratified=2)
    x = np.asarray(g.sample(jax.random.key(0), 2, WEIGHTS, stratified=True))
    for p, bound in ((1, certificate.w1), (2, certificate.w2)):
        exact = transport(x, np.ones(2), [[0.0], [1.0]], [0.7, 0.3], p)
        assert bound == pytest.approx(exact, rel=1e-6)  # one sample of each: a fifth of the mass is on the wrong side
    assert "labels" not in g.certificate(condition=WEIGHTS, stratified=10).parts


def test_what_has_no_strata():
    measure = jg.GridMeasure.from_histogram([[1, 2], [0, 1]])
    with pytest.raises(ValueError, match="one source"):
        jg.IndependentGenerator(measure).certificate(stratified=3)
    g = jg.PeanoGenerator(measure)
    with pytest.raises(ValueError, match="not both"):
        g.certificate(2.0**-9, stratified=3)
    for bad in (0, 1 << 25):
        with pytest.raises(ValueError, match="stratified"):
            g.certificate(stratified=bad)


@pytest.mark.slow
def test_to_points_is_attained_where_they_sit_together():
    """All points of a cell at one place, cells far apart: the independent coupling is the only one."""
    places = np.array([[0.0, 0.0], [99.5, 99.0]])  # a corner of the first cell, and a place in the last
    points = np.repeat(places, [3, 1], axis=0)
    measure = jg.GridMeasure.from_samples(points, 100, low=0.0, high=100.0)
    for g in (
        jg.PeanoGenerator(measure, 1),
        jg.PeanoGenerator(measure, 0, "diagonal"),
        jg.SawtoothGenerator(measure, 3),
    ):
        x = law(g)
        for p, bound in zip((1, 2), g.certificate().to_points, strict=True):
            exact = transport(points, np.ones(4), x, np.ones(512), p)
            assert exact <= 1.001 * bound  # the law in 512 atoms
            assert p == 1 or bound <= 1.002 * exact  # W_1 is bounded by W_2


@pytest.mark.slow
def test_to_points_holds_after_rounding_and_under_labels():
    rng = np.random.default_rng(3)
    points, weights, labels = rng.random((80, 2)) ** 2, rng.random(80), np.repeat(["a", "b"], 40)
    exactly = jg.GridMeasure.from_samples(points, 5, weights=weights, labels=labels)
    measure = exactly.quantize(30).quantize(12)
    within = {name: weights * (labels == name) / weights[labels == name].sum() for name in WEIGHTS}
    for g in (jg.PeanoGenerator(measure, 1, axes=1), jg.SawtoothGenerator(measure, 0)):
        parts = {name: law(g, 256, name) for name in WEIGHTS}
        cases = [
            (None, weights, law(g), np.ones(512)),
            ("b", within["b"], parts["b"], np.ones(256)),
            (
                WEIGHTS,
                sum(w * within[name] for name, w in WEIGHTS.items()),
                np.concatenate(list(parts.values())),
                np.repeat(list(WEIGHTS.values()), 256),
            ),
        ]
        for condition, mass, x, share in cases:
            for p, bound in zip((1, 2), g.certificate(condition=condition).to_points, strict=True):
                exact = transport(points, mass, x, share, p)
                assert exact <= bound + 0.005 <= 4 * exact
    # The shift of the rounding and the places of the points add up where they have one direction.
    line = jg.GridMeasure.from_samples([0.0, 0.0, 0.0, 4.0], 2, low=0.0, high=4.0).quantize(1)
    g = jg.PeanoGenerator(line, 0, "centre")
    exact = transport([[0.0], [4.0]], [3, 1], law(g, 10), np.ones(10), 2)
    assert exact <= g.certificate().to_points[1] <= 2 * exact


def test_to_points_of_a_zigzag_without_folds():
    """The mean of the law is not that of the cell: the formula for curves would say 5/12 (theory, section 11)."""
    points = [[1.0, 0.0], [0.0, 1.0]]
    measure = jg.GridMeasure.from_samples(points, (1, 2), low=0.0, high=1.0)
    g = jg.SawtoothGenerator(measure, 0, axes=(0, 1))
    exact = transport(points, [1, 1], law(g), np.ones(512), 2)
    assert exact**2 == pytest.approx(2 / 3, rel=1e-3) and exact <= g.certificate().to_points[1]


def test_data_on_their_own_grid_come_back_exactly():
    modality = Text.of(["no", "yes", "maybe"])
    g = PromptedGenerator.exact(modality.points(["no", "yes", "maybe"]), ["bad", "good", "good"], modality)
    for condition in (None, "good", "bad or good", {"bad": 0.5, "good": 0.5}):
        certificate = g.certificate(condition=condition)
        assert certificate.to_points == certificate.parts["float"]
        assert certificate.to_points[1] < 1e-4 < certificate.w2
    back = jg.decode(jg.encode(g))
    assert back.certificate(condition="good") == g.certificate(condition="good")


def test_codebooks_know_their_points():
    rng = np.random.default_rng(4)
    points = rng.random((70, 2))
    fitted = jg.CodebookGenerator.from_samples(points, 5, key=jax.random.key(0))
    measure = jg.GridMeasure.from_samples(points, 6, weights=rng.random(70))
    share = np.ones(70)
    for g, w, most in ((fitted, share, 1.01), (None, None, 1.6)):
        if g is None:
            g = jg.CodebookGenerator.from_measure(jg.GridMeasure.from_samples(points, 6), 5, key=jax.random.key(0))
            w = share
        for p, bound in zip((1, 2), g.certificate().to_points, strict=True):
            exact = transport(points, w, g.atoms, g.masses, p)
            assert exact <= bound <= most * exact
        assert jg.decode(jg.encode(g)).certificate() == g.certificate()
    assert jg.CodebookGenerator(points).certificate().to_points is None
    rounded = jg.CodebookGenerator.from_measure(measure.quantize(9), 5, key=jax.random.key(0))
    assert rounded.certificate().to_points[0] > rounded.measure.proven("points")[0]


def test_points_stay_in_the_record_as_long_as_they_are_true():
    rng = np.random.default_rng(5)
    points = rng.random((40, 2))
    measure = jg.GridMeasure.from_samples(points, 4)
    g = measure.quantize(16).generator()
    assert g.certificate().to_points is not None
    assert jg.decode(jg.encode(g)).certificate() == g.certificate()
    moved = eqx.tree_at(lambda g: g.measure.counts, g, g.measure.counts[::-1])
    assert moved.certificate().to_points is None
    trained = eqx.tree_at(lambda m: m.masses, measure, measure.masses[::-1])
    assert trained.generator().certificate().to_points is None
    assert jg.GridMeasure.from_histogram([1, 2]).generator().certificate().to_points is None
    # Points outside a box are as far as they are.
    clipped = jg.GridMeasure.from_samples([[0.5], [3.0]], 1, low=0.0, high=1.0, clip=True)
    assert clipped.generator(extra_levels=0).certificate().to_points[0] >= transport(
        [[0.5], [3.0]], [1, 1], law(clipped.generator(extra_levels=0), 100), np.ones(100), 1
    )


@pytest.mark.slow
def test_the_best_measure_for_a_budget_knows_its_points_and_its_file_does_not():
    rng = np.random.default_rng(6)
    points = rng.random((300, 2)) ** 3
    measure = jg.rate.best_grid(points, 500)
    x = law(g := measure.generator(extra_levels=1))
    for p, bound in zip((1, 2), g.certificate().to_points, strict=True):
        exact = transport(points, np.ones(300), x, np.ones(512), p)
        assert exact <= bound <= 2.5 * exact
    assert jg.decode(jg.encode(g)).certificate().to_points is None
    bare = type(measure)(measure.cells, measure.counts, measure.low, measure.high, measure.resolution)
    assert jg.encode(bare) == jg.encode(measure)


def test_what_is_added_is_added_in_full():
    """Ramps, strata, labels and floats are further steps of the way, each of which may be taken in full."""
    points, labels = 1e4 + np.arange(6.0)[:, None] * [1.0, 2.0], ["a", "a", "b", "b", "b", "b"]
    g = jg.PeanoGenerator(jg.GridMeasure.from_samples(points, 4, labels=labels).quantize(5), 1)
    for certificate, names in (
        (g.certificate(0.01), {"ramps", "float"}),
        (g.certificate(condition={"a": 0.7, "b": 0.3}, stratified=4), {"strata", "labels", "float"}),
    ):
        parts = dict(certificate.parts)
        filling, rounding = parts.pop("filling"), parts.pop("rounding")
        assert set(parts) == names and min(min(part) for part in parts.values()) > 1e-4
        w2 = math.hypot(filling[1], rounding[1])
        w1 = min(filling[0] + rounding[0], w2)
        for found, begun, p in ((certificate.w1, w1, 0), (certificate.w2, w2, 1)):
            assert found == pytest.approx(begun + sum(part[p] for part in parts.values()), rel=1e-12)
