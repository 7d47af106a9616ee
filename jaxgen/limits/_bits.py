"""How many bits a lossless code of counts must have."""

import math
from typing import SupportsIndex

from .._checks import whole_number


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
