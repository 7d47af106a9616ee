"""Files that hold laws and generators, at the length that theory allows.

A file is, byte by byte (numbers are LEB128 varints unless said otherwise; floats are little-endian):

| field | bytes | what |
|---|---|---|
| magic | 4 | `JXGN` |
| version | 1 | 1 |
| kind | 1 | 0 measure, 1 sawtooth, 2 Peano, 3 independent, 4 codebook, 5 MLP |
| text | 1 + | length, then JSON: `vocabulary` (labels) and `metadata` (modality, descriptions), if there are any |
| levels | 0 or 1 + | `folds` (kind 1), `extra_levels` (kind 2) |
| body | | see below |
| checksum | 4 | CRC-32 of everything before |

**Measure** (kinds 0 to 3): a byte of flags (two bits each for how low and high are written, then: all resolutions
equal; rounding bounds present); dimension; resolution (once, if equal); low and high (each all 0, all 1, one float64,
or two bits an axis and a float64 for each bound that is neither 0 nor 1); the two bounds on the rounding, float64, if
not 0; quanta K; occupied cells m; payload. The payload codes the set of the m occupied cells in row-major order among
all N (labels first, as one more axis), and then the m counts as a composition of K, each as one of equally many
possibilities. Since `C(N, m) C(K - 1, m - 1) <= C(K + N - 1, N - 1)`, no K-type takes more than the logarithm of their
number, and one with few occupied cells takes less.

**Codebook** (kind 4): flags (atoms in float64; bounds present), dimension, N, K, four float64 bounds if not 0, the
atoms as float32 if they are exactly that, else float64, and the N counts as a composition of K.

**MLP** (kind 5): flags (box, label masses, how low and high are written), dim, source_dim, width, depth, bits of a
weight b; the box; the label masses in multiples of 2**-24; the number of modelled bits; a float32 step for each array;
payload. A weight is its step times an integer below 2**(b-1) in absolute value. The leading bits of all these integers
are coded by their frequencies (for those that agree so far: how many have the next bit set, and which), the others as
they are.

**Payload**: length of the first part; first part, the occupancies, through the range coder of `_range`; second part,
plain bits, padded with zeros. Model and coder use integers only, so a file means the same on every machine and in
float32 and float64.
"""

import os
import pathlib
import tempfile
import zlib
from typing import Any

from ..generators import (
    AbstractGenerator,
    CodebookGenerator,
    IndependentGenerator,
    MLPGenerator,
    PeanoGenerator,
    SawtoothGenerator,
)
from ..measures import AbstractGridMeasure, QuantizedMeasure
from ..modalities import PromptedGenerator
from ._bodies import read_codebook, read_measure, write_codebook, write_measure
from ._errors import CodeError
from ._fields import Input, Output, read_text, write_text
from ._networks import check_weight_bits, read_mlp, write_mlp

_MAGIC, _VERSION = b"JXGN", 1
_KINDS = (
    QuantizedMeasure,
    SawtoothGenerator,
    PeanoGenerator,
    IndependentGenerator,
    CodebookGenerator,
    MLPGenerator,
)
# The field of a generator beside its measure, which refines the law inside the cells.
_LEVELS = {SawtoothGenerator: "folds", PeanoGenerator: "extra_levels"}
_MAX_LEVELS = 1 << 20


def encode(obj: Any, weight_bits: int | None = None) -> bytes:
    """The bytes of a file that holds a measure or a generator.

    - `obj`: a `QuantizedMeasure`, a generator built on a measure, a `CodebookGenerator`, an `MLPGenerator`, or a
        `PromptedGenerator` around one of them, whose modality and descriptions are kept beside it.
    - `weight_bits`: of an `MLPGenerator`: bits of a weight before entropy coding, 2 to 16; 8 by default. Its weights
        are rounded as by `quantize_network`; all else is kept exactly.

    A measure with K quanta on N cells takes at most `1.001 log2 C(K + N - 1, N - 1) + 512` bits, and 64 for each bound
    of the box that is not 0 or 1; labels, and bounds on what the rounding cost, come on top. Time and memory grow with
    the occupied cells.

    Raises `TypeError` for anything else, and `ValueError` for weight_bits out of range, or given without weights.
    """
    metadata = None
    if isinstance(obj, PromptedGenerator):
        obj, metadata = obj.generator, obj.metadata
    kind = type(obj)
    if kind not in _KINDS:
        raise TypeError(_cannot(obj))
    if kind is not MLPGenerator and weight_bits is not None:
        raise ValueError(f"weight_bits is for networks; a {kind.__name__} is encoded exactly. Leave it out.")
    out = Output()
    out.raw(_MAGIC)
    out.byte(_VERSION)
    out.byte(_KINDS.index(kind))
    measure = obj if kind is QuantizedMeasure else getattr(obj, "measure", obj)
    write_text(out, measure.vocabulary if kind is not CodebookGenerator else None, metadata)
    if kind in _LEVELS:
        out.integer(getattr(obj, _LEVELS[kind]))
    if kind is CodebookGenerator:
        write_codebook(out, obj)
    elif kind is MLPGenerator:
        write_mlp(out, obj, 8 if weight_bits is None else check_weight_bits(weight_bits))
    else:
        write_measure(out, measure)
    data = out.finish()
    return data + zlib.crc32(data).to_bytes(4, "little")


def decode(data: bytes | bytearray | memoryview) -> Any:
    """The object that `encode` wrote; its samples are the same, bit by bit, for the same key.

    (Of an `MLPGenerator`: the same as those of the rounded network.)

    Safe on any bytes. Raises `CodeError`, a `ValueError`, for a wrong magic, version or checksum, for bytes cut short
    or changed, and for a header that claims more than the file can hold, before memory is taken for it; `TypeError` for
    anything but bytes.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"data must be bytes; got {type(data).__name__}. To read a file use load(path).")
    data = bytes(data)
    if data[:4] != _MAGIC:
        raise CodeError(f"not a jaxgen file: it begins with {data[:4]!r}, not with {_MAGIC!r}")
    if len(data) < 11:
        raise CodeError(f"the file is cut short: {len(data)} bytes")
    if data[4] != _VERSION:
        raise CodeError(f"the file has version {data[4]}; this jaxgen reads version {_VERSION}")
    if zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise CodeError("the checksum is wrong: the file is damaged or cut short")
    if data[5] >= len(_KINDS):
        raise CodeError(f"the file holds an object of unknown kind {data[5]}")
    kind: Any = _KINDS[data[5]]
    body = Input(data[6:-4])
    try:
        vocabulary, metadata = read_text(body)
        levels = (body.integer(_LEVELS[kind], _MAX_LEVELS),) if kind in _LEVELS else ()
        if kind is MLPGenerator:
            obj = read_mlp(body, vocabulary)
        elif kind is CodebookGenerator:
            if vocabulary is not None:
                raise CodeError("the file gives labels to a codebook")
            obj = read_codebook(body)
        else:
            obj = read_measure(body, vocabulary)
            obj = obj if kind is QuantizedMeasure else kind(obj, *levels)
        if metadata is not None:
            if not isinstance(obj, AbstractGenerator):
                raise CodeError("the file gives the metadata of a generator to a measure")
            obj = PromptedGenerator.from_parts(obj, metadata)
    except CodeError:
        raise
    except (ValueError, TypeError) as error:
        raise CodeError(f"the file holds no valid {kind.__name__}: {error}") from error
    return obj


def code_length(obj: Any, weight_bits: int | None = None) -> int:
    """Bits of the whole file that `encode` gives, header and checksum included; arguments and errors as there."""
    return 8 * len(encode(obj, weight_bits))


def save(path: str | os.PathLike[str], obj: Any, weight_bits: int | None = None) -> None:
    """Writes `encode(obj)` to a file, whole or not at all: a reader sees the old file or the new one.

    Raises what `encode` raises, before anything is written, and `OSError` from the file system.
    """
    data, path = encode(obj, weight_bits), pathlib.Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # A temporary file is private; the new one is as open as any that this process makes.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except BaseException:
        pathlib.Path(name).unlink(missing_ok=True)
        raise


def load(path: str | os.PathLike[str]) -> Any:
    """The object in a file that `save` wrote. Raises `CodeError` as `decode` does, and `OSError`."""
    return decode(pathlib.Path(path).read_bytes())


def _cannot(obj) -> str:
    names = ", ".join(kind.__name__ for kind in _KINDS)
    hint = ""
    if isinstance(obj, AbstractGridMeasure):
        hint = " Its masses are floats: encode measure.quantize(quanta)."
    return f"obj must be one of {names}; got {type(obj).__name__}.{hint}"
