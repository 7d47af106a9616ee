"""How many bits any description of all laws on a region must have, for a given error."""

import math
from collections.abc import Iterator
from typing import NamedTuple, SupportsFloat, SupportsIndex

import numpy as np

from .._checks import Numbers, finite_points, positive_number, real_number, whole_number
from ._neighborhood import log_ball_volume

# Of atoms, divided by the dimension: beyond it bits would leave float64. Fewer atoms than the best are a bound too.
_MOST_ATOMS = 1e303
# Theory, Proposition 18: a random lattice path that turns with probability _TURN at each step, and any other path, have
# E exp(-_DECAY * area between them) <= _FACTOR exp(-_RATE * steps). Proven by docs/reference_values.py.
_TURN, _DECAY, _RATE, _FACTOR = 0.3, 0.4, 0.3372, 1.69


class CoveringBound(NamedTuple):
    """A lower bound on bits, and where it comes from.

    - `bits`: the bound, >= 0.
    - `argument`: "means", "tuples" or "paths", the strongest for this error (`covering_argument`).
    - `atoms`: the K that maximizes it: the class contains K atoms of equal mass ("means", "tuples"), or laws whose
        masses are multiples of 1/K on a lattice of spacing 1/K ("paths"), and these alone need so many bits.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.limits.covering_argument(0.001, dim=1).argument
        'paths'
    """

    bits: float
    argument: str
    atoms: int


def covering_bits(epsilon: SupportsFloat, dim: SupportsIndex, volume: SupportsFloat = 1.0) -> float:
    """A lower bound on the bits of any method that describes every law on a region to W_1 error `epsilon`.

    The largest of all arguments of `covering_argument`, which names the one and its maximizer. For the unit cube and
    small epsilon it is 0.41 / epsilon (d = 1), 0.0457 / epsilon^2 (d = 2), 0.0284 / epsilon^3 (d = 3); always it
    depends on `epsilon / volume^(1/d)` only. Proven for the class of *all* laws on any region of that volume, the
    Euclidean norm, and methods with 2^bits descriptions. It is a worst case: some law of the class needs so many bits;
    a given law can be named with one bit, and a smaller class (smooth densities) may need far fewer. It does not say
    that so few suffice. Theory, section 8.

    **Arguments:**

    - `epsilon`: the W_1 error, in units of length. `dim`: d >= 1.
    - `volume`: of the region, in units of length to the power d: 1 for the unit cube; `occupied_volume` for the cells
        that some data occupy.

    **Returns:** bits; zero where the arguments say nothing.

    **Raises:** `ValueError` for an epsilon or volume that is not positive and finite and for dim < 1; `TypeError` for a
    dim that is not an integer.

    **Example:**

        >>> import jaxgen as jg
        >>> round(jg.limits.covering_bits(0.001, dim=1), 1)
        402.0
    """
    return covering_argument(epsilon, dim, volume).bits


def covering_argument(epsilon: SupportsFloat, dim: SupportsIndex, volume: SupportsFloat = 1.0) -> CoveringBound:
    """`covering_bits` with its proof: the strongest argument, and the number K of atoms that maximizes it.

    In units in which the region has volume 1, with kappa_d the volume of the unit ball, in bits and for every K >= 1:

    - "means": K = 1 or d = 1: `-K log2(kappa_d (K eps)^d)`. Laws near one center have atoms near the means of its K
      parts. The best at d = 1 for large eps, with K = 1 / (2 e eps), and at any d for the largest.
    - "tuples": `-K log2(kappa_d d! K (e eps / d)^d)`. Laws near one center are near K-tuples of its points. The best
      for d >= 2 and small eps, with `K = (d / (e eps))^d / (e kappa_d d!)`, and then `log2(e) K` bits.
    - "paths": d = 1: `log2(e) (2 g K - s K^2 eps - ln(1.69)) - log2(1 / c(K))` with g = 0.3372, s = 0.4 and c(K) a
      lower bound on the probability that a random path ends in the corner. The best for small eps, 0.41 / eps.

    Theory, section 8, Propositions 17 and 18.

    **Arguments, Raises:** as `covering_bits`.

    **Returns:** a `CoveringBound`.

    **Example:**

        >>> import jaxgen as jg
        >>> bound = jg.limits.covering_argument(0.01, dim=2)
        >>> bound.argument, bound.atoms, round(bound.bits, 1)
        ('tuples', 317, 457.3)
    """
    epsilon, dim = positive_number(epsilon, "epsilon"), whole_number(dim, "dim", 1)
    log_epsilon = math.log(epsilon) - math.log(positive_number(volume, "volume")) / dim
    nats, argument, atoms = max(_candidates(log_epsilon, dim))
    if nats <= 0:
        return CoveringBound(0.0, "means", 1)
    return CoveringBound(nats / math.log(2), argument, int(atoms))


def covering_error(bits: SupportsFloat, dim: SupportsIndex, volume: SupportsFloat = 1.0) -> float:
    """A lower bound on the worst W_1 error of any code that spends at most `bits` on each law on a region.

    The inverse of `covering_bits`, by bisection: the returned error has `covering_bits(error, dim, volume) > bits`, so
    no code of so few bits attains it for all laws. Proven for the same class, and silent on the same matters. Theory,
    section 8.

    **Arguments:**

    - `bits`: between 0 and 1e300. `dim`: d >= 1. `volume`: of the region, as for `covering_bits`.

    **Returns:** a W_1, in units of length.

    **Raises:** `ValueError` for bits outside of that range, dim < 1 or a volume that is not positive; `TypeError` for a
    dim that is not an integer.

    **Example:**

        >>> import jaxgen as jg
        >>> round(jg.limits.covering_error(1000, dim=2), 6)
        0.006762
    """
    bits, dim = real_number(bits, "bits"), whole_number(dim, "dim", 1)
    if not 0 <= bits <= 1e300:
        raise ValueError(f"bits must be a number in [0, 1e300]; got {bits}")
    unit = positive_number(volume, "volume") ** (1 / dim)

    def enough(error: float) -> bool:
        return covering_bits(error * unit, dim, volume) > bits

    below = above = 1.0
    while enough(above):
        below, above = above, above * 4
    while not enough(below):
        below, above = below / 4, below
    while above > below * (1 + 1e-9):
        middle = below * math.sqrt(above / below)
        below, above = (middle, above) if enough(middle) else (below, middle)
    return below * unit


def occupied_volume(points: Numbers, side: SupportsFloat) -> float:
    """The volume of the cells of a grid of cubes that hold a point: the region that some data occupy.

    With it `covering_bits` speaks of all laws on that region in place of a box around it: of whatever could be told
    apart from these points only by looking into cells that they occupy. The grid starts at the least coordinates; for
    a side about as large as the error in question, a code must tell such laws apart, or leave the region. Theory,
    section 8.

    **Arguments:**

    - `points`: `(n, d)`, or `(n,)` for d = 1.
    - `side`: of a cell, in units of the points. Where `side^d` would leave float64, divide the points (and the error)
        by the side first, and let the side be 1.

    **Returns:** the volume, in units of length to the power d.

    **Raises:** `ValueError` for points that are empty or not finite, a side that is not positive, and a volume beyond
    float64; `TypeError` for points that are not real numbers.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.limits.occupied_volume([0.0, 0.1, 0.9], side=0.25)  # two of four cells
        0.5
    """
    points, side = finite_points(points).astype(np.float64), positive_number(side, "side")
    cells = np.unique(np.floor((points - points.min(axis=0)) / side), axis=0)
    log_volume = math.log(len(cells)) + points.shape[1] * math.log(side)
    if abs(log_volume) > 700:
        raise ValueError(
            f"side {side:g} makes a volume of exp({log_volume:.0f}), beyond float64: divide points and errors by it"
        )
    return len(cells) * side ** points.shape[1]


def _candidates(log_epsilon: float, dim: int) -> Iterator[tuple[float, str, float]]:
    """Nats, argument and K: all that can be the largest, since each argument is concave in K around a known maximum."""
    volume, factorial = log_ball_volume(dim), math.lgamma(dim + 1)
    for k in _around(-math.log(2) - log_epsilon - 1, 1) if dim == 1 else (1.0,):
        yield -k * (volume + dim * (math.log(k) + log_epsilon)), "means", k
    each = dim * (math.log(dim) - 1 - log_epsilon) - volume - factorial
    for k in _around(each - 1, dim):
        yield k * (each - math.log(k)), "tuples", k
    for k in _around(math.log(_RATE / _DECAY) - log_epsilon, 1) if dim == 1 else ():
        spread = 4 * math.sqrt((k - 1) * _TURN * (1 - _TURN) + 0.25) + 1
        corner = math.log(9 * _TURN / 8 / spread)
        exponent = k * (2 * _RATE - _DECAY * math.exp(log_epsilon + math.log(k)))
        yield exponent - math.log(_FACTOR) + corner, "paths", k


def _around(log_atoms: float, dim: int) -> list[float]:
    """The whole numbers around exp(log_atoms), within what float64 can count."""
    most = _MOST_ATOMS / dim
    nearest = most if log_atoms > math.log(most) else float(round(math.exp(log_atoms)))
    return [k for k in (nearest + step for step in range(-3, 4)) if 1 <= k <= most]
