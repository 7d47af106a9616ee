"""Files that hold laws and generators, at the length that theory allows.

A file of version 2 is, byte by byte:

| field | bytes | what |
|---|---|---|
| magic | 2 | `8A 4A` |
| version | 1 | 2; in files of the kinds 9 to 63 it is left out |
| object | | its kind (a byte, 128 added if sections follow), its sections, its body |
| checksum | 2 or 4 | CRC-32 of everything before; only its lower half in files of less than 256 bytes (4,096) |

Where the version is left out, the kind has 128 added, and 64 more if sections follow, and the number in brackets holds.

**Sections** are each a number, a length and bytes; a number of 0 ends them. A reader may skip those of even numbers
that it does not know, not those of odd ones. 1: the labels. 4: the record of what was proven (bounds on W_1 and W_2 by
name, also label by label). Set aside: 2, metadata in JSON, such as names and units of columns; 3, the lattice that the
coordinates lie on; 5, a tree. 7: path and axes of a sawtooth, axes of a curve.

**Kinds**: 0 measure, 1 sawtooth, 2 Peano, 3 independent, 4 codebook, 5 trained network, 6 generator that takes prompts,
7 gridded condition, 8 leaves, 9 atoms on a lattice, 10 tree, 11 packed measure, 12 ReLU network; 64 to 126 for the
classes of others (`register`); 127 any other Equinox module, by the name of its class and field by field (`_modules`).
The body of each is described where it is written, in the file `_codec.py` beside its class, or there. An object that
holds another ends its body with it.

**Integers** are LEB128: seven bits a byte, the lowest first. **Floats** take as many bytes as their significant bits
need (`_numbers`). **Text** is UTF-8 behind its length.

**Payload**, the end of the body of a law: the length of its first part; the first part, the occupancies, through the
range coder of `_range`; the second part, plain bits, padded with zeros. The bodies of kinds 10 to 12 are *packed*: all
of them is one stream of the range coder, plain bits and headers too. Coders use integers only, and models
these, or +, -, *, / of float64 one by one, each of which is rounded alike everywhere: a file means the same on every
machine and in float32 and float64.
"""

import contextlib
import os
import pathlib
import zlib
from typing import Any, overload

from .._checks import require_numbers
from .._io import replacing
from ._errors import CodeError
from ._fields import Input, Output
from ._law import Law, Loaded
from ._networks import checked_precision
from ._registry import only_code_errors, read_object, write_object
from ._version1 import MAGIC as OLD_MAGIC, decode_version_1

_MAGIC, _VERSION = b"\x8aJ", 2
# Files of these kinds have no byte for the version: no reader that does not know them has ever seen their bytes there.
_UNVERSIONED = range(9, 64)


def encode(obj: Any, weight_bits: int | None = None) -> bytes:
    """The bytes of a file that holds a measure, a generator, or any Equinox module of data.

    A measure with K quanta on N cells takes at most `1.001 log2 C(K + N - 1, N - 1) + 512` bits, and 64 for each bound
    of the box that is not 0 or 1; labels, and bounds on what the rounding cost, come on top. Time and memory grow with
    the occupied cells. Theory, section 8.

    **Arguments:**

    - `obj`: an object of a registered kind (`QuantizedMeasure`, the generators of jaxgen), or an Equinox module whose
        fields are arrays, numbers, text, `None`, such modules, and tuples, lists and dicts of these.
    - `weight_bits`: of a trained network: bits of a weight before entropy coding, 2 to 16; 8 by default. Its weights
        are rounded as by `quantize_network`; all else is kept exactly.

    **Returns:** the bytes that `decode` takes.

    **Raises:** `TypeError` for anything else, naming the field; `ValueError` for weight_bits out of range, or given
    without weights.

    **Example:**

        >>> import jaxgen as jg, numpy as np
        >>> measure = jg.QuantizedMeasure([[0, 1], [2, 2]], np.array([2, 1]), 0.0, 1.0, 3)
        >>> len(jg.encode(measure))
        10
    """
    with contextlib.suppress(RecursionError):  # what holds itself is refused, by its field, below
        require_numbers(obj, "a code")
    options = {} if weight_bits is None else {"weight_bits": checked_precision(weight_bits)}
    out = Output()
    write_object(out, obj, **options)
    body = out.finish()
    kind, sections = body[0] & 0x7F, body[0] >> 7
    short = bytes([0x80 | sections << 6 | kind]) + body[1:]
    data = _MAGIC + (short if kind in _UNVERSIONED else bytes([_VERSION]) + body)
    return data + _checksum(data, 2 if len(data) + 2 < _short(data) else 4)


@overload
def decode(data: bytes | bytearray | memoryview) -> Law: ...
@overload
def decode(data: bytes | bytearray | memoryview, kind: type[Loaded]) -> Loaded: ...
def decode(data: bytes | bytearray | memoryview, kind: type | None = None) -> Any:
    """The object that `encode` wrote; its samples are the same, bit by bit, for the same key.

    (Of a trained network: the same as those of the rounded network.) Files of version 1 are read too. Safe on any
    bytes: a file names classes, and never holds code.

    **Arguments:**

    - `data`: the bytes of a file.
    - `kind`: the class that is expected, if one is: a file that holds another is refused, and a type checker knows.

    **Returns:** an object of the class that was encoded.

    **Raises:** `CodeError`, a `ValueError`, for a wrong magic, version or checksum, for bytes cut short or changed, for
    a class that is not defined here, and for a header that claims more than the file can hold, before memory is taken
    for it; `TypeError` for anything but bytes.

    **Example:**

        >>> import jaxgen as jg, numpy as np
        >>> measure = jg.QuantizedMeasure([[0, 1], [2, 2]], np.array([2, 1]), 0.0, 1.0, 3)
        >>> jg.decode(jg.encode(measure)).quanta
        3
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"data must be bytes; got {type(data).__name__}. To read a file use load(path).")
    data = bytes(data)
    with only_code_errors("the file is damaged"):
        obj = decode_version_1(data) if data.startswith(OLD_MAGIC) else _decode(data)
    if kind is not None and not isinstance(obj, kind):
        raise CodeError(f"the file holds a {type(obj).__name__}; a {kind.__name__} was expected")
    return obj


def _decode(data: bytes) -> Any:
    if not data.startswith(_MAGIC):
        raise CodeError(f"not a jaxgen file: it begins with {data[:4]!r}, not with {_MAGIC!r}")
    size = 2 if len(data) < _short(data) else 4
    if len(data) < 4 + size:
        raise CodeError(f"the file is cut short: {len(data)} bytes")
    kind, sections = data[2] & 0x3F, data[2] >> 6 & 1
    unversioned = data[2] >= 0x80 and kind in _UNVERSIONED
    if data[2] != _VERSION and not unversioned:
        raise CodeError(f"the file has version {data[2]}; this jaxgen reads versions 1 and {_VERSION}")
    body = data[:-size]
    if _checksum(body, size) != data[-size:]:
        raise CodeError("the checksum is wrong: the file is damaged or cut short")
    rest = bytes([sections << 7 | kind]) + body[3:] if unversioned else memoryview(body)[3:]
    return read_object(Input(rest, _VERSION))


def _short(data: bytes) -> int:
    """Files below this many bytes have a checksum of two."""
    return 4096 if data[2:3] >= b"\x80" else 256


def _checksum(data: bytes, size: int) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")[:size]


def code_length(obj: Any, weight_bits: int | None = None) -> int:
    """Bits of the whole file that `encode` gives, header and checksum included; arguments and errors as there.

    **Example:**

        >>> import jaxgen as jg, numpy as np
        >>> jg.code_length(jg.QuantizedMeasure([[0, 1], [2, 2]], np.array([2, 1]), 0.0, 1.0, 3))
        80
    """
    return 8 * len(encode(obj, weight_bits))


def save(path: str | os.PathLike[str], obj: Any, weight_bits: int | None = None) -> None:
    """Writes `encode(obj)` to a file, whole or not at all: a reader sees the old file or the new one.

    **Raises:** what `encode` raises, before anything is written; `FileNotFoundError` for a missing folder and other
    `OSError` from the file system.

    **Example:**

        >>> import jaxgen as jg, numpy as np, os, tempfile
        >>> measure = jg.QuantizedMeasure([[0, 1], [2, 2]], np.array([2, 1]), 0.0, 1.0, 3)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     jg.save(os.path.join(folder, "law.jaxgen"), measure)
        ...     jg.load(os.path.join(folder, "law.jaxgen")).quanta
        3
    """
    data = encode(obj, weight_bits)
    with replacing(path) as draft:
        draft.write_bytes(data)


@overload
def load(path: str | os.PathLike[str]) -> Law: ...
@overload
def load(path: str | os.PathLike[str], kind: type[Loaded]) -> Loaded: ...
def load(path: str | os.PathLike[str], kind: type | None = None) -> Any:
    """The object in a file that `save` wrote; arguments as for `decode`.

    **Raises:** `CodeError` as `decode` does, and `OSError`.

    **Example:**

        >>> import jaxgen as jg, numpy as np, os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "atoms.jaxgen")
        ...     jg.save(path, jg.CodebookGenerator([0.0, 1.0]))
        ...     jg.load(path, jg.CodebookGenerator).quanta
        2
    """
    data = pathlib.Path(path).read_bytes()
    return decode(data) if kind is None else decode(data, kind)
