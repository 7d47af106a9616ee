"""Points as atoms on a lattice, at a budget of bits (theory, section 8)."""

import math
from collections.abc import Callable
from typing import NamedTuple, SupportsFloat

import numpy as np
from jaxtyping import Float, Int

from .._checks import Numbers, TooFewBits, finite_points, real_number
from ..coding import MAX_PLACES, Trellis, code_length
from ..curves import HilbertCurve
from ..limits import type_class_bits
from ..measures import Lattice, LatticeMeasure, Record
from ._trellis_search import rates_of, search

# Of the trellis, 2**7 states: more states gain less than they cost in time.
_MEMORY = 7
# A quantum for so many bits at least, where there are more points than that: with fewer bits a quantum the lattice is
# so coarse that fewer quanta on a finer one are nearer to the points.
_BITS_A_QUANTUM = 1.2
# The trellis is searched place by place; where atoms are so few and far between that most are empty, it takes long.
_PLACES_AN_ATOM = 128
# Budgets are spent to within this share, where the steps of the spacing allow it.
_SPENT = 0.985
_TRIALS = 10
# Of the widest axis into places: a resolution fits 31 bits.
_MOST_HALVINGS = 28


def lattice_atoms(points: Numbers, bits: SupportsFloat, p: int = 1) -> LatticeMeasure:
    """Points as atoms on a lattice, in at most `bits` bits for the whole file: near the limit where points are random.

    Every point is moved to a place of a lattice of cubes, whose spacing makes the most of the budget. In one to three
    dimensions the places are those of a trellis, searched by distance and bits together; or all, and each point goes to
    the nearest: whichever is nearer. On K random points in a cube, with as many bits as the volume bound is strongest
    for, the distance is 1.3 (d = 1), 1.5 (d = 2) and 1.35 (d = 3) times that bound, header apart. Points with gaps and
    clusters have better codes: nothing here looks for them. Theory, section 8.

    **Arguments:**

    - `points`: `(N, d)` or `(N,)`. Of more than a point for 1.2 bits, consecutive ones along the Hilbert curve are
        taken together.
    - `bits`: for the file.
    - `p`: 1 or 2, the order of the distance that chooses between the two.

    **Returns:** a `LatticeMeasure`; `proven("points")` is its distance to the points, an upper bound on W_1 and W_2.

    **Raises:** `ValueError` for a budget that the header alone exceeds, and for bad points; `TypeError` for anything
    but numbers.

    **Example:**

        >>> import jaxgen as jg, numpy as np
        >>> measure = jg.rate.lattice_atoms(np.random.default_rng(0).random(60), bits=250)
        >>> jg.code_length(measure) <= 250, measure.quanta, measure.proven("points")[0] < 0.005
        (True, 60, True)
    """
    cloud, budget = finite_points(points).astype(np.float64), real_number(bits, "bits")
    if p not in (1, 2):
        raise ValueError(f"p must be 1 or 2; got {p}")
    if not 0 < budget < math.inf:
        raise ValueError(f"bits must be positive and finite; got {bits}")
    points_at = _points_at(cloud, max(1, int(budget / _BITS_A_QUANTUM)))
    atoms, weights = points_at.atoms, points_at.weights

    def made(lattice: Lattice, places: Int[np.ndarray, "n d"]) -> LatticeMeasure:
        distinct, index = np.unique(places, axis=0, return_inverse=True)
        counts = np.bincount(index.ravel(), weights).astype(np.int64)
        move = np.linalg.norm(cloud[points_at.point] - lattice.points(places)[points_at.atom], axis=1)
        near = float(move @ points_at.mass), math.sqrt(float(move**2 @ points_at.mass))
        return LatticeMeasure(distinct, counts, lattice, Record({"points": near}, saved=False))

    def plain(spacing: float) -> LatticeMeasure | None:
        lattice = _lattice(cloud, spacing, 0)
        return None if max(lattice.resolution) > 1 << 30 else made(lattice, _nearest(atoms, lattice))

    def trellis(spacing: float, sweeps: int = 1) -> LatticeMeasure | None:
        lattice = _lattice(cloud, spacing, _MEMORY)
        if math.prod(lattice.resolution) > min(MAX_PLACES, _PLACES_AN_ATOM * len(atoms)):
            return None
        places = _on_trellis(atoms, weights, lattice, sweeps)
        return None if places is None else made(lattice, places)

    first, each = _first_spacing(cloud, int(weights.sum()), budget), cloud.shape[1] * int(weights.sum())

    def error(measure: LatticeMeasure) -> float:
        return measure.record.bounds["points"][p - 1]

    found = [_fitted(plain, error, first, budget, each)]
    if found[0] is None:
        least = code_length(made(_lattice(cloud, first * 2**40, 0), np.zeros(atoms.shape, np.int64)))
        raise TooFewBits(budget, least)
    # A line of open places that is not longer than the atoms would crowd them.
    fine = first / 2
    while math.prod(_lattice(cloud, fine, 0).resolution) < len(atoms) << cloud.shape[1] and fine > first / 8:
        fine *= 0.95
    if cloud.shape[1] <= 3 and (good := _fitted(trellis, error, fine, budget, each)) is not None:
        better = trellis(good.lattice.spacing, sweeps=2) if cloud.shape[1] > 1 else None
        found += [good] if better is None or code_length(better) > budget else [good, better]
    return min((m for m in found if m is not None), key=error)


class _PointsAt(NamedTuple):
    """Distinct atoms with whole quanta, and a coupling with the points: `mass[i]` of `point[i]` to `atom[i]`."""

    atoms: Float[np.ndarray, "n d"]
    weights: Int[np.ndarray, " n"]
    point: Int[np.ndarray, " pieces"]
    atom: Int[np.ndarray, " pieces"]
    mass: Float[np.ndarray, " pieces"]


def _points_at(cloud, most: int) -> _PointsAt:
    """The points themselves, or no more than `most` medians of parts of equal mass along the Hilbert curve."""
    n, order = len(cloud), np.arange(len(cloud))
    quanta = min(n, most)
    if n > most:
        order = HilbertCurve().order(cloud)
    part = np.arange(n) * quanta // n
    start = np.searchsorted(part, np.arange(quanta))
    middle = (start + np.append(start[1:], n)) // 2
    sorted_ = [x[np.lexsort((x, part))] for x in cloud[order].T]
    atoms, index, weights = np.unique(
        np.stack([x[middle] for x in sorted_], axis=1), axis=0, return_inverse=True, return_counts=True
    )
    # The quanta and the points cut the mass along the curve into pieces, each of one quantum and one point.
    ends = np.union1d(np.arange(1, n + 1) * quanta, np.arange(1, quanta + 1) * n)
    last = ends - 1
    mass = np.diff(ends, prepend=0) / (n * quanta)
    return _PointsAt(atoms, weights, order[last // quanta], index.ravel()[last // n], mass)


def _lattice(cloud, spacing: float, memory: int) -> Lattice:
    """A lattice of that spacing around the points, its corner on few binary digits; constant axes are exact."""
    low, high = cloud.min(axis=0), cloud.max(axis=0)
    step = 2.0 ** math.floor(math.log2(spacing))
    corner = np.floor(low / step) * step
    resolution = np.floor((high - corner) / spacing) + 1
    single = resolution == 1
    # Where all points of an axis are in one place, it stands in their middle.
    middle = np.where(low == high, low, np.round((low + high) / 2 / (step / 4)) * (step / 4))
    corner = np.where(single, middle, corner)
    return Lattice(tuple(corner.tolist()), spacing, tuple(int(n) for n in resolution), memory)


def _index(points, lattice: Lattice) -> Float[np.ndarray, "n d"]:
    """Points in units of the spacing, so that the place of index i is at i + 1/2."""
    half = np.where(np.array(lattice.resolution) > 1, 0.0, 0.5)
    return (points - np.array(lattice.low)) / lattice.spacing + half


def _nearest(points, lattice: Lattice) -> Int[np.ndarray, "n d"]:
    return np.clip(np.floor(_index(points, lattice)), 0, np.array(lattice.resolution) - 1).astype(np.int64)


def _on_trellis(atoms, weights, lattice: Lattice, sweeps: int) -> Int[np.ndarray, "n d"] | None:
    """The places of the atoms on the trellis; None where they are too crowded even with those of a cube together."""
    trellis = Trellis(lattice.resolution, lattice.memory)
    quanta = int(weights.sum())

    def searched(points, weights):
        line = max(trellis.expected(len(points)), 1)
        # Few points share a place, and the fewer the more room there is around each.
        apart = 1 - 0.02 / points.shape[1] ** 2
        rates = rates_of(quanta, int(apart * min(len(points), line)), line)
        return search(points, weights, trellis, rates, sweeps)

    points = _index(atoms, lattice)
    places = searched(points, weights)
    if places is not None:
        return places
    _, index = np.unique(_nearest(atoms, lattice), axis=0, return_inverse=True)
    index = index.ravel()
    total = np.bincount(index, weights)
    mean = np.stack([np.bincount(index, weights * x) / total for x in points.T], axis=1)
    places = searched(mean, total.astype(np.int64))
    return None if places is None else places[index]


def _first_spacing(cloud, quanta: int, budget: float) -> float:
    """The spacing for which all laws of so many quanta on the places take the budget, without a header."""
    width = np.ptp(cloud, axis=0)
    if not np.any(width > 0):
        return 1.0

    with np.errstate(divide="ignore"):
        log_width = np.log2(width)

    def bits(log_spacing: float) -> float:
        return type_class_bits(math.prod(int(x) + 1 for x in np.exp2(log_width - log_spacing)), quanta)

    above = float(log_width.max())
    below = above - _MOST_HALVINGS
    while above - below > 0.01:
        middle = (below + above) / 2
        below, above = (below, middle) if bits(middle) < budget else (middle, above)
    return 2.0**above


def _fitted(
    make: Callable[[float], LatticeMeasure | None],
    error: Callable[[LatticeMeasure], float],
    first: float,
    budget: float,
    each: int,
) -> LatticeMeasure | None:
    """The measure of the least error in at most `budget` bits, over the spacings; halving one takes `each` bits, about.

    The bits are nearly, but not exactly, monotone in the spacing: a bracket is closed by the chord.
    """
    best = None
    digits = 7 if budget < 1024 else 14  # of the spacing: a byte or two in the file
    log_spacing, aim = math.log2(first), (1 + _SPENT) / 2 * budget
    ends: dict[bool, tuple[float, float]] = {}  # by whether it fits: a spacing and its bits
    for trial in range(_TRIALS):
        fraction, exponent = math.frexp(2.0**log_spacing)
        spacing = math.ldexp(math.ceil(math.ldexp(fraction, digits)), exponent - digits)
        at = math.log2(spacing)
        if any(at == end for end, _ in ends.values()):
            break
        measure = make(spacing)
        if measure is None:
            # Too many places at first: the guess may have been too fine.
            if ends or trial > 2:
                break
            log_spacing += 0.3
            continue
        used = code_length(measure)
        if used <= budget and (best is None or error(measure) < error(best)):
            best = measure
        if _SPENT * budget <= used <= budget or max(measure.lattice.resolution) == 1:
            break
        ends[used <= budget] = at, used
        if len(ends) == 2:
            (fine, above), (coarse, below) = ends[False], ends[True]
            share = (above - aim) / (above - below)
            log_spacing = fine + min(max(share, 0.1), 0.9) * (coarse - fine)
        else:
            log_spacing = at + min(max((used - aim) / (0.8 * each), -8.0), 8.0)
    return best
