"""Writing and reading a payload: occupancies through the range coder, and plain bits beside them.

`Writer` and `Reader` have the same methods, so that what is coded is written down once, for both directions: a writer
is given the values, a reader is given `None` (or zeros to fill) and returns the values.
"""

import numpy as np
from jaxtyping import Bool, Int, UInt8, UInt32

from ._decisions import EVEN
from ._errors import CodeError
from ._range import RangeDecoder, RangeEncoder

Words = UInt32[np.ndarray, "items words"]  # unsigned numbers, most significant word first


def get_field(words: Words, rows: Int[np.ndarray, " n"], shift: Int[np.ndarray, " n"] | int) -> np.ndarray:
    """The 32 bits of each number from bit `shift` upwards."""
    at = words.shape[1] - 1 - np.asarray(shift) // 32
    low = words[rows, at].astype(np.uint64)
    high = np.where(at > 0, words[rows, np.maximum(at - 1, 0)], 0).astype(np.uint64)
    return ((high << np.uint64(32) | low) >> np.asarray(shift % 32, np.uint64) & np.uint64(0xFFFFFFFF)).astype(np.int64)


def put_field(
    words: Words, rows: Int[np.ndarray, " n"], shift: Int[np.ndarray, " n"] | int, values: np.ndarray
) -> None:
    """Sets bits that were zero; the inverse of `get_field`."""
    at = words.shape[1] - 1 - np.asarray(shift) // 32
    both = values.astype(np.uint64) << np.asarray(shift % 32, np.uint64)
    words[rows, at] |= both.astype(np.uint32)
    words[rows, np.maximum(at - 1, 0)] |= np.where(at > 0, both >> np.uint64(32), 0).astype(np.uint32)


class Writer:
    """Collects a payload."""

    reading = False

    def __init__(self):
        self._range = RangeEncoder()
        self._used = False
        self._bytes: list[UInt8[np.ndarray, " bytes"]] = []
        self._rest = np.zeros(0, np.uint8)  # bits that do not fill a byte yet

    def occupancies(
        self, problems: Int[np.ndarray, "3 problems"], places: Int[np.ndarray, " items"] | None
    ) -> np.ndarray:
        """Codes how many items are in each bucket, given the bucket of each; returns the counts."""
        assert places is not None
        counts = np.bincount(places, minlength=int(problems[1].sum()))
        self._range.write(counts.astype(np.uint32), problems.astype(np.uint32))
        self._used = True
        return counts

    def decisions(self, words: UInt32[np.ndarray, " n"], answers: Bool[np.ndarray, " n"] | None) -> np.ndarray:
        """Codes answers to binary questions of known probabilities (`packed`); returns them."""
        assert answers is not None
        self._range.decide(words | answers.astype(np.uint32) << np.uint32(31))
        self._used = True
        return answers

    def tails(self, words: Words, rows: Int[np.ndarray, " n"], bits: int) -> None:
        """Codes the lowest `bits` bits of some of the numbers as they are."""
        size = -(-bits // 32)
        for some in _chunks(rows, bits):
            part = np.ascontiguousarray(words[some, words.shape[1] - size :], ">u4").view(np.uint8)
            new = np.unpackbits(part.reshape(len(some), 4 * size), axis=1)[:, 32 * size - bits :]
            new = np.concatenate([self._rest, new.ravel()])
            whole = len(new) // 8 * 8
            self._bytes.append(np.packbits(new[:whole]))
            self._rest = new[whole:]

    def finish(self) -> tuple[bytes, bytes]:
        """The bytes of the range coder, and the plain bits."""
        first = self._range.finish() if self._used else b""
        return first, np.concatenate([*self._bytes, np.packbits(self._rest)]).tobytes()


class Reader:
    """Takes a payload apart. Whatever the bytes, memory stays in proportion to the items asked for."""

    reading = True

    def __init__(self, first: bytes, second: bytes):
        if first[:4] == b"\xff" * 4:
            raise CodeError("the counts are damaged: no number in the code begins so")
        self._first, self._second = first, np.frombuffer(second, np.uint8)
        self._range = RangeDecoder(first)
        self._used, self._place = False, 0

    def occupancies(self, problems: Int[np.ndarray, "3 problems"], places: np.ndarray | None) -> np.ndarray:
        """Reads how many items are in each bucket."""
        self._used = True
        return self._range.read(problems.astype(np.uint32)).astype(np.int64)

    def decisions(self, words: UInt32[np.ndarray, " n"], answers: Bool[np.ndarray, " n"] | None) -> np.ndarray:
        """Reads answers to binary questions of known probabilities."""
        self._used = True
        return self._range.decide(words)

    def tails(self, words: Words, rows: Int[np.ndarray, " n"], bits: int) -> None:
        """Reads the lowest `bits` bits of some of the numbers."""
        if self._place + len(rows) * bits > 8 * len(self._second):
            raise CodeError("the file is cut short: the plain bits end too early")
        size = -(-bits // 32)
        for some in _chunks(rows, bits):
            end = self._place + len(some) * bits
            part = np.unpackbits(self._second[self._place // 8 : -(-end // 8)])
            part = part[self._place % 8 :][: end - self._place].reshape(len(some), bits)
            whole = np.zeros((len(some), 32 * size), np.uint8)
            whole[:, 32 * size - bits :] = part
            words[some, words.shape[1] - size :] |= np.packbits(whole, axis=1).view(">u4").astype(np.uint32)
            self._place = end

    @property
    def size(self) -> int:
        """Bytes of the payload."""
        return len(self._first) + len(self._second)

    def require(self, bits: float | int) -> None:
        """Raises `CodeError` unless the payload can hold so many bits, before memory is taken for them."""
        if bits > 8.1 * self.size + 64:
            raise CodeError("the file claims more weights than it can hold")

    def finish(self) -> None:
        """Raises `CodeError` unless exactly everything has been read."""
        if len(self._first) != (self._range.used if self._used else 0):
            raise CodeError("the counts do not end where the file says they end")
        if self._used and not self._range.shortest:
            raise CodeError("the counts do not end as they are written")
        spare = 8 * len(self._second) - self._place
        if not 0 <= spare < 8 or (spare and int(self._second[-1]) & ((1 << spare) - 1)):
            raise CodeError("something follows what the file holds")


class PackedWriter(Writer):
    """Plain bits go through the range coder too: no second part, no length and nothing to round up to whole bytes."""

    def tails(self, words: Words, rows: Int[np.ndarray, " n"], bits: int) -> None:
        """Codes the lowest `bits` bits of some of the numbers as they are."""
        part = np.ascontiguousarray(words[rows], ">u4").view(np.uint8).reshape(len(rows), 4 * words.shape[1])
        answers = np.unpackbits(part, axis=1)[:, 32 * words.shape[1] - bits :].ravel().astype(bool)
        self.decisions(np.full(len(answers), EVEN, np.uint32), answers)

    def number(self, value: int, bits: int) -> None:
        """Codes one number of so many bits."""
        self._used = True
        self._range.number(value, bits)

    def finish(self) -> tuple[bytes, bytes]:
        """The bytes of the range coder, and none."""
        return super().finish()[0], b""


class PackedReader(Reader):
    """Reads what a `PackedWriter` has collected."""

    def __init__(self, data: bytes):
        super().__init__(data, b"")

    def tails(self, words: Words, rows: Int[np.ndarray, " n"], bits: int) -> None:
        """Reads the lowest `bits` bits of some of the numbers."""
        self.require(len(rows) * bits)
        whole = np.zeros((len(rows), 32 * words.shape[1]), np.uint8)
        answers = self.decisions(np.full(len(rows) * bits, EVEN, np.uint32), None)
        whole[:, 32 * words.shape[1] - bits :] = answers.reshape(len(rows), bits)
        words[rows] |= np.packbits(whole, axis=1).view(">u4").astype(np.uint32)

    def number(self, bits: int) -> int:
        """Reads one number of so many bits."""
        self._used = True
        return self._range.number(bits)


def _chunks(rows, bits):
    """Parts of the rows of a few million bits together, so that unpacked bits take little memory."""
    step = max(1, (1 << 23) // bits)
    return (rows[i : i + step] for i in range(0, len(rows), step))


Coder = Writer | Reader


def code_number(coder: Coder, value: int | None, bits: int) -> int:
    """Codes one number below 2**bits, bits <= 64."""
    if isinstance(coder, PackedReader):
        return coder.number(bits)
    if isinstance(coder, PackedWriter):
        coder.number(value or 0, bits)
        return value or 0
    words = np.array([[(value or 0) >> 32, (value or 0) & 0xFFFFFFFF]], np.uint32)
    if bits:
        coder.tails(words, np.zeros(1, np.int64), bits)
    return int(words[0, 0]) << 32 | int(words[0, 1])


def code_whole(coder: Coder, value: int | None, size: int) -> int:
    """Codes a nonnegative integer of any size: `size` bits for the number of its own bits, and all but the first.

    Where `size` bits are too few for the length they are all ones, and `code_small` says what is missing.
    """
    most = (1 << size) - 1
    length = code_number(coder, None if value is None else min(value.bit_length(), most), size)
    if length == most:
        length += code_small(coder, None if value is None else value.bit_length() - most)
    return code_bits(coder, value, length)


def code_bits(coder: Coder, value: int | None, length: int) -> int:
    """Codes a nonnegative integer whose number of bits is known: all of them but the first."""
    if length < 0:
        raise CodeError("the file claims a number of fewer bits than none")
    if isinstance(coder, Reader):
        coder.require(length)
    low, rest = 0, max(length - 1, 0)
    while rest:
        part = min(rest, 32)
        rest -= part
        low = low << part | code_number(coder, None if value is None else value >> rest & ((1 << part) - 1), part)
    return low | (1 << length >> 1)


def code_signed(coder: Coder, value: int | None, size: int) -> int:
    """The same for any integer: 0, -1, 1, -2, ... are 0, 1, 2, 3, ..."""
    return _unfolded(code_whole(coder, None if value is None else _folded(value), size))


def _folded(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def _unfolded(folded: int) -> int:
    return folded >> 1 if folded % 2 == 0 else -(folded >> 1) - 1


def code_small(coder: Coder, value: int | None) -> int:
    """A nonnegative integer that is likely small: 0 in one bit, 1 and 2 in three, and so on (Elias' gamma code)."""
    length = 0
    while code_number(coder, None if value is None else (value + 1).bit_length() - 1 > length, 1):
        length += 1
        if length > 60:
            raise CodeError("a small number in the file is not small")
    return (1 << length) - 1 + code_number(coder, None if value is None else value + 1 - (1 << length), length)


def code_near(coder: Coder, value: int | None) -> int:
    """The same for any integer: 0, -1, 1, -2, ... are 0, 1, 2, 3, ..."""
    return _unfolded(code_small(coder, None if value is None else _folded(value)))
