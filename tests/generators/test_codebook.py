import math
from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.spatial
import scipy.special
import scipy.stats
from hypothesis import given, settings, strategies as st
from scipy.optimize import linear_sum_assignment

from jaxgen.generators import CodebookGenerator
from jaxgen.generators._quantizer import nearest
from jaxgen.measures import GridMeasure

KEY = jr.key(0)


def cloud(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def normal(resolution, dim, width):
    return GridMeasure.from_density(lambda x: jnp.exp(-x @ x / 2), resolution, low=-width, high=width, dim=dim, nodes=3)


def evaluate(function, u):
    return np.asarray(jax.jit(jax.vmap(function))(u))


# The law.


@settings(max_examples=10, deadline=None)
@given(st.sets(st.integers(1, 23), min_size=3, max_size=3), st.integers(0, 2**32 - 1))
def test_stratified_samples_have_the_counts(cuts, seed):
    counts = np.diff([0, *sorted(cuts), 24])
    atoms = np.random.default_rng(seed).integers(-3, 3, (4, 2)) + np.array([0, 0.25, 0.5, 0.75])[:, None]
    x = np.asarray(CodebookGenerator(atoms, counts).sample(jr.key(seed), 48, stratified=True))
    for atom, count in zip(atoms, counts, strict=True):
        assert np.sum(np.all(x == atom.astype(np.float32), axis=1)) == 2 * count


@pytest.mark.sweep(2)
@pytest.mark.parametrize("quanta", [97, 40_000, 2**24])
def test_kernel_is_the_quantile_function_in_fractions(quanta):
    rng = np.random.default_rng(quanta)
    counts = np.diff([0, *np.sort(rng.choice(np.arange(1, quanta), 40, replace=False)), quanta])
    g = CodebookGenerator(rng.permutation(41), counts)
    words = rng.integers(0, 2**32, (500, 2), dtype=np.uint32)
    # The last quantum before a jump, to the last bit, and the first one after it.
    jumps = np.cumsum(np.asarray(g.counts, dtype=object))[:-1]
    for i, jump in enumerate(jumps):
        first = -(-jump * 2**64 // quanta)
        for j, v in enumerate((first - 1, first)):
            words[2 * i + j] = v >> 32, v & (2**32 - 1)
    out = evaluate(g, jnp.asarray(words))[:, 0]
    edges = [Fraction(int(jump), quanta) for jump in jumps]
    for (a, b), x in zip(words, out, strict=True):
        u = Fraction(int(a) * 2**32 + int(b), 2**64)
        assert x == g.atoms[sum(edge <= u for edge in edges), 0]


def test_equal_masses_are_exact_by_default():
    g = CodebookGenerator(cloud(10, 3))
    assert g.quanta == 10 and np.all(np.asarray(g.counts) == 1)
    np.testing.assert_allclose(g.masses, 0.1, rtol=1e-6)
    # Atoms are off by half an ulp of their size at most.
    assert g.certificate().w2 == g.certificate().parts["float"][1] < 1e-6
    assert g.dim == 3 and g.source_dim == 1 and g.vocabulary is None


def test_float_masses_round_cumulatively_at_the_certified_cost():
    atoms, masses = cloud(300, 1), np.random.default_rng(1).random(300) + 1e-9
    masses[::3] *= 1e-6
    g = CodebookGenerator(atoms, masses)
    order = np.argsort(atoms[:, 0])
    atoms, masses = atoms[order, 0], masses[order] / masses.sum()
    assert g.quanta == 2**24 and int(np.asarray(g.counts).sum()) == 2**24
    for i in range(0, 300, 7):
        rounded = np.asarray(g.counts)[np.asarray(g.atoms[:, 0]) <= atoms[i]].sum()
        assert abs(rounded - 2**24 * masses[: i + 1].sum()) <= 0.5 + 1e-4
    exact = scipy.stats.wasserstein_distance(g.atoms[:, 0], atoms, np.asarray(g.counts), masses)
    np.testing.assert_allclose(g.certificate().parts["rounding"][0], exact, rtol=1e-6)
    assert g.certificate().parts["rounding"][1] >= exact > 0


def test_masses_may_be_huge():
    g = CodebookGenerator([0.0, 1.0, 2.0, 3.0], np.full(4, 1e308))
    np.testing.assert_array_equal(g.counts, [2**22] * 4)
    g = CodebookGenerator.from_samples([0.0, 1.0, 2.0, 2.0], 3, key=KEY, weights=np.full(4, 1e308))
    np.testing.assert_array_equal(g.counts, [2**22, 2**22, 2**23])


def test_a_mass_below_half_a_quantum_is_dropped_and_certified():
    g = CodebookGenerator([0.0, 1.0, 5.0], [0.5, 0.5, 1e-9])
    np.testing.assert_array_equal(g.atoms[:, 0], [0, 1])
    assert g.certificate().parts["rounding"][1] >= math.sqrt(1e-9) * 4 * (1 - 1e-6)


def test_float_sources_hit_the_ends_and_the_jumps():
    g = CodebookGenerator([1.0, 2.0, 3.0, 4.0], [1, 1, 2, 4])
    u = jnp.array([0.0, 0.12499999, 0.125, 0.25, 0.49999997, 0.5, 1.0])
    np.testing.assert_array_equal(evaluate(g, u)[:, 0], [1, 1, 2, 3, 3, 4, 4])
    np.testing.assert_array_equal(g(u[3]), [3.0])


def test_neighbours_in_u_are_neighbours_in_space():
    g = CodebookGenerator(np.random.default_rng(0).random((2000, 2)))
    path = np.linalg.norm(np.diff(np.asarray(g.atoms), axis=0), axis=1)
    # Any path through n uniform points is longer than 0.7 sqrt(n); random order takes 0.52 n, here 23 sqrt(n).
    assert path.sum() < 1.5 * math.sqrt(2000)


def test_gradient_by_an_atom_is_its_share_of_the_samples():
    g = CodebookGenerator(cloud(5, 2), [1, 2, 3, 4, 6])
    grad = eqx.filter_grad(lambda g: g.sample(KEY, 16, stratified=True).sum(axis=0) @ jnp.array([1.0, 2.0]))(g)
    counts = np.asarray(g.counts, np.float32)
    np.testing.assert_array_equal(grad.atoms, np.stack([counts, 2 * counts], axis=1))


def test_one_atom_and_duplicates_are_no_errors():
    one = CodebookGenerator([[2.0, 3.0]])
    np.testing.assert_array_equal(one.sample(KEY, 3), [[2.0, 3.0]] * 3)
    np.testing.assert_array_equal(one.network()(0.5), [2.0, 3.0])
    assert one.ramp_measure(0.1) == 0 and one.certificate(0.1).parts["ramps"] == (0, 0)
    assert one.certificate().w2 == 0
    same = CodebookGenerator([[2.0, 3.0], [2.0, 3.0], [4.0, 5.0], [2.0, 3.0]], [1, 2, 3, 4])
    assert same.ramp_measure(0.01) == 0.01
    x = np.asarray(same.sample(KEY, 100, stratified=True))
    assert np.sum(x[:, 0] == 4.0) == 30


def test_double_precision(x64):
    atoms = cloud(7, 2)
    g = CodebookGenerator(atoms, np.full(7, 1 / 7))
    assert g.atoms.dtype == jnp.float64 and g.sample(KEY, 4).dtype == jnp.float64
    x = np.asarray(g.sample(KEY, 4))
    assert all(any(np.array_equal(row, atom) for atom in atoms) for row in x)


# The network.


@pytest.mark.sweep(1)
@pytest.mark.parametrize("ramp", [2.0**-7, 0.25, 0.75])
def test_network_is_the_kernel_outside_its_ramps(x64, ramp):
    """A ramp is the share `ramp` of each stretch but the first: of 1024 u a stretch, in the middle of their cells."""
    atoms = cloud(50, 3)
    g = CodebookGenerator(atoms, np.random.default_rng(1).integers(20, 60, 50))
    network = g.network(ramp)
    assert network.depth == 3 and network.width == 49 and network.connectivity <= 49 * 7 + 3
    inside, masses = (np.arange(1024) + 0.5) / 1024, np.asarray(g.counts, float) / g.quanta
    u = ((np.cumsum(masses) - masses)[:, None] + masses[:, None] * inside).ravel()
    kernel, net = evaluate(g, u), evaluate(network, u[:, None])
    off = np.linalg.norm(kernel - net, axis=1).reshape(50, 1024)
    np.testing.assert_array_equal(off > 1e-9, (inside < ramp) & (np.arange(50) > 0)[:, None])
    np.testing.assert_allclose(g.ramp_measure(ramp), ramp)
    # No two ramps overlap, so that the cost is known exactly: the mean over u is its quadrature.
    w1, w2 = g.certificate(ramp).parts["ramps"]
    found = masses @ off.mean(axis=1), math.sqrt(masses @ (off**2).mean(axis=1))
    np.testing.assert_allclose(found, [w1, w2], rtol=0.01)
    assert np.all(net >= atoms.min(axis=0) - 1e-9) and np.all(net <= atoms.max(axis=0) + 1e-9)


def test_network_in_single_precision():
    g = CodebookGenerator(cloud(20, 2))
    u = np.float32((np.arange(40) + 0.5) / 40)
    np.testing.assert_allclose(evaluate(g.network(2.0**-16), u[:, None]), evaluate(g, u), atol=1e-5)


# The search for the best codebook.


@pytest.mark.parametrize("d", [1, 2, 15])
def test_error_is_the_exact_distance_between_points_and_codebook(d):
    points = cloud(60, d).astype(np.float32)
    g = CodebookGenerator.from_samples(points, 7, key=KEY, restarts=2)
    assert g.quanta == 60 and g.atoms.shape == (7, d)
    expanded = np.repeat(np.asarray(g.atoms, float), np.asarray(g.counts), axis=0)
    distance = np.linalg.norm(points[:, None].astype(float) - expanded, axis=2)
    # Nobody can do better than go to the nearest atom, so the bound is attained, for p = 1 and 2.
    for p in (1, 2):
        rows, columns = linear_sum_assignment(distance**p)
        exact = np.mean(distance[rows, columns] ** p) ** (1 / p)
        np.testing.assert_allclose(g.certificate().parts["quantization"][p - 1], exact, rtol=1e-6)
    assert g.error == g.certificate().w2


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=7, max_size=7), st.integers(0, 9))
def test_search_is_between_the_best_partition_and_the_first_guess(points, seed):
    points = np.array(points, float)
    n = min(3, len(np.unique(points, axis=0)))
    g = CodebookGenerator.from_samples(points, n, key=jr.key(seed))
    owners = np.indices((3,) * 7).reshape(7, -1)
    groups = (owners[None] == np.arange(3)[:, None, None]).astype(float)
    mass = groups.sum(axis=1)
    first = np.einsum("kpo,pd->kod", groups, points)
    best = np.mean(np.sum(points**2, axis=1)) - np.max(
        np.sum(np.sum(first**2, axis=2) / np.maximum(mass, 1), axis=0) / 7
    )
    assert best - 1e-6 <= g.error**2 <= points.var(axis=0).sum() + 1e-6
    distance = scipy.spatial.distance.cdist(points, np.asarray(g.atoms)).min(axis=1)
    np.testing.assert_allclose(g.error, math.sqrt(np.mean(distance**2)), atol=1e-6)
    assert g.quanta == 7


def test_atoms_are_the_centroids_of_their_points():
    points = cloud(2000, 2)
    g = CodebookGenerator.from_samples(points, 20, key=KEY, restarts=1)
    owner = scipy.spatial.distance.cdist(points, np.asarray(g.atoms)).argmin(axis=1)
    for j in range(20):
        np.testing.assert_allclose(g.atoms[j], points[owner == j].mean(axis=0), atol=0.01)
    assert np.abs(np.bincount(owner) - np.asarray(g.counts)).max() <= 1


def test_a_weight_is_as_good_as_a_repetition():
    points, weights = cloud(100, 2), np.random.default_rng(3).integers(0, 5, 100)
    a = CodebookGenerator.from_samples(points, 6, key=KEY, weights=weights, restarts=2)
    b = CodebookGenerator.from_samples(np.repeat(points, weights, axis=0), 6, key=KEY, restarts=2)
    c = CodebookGenerator.from_samples(points, 6, key=KEY, weights=weights / 3.0, restarts=2)
    np.testing.assert_array_equal(a.atoms, b.atoms)
    np.testing.assert_array_equal(a.counts, b.counts)
    np.testing.assert_allclose(c.masses, a.masses, atol=2**-24)
    np.testing.assert_allclose([b.error, c.error], a.error, rtol=1e-12)


def test_restarts_never_hurt_and_keys_decide():
    points = cloud(500, 2)
    one, many, again = (
        CodebookGenerator.from_samples(points, 12, key=jr.key(5), restarts=r, max_steps=60) for r in (1, 6, 6)
    )
    assert many.error <= one.error
    np.testing.assert_array_equal(many.atoms, again.atoms)


def test_as_many_atoms_as_distinct_points():
    points = np.repeat([[0.0, 0], [1, 0], [5, 1], [5, 2], [9, 9]], [1, 900, 1, 1, 2], axis=0)
    g = CodebookGenerator.from_samples(points, 5, key=KEY)
    assert g.error < 1e-6
    assert sorted(np.asarray(g.counts)) == [1, 1, 1, 2, 900]
    assert CodebookGenerator.from_samples(np.full((9, 2), 3.0), 1, key=KEY).error == 0


def test_nearest_is_the_same_by_tree_and_by_products():
    x, atoms = cloud(300, 12), cloud(40, 12, 1)
    flat = np.concatenate([x, np.ones((300, 1))], axis=1), np.concatenate([atoms, np.ones((40, 1))], axis=1)
    for a, b in zip(nearest(x, atoms), nearest(*flat), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5, 8, 64])
def test_uniform_law_on_the_interval(n):
    # 6400 cells, so that the best codebook cuts no cell; a step that gains 1e-6 is the last one.
    g = CodebookGenerator.from_measure(GridMeasure.from_histogram(np.full(6400, 1)), n, key=KEY, restarts=1)
    np.testing.assert_allclose(g.error**2, 1 / (12 * n**2), rtol=1e-4)


@pytest.fixture(scope="module")
def line():
    return normal(16384, 1, 8.0)


def lloyd_max(n):
    """The least error for the standard normal: the fixed point, unique for a log-concave density (Fleischer 1964)."""
    a = scipy.special.ndtri((np.arange(n) + 0.5) / n) * math.sqrt(3)
    for _ in range(5000):
        edges = np.concatenate([[-np.inf], (a[1:] + a[:-1]) / 2, [np.inf]])
        mass, first = np.diff(scipy.special.ndtr(edges)), -np.diff(np.exp(-(edges**2) / 2)) / math.sqrt(2 * math.pi)
        a = first / mass
    return 1 - first @ a


@pytest.mark.slow
@pytest.mark.parametrize("n, table", [(2, 0.3634), (3, 0.1902), (4, 0.1175), (8, 0.03454), (16, 0.009497), (32, None)])
def test_standard_normal_in_one_dimension(line, n, table):
    g = CodebookGenerator.from_measure(line, n, key=KEY, restarts=2)
    np.testing.assert_allclose(g.error**2, lloyd_max(n), rtol=3e-4)
    # Max (1960) has 0.002499 for n = 32, 0.2 % below the least error there is.
    if table is not None:
        np.testing.assert_allclose(g.error**2, table, rtol=1e-3)


def test_certificate_on_the_line(line):
    g = CodebookGenerator.from_measure(line, 8, key=KEY, restarts=1)
    u = (np.arange(400_000) + 0.5) / 400_000
    edges = np.concatenate([[0], np.cumsum(np.asarray(line.masses, float))])
    cells = np.asarray(line.cells)[:, 0]
    corners = -8 + np.append(cells, cells[-1] + 1) * 16 / 16384
    quantile = np.interp(u, edges / edges[-1], corners)
    steps = np.asarray(g.atoms)[np.searchsorted(np.cumsum(np.asarray(g.counts)) / g.quanta, u, side="right"), 0]
    off = np.abs(quantile - steps)
    # On the line the monotone coupling is optimal; the quadrature in u leaves out 1e-5 of it.
    w1, w2 = off.mean(), math.sqrt(np.mean(off**2))
    certificate = g.certificate()
    assert w2 <= certificate.w2 <= w2 * 1.001 + sum(certificate.parts["rounding"])
    assert w1 <= certificate.w1 <= w1 * 1.001 + sum(certificate.parts["rounding"])


@pytest.mark.slow
def test_zador_constant_in_the_plane():
    n = 1000
    g = CodebookGenerator.from_measure(normal(500, 2, 5.0), n, key=KEY, restarts=1, max_steps=30)
    constant = 2 * 0.0801875 * 8 * math.pi
    # A bound on the distance to the grid measure, in which whole cells go to one atom ...
    assert abs(n * g.error**2 / constant - 1) < 0.03
    # ... and the distance of the atoms to the normal law itself, by quadrature on cells a quarter of the area.
    axis = -5.5 + (np.arange(1000) + 0.5) * 0.011
    x = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    weights = np.exp(-np.sum(x**2, axis=1) / 2)
    distance = scipy.spatial.KDTree(np.asarray(g.atoms, float)).query(x)[0]
    true = n * np.average(distance**2, weights=weights) / constant
    assert 0.97 < true < 1.03


def test_labels_of_a_measure_are_left_out():
    points, labels = cloud(400, 2), np.repeat(["a", "b"], 200)
    g = CodebookGenerator.from_measure(GridMeasure.from_samples(points, 20, labels=labels), 9, key=KEY, restarts=1)
    assert g.vocabulary is None and g.quanta == 400 and g.atoms.shape == (9, 2)


# Bad input.


@pytest.mark.parametrize(
    "atoms, masses, error, match",
    [
        (np.zeros((0, 2)), None, ValueError, "atoms is empty"),
        ([[0.0, np.nan]], None, ValueError, "finite"),
        ([[0.0, np.inf]], None, ValueError, "finite"),
        ([[0.0, 1e300]], None, ValueError, "too large for float32"),
        (np.zeros((2, 2, 2)), None, ValueError, "shape"),
        (["a", "b"], None, TypeError, "numbers"),
        ([0.0, 1.0], [1.0], ValueError, r"shape \(2,\)"),
        ([0.0, 1.0], [1.0, -1.0], ValueError, "positive"),
        ([0.0, 1.0], [1, 0], ValueError, "positive"),
        ([0.0, 1.0], [1.0, np.nan], ValueError, "finite"),
        ([0.0, 1.0], [True, True], TypeError, "counts or floats"),
        ([0.0, 1.0], [2**24, 1], ValueError, r"2\*\*24"),
        ([0.0, 1.0, 2.0, 3.0], [2**62] * 4, ValueError, r"2\*\*24"),
    ],
)
def test_bad_atoms_and_masses(atoms, masses, error, match):
    with pytest.raises(error, match=match):
        CodebookGenerator(atoms, masses)


@pytest.mark.parametrize(
    "n, options, error, match",
    [
        (0, {}, ValueError, "n_atoms must lie between 1 and the number of distinct points, 4; got 0"),
        (5, {}, ValueError, "got 5"),
        (-1, {}, ValueError, "n_atoms"),
        (2.0, {}, TypeError, "n_atoms"),
        (2, {"restarts": 0}, ValueError, "restarts"),
        (2, {"max_steps": 0}, ValueError, "max_steps"),
        (2, {"weights": [1, 1]}, ValueError, "weights"),
        (2, {"weights": [1, 1, 1, 1, -1]}, ValueError, "weights"),
        (2, {"weights": [0] * 5}, ValueError, "weights"),
        (2, {"weights": [1, 1, 1, 1, np.nan]}, ValueError, "weights"),
        (4, {"weights": [0, 1, 1, 1, 1]}, ValueError, "distinct points, 3"),
    ],
)
def test_bad_searches(n, options, error, match):
    with pytest.raises(error, match=match):
        CodebookGenerator.from_samples([0.0, 1.0, 1.0, 2.0, 3.0], n, key=KEY, **options)


def test_bad_sources_conditions_ramps_and_measures():
    g = CodebookGenerator([0.0, 1.0])
    with pytest.raises(ValueError, match="shape"):
        g(jnp.zeros(2))
    with pytest.raises(ValueError, match="labels"):
        g(0.5, "a")
    with pytest.raises(ValueError, match="labels"):
        g.sample(KEY, 3, return_labels=True)
    with pytest.raises(RuntimeError, match=r"\[0, 1\]"):
        g(1.5)
    for ramp in (0.0, 1.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="ramp"):
            g.network(ramp)
    with pytest.raises(TypeError, match="from_samples"):
        CodebookGenerator.from_measure(cloud(5, 2), 2, key=KEY)
    with pytest.raises(ValueError, match="points"):
        CodebookGenerator.from_samples([[np.nan]], 1, key=KEY)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_units_do_not_matter(size):
    points = cloud(200, 2)
    unit, other = (CodebookGenerator.from_samples(s * points, 5, key=KEY, restarts=1) for s in (1.0, size))
    np.testing.assert_allclose(other.error / size, unit.error, rtol=1e-5)
    np.testing.assert_array_equal(other.counts, unit.counts)
