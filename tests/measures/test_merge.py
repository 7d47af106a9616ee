"""Measures of parts of the data in one box: counts that add up exactly, and mixtures within bounds that hold."""

import itertools

import numpy as np
import ot
import pytest
from hypothesis import given, settings, strategies as st

import jaxgen as jg
from jaxgen.measures import line_error, with_bounds
from jaxgen.measures._box_tree import box_tree
from jaxgen.measures._dyadic_leaves import DyadicLeaves, levels_of, mixed, tree_order
from jaxgen.measures._kd_tree import Cuts, unit_sides
from jaxgen.measures._node_bound import _descend

BOX = {"low": -8.0, "high": 8.0}


def line(seed, n):
    return np.clip(np.random.default_rng(seed).standard_t(2, n), -8, 8)


def random_tree(rng, splits, low, high, quanta=60, labels=None):
    """A tree with so many random splits, and random quanta, at least one a leaf."""
    low, high = np.asarray(low), np.asarray(high)
    cuts = Cuts(unit_sides(low, high))
    leaves = [(np.zeros(len(low), int), np.zeros(len(low), int), name) for name in range(len(labels or "?"))]
    for _ in range(splits):
        cell, often, name = leaves.pop(rng.integers(len(leaves)))
        half = np.arange(len(low)) == cuts.axis(int(often.sum()))
        leaves += [(cell * (1 + half) + half * upper, often + half, name) for upper in (0, 1)]
    kept = [leaf for leaf in leaves if rng.random() < 0.8 or leaf[2] == leaves[-1][2]] if labels is None else leaves
    cells, halvings, codes = (np.array(each) for each in zip(*kept, strict=True))
    counts = 1 + rng.multinomial(quanta, rng.dirichlet(np.full(len(kept), 0.5)))
    return jg.TreeMeasure(cells, halvings, counts, low, high, None if labels is None else codes, labels)


def boxes(tree):
    corners, sides = (np.asarray(array, np.float64) for array in (tree.low_corners, tree.sides))
    return corners, sides, np.asarray(tree.masses, np.float64)


def height(tree, x):
    """The distribution function of a tree on the line at each x."""
    corners, sides, masses = boxes(tree)
    return np.clip((x[:, None] - corners[:, 0]) / sides[:, 0], 0, 1) @ (masses / masses.sum())


def line_distance(trees, shares, merged):
    """W_1 between a mixture of trees and a tree, exactly: the area between functions that are linear between knots."""
    x = np.unique(np.concatenate([np.ravel([t.low_corners, t.low_corners + t.sides]) for t in [*trees, merged]]))
    apart = sum(w * height(t, x) for w, t in zip(shares, trees, strict=True)) - height(merged, x)
    a, b = apart[:-1], apart[1:]
    both = np.abs(a) + np.abs(b)
    area = np.where(a * b >= 0, both / 2, (a * a + b * b) / np.where(both > 0, 2 * both, 1.0))
    return float(np.diff(x) @ area)


def line_second(one, two):
    """W_2 between two trees on the line, exactly: quantile functions are linear between all cumulative masses."""
    masses = [boxes(tree)[2] for tree in (one, two)]
    levels, at = np.unique(np.concatenate([[0.0], *(np.cumsum(mass / mass.sum()) for mass in masses)])), []
    middle = (levels[:-1] + levels[1:]) / 2
    for tree in (one, two):
        corners, sides, mass = boxes(tree)
        share = mass / mass.sum()
        begin = np.cumsum(share) - share
        leaf = np.clip(np.searchsorted(begin, middle, side="right") - 1, 0, len(share) - 1)
        at.append(
            [corners[leaf, 0] + sides[leaf, 0] / share[leaf] * (u - begin[leaf]) for u in (levels[:-1], levels[1:])]
        )
    a, b = np.array(at[0]) - np.array(at[1])
    return float(np.sqrt(np.diff(levels) @ (a * a + a * b + b * b) / 3))


def pieces(tree, most):
    """The centres of the parts of leaves, cut until no side is longer than `most`, their masses, and how far a point
    is from the centre of its part, at most in the square mean."""
    corners, sides, masses = boxes(tree)
    centres, weights, off = [], [], 0.0
    for corner, side, mass in zip(corners, sides, masses, strict=True):
        n = np.maximum(1, np.ceil(side / most)).astype(int)
        places = np.stack(np.meshgrid(*((np.arange(k) + 0.5) / k for k in n), indexing="ij"), axis=-1)
        places = places.reshape(-1, len(n))
        centres.append(corner + side * places)
        weights.append(np.full(len(places), mass / len(places)))
        off = max(off, float(np.sqrt(np.sum((side / n) ** 2) / 12)))
    return np.concatenate(centres), np.concatenate(weights), off


def test_counts_of_points_add_up_exactly():
    points, names = line(0, 900), np.random.default_rng(0).choice(list("abc"), 900)
    parts = [slice(0, 100), slice(100, 500), slice(500, 900)]
    for labels in (None, names):
        whole = jg.GridMeasure.from_samples(points, 16, labels=labels, **BOX)
        grids = [
            jg.GridMeasure.from_samples(points[part], 16, labels=None if labels is None else labels[part], **BOX)
            for part in parts
        ]
        merged = jg.merge(grids)
        for name in ("cells", "masses", "low", "high", "labels"):
            np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))
        assert merged.vocabulary == whole.vocabulary and merged.record.total == 900
        # What is proven is the mixture of what was, each rounded to 16 digits.
        np.testing.assert_allclose(merged.proven("points"), whole.proven("points"), rtol=2.0**-14)
        counted = jg.merge([grid.counted() for grid in grids])
        np.testing.assert_array_equal(counted.counts, whole.counted().counts)
        assert counted.quanta == 900 and counted.rounding_bound(1) == 0
        for order in itertools.permutations(grids):
            np.testing.assert_array_equal(jg.merge(order).masses, merged.masses)


@given(seed=st.integers(0, 2**32 - 1), parts=st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_quanta_are_mixed_within_their_bound(seed, parts):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 1000, parts)
    grids = [jg.GridMeasure.from_histogram(rng.random(8) ** 4, high=2.0) for _ in range(parts)]
    coarse = [grid.quantize(int(rng.integers(8, 40))) for grid in grids]
    merged, share = jg.merge(coarse, sizes), sizes / sizes.sum()
    assert merged.quanta == sum(each.quanta for each in coarse)
    mixture = sum(w * dense(grid) for w, grid in zip(share, grids, strict=True))
    moved = np.abs(np.cumsum(dense(merged) - mixture)) @ np.full(8, 0.25)  # of cells of side 1/4, exactly
    assert moved <= merged.rounding_bound(1) * (1 + 1e-6) + 1e-7 and merged.rounding_bound(1) < 0.3
    floats = jg.merge(grids, sizes)
    np.testing.assert_allclose(dense(floats), mixture, atol=1e-6)


def dense(grid):
    out = np.zeros(grid.resolution)
    out[tuple(np.asarray(grid.cells).T)] = np.asarray(grid.masses, np.float64)
    return out


def test_more_points_than_quanta():
    """Counts of more than 2**24 points are rounded to 2**24 quanta, and the bound says so."""
    one = jg.measures.QuantizedMeasure([[0], [1]], [10_000_001, 1], 0.0, 1.0, 2)
    two = jg.measures.QuantizedMeasure([[0], [1]], [1, 10_000_000], 0.0, 1.0, 2)
    merged = jg.merge([one, two])
    assert merged.quanta == 1 << 24
    exact = 10_000_002 / 20_000_003
    moved = abs(merged.counts[0] / (1 << 24) - exact) / 2
    assert 0 <= moved <= merged.rounding_bound(1) * (1 + 1e-6) <= 0.5 / (1 << 25)


@pytest.mark.slow
@given(seed=st.integers(0, 2**32 - 1), d=st.integers(1, 3), parts=st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_the_leaves_of_a_mixture(seed, d, parts):
    """They are those of a tree, apart from each other, and their density is the mean of those of the parts."""
    rng = np.random.default_rng(seed)
    box = {"low": np.zeros(d), "high": rng.choice([1.0, 0.7, 3.0], d)}
    trees = [random_tree(rng, int(rng.integers(0, 30)), **box) for _ in range(parts)]
    weights, cuts = rng.random(parts) + 0.1, Cuts(box["high"] / box["high"].max())
    leaves = [
        tree._leaves()._replace(quanta=w * np.asarray(tree.masses, np.float64))
        for w, tree in zip(weights, trees, strict=True)
    ]
    found = mixed(leaves, cuts)
    assert len(levels_of(sorted_leaves(found, cuts), cuts)) >= max(len(tree.levels) for tree in trees)
    np.testing.assert_allclose(found.quanta.sum(), weights.sum(), rtol=1e-6)
    side = np.ldexp(box["high"], -found.halvings)
    # The tree that separates them has each at an end of its own, which the bound between two laws on them is built on.
    unit = box["high"].max()
    corner, edge = found.cells * side / unit, (found.cells + 1) * side / unit
    tree = box_tree(corner, edge, found.quanta, box["high"] / unit, np.full(d, 2.0**-50))
    assert len(np.unique(_descend((corner + edge) / 2, tree))) == len(side) and tree.uniform.all()
    at = (found.cells + 0.5) * side
    density = found.quanta / np.prod(side, axis=1)
    expected = np.zeros(len(at))
    for w, tree in zip(weights, trees, strict=True):
        corners, sides, masses = boxes(tree)
        inside = np.all((at[:, None] > corners) & (at[:, None] < corners + sides), axis=2)
        expected += w * inside @ (masses / np.prod(sides, axis=1))
    np.testing.assert_allclose(density, expected, rtol=1e-5)


def sorted_leaves(leaves, cuts):
    order = tree_order(leaves.cells, leaves.halvings, leaves.root, cuts)
    return DyadicLeaves(*(each[order] for each in leaves))


def merged_on_the_line(seed, parts, budget):
    """Trees on the line are merged within their bound, against the area between the distribution functions."""
    rng, box = np.random.default_rng(seed), {"low": np.zeros(1), "high": np.array([3.0])}
    trees = [random_tree(rng, int(rng.integers(0, 30)), **box) for _ in range(parts)]
    sizes = rng.integers(1, 100, parts)
    merged = jg.merge(trees, sizes, bits=budget)
    if budget is None:
        assert merged.quanta == sum(tree.quanta for tree in trees)
    else:
        assert jg.code_length(merged) <= budget
    exact = line_distance(trees, sizes / sizes.sum(), merged)
    assert exact <= merged.rounding_bound(1) * (1 + 1e-6) + 1e-6 <= merged.rounding_bound(2) + 2e-6
    if parts == 1:
        second = line_second(trees[0], merged)
        assert exact <= second * (1 + 1e-6) + 1e-6 and second <= merged.rounding_bound(2) * (1 + 1e-6) + 1e-6


@pytest.mark.slow
@given(seed=st.integers(0, 2**32 - 1), parts=st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_all_that_trees_have(seed, parts):
    merged_on_the_line(seed, parts, None)


@pytest.mark.slow
def test_trees_in_a_budget():
    for parts in (1, 3):
        merged_on_the_line(parts, parts, 120)


@pytest.mark.slow
@given(seed=st.integers(0, 2**32 - 1), parts=st.integers(1, 4), budget=st.integers(90, 300))
@settings(max_examples=20, deadline=None)
def test_trees_in_any_budget(seed, parts, budget):
    merged_on_the_line(seed, parts, budget)


@pytest.mark.slow
def test_trees_of_points_are_merged_within_their_bound():
    """On the line, to all the points."""
    points = [line(seed, n) for seed, n in enumerate((60, 200, 90))]
    trees = [jg.TreeMeasure.from_samples(part, 250, **BOX) for part in points]
    for budget in (None, 250):
        merged = jg.merge(trees, [len(part) for part in points], bits=budget)
        corners, sides, masses = boxes(merged)
        exact = line_error(np.concatenate(points), corners[:, 0], sides[:, 0], masses)
        assert exact <= merged.proven("law")[0] + merged.rounding_bound(1) + 1e-6 <= 3 * exact


@pytest.mark.slow
def test_the_bound_of_merged_trees_is_not_idle():
    rng, box = np.random.default_rng(0), {"low": np.zeros(1), "high": np.ones(1)}
    trees = [random_tree(rng, 60, quanta=500, **box) for _ in range(4)]
    fine, short = (jg.merge(trees, np.ones(4), bits=bits) for bits in (None, 300))
    for merged in (fine, short):
        exact = line_distance(trees, np.full(4, 0.25), merged)
        assert exact <= merged.rounding_bound(1) <= 2 * exact + 1e-4
    again = jg.merge([fine], [1], bits=300)
    # In W_2 a little mass that goes across each cut counts by the root of it.
    assert line_second(fine, again) <= again.rounding_bound(2) <= 6 * line_second(fine, again)
    assert fine.rounding_bound(1) < 0.1 * short.rounding_bound(1)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [None, 200])
def test_trees_in_the_plane_are_merged_within_their_bound(bits):
    """Against the network simplex, on the centres of parts of the leaves; W_1 and W_2."""
    rng, box = np.random.default_rng(0), {"low": np.zeros(2), "high": np.array([1.0, 0.7])}
    trees, sizes = [random_tree(rng, 12, **box) for _ in range(2)], np.array([100, 150])
    merged = jg.merge(trees, sizes, bits=bits)
    centres, weights, off = pieces(merged, 1 / 36)
    parts = [pieces(tree, 1 / 36) for tree in trees]
    mixture = np.concatenate([each[0] for each in parts])
    shares = np.concatenate([n * each[1] for n, each in zip(sizes, parts, strict=True)])
    slack = off + sum(n * each[2] for n, each in zip(sizes, parts, strict=True)) / 250
    cost = ot.dist(mixture, centres, metric="euclidean")
    for p in (1, 2):
        found = ot.emd2(shares / shares.sum(), weights / weights.sum(), cost**p, numItermax=10**7) ** (1 / p)
        assert found - slack <= merged.rounding_bound(p)
        assert bits is None or found - slack > 0


def test_a_tree_merged_with_itself():
    rng, box = np.random.default_rng(1), {"low": np.zeros(1), "high": np.ones(1)}
    tree, other = random_tree(rng, 20, **box), random_tree(rng, 5, **box)
    for parts, weights in (([tree], [3.0]), ([tree, tree], [1, 5]), ([tree, other], [2, 0])):
        merged = jg.merge(parts, weights)
        assert merged.rounding_bound(1) < 1e-12 and merged.quanta in (tree.quanta, 2 * tree.quanta)
        assert line_distance([tree], [1.0], merged) < 1e-9 and merged.size <= tree.size


def test_labels_of_trees():
    rng, box = np.random.default_rng(3), {"low": np.zeros(1), "high": np.ones(1)}
    trees = [random_tree(rng, 10, labels=labels, **box) for labels in (("a", "b"), ("b", "c"))]
    merged = jg.merge(trees, [300, 100])
    assert merged.vocabulary == ("a", "b", "c") and merged.quanta == sum(tree.quanta for tree in trees)
    one, two = (0.75 * trees[0].label_masses, 0.25 * trees[1].label_masses)
    np.testing.assert_allclose(merged.label_masses, [one[0], one[1] + two[0], two[1]], atol=0.5 / merged.quanta)
    assert line_distance([trees[0].given("a")], [1.0], merged.given("a")) < 0.02
    assert line_distance(trees, [0.75, 0.25], merged) <= merged.rounding_bound(1) + 1e-6
    assert merged.proven("rounding", "a") is None


def test_a_file_keeps_what_is_known_of_a_merged_tree():
    trees = [
        with_bounds(random_tree(np.random.default_rng(seed), 9, [-8.0], [8.0]), line(0, 9), None) for seed in (0, 1)
    ]
    merged = jg.merge(trees, [1, 1])
    assert merged.proven("law")[0] > 0 and merged.rounding_bound(1) > 0
    again = jg.decode(jg.encode(merged))
    np.testing.assert_array_equal(again.counts, merged.counts)
    assert again.rounding_bound(1) == merged.rounding_bound(1) and again.proven("law") == merged.proven("law")
    merged.generator(extra_levels=2).certificate()


@pytest.mark.slow
def test_refusals():
    grid = jg.GridMeasure.from_samples([0.0, 1.0], 4, **BOX)
    tree = jg.TreeMeasure.from_samples([0.0, 1.0], 200, **BOX)
    with pytest.raises(ValueError, match="parts is empty"):
        jg.merge([])
    with pytest.raises(TypeError, match="all of one kind; got GridMeasure, TreeMeasure"):
        jg.merge([grid, tree])
    with pytest.raises(TypeError, match="got LeafMeasure"):
        jg.merge([jg.LeafMeasure([0.0], [1.0], [1.0])])
    with pytest.raises(TypeError, match="bits= is for trees"):
        jg.merge([grid], bits=100)
    with pytest.raises(ValueError, match=r"low is \[-8.\] in part 0 and \[-9.\] in part 1"):
        jg.merge([grid, jg.GridMeasure.from_samples([0.0, 1.0], 4, low=-9.0, high=8.0)])
    with pytest.raises(ValueError, match="resolution is"):
        jg.merge([grid, jg.GridMeasure.from_samples([0.0, 1.0], 5, **BOX)])
    with pytest.raises(ValueError, match="dim is 1 in part 0 and 2"):
        jg.merge([grid, jg.GridMeasure.from_samples([[0.0, 1.0], [1.0, 1.0]], 4, **BOX)])
    with pytest.raises(ValueError, match="some have none"):
        jg.merge([grid, jg.GridMeasure.from_samples([0.0, 1.0], 4, labels=["a", "b"], **BOX)])
    with pytest.raises(TypeError, match="all strings or all integers"):
        jg.merge([jg.GridMeasure.from_samples([0.0, 1.0], 4, labels=names, **BOX) for names in (["a", "b"], [1, 2])])
    with pytest.raises(ValueError, match="part 0 are no counts of points"):
        jg.merge([jg.GridMeasure.from_histogram([0.3, 0.7])])
    with pytest.raises(ValueError, match="part 0 are no counts of points"):
        jg.merge([jg.GridMeasure.from_histogram([0.3, 0.7]).quantize(4)])
    with pytest.raises(ValueError, match="quanta of a tree"):
        jg.merge([tree, tree])
    for weights in ([1.0], [1.0, -1.0], [0.0, 0.0], [1.0, np.nan]):
        with pytest.raises(ValueError, match="weights"):
            jg.merge([tree, tree], weights)
    with pytest.raises(ValueError, match="bits=1 must be finite and at least"):
        jg.merge([tree, tree], [1, 1], bits=1)
