"""The certificate of a zigzag without folds against exact transport (POT), which knows nothing of tubes."""

import math

import numpy as np
import ot
import pytest

import jaxgen as jg
from jaxgen.curves import zigzag_distance
from jaxgen.measures import QuantizedMeasure


def make(counts, side=1.0, height=1.0, labels=None):
    """Without folds, the axes in their own order; a first axis of labels, if there are any."""
    counts = np.asarray(counts)
    cells = np.argwhere(counts > 0)
    codes, cells = (None, cells) if labels is None else (cells[:, 0], cells[:, 1:])
    shape = counts.shape if labels is None else counts.shape[1:]
    high = np.array(shape) * ([side] * (len(shape) - 1) + [height])
    measure = QuantizedMeasure(cells, counts[counts > 0], 0.0, high, shape, codes, labels)
    return jg.SawtoothGenerator(measure, 0, axes=range(len(shape)))


def transport(counts, pieces, split, side=1.0, height=1.0):
    """W_1 and W_2 between lines in so many pieces a cell, as they follow from the masses, and cells in boxes."""
    masses, dim = np.asarray(counts) / np.sum(counts), np.ndim(counts)
    cells, inside = np.argwhere(masses > 0), (np.arange(pieces) + 0.5) / pieces
    x, box = np.empty((len(cells), pieces, dim)), np.array([side] * (dim - 1) + [height])
    for cell, line in zip(cells, x, strict=True):
        place = inside
        for k in reversed(range(dim)):
            row = masses[tuple(cell[:k])].reshape(masses.shape[k], -1).sum(axis=1)
            line[:, k] = cell[k] + place
            place = (row[: cell[k]].sum() + row[cell[k]] * place) / row.sum()
    ticks = [(np.arange(n) + 0.5) / n for n in split]
    y = (cells[:, None] + np.stack(np.meshgrid(*ticks, indexing="ij"), axis=-1).reshape(-1, dim)) * box
    each = masses[masses > 0]
    a, b = np.repeat(each / pieces, pieces), np.repeat(each / math.prod(split), math.prod(split))
    cost = np.linalg.norm((x * box).reshape(-1, 1, dim) - y.reshape(1, -1, dim), axis=2)
    return [ot.emd2(a / a.sum(), b / b.sum(), cost**p, numItermax=10**8) ** (1 / p) for p in (1, 2)]


def masses_of(kind, shape, seed=1):
    rng = np.random.default_rng(seed)
    return {
        "uniform": lambda: np.ones(shape, int),
        "random": lambda: rng.integers(1, 20, shape),
        "product": lambda: np.multiply.outer(rng.integers(1, 20, shape[0]), rng.integers(1, 20, shape[1])),
        "sparse": lambda: rng.integers(1, 20, shape) * (rng.random(shape) < 0.5),
    }[kind]()


CASES = [(kind, 4, 6, (12, 6)) for kind in ("uniform", "random", "product")] + [
    pytest.param(*case, marks=pytest.mark.slow)
    for case in (
        *((kind, 8, 6, (12, 6)) for kind in ("uniform", "random", "product")),
        *((kind, 16, 4, (6, 4)) for kind in ("uniform", "random")),
    )
]


@pytest.mark.parametrize("kind, n, pieces, split", CASES)
def test_no_certificate_in_the_plane_is_looser_than_five_percent(kind, n, pieces, split):
    """And that on W_2 is nearly exact; two independent places would be 6 % to 22 % above."""
    counts = masses_of(kind, (n, n))
    (w1, w2), found = make(counts).filling(), transport(counts, pieces, split)
    assert 0.98 * found[0] <= w1 <= 1.05 * found[0] and 0.98 * found[1] <= w2 <= 1.02 * found[1]
    assert 1.05 * found[1] < zigzag_distance(np.ones(1))[1]


@pytest.mark.parametrize(
    "kind, shape, side, height",
    [
        ("sparse", (5, 7), 1.0, 1.0),
        ("random", (9, 2), 0.5, 2.0),
        ("random", (2, 5), 2.0, 0.5),
        pytest.param("uniform", (20, 3), 1.0, 1.0, marks=pytest.mark.slow),
        pytest.param("sparse", (12, 12), 1.0, 1.0, marks=pytest.mark.slow),
    ],
)
def test_no_distance_is_larger(kind, shape, side, height):
    """With gaps and long boxes: points in pieces are nearer than laws by no more than the pieces are wide."""
    counts = masses_of(kind, shape)
    (w1, w2), found = make(counts, side, height).filling(), transport(counts, 5, (10, 5), side, height)
    wide = math.sqrt((side / 10) ** 2 + 2 * (height / 5) ** 2) / math.sqrt(12)
    before = zigzag_distance(np.array([side]))
    assert found[0] - wide <= w1 <= before[0] and found[1] - wide <= w2 <= before[1]
    # No slack but that, where bins are not as wide as the box is high.
    assert side == 2 or (w1 <= 1.06 * found[0] + wide / 2 and w2 <= 1.03 * found[1] + wide / 2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["uniform", "random"])
def test_in_space_the_first_axis_costs_as_much_as_two_places(kind):
    counts = masses_of(kind, (4, 4, 4))
    (w1, w2), found, before = make(counts).filling(), transport(counts, 3, (4, 4, 3)), zigzag_distance(np.ones(2))
    assert 0.99 * found[0] <= w1 <= 1.06 * found[0] and 0.99 * found[1] <= w2 <= 1.055 * found[1]
    assert w1 < 0.97 * before[0] and w2 < 0.96 * before[1]
    # Slices that are alike cost what one does; the axis before them adds its own to the square.
    plane = make(masses_of("random", (4, 4))).filling()
    same = make(np.broadcast_to(masses_of("random", (4, 4)), (3, 4, 4))).filling()
    assert same[1] == pytest.approx(math.sqrt(plane[1] ** 2 + 1 / 6), rel=1e-5)


def test_labels_have_certificates_of_their_own():
    counts = np.stack([masses_of("uniform", (4, 4)), masses_of("product", (4, 4))])
    g = make(counts, labels=("a", "b"))
    each = [make(part).filling() for part in counts]
    assert [g.filling("a"), g.filling("b")] == [pytest.approx(pair, rel=1e-9) for pair in each]  # one at a time
    share = counts.sum(axis=(1, 2)) / counts.sum()
    assert g.filling()[0] == pytest.approx(share @ [pair[0] for pair in each], rel=1e-5)
    assert g.filling()[1] ** 2 == pytest.approx(share @ [pair[1] ** 2 for pair in each], rel=1e-5)


def test_where_there_is_nothing_to_share_two_places_are_coupled():
    one, flat = make([[3]], 0.25), make(np.ones((3, 4), int), 0.0)
    assert one.filling()[1] <= zigzag_distance(np.array([0.25]))[1] and flat.filling() == (0, 0)
    assert make(np.ones(5, int)).filling() == (0, 0)
    # Too many cells: the bound that needs no masses.
    many = make(np.ones((70, 70), int))
    assert many.filling() == zigzag_distance(np.ones(1))
    # Bins that do not touch have but the little that it helps to go straight across.
    apart = make([[1, 2, 1], [0, 0, 0], [2, 1, 1]])
    assert 0.95 < apart.filling()[1] / zigzag_distance(np.ones(1))[1] <= 1
