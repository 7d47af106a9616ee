"""Prompts: each label has its own law, exactly; and the ways of asking for labels."""

import jax.random as jr
import numpy as np
import pytest
from scipy.optimize import linprog

import jaxgen as jg
from jaxgen.generators import IndependentGenerator, PeanoGenerator, SawtoothGenerator
from jaxgen.measures import GridMeasure, Record

KEY = jr.key(3)
RESOLUTION = 6


def data():
    rng = np.random.default_rng(0)
    points = rng.random((64, 2))
    points[40:50] = points[:10]  # equal points under different labels
    labels = np.repeat(["auburn", "boston", "chicago"], [40, 23, 1])  # one label has a single sample
    return points, labels


def measure():
    points, labels = data()
    return GridMeasure.from_samples(points, RESOLUTION, labels=labels, low=0, high=1)


def histogram(x):
    return np.histogram2d(*np.asarray(x, float).T, bins=RESOLUTION, range=[(0, 1)] * 2)[0]


@pytest.fixture(scope="module")
def peano():
    return PeanoGenerator(measure(), 2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [SawtoothGenerator, PeanoGenerator])
def test_each_label_has_its_own_law(kind):
    g = kind(measure())
    points, labels = data()
    n = 40 * 23 * 4  # a multiple of the quanta of every label: strata do not straddle cells
    for label in ("auburn", "boston", "chicago"):
        x, names = g.sample(KEY, n, condition=label, stratified=True, return_labels=True)
        assert set(names) == {label}
        expected = histogram(points[labels == label]) / (labels == label).sum()
        if kind is PeanoGenerator:
            np.testing.assert_array_equal(histogram(x) / n, expected)
        else:
            # 2**6 intervals of u a cell, each with two ends.
            assert np.abs(histogram(x) / n - expected).max() <= 2 * 2**6 / n


@pytest.mark.slow
def test_independent_sources_too():
    g = IndependentGenerator(measure())
    points, labels = data()
    x, names = g.sample(KEY, 4000, return_labels=True)
    for label in ("auburn", "boston", "chicago"):
        mine = np.array(names) == label
        p = (labels == label).mean()
        # Five standard deviations of a binomial variable, here and for each cell below.
        assert abs(mine.mean() - p) < 5 * np.sqrt(p / 4000)
        expected = histogram(points[labels == label]) / (labels == label).sum()
        got = histogram(np.asarray(x)[mine]) / mine.sum()
        assert np.all(np.abs(got - expected) <= 5 * np.sqrt(expected / mine.sum()))
    assert np.all(histogram(g.sample(KEY, 4000, condition="chicago"))[histogram(points[labels == "chicago"]) == 0] == 0)


def test_the_joint_law(peano):
    points, labels = data()
    n = 64 * 8
    x, names = peano.sample(KEY, n, stratified=True, return_labels=True)
    for label in ("auburn", "boston", "chicago"):
        mine = np.array(names) == label
        np.testing.assert_array_equal(histogram(np.asarray(x)[mine]), 8 * histogram(points[labels == label]))


def test_one_label_a_sample(peano):
    wanted = ["boston", "chicago", "auburn", "boston"] * 16
    x, names = peano.sample(KEY, 64, condition=wanted, return_labels=True)
    assert names == wanted
    # Point i is a function of key, i and its own label.
    for label in ("boston", "chicago"):
        alone = np.asarray(peano.sample(KEY, 64, condition=label))
        mine = np.array(wanted) == label
        np.testing.assert_array_equal(np.asarray(x)[mine], alone[mine])
    np.testing.assert_array_equal(peano.sample(KEY, 64, condition=np.array(wanted)), x)


def test_weights_of_labels(peano):
    weights = {"chicago": 3.0, "auburn": 1, "boston": 0}
    _, names = peano.sample(KEY, 64, condition=weights, stratified=True, return_labels=True)
    assert names.count("chicago") == 48 and names.count("auburn") == 16
    _, names = peano.sample(KEY, 64, condition=weights, return_labels=True)
    # Binomial with deviation 3.5: five of them.
    assert abs(names.count("chicago") - 48) < 18 and names.count("boston") == 0
    _, again = peano.sample(KEY, 64, condition=weights, return_labels=True)
    assert names == again


def test_streams_with_labels(peano):
    wanted = ["boston", "chicago", "auburn", "boston"] * 16
    for stratified in (False, True):
        x, names = peano.sample(KEY, 64, condition=wanted, stratified=stratified, return_labels=True)
        parts = list(peano.stream(KEY, 64, wanted, stratified, return_labels=True, chunk_size=32))
        np.testing.assert_array_equal(np.concatenate([part for part, _ in parts]), x)
        assert [label for _, labels in parts for label in labels] == names


def test_calls_with_a_label(peano):
    points, labels = data()
    for u in (0.1, 0.3, 0.9):
        x = np.asarray(peano(u, "chicago"))
        assert np.all(np.floor(x * RESOLUTION) == np.floor(points[labels == "chicago"][0] * RESOLUTION))
    # The label's interval of the joint source: boston is [40/64, 63/64].
    np.testing.assert_allclose(peano(0.25, "boston"), peano((40 + 23 / 4) / 64), atol=1e-5)


def test_ten_thousand_labels():
    rng = np.random.default_rng(1)
    n = 10_000
    points = rng.random((n, 2))
    m = GridMeasure.from_samples(points, 50, labels=np.arange(n)[::-1] * 2, low=0, high=1)
    g = PeanoGenerator(m, 1)
    asked = rng.integers(0, n, 64) * 2
    x, names = g.sample(KEY, 64, condition=asked, return_labels=True)
    assert names == asked.tolist()
    np.testing.assert_array_equal(np.floor(np.asarray(x) * 50), np.floor(points[n - 1 - asked // 2] * 50))


@pytest.mark.parametrize(
    "condition, message",
    [
        ("bostn", r"unknown label 'bostn'; the nearest of 3 known labels are boston"),
        (7, "unknown label 7"),
        (["boston", "bostn"], r"unknown label 'bostn'.*are boston"),
        (["boston"] * 3, "3 labels for n=2 samples"),
        ({"boston": -1.0}, "nonnegative"),
        ({"boston": 0.0}, "not all zero"),
        ({"boston": np.inf}, "finite"),
        ({}, "empty mapping"),
        ({"bostn": 1}, "unknown label 'bostn'"),
    ],
)
def test_bad_conditions(peano, condition, message):
    with pytest.raises(ValueError, match=message):
        peano.sample(KEY, 2, condition=condition)


def test_conditions_without_labels():
    g = PeanoGenerator(GridMeasure.from_histogram([1, 2]), 1)
    assert g.vocabulary is None
    for condition in ("a", 0, ["a", "b"], {"a": 1}):
        with pytest.raises(ValueError, match="there are no labels: build the measure with labels="):
            g.sample(KEY, 2, condition=condition)
    with pytest.raises(ValueError, match="there are no labels"):
        g(0.5, "a")


def test_the_certificate_of_a_label_bounds_its_own_law():
    """Its rounding part against exact transport between the label's own laws, before and after rounding."""
    rng = np.random.default_rng(5)
    points, labels = rng.random((300, 2)), rng.integers(0, 3, 300)
    float_measure = jg.GridMeasure.from_samples(points, 3, weights=rng.random(300), labels=labels, low=0.0, high=1.0)
    coarse = float_measure.quantize(20)
    g = jg.PeanoGenerator(coarse, 1)
    for label in (0, 1, 2):
        certificate = g.certificate(condition=label)
        rounded, own = coarse.given(label), float_measure.given(label)
        # Rounding alone, on the centres of the nine cells: an exact linear programme that knows nothing of the curve.
        cost = np.linalg.norm(np.asarray(rounded.centers)[:, None] - np.asarray(own.centers)[None], axis=2)
        for p, part in ((1, certificate.parts["rounding"][0]), (2, certificate.parts["rounding"][1])):
            n, m = cost.shape
            rows, columns = np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))
            marginals = np.concatenate([np.asarray(rounded.masses, float), np.asarray(own.masses, float)])
            marginals[n:] *= marginals[:n].sum() / marginals[n:].sum()
            exact = linprog((cost**p).ravel(), A_eq=np.vstack([rows, columns]), b_eq=marginals).fun ** (1 / p)
            assert exact <= part + 1e-6
            assert part > 0
        assert certificate.w2 >= g.certificate().parts["filling"][1]


def test_the_certificate_of_a_label_needs_the_bounds_of_single_labels():
    rng = np.random.default_rng(6)
    measure = jg.GridMeasure.from_samples(rng.random((50, 2)), 4, labels=rng.integers(0, 2, 50), weights=rng.random(50))
    g = jg.PeanoGenerator(measure.quantize(30), 1)
    back = jg.decode(jg.encode(g))
    assert back.certificate() == g.certificate() and back.certificate(condition=1) == g.certificate(condition=1)
    # In files of version 1 only the cost for all labels is known.
    old = g.measure
    fields = (old.cells, old.counts, old.low, old.high, old.resolution, old.labels, old.vocabulary)
    unknown = jg.PeanoGenerator(jg.QuantizedMeasure(*fields, Record({"rounding": old.proven("rounding")})), 1)
    assert unknown.certificate().parts["rounding"] == g.certificate().parts["rounding"]
    with pytest.raises(ValueError, match="each label"):
        unknown.certificate(condition=1)
    with pytest.raises(ValueError, match="unknown label"):
        g.certificate(condition="nowhere")
