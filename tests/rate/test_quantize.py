"""The best law for a budget: of bits, of an error, of weights, and what data are worth."""

import numpy as np
import pytest

import jaxgen as jg
from jaxgen.rate import worth


def clusters(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)) * rng.choice([0.1, 1.0], n)[:, None] + rng.choice([0.0, 5.0], n)[:, None]


def airports():
    points = jg.data.airports().points
    return points[np.random.default_rng(0).permutation(3376)[:1688]]


@pytest.mark.slow
def test_the_budget_is_met_and_more_bits_are_no_worse():
    points, errors = clusters(600), []
    for bits in (250, 400, 700):
        law = jg.quantize(points, bits)
        assert jg.code_length(law) <= bits
        errors.append(jg.law_distance(law, points, n=2048).value)
        assert law.generator(extra_levels=1).dim == 2
    assert errors == sorted(errors, reverse=True) and errors[-1] < errors[0] / 2


@pytest.mark.slow
def test_a_grid_where_a_grid_is_better():
    # Uniform on the first and the last third: three cells say so, and halvings never end.
    third = (np.arange(500) + 0.5) / 1500
    law = jg.quantize(np.concatenate([third, third + 2 / 3]), 120, low=0.0, high=1.0)
    assert isinstance(law, jg.QuantizedMeasure) and jg.law_distance(law, [*third, *(third + 2 / 3)]).value < 0.005


@pytest.mark.slow
def test_the_fewest_bits_for_an_error():
    points = np.random.default_rng(0).normal(size=2000)
    law = jg.quantize(points, error=0.02)
    assert jg.law_distance(law, points, n=1 << 16).value <= 0.02
    assert jg.law_distance(jg.quantize(points, 0.9 * jg.code_length(law)), points, n=1 << 16).value > 0.015


@pytest.mark.slow
def test_the_best_network_of_a_size():
    points = clusters(300)
    for weights in (400, 1000):
        law = jg.quantize(points, weights=weights)
        assert 0.9 * weights <= law.generator(extra_levels=2).network().connectivity <= weights


@pytest.mark.slow
def test_two_thousand_weights_on_the_airports():
    half = airports()  # a trained network of 8,642 weights reaches 1.46
    law = jg.quantize(half, weights=2000)
    assert law.generator(extra_levels=2).network().connectivity <= 2000
    assert jg.law_distance(law.generator(extra_levels=2), half, n=8192).value <= 0.8


@pytest.mark.slow
def test_a_file_of_512_bits_on_the_airports():
    half, least = airports(), np.inf
    for bits in (512, 724, 1024, 2048):
        law = jg.quantize(half, bits)
        assert 0.98 * bits - 8 <= jg.code_length(law) <= bits
        found = jg.law_distance(law, half, n=8192).value
        assert found <= least * 1.01 and (bits > 512 or found <= 1.5)
        least = found


@pytest.mark.slow
def test_what_data_are_worth():
    """Beyond what they are worth, the error to unseen points hardly falls."""
    points = np.random.default_rng(2).normal(size=300)
    bits, unseen = worth(points, halvings=2), np.random.default_rng(3).normal(size=150)
    at, beyond = (jg.law_distance(jg.quantize(points[:150], b), unseen, n=8192).value for b in (bits, 4 * bits))
    assert at <= 1.25 * beyond


def test_bad_arguments():
    points = clusters(20)
    for given in ({}, {"bits": 500, "error": 1.0}, {"error": 1.0, "weights": 9}):
        with pytest.raises(ValueError, match="exactly one of bits, error and weights"):
            jg.quantize(points, **given)
    for given, message in (
        ({"bits": 10}, "bits=10 must be finite and at least"), ({"bits": np.inf}, "bits=inf must be finite"),
        ({"bits": "some"}, 'bits must be a number or "auto"'), ({"error": 0.0}, "error must be a positive"),
        ({"weights": 3}, "weights=3 are too few"), ({"weights": 0}, "weights must be at least 1"),
        ({"bits": 500, "p": 3}, "p must be 1 or 2"), ({"bits": 500, "low": 1.0, "high": 0.0}, "upside down"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            jg.quantize(points, **given)
    for given in ({"bits": [1, 2]}, {"weights": 1.5}, {"error": "small"}):
        with pytest.raises(TypeError, match=next(iter(given))):
            jg.quantize(points, **given)
    with pytest.raises(ValueError, match="points"):
        jg.quantize(np.zeros((0, 2)), 500)
    # What is wrong whatever the budget is said at once, and no larger budget is tried.
    with pytest.raises(ValueError, match="upside down"):
        jg.quantize(points, error=0.5, low=1.0, high=0.0)
    for far in (lambda: jg.quantize(1e300 * points, error=0.5), lambda: worth(1e300 * points)):
        with pytest.raises(ValueError, match="below 1e37"):
            far()
    with pytest.raises(ValueError, match="at least 4"):
        worth([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="halvings must be at least 2"):
        worth(points, halvings=1)
