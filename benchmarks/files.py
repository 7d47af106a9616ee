"""Files of measures, against general compressors and an entropy coder; what is read was packed before."""

import importlib.util
import io
import lzma
import zlib

import numpy as np

import jaxgen as jg

from .rows import Row


def rows(small: bool):
    """Nanoseconds a cell; the name has the bits a cell of both."""
    rng, side = np.random.default_rng(0), 60 if small else 1000
    counts = rng.multinomial(side**2, np.ones(side**2) / side**2)
    cells = np.stack(np.unravel_index(np.flatnonzero(counts), (side, side)), axis=1)
    measure = jg.QuantizedMeasure(cells, counts[counts > 0], 0.0, 1.0, (side, side))
    data = jg.encode(measure)

    def read(m, _):
        return np.array_equal(m.counts, measure.counts) and np.array_equal(m.cells, measure.cells)

    def shorter(ours, theirs):
        return len(ours) < len(theirs)

    for name, (pack, unpack) in packers(counts).items():
        packed = pack()
        if not np.array_equal(np.ravel(unpack(packed)), counts):
            raise RuntimeError(f"{name} does not give the counts back")
        bits = f"{8 * len(data) / side**2:.3f} against {8 * len(packed) / side**2:.3f} bits a cell"
        yield Row(
            f"encode {side}^2 cells, {bits}", lambda: jg.encode(measure), name, pack, side**2, len(data),
            same=None if "constriction" in name else shorter,
        )  # fmt: skip
        yield Row(
            f"decode {side}^2 cells", lambda: jg.decode(data), name, lambda u=unpack, p=packed: u(p), side**2,
            len(data), same=read,
        )  # fmt: skip


def packers(counts):
    """Counts to bytes and back, by what is installed."""
    raw = counts.astype(np.uint8).tobytes()

    def saved():
        file = io.BytesIO()
        np.savez_compressed(file, counts=counts.astype(np.uint8))
        return file.getvalue()

    def numbers(packed):
        return np.frombuffer(packed, np.uint8)

    found = {
        "zlib": (lambda: zlib.compress(raw), lambda packed: numbers(zlib.decompress(packed))),
        "lzma": (lambda: lzma.compress(raw), lambda packed: numbers(lzma.decompress(packed))),
        "savez_compressed": (saved, lambda packed: np.load(io.BytesIO(packed))["counts"]),
    }
    if importlib.util.find_spec("zstandard"):
        import zstandard

        pack, unpack = zstandard.ZstdCompressor(level=19), zstandard.ZstdDecompressor()
        found["zstd"] = lambda: pack.compress(raw), lambda packed: numbers(unpack.decompress(packed))
    if importlib.util.find_spec("constriction"):
        found["constriction, frequencies of the counts"] = by_frequencies(counts)
    return found


def by_frequencies(counts):
    """A range coder under the frequencies of the counts, which stand in front as 32 bits each: the counts must be
    alike, as here, for one table to serve all cells; a measure's own code knows where the cells are."""

    from constriction import stream

    def model(seen):
        return stream.model.Categorical(seen / seen.sum(), perfect=False)

    def pack():
        seen = np.bincount(counts).astype(np.float32)
        encoder = stream.queue.RangeEncoder()
        encoder.encode(counts.astype(np.int32), model(seen))
        return np.uint32(len(seen)).tobytes() + seen.tobytes() + encoder.get_compressed().tobytes()

    def unpack(packed):
        size = int(np.frombuffer(packed, np.uint32, 1)[0])
        seen = np.frombuffer(packed, np.float32, size, offset=4)
        return stream.queue.RangeDecoder(np.frombuffer(packed, np.uint32, offset=4 + 4 * size)).decode(
            model(seen), len(counts)
        )

    return pack, unpack
