"""Models of other libraries as rows: their laws are what those libraries say, and their bits what it takes to tell."""

import math

import jax
import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

import jaxgen as jg
import jaxgen.comparison._peers as module
from jaxgen.comparison import Dataset
from jaxgen.comparison._densities import _log2_binomial
from jaxgen.comparison._peers import peers
from jaxgen.distances import law_points

RNG = np.random.default_rng(0)
CLOUDS = np.concatenate(
    [RNG.normal([-4.0, 100.0], [1.0, 5.0], (150, 2)), RNG.normal([4.0, 150.0], [0.5, 9.0], (50, 2))]
)
DATA = Dataset("clouds", CLOUDS, ("x", "y"))


def made(*names, data=DATA):
    found, missing = peers(data, names, 0)
    assert not missing
    return {name: peer.make(data, 0) for name, peer in found.items()}


def test_a_mixture_is_that_of_scikit_learn():
    """As a map of three uniform numbers, its mean and covariance are those that the library fitted, but for rounding
    to 12 bits and what 2^14 Sobol points leave."""
    ((law, bits),) = made("Gaussian mixture").values()
    low, side = CLOUDS.min(axis=0), np.ptp(CLOUDS, axis=0)
    fitted = GaussianMixture(16, random_state=0, reg_covar=1e-6).fit((CLOUDS - low) / side)
    mean = low + side * (fitted.weights_ @ fitted.means_)
    spread = np.einsum("k,kij->ij", fitted.weights_, fitted.covariances_)
    spread = (spread + np.cov(fitted.means_.T, aweights=fitted.weights_, ddof=0)) * np.outer(side, side)
    points = law_points(law, 1 << 14)
    np.testing.assert_allclose(points.mean(axis=0), mean, atol=2e-3 * CLOUDS.std())
    np.testing.assert_allclose(np.cov(points.T), spread, rtol=0.02)
    # Component by component as well: with many of them, what is between them hides what is inside.
    inside = np.asarray(law.factors) @ np.moveaxis(np.asarray(law.factors), 1, 2) / np.outer(side, side)
    np.testing.assert_allclose(inside, fitted.covariances_, rtol=0.05, atol=0.005 * fitted.covariances_.max())
    assert bits == 16 + 2 * 32 + 12 * 16 * (1 + 2 + 3)  # weights, means and factors, behind a size and a box


def test_k_means_is_told_by_places_and_quanta():
    ((law, bits),) = made("k-means").values()
    centres = KMeans(16, n_init=1, random_state=0).fit(CLOUDS).cluster_centers_
    near = np.linalg.norm((np.asarray(law.atoms)[:, None] - centres) / np.ptp(CLOUDS, axis=0), axis=2).min(axis=1)
    assert near.max() < math.sqrt(2) / 2 / 1023 + 1e-6 and law.quanta == 8 * 16
    # Which of 2^20 places, and how 128 quanta are shared, at least one each.
    assert bits == math.ceil(16 + 2 * 32 + math.log2(math.comb(1 << 20, 16)) + math.log2(math.comb(127, 15)))


def test_places_of_many_coordinates_are_counted_from_above():
    for n, k in ((1 << 60, 5), (1 << 2000, 16), (1 << 20, 16), (127, 15)):
        exact = math.log2(math.comb(n, k))
        assert exact * (1 - 1e-9) <= _log2_binomial(n, k) < exact + 1e-6


@pytest.mark.slow
def test_a_kernel_density_has_the_points_and_a_width():
    ((law, bits),) = made("kernel density").values()
    assert law.means.shape == CLOUDS.shape and bits == 32 * 2 * 201
    widths = np.asarray(law.factors)[:, [0, 1], [0, 1]]
    np.testing.assert_allclose(widths, np.broadcast_to(widths[0], widths.shape))
    np.testing.assert_allclose(widths[0, 1] / widths[0, 0], np.divide(*CLOUDS.std(axis=0)[::-1]), rtol=1e-5)


@pytest.mark.slow
def test_a_semi_discrete_map_hands_each_point_its_share():
    few = Dataset("few", CLOUDS[::20], ("x", "y"))
    ((law, bits),) = made("semi-discrete map", data=few).values()
    points = law_points(law, 1 << 12)
    nearest = np.argmin(np.linalg.norm(points[:, None] - few.points, axis=2), axis=1)
    share = np.bincount(nearest, minlength=10) / len(points)
    np.testing.assert_allclose(points, few.points[nearest], rtol=1e-5)
    np.testing.assert_allclose(share, 0.1, atol=0.02)  # as far as stochastic steps take it
    assert bits == 32 * (2 * 10 + 10 + 4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["coupling flow", "spline flow", "flow matching"])
def test_flows_are_maps_of_uniform_numbers(name, monkeypatch):
    pytest.importorskip("flax" if name == "flow matching" else "flowjax")
    monkeypatch.setattr("jaxgen.comparison._flows._EPOCHS", 3)
    monkeypatch.setattr("jaxgen.comparison._flows._STEPS", 20)
    ((law, bits),) = made(name).values()
    points = law_points(law, 64)
    assert points.shape == (64, 2) and np.isfinite(points).all() and bits > 32 * 100


def test_what_cannot_be_made_is_said(monkeypatch):
    monkeypatch.setitem(module._PEERS, "k-means", (("no_such_package",), module._PEERS["k-means"][1]))
    found, missing = peers(DATA, ("k-means", "Gaussian mixture"), 0)
    assert list(found) == ["Gaussian mixture, 16"]
    assert missing == ["Left out, without no_such_package (`pip install 'jaxgen[peers]'`): k-means."]
    labelled = Dataset("two", CLOUDS, ("x", "y"), ("a", "b") * 100)
    assert peers(labelled, ("k-means",), 0) == ({}, [])


@pytest.mark.sweep(1)
@pytest.mark.parametrize("points", [np.ones((30, 2)), RNG.normal(size=(20, 1)), RNG.normal(size=(25, 12))])
def test_small_and_constant_data_have_peers(points):
    data = Dataset("odd", np.asarray(points, float), tuple(map(str, range(points.shape[1]))))
    for law, bits in made("Gaussian mixture", "k-means", data=data).values():
        x = law.sample(jax.random.key(0), 8) if isinstance(law, jg.CodebookGenerator) else law_points(law, 8)
        assert np.isfinite(np.asarray(x)).all() and bits > 0
