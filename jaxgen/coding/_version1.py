"""Files of version 1, which are no longer written: their envelope is put into the form of today's.

A file of version 1 is `JXGN`, the version, the kind, the length and the bytes of a JSON object with `vocabulary` and
`metadata` (of a generator that takes prompts), the body, and a CRC-32. The bodies are told apart by the readers of the
kinds, which see the version of their `Input`; what follows the levels of a generator is the body of its measure.
"""

import zlib
from typing import Any

from ._errors import CodeError
from ._fields import Input, Output
from ._registry import read_object
from ._sections import VOCABULARY, write_vocabulary

MAGIC, VERSION = b"JXGN", 1
_KINDS, _PROMPTED = 6, 6


def decode_version_1(data: bytes) -> Any:
    """The object in a file of version 1."""
    if len(data) < 11:
        raise CodeError(f"the file is cut short: {len(data)} bytes")
    if data[4] != VERSION:
        raise CodeError(f"the file has version {data[4]} of the old form; this jaxgen reads version {VERSION} of it")
    if zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise CodeError("the checksum is wrong: the file is damaged or cut short")
    kind, old = data[5], Input(memoryview(data)[6:-4], VERSION)
    if kind >= _KINDS:
        raise CodeError(f"the file holds an object of unknown kind {kind}")
    vocabulary, metadata = _read_text(old)
    out, part = Output(), Output()
    if metadata is not None:
        out.byte(_PROMPTED)
        out.json(metadata)
    write_vocabulary(part, vocabulary)
    out.byte(kind | bool(part.sections) << 7)
    if part.sections:
        out.byte(VOCABULARY)
        out.block(part.sections[VOCABULARY])
        out.byte(0)
    out.raw(old.part(old.left))
    return read_object(Input(out.finish(), VERSION))


def _read_text(data: Input) -> tuple[tuple[str | int, ...] | None, Any]:
    """The vocabulary and the metadata, or `None`."""
    size = data.integer("the length of the text", data.left)
    if not size:
        return None, None
    fields = data.json(size)
    if not isinstance(fields, dict) or not fields or set(fields) - {"vocabulary", "metadata"}:
        raise CodeError("the text in the file must hold a vocabulary, metadata, or both")
    labels = fields.get("vocabulary")
    if "vocabulary" in fields and not (
        isinstance(labels, tuple) and labels and all(type(label) in (str, int) for label in labels)
    ):
        raise CodeError("the vocabulary in the file must be a list of strings and integers")
    return labels, fields.get("metadata")
