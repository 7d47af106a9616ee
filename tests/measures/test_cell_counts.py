"""Points in chunks: what is counted does not depend on the chunks, and what is made of it is near the points."""

import itertools
import weakref

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import jaxgen as jg
from jaxgen.measures import CellCounts, _cell_counts, line_error, node_bound


def cloud(seed, n, d, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(size=(n, d)) ** 3, -4, 4).round(int(rng.integers(0, 9))).astype(dtype)


def cut(seed, n):
    rng = np.random.default_rng(seed)
    return np.split(np.arange(n), np.sort(rng.integers(0, n + 1, rng.integers(0, 6))))


@pytest.mark.slow
@given(
    seed=st.integers(0, 2**32 - 1), n=st.integers(2, 60), d=st.integers(1, 3), labels=st.booleans(),
    dtype=st.sampled_from([np.float64, np.float32, np.float16, np.int32]), resolution=st.integers(1, 1000),
)  # fmt: skip
@settings(max_examples=50, deadline=None)
def test_chunks_do_not_matter(seed, n, d, labels, dtype, resolution):
    """The histogram is that of `from_samples`, to the last bit, and sums are the same in any order."""
    points, box = cloud(seed, n, d, dtype), {"low": -4.0, "high": 4.0}
    names = np.random.default_rng(seed).integers(0, 3, n) if labels else None
    parts = cut(seed, n)
    chunks = [(points[part], names[part]) if labels else points[part] for part in parts]
    counts = CellCounts.from_chunks(iter(chunks), resolution, labels=labels, **box)
    found, whole = counts.grid(), jg.GridMeasure.from_samples(points, resolution, labels=names, **box)
    for name in ("cells", "masses", "low", "high", "labels"):
        one, two = getattr(found, name), getattr(whole, name)
        assert one is two is None or np.array_equal(one, two)
    assert found.vocabulary == whole.vocabulary and found.record.total == n == counts.total
    # The sums are of multiples of 2**-24 of half a diagonal, rounded upwards, and both are rounded to 16 digits.
    half = 4 * np.sqrt(d) / resolution
    pairs = [(found.proven("points"), whole.proven("points"))]
    pairs += [(found.proven("points", name), whole.proven("points", name)) for name in whole.vocabulary or ()]
    for (first, second), (w1, w2) in pairs:
        assert w1 * (1 - 2.0**-14) <= first <= w1 * (1 + 2.0**-14) + 2.0**-23 * half
        assert w2 * (1 - 2.0**-14) <= second <= w2 * (1 + 2.0**-14) + 2.0**-11 * half
    each = [
        CellCounts.from_chunks([chunk], resolution, labels=labels, **box)
        for chunk, part in zip(chunks, parts, strict=True)
        if len(part)
    ]
    for order in itertools.islice(itertools.permutations(each), 6):
        assert sum(order) == counts
    if len(each) > 2:
        assert each[0] + (each[1] + each[2]) == (each[0] + each[1]) + each[2] == each[2] + each[0] + each[1]
    again = jg.decode(jg.encode(counts))
    assert again == counts and again.counts.dtype == np.int64


@pytest.mark.parametrize(("d", "resolution"), [(2, 1 << 30), (3, 1 << 25), (70, 3)])
def test_grids_of_more_cells_than_there_are_numbers(d, resolution, monkeypatch):
    monkeypatch.setattr(_cell_counts, "_PENDING", 0)
    points = cloud(1, 200, d)
    chunks = np.array_split(points, 20)
    found = jg.GridMeasure.from_chunks(chunks, resolution, low=-4.0, high=4.0)
    whole = jg.GridMeasure.from_samples(points, resolution, low=-4.0, high=4.0)
    np.testing.assert_array_equal(found.cells, whole.cells)
    np.testing.assert_array_equal(found.masses, whole.masses)


def test_one_chunk_in_memory_at_a_time(monkeypatch):
    monkeypatch.setattr(_cell_counts, "_PENDING", 64)
    alive, most = set(), []

    def chunks():
        for i in range(100):
            chunk = cloud(i, 50, 2)
            alive.add(i)
            weakref.finalize(chunk, alive.discard, i)
            most.append(len(alive))
            yield chunk
            del chunk

    counts = CellCounts.from_chunks(chunks(), 16, low=-4.0, high=4.0)
    assert counts.total == 5000 and max(most) <= 2
    assert counts == sum(CellCounts.from_chunks([cloud(i, 50, 2)], 16, low=-4.0, high=4.0) for i in range(100))


def test_labels_may_be_new_in_a_chunk():
    chunks = [([0.1], ["b"]), ([0.2, 0.9], ["a", "c"]), ([0.1], ["b"])]
    counts = CellCounts.from_chunks(chunks, 2, low=0.0, high=1.0, labels=True)
    assert counts.vocabulary == ("a", "b", "c")
    assert counts.cells.ravel().tolist() == [0, 0, 1] and counts.counts.tolist() == [1, 2, 1]
    assert counts.grid().given("c").cells.ravel().tolist() == [1]


def test_points_that_may_be_anywhere():
    """Counts without distances: the bound is that of points in the corners, and holds."""
    counts = CellCounts([[0, 0], [1, 1]], [3, 1], low=0.0, high=2.0, resolution=2)
    assert counts.grid().proven("points") == pytest.approx((0.5**0.5, 0.5**0.5), rel=1e-4)
    corners = CellCounts.from_chunks([[[0.0, 0.0]] * 3, [[2.0, 2.0]]], 2, low=0.0, high=2.0)
    assert corners.counts.tolist() == [3, 1] and np.all(corners.away <= counts.away + 4)


@pytest.mark.slow
@given(
    seed=st.integers(0, 2**32 - 1), n=st.integers(1, 300), bits=st.integers(90, 500), resolution=st.integers(1, 5000)
)
@settings(max_examples=3, deadline=None)
def test_a_tree_of_counts_on_the_line(seed, n, bits, resolution):
    """Its bound to the points, against the area between the distribution functions, whatever the resolution."""
    points = cloud(seed, n, 1)
    counts = CellCounts.from_chunks(np.array_split(points, 3), resolution, low=-4.0, high=4.0)
    tree = counts.tree(bits)
    corners, sides = (np.asarray(array, np.float64)[:, 0] for array in (tree.low_corners, tree.sides))
    exact = line_error(points[:, 0], corners, sides, np.asarray(tree.counts, np.float64))
    assert exact <= tree.proven("law")[0] * (1 + 1e-9) and jg.code_length(tree) <= bits
    assert tree.proven("law")[0] <= tree.proven("law")[1] * (1 + 1e-9)


@pytest.mark.slow
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 100), d=st.integers(1, 3), power=st.integers(0, 5))
@settings(max_examples=10, deadline=None)
def test_what_is_known_of_the_points_is_within_half_a_diagonal(seed, n, d, power):
    """A budget of which nothing is left over: what the tree is off is what the cells are, at most 2/sqrt(3) halves."""
    points, box = cloud(seed, n, d), {"low": -4.0, "high": 4.0}
    tree = CellCounts.from_chunks([points], 1 << power, **box).tree(50_000)
    grid = jg.GridMeasure.from_samples(np.concatenate([points, points]), 1 << power, **box)
    half = 4 * np.sqrt(d) / (1 << power)
    first, second = tree.proven("law")
    assert first <= second <= 2 / np.sqrt(3) * half * (1 + 1e-6)
    # All quanta are there, and the tree is the histogram.
    assert tree.quanta == n
    np.testing.assert_allclose(tree.mean(), grid.mean(), atol=1e-5)
    np.testing.assert_allclose(tree.variance(), grid.variance(), atol=1e-4)
    assert node_bound(points, tree)[0] <= 2 / np.sqrt(3) * half * (1 + 1e-6)


@pytest.mark.slow
def test_a_tree_of_fine_counts_is_as_good_as_one_of_points():
    points, box = cloud(5, 400, 2), {"low": [-4.0, -4.0], "high": [4.0, 4.0]}
    exact = jg.TreeMeasure.from_samples(points, 600, **box)
    tree = jg.TreeMeasure.from_chunks(np.array_split(points, 7), 600, 1 << 12, **box)
    assert jg.code_length(tree) <= 600
    near, bound = jg.data_bound(points, tree), tree.proven("law")[0]
    assert near <= 1.02 * exact.proven("law")[0] and near <= bound <= 1.05 * near
    assert jg.data_bound(points, tree, 2) <= tree.proven("law")[1] <= 1.05 * jg.data_bound(points, tree, 2)


@pytest.mark.slow
def test_labels_of_a_tree_of_counts():
    points, names = cloud(6, 300, 2), np.random.default_rng(6).choice(["a", "b"], 300, p=[0.8, 0.2])
    chunks = [(points[part], names[part]) for part in cut(6, 300)]
    tree = CellCounts.from_chunks(chunks, 64, low=-4.0, high=4.0, labels=True).tree(800)
    assert tree.vocabulary == ("a", "b") and jg.code_length(tree) <= 800
    np.testing.assert_allclose(tree.label_masses, [np.mean(names == name) for name in "ab"], atol=0.02)
    near = jg.data_bound(points, tree)
    assert near <= tree.proven("law")[0] <= near + 0.1
    for name in "ab":
        near = jg.data_bound(points[names == name], tree.given(name))
        assert near <= tree.proven("law", name)[0] <= near + 0.1


def test_a_budget_for_the_roots_alone():
    counts = CellCounts.from_chunks([cloud(7, 300, 2)], 64, low=-4.0, high=4.0)
    with pytest.raises(ValueError, match="at least") as error:
        counts.tree(1)
    tree = counts.tree(error.value.least)
    assert tree.size == 1 and node_bound(cloud(7, 300, 2), tree)[0] <= tree.proven("law")[0]


BOX = {"low": 0.0, "high": 1.0}


@pytest.mark.parametrize(
    ("chunks", "match"),
    [
        ([], "chunks hold no points"),
        ([[], np.empty((0, 2))], "chunks hold no points"),
        ([[0.5], [0.5, np.nan]], "chunk 1 must be finite; 1 of 2 rows"),
        ([[0.5], [], [np.inf]], "chunk 2 must be finite"),
        ([[0.5], [[0.5, 0.5]]], "chunk 1 has points of dimension 2; those before have 1"),
        ([[0.5], [0.5, 1.5]], "1 of 2 points of chunk 1 lie outside the box"),
        ([[[[0.5]]]], "chunk 0 must have shape"),
    ],
)
def test_chunks_that_are_wrong(chunks, match):
    with pytest.raises(ValueError, match=match):
        CellCounts.from_chunks(chunks, 4, **BOX)


def test_what_is_no_iterable_of_chunks():
    for chunks in (np.zeros((4, 2)), np.zeros(4)):
        with pytest.raises(TypeError, match="chunks must be an iterable of arrays"):
            CellCounts.from_chunks(chunks, 4, **BOX)
    with pytest.raises(TypeError, match="chunk 0 must be real numbers"):
        CellCounts.from_chunks(["a"], 4, **BOX)
    with pytest.raises(TypeError, match="chunk 1 must be a pair"):
        CellCounts.from_chunks([([0.5], ["a"]), [0.5]], 4, labels=True, **BOX)
    with pytest.raises(ValueError, match="chunk 1: labels must hold one label a point"):
        CellCounts.from_chunks([([0.5], ["a"]), ([0.5], ["a", "b"])], 4, labels=True, **BOX)
    with pytest.raises(TypeError, match="all strings or all integers"):
        CellCounts.from_chunks([([0.5], ["a"]), ([0.5], [1])], 4, labels=True, **BOX)
    with pytest.raises(ValueError, match="no volume"):
        CellCounts.from_chunks([[0.5]], 4, low=0.5, high=0.5)


def test_counts_that_do_not_add_up():
    counts = CellCounts.from_chunks([[0.5]], 4, **BOX)
    with pytest.raises(ValueError, match=r"high is \[1.\] here and \[2.\] there"):
        counts + CellCounts.from_chunks([[0.5]], 4, low=0.0, high=2.0)
    with pytest.raises(ValueError, match="resolution is"):
        counts + CellCounts.from_chunks([[0.5]], 8, **BOX)
    with pytest.raises(ValueError, match="counts with labels"):
        counts + CellCounts.from_chunks([([0.5], ["a"])], 4, labels=True, **BOX)
    with pytest.raises(TypeError):
        counts + 1
    for counts, match in (([1, 0], "at least 1"), ([1 << 38, 1], "at most 2"), ([1], "one mass a cell")):
        with pytest.raises(ValueError, match=match):
            CellCounts([[0], [1]], counts, 0.0, 1.0, 2)
    with pytest.raises(TypeError, match="counts must be integers"):
        CellCounts([[0]], [1.0], 0.0, 1.0, 2)
    for away, kind in (([[1, -1]], ValueError), ([1, 1], ValueError), ([[0.5, 0.5]], TypeError)):
        with pytest.raises(kind, match="away must"):
            CellCounts([[0]], [1], 0.0, 1.0, 2, away=away)
