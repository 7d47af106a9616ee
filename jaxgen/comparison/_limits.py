"""What no method can cross, for the data of a comparison (theory, sections 8 and 10)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .. import limits
from ..data import Dataset
from ..distances import data_bound
from ..generators import AbstractGenerator, CodebookGenerator
from ..measures import GridMeasure
from ..training import Fitted
from ._records import BitsLimit, Entry, LengthLimit, Limits


class Gridded(NamedTuple):
    """The training points on a grid, which limits are about, and how far the points are from it at most, in W_1."""

    law: GridMeasure
    apart: float


def gridded(train: Dataset) -> Gridded | None:
    """None with labels, where a limit is a label's."""
    if train.labels is not None:
        return None
    law = GridMeasure.from_samples(train.points, 27 if train.points.shape[1] <= 3 else 3)
    return Gridded(law, data_bound(train.points, law))


def row_limit(
    generator: AbstractGenerator, depth: int | None, width: int | None, points: Gridded | None
) -> float | None:
    """The least W_1 to the points of so many atoms, or of any network with one input of such depth and width.

    None where nothing is proven: what is nearer to the grid than the points are may be on them.
    """
    if points is None:
        return None
    if isinstance(generator, CodebookGenerator):
        least = limits.quantization_error(len(generator.atoms), p=1, law=points.law)
    elif generator.source_dim == 1 and depth is not None and width is not None:
        least = limits.network_bound([width] * (depth - 1), law=points.law)
    else:
        return None
    return least - points.apart if least > points.apart else None


def limits_of(points: Gridded | None, networks: Mapping[str, Fitted], entries: Sequence[Entry]) -> Limits:
    """What no method can cross, in the bits and the curves of these entries; nothing with labels."""
    return Limits(
        tuple(bits_limits(points and points.law, [entry.bits for entry in entries if entry.bits])),
        tuple(length_limits(points, networks)),
    )


def bits_limits(law: GridMeasure | None, bits: Sequence[float | int]) -> Iterator[BitsLimit]:
    """For each number of bits, the error that every code has on some law on the occupied cells of the grid.

    A worst case over all laws on these cells, not a statement about the data: a single law can be named with one bit.
    """
    if law is None or np.any(np.asarray(law.cell_sides) == 0):
        return
    # In units of the geometric mean of the sides a cell has volume 1, and no volume leaves float64.
    unit = float(np.exp(np.log(np.asarray(law.cell_sides, np.float64)).mean()))
    for number in sorted({float(number) for number in bits}):
        yield BitsLimit(number, unit * limits.covering_error(number, law.dim, len(law.cells)))


def length_limits(points: Gridded | None, networks: Mapping[str, Fitted]) -> Iterator[LengthLimit]:
    """For each network with one source, the least W_1 to the points of any law on a curve as long as its own."""
    if points is None or points.law.dim == 1 or np.any(np.asarray(points.law.cell_sides) == 0):
        return
    for name, fitted in networks.items():
        if fitted.generator.source_dim == 1:
            length = limits.curve_length(fitted.generator)
            least = limits.length_bound(length, law=points.law) - points.apart
            if least > 0:
                yield LengthLimit(name, length, least)
