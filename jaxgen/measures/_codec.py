"""Measures in files.

Body of a `QuantizedMeasure`: an integer `4 (d - 1) + 2 unit + equal` (the box is the unit cube; all resolutions are
equal); the resolution, once if equal; unless the box is the unit cube, a byte that says how its corners are written
(two bits each), and low and high; quanta, occupied cells and payload. The occupied cells are numbered row by row, the
label first, as one more axis. Sections: labels, and the record of what the rounding cost.

Small ones are *packed*: dimension, box, resolution, quanta, occupied cells and payload are one stream of the range
coder, without a byte that could be more of a bit; see `_code_packed`.
"""

import numpy as np
from jaxtyping import Int

from .. import coding
from ..coding import CodeError, Input, Output
from ._grid import GridMeasure
from ._leaves import LeafMeasure, QuantizedLeafMeasure
from ._quantized import QuantizedMeasure
from ._record import Record
from ._rounding import MAX_QUANTA

_MAX_DIM = 1 << 20
_MAX_RESOLUTION = 1 << 30
_UNIT = coding.box_kind(np.zeros(1), np.ones(1))
# A packed measure is coded bit by bit: few of them, so that this takes milliseconds.
_PACKED, _MOST_PACKED = 11, 1 << 15


def _bounds_of(measure: QuantizedMeasure | QuantizedLeafMeasure):
    """What is proven of a measure as it stands, as `write_record` takes it."""
    if not (measure.record.saved and measure.unchanged):
        return {}, None
    return measure.record.bounds, measure.record.label_bounds or None


def _write(out: Output, measure: QuantizedMeasure) -> int | None:
    coding.write_vocabulary(out, measure.vocabulary)
    coding.write_record(out, *_bounds_of(measure))
    plain = Output()
    _write_plain(plain, measure)
    data = plain.finish()
    if measure.dim <= _MOST_PACKED and coding.packed_bits(measure.size, _radices(measure)) <= _MOST_PACKED:
        packed = _pack(measure)
        if len(packed) < len(data):  # not so for boxes of long numbers, of many sizes
            out.raw(packed)
            return _PACKED
    out.raw(data)
    return None


def _write_plain(out: Output, measure: QuantizedMeasure) -> None:
    low, high = np.asarray(measure.low, np.float64), np.asarray(measure.high, np.float64)
    equal, unit = len(set(measure.resolution)) == 1, coding.box_kind(low, high) == _UNIT
    out.integer((measure.dim - 1) << 2 | unit << 1 | equal)
    for size in measure.resolution[: 1 if equal else None]:
        out.integer(size)
    if not unit:
        out.byte(coding.box_kind(low, high))
        coding.write_box(out, low, high)
    coding.write_occupied(out, _labelled_cells(measure), np.asarray(measure.counts, np.int64), _radices(measure))


def _radices(measure: QuantizedMeasure) -> tuple[int, ...]:
    return (*(() if measure.vocabulary is None else (len(measure.vocabulary),)), *measure.resolution)


def _labelled_cells(measure: QuantizedMeasure) -> Int[np.ndarray, "m axes"]:
    cells = np.asarray(measure.cells, np.int64)
    if measure.labels is None:
        return cells
    return np.concatenate([np.asarray(measure.labels, np.int64)[:, None], cells], axis=1)


def _pack(measure: QuantizedMeasure) -> bytes:
    writer = coding.PackedWriter()
    _code_packed(writer, measure, None, None)
    return writer.finish()[0]


def _read_packed(data: Input) -> QuantizedMeasure:
    vocabulary, record = coding.read_vocabulary(data), Record(*coding.read_record(data))
    body = bytes(data.part(data.left))
    reader = coding.PackedReader(body)
    measure = _code_packed(reader, None, vocabulary, record)
    reader.finish()
    # One file for one measure: nothing is written that need not be.
    if _pack(measure) != body:
        raise CodeError("the measure in the file is written in a way in which none is")
    return measure


def _code_packed(coder, measure: QuantizedMeasure | None, vocabulary, record) -> QuantizedMeasure:
    """`d - 1`, the box, whether all resolutions are equal, one or all of them, quanta, occupied cells, and the law."""
    dim = 1 + coding.code_small(coder, None if measure is None else measure.dim - 1)
    if isinstance(coder, coding.PackedReader):
        coder.require(dim)
    box = (
        (None, None) if measure is None else (np.asarray(measure.low, np.float64), np.asarray(measure.high, np.float64))
    )
    low, high = coding.code_corners(coder, *box, dim)
    shared = dim == 1 or coding.code_number(coder, None if measure is None else len(set(measure.resolution)) == 1, 1)
    sizes = [None] * dim if measure is None else measure.resolution
    resolution = tuple(coding.code_whole(coder, n, 4) for n in sizes[: 1 if shared else None]) * (dim if shared else 1)
    if not 1 <= min(resolution) <= max(resolution) <= _MAX_RESOLUTION:
        raise CodeError(f"the file claims resolutions from {min(resolution)} to {max(resolution)}")
    if measure is not None:
        coding.code_occupied(coder, _labelled_cells(measure), np.asarray(measure.counts, np.int64), _radices(measure))
        return measure
    radices = resolution if vocabulary is None else (len(vocabulary), *resolution)
    cells, counts = coding.code_occupied(coder, None, None, radices)
    labels, cells = (None, cells) if vocabulary is None else (cells[:, 0], cells[:, 1:])
    return QuantizedMeasure(cells, counts, low, high, resolution, labels, vocabulary, record)


def _read(data: Input) -> QuantizedMeasure:
    header = _header_1 if data.version == 1 else _header
    resolution, low, high, bounds, label_bounds = header(data)
    vocabulary = coding.read_vocabulary(data)
    labelled = vocabulary is not None
    cells, counts = coding.read_occupied(data, (len(vocabulary), *resolution) if labelled else resolution)
    labels, cells = (cells[:, 0], cells[:, 1:]) if labelled else (None, cells)
    return QuantizedMeasure(cells, counts, low, high, resolution, labels, vocabulary, Record(bounds, label_bounds))


def _header(data: Input):
    flags = data.integer("dim", 4 * _MAX_DIM - 1)
    dim = (flags >> 2) + 1
    resolution = _resolution(data, dim, bool(flags & 1))
    box = coding.read_box(data, _UNIT if flags & 2 else data.byte(), dim)
    return resolution, *box, *coding.read_record(data)


def _header_1(data: Input):
    """That of version 1: flags of a byte, and the bounds on the rounding in the body."""
    flags = data.byte()
    if flags >> 6:
        raise CodeError("the flags of the measure are unknown")
    dim = data.integer("dim", _MAX_DIM)
    if dim == 0:
        raise CodeError("the file claims a measure of dimension 0")
    resolution = _resolution(data, dim, bool(flags >> 4 & 1))
    box = coding.read_box(data, flags & 15, dim)
    return resolution, *box, {"rounding": tuple(data.numbers(2).tolist())} if flags >> 5 & 1 else {}, None


def _resolution(data: Input, dim: int, equal: bool) -> tuple[int, ...]:
    if equal:
        resolution = (data.integer("resolution", _MAX_RESOLUTION),) * dim
    else:
        data.require(8 * dim, f"{dim} resolutions")
        resolution = tuple(data.integer("resolution", _MAX_RESOLUTION) for _ in range(dim))
    if min(resolution) < 1:
        raise CodeError("the file claims a resolution of 0")
    return resolution


def _write_leaves(out: Output, measure: QuantizedLeafMeasure) -> None:
    """`2 (d - 1) + double`, leaves m, quanta; corners and sides (float32 or float64); leaves a label; the counts."""
    boxes = np.stack([np.asarray(measure.low_corners, np.float64), np.asarray(measure.sides, np.float64)])
    values = coding.float32_if_exact(boxes)
    out.integer((measure.dim - 1) << 1 | (values.dtype.itemsize == 8))
    out.integer(measure.size)
    out.integer(measure.quanta)
    out.raw(values.tobytes())
    if measure.vocabulary is not None:
        for size in np.diff(measure.label_offsets):
            out.integer(int(size))
    coding.write_vocabulary(out, measure.vocabulary)
    coding.write_record(out, *_bounds_of(measure))
    coding.write_composition(out, np.asarray(measure.counts, np.int64))


def _read_leaves(data: Input) -> QuantizedLeafMeasure:
    flags = data.integer("dim", 2 * _MAX_DIM - 1)
    dim = (flags >> 1) + 1
    m, quanta = data.integer("the number of leaves", MAX_QUANTA), data.integer("quanta", MAX_QUANTA)
    if not 1 <= m <= quanta:
        raise CodeError(f"the file claims {m} leaves with {quanta} quanta")
    corners, sides = data.array("<f8" if flags & 1 else "<f4", 2 * m * dim).reshape(2, m, dim)
    vocabulary = coding.read_vocabulary(data)
    labels = None
    if vocabulary is not None:
        sizes = [data.integer("the leaves of a label", m) for _ in vocabulary]
        if sum(sizes) != m:
            raise CodeError(f"the file claims {sum(sizes)} leaves with labels, of {m}")
        labels = np.repeat(np.arange(len(vocabulary)), sizes)
    record = Record(*coding.read_record(data))
    return QuantizedLeafMeasure(corners, sides, coding.read_composition(data, m, quanta), labels, vocabulary, record)


coding.register(QuantizedMeasure, 0, _write, _read)
coding.register(QuantizedMeasure, _PACKED, _write, _read_packed)
coding.register(QuantizedLeafMeasure, 8, _write_leaves, _read_leaves)
coding.refuse(LeafMeasure, "Its masses are floats: encode measure.quantize(quanta).")
coding.refuse(GridMeasure, "Its masses are floats: encode measure.quantize(quanta).")
