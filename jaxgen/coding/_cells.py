"""Cells as numbers: the row-major index of a cell, in as many words as the grid needs."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from ._coder import Words, get_field, put_field
from ._errors import CodeError
from ._multisets import SMALL

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
        out = self.room(len(cells))
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

    def room(self, m: int) -> Words:
        """Zeros for m numbers."""
        return np.zeros((m, self._words), np.uint32)


def is_wide(radices: Sequence[int]) -> bool:
    """Whether the grid has 2**62 cells or more."""
    return sum(math.log2(n) for n in radices) > 64 or math.prod(radices) >= SMALL


def _runs(items, sizes, most) -> list[list[int]]:
    """Consecutive items in runs of a total size of at most `most` (or single items)."""
    runs, room = [], 0.0
    for item, size in zip(items, sizes, strict=True):
        if not runs or size > room:
            runs.append([])
            room = most
        runs[-1].append(item)
        room -= size
    return runs
