"""Recomputes the reference values of theory.md: `python docs/reference_values.py`, some ten seconds.

Each line of the output is a name, the value that is computed here, and the value on the page; a difference is an error.
"""

import itertools
import math

import numpy as np
import ot
from scipy import integrate, optimize
from scipy.stats import norm

import jaxgen as jg


def check(name, value, page, tolerance):
    value, page = np.atleast_1d(value), np.atleast_1d(page)
    print(f"{name}: {np.round(value, 6)} {page}")
    assert np.all(np.abs(value - page) <= tolerance), name


def mean_norm(laplace, d):
    """E|Z| for Z with d independent coordinates of which `laplace(t)` is E exp(-t Z_k^2)."""

    def integrand(t):
        return (1 - laplace(t) ** d) * t**-1.5

    return sum(integrate.quad(integrand, *ends, limit=200)[0] for ends in ((1e-9, 1), (1, np.inf))) / 2 / math.pi**0.5


def from_corner(t):
    return math.sqrt(math.pi / t) / 2 * math.erf(math.sqrt(t))


def between(t):
    return math.sqrt(math.pi / t) * math.erf(math.sqrt(t)) + math.expm1(-t) / t


def diagonal(d):
    """W_2 between a unit cube and its diagonal."""
    total = sum((-1) ** k * math.comb(2 * d, k) * (d - k) ** (2 * d + 1) for k in range(d + 1))
    return math.sqrt(d / 6 - total / math.factorial(2 * d + 1))


def along_rays(d):
    """W_1 between a unit cube and its diagonal, from above."""
    return jg.PeanoGenerator(jg.GridMeasure.from_histogram(np.ones((1,) * d)), 0, "diagonal").certificate().w1


def jensen(d):
    """The bound on E|X - Y| for X of any joint law with uniform coordinates, Y uniform on the unit cube."""
    x, weight = np.polynomial.legendre.leggauss(60)
    x, weight = (1 + x) / 2, weight / 2

    def mean(t):
        s = math.sqrt(t)
        erf = np.vectorize(math.erf)
        return math.exp(weight @ np.log(math.sqrt(math.pi) / (2 * s) * (erf(s * x) + erf(s * (1 - x)))))

    return mean_norm(mean, d)


def length_limit(length):
    """The integral of (1 - 2 l e - pi e^2)_+ over e > 0."""
    e = (math.sqrt(length**2 + math.pi) - length) / math.pi
    return e - length * e**2 - math.pi * e**3 / 3


def exact(x, y):
    """W_1 and W_2 between clouds."""
    cost = ot.dist(x, y, "euclidean")
    return [ot.emd2([], [], cost**p, numItermax=10**7) ** (1 / p) for p in (1, 2)]


def square(n):
    """Midpoints of a grid on the unit square."""
    t = (np.arange(n) + 0.5) / n
    return np.stack(np.meshgrid(t, t), axis=-1).reshape(-1, 2)


def normal_quantizer(n):
    """e_n^2 of the standard normal: every atom the mean of its cell."""

    def cells(x):
        ends = np.concatenate([[-np.inf], (x[1:] + x[:-1]) / 2, [np.inf]])
        return np.diff(norm.cdf(ends)), -np.diff(norm.pdf(ends))

    def excess(x):
        mass, moment = cells(x)
        return x * mass - moment

    mass, moment = cells(optimize.root(excess, 1.2 * norm.ppf((np.arange(n) + 0.5) / n), tol=1e-12).x)
    return 1 - np.sum(moment**2 / mass)


def volume(epsilon, d, k):
    """The second bound of Proposition 17, in bits."""
    log_volume = d / 2 * math.log(math.pi) - math.lgamma(d / 2 + 1) + math.lgamma(d + 1)
    return -k * (log_volume + math.log(k) + d * (1 + math.log(epsilon / d))) / math.log(2)


def cube_over_ball(d):
    """Mean distance to the centre of a cube, over that of the density exp(-|x|/a) of the same entropy."""
    t = (np.arange(200) + 0.5) / 400
    grid = np.stack(np.meshgrid(*[t] * d), axis=-1).reshape(-1, d)
    log_volume = d / 2 * math.log(math.pi) - math.lgamma(d / 2 + 1) + math.lgamma(d + 1)
    return np.linalg.norm(grid, axis=1).mean() * math.e / d * math.exp(log_volume / d)


class Products:
    """The matrices of Proposition 18, for c going up (the other is its mirror image), on vectors over the states.

    A vector has F going up, by k = -n .. n, F going right, and last one entry above all those with |k| > n.
    """

    def __init__(self, turn, decay, n=12):
        self.turn, self.decay, self.n = turn, decay, n
        self.weight = np.exp(-decay * np.abs(np.arange(-n, n + 2)))

    def up(self, w):
        (rise, run), out = w[:-1].reshape(2, -1), w[-1]
        rise = rise * self.weight[:-1]  # F goes up too, and k stays
        run = np.append(run[1:], out) * self.weight[1:]  # F goes right, and k grows
        edge = max(out, *w[:-1].reshape(2, -1)[:, [0, -1]].ravel()) * math.exp(-self.decay * self.n)
        stay = 1 - self.turn
        return np.concatenate([stay * rise + self.turn * run, self.turn * rise + stay * run, [edge]])

    def mirror(self, w):
        return np.concatenate([w[:-1].reshape(2, -1)[::-1, ::-1].ravel(), w[-1:]])

    def factor(self, rate, most):
        """The largest entry at k = 0 of a finite set that all products exp(rate) T keep, with all ones in it."""
        kept = np.ones((most, 4 * self.n + 3))
        size, done = 1, 0
        while done < size:
            for w in (kept[done], self.mirror(kept[done])):
                # Rounding errors are a thousand times smaller than this margin.
                new = self.up(w) * (math.exp(rate) * (1 + 1e-12))
                if not any((kept[:size] >= v).all(axis=1).any() for v in (new, self.mirror(new))):
                    assert size < most, "the set does not close"
                    kept[size], size = new, size + 1
            done += 1
        return kept[:size, [self.n, 3 * self.n + 1]].max()

    def largest_row_sum(self, n):
        """Of all 2^n products of n matrices."""
        sums = np.ones((1, 4 * self.n + 3))
        for _ in range(n):
            sums = np.array([v for w in sums for v in (self.up(w), self.mirror(self.up(self.mirror(w))))])
        return sums.max()


def hilbert(d, levels):
    """The cells along Skilling's curve, written out after his paper."""
    out = []
    for v in range(2 ** (d * levels)):
        x = [0] * d
        for m in range(d * levels):
            x[m % d] |= (v >> (d * levels - 1 - m) & 1) << (levels - 1 - m // d)
        last = x[-1] >> 1
        for i in range(d - 1, 0, -1):
            x[i] ^= x[i - 1]
        x[0] ^= last
        for level in range(1, levels):
            for i in reversed(range(d)):
                if x[i] >> level & 1:
                    x[0] ^= 2**level - 1
                else:
                    both = (x[0] ^ x[i]) & (2**level - 1)
                    x[0] ^= both
                    x[i] ^= both
        out.append(x)
    return np.array(out)


def orientations(d):
    """How many signed permutations of the axes the blocks of Skilling's curve generate; its cells are neighbours."""
    assert np.all(np.abs(np.diff(hilbert(d, 3 if d < 4 else 2), axis=0)).sum(axis=1) == 1)
    once, found = hilbert(d, 1), set()
    for block in hilbert(d, 2).reshape(2**d, 2**d, d) % 2:
        for order in itertools.permutations(range(d)):
            flip = block[0] ^ once[0][list(order)]
            if np.array_equal(once[:, order] ^ flip, block):
                found.add((order, tuple(int(f) for f in flip)))
    group = {(tuple(range(d)), (0,) * d)}
    while True:
        more = group | {
            (tuple(h[0][i] for i in g[0]), tuple(h[1][i] ^ f for i, f in zip(*g, strict=True)))
            for g in group
            for h in found
        }
        if len(more) == len(group):
            return len(group)
        group = more


def main():
    check("2: corner of a cube", [mean_norm(from_corner, d) for d in (2, 3)], [0.7652, 0.9606], 5e-5)
    check("3: two points of a box", [mean_norm(between, d) for d in (1, 2)], [1 / 3, 0.5214], 1e-4)
    check("3: any joint law", [jensen(d) for d in (3, 4)], [0.6656, 0.7815], 5e-5)
    check("3: centre of a box", [mean_norm(from_corner, d) / 2 for d in (1, 2, 3)], [0.25, 0.3826, 0.4803], 5e-5)
    ratios = [h / 4 / length_limit(1 / h + 1 - h) for h in (1, 1 / 2, 1 / 4, 1 / 8)]
    check("3: serpentine over the length limit", ratios, [1.363, 1.346, 1.214, 1.117], 6e-4)
    u = (np.arange(1600) + 0.5) / 1600
    tooth = 1 - np.abs(1 - 4 * (u % 0.5))
    # Two teeth on [0, 1]: two folds of one bin, h = 1/4.
    zigzag, serpentine = np.stack([u, tooth], axis=1), np.stack([(np.floor(4 * u) + 0.5) / 4, tooth], axis=1)
    check("3: zigzag, W/h", 4 * np.array(exact(zigzag, square(40))), [0.33, 0.40], 6e-3)
    check("3: serpentine, W/h", 4 * np.array(exact(serpentine, square(40))), [0.25, 0.289], 3e-3)
    points = np.asarray(jg.data.airports().points)
    measure = jg.GridMeasure.from_samples(points, resolution=81)
    for name, axes, page in (("longitude", (0, 1), 0.0254), ("latitude", "auto", 0.0050)):
        check(f"3: airports, {name} first", jg.SawtoothGenerator(measure, axes=axes).filling()[1], page, 5e-5)
    sizes = [jg.SawtoothGenerator(measure, axes=axes).size().connectivity for axes in ((0, 1), "auto")]
    check("3: airports, connectivity", sizes, [4032, 5454], 0)
    unit = jg.QuantizedMeasure([[0, 0]], [1], 0.0, 1.0, 1)
    lengths = [jg.limits.curve_length(jg.SawtoothGenerator(unit, s, "serpentine")) for s in (1, 2, 3)]
    check("3: serpentine, image length", lengths, [2**s + 1 - 2.0**-s for s in (1, 2, 3)], 1e-5)
    page = [0.31623, 0.46419, 0.58210, 0.68359, 0.77419, 0.93339]
    check("4: diagonal", [diagonal(d) for d in (2, 3, 4, 5, 6, 8)], page, 5e-6)
    t = (np.arange(400) + 0.5) / 400
    check("4: diagonal of the square, exact transport", exact(np.stack([t, t], 1), square(40)), [0.2704, 0.3162], 2e-4)
    check("4: W_1 of the diagonal of the square", 1 / 6 + 2**0.5 * math.asinh(1) / 12, 0.27054, 5e-6)
    page = [0.2706, 0.4330, 0.5591, 0.6659, 0.7611, 0.9268]
    check("4: W_1 of the diagonal", [along_rays(d) for d in (2, 3, 4, 5, 6, 8)], page, 5e-5)
    check("4: orientations of Skilling's curve", [orientations(d) for d in (2, 3, 4)], [4, 24, 192], 0)
    check("6: second moments", [5 / 36 / 3**0.5, 19 / 192 / 2 ** (1 / 3)], [0.0801875, 0.0785433], 5e-8)
    page = [0.36338, 0.19017, 0.11748, 0.034548, 0.0095010, 0.0025047]
    check("6: normal law", [normal_quantizer(n) for n in (2, 3, 4, 8, 16, 32)], page, 5e-6)
    check("8: K-types", jg.limits.type_class_bits(27**2, 182), 652.04, 5e-3)
    check("8: means, d = 1", max(-k * math.log2(2e-3 * k) * 1e-3 for k in range(1, 500)), 0.26537, 5e-6)
    for d, epsilon, k, page in ((2, 1e-2, 317, 0.04573), (2, 1e-3, 31696, 0.04573), (3, 0.03, 729, 0.02839)):
        check(f"8: tuples, d = {d}", volume(epsilon, d, k) * epsilon**d, page, 5e-6)
    page = [0.443, 0.765, 1.051]
    check("8: cubes, bits a point", [d * math.log2(cube_over_ball(d)) for d in (1, 2, 3)], page, 5e-4)
    check("8: paths", [Products(0.3, 0.4).factor(0.3372, 4000), 0.3372**2 / 0.4 / math.log(2)], [1.6842, 0.4101], 5e-5)
    rates = [math.log(Products(0.4, 1).largest_row_sum(n)) ** 2 / n**2 / math.log(2) for n in (11, 14)]
    check("8: paths, all products", rates, [0.3251, 0.3336], 5e-5)
    law = np.stack([u, u], axis=1)
    check("11: a law that leaves the mean of its cell", exact(law, np.eye(2))[1] ** 2, 2 / 3, 1e-3)


if __name__ == "__main__":
    main()
