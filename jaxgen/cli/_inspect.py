"""`jaxgen inspect`: what a file holds."""

import math
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import click
import numpy as np

from ..coding import code_length, load
from ..distances import data_bound
from ..generators import AbstractGenerator
from ..limits import covering_bits, occupied_volume, type_class_bits
from ..measures import AbstractMeasure, QuantizedLeafMeasure, QuantizedMeasure
from ..modalities import PromptedGenerator
from ._options import PATH, show

_SHOWN = 8


@click.command("inspect")
@click.argument("file", type=PATH)
def inspect_command(file: pathlib.Path) -> None:
    """Say what FILE holds: depth, width, connectivity, bits against the limit, certificate."""
    show(describe(load(file)))


def describe(obj: Any, points: np.ndarray | None = None) -> Iterator[tuple[str, str]]:
    """What a file holds, as rows: sizes, bits against the limit, certificate; with `points`, the error to them."""
    yield "kind", type(obj).__name__
    if isinstance(obj, PromptedGenerator):
        yield "modality", str(obj.modality)
        obj = obj.generator
        yield "generator", type(obj).__name__
    yield "dimension", str(obj.dim)
    held = obj if isinstance(obj, AbstractMeasure) else getattr(obj, "measure", None)
    if isinstance(held, QuantizedMeasure):
        yield from _grid(held)
    if isinstance(held, QuantizedLeafMeasure):
        yield "leaves", str(held.size)
        yield "quanta", str(held.quanta)
    if obj.vocabulary is not None:
        yield "labels", f"{len(obj.vocabulary)}: {', '.join(_first(map(str, obj.vocabulary)))}"
    if isinstance(obj, AbstractGenerator):
        yield from _generator(obj)
    else:
        yield "bits", str(code_length(obj))
    if isinstance(held, QuantizedMeasure):
        limit = type_class_bits(_cells(held), held.quanta)
        what = "no code of all measures with so many quanta on so many cells takes fewer for each of them"
        yield "counting limit", f"{limit:.0f} bits: {what}"
        if points is not None:
            yield from _errors(obj, points)


def _errors(law: Any, points: np.ndarray) -> Iterator[tuple[str, str]]:
    """How far a measure on a grid, or a generator of one, is from points, and what bits that takes at least."""
    w1, w2 = (data_bound(points, law, p) for p in (1, 2))
    yield "error to the data", f"W1 <= {w1:.4g}, W2 <= {w2:.4g}"
    if w1 > 0:
        # In units of the error, of which the data occupy so many cells.
        least = covering_bits(1.0, law.dim, occupied_volume(points / w1, 1.0))
        what = "no method whatever takes fewer for each law on the cells of that side that the data occupy, to that W1"
        yield "covering limit", f"{least:.0f} bits: {what}"


def _grid(measure: QuantizedMeasure) -> Iterator[tuple[str, str]]:
    sides = (f"[{a:g}, {b:g}]" for a, b in zip(measure.low, measure.high, strict=True))
    cells = _cells(measure)
    yield "box", ", ".join(_first(sides))
    yield "resolution", " x ".join(_first(map(str, measure.resolution)))
    total = str(cells) if cells < 10**9 else f"10^{math.log10(cells):.1f}"
    yield "occupied cells", f"{measure.cells.shape[0]} of {total}"
    yield "quanta", str(measure.quanta)


def _generator(generator: AbstractGenerator) -> Iterator[tuple[str, str]]:
    yield "sources", f"{generator.source_dim}, of {generator.source_bits} bits"
    size = generator.size()
    if size is None:
        yield "network", "none: it has no ReLU form"
    else:
        # A nonzero weight takes 32 bits, and its place in a layer twice the logarithm of the width.
        plain = size.connectivity * (32 + 2 * math.log2(size.width))
        yield "depth, width", f"{size.depth}, {size.width}"
        yield "connectivity", f"{size.connectivity} nonzero weights"
        yield "as a plain network", f"{plain:.0f} bits at 32 a weight and its place"
    yield "bits", str(generator.bits())
    try:
        certificate = generator.certificate()
        yield "certificate", f"W1 <= {certificate.w1:.4g}, W2 <= {certificate.w2:.4g} to its measure"
        if certificate.to_points is not None:
            w1, w2 = certificate.to_points
            yield "to the points", f"W1 <= {w1:.4g}, W2 <= {w2:.4g}, certified, to those that the measure was made from"
    except (ValueError, NotImplementedError) as error:
        yield "certificate", f"none: {error}"


def _cells(measure: QuantizedMeasure) -> int:
    """All cells of the grid, for each label, occupied or not."""
    return math.prod(measure.resolution) * len(measure.vocabulary or (None,))


def _first(items: Iterable[str]) -> list[str]:
    items = list(items)
    return items if len(items) <= _SHOWN else [*items[:_SHOWN], "..."]
