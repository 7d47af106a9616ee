"""Files of measures, against general compressors of their counts; what is read was packed before."""

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
    data, raw = jg.encode(measure), counts.astype(np.uint8).tobytes()

    def saved():
        file = io.BytesIO()
        np.savez_compressed(file, counts=counts)
        return file.getvalue()

    def equal(m, _):
        return np.array_equal(m.counts, measure.counts) and np.array_equal(m.cells, measure.cells)

    peers = {
        "zlib": (lambda: zlib.compress(raw), zlib.decompress),
        "lzma": (lambda: lzma.compress(raw), lzma.decompress),
        "savez_compressed": (saved, lambda packed: np.load(io.BytesIO(packed))["counts"]),
    }
    for name, (pack, unpack) in peers.items():
        packed = pack()
        bits = f"{8 * len(data) / side**2:.2f} against {8 * len(packed) / side**2:.2f} bits a cell"
        yield Row(
            f"encode {side}^2 cells, {bits}", lambda: jg.encode(measure), name, pack, side**2,
            same=lambda a, b: len(a) < len(b),
        )  # fmt: skip
        yield Row(
            f"decode {side}^2 cells", lambda: jg.decode(data), name, lambda u=unpack, p=packed: u(p), side**2,
            same=equal,
        )  # fmt: skip
