"""The source is exact: the kernels against Python integers and fractions, and the law of the very last digits."""

import bisect
import itertools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from jaxgen.curves import HilbertCurve, PeanoCurve
from jaxgen.generators import CurveGenerator, IndependentGenerator, PeanoGenerator, SawtoothGenerator
from jaxgen.measures import QuantizedMeasure


def random_measure(dim, resolution, cells, quanta, seed=0):
    """Coordinates are in units of cells: low = 0, high = resolution."""
    rng = np.random.default_rng(seed)
    resolution = np.broadcast_to(resolution, (dim,))
    places = np.unique(rng.integers(0, resolution, (cells, dim)), axis=0)
    counts = 1 + rng.multinomial(quanta - len(places), rng.dirichlet(np.full(len(places), 0.3)))
    return QuantizedMeasure(places, counts, 0.0, resolution, tuple(int(n) for n in resolution))


def random_words(generator, n, seed=1):
    """Sources, and the same as fractions; the first are the edges of the unit interval and of some quanta."""
    rng = np.random.default_rng(seed)
    shape = (n, generator.source_dim, generator.source_words)
    words = rng.integers(0, 2**32, shape, dtype=np.uint32)
    words[0], words[1] = 0, 2**32 - 1
    words[2:10, :, 1:] = 0
    words[2:10, :, 0] = np.arange(1, 9, dtype=np.uint32)[:, None] << 29 - 16
    whole = 2 ** (32 * shape[2])
    return jnp.asarray(words), [
        [Fraction(int.from_bytes(row.astype(">u4").tobytes()), whole) for row in u] for u in words
    ]


def digits_of(number, count):
    out = []
    for _ in range(count):
        number, digit = divmod(number, 3)
        out.append(digit)
    return out[::-1]


def reflected(digits, dim):
    """Theory, section 4: a digit is replaced by 2 minus itself where the original digits of the others sum to odd."""
    everyone, own, out = 0, [0] * dim, []
    for m, digit in enumerate(digits):
        i = m % dim
        out.append(2 - digit if (everyone - own[i]) % 2 else digit)
        everyone, own[i] = everyone + digit, own[i] + digit
    return out, [(everyone - o) % 2 for o in own]


def index_of(cell, levels):
    """The inverse, digit by digit: the original digit is the one that reflects to the given one."""
    dim, everyone, own, index = len(cell), 0, [0] * len(cell), 0
    for m in range(levels * dim):
        i = m % dim
        given = cell[i] // 3 ** (levels - 1 - m // dim) % 3
        digit = 2 - given if (everyone - own[i]) % 2 else given
        index, everyone, own[i] = 3 * index + digit, everyone + digit, own[i] + digit
    return index


class PeanoReference:
    def __init__(self, measure, extra, path):
        self.dim, self.extra, self.path, self.quanta = measure.dim, extra, path, measure.quanta
        self.levels = next(k for k in itertools.count() if 3**k >= max(measure.resolution))
        cells = [
            (index_of(c, self.levels), n) for c, n in zip(measure.cells.tolist(), measure.counts.tolist(), strict=True)
        ]
        self.cells = sorted(cells)
        self.starts = [0, *itertools.accumulate(n for _, n in self.cells)]

    def __call__(self, u):
        quantum = u * self.quanta
        j = bisect.bisect_right(self.starts, quantum) - 1
        index, count = self.cells[j]
        inside = (quantum - self.starts[j]) / count
        depth = self.levels + self.extra
        place = (index + inside) * 3 ** (self.extra * self.dim)
        digits, odd = reflected(digits_of(place // 1, depth * self.dim), self.dim)
        left = place % 1
        x = []
        for i in range(self.dim):
            fine = 0
            for digit in digits[i :: self.dim]:
                fine = 3 * fine + digit
            moves = self.path == "diagonal" or (self.path == "line" and i == self.dim - 1)
            inner = (1 - left if odd[i] else left) if moves else Fraction(1, 2)
            x.append((fine + inner) / 3**self.extra)
        return x


class NestedReference:
    """Generators A and C: rows of conditional masses in a dictionary, walked with fractions."""

    def __init__(self, measure, folds=None, path="zigzag", axes=None):
        self.dim, self.folds, self.path = measure.dim, folds, path
        self.axes = list(range(self.dim)) if axes is None else axes
        self.rows = {}
        for place, count in zip(measure.cells.tolist(), measure.counts.tolist(), strict=True):
            cell = [place[axis] for axis in self.axes]
            for k in range(self.dim):
                row = self.rows.setdefault(tuple(cell[:k]), {})
                row[cell[k]] = row.get(cell[k], 0) + count

    def step(self, row, above, below):
        """The value at above/below, and the position in its interval, as a numerator and a denominator."""
        total, start = sum(row.values()), 0
        for value in sorted(row):
            if above * total < (start + row[value]) * below:
                return value, (above * total - start * below, row[value] * below)
            start += row[value]

    def __call__(self, sources):
        x, key, r = [], (), (0, 1)
        for k in range(self.dim):
            if self.folds is None or k == 0:
                r = sources[k].as_integer_ratio()
            else:
                above, below = r
                for _ in range(self.folds):
                    above = 2 * above if 2 * above <= below else 2 * (below - above)
                # The kernel has no residual 1: it takes the largest below it, which shows in no digit but this.
                r = (above, below) if above < below else (10**40 - 1, 10**40)
            value, r = self.step(self.rows[key], *r)
            inside = Fraction(*r)
            if self.path == "serpentine" and k < self.dim - 1:
                inside = (inside * 2**self.folds // 1 + Fraction(1, 2)) / 2**self.folds
            x.append(value + inside)
            key += (value,)
        return [x[self.axes.index(axis)] for axis in range(self.dim)]


def check(generator, reference, n, parts=1):
    words, fractions = random_words(generator, n)
    x = np.asarray(jax.jit(jax.vmap(generator))(words), float)
    # Fractions, rounded once.
    exact = np.array([reference(u) for u in fractions], float)
    # The position, to the rounding of a few operations on numbers of the size of the resolution.
    tolerance = 4 * max(generator.measure.resolution) * 2.0**-24
    np.testing.assert_allclose(x, exact, rtol=0, atol=tolerance)
    # The digits, which part of which cell, where rounding cannot carry the position over a border.
    place = exact * parts % 1
    settled = (place > parts * tolerance) & (place < 1 - parts * tolerance)
    assert settled.mean() > 0.99
    np.testing.assert_array_equal(np.floor(x * parts)[settled], np.floor(exact * parts)[settled])


@pytest.mark.sweep(1)
@pytest.mark.parametrize(
    "dim, resolution, cells, quanta, extra, path",
    [
        (2, (5, 20), 60, 2**16, 3, "line"),
        (3, 9, 40, 2**24 - 3, 1, "diagonal"),
        (64, 17, 200, 1797, 2, "centre"),
    ],
)
def test_peano_digit_for_digit(dim, resolution, cells, quanta, extra, path):
    g = PeanoGenerator(random_measure(dim, resolution, cells, quanta), extra, path)
    reference = PeanoReference(g.measure, extra, path)
    check(g, lambda u: reference(u[0]), 10_000 if extra == 3 else 1000, 3**extra)


class LeafReference:
    """Leaves in the order in which they are kept; inside each the curve, from its very beginning. The longest side, the
    last of several, changes places with the last axis."""

    def __init__(self, measure, extra):
        self.starts = [0, *itertools.accumulate(measure.counts.tolist())]
        self.counts, self.quanta = measure.counts.tolist(), measure.quanta
        self.corners = np.asarray(measure.low_corners, float).tolist()
        self.sides = np.asarray(measure.sides, float).tolist()
        one = QuantizedMeasure([[0] * measure.dim], [1], 0.0, 1.0, 1)
        self.inside = PeanoReference(one, extra, "line")

    def __call__(self, u):
        quantum = u * self.quanta
        j = bisect.bisect_right(self.starts, quantum) - 1
        inside = list(self.inside((quantum - self.starts[j]) / self.counts[j]))
        axis = max(range(len(inside)), key=lambda k: (self.sides[j][k], k))
        inside[axis], inside[-1] = inside[-1], inside[axis]
        return [Fraction(c) + Fraction(s) * v for c, s, v in zip(self.corners[j], self.sides[j], inside, strict=True)]


def test_leaves_digit_for_digit(leaf_measure):
    g = leaf_measure(3).generator(extra_levels=2)
    reference = LeafReference(g.measure, 2)
    words, fractions = random_words(g, 3000)
    x = np.asarray(jax.jit(jax.vmap(g))(words), float)
    exact = np.array([reference(u[0]) for u in fractions], float)
    np.testing.assert_allclose(x, exact, rtol=0, atol=4 * 2.0**-23)


@pytest.mark.slow
@pytest.mark.parametrize("curve", [PeanoCurve(), HilbertCurve()])
@pytest.mark.parametrize("dim", [2, 3])
def test_levels_inside_the_cells_are_levels_of_the_grid(curve, dim):
    """The walk inside the cells of a coarse grid is the order of the cells of a fine one: two codes for one curve."""
    base = curve.base
    full = np.indices((base,) * dim).reshape(dim, -1).T
    coarse = QuantizedMeasure(full, np.ones(len(full), int), 0.0, base**2, base)
    full = np.indices((base**2,) * dim).reshape(dim, -1).T
    fine = QuantizedMeasure(full, np.ones(len(full), int), 0.0, base**2, base**2)
    a, b = CurveGenerator(coarse, 1, curve=curve), CurveGenerator(fine, 0, curve=curve)
    words = random_words(a, 500)[0]
    np.testing.assert_allclose(*(jax.jit(jax.vmap(g))(words) for g in (a, b)), rtol=0, atol=base**2 * 2.0**-22)
    # Cells that follow each other share a face.
    steps = np.abs(np.diff(np.asarray(fine.cells)[np.asarray(b.branches.order)], axis=0))
    assert np.all(steps.sum(axis=1) == 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "dim, resolution, quanta, folds, path, axes",
    [
        (2, (7, 11), 3000, 6, "zigzag", [0, 1]),
        (3, (5, 4, 3), 3000, 9, "serpentine", [1, 2, 0]),
        pytest.param(3, (5, 4, 3), 2**24 - 1, 11, "zigzag", [2, 0, 1], marks=pytest.mark.slow),
        pytest.param(3, (5, 4, 3), 2**24 - 1, 11, "serpentine", [0, 2, 1], marks=pytest.mark.slow),
    ],
)
def test_sawtooth_digit_for_digit(dim, resolution, quanta, folds, path, axes):
    g = SawtoothGenerator(random_measure(dim, resolution, 40, quanta), folds, path, axes)
    reference = NestedReference(g.measure, folds, path, axes)
    check(g, reference, 10_000 if dim == 2 else 4000)
    if path == "serpentine":
        # The coordinates that rest do so in odd multiples of half a dyadic interval.
        rest = np.asarray(g.sample(jr.key(0), 200), float)[:, axes[:-1]] * 2 ** (folds + 1)
        np.testing.assert_array_equal(rest % 2, 1)


def test_independent_digit_for_digit():
    g = IndependentGenerator(random_measure(3, (5, 4, 3), 40, 2**20))
    check(g, NestedReference(g.measure), 2000)


# The finest digits. Three digits are tested jointly with each other by Pearson's statistic; by Laurent and Massart a
# chi-square variable with f degrees of freedom exceeds f + 2 sqrt(f t) + 2 t with probability below exp(-t).
def pearson(columns, base=3):
    counts = np.bincount(np.ravel_multi_index(tuple(columns), (base,) * len(columns)), minlength=base ** len(columns))
    expected = counts.sum() / len(counts)
    return float(((counts - expected) ** 2).sum() / expected), len(counts) - 1


def uniform(columns, base=3, t=14):
    statistic, f = pearson(columns, base)
    return statistic < f + 2 * math.sqrt(f * t) + 2 * t


def last_digits(x, extra):
    """The last digit of every coordinate, `(d, n)`, of positions in units of cells on the centre path."""
    fine = np.floor(np.asarray(x, float).T * 3**extra)
    return (fine % 3).astype(int)


@pytest.fixture(scope="module", params=[64, pytest.param(784, marks=pytest.mark.slow)])
def deep(request):
    return PeanoGenerator(random_measure(request.param, 3, 50, 1000), 1 if request.param == 784 else 2, "centre")


@pytest.mark.slow
def test_finest_digits_of_samples(deep):
    assert deep.source_bits > deep.dim * deep.extra_levels * math.log2(3)
    x = deep.sample(jr.key(5), 3000)
    digits = last_digits(x, deep.extra_levels)
    cells = np.floor(np.asarray(x)).astype(int).T
    for earlier in (digits[0], digits[-2], digits[deep.dim // 2], cells[0]):
        assert uniform([digits[-1], digits[-3]])
        other, codes = np.unique(earlier, return_inverse=True)
        for value in range(len(other)):
            if np.sum(codes == value) > 200:
                assert uniform([digits[-1][codes == value], digits[-3][codes == value]])


@pytest.mark.slow
def test_finest_digits_given_all_that_a_float64_holds(deep):
    """The last digits are uniform and independent even where the first 64 bits of u are known."""
    n = 3000
    words = jr.bits(jr.key(6), (n, deep.source_words), jnp.uint32)
    words = words.at[:, :2].set(jnp.asarray([2**31 + 12345, 987654321], jnp.uint32))
    push = jax.jit(jax.vmap(deep))
    digits = last_digits(push(words), deep.extra_levels)
    assert uniform(digits[[-1, -2, -3]])
    # The check of the check: 53 bits and then zeros, as in a float64, leave nothing to vary.
    floats = words.at[:, 1].set(words[:, 1] & jnp.uint32(2**32 - 2**11)).at[:, 2:].set(0)
    assert not uniform(last_digits(push(floats), deep.extra_levels)[[-1, -2, -3]])


@pytest.mark.slow
def test_a_sawtooth_of_twelve_coordinates_needs_more_than_a_float64():
    g, n = SawtoothGenerator(random_measure(12, 2, 300, 2**12), 6), 4000
    assert g.source_bits == 12 + 11 * 6
    words = jr.bits(jr.key(7), (n, g.source_words), jnp.uint32)
    push = jax.jit(jax.vmap(g))

    def position(x):
        # The position in the bin of the last coordinate, in eighths.
        return np.floor(np.asarray(x, float)[:, -1] % 1 * 8).astype(int)

    assert uniform([position(push(words))], base=8)
    floats = words.at[:, 1].set(words[:, 1] & jnp.uint32(2**32 - 2**11)).at[:, 2:].set(0)
    assert not uniform([position(push(floats))], base=8)
