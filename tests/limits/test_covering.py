"""Bits of any method: the formulas by other means, inequalities by cases that (nearly) attain them, and real codes."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.special import gammaln
from scipy.stats import binom

from jaxgen.limits import (
    _covering,
    covering_argument,
    covering_bits,
    covering_error,
    occupied_volume,
    type_class_bits,
)


def log_ball(dim):
    return dim / 2 * math.log(math.pi) - math.lgamma(dim / 2 + 1)


def by_volume(epsilon, dim, most=100_000):
    """The largest of the bounds of Proposition 17 over all K up to `most`, straight from the page."""
    k = np.arange(1.0, most + 1)
    means = -k * (log_ball(dim) + dim * np.log(k * epsilon))
    means[1 if dim > 1 else most :] = -np.inf
    tuples = -k * (log_ball(dim) + math.lgamma(dim + 1) + np.log(k) + dim * (1 + math.log(epsilon / dim)))
    return max(means.max(), tuples.max(), 0) / math.log(2)


@pytest.mark.parametrize("dim", [2, 3, 5, 64, 784])
def test_the_best_of_all_numbers_of_atoms(dim):
    # From where one atom says nothing down to where 20,000 atoms are best.
    largest = math.exp(-log_ball(dim) / dim)
    for epsilon in largest * np.geomspace(1.05, 20_000 ** (-1 / dim) / 3, 25):
        bound = covering_argument(epsilon, dim)
        if bound.atoms < 90_000:
            assert bound.bits == pytest.approx(by_volume(epsilon, dim), rel=1e-5, abs=0.01)


@pytest.mark.parametrize("epsilon", np.geomspace(0.03, 0.6, 25))
def test_the_best_of_all_numbers_of_atoms_on_the_line(epsilon):
    assert covering_bits(epsilon, 1) == pytest.approx(by_volume(epsilon, 1, 1000), rel=1e-12)


@pytest.mark.parametrize(
    ("epsilon", "dim", "constant", "atoms"),
    [(1e-2, 2, 0.04573, 317), (1e-3, 2, 0.04573, 31696), (0.03, 3, 0.02839, 729)],
)
def test_reference_values(epsilon, dim, constant, atoms):
    bound = covering_argument(epsilon, dim)
    assert bound.argument == "tuples" and abs(bound.atoms - atoms) <= 1
    assert bound.bits * epsilon**dim == pytest.approx(constant, abs=5.1e-5)


@pytest.mark.parametrize(("dim", "constant"), [(1, 0.4101), (2, 0.04573), (3, 0.02839)])
def test_small_epsilon(dim, constant):
    assert covering_bits(1e-6, dim) * 1e-6**dim == pytest.approx(constant, abs=3e-5)
    if dim > 1:
        exact = math.log2(math.e) * (dim / math.e) ** dim / math.e / math.exp(log_ball(dim)) / math.factorial(dim)
        assert covering_bits(1e-6, dim) * 1e-6**dim == pytest.approx(exact, rel=1e-6)


def packing(epsilon, dim):
    """The weaker bound by Gilbert and Varshamov: A = k^d points in each of m^d cells."""
    best = 0.0
    for k in range(2, 20):
        for m in range(1, int(1 / (2 * k * epsilon)) + 1):
            points, share = k**dim, 2 * k * m * epsilon
            if share < 1 - 1 / points:
                entropy = -share * math.log2(share) - (1 - share) * math.log2(1 - share) + share * math.log2(points - 1)
                best = max(best, m**dim * (math.log2(points) - entropy))
    return best


@pytest.mark.parametrize("dim", [1, 2, 3, 6])
def test_stronger_than_packing_and_pairs(dim):
    for epsilon in (0.3, 0.1, 0.03, 0.01):
        k = np.arange(1.0, 20_000)
        pairs = gammaln(dim * k + 1) - gammaln(k + 1) - k * (log_ball(dim) + math.lgamma(dim + 1))
        pairs -= dim * k * np.log(2 * k * epsilon)
        others = max(packing(epsilon, dim), pairs.max() / math.log(2))
        assert covering_bits(epsilon, dim) > others or covering_bits(epsilon, dim) == others == 0


@pytest.mark.parametrize("separate", [True, False])
def test_what_lies_near_one_center_on_the_line(separate):
    # Means: 2^-B is the volume of K atoms within eps of a center, at most (2 K eps)^K, attained by separate atoms.
    rng, k, epsilon = np.random.default_rng(0), 3, 0.05
    center = (np.arange(k) + 0.5) / k if separate else rng.uniform(size=2 * k)
    x = np.sort(rng.uniform(size=(200_000, k)), axis=1)
    distance = np.abs(np.repeat(x, len(center) // k, axis=1) - np.sort(center)).mean(axis=1)
    share, bound = (distance <= epsilon).mean(), (2 * k * epsilon) ** k
    noise = 5 * math.sqrt(bound / len(x))
    assert share <= bound + noise
    assert not separate or share >= bound - noise


@pytest.mark.parametrize("atoms", [2, 4])
def test_what_lies_near_one_center_in_the_plane(atoms):
    # Tuples: the volume of pairs (x, x') within eps of a center with one or two atoms for each.
    rng, dim, k, epsilon = np.random.default_rng(0), 2, 2, 0.1
    center = np.array([[0.25, 0.25], [0.75, 0.75], [0.25, 0.3], [0.75, 0.7]])[:atoms]
    x = rng.uniform(size=(200_000, k, dim))
    away = np.linalg.norm(x[:, :, None] - center, axis=-1)
    plans = [(s, [j for j in range(atoms) if j not in s]) for s in itertools.combinations(range(atoms), atoms // k)]
    cost = [(away[:, 0, list(s)].mean(axis=1) + away[:, 1, t].mean(axis=1)) / k for s, t in plans]
    share = (np.min(cost, axis=0) <= epsilon).mean()
    ball = (math.pi * math.factorial(dim)) ** k * (k * epsilon) ** (dim * k) / math.factorial(dim * k)
    bound = math.e * (dim * k + 1) * k**k * ball
    # Separate atoms have k! balls; what the proof gives away is the rest.
    assert math.factorial(k) * ball * (0.9 if atoms == 2 else 0.1) < share < bound


def products(n, turn, decay):
    """E exp(-decay * area) for all 2^n paths c, by listing all 2^n paths F."""
    paths = np.array(list(itertools.product((0, 1), repeat=n)))
    turns = (np.diff(paths, axis=1) != 0).sum(axis=1)
    chance = turn**turns * (1 - turn) ** (n - 1 - turns) / 2
    place = paths.cumsum(axis=1)
    return np.array([chance @ np.exp(-decay * np.abs(place - c).sum(axis=1)) for c in place])


@pytest.mark.parametrize("n", [1, 4, 9])
def test_paths_decay(n):
    largest = products(n, _covering._TURN, _covering._DECAY).max()
    assert largest <= _covering._FACTOR * math.exp(-_covering._RATE * n)
    if n == 9:
        assert largest >= 0.7 * _covering._FACTOR * math.exp(-_covering._RATE * n)


def test_paths_decay_for_all_lengths():
    """Proposition 18: a finite set of vectors that every matrix keeps, found here by matrices written out in full."""
    turn, decay, n = _covering._TURN, _covering._DECAY, 10
    states = [(right, k) for right in (0, 1) for k in range(-n, n + 1)]
    number = {state: i for i, state in enumerate(states)}
    grow = math.exp(_covering._RATE) * (1 + 1e-12)
    matrices, leave = np.zeros((2, len(states), len(states))), np.zeros((2, len(states)))
    for (c, (before, k)), right in itertools.product(itertools.product((0, 1), states), (0, 1)):
        weight = (turn if right != before else 1 - turn) * math.exp(-decay * abs(k + right - c))
        if (right, k + right - c) in number:
            matrices[c, number[before, k], number[right, k + right - c]] += weight
        else:
            leave[c, number[before, k]] += weight
    edges = [number[right, k] for right in (0, 1) for k in (-n, n)]
    mirror = [number[1 - right, -k] for right, k in states]
    # One column a vector; last the entry that stands for all |k| > n. Only c = 0, on a vector and its mirror image.
    kept, outside = np.ones((len(states), 4000)), np.ones(4000)
    size, done = 1, 0
    while done < size:
        for w in (kept[:, done], kept[mirror, done]):
            new = grow * (matrices[0] @ w + leave[0] * outside[done])
            out = grow * math.exp(-decay * n) * max(outside[done], w[edges].max())
            below = [
                ((v[:, None] <= kept[:, :size]).all(axis=0) & (out <= outside[:size])).any() for v in (new, new[mirror])
            ]
            if not any(below):
                kept[:, size], outside[size] = new, out
                size += 1
        done += 1
    factor = kept[[number[0, 0], number[1, 0]], :size].max()
    assert _covering._FACTOR - 0.01 < factor <= _covering._FACTOR
    # No path c needs more than these two: straight on, and the staircase.
    stairs = np.abs(np.linalg.eigvals(matrices[0] @ matrices[1])).max() ** 0.5
    assert _covering._RATE < min(-math.log(1 - turn), -math.log(stairs)) < 1.02 * _covering._RATE


def test_paths_end_in_the_corner():
    turn = _covering._TURN
    for m in (1, 2, 5):
        paths = np.array(list(itertools.product((0, 1), repeat=2 * m)))
        turns = (np.diff(paths, axis=1) != 0).sum(axis=1)
        chance = turn**turns * (1 - turn) ** (2 * m - 1 - turns) / 2
        b = binom.pmf(np.arange(-1, m + 1), m - 1, turn)
        assert chance[paths.sum(axis=1) == m].sum() == pytest.approx(
            turn / 2 * ((b[1:] + b[:-1]) ** 2).sum(), rel=1e-12
        )
    for m in (1, 2, 5, 30, 400, 5000):
        b = binom.pmf(np.arange(-1, m + 1), m - 1, turn)
        exact = turn / 2 * ((b[1:] + b[:-1]) ** 2).sum()
        bound = 9 * turn / 8 / (4 * math.sqrt((m - 1) * turn * (1 - turn) + 0.25) + 1)
        assert 0.3 * exact < bound < exact
        epsilon = _covering._RATE / _covering._DECAY / m
        nats = (
            2 * m * _covering._RATE - _covering._DECAY * epsilon * m**2 - math.log(_covering._FACTOR) + math.log(bound)
        )
        by_paths = max(value for value, name, _ in _covering._candidates(math.log(epsilon), 1) if name == "paths")
        assert nats <= by_paths <= nats + 0.4


def test_every_argument_is_the_best_somewhere():
    cases = [
        (0.1, 1, "means"),
        (0.01, 1, "paths"),
        (0.3, 2, "means"),
        (0.03, 2, "tuples"),
        (6.8, 784, "means"),
        (3.0, 784, "tuples"),
    ]
    assert [covering_argument(epsilon, dim).argument for epsilon, dim, _ in cases] == [name for *_, name in cases]


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_no_code_beats_the_bound(dim):
    # K-types on n^d cells, placed at the centers: every law is within half a diagonal of a law on centers, and rounding
    # along the Peano curve with n^d quanta moves it by less than h/2.
    for n in (1, 3, 9, 27):
        epsilon = (1 + math.sqrt(dim)) / 2 / n
        assert covering_bits(epsilon, dim) <= type_class_bits(n**dim, n**dim)


@pytest.mark.parametrize("most", [1, 2, 3, 8])
def test_no_lattice_path_beats_the_bound(most):
    # On the line with m steps right and m up: the path that follows where F covers half a lattice cell is off by at
    # most half a cell on each of the 2m - 1 cells that F meets.
    for m in (most, 100 * most):
        assert covering_bits((2 * m - 1) / 2 / m**2, 1) <= math.log2(math.comb(2 * m, m))


@pytest.mark.parametrize("dim", [1, 2, 784])
def test_one_center(dim):
    # No bits: every x within eps of one center. The middle of an interval is within 1/2; a ball is within its radius.
    radius = math.exp(-log_ball(dim) / dim)
    assert covering_error(0, dim) == pytest.approx(radius, rel=1e-8)
    assert covering_bits(radius * 1.0001, dim) == 0 < covering_bits(radius * 0.9999, dim)
    assert covering_bits(1e9, dim) == 0


@settings(max_examples=50, deadline=None)
@given(
    st.floats(1e-6, 3), st.sampled_from([1, 2, 3, 20, 784]), st.floats(1e-3, 1e3), st.floats(1.0001, 2)
)  # fmt: skip
def test_units_and_monotony(epsilon, dim, volume, factor):
    bits = covering_bits(epsilon, dim)
    # Nothing but the unit of length: the same region in millimetres.
    assert covering_bits(epsilon * factor, dim, factor**dim) == pytest.approx(bits, rel=1e-6, abs=1e-9) or dim == 784
    assert covering_bits(epsilon * factor, dim) <= bits < math.inf
    assert covering_bits(epsilon, dim, volume) <= covering_bits(epsilon, dim, volume * factor)


@pytest.mark.parametrize("dim", [1, 2, 3, 64, 784])
def test_covering_bits_falls_with_epsilon(dim):
    values = [covering_bits(e, dim) for e in np.geomspace(1e-6, 20, 400)]
    assert np.isfinite(values).all() and min(values) == 0 < max(values)
    assert all(a > b or a == b == 0 or a > 1e300 for a, b in itertools.pairwise(values))
    assert covering_bits(1e-300, dim) < math.inf


@pytest.mark.sweep(16)
@pytest.mark.parametrize("dim", [1, 2, 3, 64])
@pytest.mark.parametrize("bits", [0, 1, 1000, 1e9, 1e300])
def test_covering_error_inverts(dim, bits):
    error = covering_error(bits, dim)
    assert covering_bits(error, dim) > bits
    assert covering_bits(error * (1 + 1e-6), dim) <= bits
    assert covering_error(bits + 10, dim) <= error
    assert covering_error(bits, dim, 2.0**dim) == pytest.approx(2 * error, rel=1e-8)


def test_occupied_volume():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(500, 2)) + 100
    counted = {
        (math.floor((x - points[:, 0].min()) / 0.3), math.floor((y - points[:, 1].min()) / 0.3)) for x, y in points
    }
    assert occupied_volume(points, 0.3) == pytest.approx(len(counted) * 0.09, rel=1e-12)
    assert occupied_volume(points, 1e-9) == pytest.approx(500e-18)
    assert occupied_volume(points, 1e9) == 1e18
    assert occupied_volume([1.0, 2.0, 4.0], 1.0) == 3


def test_bits_of_the_cells_that_data_occupy():
    # The error is the side: so many bits for N occupied cells, whatever the side and the box around them.
    points = 1000 * np.arange(300)[:, None] * np.ones(2)
    bits = covering_bits(1.0, 2, occupied_volume(points, 1.0))
    assert bits == covering_bits(300**-0.5, 2)
    assert covering_bits(1000.0, 2, occupied_volume(points, 1000.0)) == pytest.approx(bits)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan, math.inf])
def test_covering_bits_bad_epsilon(epsilon):
    with pytest.raises(ValueError, match="epsilon must be"):
        covering_bits(epsilon, 2)


def test_bad_input():
    with pytest.raises(ValueError, match="dim must be at least 1"):
        covering_bits(0.1, 0)
    with pytest.raises(TypeError, match="dim"):
        covering_bits(0.1, 1.5)
    for volume in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="volume must be"):
            covering_bits(0.1, 2, volume)
        with pytest.raises(ValueError, match="volume must be"):
            covering_error(10, 2, volume)
    for bits in (-1, math.nan, math.inf):
        with pytest.raises(ValueError, match="bits must be"):
            covering_error(bits, 2)
    with pytest.raises(ValueError, match="side must be"):
        occupied_volume([0.0], 0.0)
    with pytest.raises(ValueError, match="divide points and errors"):
        occupied_volume(np.zeros((1, 784)), 0.1)
    with pytest.raises(ValueError, match="points"):
        occupied_volume([], 0.1)
