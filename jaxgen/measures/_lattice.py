"""Atoms on a lattice in whole quanta: laws of points, at few bits (theory, section 8)."""

import math
from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from .. import coding
from .._checks import Numbers, positive_number, whole_number
from ..coding import CodeError, Input, Output
from ._leaves import QuantizedLeafMeasure
from ._record import Record
from ._vocabulary import Label, label_code

_MAX_DIM, _MAX_RESOLUTION, _MAX_STEPS = 1 << 20, 1 << 30, 1 << 52


class Lattice(NamedTuple):
    """Cubes of side `spacing` from the corner `low` on, `resolution` an axis; a place is the centre of one.

    An axis with one place has it at `low`. `memory`: 0, or that of the trellis that says which places are open.

    **Example:**

        >>> from jaxgen.measures import Lattice
        >>> Lattice((0.0, 5.0), 0.5, (4, 1)).points([[0, 0], [3, 0]]).tolist()
        [[0.25, 5.0], [1.75, 5.0]]
    """

    low: tuple[float, ...]
    spacing: float
    resolution: tuple[int, ...]
    memory: int = 0

    def points(self, places: Numbers) -> Float[np.ndarray, "m d"]:
        """Where places are, `(m, d)` of their indices.

        **Example:**

            >>> from jaxgen.measures import Lattice
            >>> Lattice((0.0,), 0.5, (4,)).points([[3]]).tolist()
            [[1.75]]
        """
        half = np.where(np.array(self.resolution) > 1, 0.5, 0.0)
        return np.array(self.low) + (np.asarray(places) + half) * self.spacing


class LatticeMeasure(QuantizedLeafMeasure):
    """A law of atoms on places of a lattice, each with a whole number of quanta.

    Its file holds numbers of places, and no float an atom. With a trellis (`Lattice.memory`) the atoms are on open
    places, and the same bits give a smaller distance; `rate.lattice_atoms` finds such laws for given points.

    **Example:**

        >>> import jaxgen as jg
        >>> from jaxgen.measures import Lattice, LatticeMeasure
        >>> measure = LatticeMeasure([[0], [2]], [1, 3], Lattice((0.0,), 0.25, (4,)))
        >>> measure.low_corners.tolist(), measure.masses.tolist()
        ([[0.125], [0.625]], [0.25, 0.75])
        >>> jg.decode(jg.encode(measure)).places.tolist()
        [[0], [2]]
    """

    low_corners: Float[Array | np.ndarray, "m d"]
    sides: Float[Array | np.ndarray, "m d"]
    counts: UInt32[Array, " m"]
    labels: Int[Array, " m"] | None
    vocabulary: tuple[Label, ...] | None = eqx.field(static=True)
    record: Record = eqx.field(static=True, repr=False)
    places: Int[np.ndarray, "m d"]
    lattice: Lattice = eqx.field(static=True)

    def __init__(self, places: Numbers, counts: Numbers, lattice: Lattice, record: Record | None = None):
        """**Arguments:**

        - `places`: `(m, d)` distinct indices of places; kept in row-major order.
        - `counts`: `(m,)` integers >= 1 with a sum of at most 2**24.
        - `lattice`, and `record`: what is proven about these counts.

        **Raises:** `ValueError` for places beyond the lattice, twice the same, or not open one after the other, and a
        lattice that is none; `TypeError` for places or counts that are not integers.
        """
        at, lattice = np.asarray(places), _checked(lattice)
        if not np.issubdtype(at.dtype, np.integer):
            raise TypeError(f"places must be integers; got {at.dtype}")
        if at.ndim != 2 or at.shape[1] != len(lattice.low) or np.shape(counts) != at.shape[:1] or not len(at):
            raise ValueError(f"places must have shape (m, {len(lattice.low)}) and counts (m,); got {at.shape}")
        if np.any(at < 0) or np.any(at >= np.array(lattice.resolution)):
            raise ValueError(f"places must lie below {lattice.resolution}, and not below 0")
        order = np.lexsort(at.T[::-1])
        at = at[order].astype(np.int64)
        if np.any(np.all(at[1:] == at[:-1], axis=1)):
            raise ValueError("places must be distinct")
        if lattice.memory:
            coding.Trellis(lattice.resolution, lattice.memory).positions(at)
        self.places, self.lattice = at, lattice
        super().__init__(lattice.points(at), 0.0, np.asarray(counts)[order], record=record)

    def given(self, condition: Label) -> "LatticeMeasure":
        """There are no labels. Raises `ValueError`."""
        label_code(condition, self.vocabulary)
        return self

    def relative(self) -> "LatticeMeasure":
        """The measure relative to its lower corner `low`, which is 0 then."""
        low = np.array(self.lattice.low) - np.asarray(self.low, np.float64)
        lattice = self.lattice._replace(low=tuple(low.tolist()))
        return LatticeMeasure(self.places, np.asarray(self.counts), lattice, self.record if self.unchanged else None)


def _checked(lattice: Lattice) -> Lattice:
    low, spacing, resolution, memory = lattice
    numbers = tuple(float(x) for x in low)
    sizes = tuple(whole_number(n, "resolution", 1) for n in resolution)
    if not (np.all(np.isfinite(numbers)) and len(numbers) == len(sizes) >= 1):
        raise ValueError(f"low and resolution must be as many, and finite; got {low} and {resolution}")
    return Lattice(numbers, positive_number(spacing, "spacing"), sizes, whole_number(memory, "memory", 0))


def _write(out: Output, measure: LatticeMeasure) -> None:
    """`32 (d - 1) + 4 memory + 2 equal + whole`, resolution (once if equal), spacing, low; then the atoms.

    The spacing is `odd * 2**exponent`, two integers. `whole`: low are whole multiples of the power of two below the
    spacing, and written as these multiples; else as floats.
    """
    low, spacing, resolution, memory = measure.lattice
    odd, exponent = _odd(spacing)
    step = 2.0 ** math.floor(math.log2(spacing))
    equal, whole = len(set(resolution)) == 1, all(x % step == 0 and abs(x / step) < _MAX_STEPS for x in low)
    out.integer((len(low) - 1) << 5 | memory << 2 | equal << 1 | whole)
    for size in resolution[: 1 if equal else None]:
        out.integer(size)
    out.integer(odd)
    out.integer(_folded(exponent))
    if whole:
        for x in low:
            out.integer(_folded(int(x / step)))
    else:
        out.numbers(low)
    saved = measure.record.saved and measure.unchanged
    coding.write_record(out, measure.record.bounds if saved else {}, None)
    counts = np.asarray(measure.counts, np.int64)
    if memory:
        coding.write_open(out, coding.Trellis(resolution, memory), measure.places, counts)
    else:
        coding.write_occupied(out, measure.places, counts, resolution)


def _read(data: Input) -> LatticeMeasure:
    flags = data.integer("dim", 32 * _MAX_DIM - 1)
    dim, memory = (flags >> 5) + 1, flags >> 2 & 7
    data.require(8 * dim, f"a lattice of {dim} axes")
    sizes = [data.integer("resolution", _MAX_RESOLUTION) for _ in range(1 if flags & 2 else dim)]
    resolution = tuple(sizes * dim if flags & 2 else sizes)
    odd = data.integer("the spacing", 1 << 53)
    spacing = math.ldexp(odd, _unfolded(data.integer("an exponent", 1 << 12)))
    if flags & 1:
        step = 2.0 ** math.floor(math.log2(spacing)) if spacing > 0 else 0.0
        low = tuple(step * _unfolded(data.integer("a corner", 2 * _MAX_STEPS)) for _ in range(dim))
    else:
        low = tuple(data.numbers(dim).tolist())
    bounds, _ = coding.read_record(data)
    if min(resolution) < 1:
        raise CodeError("the file claims a resolution of 0")
    if memory:
        places, counts = coding.read_open(data, coding.Trellis(resolution, memory))
    else:
        places, counts = coding.read_occupied(data, resolution)
    return LatticeMeasure(places, counts, Lattice(low, spacing, resolution, memory), Record(bounds))


def _odd(value: float) -> tuple[int, int]:
    """A positive float as `odd * 2**exponent`."""
    top, bottom = value.as_integer_ratio()
    exponent = (top & -top).bit_length() - 1
    return top >> exponent, exponent - (bottom.bit_length() - 1)


def _folded(value: int) -> int:
    """0, -1, 1, -2, ... as 0, 1, 2, 3, ..."""
    return 2 * value if value >= 0 else -2 * value - 1


def _unfolded(value: int) -> int:
    return value >> 1 if value % 2 == 0 else -(value >> 1) - 1


coding.register(LatticeMeasure, 9, _write, _read)
