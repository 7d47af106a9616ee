"""What a file holds between its header and its checksum, kind by kind: measures and codebooks."""

import math

import numpy as np

from ..generators import CodebookGenerator
from ..measures import QuantizedMeasure
from ._cells import WideIndex, from_row_major, is_wide, row_major
from ._coder import Coder, Writer
from ._errors import CodeError
from ._fields import (
    Input,
    Output,
    corner_kind,
    float32_if_exact,
    read_corner,
    read_values,
    write_corner,
)
from ._multisets import code_composition, code_multiset, code_subset, least_bits

_MAX_DIM = 1 << 20
_MAX_RESOLUTION = 1 << 30
_MAX_QUANTA = 1 << 24


def write_measure(out: Output, measure: QuantizedMeasure) -> None:
    """The law of a measure: box, resolution, quanta, and then the occupied cells and their counts.

    The occupied cells are a set of m among all N, the counts m positive integers with sum K, each coded in as many bits
    as there are possibilities. Since C(N, m) C(K-1, m-1) <= C(K+N-1, N-1), no K-type takes more than its share of
    theory, section 8, and those with few occupied cells take less.
    """
    low, high = np.asarray(measure.low, np.float64), np.asarray(measure.high, np.float64)
    equal = len(set(measure.resolution)) == 1
    rounded = any(measure.rounding)
    out.byte(corner_kind(low) | corner_kind(high) << 2 | equal << 4 | rounded << 5)
    out.integer(measure.dim)
    for size in measure.resolution[: 1 if equal else None]:
        out.integer(size)
    write_corner(out, low)
    write_corner(out, high)
    if rounded:
        out.floats(measure.rounding)
    cells, counts = np.asarray(measure.cells, np.int64), np.asarray(measure.counts, np.int64)
    radices = measure.resolution
    if measure.vocabulary is not None:
        radices = (len(measure.vocabulary), *radices)
        cells = np.concatenate([np.asarray(measure.labels, np.int64)[:, None], cells], axis=1)
    out.integer(measure.quanta)
    out.integer(len(counts))
    writer = Writer()
    order = _code_cells(writer, cells, len(counts), radices)[1]
    code_composition(writer, counts[order], len(counts), measure.quanta)
    out.payload(writer)


def read_measure(data: Input, vocabulary) -> QuantizedMeasure:
    """The inverse of `write_measure`."""
    flags = data.byte()
    if flags >> 6:
        raise CodeError("the flags of the measure are unknown")
    dim = data.integer("dim", _MAX_DIM)
    if dim == 0:
        raise CodeError("the file claims a measure of dimension 0")
    if flags >> 4 & 1:
        resolution = (data.integer("resolution", _MAX_RESOLUTION),) * dim
    else:
        data.require(8 * dim, f"{dim} resolutions")
        resolution = tuple(data.integer("resolution", _MAX_RESOLUTION) for _ in range(dim))
    if min(resolution) < 1:
        raise CodeError("the file claims a resolution of 0")
    low, high = read_corner(data, flags & 3, dim), read_corner(data, flags >> 2 & 3, dim)
    rounding = data.floats(2) if flags >> 5 & 1 else np.zeros(2)
    if not np.all((rounding >= 0) & np.isfinite(rounding)):
        raise CodeError("the bounds on the rounding must be nonnegative and finite")
    quanta, m = data.integer("quanta", _MAX_QUANTA), data.integer("the number of occupied cells", _MAX_QUANTA)
    radices = resolution if vocabulary is None else (len(vocabulary), *resolution)
    size = sum(math.log2(n) for n in radices)
    if not (1 <= m <= quanta and math.log2(m) <= size + 1e-9):
        raise CodeError(f"the file claims {m} occupied cells for {quanta} quanta on 2**{size:.1f} cells")
    needed = least_bits(m, size) + least_bits(m - 1, math.log2(max(quanta - 1, 1)))
    data.require(needed, f"{m} cells with {quanta} quanta")
    reader = data.payload()
    cells = _code_cells(reader, None, m, radices)[0]
    counts = code_composition(reader, None, m, quanta)
    reader.finish()
    labels = None
    if vocabulary is not None:
        labels, cells = cells[:, 0], cells[:, 1:]
    return QuantizedMeasure(cells, counts, low, high, resolution, labels, vocabulary, (rounding[0], rounding[1]))


def _code_cells(coder: Coder, cells, m: int, radices) -> tuple[np.ndarray, np.ndarray]:
    """Codes m distinct cells; returns them in row-major order, and the permutation that brings them there."""
    if is_wide(radices):
        # So many places that a multiset of them costs no more than a set.
        index = WideIndex(radices)
        words = index.room(m) if cells is None else index.pack(cells)
        order = np.lexsort(words.T[::-1])
        words = words[order]
        code_multiset(coder, words, index.places)
        if np.any(np.all(words[1:] == words[:-1], axis=1)):
            raise CodeError("the file holds a cell twice")
        return index.unpack(words) if cells is None else cells, order
    places = math.prod(radices)
    if m > places:
        raise CodeError(f"the file claims {m} occupied cells, but the grid has {places}")
    values = None if cells is None else row_major(cells, radices)
    order = np.arange(m) if values is None else np.argsort(values)
    values = code_subset(coder, None if values is None else values[order], m, places)
    return from_row_major(values, radices), order


def write_codebook(out: Output, codebook: CodebookGenerator) -> None:
    """The atoms as floats, in their order, and their counts as a composition of the quanta."""
    atoms, counts = np.asarray(codebook.atoms, np.float64), np.asarray(codebook.counts, np.int64)
    values = float32_if_exact(atoms)
    bounds = (*codebook.quantization, *codebook.rounding)
    out.byte((values.dtype.itemsize == 8) | any(bounds) << 1)
    out.integer(codebook.dim)
    out.integer(len(counts))
    out.integer(codebook.quanta)
    if any(bounds):
        out.floats(bounds)
    out.raw(values.tobytes())
    writer = Writer()
    code_composition(writer, counts, len(counts), codebook.quanta)
    out.payload(writer)


def read_codebook(data: Input) -> CodebookGenerator:
    """The inverse of `write_codebook`."""
    flags = data.byte()
    if flags >> 2:
        raise CodeError("the flags of the codebook are unknown")
    dim, n = data.integer("dim", _MAX_DIM), data.integer("the number of atoms", _MAX_QUANTA)
    quanta = data.integer("quanta", _MAX_QUANTA)
    if not (dim >= 1 and 1 <= n <= quanta):
        raise CodeError(f"the file claims {n} atoms of dimension {dim} with {quanta} quanta")
    bounds = data.floats(4) if flags & 2 else np.zeros(4)
    if not np.all((bounds >= 0) & np.isfinite(bounds)):
        raise CodeError("the bounds on quantization and rounding must be nonnegative and finite")
    atoms = read_values(data, bool(flags & 1), n * dim).reshape(n, dim)
    data.require(least_bits(n - 1, math.log2(max(quanta - 1, 1))), f"{n} counts with a sum of {quanta}")
    reader = data.payload()
    counts = code_composition(reader, None, n, quanta)
    reader.finish()
    return CodebookGenerator(atoms, counts, quantization=(bounds[0], bounds[1]), rounding=(bounds[2], bounds[3]))
