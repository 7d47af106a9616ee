"""How many bits any description of a law must have."""

import math
from typing import SupportsFloat, SupportsIndex

import numpy as np

from .._checks import positive_number, real_number, whole_number


def type_class_bits(cells: SupportsIndex, quanta: SupportsIndex) -> float:
    """`log2 C(K + N - 1, N - 1)`: bits that a lossless code of the K-types on N cells needs for some member.

    Proven, by counting: there are C(K+N-1, N-1) vectors of N counts that sum to K, so every injective code, of whatever
    kind, gives at least one of them so many bits, up to rounding down to an integer. Relative error 1e-14. It does not
    say that every member needs so many bits (a code may favor some), nor anything about codes that may change the
    counts: for those see `covering_bits`. Theory, section 8.

    **Arguments:**

    - `cells`: N, all cells of the grid, occupied or not. `quanta`: K. Integers of any size (N = 3**192).

    **Returns:** bits.

    **Raises:** `ValueError` for arguments < 1; `TypeError` for arguments that are not integers.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.limits.type_class_bits(cells=2, quanta=3)  # 3 + 0, 2 + 1, 1 + 2, 0 + 3
        2.0
    """
    cells, quanta = whole_number(cells, "cells", 1), whole_number(quanta, "quanta", 1)
    k, m = sorted((quanta, cells - 1))
    if k <= 64:
        return math.log2(math.comb(m + k, k))
    # Stirling's series for the three factorials, arranged as a sum of positive terms so that nothing cancels:
    # ln C(n, k) = k ln(n/k) + m ln(n/m) + ln(n / (2 pi k m)) / 2 + s(n) - s(k) - s(m),  n = k + m, and m
    # ln(n/m) = k (1-q)/q (-ln(1-q)) with q = k/n, which tends to k as q tends to 0. From 64 on the omitted
    # terms of s(x) = 1/(12x) - 1/(360x^3) + 1/(1260x^5) - ... are below 1e-16.
    n = k + m
    q = k / n
    rest = k * ((1 - q) / q * -math.log1p(-q) if q > 1e-17 else 1.0)
    root = (_log(n, m) - math.log(2 * math.pi) - math.log(k)) / 2
    return (k * _log(n, k) + rest + root + _stirling(n) - _stirling(k) - _stirling(m)) / math.log(2)


def covering_bits(epsilon: SupportsFloat, dim: SupportsIndex) -> float:
    """A lower bound on the bits of any method that describes every law on [0, 1]^dim to W_1 error `epsilon`.

    Proven for the class of *all* laws on the unit cube and the Euclidean norm: with A = k^d points to choose from in
    each of m^d cells, `bits >= m^d (log2 A - H_A(theta))`, theta = 2 k m epsilon < 1 - 1/A (Gilbert-Varshamov), here
    maximized over k and m. For small epsilon that is 0.02539 / epsilon (d = 1), 0.00468 / epsilon^2 (d = 2), 0.001204 /
    epsilon^3 (d = 3). It is a worst case: some law of the class needs so many bits; a given law, or a smaller class
    (smooth densities), may need far fewer. It does not say that so few suffice. Theory, section 8.

    **Arguments:**

    - `epsilon`: the W_1 error, in sides of the cube. `dim`: d >= 1.

    **Returns:** bits; zero where the argument says nothing.

    **Raises:** `ValueError` for an epsilon that is not positive and finite and for dim < 1; `TypeError` for a dim that
    is not an integer.

    **Example:**

        >>> import jaxgen as jg
        >>> round(jg.limits.covering_bits(0.01, dim=1), 3)
        2.522
    """
    epsilon, dim = positive_number(epsilon, "epsilon"), whole_number(dim, "dim", 1)
    # The bound falls with theta, so for given k and m the best theta is the smallest allowed, 2 k m epsilon. The
    # best k is 5 (d = 1) or less. All m are tried up to 4096, beyond that so many evenly spaced; where the number
    # of cells would leave the range of float64, fewer.
    k = np.arange(2.0, 17.0)[:, None]
    most = np.clip(np.floor(1 / (2 * k * epsilon)), 1.0, 2.0 ** (1000 / dim))
    m = np.ceil(np.linspace(0, 1, 4097)[1:] * np.floor(most))
    theta = 2 * k * m * epsilon
    log_points, one_of = dim * np.log2(k), np.exp2(-dim * np.log2(k))  # log2 A and 1/A
    inside = theta < 1 - one_of
    theta = np.where(inside, theta, 0.5)
    entropy = -theta * np.log2(theta) - (1 - theta) * np.log2(1 - theta)
    # log2 A - H_A, with theta log2(A - 1) = theta (log2 A + log2(1 - 1/A)).
    each = (1 - theta) * log_points - entropy - theta * np.log1p(-one_of) / math.log(2)
    bits = np.exp2(dim * np.log2(m)) * np.maximum(each, 0)
    return float(np.where(inside, bits, 0).max())


def covering_error(bits: SupportsFloat, dim: SupportsIndex) -> float:
    """A lower bound on the worst W_1 error of any code that spends at most `bits` on each law on [0, 1]^dim.

    The inverse of `covering_bits`, by bisection: the returned error has `covering_bits(error, dim) > bits`, so no code
    of so few bits attains it for all laws. Proven for the same class, and silent on the same matters. Theory,
    section 8.

    **Arguments:**

    - `bits`: between 0 and 1e300. `dim`: d >= 1.

    **Returns:** a W_1, in sides of the cube.

    **Raises:** `ValueError` for bits outside of that range or dim < 1; `TypeError` for a dim that is not an integer.

    **Example:**

        >>> import jaxgen as jg
        >>> round(jg.limits.covering_error(1000, dim=2), 6)
        0.002163
    """
    bits, dim = real_number(bits, "bits"), whole_number(dim, "dim", 1)
    if not 0 <= bits <= 1e300:
        raise ValueError(f"bits must be a number in [0, 1e300]; got {bits}")
    below, above = 0.25, 0.25
    while covering_bits(below, dim) <= bits:
        below, above = below / 4, below
    while above > below * (1 + 1e-9):
        middle = math.sqrt(below * above)
        below, above = (middle, above) if covering_bits(middle, dim) > bits else (below, middle)
    return below


def _log(numerator: int, denominator: int) -> float:
    """ln of a ratio >= 1 of integers, by the ratio (correctly rounded) where it is a float64."""
    if numerator.bit_length() - denominator.bit_length() < 1000:
        return math.log(numerator / denominator)
    return math.log(numerator) - math.log(denominator)


def _stirling(x: int) -> float:
    if x.bit_length() > 1000:
        return 0.0
    y = 1 / x
    return y * (1 / 12 - y**2 * (1 / 360 - y**2 * (1 / 1260 - y**2 / 1680)))
