"""Laws in quanta: counts alone, or on cells of a grid, which have row-major numbers of any size."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from ._coder import Coder, Reader, Words, Writer, code_signed, code_whole, get_field, put_field
from ._errors import CodeError
from ._fields import Input, Output
from ._multisets import SMALL, code_composition, code_multiset, code_subset, least_bits

_MAX_QUANTA = 1 << 24

# Grids with more bits a cell are cut into groups of axes, each padded to whole bits: one bit in so many is lost.
_GROUP_BITS = 4096


def row_major(cells: Int[np.ndarray, "m axes"], radices: Sequence[int]) -> Int[np.ndarray, " m"]:
    """Row-major indices, for grids of fewer than 2**62 cells."""
    index = np.zeros(len(cells), np.int64)
    for axis, radix in enumerate(radices):
        index = index * radix + cells[:, axis]
    return index


def from_row_major(index: Int[np.ndarray, " m"], radices: Sequence[int]) -> Int[np.ndarray, "m axes"]:
    """The inverse of `row_major`."""
    cells = np.empty((len(index), len(radices)), np.int64)
    for axis in reversed(range(len(radices))):
        index, cells[:, axis] = np.divmod(index, radices[axis])
    return cells


class WideIndex:
    """The index of a cell in a grid of 2**62 cells or more; its numbers are below `places`."""

    def __init__(self, radices: Sequence[int]):
        self._digits = _runs(range(len(radices)), [math.log2(n) for n in radices], 31.9)
        self._radices = [math.prod(radices[axis] for axis in run) for run in self._digits]
        self._axes = [[radices[axis] for axis in run] for run in self._digits]
        self._groups = _runs(range(len(self._digits)), [math.log2(n) for n in self._radices], _GROUP_BITS)
        sizes = [math.prod(self._radices[digit] for digit in group) for group in self._groups]
        self._bits = [(size - 1).bit_length() for size in sizes]
        self.places = sizes[0] << sum(self._bits[1:])
        self._words = -(-sum(self._bits) // 32)

    def pack(self, cells: Int[np.ndarray, "m axes"]) -> Words:
        """The numbers of cells, in their order."""
        digits = np.split(cells, np.cumsum([len(run) for run in self._digits])[:-1], axis=1)
        packed = [row_major(part, axes).astype(np.uint64) for part, axes in zip(digits, self._axes, strict=True)]
        out = self.zeros(len(cells))
        rows, offset = np.arange(len(cells)), 0
        for group, bits in zip(reversed(self._groups), reversed(self._bits), strict=True):
            words = np.zeros((-(-bits // 32), len(cells)), np.uint64)
            for digit in group:
                carry = packed[digit]
                for i in range(len(words)):
                    total = words[i] * np.uint64(self._radices[digit]) + carry
                    words[i], carry = total & np.uint64(0xFFFFFFFF), total >> np.uint64(32)
            for i in range(len(words)):
                put_field(out, rows, offset + 32 * i, words[i])
            offset += bits
        return out

    def unpack(self, numbers: Words) -> Int[np.ndarray, "m axes"]:
        """The cells of numbers. Raises `CodeError` for one that belongs to no cell."""
        digits: list[np.ndarray] = []
        rows, offset = np.arange(len(numbers)), 0
        for group, bits in zip(reversed(self._groups), reversed(self._bits), strict=True):
            words = np.zeros((-(-bits // 32), len(numbers)), np.uint64)
            for i in range(len(words)):
                part = get_field(numbers, rows, offset + 32 * i)
                last = bits - 32 * i if group is not self._groups[0] else 32
                words[i] = part & ((1 << min(last, 32)) - 1)
            for digit in reversed(group):
                rest = np.zeros(len(numbers), np.uint64)
                for i in reversed(range(len(words))):
                    words[i], rest = np.divmod(rest << np.uint64(32) | words[i], np.uint64(self._radices[digit]))
                digits.insert(0, from_row_major(rest.astype(np.int64), self._axes[digit]))
            if np.any(words):
                raise CodeError("a position lies beyond the last cell of the grid")
            offset += bits
        return np.concatenate(digits, axis=1)

    def zeros(self, m: int) -> Words:
        """The number 0, m times."""
        return np.zeros((m, self._words), np.uint32)


def is_wide(radices: Sequence[int]) -> bool:
    """Whether the grid has 2**62 cells or more."""
    return sum(math.log2(n) for n in radices) > 64 or math.prod(radices) >= SMALL


def _runs(items, sizes, most) -> list[list[int]]:
    """Consecutive items in runs of a total size of at most `most` (or single items)."""
    runs, left = [], 0.0
    for item, size in zip(items, sizes, strict=True):
        if not runs or size > left:
            runs.append([])
            left = most
        runs[-1].append(item)
        left -= size
    return runs


def write_occupied(
    out: Output,
    cells: Int[np.ndarray, "m axes"],
    counts: Int[np.ndarray, " m"],
    radices: Sequence[int],
) -> None:
    """Ends a body with a law in quanta: distinct cells of a grid, in any order, and how many quanta each holds.

    The cells are a set of m among all N, the counts m positive integers with sum K, each coded in as many bits as there
    are possibilities. Since C(N, m) C(K-1, m-1) <= C(K+N-1, N-1), no law takes more than its share of theory,
    section 8, and those with few occupied cells take less.

    **Example:**

        >>> import numpy as np, jaxgen as jg
        >>> out = jg.coding.Output()
        >>> jg.coding.write_occupied(out, np.array([[2, 2], [0, 1]]), np.array([1, 2]), (3, 3))
        >>> cells, counts = jg.coding.read_occupied(jg.coding.Input(out.finish(), version=2), (3, 3))
        >>> cells.tolist(), counts.tolist()
        ([[0, 1], [2, 2]], [2, 1])
    """
    quanta = int(counts.sum())
    out.integer(quanta)
    out.integer(len(counts))
    writer = Writer()
    order = _code_cells(writer, cells, len(counts), radices)[1]
    code_composition(writer, counts[order], len(counts), quanta)
    out.payload(writer)


def read_occupied(data: Input, radices: Sequence[int]) -> tuple[Int[np.ndarray, "m axes"], Int[np.ndarray, " m"]]:
    """The cells, in row-major order, and the counts that `write_occupied` wrote.

    **Raises:** `CodeError` for bytes that it did not write, before memory is taken for what they claim.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.coding.read_occupied(jg.coding.Input(b"\\x05\\x06", version=2), (3, 3))
        Traceback (most recent call last):
        ...
        jaxgen.coding._errors.CodeError: the file claims 6 occupied cells for 5 quanta on 2**3.2 cells
    """
    quanta, m = data.integer("quanta", _MAX_QUANTA), data.integer("the number of occupied cells", _MAX_QUANTA)
    size = sum(math.log2(n) for n in radices)
    if not (1 <= m <= quanta and math.log2(m) <= size + 1e-9):
        raise CodeError(f"the file claims {m} occupied cells for {quanta} quanta on 2**{size:.1f} cells")
    needed = least_bits(m, size) + least_bits(m - 1, math.log2(max(quanta - 1, 1)))
    data.require(needed, f"{m} cells with {quanta} quanta")
    reader = data.payload()
    cells = _code_cells(reader, None, m, radices)[0]
    counts = code_composition(reader, None, m, quanta)
    reader.finish()
    return cells, counts


def packed_bits(m: int, radices: Sequence[int]) -> float:
    """About how many plain bits `code_occupied` takes for m cells, each of which takes time."""
    return least_bits(m, sum(math.log2(n) for n in radices))


def code_occupied(
    coder: Coder,
    cells: Int[np.ndarray, "m axes"] | None,
    counts: Int[np.ndarray, " m"] | None,
    radices: Sequence[int],
) -> tuple[Int[np.ndarray, "m axes"], Int[np.ndarray, " m"]]:
    """The same law as a part of a packed body, its quanta and the number of its cells in bits as well."""
    quanta = code_whole(coder, None if counts is None else int(counts.sum()), 4)
    size = sum(math.log2(n) for n in radices)
    if not 1 <= quanta <= _MAX_QUANTA:
        raise CodeError(f"the file claims {quanta} quanta")
    # As many cells as a law of the class occupies on average, and a few more or less.
    cells_in_all = math.prod(radices)
    mean = -(-quanta * cells_in_all // (quanta + cells_in_all - 1))
    m = mean + code_signed(coder, None if counts is None else len(counts) - mean, 3)
    if not 1 <= m <= min(quanta, cells_in_all):
        raise CodeError(f"the file claims {m} occupied cells for {quanta} quanta on 2**{size:.1f} cells")
    if isinstance(coder, Reader):
        coder.require(least_bits(m, size) + least_bits(m - 1, math.log2(max(quanta - 1, 1))))
    cells, order = _code_cells(coder, cells, m, radices)
    return cells, code_composition(coder, None if counts is None else counts[order], m, quanta)


def write_composition(out: Output, counts: Int[np.ndarray, " parts"]) -> None:
    """Ends a body with positive integers, in as many bits as there are that have their number and sum, logged.

    **Example:**

        >>> import numpy as np, jaxgen as jg
        >>> out = jg.coding.Output()
        >>> jg.coding.write_composition(out, np.array([3, 1, 2]))
        >>> jg.coding.read_composition(jg.coding.Input(out.finish(), version=2), parts=3, total=6).tolist()
        [3, 1, 2]
    """
    writer = Writer()
    code_composition(writer, counts, len(counts), int(counts.sum()))
    out.payload(writer)


def read_composition(data: Input, parts: int, total: int) -> Int[np.ndarray, " parts"]:
    """The integers that `write_composition` wrote, given their number and sum.

    **Raises:** `CodeError` for bytes that it did not write, before memory is taken for what they claim.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.coding.read_composition(jg.coding.Input(b"\\0", version=2), parts=1, total=6).tolist()
        [6]
    """
    data.require(least_bits(parts - 1, math.log2(max(total - 1, 1))), f"{parts} counts with a sum of {total}")
    reader = data.payload()
    counts = code_composition(reader, None, parts, total)
    reader.finish()
    return counts


def _code_cells(coder: Coder, cells, m: int, radices) -> tuple[np.ndarray, np.ndarray]:
    """Codes m distinct cells; returns them in row-major order, and the permutation that brings them there."""
    if is_wide(radices):
        # So many places that a multiset of them costs no more than a set.
        index = WideIndex(radices)
        words = index.zeros(m) if cells is None else index.pack(cells)
        order = np.lexsort(words.T[::-1])
        words = words[order]
        code_multiset(coder, words, index.places)
        if np.any(np.all(words[1:] == words[:-1], axis=1)):
            raise CodeError("the file holds a cell twice")
        return index.unpack(words) if cells is None else cells[order], order
    places = math.prod(radices)
    if m > places:
        raise CodeError(f"the file claims {m} occupied cells, but the grid has {places}")
    values = None if cells is None else row_major(cells, radices)
    order = np.arange(m) if values is None else np.argsort(values)
    values = code_subset(coder, None if values is None else values[order], m, places)
    return from_row_major(values, radices), order
