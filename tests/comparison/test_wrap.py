"""Anybody's model: what it is taken to be, that its samples have its law, and what is said where it is none."""

import dataclasses
import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings, strategies as st

import jaxgen as jg
from jaxgen.comparison._wrap import wrapped
from jaxgen.distances import law_distance, source_map

KEY = jr.key(0)
RNG = np.random.default_rng(0)
CLOUD = RNG.normal(size=(50, 2))
SQUARE = jg.GridMeasure.from_histogram([[1, 2], [3, 4]])


class Bent(jg.AbstractGenerator):
    """Neither a certificate nor a ReLU form."""

    dim = 2

    def __call__(self, u):
        return jnp.stack([u, u**2])


@dataclasses.dataclass
class Plain:
    """Not hashable, and not to be traced."""

    radius: float

    def __call__(self, u):
        return [self.radius * math.cos(float(u)), self.radius * math.sin(float(u))]


def module(*sizes):
    return eqx.nn.MLP(*sizes, 8, 2, key=KEY)


def chain(size):
    """An Equinox module that does not say how many numbers it takes."""
    layers = eqx.nn.Linear(size, 8, key=KEY), eqx.nn.Lambda(jax.nn.relu), eqx.nn.Linear(8, 2, key=KEY)
    return eqx.nn.Sequential(layers)


def bent(u):
    return jnp.stack([u, u**2])


# Name: model, what it is taken to be, uniform numbers, floats.
MAPS = {
    "scalar": (bent, "a callable of 1 uniform number", 1, None),
    "one of one": (lambda u: jnp.stack([u[0], u[0] ** 2]), "a callable of 1 uniform number", 1, None),
    "two of two": (jax.jit(lambda u: jnp.stack([u[0], u[1]])), "a callable of 2 uniform numbers", 2, None),
    "elementwise": (lambda u: 3 * u, "a callable of 2 uniform numbers", 2, None),
    "constant": (lambda u: jnp.array([1.0, 2.0]), "a callable of 1 uniform number", 1, None),
    "tuple": (lambda u: (u, u**2), "a callable of 1 uniform number", 1, None),
    "bound": (functools.partial(lambda w, u: w * u, jnp.ones(2)), "a callable (partial) of 1 uniform number", 1, None),
    "in_size": (module(2, 2), "a callable (MLP) of 2 uniform numbers", 2, 24 + 72 + 18),
    "in_size 1": (module(1, 2), "a callable (MLP) of 1 uniform number", 1, 16 + 72 + 18),
    "in_size scalar": (module("scalar", 2), "a callable (MLP) of 1 uniform number", 1, 16 + 72 + 18),
    "in_features": (eqx.nn.Linear(3, 2, key=KEY), "a callable (Linear) of 3 uniform numbers", 3, 8),
    "nothing to read": (chain(2), "a callable (Sequential) of 2 uniform numbers", 2, 24 + 18),
    "float": (Plain(2.0), "a callable (Plain) of 1 uniform number, which JAX cannot trace", 1, None),
    "NumPy": (
        lambda u: np.array([np.cos(u), np.sin(u)]),
        "a callable of 1 uniform number, which JAX cannot trace", 1, None,
    ),
    "branch": (
        lambda u: jnp.array([0.0, 1.0]) if u < 0.5 else jnp.array([1.0, 2.0]),
        "a callable of 1 uniform number, which JAX cannot trace", 1, None,
    ),
    "quantiles": (
        scipy.stats.norm(loc=[1.0, 2.0]).ppf,
        "a callable of 1 uniform number, which JAX cannot trace", 1, None,
    ),
}  # fmt: skip
SAMPLERS = {
    "key, n": (lambda key, n: jr.normal(key, (n, 2)), "a sampler (key, n)"),
    "key, n=": (lambda key, n=3: jr.normal(key, (n, 2)), "a sampler (key, n)"),
    "key, shape": (lambda key, shape: jr.normal(key, (*shape, 2)), "a sampler (key, shape)"),
    "jax.random": (jr.normal, "a sampler (key, shape)"),
    "rng, n": (lambda rng, n: rng.normal(size=(n, 2)), "a sampler (numpy.random.Generator, n)"),
    "frozen": (scipy.stats.multivariate_normal([0.0, 0.0]), "a SciPy distribution"),
    "kernels": (scipy.stats.gaussian_kde(RNG.normal(size=(2, 4000)) * 0.95), "a SciPy distribution"),
}
OURS = {
    "explicit": (SQUARE.generator(), "a generator (CurveGenerator)"),
    "measure": (SQUARE, "the CurveGenerator of a GridMeasure"),
    "nothing known": (Bent(), "a generator (Bent)"),
}


@pytest.mark.sweep(2)
@pytest.mark.parametrize("name", MAPS)
def test_maps_of_uniform_numbers(name):
    model, kind, sources, numbers = MAPS[name]
    found = wrapped(model, 2, n=128)
    assert found.kind_name == kind and found.source_dim == sources and found.generator is found.vocabulary is None
    assert found.numbers == numbers
    x = found.sample(KEY, 128)
    assert x.shape == (128, 2) and x.dtype == np.float64
    np.testing.assert_array_equal(x, found.sample(KEY, 128))
    # On average a law is nearer to its samples than other samples are; twice is for the noise of a single one.
    other = jg.wasserstein(x, found.sample(jr.key(1), 128), 1)
    assert law_distance(found.law, x, n=256).value <= 2 * other + 1e-6
    u = np.random.default_rng(1).random((128, sources)).astype(np.float32)
    values = (u[:, 0] if found.law.shape == () else u)[:3]
    by_hand = [np.asarray(model(value), float) for value in values]
    np.testing.assert_allclose(found.law.points(u.astype(float))[:3], by_hand, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers(name):
    """All of them are standard normal."""
    model, kind = SAMPLERS[name]
    found = wrapped(model, 2)
    assert found.kind_name == kind and found.law is found.source_dim is found.numbers is None
    x = found.sample(KEY, 4000)
    np.testing.assert_array_equal(x, found.sample(KEY, 4000))
    assert not np.array_equal(x, found.sample(jr.key(1), 4000))
    # Five standard errors, of means and of second moments.
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=5 / math.sqrt(4000))
    np.testing.assert_allclose(np.cov(x.T), np.eye(2), atol=5 * math.sqrt(2 / 4000))
    assert found.sample(KEY, 1).shape == (1, 2)


@pytest.mark.parametrize("model", [scipy.stats.norm(3.0, 0.5), scipy.stats.norm(3.0, 0.5).ppf])
def test_the_line(model):
    found = wrapped(model, 1)
    assert scipy.stats.kstest(found.sample(KEY, 500)[:, 0], scipy.stats.norm(3.0, 0.5).cdf).pvalue > 1e-3


def test_quantile_functions_are_never_asked_for_zero(monkeypatch):
    class Zeros:
        def random(self, shape, dtype):
            return np.zeros(shape, dtype)

    monkeypatch.setattr("jaxgen.comparison._wrap._numpy_rng", lambda key: Zeros())
    x = wrapped(scipy.stats.norm().ppf, 1).sample(KEY, 4)
    np.testing.assert_allclose(x, scipy.stats.norm().ppf(2.0**-24))


def test_a_map_that_can_also_be_sampled_is_a_map():
    class Both:
        source_dim = 1

        def __call__(self, u):
            return bent(u)

        def sample(self, key, n):
            raise RuntimeError

    assert wrapped(Both(), 2).kind_name == "a callable (Both) of 1 uniform number"


@pytest.mark.skipif(not hasattr(scipy.stats, "Normal"), reason="distributions as classes came later")
def test_a_scipy_distribution_of_the_new_kind():
    found = wrapped(scipy.stats.Normal(mu=3.0, sigma=0.5), 1)
    assert found.kind_name == "a SciPy distribution"
    assert scipy.stats.kstest(found.sample(KEY, 500)[:, 0], scipy.stats.norm(3.0, 0.5).cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", OURS)
def test_generators_of_jaxgen(name):
    model, kind = OURS[name]
    found = wrapped(model, 2)
    generator = model.generator() if isinstance(model, jg.GridMeasure) else model
    assert found.kind_name == kind and found.source_dim == 1
    assert eqx.tree_equal(found.generator, generator) and found.law is found.generator
    np.testing.assert_array_equal(found.sample(KEY, 8), generator.sample(KEY, 8))


def test_labels():
    measure = jg.GridMeasure.from_samples(np.arange(4.0), 4, labels=["a", "b", "b", "c"])
    found = wrapped(measure, 1, labels=["b", "a", "b"])
    assert found.vocabulary == ("a", "b", "c")
    x = found.sample(KEY, 8, ["a", "c"] * 4)[:, 0]
    assert np.all(x[::2] < 1) and np.all(x[1::2] > 2)
    assert found.sample(KEY, 8).shape == (8, 1)
    with pytest.raises(ValueError, match="must know the labels of the data: unknown label 'd'"):
        wrapped(measure, 1, labels=["a", "d"])
    # What takes no labels is not asked for any.
    assert wrapped(SQUARE, 2, labels=["a"]).sample(KEY, 8, ["a"] * 8).shape == (8, 2)


@pytest.mark.parametrize("make", [np.asarray, jnp.asarray, list, lambda x: jg.data.Dataset("mine", x, ("x", "y"))])
def test_samples(make):
    points = CLOUD.astype(np.float32)
    found = wrapped(make(points), 2)
    assert found.kind_name == "50 samples" and found.numbers == 100
    np.testing.assert_array_equal(found.law, points)
    # Without replacement as far as they go.
    assert len(np.unique(found.sample(KEY, 49), axis=0)) == 49
    assert found.sample(KEY, 51).shape == (51, 2)


def test_pictures_are_points():
    pictures = RNG.random((20, 2, 3))
    found = wrapped(pictures, 6)
    np.testing.assert_array_equal(found.law, pictures.reshape(20, 6))
    assert wrapped(lambda key, n: jr.uniform(key, (n, 2, 3)), 6).sample(KEY, 8).shape == (8, 6)
    assert wrapped(lambda u: u * jnp.ones((2, 3)), 6).sample(KEY, 8).shape == (8, 6)


def test_files(tmp_path):
    jg.save(tmp_path / "square.jaxgen", SQUARE.quantize(10))
    np.save(tmp_path / "points.npy", CLOUD)
    assert wrapped(str(tmp_path / "square.jaxgen"), 2).kind_name == "the CurveGenerator of a QuantizedMeasure"
    assert wrapped(tmp_path / "points.npy", 2).kind_name == "50 samples"
    with pytest.raises(ValueError, match="a model given by a string must be a file: no file 'gaussian'"):
        wrapped("gaussian", 2)


@given(st.lists(st.lists(st.floats(-1e30, 1e30), min_size=3, max_size=3), min_size=1, max_size=20), st.integers(1, 30))
@settings(deadline=None, max_examples=50)
def test_any_samples_are_drawn_from(points, n):
    """Constant, duplicated, huge: every draw is one of them, and n of n are all."""
    found = wrapped(points, 3)
    rows = {tuple(row) for row in points}
    assert {tuple(row) for row in found.sample(KEY, n).tolist()} <= rows
    np.testing.assert_array_equal(np.sort(found.sample(KEY, len(points)), axis=0), np.sort(points, axis=0))


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 40))
@settings(deadline=None, max_examples=25)
def test_numpy_maps_are_what_their_values_are(sources, dim, n):
    """All at once or one by one, and whatever stands on which axis: a value is that of its u."""
    matrix = np.random.default_rng(sources).normal(size=(dim, sources))

    def law(u):
        return np.cos(matrix @ np.asarray(u))

    law.source_dim = sources
    shapes = [(sources,)]
    found = source_map(law, shapes, dim)
    u = np.random.default_rng(n).random((n, sources))
    np.testing.assert_allclose(found.points(u), [law(row) for row in u], rtol=1e-9, atol=1e-12)
    assert found.shape == (sources,) and not found.traced


@pytest.mark.parametrize(("law", "sources"), [
    (lambda u: np.array([np.cos(u), np.sin(u)]), 1),
    (lambda u: np.stack([np.cos(u), np.sin(u)], axis=-1), 1),
    (lambda u: np.asarray(u) * np.ones(2), 1),
    (lambda u: np.array([np.cos(u[0]), np.sin(u[1])]), 2),
    (lambda u: np.asarray(u) @ np.arange(4.0).reshape(2, 2), 2),
])  # fmt: skip
def test_numpy_functions_are_called_once_for_all_values(law, sources):
    calls = []

    def counted(u):
        calls.append(u)
        return law(u)

    found = source_map(counted, [() if sources == 1 else (sources,)], 2)
    calls.clear()
    u = np.random.default_rng(0).random((1000, sources))
    x = found.points(u)
    # Once more for one value, to see that it gives the same.
    assert len(calls) == 2 and not found.traced
    np.testing.assert_allclose(x, [law(row[0] if sources == 1 else row) for row in u], rtol=1e-12)


@pytest.mark.parametrize("wrong", [lambda u: u - np.asarray(u).min(), lambda u: u / np.linalg.norm(u), np.sort])
def test_functions_of_all_numbers_together_are_called_one_by_one(wrong):
    """They take an array of any shape, but what they make of all values is not what they make of each."""
    found = source_map(wrong, [(2,)], 2)
    u = np.random.default_rng(0).random((50, 2))
    np.testing.assert_array_equal(found.points(u), [wrong(row) for row in u])


def test_what_jax_would_clip_is_not_taken():
    """JAX gives the last number for one beyond the end: a map of three numbers would pass as one of two."""
    with pytest.raises(ValueError, match=r"u of shape \(1,\), u of shape \(2,\) was read beyond its end"):
        wrapped(jax.jit(lambda u: jnp.stack([u[0], u[2]])), 2)


NAN = jnp.nan
REFUSED = {
    "number": (17, TypeError, "got 17 of type int. Give a sampler of shape"),
    "nothing": (None, TypeError, "got None of type NoneType"),
    "dictionary": ({"a": 1}, TypeError, "of type dict"),
    "class": (eqx.nn.MLP, TypeError, r"got the class MLP: give what MLP\(...\) returns"),
    "class, bound": (functools.partial(eqx.nn.MLP, 2, 2, 8, 2), TypeError, "got the class MLP"),
    "no argument": (lambda: RNG.normal(size=2), TypeError, "takes none: give lambda key, n: numpy.stack"),
    "three arguments": (lambda a, b, c: a, TypeError, "needs a, b, c: bind its parameters"),
    "keyword": (lambda u, *, scale: u, TypeError, "needs u, scale: bind its parameters"),
    "parameters": (lambda w, u: w * u, ValueError, r"f\(key, n\) for n = 8 failed, .*; bind parameters, as lambda u"),
    "source_dim": (type("Mine", (), {"source_dim": "two", "__call__": bent})(), TypeError, "source_dim of a Mine must"),
    "declared": (module(2, 3), ValueError, r"u of shape \(2,\) gave shape \(3,\)\. Give"),
    "chain of 3": (chain(3), ValueError, r"got \(3,\) and \(2,\).*jax.random.uniform\(key, \(n, k\)\)"),
    "matrix": (lambda u: jnp.ones((2, 2)) * u, ValueError, r"u of shape \(\), .*u of shape \(2,\) gave shape \(2, 2\)"),
    "raises": (lambda u: 1 / 0, ValueError, r"u of shape \(2,\) raised ZeroDivisionError: division by zero"),
    "object": (lambda u: object(), ValueError, "an array of numbers; got something of type object"),
    "text": (lambda u: "ab", ValueError, "must be real numbers; got dtype <U2"),
    "pair": (lambda u: (bent(u), u), ValueError, "an array of numbers; got something of type tuple"),
    "complex": (lambda u: bent(u) * 1j, ValueError, "must be real numbers; got dtype complex64"),
    "NaN": (lambda u: bent(u) * NAN, ValueError, "could not be sampled: .* must be finite; 8 of 8 rows"),
    "infinite": (lambda u: bent(u) / 0, ValueError, "could not be sampled: .* must be finite; 8 of 8 rows"),
    "NaN, NumPy": (lambda u: [float(u), math.nan], ValueError, "what came out must be finite"),
    "noise": (lambda u: RNG.normal(size=2), ValueError, "draws numbers of its own; give a function of u alone, or"),
    "noise, NumPy": (lambda u: RNG.normal(float(u), size=2), ValueError, "draws numbers of its own"),
    "line": (lambda key, n: jr.normal(key, (n,)), ValueError, r"must have shape \(8, 2\); got \(8,\)"),
    "transposed": (lambda key, n: jr.normal(key, (2, n)), ValueError, r"must have shape \(8, 2\); got \(2, 8\)"),
    "NaN sampler": (lambda key, n: np.full((n, 2), NAN), ValueError, "must be finite; 8 of 8 rows"),
    "univariate": (scipy.stats.norm(), ValueError, r"a SciPy distribution, .*got \(8,\)\. Give lambda key, n: model"),
    "not frozen": (scipy.stats.gamma, ValueError, "missing 1 required positional argument: 'a'"),
    "dimension": (jg.GridMeasure.from_histogram([1, 2]), ValueError, "points of dimension 1; the data have 2: build"),
    "empty": (np.zeros((0, 2)), ValueError, "samples is empty"),
    "NaN samples": (np.where(CLOUD > 1, NAN, CLOUD), ValueError, "samples must be finite"),
    "transposed samples": (CLOUD.T, ValueError, r"must have shape \(n, 2\); got \(2, 50\): transpose them"),
    "ragged samples": ([[1.0], [2.0, 3.0]], TypeError, "samples must be an array of numbers"),
    "words": ([["a", "b"]], TypeError, "samples must be real numbers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name, capfd):
    model, error, message = REFUSED[name]
    with pytest.raises(error, match=message) as caught:
        wrapped(model, 2)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1200
    assert capfd.readouterr() == ("", "")


def test_what_goes_wrong_later_is_said():
    calls = []

    def sampler(key, n):
        calls.append(n)
        return np.full((n, 2), np.nan if len(calls) > 2 else 0.0)

    found = wrapped(sampler, 2)
    with pytest.raises(ValueError, match="must be finite; 5 of 5 rows"):
        found.sample(KEY, 5)


@pytest.mark.parametrize("wrap", [
    (chain(3), lambda model: lambda key, n: jax.vmap(model)(jr.uniform(key, (n, 3)))),
    (lambda: RNG.normal(size=2), lambda model: lambda key, n: np.stack([model() for _ in range(n)])),
    (lambda w, u: w * u, lambda model: lambda u: model(jnp.ones(2), u)),
    (scipy.stats.norm(), lambda model: lambda key, n: model.rvs((n, 2))),
    (jg.GridMeasure.from_histogram([1, 2]), lambda model: lambda key, n: model.sample(key, n) * jnp.ones(2)),
])  # fmt: skip
def test_what_a_refusal_says_to_do_is_enough(wrap):
    model, remedy = wrap
    with pytest.raises((TypeError, ValueError)):
        wrapped(model, 2)
    assert wrapped(remedy(model), 2).sample(KEY, 8).shape == (8, 2)


def test_as_many_points_as_coordinates():
    """Eight of eight coordinates would not tell points from their transpose."""
    with pytest.raises(ValueError, match=r"must have shape \(9, 8\); got \(8, 9\)"):
        wrapped(lambda key, n: jr.normal(key, (8, n)), 8)


@pytest.mark.slow
def test_kinds_that_are_not_known():
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(2, random_state=0).fit(CLOUD)
    with pytest.raises(ValueError, match="a GaussianMixture, gave no"):
        wrapped(mixture, 2)
    assert wrapped(lambda key, n: mixture.sample(n)[0], 2).sample(KEY, 9).shape == (9, 2)


def test_numpyro():
    dist = pytest.importorskip("numpyro.distributions")
    found = wrapped(dist.MultivariateNormal(jnp.zeros(2), jnp.eye(2)), 2)
    assert found.kind_name == "a NumPyro distribution" and found.law is None
    x = found.sample(KEY, 4000)
    np.testing.assert_allclose(np.cov(x.T), np.eye(2), atol=5 * math.sqrt(2 / 4000))
    batch = wrapped(dist.Normal(jnp.array([0.0, 10.0]), 1.0), 2).sample(KEY, 500)
    np.testing.assert_allclose(batch.mean(axis=0), [0, 10], atol=5 / math.sqrt(500))
    with pytest.raises(ValueError, match=r"a NumPyro distribution, a Normal, .*got \(8,\)"):
        wrapped(dist.Normal(0.0, 1.0), 2)
    with pytest.raises(TypeError, match="the class Normal"):
        wrapped(dist.Normal, 2)


def test_flowjax():
    flows, dist = pytest.importorskip("flowjax.flows"), pytest.importorskip("flowjax.distributions")
    base = dist.StandardNormal((2,))
    flow = flows.coupling_flow(KEY, base_dist=base, flow_layers=2, nn_width=4)
    found = wrapped(flow, 2)
    assert found.kind_name == "a FlowJAX distribution" and found.numbers > 10 and found.law is None
    np.testing.assert_allclose(found.sample(KEY, 8), flow.sample(KEY, (8,)), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"a FlowJAX distribution, a .*got \(8, 3\)"):
        wrapped(dist.Normal(jnp.zeros(3)), 2)
    given_a_number = flows.coupling_flow(KEY, base_dist=base, cond_dim=1, flow_layers=2, nn_width=4)
    with pytest.raises(ValueError, match=r"condition.*Give lambda key, n: model.sample"):
        wrapped(given_a_number, 2)
    remedy = wrapped(lambda key, n: given_a_number.sample(key, (n,), jnp.zeros(1)), 2)
    assert remedy.sample(KEY, 8).shape == (8, 2)
