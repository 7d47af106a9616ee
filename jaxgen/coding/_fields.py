"""The fields of a file's header: varints, floats, boxes and text, written and read byte by byte."""

import json
from typing import Any

import numpy as np
from jaxtyping import Float

from ._coder import Reader, Writer
from ._errors import CodeError


class Output:
    """Bytes being written."""

    def __init__(self):
        self._parts: list[bytes] = []

    def raw(self, data: bytes) -> None:
        self._parts.append(data)

    def byte(self, value: int) -> None:
        self._parts.append(bytes([value]))

    def integer(self, value: int) -> None:
        """A nonnegative integer, seven bits a byte, the lowest first (LEB128)."""
        while value > 0x7F:
            self.byte(value & 0x7F | 0x80)
            value >>= 7
        self.byte(value)

    def floats(self, values: Any) -> None:
        self._parts.append(np.asarray(values, "<f8").tobytes())

    def payload(self, writer: Writer) -> None:
        """Ends the file's body: what a `Writer` has collected."""
        first, second = writer.finish()
        self.integer(len(first))
        self.raw(first + second)

    def finish(self) -> bytes:
        return b"".join(self._parts)


class Input:
    """Bytes being read; every method raises `CodeError` where they end too early."""

    def __init__(self, data: bytes):
        self._data, self._place = data, 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self._place

    def raw(self, size: int) -> bytes:
        if size > self.left:
            raise CodeError(f"the file is cut short: {size} more bytes were expected, {self.left} are there")
        self._place += size
        return self._data[self._place - size : self._place]

    def byte(self) -> int:
        return self.raw(1)[0]

    def integer(self, name: str, most: int) -> int:
        """A nonnegative integer of at most `most`."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if value > most or shift > 70:
                raise CodeError(f"the file claims {name} = {value} or more; at most {most} is possible")
            if byte < 0x80:
                return value

    def floats(self, size: int) -> Float[np.ndarray, " size"]:
        return np.frombuffer(self.raw(8 * size), "<f8").astype(np.float64)

    def payload(self) -> Reader:
        """What is left, as a `Reader`."""
        first = self.raw(self.integer("the length of the counts", self.left))
        return Reader(first, self.raw(self.left))

    def require(self, bits: float, what: str) -> None:
        """Raises `CodeError` unless what is left can hold so many bits, before memory is taken for them."""
        if bits > 8.1 * self.left + 64:
            raise CodeError(f"the file claims {what}, {bits:.0f} bits or more, but only {8 * self.left} are left")


# How the corners of a box are written: the whole corner is 0, or 1, or one number; or axis by axis.
_ZEROS, _ONES, _SAME, _MIXED = range(4)


def corner_kind(corner: Float[np.ndarray, " d"]) -> int:
    """Two bits that say how `write_corner` writes a corner."""
    if np.all(corner == 0):
        return _ZEROS
    if np.all(corner == 1):
        return _ONES
    return _SAME if np.all(corner == corner[0]) else _MIXED


def write_corner(out: Output, corner: Float[np.ndarray, " d"]) -> None:
    """64 bits for each bound that is neither 0 nor 1 (once, if they are all the same), two flag bits for the others."""
    kind = corner_kind(corner)
    if kind == _SAME:
        out.floats(corner[:1])
    if kind == _MIXED:
        flags = np.stack([corner == 1, (corner != 0) & (corner != 1)], axis=1)
        out.raw(np.packbits(flags).tobytes())
        out.floats(corner[flags[:, 1]])


def read_corner(data: Input, kind: int, dim: int) -> Float[np.ndarray, " d"]:
    """The corner that `write_corner` wrote."""
    if kind == _MIXED:
        flags = np.unpackbits(np.frombuffer(data.raw(-(-dim // 4)), np.uint8))[: 2 * dim].reshape(dim, 2)
        corner = flags[:, 0].astype(np.float64)
        explicit = flags[:, 1] == 1
        corner[explicit] = data.floats(int(explicit.sum()))
        return corner
    return np.full(dim, data.floats(1)[0] if kind == _SAME else float(kind))


def write_text(out: Output, vocabulary: tuple[str | int, ...] | None, metadata: Any) -> None:
    """What is not numbers, as JSON: labels, and metadata if the object has any. One byte if there is nothing."""
    fields: dict[str, Any] = {}
    if vocabulary is not None:
        if not all(type(label) in (str, int) for label in vocabulary):
            raise TypeError(f"labels must be strings or integers to be encoded; got {vocabulary!r}")
        fields["vocabulary"] = vocabulary
    if metadata is not None:
        fields["metadata"] = metadata
    try:
        text = (
            json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() if fields else b""
        )
    except (TypeError, ValueError) as error:
        raise TypeError(f"metadata must be representable in JSON to be encoded: {error}") from None
    out.integer(len(text))
    out.raw(text)


def read_text(data: Input) -> tuple[tuple[str | int, ...] | None, Any]:
    """The vocabulary and the metadata, or `None`; lists come back as tuples."""
    text = data.raw(data.integer("the length of the text", data.left))
    if not text:
        return None, None
    try:
        fields = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise CodeError(f"the text in the file is not JSON: {error}") from None
    if not isinstance(fields, dict) or not fields or set(fields) - {"vocabulary", "metadata"}:
        raise CodeError("the text in the file must hold a vocabulary, metadata, or both")
    vocabulary = fields.get("vocabulary")
    if "vocabulary" in fields and not (
        isinstance(vocabulary, list) and vocabulary and all(type(label) in (str, int) for label in vocabulary)
    ):
        raise CodeError("the vocabulary in the file must be a list of strings and integers")
    return None if vocabulary is None else tuple(vocabulary), _as_tuples(fields.get("metadata"))


def _as_tuples(value):
    # Metadata are static fields, which must be hashable as far as they can be.
    if isinstance(value, list):
        return tuple(_as_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _as_tuples(item) for key, item in value.items()}
    return value


def float32_if_exact(values: np.ndarray) -> np.ndarray:
    """The shorter of the two float types that holds the values exactly."""
    with np.errstate(over="ignore"):
        short = values.astype("<f4")
    return short if np.array_equal(short.astype(np.float64), values) else values.astype("<f8")


def read_values(data: Input, double: bool, size: int) -> np.ndarray:
    """Values that `float32_if_exact` made short, or did not."""
    dtype = np.dtype("<f8" if double else "<f4")
    with np.errstate(invalid="ignore"):  # damaged files may hold signaling NaN, which the caller refuses
        return np.frombuffer(data.raw(size * dtype.itemsize), dtype).astype(np.float64)
