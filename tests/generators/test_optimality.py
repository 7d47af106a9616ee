"""How near the constructions are to their bounds, and to the limits: the table of theory, section 10, and no slack.

Distances by exact transport between atoms, of which the law has equal shares of u and the measure midpoints of boxes.
Midpoints are nearer than their boxes by less than the tolerances. The first axes may be folded onto one interval, which
is 1-Lipschitz and brings no law farther from a measure: what is left is a lower bound, with the certificate above it.
"""

import functools as ft
import math
import pathlib
import re

import jax
import numpy as np
import pytest

import jaxgen as jg
from jaxgen.comparison._notes import OPTIMALITY
from jaxgen.curves import diagonal_distance

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "theory.md"
TOLERANCE = {2: 0.02, 3: 0.05}
PATHS = ("zigzag", "serpentine", "Peano diagonal", "Peano line", "Hilbert line")
DEPTH, WEIGHTS = 20, 200


def uniform(n, dim):
    return jg.GridMeasure.from_histogram(np.ones((n,) * dim, int))


def construction(path, dim, level):
    """The generator of the uniform law on the unit cube, and the side h of its finest boxes."""
    if path in ("zigzag", "serpentine"):
        return jg.SawtoothGenerator(uniform(1, dim), level, path), 2.0**-level
    curve, inside = path.split()
    if curve == "Hilbert":
        return jg.CurveGenerator(uniform(2**level, dim), 0, inside, jg.HilbertCurve()), 2.0**-level
    return jg.PeanoGenerator(uniform(1, dim), level, inside), 3.0**-level


def along(generator, n):
    """Points of n equal shares of u."""
    return np.array(jax.jit(jax.vmap(generator))(((np.arange(n) + 0.5) / n).astype(np.float32)), float)


def transport(x, y, masses=None):
    """W_1 and W_2 between atoms x of equal mass and y."""
    import ot

    cost = ot.dist(x, y, "euclidean")
    a, b = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y)) if masses is None else masses
    return [ot.emd2(a, b, cost**p, numItermax=10**8) ** (1 / p) for p in (1, 2)]


def to_uniform(generator, h, counts, folded=0):
    """W_1 and W_2 from the uniform law on the unit cube in units of h; `counts` midpoints along each axis."""
    n = math.prod(counts)
    x, sides = along(generator, n), [h] * folded + [1] * (generator.dim - folded)
    x[:, :folded] = h * np.abs((x[:, :folded] / h + 1) % 2 - 1)
    axes = [(np.arange(count) + 0.5) / count * side for count, side in zip(counts, sides, strict=True)]
    y = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(n, -1)
    return np.array(transport(x, y)) / h


@ft.cache
def page():
    """The rows of the table: (dimension, path) to the numbers."""
    rows = re.findall(r"^\| ([23]) \| ([\w ]+) \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    return {(int(d), path): [float(x) if x.strip() else None for x in rest.split("|")] for d, path, rest in rows}


def test_the_table_is_complete():
    assert set(page()) == {(d, path) for d in (2, 3) for path in (*PATHS, "limit")}
    for d in (2, 3):
        long = 10.0**8
        limit = jg.limits.length_bound(long, d) * long ** (1 / (d - 1))
        assert page()[d, "limit"][2] == pytest.approx(limit, abs=6e-5)
        for path in PATHS:
            error, length, product, ratio = page()[d, path][:4]
            assert product == pytest.approx(error * length ** (1 / (d - 1)), abs=2e-4)
            assert ratio == pytest.approx(product / limit, abs=1e-3)


# Levels of h = 1/4 or 1/3, midpoints, and folded axes. In the plane also as it is, with nothing folded.
QUICK = [
    ("zigzag", 2, 2, (8, 32), 1),
    ("serpentine", 2, 2, (8, 40), 1),
    ("Peano diagonal", 2, 1, (14, 14), 2),
]
SLOW = [
    ("zigzag", 2, 2, (40, 40), 0),
    ("serpentine", 2, 2, (40, 40), 0),
    ("Peano diagonal", 2, 1, (36, 36), 0),
    ("Peano line", 2, 1, (36, 36), 0),
    ("Hilbert line", 2, 2, (40, 40), 0),
    ("zigzag", 3, 2, (6, 24, 10), 1),
    ("serpentine", 3, 2, (8, 8, 24), 2),
    ("Peano diagonal", 3, 1, (11, 11, 11), 3),
    ("Peano line", 3, 1, (11, 11, 11), 3),
    ("Hilbert line", 3, 1, (11, 11, 11), 3),
]


@pytest.mark.sweep(1)
@pytest.mark.parametrize(
    "path, dim, level, counts, folded", [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)]
)
def test_the_errors_of_the_table(path, dim, level, counts, folded):
    generator, h = construction(path, dim, level)
    certificate = generator.certificate()
    w1, w2 = to_uniform(generator, h, counts, folded)
    assert w1 == pytest.approx(page()[dim, path][0], rel=TOLERANCE[dim])
    assert certificate.w1 / h == pytest.approx(page()[dim, path][0], abs=1e-4)
    assert certificate.w2 / h == pytest.approx(w2, rel=TOLERANCE[dim])
    if path == "zigzag" and dim == 2:
        # Folded, it is the diagonal of a rectangle, whose distance is known.
        assert w2 == pytest.approx(diagonal_distance(np.array([h, 1.0]))[1] / h, rel=5e-3)


def image_length(path, dim, level):
    """Of the lines that the map runs through, joined where it jumps."""
    generator, _ = construction(path, dim, level)
    if not path.startswith("Hilbert"):
        return jg.limits.curve_length(generator.network(2.0**-30))
    # Its network goes back through each cell before it enters the next: the ends of the lines, straight from the curve.
    cells, near = np.arange(2 ** (dim * level)), 2.0**-9
    v = np.stack([cells + near, cells + 1 - near], axis=1).ravel() / len(cells)
    ends = np.array(jax.jit(jax.vmap(lambda v: jg.HilbertCurve()(v, dim, level, "line")))(v.astype(np.float32)))
    return float(np.linalg.norm(np.diff(ends, axis=0), axis=1).sum())


@pytest.mark.sweep(3)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dim", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_the_lengths_of_the_table(path, dim):
    level = {"zigzag": (9, 6), "serpentine": (9, 6), "Hilbert line": (6, 4)}.get(path, (4, 3))[dim - 2]
    generator, h = construction(path, dim, level)
    length = image_length(path, dim, level)
    assert length * h ** (dim - 1) == pytest.approx(page()[dim, path][1], rel=0.02)
    # Nothing of this length is nearer than the limit; the ratio is that of the page.
    ratio = generator.certificate().w1 / jg.limits.length_bound(length, dim)
    assert ratio > 1 and ratio == pytest.approx(page()[dim, path][3], rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dim", [2, 3])
def test_the_networks_of_the_table(path, dim):
    best, by_depth, by_weights = None, None, None
    for level in range(40):
        generator, _ = construction(path, dim, level)
        network, error = generator.network(), generator.filling()[0]  # in exact arithmetic
        by_depth = error if network.depth <= DEPTH else by_depth
        by_weights = error if network.connectivity <= WEIGHTS else by_weights
        if network.connectivity > WEIGHTS and (network.depth > DEPTH or path == "Hilbert line"):
            break
        best = error
    assert best is not None
    for found, stated in zip((by_depth, by_weights), page()[dim, path][4:], strict=True):
        assert stated is None or found == pytest.approx(stated, rel=0.02)


def masses_of(dim, n, seed):
    return jg.GridMeasure.from_histogram(np.random.default_rng(seed).integers(1, 10, (n,) * dim)).quantize(10**4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make, dim, n, split",
    [
        (lambda m: jg.PeanoGenerator(m, 0, "line"), 2, 4, 10),
        (lambda m: jg.PeanoGenerator(m, 0, "diagonal"), 2, 4, 10),
        (lambda m: jg.CurveGenerator(m, 0, "diagonal", jg.HilbertCurve()), 2, 4, 10),
        (lambda m: jg.CurveGenerator(m, 0, "diagonal", jg.HilbertCurve()), 3, 2, 6),
        (lambda m: jg.SawtoothGenerator(m, 1, axes=(0, 1)), 2, 2, 20),
        (lambda m: jg.SawtoothGenerator(m, 1, axes=(0, 1, 2)), 3, 2, 6),
        (lambda m: jg.SawtoothGenerator(m, 1, "serpentine"), 2, 2, 20),
    ],
)
def test_no_certificate_is_looser_than_five_percent_on_uneven_masses(make, dim, n, split):
    generator = make(masses_of(dim, n, dim))
    measure = generator.measure
    cells, inside = np.asarray(measure.cells), (np.indices((split,) * dim).reshape(dim, -1).T + 0.5) / split
    y = ((cells[:, None] + inside) / n).reshape(-1, dim)
    masses = np.repeat(np.asarray(measure.counts) / measure.quanta / len(inside), len(inside))
    distance = transport(along(generator, 8 * len(y)).reshape(len(y), 8, dim).mean(axis=1), y, masses)
    for bound, found in zip(generator.filling(), distance, strict=True):
        assert 0.985 * found <= bound <= 1.05 * found


@pytest.mark.slow
def test_the_zigzag_in_four_dimensions():
    """Where W_1 is that of coordinates of any joint law: h = 1/4, the first axis folded."""
    generator, h = construction("zigzag", 4, 2)
    certificate = generator.certificate()
    w1, w2 = to_uniform(generator, h, (4, 12, 8, 5), 1)
    assert 0.99 * w1 <= certificate.w1 / h <= 1.05 * w1
    assert 0.99 * w2 <= certificate.w2 / h <= 1.05 * w2
    assert certificate.w1 < 0.95 * certificate.w2


def test_a_report_says_what_the_table_says():
    assert {d: {path: page()[d, path][3] for path in PATHS} for d in (2, 3)} == OPTIMALITY
