"""The bound from node to node: never below the exact distance, attained, and near it.

Exact distances are the area between two distribution functions on the line, and POT's network simplex else, where a law
is replaced by the centres of parts of its boxes, whose distance to it is known.
"""

import itertools

import numpy as np
import ot
import pytest
from hypothesis import given, settings, strategies as st

import jaxgen as jg
from jaxgen.measures import (
    GridMeasure,
    LeafMeasure,
    QuantizedLeafMeasure,
    TreeMeasure,
    _evenness,
    node_bound,
    with_bounds,
)
from jaxgen.rate._grids import best_grid

SEEDS = st.integers(0, 2**32 - 1)


def boxes(measure):
    """Lower corners, sides and masses in float64."""
    if isinstance(measure, GridMeasure | jg.QuantizedMeasure):
        side = (np.asarray(measure.high) - np.asarray(measure.low)) / np.asarray(measure.resolution)
        low = np.asarray(measure.low) + np.asarray(measure.cells) * side
    else:
        low, side = np.asarray(measure.low_corners, np.float64), np.asarray(measure.sides, np.float64)
    weights = measure._weights().astype(np.float64)
    return low, np.broadcast_to(side, low.shape), weights / weights.sum()


def area(points, measure):
    """W_1 on the line: between the points where it bends, the difference of the distribution functions is linear."""
    low, side, masses = (array.reshape(len(array), -1)[:, 0] for array in boxes(measure))
    knots = np.unique(np.concatenate([points[:, 0], low, low + side]))
    middle, half = (knots[1:] + knots[:-1]) / 2, np.diff(knots) / 2
    slope = ((low < middle[:, None]) & (low + side > middle[:, None])) @ (masses / np.where(side > 0, side, np.inf))
    inside = np.clip((middle[:, None] - low) / np.where(side > 0, side, 1.0), 0, 1)
    value = np.where(side > 0, inside, low < middle[:, None]) @ masses
    value -= (points[:, 0] < middle[:, None]).mean(axis=1)
    # |value + slope t| over |t| < half.
    slope = np.abs(slope) * half
    crossing = (value**2 + slope**2) / np.where(slope > 0, slope, 1.0)
    return float(np.sum(half * np.where(np.abs(value) >= slope, 2 * np.abs(value), crossing)))


def transport(points, measure, parts, p):
    """W_p to the centres of `parts` parts an axis of each box, and their own distance to the law, at most."""
    low, side, masses = boxes(measure)
    inner = (np.array(list(itertools.product(range(parts), repeat=low.shape[1]))) + 0.5) / parts
    atoms = (low[:, None] + inner * side[:, None]).reshape(-1, low.shape[1])
    cost = np.sum((points[:, None] - atoms) ** 2, axis=-1) ** (p / 2)
    weights = np.repeat(masses / len(inner), len(inner))
    found = ot.emd2(np.full(len(points), 1 / len(points)), weights / weights.sum(), cost, numItermax=10**7)
    return max(found, 0.0) ** (1 / p), float(np.sqrt(masses @ (side / parts) ** 2 @ np.ones(low.shape[1]) / 12))


def random_points(rng, dim):
    """Even, crowded, tied, or partly in one place and partly outside."""
    n = rng.integers(1, 25)
    points = rng.random((n, dim))
    kind = rng.integers(4)
    if kind == 1:
        points = points**3
    if kind == 2:
        points = np.round(4 * points) / 4
    if kind == 3:
        points = rng.normal(0.5, 0.5, (n, dim))
        points[: n // 2] = points[0]
    return points


def random_partition(rng, dim, depth):
    """The unit cube, cut at halves, thirds and anywhere: lower and upper corners."""
    low, high = np.zeros((1, dim)), np.ones((1, dim))
    for _ in range(depth):
        k, share = rng.integers(dim, size=len(low)), rng.choice([1 / 2, 1 / 3, rng.random()], len(low))
        rows = np.arange(len(low))
        whole = rng.random(len(low)) < 0.2
        cut = low[rows, k] + share * (high - low)[rows, k]
        below, above = high.copy(), low.copy()
        below[rows, k], above[rows, k] = np.where(whole, high[rows, k], cut), cut
        low, high = np.concatenate([low, above[~whole]]), np.concatenate([below, high[~whole]])
    return low, high


def random_law(rng, dim, points):
    """Few quanta, none in many nodes, splits at any share; grids; trees; atoms, boxes that overlap, flat ones."""
    kind = rng.integers(6)
    if kind == 0:
        resolution = rng.integers(1, 6 if dim < 3 else 4, dim)
        cells = np.stack(np.unravel_index(rng.permutation(resolution.prod())[: rng.integers(1, 9)], resolution), -1)
        low, high = rng.uniform(-0.4, 0.4, dim), rng.uniform(0.6, 1.4, dim)
        measure = GridMeasure(cells, rng.random(len(cells)), low, high, tuple(map(int, resolution)))
        return measure.quantize(int(rng.integers(1, 8))) if rng.random() < 0.5 else measure
    if kind == 1:
        few = int(rng.integers(1, 9))
        return GridMeasure.from_samples(np.concatenate([points, points[:1] + 1]), 4).quantize(few)
    if kind == 2:
        low, high = random_partition(rng, dim, 4)
        counts = rng.integers(0, 4, len(low)) * (rng.random(len(low)) < 0.7)
        counts[0] += 1
        return LeafMeasure(low, high - low, counts.astype(float))
    if kind == 3:
        atoms = np.round(8 * rng.random((rng.integers(1, 6), dim))) / 8
        return QuantizedLeafMeasure(atoms, 0.0, rng.integers(1, 4, len(atoms)))
    if kind == 4:
        m = rng.integers(1, 5)
        sides = rng.random((m, dim)) * (rng.random((m, dim)) > 0.2)
        return QuantizedLeafMeasure(rng.random((m, dim)), sides, rng.integers(1, 4, m))
    # Dyadic trees of two labels, leaves of one inside those of the other.
    halvings = np.zeros((3, dim), int)
    halvings[1:, 0] = 1
    cells = np.zeros((3, dim), int)
    cells[2, 0] = 1
    return TreeMeasure(cells, halvings, rng.integers(1, 5, 3), 0.0, 1.0, [0, 1, 1], ["a", "b"])


def check(dim, seed):
    rng = np.random.default_rng(seed)
    points = random_points(rng, dim)
    measure = random_law(rng, dim, points)
    if rng.random() < 0.3:
        points = random_points(rng, dim)
    w1, w2 = node_bound(points, measure)
    if dim == 1:
        assert w1 >= area(points, measure) - 1e-12
    for p, bound in ((1, w1), (2, w2)):
        least, away = transport(points, measure, {1: 40, 2: 6, 3: 3}[dim], p)
        assert bound >= least - away - 1e-7
    assert w1 <= w2 * (1 + 1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3])
@given(seed=SEEDS)
@settings(max_examples=12, deadline=None)
def test_never_below_the_exact_distance(dim, seed):
    check(dim, seed)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [1, 2, 3])
@given(seed=SEEDS)
@settings(max_examples=250, deadline=None)
def test_never_below_the_exact_distance_in_many_cases(dim, seed):
    check(dim, seed)


def test_what_moves_between_laws_that_are_not_even_moves_farther():
    """A tenth in 0, the rest even on [1/2, 1]; the law has nothing in the lower half.

    The laws of the halves are 3/4 apart, the uniform ones 1/2: 0.05 is below the truth, and 0.075 the truth.
    """
    points = np.concatenate([np.zeros(128), 0.5 + (np.arange(1152) + 0.5) / 2304])[:, None]
    law = GridMeasure([[1]], [1], 0.0, 1.0, 2)
    assert area(points, law) == pytest.approx(0.075, rel=1e-3)
    assert area(points, law) <= node_bound(points, law)[0] == pytest.approx(0.075, rel=1e-2)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_attained_where_halves_are_even(dim):
    # Three quarters even in the lower half: W_1 = |3/4 - 1/2| / 2, W_2 = |3/4 - 1/2| / sqrt(3).
    fine = np.stack(np.meshgrid(*[(np.arange(16) + 0.5) / 16] * dim, indexing="ij"), -1).reshape(-1, dim)
    lower = fine[fine[:, 0] < 0.5]
    points = np.concatenate([lower, lower, lower, fine[fine[:, 0] > 0.5]])
    w1, w2 = node_bound(points, LeafMeasure([[0.0] * dim], 1.0, [1]))
    alone = node_bound(fine, LeafMeasure([[0.0] * dim], 1.0, [1]))  # how far the points of a lattice are from even
    assert 0.125 <= w1 <= 0.125 + alone[0] and 0.25 / 3**0.5 <= w2 <= 0.25 / 3**0.5 + alone[1]
    assert alone[0] <= 0.6 * dim**0.5 / 16


def test_exact_where_there_is_one_coupling():
    x = np.array([[0.3, 0.5]])
    square = np.sum((x - 0.5) ** 2) + 2 / 12
    assert node_bound(x, LeafMeasure([[0.0, 0.0]], 1.0, [1]))[1] == pytest.approx(square**0.5, rel=1e-7)
    assert node_bound([[0.3]] * np.ones((3, 1)), LeafMeasure([0.0], 1.0, [1]))[0] == pytest.approx(0.29, rel=1e-7)
    atoms = LeafMeasure([[0.0, 0.0], [3.0, 4.0]], 0.0, [1, 3])
    assert node_bound(np.zeros((2, 2)), atoms) == pytest.approx((3.75, 5 * 0.75**0.5))
    assert node_bound(np.array([[0.0, 0.0], [3.0, 4.0]]), atoms) == pytest.approx((1.25, 2.5))
    # Points outside the box of the law: how far they are from it, and then their nearest points of it.
    assert node_bound(np.array([[3.0], [-1.0]]), LeafMeasure([0.0], 1.0, [1]))[0] == pytest.approx(1.75)
    assert node_bound(np.full((4, 2), 7.0), LeafMeasure([[7.0, 7.0]], 0.0, [1])) == (0.0, 0.0)


def test_of_second_order_in_the_side_of_a_leaf():
    # Even points are near the law of one leaf, whatever its size: the curve, and any centre, are 1/3 away.
    points = np.random.default_rng(0).random((4096, 2))
    w1, _ = node_bound(points, LeafMeasure([[0.0, 0.0]], 1.0, [1]))
    assert w1 < 0.03


def test_units_and_order_do_not_matter():
    rng = np.random.default_rng(1)
    points, (low, high) = rng.random((200, 2)), random_partition(rng, 2, 5)
    counts = rng.integers(1, 5, len(low))
    bound = np.array(node_bound(points, LeafMeasure(low, high - low, counts)))
    turned, mixed = rng.permutation(200), rng.permutation(len(low))
    law = LeafMeasure(low[mixed], (high - low)[mixed], counts[mixed])
    assert node_bound(points[turned], law) == pytest.approx(bound, rel=1e-9)
    for scale in (1e-30, 1e30):
        law = LeafMeasure(scale * low, scale * (high - low), counts)
        assert node_bound(scale * points, law) == pytest.approx(scale * bound, rel=1e-7)
    # Far from 0 corners have fewer bits: what they are off is counted.
    law = LeafMeasure(1e6 + low, high - low, counts)
    assert node_bound(1e6 + points, law) == pytest.approx(bound, rel=1e-6)


def test_grids_and_the_same_boxes_have_one_bound():
    points = np.random.default_rng(2).normal(size=(500, 2))
    grid = GridMeasure.from_samples(points, (5, 12))
    low, side, masses = boxes(grid)
    assert node_bound(points, grid)[0] == pytest.approx(node_bound(points, LeafMeasure(low, side, masses))[0], rel=0.05)
    labelled = GridMeasure.from_samples(points, (5, 12), labels=np.arange(500) % 3)
    assert node_bound(points, labelled) == pytest.approx(node_bound(points, grid), rel=1e-6)


@pytest.mark.parametrize("most", [1, 20, 200])
def test_nodes_that_are_not_visited_make_it_no_smaller(monkeypatch, most):
    rng = np.random.default_rng(3)
    points = np.concatenate([rng.random((300, 2)), np.full((100, 2), 0.3)])
    law = GridMeasure.from_samples(points, 3, low=0.0, high=1.0)
    all_of_them = node_bound(points, law)
    monkeypatch.setattr(_evenness, "_MOST_NODES", most)
    found = node_bound(points, law)
    assert found[0] >= all_of_them[0] - 1e-12 and found[1] >= all_of_them[1] - 1e-12
    assert found[0] <= 0.4


def test_few_quanta_take_the_points_that_are_nearest():
    # A quarter of each half moves to the neighbouring leaf, not to any place in it.
    points = np.sort(np.random.default_rng(4).random(4000))[:, None]
    law = GridMeasure([[0], [1], [2], [3]], [1, 2, 2, 3], 0.0, 1.0, 4)
    assert area(points, law) <= node_bound(points, law)[0] <= 1.15 * area(points, law)


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "parts", "ratio"), [(1000, 5, 1.3), (2000, 3, 1.35), (4250, 2, 1.3)])
def test_near_the_distance_on_the_airports(bits, parts, ratio):
    points = np.asarray(jg.data.airports().points, np.float64)
    tree = TreeMeasure.from_samples(points, bits)
    distance, _ = transport(points, tree, parts, 1)
    assert tree.proven("law")[0] <= ratio * distance


def test_a_tree_knows_its_distance_to_the_points():
    rng = np.random.default_rng(5)
    points, labels = rng.random((40, 2)), rng.integers(0, 2, 40)
    halvings, cells = [[0, 0], [1, 0], [1, 1], [1, 1]], [[0, 0], [0, 0], [1, 0], [1, 1]]
    plain = TreeMeasure(cells, halvings, [20, 10, 6, 4], 0.0, 1.0, [0, 1, 1, 1], [0, 1])
    assert plain.proven("law") is None and plain.generator().certificate().to_points is None
    tree = with_bounds(plain, points, labels)
    assert tree.proven("law") == node_bound(points, tree)
    assert tree.proven("law", 1) == node_bound(points[labels == 1], tree.given(1))
    generator = tree.generator(extra_levels=3)
    filling, floats = generator.filling(), generator.certificate().parts["float"]
    total = [sum(parts) for parts in zip(tree.proven("law"), filling, floats, strict=True)]
    assert generator.certificate().to_points == pytest.approx(total)
    assert jg.data_bound(points, generator) == pytest.approx(total[0])
    assert generator.certificate(condition={0: 0.2, 1: 0.8}).to_points[0] > 0
    assert tree.relative().proven("law") == tree.proven("law")
    # Rounded again, the rounding is added; no file keeps either.
    again = tree.quantize(13)
    rounded = [a + b for a, b in zip(tree.proven("law"), again.proven("rounding"), strict=True)]
    generator = again.generator()
    filled = np.add(generator.filling(), generator.certificate().parts["float"])
    assert generator.certificate().to_points == pytest.approx(rounded + filled)
    assert not tree.record.saved


def test_labels_may_be_far_from_their_law_where_all_is_not():
    points = np.array([[0.0], [1.0], [2.0], [3.0]])
    law = QuantizedLeafMeasure([0.0, 1.0, 2.0, 3.0], 0.0, [1, 1, 1, 1], [0, 0, 1, 1], ["a", "b"])
    assert node_bound(points, law) == (0.0, 0.0)
    record = jg.measures.Record({"law": (0.0, 0.0)}, {"law": ((1.0, 1.0), (1.0, 1.0))})
    known = QuantizedLeafMeasure([0.0, 1.0, 2.0, 3.0], 0.0, [1, 1, 1, 1], [0, 0, 1, 1], ["a", "b"], record)
    assert known.proven("law") == (0.0, 0.0) and known.proven("law", "a") == (1.0, 1.0)


@pytest.mark.slow
def test_grids_of_a_budget_know_their_distance_to_the_points():
    points = np.random.default_rng(6).normal(size=200)
    measure = best_grid(points, bits=200)
    law = jg.data_bound(points, measure), jg.data_bound(points, measure, 2)
    assert measure.proven("law") == law
    generator = measure.generator(extra_levels=5)
    assert generator.certificate().to_points[0] <= law[0] + sum(
        part[0] for name, part in generator.certificate().parts.items() if name != "rounding"
    )


@pytest.mark.slow
@given(seed=st.integers(0, 2**32 - 1), dim=st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_weights_are_points_that_are_repeated(seed, dim):
    rng = np.random.default_rng(seed)
    # In the box of the law, and without ties, among which either is taken.
    points, weights = rng.random((12, dim)), rng.integers(1, 6, 12)
    low, side = rng.random((4, dim)) / 2, rng.random((4, dim)) / 2 * rng.integers(0, 2)
    law = LeafMeasure(np.vstack([np.zeros(dim), low]), np.vstack([np.ones(dim), side]), rng.random(5) + 0.1)
    repeated = node_bound(np.repeat(points, weights, axis=0), law)
    assert node_bound(points, law, weights) == pytest.approx(repeated, rel=1e-9)
