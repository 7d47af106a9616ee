"""Sequences of integers: as they are or as increments, against an earlier one or not, each in few bits.

What is left after that, nonnegative integers, is told in the shortest of three ways:

- by rounds: a quotient q in unary, one question a round for all that are left, and then the rest of each number in
  plain bits. Either q is the number without its last r bits, or it is the number of its bits. The questions of a round
  have the probability 1/2, or their own, which is told first;
- by a tree: bit by bit, the first few of them with the probabilities, told first, that they have among the numbers that
  agree so far.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, UInt64

from ._coder import Coder, Reader, code_number, code_signed, code_small
from ._decisions import EVEN, packed
from ._errors import CodeError

Integers = Int[np.ndarray, " n"]

_ROUNDS = 80  # at most, so that a few far numbers do not make many rounds
_LENGTHS = 64  # stands for r, where q is the number of bits
_DEEPEST = 10  # bits that are told by a tree
_SHIFTS = (0, 1, -1)


class Pool:
    """What has been told so far, the last one first: sequences, and numbers that are no sequence."""

    def __init__(self):
        self._kept: list[Integers] = []
        self.numbers: list[float] = [1.0, 0.0]

    def copy(self) -> "Pool":
        """One that goes on by itself."""
        other = Pool()
        other._kept, other.numbers = self._kept.copy(), self.numbers.copy()
        return other

    def add(self, values: Integers) -> None:
        """Keeps a sequence, if it is long enough to be of use."""
        if len(values) >= _WORTH:
            self._kept.insert(0, values)
            del self._kept[_KEPT:]

    def aligned(self, place: int, increments: bool, shift: int, size: int) -> Integers:
        """A sequence, or its increments, moved by a shift and stretched by its ends to the size."""
        if place >= len(self._kept):
            raise CodeError("the file refers to a sequence that it does not hold")
        series = np.diff(self._kept[place]) if increments else self._kept[place]
        return series[np.clip(np.arange(size) + shift, 0, len(series) - 1)]

    def nearest(self, values: Integers) -> tuple[int, bool, int] | None:
        """Which of them agrees with the values at most places, if with more than half of them."""
        best, most = None, len(values) / 2
        for place, known in enumerate(self._kept):
            if abs(len(known) - len(values)) > 2:
                continue
            for increments in (False, True):
                for shift in _SHIFTS:
                    equal = np.count_nonzero(self.aligned(place, increments, shift, len(values)) == values)
                    if equal > most:
                        best, most = (place, increments, shift), equal
        return best


_WORTH, _KEPT = 8, 32


class _Plan(NamedTuple):
    """How nonnegative numbers are told, and about how many bits that takes.

    - `cut`: r, or `_LENGTHS` where q is the number of bits, or the number of bits that are told by a tree above that.
    """

    bits: float
    cut: int
    told: bool


def code_sequence(coder: Coder, values: Integers | None, size: int, pool: Pool) -> Integers:
    """Codes so many integers of 64 bits; sums and differences wrap around. They are added to the pool."""
    if size == 0:
        return np.zeros(0, np.int64)
    form = None if values is None else _form(values, pool)
    out = _code_formed(coder, values, size, pool, form, True)
    pool.add(out)
    return out


def _code_formed(coder: Coder, values: Integers | None, size: int, pool: Pool, form, whole: bool) -> Integers:
    """One number, if all are that; or the first and the increments; or what is left beside a reference."""
    with np.errstate(over="ignore"):
        constant = None if values is None else bool(np.all(values == values[0]))
        if size == 1 or code_number(coder, constant, 1):
            first = _as_int64(code_signed(coder, None if values is None else int(values[0]), 3))
            return np.full(size, first, np.int64)
        if whole and code_number(coder, None if form is None else form.increments, 1):
            first = _code_formed(coder, None if values is None else values[:1], 1, pool, None, False)
            rest = None if values is None else np.diff(values)
            steps = _code_formed(coder, rest, size - 1, pool, form, False)
            return np.cumsum(np.concatenate([first, steps]))
        base = _code_reference(coder, None if form is None else form.reference, size, pool)
        rest = values if base is None or values is None else values - base
        zigzag = bool(code_number(coder, None if form is None else form.zigzag, 1))
        least = np.int64(0)
        if not zigzag:
            least = np.int64(_as_int64(code_signed(coder, None if rest is None else int(rest.min()), 3)))
        folded = None if rest is None else _folded(rest) if zigzag else (rest - least).view(np.uint64)
        folded = _code_naturals(coder, folded, size, None if form is None else form.plan)
        out = _unfolded(folded) if zigzag else folded.view(np.int64) + least
        return out if base is None else out + base


def sequence_bits(values: Integers, pool: Pool) -> float:
    """About how many bits `code_sequence` takes."""
    return _form(values, pool).plan.bits if len(values) else 0.0


class _Form(NamedTuple):
    increments: bool
    reference: tuple[int, bool, int] | None
    zigzag: bool
    plan: _Plan


def _form(values: Integers, pool: Pool) -> _Form:
    """The shortest form, by an estimate."""
    if np.all(values == values[0]):
        return _Form(False, None, False, _Plan(_signed_bits(values[0]), 0, False))
    forms = []
    with np.errstate(over="ignore"):
        for increments in (False, True):
            series = np.diff(values) if increments else values
            extra = _signed_bits(values[0]) if increments else 0.0
            if np.all(series == series[0]):
                forms.append(_Form(increments, None, False, _Plan(extra + _signed_bits(series[0]) + 3, 0, False)))
                continue
            nearest = pool.nearest(series) if len(series) >= _WORTH else None
            for reference in dict.fromkeys((None, nearest)):
                rest = series if reference is None else series - pool.aligned(*reference, size=len(series))
                more = extra + 8 + (0 if reference is None else 8)
                least = rest.min()
                for zigzag in (False, True):
                    plan = _plan(_folded(rest) if zigzag else (rest - least).view(np.uint64))
                    bits = plan.bits + more + (0 if zigzag else _signed_bits(least))
                    forms.append(_Form(increments, reference, zigzag, plan._replace(bits=bits)))
    return min(forms, key=lambda form: form.plan.bits)


def _signed_bits(value: np.int64) -> float:
    return 3.0 + max(int(value).bit_length(), 0)


def _code_reference(coder: Coder, reference, size: int, pool: Pool) -> Integers | None:
    if not code_number(coder, reference is not None, 1):
        return None
    place = code_small(coder, None if reference is None else reference[0])
    increments = bool(code_number(coder, None if reference is None else reference[1], 1))
    shift = code_number(coder, None if reference is None else _SHIFTS.index(reference[2]), 2)
    if shift >= len(_SHIFTS):
        raise CodeError("the file refers to a sequence in an unknown way")
    return pool.aligned(place, increments, _SHIFTS[shift], size)


def _plan(numbers: UInt64[np.ndarray, " n"]) -> _Plan:
    lengths = _lengths(numbers)
    around = int(math.log2(float(numbers.mean(dtype=np.float64)) + 1))
    plans = []
    for cut in {_LENGTHS, *range(max(around - 1, 0), min(around + 2, 63))}:
        quotient = _quotients(numbers, lengths, cut)
        if int(quotient.max()) > _ROUNDS:
            continue
        held = np.bincount(quotient.astype(np.int64))
        left = held[::-1].cumsum()[::-1].astype(np.float64)  # at the start of each round
        plain = float(np.maximum(lengths - 1, 0).sum()) if cut == _LENGTHS else float(cut * len(numbers))
        asked, yes = left[:-1], left[1:]
        plans += [
            _Plan(plain + float(asked.sum()), cut, False),
            _Plan(plain + float(_told_bits(asked, yes).sum()), cut, True),
        ]
    most = int(lengths.max())
    # Each of so many numbers, or the first bits, has a probability of its own.
    bits = min(most, _DEEPEST)
    held = np.bincount((numbers >> np.uint64(most - bits)).astype(np.int64), minlength=1 << bits)
    total = float(len(numbers) * most)
    for depth in range(bits):
        ones = held.reshape(1 << depth, 2, -1).sum(axis=2).astype(np.float64)
        total += float(_told_bits(ones.sum(axis=1), ones[:, 1]).sum()) - len(numbers)
        plans.append(_Plan(total, _LENGTHS + 1 + depth, True))
    return min(plans)


def _told_bits(asked: np.ndarray, yes: np.ndarray) -> np.ndarray:
    """Of so many questions with so many answers yes, and their number."""
    share = yes / np.maximum(asked, 1)
    return asked * _entropy(share) + np.ceil(np.log2(asked + 1))


def _entropy(share: np.ndarray) -> np.ndarray:
    other = 1 - share
    return -share * np.log2(np.where(share > 0, share, 1)) - other * np.log2(np.where(other > 0, other, 1))


def _code_naturals(coder: Coder, numbers: UInt64[np.ndarray, " n"] | None, size: int, plan: _Plan | None):
    cut = code_number(coder, None if plan is None else plan.cut, 7)
    if cut > _LENGTHS:
        return _code_tree(coder, numbers, size, cut - _LENGTHS)
    told = bool(code_number(coder, None if plan is None else plan.told, 1))
    quotient = None if numbers is None else _quotients(numbers, _lengths(numbers), cut)
    rounds = code_small(coder, None if quotient is None else int(quotient.max()))
    if rounds > (64 if cut == _LENGTHS else _ROUNDS):
        raise CodeError("the file holds numbers that it does not write so")
    found, left = np.zeros(size, np.int64), np.arange(size)
    for step in range(rounds):
        more = None if quotient is None else quotient[left] > step
        left = left[_code_flags(coder, more, len(left), told)]
        found[left] += 1
    if cut < _LENGTHS:
        return _code_rests(coder, numbers, np.full(size, cut), found.astype(np.uint64) << np.uint64(cut))
    rests = np.maximum(found - 1, 0)
    top = np.where(found > 0, np.uint64(1) << rests.astype(np.uint64), np.uint64(0))
    return _code_rests(coder, numbers, rests, top)


def _code_tree(coder: Coder, numbers: UInt64[np.ndarray, " n"] | None, size: int, told: int):
    most = code_number(coder, None if numbers is None else int(_lengths(numbers).max()), 7)
    if not told <= min(most, _DEEPEST) or most > 64:
        raise CodeError("the file holds numbers that it does not write so")
    top, words = np.zeros(size, np.int64), np.empty(size, np.uint32)
    for depth in range(told):
        bit = None if numbers is None else (numbers >> np.uint64(most - 1 - depth) & np.uint64(1)).astype(bool)
        order = np.argsort(top, kind="stable")
        starts = np.flatnonzero(np.diff(top[order], prepend=-1))
        answers = np.zeros(size, bool)
        asked = np.ones(size, bool)
        for start, stop in zip(starts, [*starts[1:], size], strict=True):
            group = order[start:stop]
            ones = _code_share(coder, None if bit is None else int(bit[group].sum()), len(group))
            if ones in (0, len(group)):
                answers[group], asked[group] = ones > 0, False
            else:
                words[group] = packed(np.array([ones]), np.array([len(group)]))
        answers[asked] = coder.decisions(words[asked], None if bit is None else bit[asked])
        top = 2 * top + answers
    rest = most - told
    return _code_rests(coder, numbers, np.full(size, rest), top.astype(np.uint64) << np.uint64(rest))


def _code_rests(coder: Coder, numbers, bits: Integers, top: UInt64[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    """Adds to the upper part of each number so many plain bits."""
    words = np.zeros((len(bits), 2), np.uint32)
    if numbers is not None:
        words[:, 0], words[:, 1] = numbers >> np.uint64(32), numbers & np.uint64(0xFFFFFFFF)
    for length in np.unique(bits[bits > 0]):
        coder.tails(words, np.flatnonzero(bits == length), int(length))
    if numbers is not None:
        return numbers
    return words[:, 0].astype(np.uint64) << np.uint64(32) | words[:, 1].astype(np.uint64) | top


def _code_share(coder: Coder, ones: int | None, size: int) -> int:
    """How many of so many answers are yes."""
    ones = code_number(coder, ones, size.bit_length())
    if ones > size:
        raise CodeError(f"the file claims that {ones} of {size} answers are yes")
    return ones


def _code_flags(coder: Coder, flags: Bool[np.ndarray, " n"] | None, size: int, told: bool) -> Bool[np.ndarray, " n"]:
    """So many answers, as likely as they are if that is told, else as likely as not."""
    words = np.full(size, EVEN, np.uint32)
    if told:
        ones = _code_share(coder, None if flags is None else int(flags.sum()), size)
        if ones in (0, size):
            return np.full(size, ones > 0)
        words[:] = packed(np.array([ones]), np.array([size]))
    if isinstance(coder, Reader) and not told:
        coder.require(size)
    return coder.decisions(words, flags)


def _quotients(numbers, lengths, cut: int):
    return lengths if cut == _LENGTHS else numbers >> np.uint64(cut)


def _lengths(numbers: UInt64[np.ndarray, " n"]) -> Integers:
    high, low = numbers >> np.uint64(32), numbers & np.uint64(0xFFFFFFFF)
    above, below = (np.frexp(half.astype(np.float64))[1] for half in (high, low))
    return np.where(high > 0, 32 + above, below).astype(np.int64)


def _folded(values: Integers) -> UInt64[np.ndarray, " n"]:
    """0, -1, 1, -2, ... to 0, 1, 2, 3, ..."""
    return ((values << 1) ^ (values >> 63)).view(np.uint64)


def _unfolded(numbers: UInt64[np.ndarray, " n"]) -> Integers:
    return (numbers >> np.uint64(1)).view(np.int64) ^ -(numbers & np.uint64(1)).view(np.int64)


def _as_int64(value: int) -> int:
    if not -(1 << 63) <= value < 1 << 63:
        raise CodeError("the file holds a number of more than 64 bits")
    return value
