"""How far the path inside a box is from the uniform law on the box (theory, sections 3 and 4).

Each function takes the sides of a box, `(d,)`, and returns bounds on W_1 and W_2, in the units of the sides.
"""

import functools as ft
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from jaxtyping import Float

# Parts that a box is cut into to couple it with its diagonal, and how far the order of the parts bends (0: sections
# across the diagonal; 2: rays that meet at the distance of the corners from the middle of the diagonal).
_PARTS, _BENDS = 1 << 16, (0.0, 0.5, 1.0, 1.5, 2.0)


def centre_distance(sides: Float[np.ndarray, " d"]) -> tuple[float, float]:
    """From the uniform law on a box to its centre, exactly: `W_2 = sqrt(sum sides^2 / 12)`.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.curves import centre_distance
        >>> [round(w, 4) for w in centre_distance(np.ones(2))]
        [0.3826, 0.4082]
    """
    sides = np.asarray(sides, np.float64)
    return _mean_length(sides, _centred, 1 / 4), math.sqrt(float(sides @ sides) / 12)


def line_distance(sides: Float[np.ndarray, " d"]) -> tuple[float, float]:
    """From the uniform law on a box to that on the line through its centre along the last axis, exactly.

    The coupling that keeps the last coordinate is optimal, since the line is the projection: what is left is the
    distance to the centre of the box of the other axes. Theory, section 4.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.curves import line_distance
        >>> [round(w, 4) for w in line_distance(np.ones(2))]
        [0.25, 0.2887]
    """
    return centre_distance(np.asarray(sides, np.float64)[:-1])


def box_distance(sides: Float[np.ndarray, " d"]) -> tuple[float, float]:
    """The cost of coupling two independent uniform points of a box: `E|X - Y|`, `sqrt(E|X - Y|^2)`. Section 3.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.curves import box_distance
        >>> [round(w, 4) for w in box_distance(np.ones(2))]
        [0.5214, 0.5774]
    """
    sides = np.asarray(sides, np.float64)
    return _mean_length(sides, _triangular, 1 / 3), math.sqrt(float(sides @ sides) / 6)


def zigzag_distance(sides: Float[np.ndarray, " k"]) -> tuple[float, float]:
    """The cost of coupling a point of a box whose coordinates are uniform, each, with an independent uniform point.

    This is the distance of the nested sawtooth, `sides` being those of the dyadic box of all axes but the last. For
    W_2, and up to two axes, where it is proven for the sawtooth, the cost is that of two independent points,
    `box_distance`. In general, with `phi(x, s) = E exp(-s^2 (x - Y)^2)` for x, Y in [0, 1] and Y uniform, whatever the
    joint law of the X_k, by Jensen

        E prod_k phi(X_k, a_k s) >= exp(sum_k E log phi(X_k, a_k s)),

    which is put into the integral of `_mean_length`: 0.6 % more than for two points of a cube. Theory, section 3.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.curves import zigzag_distance
        >>> [round(w, 4) for w in zigzag_distance(np.ones(3))]
        [0.6656, 0.7071]
    """
    w1, w2 = box_distance(sides)
    return (w1 if len(sides) <= 2 else _mean_length(np.asarray(sides, np.float64), _unknown, 1 / 3)), w2


def diagonal_distance(sides: Float[np.ndarray, " d"]) -> tuple[float, float]:
    """From the uniform law on a box to that on its diagonal; W_2 exactly, W_1 from above, nearly attained.

    Let Y be uniform on the box with sides e and P its projection on the diagonal. The law on the diagonal lives on a
    line, so the best coupling is monotone in P, and with Q_P the quantile function of P

        W_2^2 = |e|^2/12 - Var P + Var P + |e|^2/12 - 2 |e| int Q_P(t) (t - 1/2) dt = |e|^2/6 - E|sum_k e_k^2 T_k| / 2,

    where the T_k are independent triangular on [-1, 1], since int Q_P(t)(2t - 1) dt = E|P - P'|/2. For a cube of side 1
    the mean is that of |Z|, Z a centred Irwin-Hall sum of 2d terms, a rational number. W_1 is the cost of another
    coupling, along rays (theory, section 4); in the square that is optimal, and `1/6 + sqrt(2) arsinh(1) / 12`.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.curves import diagonal_distance
        >>> [round(w, 4) for w in diagonal_distance(np.ones(2))]  # 0.270538... and 1 / sqrt(10)
        [0.2706, 0.3162]
    """
    sides = np.asarray(sides, np.float64)
    longest = float(sides.max())
    if longest == 0:
        return 0.0, 0.0
    e = np.sort(sides[sides > 0] / longest)
    w2 = _across(e)
    return longest * min(_along_rays(tuple(e.tolist())), w2), longest * w2


def _across(e: Float[np.ndarray, " d"]) -> float:
    """W_2 between a box with longest side 1 and its diagonal."""
    if np.all(e == 1):
        return math.sqrt(Fraction(len(e), 6) - _irwin_hall_mean(len(e)) / 2)
    squares = e**2
    # E|S| = (2/pi) int (1 - phi(t))/t^2 dt with phi the characteristic function of S; the tail of 1/t^2 is exact, and
    # |phi| is at most (2/(a t))^2 for the longest side a = 1, so that the rest of the tail is below 8/(3 pi end^3).
    from scipy.integrate import quad

    end = 400.0
    value, error = 0.0, 8 / (3 * math.pi * end**3)
    for left in range(0, 400, 8):
        part, wrong = quad(
            lambda t: (
                (1 - np.prod(np.sinc(squares * t / (2 * math.pi)) ** 2)) / t**2 if t > 1e-4 else squares @ squares / 12
            ),
            left,
            left + 8,
            epsabs=1e-13,
            epsrel=1e-12,
        )
        value, error = value + part, error + wrong
    mean = 2 / math.pi * (value + 1 / end) - error
    return math.sqrt(max(0.0, float(squares.sum()) / 6 - mean / 2))


@ft.lru_cache(1024)
def _along_rays(sides: tuple[float, ...]) -> float:
    """The mean distance of a coupling between a box with longest side 1 and its diagonal.

    Cut the box into N equal parts, put them in any order, and let part j go to the j-th of N equal stretches of the
    diagonal, independently inside. This is a coupling, and as a part and a stretch are uniform and independent,

        E|X - Y| <= sqrt(E|X - Y|^2) = sqrt(|centre - centre|^2 + |sides of the part|^2/12 + stretch^2/12),

    so that its cost is known to second order in the size of the parts. In terms of the place z along the diagonal and
    the distance r from it, the order is that of `(z - middle) / (length - bend r)`, constant on rays of the half plane.
    """
    e = np.array(sides)
    length, counts, parts, fine = math.sqrt(float(e @ e)), np.ones(len(e)), np.ones(len(e)), 1.0
    while counts.prod() <= _PARTS:
        parts, fine = counts, 1.05 * fine
        counts = np.maximum(np.floor(fine * e), 1)
    z, square = np.zeros(1), np.zeros(1)
    for side, n in zip(e, parts.astype(int), strict=True):
        x = side * (np.arange(n) + 0.5) / n
        z, square = np.add.outer(z, x * side / length).ravel(), np.add.outer(square, x**2).ravel()
    stretch = length / len(z)
    r, to = np.sqrt(np.maximum(square - z**2, 0)), stretch * (np.arange(len(z)) + 0.5)
    spread = float(((e / parts) ** 2).sum() + stretch**2) / 12
    costs = []
    for bend in _BENDS:
        order = np.argsort((z - length / 2) / (length - bend * r), kind="stable")
        costs.append(float(np.sqrt((z[order] - to) ** 2 + r[order] ** 2 + spread).mean()))
    return min(costs)


def _mean_length(sides: np.ndarray, transform: Callable[[np.ndarray], np.ndarray], length: float) -> float:
    """E|Y| for a vector with independent symmetric coordinates whose scales are `sides`.

    For a side of 1, E|Y_1| is `length` and `transform(s)` is 1 - E exp(-s^2 Y_1^2), s > 0. Since for x >= 0
    `sqrt(x) = (1/sqrt(pi)) int_0^inf (1 - exp(-x s^2)) / s^2 ds`,

        E|Y| = (1/sqrt(pi)) int_0^inf (1 - prod_k (1 - transform(a_k s))) / s^2 ds,

    one integral in any dimension. Beyond s = S the product lies between 0 and its value at S: the tail of 1/s^2 bounds
    it from above.
    """
    longest = float(sides.max()) if sides.size else 0.0
    if longest == 0:
        return 0.0
    a = sides[sides > 0] / longest
    if len(a) == 1:
        return longest * length
    # In s = e^x the integrand is smooth and falls off exponentially on both sides.
    x = np.linspace(math.log(1e-9), math.log(1e9), 40_001)
    s = np.exp(x)
    product = np.zeros_like(s)
    for side, times in zip(*np.unique(a, return_counts=True), strict=True):
        product += times * np.log1p(-transform(side * s))
    values = -np.expm1(product) / s
    total = np.trapezoid(values, x) + values[0] + 1 / s[-1]
    return longest * float(total) / math.sqrt(math.pi)


def _centred(s: np.ndarray) -> np.ndarray:
    """1 - E exp(-s^2 Y^2) for Y uniform on [-1/2, 1/2]."""
    from scipy.special import erf

    with np.errstate(divide="ignore", invalid="ignore"):
        exact = 1 - math.sqrt(math.pi) * erf(s / 2) / s
    return np.where(s < 1e-2, s**2 / 12 - s**4 / 160 + s**6 / 2688, exact)


def _triangular(s: np.ndarray) -> np.ndarray:
    """1 - E exp(-s^2 Y^2) for Y triangular on [-1, 1], the difference of two uniform numbers of [0, 1]."""
    from scipy.special import erf

    with np.errstate(divide="ignore", invalid="ignore"):
        exact = 1 - math.sqrt(math.pi) * erf(s) / s - np.expm1(-(s**2)) / s**2
    return np.where(s < 2e-2, s**2 / 6 - s**4 / 30 + s**6 / 168, exact)


def _unknown(s: np.ndarray) -> np.ndarray:
    """1 - exp(E log phi(X, s)), X uniform on [0, 1]: a geometric mean over X where `_triangular` has the plain one."""
    log_s, values = _log_means()
    return -np.expm1(np.interp(np.log(s), log_s, values))


@ft.cache
def _log_means() -> tuple[np.ndarray, np.ndarray]:
    """`E log phi(X, s)` over log s; phi(x, s) = E exp(-s^2 (x - Y)^2), which is the same at 1 - x."""
    from scipy.special import erf

    log_s = np.linspace(math.log(1e-9), math.log(1e9), 40_001)
    s = np.exp(log_s)[:, None]
    x, weight = np.polynomial.legendre.leggauss(32)
    x = (x + 1) / 4
    phi = math.sqrt(math.pi) / (2 * s) * (erf(s * x) + erf(s * (1 - x)))
    return log_s, np.where(s[:, 0] < 1e-3, -(s[:, 0] ** 2) / 6, np.log(phi) @ (weight / 2))


@ft.cache
def _irwin_hall_mean(d: int) -> Fraction:
    """E|Z| for Z the sum of 2d independent uniforms on [-1/2, 1/2], by the piecewise polynomial of its law."""
    total = sum((-1) ** k * math.comb(2 * d, k) * (d - k) ** (2 * d + 1) for k in range(d + 1))
    return Fraction(2 * total, math.factorial(2 * d + 1))
