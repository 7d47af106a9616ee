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


def packing(d):
    """The constant of Proposition 17 for small epsilon."""

    def negative(theta, k):
        a = k**d
        entropy = -theta * math.log2(theta) - (1 - theta) * math.log2(1 - theta) + theta * math.log2(a - 1)
        return -((theta / (2 * k)) ** d) * (math.log2(a) - entropy)

    return max(
        -optimize.minimize_scalar(negative, bounds=(1e-6, 1 - k**-d - 1e-9), method="bounded", args=(k,)).fun
        for k in range(2, 12)
    )


def volume(epsilon, d, k):
    """The first bound of Proposition 18, in bits."""
    log_ball = d / 2 * math.log(math.pi) - math.lgamma(d / 2 + 1) + math.lgamma(d + 1)
    nats = math.lgamma(d * k + 1) - k * math.log(k) - k * log_ball - d * k * math.log(k * epsilon)
    return (nats - d - math.log(k + 1)) / math.log(2)


def transfer(n, turn=0.4):
    """log2(e) G^2 / s for s = 1 and products of n matrices; all 2^n of them at once, applied to ones."""
    k = np.arange(-2 * n - 2, 2 * n + 3)
    weight = np.exp(-np.abs(k))
    sums = np.ones((1, 2, len(k)))  # (products, direction of F, k)
    for _ in range(n):
        ahead = sums * weight
        parts = []
        for right in (0, 1):
            moved = []
            for direction, step in ((0, 1 - right), (1, -right)):
                rolled = np.roll(ahead[:, direction], -step, axis=1)
                if step:
                    rolled[:, -1 if step > 0 else 0] = 0
                moved.append(rolled)
            keep, change = (1 - turn), turn
            parts.append(np.stack([keep * moved[0] + change * moved[1], change * moved[0] + keep * moved[1]], axis=1))
        sums = np.concatenate(parts)
    return math.log2(math.e) * (math.log(sums.max()) / n) ** 2


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
        check(f"3: airports, {name} first", jg.SawtoothGenerator(measure, axes=axes).certificate().w2, page, 5e-5)
    sizes = [jg.SawtoothGenerator(measure, axes=axes).size().connectivity for axes in ((0, 1), "auto")]
    check("3: airports, connectivity", sizes, [4032, 5454], 0)
    unit = jg.QuantizedMeasure([[0, 0]], [1], 0.0, 1.0, 1)
    lengths = [jg.limits.curve_length(jg.SawtoothGenerator(unit, s, "serpentine")) for s in (1, 2, 3)]
    check("3: serpentine, image length", lengths, [2**s + 1 - 2.0**-s for s in (1, 2, 3)], 1e-5)
    page = [0.31623, 0.46419, 0.58210, 0.68359, 0.77419, 0.93339]
    check("4: diagonal", [diagonal(d) for d in (2, 3, 4, 5, 6, 8)], page, 5e-6)
    t = (np.arange(400) + 0.5) / 400
    check("4: diagonal of the square, exact transport", exact(np.stack([t, t], 1), square(40)), [0.2704, 0.3162], 2e-4)
    check("4: orientations of Skilling's curve", [orientations(d) for d in (2, 3, 4)], [4, 24, 192], 0)
    check("6: second moments", [5 / 36 / 3**0.5, 19 / 192 / 2 ** (1 / 3)], [0.0801875, 0.0785433], 5e-8)
    page = [0.36338, 0.19017, 0.11748, 0.034548, 0.0095010, 0.0025047]
    check("6: normal law", [normal_quantizer(n) for n in (2, 3, 4, 8, 16, 32)], page, 5e-6)
    check("8: K-types", jg.limits.type_class_bits(27**2, 182), 652.04, 5e-3)
    check("8: packing", [packing(d) for d in (1, 2, 3)], [0.02539, 0.00468, 0.001204], 5e-6)
    check("8: volume, d = 1", max(-k * math.log2(2e-3 * k) * 1e-3 for k in range(1, 500)), 0.26537, 5e-6)
    for d, epsilon, k, page in ((2, 1e-2, 316, 0.0452), (2, 1e-3, 31695, 0.04572), (3, 0.03, 728, 0.0282)):
        check(f"8: volume, d = {d}", volume(epsilon, d, k) * epsilon**d, page, 5e-5)
    check("8: transfer matrices", [transfer(n) for n in (11, 14, 16)], [0.3251, 0.3336, 0.3375], 5e-5)
    law = np.stack([u, u], axis=1)
    check("11: a law that leaves the mean of its cell", exact(law, np.eye(2))[1] ** 2, 2 / 3, 1e-3)


if __name__ == "__main__":
    main()
