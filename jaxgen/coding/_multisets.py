"""Multisets of places, subsets of them, and compositions of a number: all in as many bits as there are of them, logged.

The one thing that is coded is a multiset of k items on n places, each of the C(n + k - 1, k) equally likely. The places
are cut into buckets of a power of two, about one an item; the occupancies are coded (`_range`), an item alone in its
bucket is told by plain bits, and a bucket with several is a smaller problem of the same kind. All problems of one depth
are coded together. A place is a number of any size, so a sparse law on 3**192 cells is coded like a dense one on ten.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Int

from ._coder import Coder, Words, get_field, put_field
from ._errors import CodeError

# Below this many places their numbers, and sums of two, fit int64.
SMALL = 1 << 62


def code_multiset(coder: Coder, words: Words, places: int, tails: bool = True) -> None:
    """Codes the sorted `words`, each below `places`; a reader gets words that are zero, and fills them.

    A reader may fill in numbers of `places` and above, up to twice as large: the caller has to look. Without `tails`
    every place is a bucket of its own, which takes time in proportion to the places, and no plain bits.
    """
    items = len(words)
    if items == 0 or places < 2:
        return
    bits = min((places // items).bit_length(), (places - 1).bit_length()) - 1
    bits = max(bits, 0) if tails else 0
    problems = np.array([[items], [((places - 1) >> bits) + 1], [bits]], np.int64)
    rows = np.arange(items)
    while problems.size:
        sizes, buckets, shifts = problems
        base = np.repeat(np.cumsum(buckets) - buckets, sizes)
        shift = np.repeat(shifts, sizes)
        mask = np.repeat(_mask(buckets), sizes)
        place = None if coder.reading else base + (get_field(words, rows, shift) & mask)
        # The model knows no difference between buckets of 2**28 places and larger ones.
        counts = coder.occupancies(np.stack([sizes, buckets, np.minimum(shifts, 28)]), place)
        if coder.reading:
            put_field(words, rows, shift, np.repeat(np.arange(len(counts)), counts) - base)
        held = counts[counts > 0]
        alone = np.repeat(held == 1, held)
        for width in np.unique(shift[alone & (shift > 0)]):
            coder.tails(words, rows[alone & (shift == width)], int(width))
        first = np.cumsum(held) - held
        again = (held > 1) & (shift[first] > 0)
        rows, sizes, shifts = rows[np.repeat(again, held)], held[again], shift[first[again]]
        # About four buckets an item, so that near duplicates are told apart in few rounds.
        cut = np.minimum(np.frexp(sizes.astype(np.float64))[1] + 1, shifts)
        problems = np.stack([sizes, 1 << cut, shifts - cut])


def _mask(buckets):
    return (1 << np.frexp((buckets - 1).astype(np.float64))[1].astype(np.int64)) - 1


def _code_sorted(
    coder: Coder, values: Int[np.ndarray, " items"] | None, items: int, places: int, tails: bool = True
) -> Any:
    """A multiset of `items` places below `places < SMALL`, as sorted int64."""
    if places - 1 < items:
        # Stars and bars change parts: bar j of places - 1 stands behind the stars below j.
        bars = None if values is None else np.searchsorted(values, np.arange(1, places))
        bars = _code_sorted(coder, bars, places - 1, items + 1, tails)
        return np.searchsorted(bars, np.arange(items), side="right")
    words = np.zeros((items, 2), np.uint32)
    if values is not None:
        words[:, 0], words[:, 1] = values >> 32, values & 0xFFFFFFFF
    code_multiset(coder, words, places, tails)
    values = words[:, 0].astype(np.int64) << 32 | words[:, 1]
    if items and values[-1] >= places:
        raise CodeError(f"a position lies beyond the last of {places} places")
    return values


def code_subset(
    coder: Coder, values: Int[np.ndarray, " items"] | None, items: int, places: int, tails: bool = True
) -> Any:
    """A set of `items` distinct places below `places < SMALL`, as sorted int64."""
    rank = np.arange(items)
    return _code_sorted(coder, None if values is None else values - rank, items, places - items + 1, tails) + rank


def code_composition(
    coder: Coder, counts: Int[np.ndarray, " parts"] | None, parts: int, total: int, tails: bool = True
) -> Any:
    """`parts` positive integers that sum to `total`, as int64."""
    free = total - parts
    bars = None if counts is None else np.cumsum(counts.astype(np.int64) - 1)[:-1]
    bars = _code_sorted(coder, bars, parts - 1, free + 1, tails)
    return np.diff(bars, prepend=0, append=free) + 1


def least_bits(items: int, log2_places: float) -> float:
    """A lower bound on the logarithm of the number of sets of `items` among 2**log2_places places: (n / k)**k."""
    if items == 0:
        return 0.0
    k = min(float(items), 2.0**log2_places - items) if log2_places < 62 else float(items)
    return k * (log2_places - math.log2(k)) if k > 0 else 0.0
