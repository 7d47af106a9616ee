"""Points on a lattice: the budget holds, the distance is what is said, and random laws come near the covering limit."""

import math

import numpy as np
import ot
import pytest
from hypothesis import given, settings, strategies as st
from scipy.spatial.distance import cdist

from jaxgen.coding import Trellis, code_length, decode, encode
from jaxgen.measures import LatticeMeasure
from jaxgen.rate import lattice_atoms
from jaxgen.rate._trellis_search import rates_of, search


def exact(points, measure, p=1):
    """W_p by POT's network simplex, which shares nothing with the library."""
    atoms, masses = np.asarray(measure.low_corners), np.asarray(measure.counts, np.float64)
    cost = cdist(points, atoms) ** p
    return ot.emd2(np.full(len(points), 1 / len(points)), masses / masses.sum(), cost, numItermax=10**7) ** (1 / p)


def volume_error(bits, dim):
    """The limit of Proposition 17 at its maximizer, K log2(e) bits for K atoms of mass 1/K."""
    if dim == 1:
        return 1 / (2 * math.e) / (bits * math.log(2))
    log_volume = dim / 2 * math.log(math.pi) - math.lgamma(dim / 2 + 1) + math.lgamma(dim + 1)
    return dim / math.e * math.exp(-(1 + log_volume) / dim) * (bits * math.log(2)) ** (-1 / dim)


def count_of(measure):
    """log2 of the number of laws with this header."""
    places = math.prod(measure.lattice.resolution)
    if measure.lattice.memory:
        places = Trellis(measure.lattice.resolution, measure.lattice.memory).positions(measure.places)[1]
    return sum(
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        for n, k in ((places, measure.size), (measure.quanta - 1, measure.size - 1))
    ) / math.log(2)


def ratio(dim, bits, atoms, seed):
    """The exact W_1 of the decoded file over the limit for its count, and K over the maximizer at that error."""
    points = np.random.default_rng([dim, seed]).random((atoms, dim))
    data = encode(lattice_atoms(points, bits))
    measure = decode(data, LatticeMeasure)
    assert 8 * len(data) <= bits
    error, one = exact(points, measure), volume_error(1 / math.log(2), dim)
    return error / volume_error(count_of(measure), dim), atoms * (error / one) ** dim


slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("dim", "bits", "atoms", "most"),
    [(1, 512, 200, 1.4), pytest.param(2, 512, 114, 1.52, marks=slow), pytest.param(3, 512, 103, 1.5, marks=slow)],
)
def test_a_random_law_is_near_the_covering_limit(dim, bits, atoms, most):
    assert ratio(dim, bits, atoms, 0)[0] < most


@slow
@pytest.mark.parametrize(
    ("dim", "each", "most", "bits", "seeds"),
    [
        (1, 1.86, 1.35, 512, 5),
        (1, 1.86, 1.35, 2048, 3),
        (2, 3.27, 1.5, 512, 5),
        (2, 3.27, 1.5, 1024, 2),
        (3, 3.53, 1.42, 512, 3),
    ],
)
def test_random_laws_are_near_the_covering_limit(dim, each, most, bits, seeds):
    found = np.array([ratio(dim, bits, round((bits - 140) / each), seed) for seed in range(seeds)])
    assert found[:, 0].mean() < most
    # With about as many atoms as make the limit the strongest.
    assert 0.85 < found[:, 1].mean() < 1.15


@slow
@pytest.mark.parametrize(("dim", "bits"), [(1, 512), (1, 2048), (2, 512), (3, 512)])
def test_so_they_are_with_as_many_atoms_as_the_bits_are_the_limit_for(dim, bits):
    assert ratio(dim, bits, round((bits - 140) * math.log(2)), 0)[0] < 2.5


def clouds(rng, kind, n, dim):
    """Points of all kinds: even, heavy-tailed, in clusters, on integers, all equal, with a constant axis."""
    points = rng.random((n, dim))
    if kind == "heavy":
        points = rng.standard_cauchy((n, dim))
    if kind == "clusters":
        points = np.repeat(rng.normal(size=(1 + n // 10, dim)), 10, axis=0)[:n] + 1e-4 * rng.normal(size=(n, dim))
    if kind == "integers":
        points = rng.integers(-3, 4, (n, dim)).astype(float)
    if kind == "equal":
        points[:] = points[0] * 1e6
    if kind == "constant axis":
        points[:, -1] = 0.1
    return points


KINDS = ["even", "heavy", "clusters", "integers", "equal", "constant axis"]


@slow
@given(
    kind=st.sampled_from(KINDS), n=st.sampled_from([1, 2, 30, 90]), dim=st.sampled_from([1, 2, 3, 6]),
    bits=st.sampled_from([500, 700, 1500]), seed=st.integers(0, 2**32 - 1), p=st.sampled_from([1, 2]),
)  # fmt: skip
@settings(max_examples=4, deadline=None)
def test_any_points(kind, n, dim, bits, seed, p):
    points = clouds(np.random.default_rng(seed), kind, n, dim)
    bits += 80 * dim
    measure = lattice_atoms(points, bits, p)
    data = encode(measure)
    assert 8 * len(data) == code_length(measure) <= bits
    back = decode(data, LatticeMeasure)
    np.testing.assert_array_equal(back.low_corners, measure.low_corners)
    np.testing.assert_array_equal(back.counts, measure.counts)
    assert 1 <= measure.quanta <= n
    scale = np.abs(points).max() + np.ptp(points)
    for order in (1, 2):
        assert exact(points, measure, order) <= measure.proven("points")[order - 1] * (1 + 1e-9) + 1e-9 * scale
    if kind == "equal":
        assert measure.proven("points")[1] <= 1e-9 * scale


@slow
def test_more_points_than_bits_are_taken_together():
    points = np.random.default_rng(0).random((3000, 2))
    measure = lattice_atoms(points, 400)
    assert measure.quanta <= 400 / 1.2 and code_length(measure) <= 400
    assert exact(points, measure) <= measure.proven("points")[0] * (1 + 1e-9) < 0.06


def test_a_budget_that_is_none_is_refused():
    with pytest.raises(ValueError, match="at least"):
        lattice_atoms([0.0, 1.0, 2.0], 40)
    with pytest.raises(ValueError, match="positive"):
        lattice_atoms([0.0, 1.0], math.nan)
    with pytest.raises(ValueError, match="p must be"):
        lattice_atoms([0.0, 1.0], 500, p=3)


def test_the_search_uses_open_places_only_and_gives_up_on_crowds():
    rng = np.random.default_rng(0)
    trellis = Trellis((40, 30), 5)
    places = search(rng.random((60, 2)) * (40, 30), np.ones(60, int), trellis, rates_of(60, 58, 320), sweeps=2)
    assert places is not None
    trellis.positions(np.unique(places, axis=0))
    crowd = np.full((500, 2), 17.5) + 0.01 * rng.random((500, 2))
    assert search(crowd, np.ones(500, int), trellis, rates_of(500, 490, 320)) is None
