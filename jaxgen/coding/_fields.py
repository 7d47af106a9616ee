"""The parts that a file is made of, byte by byte: integers, numbers, text, JSON, and sections by their numbers."""

import json
from typing import Any

import numpy as np
from jaxtyping import Float

from ._coder import Reader, Writer
from ._errors import CodeError
from ._numbers import float_bytes, natural_bytes, read_float


class Output:
    """Bytes being written, and sections that stand before them; `depth` counts the objects around this one.

    **Example:**

        >>> import jaxgen as jg
        >>> out = jg.coding.Output()
        >>> out.integer(300)
        >>> out.numbers([0.5, 1.0])
        >>> out.text("é")
        >>> out.finish().hex(" ")
        'ac 02 61 80 71 80 02 c3 a9'
    """

    def __init__(self, depth: int = 0):
        self.depth = depth
        self._parts: list[bytes | memoryview] = []
        self.sections: dict[int, bytes] = {}

    def raw(self, data: bytes | memoryview) -> None:
        """Bytes as they are.

        **Example:**

            >>> from jaxgen.coding import Input, Output
            >>> out = Output()
            >>> out.raw(b"as it is")
            >>> out.finish()
            b'as it is'
        """
        self._parts.append(data)

    def byte(self, value: int) -> None:
        """An integer below 256.

        **Example:**

            >>> from jaxgen.coding import Input, Output
            >>> out = Output()
            >>> out.byte(255)
            >>> out.finish()
            b'\\xff'
        """
        self._parts.append(bytes([value]))

    def integer(self, value: int) -> None:
        """A nonnegative integer.

        **Example:**

            >>> from jaxgen.coding import Input, Output
            >>> out = Output()
            >>> out.integer(127)
            >>> out.integer(128)
            >>> out.finish()
            b'\\x7f\\x80\\x01'
        """
        self._parts.append(natural_bytes(value))

    def numbers(self, values: Any) -> None:
        """Floats, exactly, each in as many bytes as it needs.

        **Example:**

            >>> from jaxgen.coding import Input, Output
            >>> out = Output()
            >>> out.numbers([1.0, 0.1])
            >>> Input(out.finish(), version=2).numbers(2).tolist()
            [1.0, 0.1]
        """
        self._parts += [float_bytes(float(value)) for value in np.ravel(values)]

    def block(self, data: bytes) -> None:
        """Bytes behind their length.

        **Example:**

            >>> from jaxgen.coding import Input, Output
            >>> out = Output()
            >>> out.block(b"four")
            >>> out.finish()
            b'\\x04four'
        """
        self.integer(len(data))
        self.raw(data)

    def text(self, value: str) -> None:
        """Any string.

        **Example:**

            >>> from jaxgen.coding import Input, Output
            >>> out = Output()
            >>> out.text("ä")
            >>> out.finish()
            b'\\x02\\xc3\\xa4'
        """
        self.block(value.encode("utf-8", "surrogatepass"))

    def json(self, value: Any) -> None:
        """Whatever JSON holds. Raises `TypeError` for anything else.

        **Example:**

            >>> from jaxgen.coding import Input, Output
            >>> out = Output()
            >>> out.json({"unit": "m"})
            >>> out.finish()
            b'\\x0c{"unit":"m"}'
        """
        try:
            self.text(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
        except (TypeError, ValueError) as error:
            raise TypeError(f"metadata must be representable in JSON to be encoded: {error}") from None

    def payload(self, writer: Writer) -> None:
        """Ends the body: what a `Writer` has collected.

        **Example:**

            >>> import numpy as np
            >>> from jaxgen.coding import Output, write_composition
            >>> out = Output()
            >>> write_composition(out, np.array([1, 1]))  # there is one such pair of sum 2, and so it takes no bits
            >>> out.finish()
            b'\\x00'
        """
        first, second = writer.finish()
        self.block(first)
        self.raw(second)

    def finish(self) -> bytes:
        """All bytes but those of the sections.

        **Example:**

            >>> from jaxgen.coding import Input, Output
            >>> out = Output()
            >>> out.byte(1)
            >>> out.byte(2)
            >>> out.finish()
            b'\\x01\\x02'
        """
        return b"".join(self._parts)


class Input:
    """Bytes being read; every method raises `CodeError` where they end too early or claim too much.

    `version` is that of the file: numbers of version 1 have a fixed size. `depth` counts the objects around this one.

    **Example:**

        >>> import jaxgen as jg
        >>> data = jg.coding.Input(bytes.fromhex("ac 02 61 80 02 c3 a9"), version=2)
        >>> data.integer("a number", most=1000), data.numbers(1).tolist(), data.text()
        (300, [0.5], 'é')
        >>> data.end()
    """

    def __init__(
        self,
        data: bytes | memoryview,
        version: int,
        sections: dict[int, memoryview] | None = None,
        depth: int = 0,
    ):
        self._data, self._place, self.version, self.depth = memoryview(data), 0, version, depth
        self.sections = {} if sections is None else sections

    @property
    def left(self) -> int:
        """Bytes not read yet.

        **Example:**

            >>> from jaxgen.coding import Input
            >>> Input(b"abc", version=2).left
            3
        """
        return len(self._data) - self._place

    def part(self, size: int) -> memoryview:
        """So many bytes, not copied.

        **Example:**

            >>> from jaxgen.coding import Input
            >>> bytes(Input(b"abc", version=2).part(2))
            b'ab'
        """
        if size > self.left:
            raise CodeError(f"the file is cut short: {size} more bytes were expected, {self.left} are there")
        self._place += size
        return self._data[self._place - size : self._place]

    def byte(self) -> int:
        """An integer below 256.

        **Example:**

            >>> from jaxgen.coding import Input
            >>> Input(b"abc", version=2).byte()
            97
        """
        return self.part(1)[0]

    def integer(self, name: str, most: int) -> int:
        """A nonnegative integer of at most `most`.

        **Example:**

            >>> from jaxgen.coding import Input
            >>> Input(b"\\x80\\x01", version=2).integer("a size", 1000)
            128
        """
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if value > most or shift > 70:
                raise CodeError(f"the file claims {name} = {value} or more; at most {most} is possible")
            if byte < 0x80:
                return value

    def numbers(self, size: int, old: str = "<f8") -> Float[np.ndarray, " size"]:
        """So many floats; in files of version 1 they are of the type `old`.

        **Example:**

            >>> from jaxgen.coding import Input, Output
            >>> out = Output()
            >>> out.numbers([0.5])
            >>> Input(out.finish(), version=2).numbers(1).tolist()
            [0.5]
        """
        if self.version == 1:
            return self.array(old, size)
        self.require(8 * size, f"{size} numbers")
        return np.array([read_float(self) for _ in range(size)], np.float64)

    def array(self, dtype: str, size: int) -> Float[np.ndarray, " size"]:
        """So many floats of one type, as float64.

        **Example:**

            >>> import numpy as np
            >>> from jaxgen.coding import Input
            >>> Input(np.array([1.5, 2.0], "<f4").tobytes(), version=2).array("<f4", 2).tolist()
            [1.5, 2.0]
        """
        kind = np.dtype(dtype)
        with np.errstate(invalid="ignore"):  # damaged files may hold signaling NaN, which the caller refuses
            return np.frombuffer(self.part(size * kind.itemsize), kind).astype(np.float64)

    def block(self) -> memoryview:
        """Bytes behind their length.

        **Example:**

            >>> from jaxgen.coding import Input
            >>> bytes(Input(b"\\x02abc", version=2).block())
            b'ab'
        """
        return self.part(self.integer("a length", self.left))

    def text(self, size: int | None = None) -> str:
        """A string, of `size` bytes or behind their number.

        **Example:**

            >>> from jaxgen.coding import Input
            >>> Input(b"\\x02abc", version=2).text()
            'ab'
        """
        data = self.block() if size is None else self.part(size)
        try:
            return str(data, "utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise CodeError(f"the text in the file is not UTF-8: {error}") from None

    def json(self, size: int | None = None) -> Any:
        """What `Output.json` wrote; lists come back as tuples, so that static fields of them can be hashed.

        **Example:**

            >>> from jaxgen.coding import Input
            >>> Input(b"\\x05[1,2]", version=2).json()
            (1, 2)
        """
        text = self.text(size)
        try:
            return _as_tuples(json.loads(text, parse_constant=_no_constant))
        except (ValueError, RecursionError) as error:
            raise CodeError(f"the text in the file is not JSON: {error}") from None

    def section(self, number: int) -> "Input | None":
        """A section, if it is there, which is then taken as understood.

        **Example:**

            >>> from jaxgen.coding import Input
            >>> data = Input(b"", version=2, sections={1: memoryview(b"abc")})
            >>> data.section(1).left, data.section(1)
            (3, None)
        """
        data = self.sections.pop(number, None)
        return None if data is None else Input(data, self.version)

    def payload(self) -> Reader:
        """What is left, as a `Reader`.

        **Example:**

            >>> from jaxgen.coding import Input
            >>> Input(b"\\x00", version=2).payload().finish()  # of no counts and no bits
        """
        first = bytes(self.block())
        return Reader(first, bytes(self.part(self.left)))

    def require(self, bits: float | int, what: str) -> None:
        """Raises `CodeError` unless what is left can hold so many bits, before memory is taken for them.

        **Example:**

            >>> from jaxgen.coding import Input
            >>> Input(b"abc", version=2).require(10**9, "a long list")
            Traceback (most recent call last):
            ...
            jaxgen.coding._errors.CodeError: the file claims a long list, 1000000000 bits or more, but only 24 are left
        """
        if bits > 8.1 * self.left + 64:
            raise CodeError(f"the file claims {what}, {bits:.0f} bits or more, but only {8 * self.left} are left")

    def end(self) -> None:
        """Raises `CodeError` unless all has been read, and every section that must not be skipped.

        **Example:**

            >>> from jaxgen.coding import Input
            >>> Input(b"abc", version=2).end()
            Traceback (most recent call last):
            ...
            jaxgen.coding._errors.CodeError: something follows what the file holds, 3 bytes
        """
        odd = [number for number in self.sections if number % 2]
        if odd:
            raise CodeError(f"the file has a section {odd[0]}, which means nothing here: a newer jaxgen may read it")
        if self.left:
            raise CodeError(f"something follows what the file holds, {self.left} bytes")


def _as_tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_as_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _as_tuples(item) for key, item in value.items()}
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
