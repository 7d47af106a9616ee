"""How many of n quanta go left: a mixture of beta-binomial laws, whose weights are learned (theory, section 8).

Component a says that the share that goes left is drawn from the law beta(a, a), so that with the rising factorial
(a)_k = a (a + 1) ... (a + k - 1)

    P_a(k | n) = C(n, k) (a)_k (a)_{n-k} / (2a)_n;    a = 0: all or none;    a = infinity: C(n, k) / 2^n.

Atoms do not split, and smooth laws split near 1/2. What a file means must not depend on the machine, so all of it is
made of +, -, *, / of float64, each rounded once, and of sums of integers: logarithms and powers are their own series.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt32

from ._decisions import packed

_SHAPES = (0.0, 0.5, *(2.0**j for j in range(11)), np.inf)
COMPONENTS = len(_SHAPES)
# Logarithms are summed as multiples of this.
_LOG_UNIT = 1 << 16
# Up to this n each k has a probability of its own; beyond, n counts by its first digits, and buckets share one.
_SMALL = 64
# A share of the uniform law in every mixture, so that no answer is impossible.
_FLOOR = 2.0**-20
_FAR = float(1 << 26)  # more than any n: rows stand so far apart
_SERIES = 10


def log2(x: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Logarithms of positive numbers, to 1e-13, the same on every machine."""
    fraction, exponent = np.frexp(x)
    small = fraction < 0.70710678
    fraction, exponent = np.where(small, 2 * fraction, fraction), exponent - small
    z = (fraction - 1) / (fraction + 1)
    square, total = z * z, np.zeros_like(z)
    # 2 artanh(z) / ln 2, from the last term on.
    for k in range(2 * _SERIES - 1, 0, -2):
        total = total * square + 1 / k
    return exponent + total * z * 2.8853900817779268


def exp2(x: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Powers of 2, to 1e-14, the same on every machine."""
    whole = np.rint(x)
    y = (x - whole) * 0.69314718055994531
    total = np.ones_like(y)
    for k in range(14, 0, -1):
        total = total * y / k + 1
    return np.ldexp(total, np.maximum(whole, -1100).astype(np.int64))


def _log2_gamma(x: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Of positive numbers, by Stirling's series 8 beyond them."""
    product, y = np.ones_like(x), x + 8
    for k in range(8):
        product = product * (x + k)
    inverse = 1 / y
    square = inverse * inverse
    series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square / 1188))))
    # log2 e, and log2(2 pi) / 2.
    return (y - 0.5) * log2(y) + (series - y) * 1.4426950408889634 + 1.3257480647361593 - log2(product)


class Row(NamedTuple):
    """The components for one n: the mass below each edge of buckets of 0 ... n, and logarithms of the buckets' own.

    One number for the edge n + 1 too, so that both have a column an edge.
    """

    edges: Float[np.ndarray, " edges"]
    below: Float[np.ndarray, "components edges"]
    logs: Int[np.ndarray, "components edges"]


@functools.cache
def _row(n: int) -> Row:
    edges = _edges(n)
    size = np.diff(edges)
    middle = ((edges[1:] + edges[:-1] - 1) >> 1).astype(np.float64)
    logs = np.empty((len(_SHAPES), len(size)))
    choose = _log2_gamma(np.full_like(middle, n + 1)) - _log2_gamma(middle + 1) - _log2_gamma(n - middle + 1)
    for row, a in zip(logs, _SHAPES, strict=True):
        if a == 0:
            row[:] = np.where((middle == 0) | (middle == n), -1.0 if n else 0.0, -1000.0)
        elif np.isinf(a):
            row[:] = choose - n
        else:
            one, two, all_ = _log2_gamma(np.array([a, 2 * a, n + 2 * a]))
            row[:] = choose + _log2_gamma(middle + a) + _log2_gamma(n - middle + a) - all_ + (two - 2 * one)
    logs = np.clip(logs + log2(size.astype(np.float64)), -1000.0, 0.0)
    powers = exp2(logs) + _FLOOR / (n + 1) * size
    pad = np.zeros((len(_SHAPES), 1))
    below = np.concatenate([pad, np.cumsum(powers, axis=1)], axis=1)
    logs = np.concatenate([np.rint(logs * _LOG_UNIT), pad], axis=1).astype(np.int64)
    return Row(edges.astype(np.float64), below, logs)


def _edges(n: int) -> Int[np.ndarray, " edges"]:
    """All k up to a small n; beyond, buckets that grow by an eighth from the ends and from the middle inwards."""
    if n <= _SMALL:
        return np.arange(n + 2)
    half, step = (n + 1) // 2, max(1, math.isqrt(n) // 8)
    ends, near = [0], [0]
    while ends[-1] < half // 2:
        ends.append(ends[-1] + 1 + ends[-1] // 8)
    while near[-1] < half // 2:
        near.append(near[-1] + max(step, near[-1] // 8))
    lower = np.unique([*ends[:-1], *(half - x for x in near[:-1])])
    return np.concatenate([lower, np.arange(half + 1, n + 2 - half), n + 1 - lower[::-1]])


def _kind(n: Int[np.ndarray, " m"]) -> Int[np.ndarray, " m"]:
    """n cut to its first seven binary digits, so that there are few rows: a standard deviation to half a percent."""
    cut = np.maximum(np.frexp(n.astype(np.float64))[1] - 7, 0)
    return n >> cut << cut


def _at(n):
    """Where the columns of a small n begin."""
    return n * (n + 3) // 2


@functools.cache
def _small() -> Row:
    """All n up to `_SMALL` in one table, one after another."""
    rows = [_row(n) for n in range(_SMALL + 1)]
    return Row(*(np.concatenate(parts, axis=-1) for parts in zip(*rows, strict=True)))


@functools.cache
def _questions() -> Int[np.ndarray, "3 columns"]:
    """Columns where a question of the bisection begins, has its middle, and ends; by the column of the middle."""
    out = np.zeros((3, _at(_SMALL + 1)), np.int64)
    for n in range(1, _SMALL + 1):
        open_ = [(0, n + 1)]
        for a, b in open_:
            middle = (a + b) >> 1
            out[:, _at(n) + middle] = _at(n) + np.array([a, middle, b])
            open_ += [(x, y) for x, y in ((a, middle), (middle, b)) if y - x > 1]
    return out


class Mixture:
    """The components' weights, which what is coded changes; exact in integers, so in any order."""

    def __init__(self):
        self._prior = np.zeros(COMPONENTS, np.int64)  # logarithms, in units
        self._seen = np.zeros(COMPONENTS, np.int64)

    def learn(self, k: Int[np.ndarray, " m"], n: Int[np.ndarray, " m"]) -> None:
        """Multiplies the weights by the probabilities of what was seen."""
        self._seen += _learned(k, n)

    def lengths(
        self, k: Int[np.ndarray, " m"], n: Int[np.ndarray, " m"], before: Int[np.ndarray, " m"]
    ) -> Float[np.ndarray, " m"]:
        """About the bits of each k, where so many of them were learned before, in floats; learns them all."""
        logs = log_splits(k, n)
        sums = np.cumsum(np.concatenate([np.zeros((COMPONENTS, 1)), logs], axis=1), axis=1)
        at = (self._prior + self._seen)[:, None] / _LOG_UNIT + sums[:, before]
        weights = np.exp2(at - at.max(axis=0))
        self._seen += np.rint(sums[:, -1] * _LOG_UNIT).astype(np.int64)
        return np.log2(weights.sum(axis=0)) - np.log2((weights * (np.exp2(logs) + _FLOOR / (n + 1))).sum(axis=0))

    def deepen(self) -> None:
        """Begins a depth: the weights are the roots of those before, a tenth shared among all components."""
        roots = _shares(self._prior + self._seen, 2)
        self._prior = np.rint(log2(0.9 * roots + 0.1 / COMPONENTS) * _LOG_UNIT).astype(np.int64)
        self._seen[:] = 0

    @property
    def weights(self) -> Float[np.ndarray, " components"]:
        """Those of the components now, with sum 1."""
        return _shares(self._prior + self._seen, 1)


def _shares(logs: Int[np.ndarray, " components"], root: int) -> Float[np.ndarray, " components"]:
    powers = exp2((logs - logs.max()) / (root * _LOG_UNIT))
    total = 0.0
    for power in powers.tolist():  # in this order
        total += power
    return powers / total


class Splits:
    """The mixture as questions: is k in the upper half of what is left of 0 ... n?"""

    def __init__(self, n: Int[np.ndarray, " m"], weights: Float[np.ndarray, " components"]):
        self._n, self._weights, self._small = n, weights.tolist(), n <= _SMALL
        self._place = np.where(self._small, 0, np.cumsum(~self._small) - 1)  # among the large ones
        large = n[~self._small]
        if len(large):
            kinds, self._which = np.unique(_kind(large), return_inverse=True)
            rows = [_row(int(kind)) for kind in kinds]
            # k of n is y of the n that stands for it, whose numbers are drawn out or together a little.
            self._top = (kinds + 1.0)[self._which]
            self._scale = self._top / (large + 1.0)
            self._edges = np.concatenate([row.edges + k * _FAR for k, row in enumerate(rows)])
            self._mass = self._mixed(np.concatenate([row.below for row in rows], axis=1))

    def words(
        self, which: Int[np.ndarray, " q"], low: Int[np.ndarray, " q"], high: Int[np.ndarray, " q"]
    ) -> UInt32[np.ndarray, " q"]:
        """Of some of the n, for numbers of low ... high - 1, at least two: is it at least `(low + high) >> 1`?"""
        small = self._small[which]
        if small.all():
            return self._table[_at(self._n[which]) + ((low + high) >> 1)]
        out = np.empty(len(which), np.uint32)
        if small.any():
            out[small] = self.words(which[small], low[small], high[small])
        which, low, high = self._place[which[~small]], low[~small], high[~small]
        at, above = self._below(which, (low + high) >> 1), self._below(which, high)
        out[~small] = packed(above - at, above - self._below(which, low))
        return out

    def _below(self, which, k):
        """The mass of what is below k."""
        row = self._which[which] * _FAR
        y = np.minimum(k * self._scale[which], self._top[which])
        bucket = np.searchsorted(self._edges, np.minimum(y, self._top[which] - 0.5) + row, side="right") - 1
        first, next_ = self._edges[bucket], self._edges[bucket + 1]
        inside = (y + row - first) / (next_ - first)
        return self._mass[bucket] + inside * (self._mass[bucket + 1] - self._mass[bucket])

    @functools.cached_property
    def _table(self) -> UInt32[np.ndarray, " columns"]:
        """The questions of all small n."""
        mass = self._mixed(_small().below)
        begin, middle, end = _questions()
        asked = middle > 0
        out = np.zeros(len(middle), np.uint32)
        above = mass[end[asked]] - mass[middle[asked]]
        out[asked] = packed(above, mass[end[asked]] - mass[begin[asked]])
        return out

    def _mixed(self, rows):
        total = np.zeros(rows.shape[1])
        for weight, row in zip(self._weights, rows, strict=True):  # in this order
            total = total + weight * row
        return total


def _learned(k: Int[np.ndarray, " m"], n: Int[np.ndarray, " m"]) -> Int[np.ndarray, " components"]:
    """The sums of the components' logarithms over what was seen."""
    small = n <= _SMALL
    seen = np.bincount(_at(n[small]) + k[small], minlength=_at(_SMALL + 1))
    out = (_small().logs * seen).sum(axis=1)
    for kind, a, b in zip(_kind(n[~small]).tolist(), k[~small].tolist(), n[~small].tolist(), strict=True):
        row = _row(kind)
        y = min(int(a * (kind + 1.0) / (b + 1.0)), kind) if a < b else kind
        out = out + row.logs[:, np.searchsorted(row.edges, y, side="right") - 1]
    return out


def log_splits(k: Int[np.ndarray, " m"], n: Int[np.ndarray, " m"]) -> Float[np.ndarray, "components m"]:
    """log2 P_a(k | n) for each a, in floats: for estimates of code lengths, not for codes."""
    most = int(n.max(initial=0)) + 2
    whole, halves = _log_gammas(1 << max(12, (most + 2048).bit_length()))
    # Gamma(i) = whole[i], Gamma(i + 1/2) = halves[i].
    choose = whole[n + 1] - whole[k + 1] - whole[n - k + 1]
    out = np.empty((len(_SHAPES), len(k)))
    for row, a in zip(out, _SHAPES, strict=True):
        if a == 0:
            row[:] = np.where((k == 0) | (k == n), -1.0, -1000.0)
        elif np.isinf(a):
            row[:] = choose - n
        else:
            table, c = (halves, 0) if a == 0.5 else (whole, int(a))
            row[:] = choose + table[k + c] + table[n - k + c] - whole[n + int(2 * a)]
            row += whole[int(2 * a)] - 2 * table[c]
    return np.where(n == 0, 0.0, np.minimum(out, 0.0))


@functools.lru_cache(2)
def _log_gammas(size: int):
    from scipy.special import gammaln

    x = np.arange(size, dtype=np.float64)
    return gammaln(np.maximum(x, 1)) / math.log(2), gammaln(x + 0.5) / math.log(2)
