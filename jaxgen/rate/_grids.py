"""A measure on a grid for a budget of bits, searched by its error bound (theory, sections 8 and 11)."""

import bisect
import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import SupportsFloat

import numpy as np

from .._checks import Numbers, TooFewBits, finite_points, real_number
from ..coding import code_length
from ..distances import data_bound
from ..generators import CellMoments
from ..limits import type_class_bits
from ..measures import LEAST_BOX_BITS, GridMeasure, QuantizedMeasure, Record, box_bits_for

_MAX_QUANTA, _MAX_RESOLUTION = 1 << 24, 1 << 20


def best_grid(
    points: Numbers,
    bits: SupportsFloat | object,
    *,
    p: int = 1,
    low: Numbers | None = None,
    high: Numbers | None = None,
) -> QuantizedMeasure:
    """A measure on a grid whose code fits a budget of bits: of the grids tried, the one with the least error bound.

    More cells make the grid finer, more quanta the masses; both cost bits, `log2 C(K+N-1, N-1)` together. For each
    number of cells an axis the budget leaves a number of quanta, and `data_bound`, one pass over the points, says what
    error that gives; the least is searched over a geometric grid of resolutions, then around its minimum. What is not
    claimed: that no other law with so short a code is nearer to the points (the bound, by which the search goes, is two
    to three times the distance, and not all laws are measures on a grid).

    **Arguments:**

    - `points`: `(N, d)` or `(N,)`, N >= 2.
    - `bits`: the budget for the whole encoded measure, header and box included.
    - `p`: the order, 1 or 2, of the error that is made small.
    - `low`, `high`: the box, by default that of the points, rounded outwards to as many bits a side as the budget is
        worth (`short_box`). A box that is given is kept, and takes what its numbers take.

    **Returns:** a `QuantizedMeasure`; `data_bound(points, measure, p)` is its proven error to the points, and
    `code_length(measure)` its bits.

    **Raises:** `ValueError` for a budget that the header and the box alone exceed, naming the smallest, and for bad
    points as `GridMeasure.from_samples`; `TypeError` for anything but numbers.

    **Example:**

        >>> import jaxgen as jg, numpy as np
        >>> measure = jg.rate.best_grid(np.arange(32.0) ** 2, bits=200)
        >>> jg.code_length(measure) <= 200, measure.dim
        (True, 1)
    """
    budget, cloud = real_number(bits, "bits"), finite_points(points)
    box_bits = box_bits_for(budget)

    def at(n: int, quanta: int) -> QuantizedMeasure:
        # What the masses were rounded from is no one's, and the bound on that would take bits.
        measure = GridMeasure.from_samples(cloud, n, low=low, high=high, box_bits=box_bits)
        return _with_record(measure.quantize(quanta), None)

    while (overhead := code_length(least := at(1, 1))) > budget and box_bits > LEAST_BOX_BITS:
        box_bits -= 1
    if not overhead <= budget < np.inf:
        raise TooFewBits(budget, overhead)

    @functools.cache
    def attempt(n: int) -> tuple[float, QuantizedMeasure]:
        """The error bound at n cells an axis, infinite where not even one quantum fits, and the measure."""
        quanta = min(_affordable(n ** cloud.shape[1], budget - overhead), len(cloud))
        if quanta < 1:
            return np.inf, least
        measure = at(n, quanta)
        return data_bound(cloud, measure, p), measure

    # With 16 bits a cell the masses are exact to what their cells can show, and only finer cells are worth their bits.
    first = ((budget - overhead) / 16) ** (1 / cloud.shape[1])
    best = _search(lambda n: attempt(n)[0], max(1, min(int(first), _MAX_RESOLUTION)))
    measure = attempt(best)[1]
    # The count of the class is about what a code needs: the one at hand takes some bits more or less, of cells or of
    # quanta. The points have masses that are multiples of 1/N, and to lose one of N quanta can cost more than a cell.
    fitting = [
        measure,
        _largest(lambda k: at(k, measure.quanta), best, _MAX_RESOLUTION, budget),
        _largest(lambda k: at(best, k), measure.quanta, len(cloud), budget),
    ]
    fitting = [each for each in fitting if code_length(each) <= budget] or [least]
    return _near(cloud, min(fitting, key=lambda each: data_bound(cloud, each, p)))


def _largest(make: Callable[[int], QuantizedMeasure], size: int, most: int, budget: float) -> QuantizedMeasure:
    """The largest size that fits, about, sought from this one on in steps that double and then halve, or size 1.

    Bits are nearly monotone in the size, and what is returned was seen to fit; to one part in 500.
    """
    fits, exceeds, found = 0, most + 1, None
    least = step = max(1, size // 500)
    while exceeds - fits > least:
        measure = make(size)
        if code_length(measure) <= budget:
            fits, found = size, measure
        else:
            exceeds = size
        if fits and exceeds <= most:
            size = (fits + exceeds) // 2
        else:
            size = min(fits + step, most) if fits else max(exceeds - step, 1)
        if size in (fits, exceeds):
            break
        step *= 2
    return make(1) if found is None else found


def _search(error: Callable[[int], float], n: int) -> int:
    """The number of cells an axis with the least error: upwards from n, then around the least."""
    errors: dict[int, float] = {}

    def at(k: int) -> float:
        errors[k] = error(k)
        return errors[k]

    worse = 0
    while worse < 4 and n <= _MAX_RESOLUTION:
        # Past the optimum, too few quanta are left for the cells, and the error only grows.
        least = min(errors.values(), default=np.inf)
        worse = worse + 1 if at(n) > least else 0
        n = n + 1 + n // 4
    # A finer search than one part in 64 of the resolution is below what the bound can tell.
    best = min(errors, key=errors.__getitem__)
    step = max(1, best // 8)
    while step > best // 64:
        center = best
        for k in (center - step, center + step):
            if 1 <= k <= _MAX_RESOLUTION:
                at(k)
        best = min(errors, key=errors.__getitem__)
        if best == center:
            step //= 2
    return best


def _with_record(measure: QuantizedMeasure, record: Record | None) -> QuantizedMeasure:
    """The same measure, with another record of what is proven of it."""
    return QuantizedMeasure(measure.cells, measure.counts, measure.low, measure.high, measure.resolution, record=record)


def _near(cloud: np.ndarray, measure: QuantizedMeasure) -> QuantizedMeasure:
    """With what is known of its distance to the points, which is kept beside it and takes no bits of its file."""
    at_centres = SimpleNamespace(measure=measure, cell_moments=lambda: CellMoments(0.0, True))
    near, law = ((data_bound(cloud, of, 1), data_bound(cloud, of, 2)) for of in (at_centres, measure))
    return _with_record(measure, Record({"points": near, "law": law}, saved=False))


def _affordable(cells: int, bits: float) -> int:
    """The largest number of quanta for which the type class on `cells` cells takes at most `bits` bits."""
    if cells == 1:
        return 1
    return bisect.bisect_right(range(1, _MAX_QUANTA + 1), bits, key=lambda quanta: type_class_bits(cells, quanta))
