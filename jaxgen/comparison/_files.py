"""Building, describing and sampling files: what the command line does beside comparing."""

import itertools
import math
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import jax.random as jr
import numpy as np
from tqdm import tqdm

from ..coding import code_length, module_bits, network_bits
from ..rate import quantize
from ..distances import data_bound
from ..generators import AbstractGenerator, AbstractExplicitGenerator, MLPGenerator, PeanoGenerator
from ..limits import type_class_bits
from ..measures import GridMeasure, QuantizedMeasure
from ._data import Dataset

# Cells an axis, by dimension: powers of 3, on which the Peano curve needs no embedding.
RESOLUTION = {1: 729, 2: 81, 3: 27}
# Points drawn and written at a time.
_CHUNK = 1 << 16


def build(dataset: Dataset, bits: float | None, resolution: int | None, extra_levels: int) -> PeanoGenerator:
    """The Peano generator of points: the best for a budget of bits, or that of their exact counts on a grid.

    Raises `ValueError` for both a budget and a resolution, for a budget with labels, and for bad points.
    """
    if bits is None:
        resolution = RESOLUTION.get(dataset.points.shape[-1], 17) if resolution is None else resolution
        measure = GridMeasure.from_samples(dataset.points, resolution, labels=dataset.labels)
    elif resolution is not None or dataset.labels is not None:
        raise ValueError("bits chooses the resolution, and takes no labels: give either bits, or resolution and label")
    else:
        generator = PeanoGenerator(quantize(dataset.points, bits), extra_levels)
        if code_length(generator) <= bits:
            return generator
        # A generator takes a byte or two more than its measure, whatever the measure.
        more = code_length(generator) - code_length(generator.measure)
        try:
            return PeanoGenerator(quantize(dataset.points, bits - more), extra_levels)
        except ValueError as error:
            raise ValueError(
                f"bits={bits:g} is too small a budget; {code_length(generator)} bits are enough"
            ) from error
    return PeanoGenerator(measure, extra_levels)


def describe(obj: Any, points: np.ndarray | None = None) -> list[tuple[str, str]]:
    """What a file holds, as rows: sizes, bits against the limit, certificate; with `points`, the error to them."""
    rows = [("kind", type(obj).__name__)]
    if hasattr(obj, "generator"):
        rows.append(("modality", str(obj.modality)))
        obj = obj.generator
        rows.append(("generator", type(obj).__name__))
    measure: QuantizedMeasure | None = obj if isinstance(obj, QuantizedMeasure) else getattr(obj, "measure", None)
    rows.append(("dimension", str(obj.dim)))
    if measure is not None:
        cells = _cells(measure)
        rows += [
            ("box", ", ".join(f"[{a:g}, {b:g}]" for a, b in _first(zip(measure.low, measure.high, strict=True)))),
            ("resolution", " x ".join(str(n) for n in _first(measure.resolution))),
            ("occupied cells", f"{measure.cells.shape[0]} of {_count(cells)}"),
            ("quanta", str(measure.quanta)),
        ]
    if obj.vocabulary is not None:
        rows.append(("labels", f"{len(obj.vocabulary)}: {', '.join(map(str, _first(obj.vocabulary)))}"))
    if isinstance(obj, AbstractGenerator):
        network = obj.skeleton() if isinstance(obj, PeanoGenerator) else obj.network()
        rows += [
            ("sources", f"{obj.source_dim}, of {obj.source_bits} bits"),
            ("depth, width", f"{network.depth}, {network.width}"),
            ("connectivity", f"{network.connectivity} nonzero weights"),
            ("as a plain network", f"{network_bits(network):.0f} bits at 32 a weight and its place"),
        ]
    if isinstance(obj, MLPGenerator):
        rows.append(("bits", f"{module_bits(obj)} at 32 a weight"))
        rows.append(("certificate", "none: nothing is proven about a trained network"))
        return rows
    rows.append(("bits", str(code_length(obj))))
    if measure is not None:
        limit = type_class_bits(_cells(measure), measure.quanta)
        rows.append(("limit", f"{limit:.0f} bits for every measure with so many quanta on so many cells"))
    if isinstance(obj, AbstractGenerator):
        certificate = obj.certificate()
        rows.append(("certificate", f"W1 <= {certificate.w1:.4g}, W2 <= {certificate.w2:.4g} to its measure"))
    if points is not None and measure is not None:
        law = obj if isinstance(obj, AbstractExplicitGenerator) else measure
        w1, w2 = (data_bound(points, law, p) for p in (1, 2))
        rows.append(("error to the data", f"W1 <= {w1:.4g}, W2 <= {w2:.4g}"))
    return rows


def _cells(measure: QuantizedMeasure) -> int:
    """All cells of the grid, for each label, occupied or not."""
    return math.prod(measure.resolution) * len(measure.vocabulary or (None,))


def _first(items, n: int = 8) -> list:
    items = list(items)
    return items if len(items) <= n else [*items[:n], "..."] if isinstance(items[0], str | int) else items[:n]


def _count(n: int) -> str:
    return str(n) if n < 10**9 else f"10^{math.log10(n):.1f}"


def write_samples(
    generator: Any, n: int, path: pathlib.Path, *, condition: Any = None, seed: int = 0, progress: bool = True
) -> None:
    """Draws `n` points chunk by chunk into a `.npy` or `.csv` file that appears when it is whole.

    Raises `ValueError` for another ending, `FileNotFoundError` for a missing folder, and what `stream` raises, before
    anything is written.
    """
    writers: dict[str, Callable] = {".npy": _write_npy, ".csv": _write_csv}
    if path.suffix.lower() not in writers:
        raise ValueError(f"{path.name}: samples are written as .npy or .csv")
    if not path.resolve().parent.is_dir():
        raise FileNotFoundError(f"no folder {str(path.parent)!r} to write {path.name} to")
    chunks = generator.stream(jr.key(seed), n, condition, chunk_size=_CHUNK)
    handle, work = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.resolve().parent)
    os.close(handle)
    try:
        with tqdm(total=n, unit="point", unit_scale=True, desc="sampling", disable=not progress) as bar:
            writers[path.suffix.lower()](pathlib.Path(work), chunks, n, generator.dim, bar)
        os.chmod(work, 0o644)
        os.replace(work, path)
    except BaseException:
        pathlib.Path(work).unlink(missing_ok=True)
        raise


def _write_npy(path: pathlib.Path, chunks: Iterator, n: int, dim: int, bar: Any) -> None:
    first = np.asarray(next(chunks))
    out = np.lib.format.open_memmap(path, mode="w+", dtype=first.dtype, shape=(n, dim))
    at = 0
    for chunk in itertools.chain([first], chunks):
        out[at : at + len(chunk)] = np.asarray(chunk)
        at += len(chunk)
        bar.update(len(chunk))
    out.flush()


def _write_csv(path: pathlib.Path, chunks: Iterator, n: int, dim: int, bar: Any) -> None:
    with path.open("w", encoding="utf-8") as out:
        out.write(",".join(f"x{k}" for k in range(dim)) + "\n")
        for chunk in chunks:
            np.savetxt(out, np.asarray(chunk), fmt="%.9g", delimiter=",")
            bar.update(len(chunk))
