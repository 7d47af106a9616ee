"""Generators in files; an object that a generator holds ends its body.

| kind | body |
|---|---|
| 1 `SawtoothGenerator` | folds; the measure |
| 2 `CurveGenerator` | `8 extra_levels + 2 path + other` (see below); the measure |
| 3 `IndependentGenerator` | the measure |
| 4 `CodebookGenerator` | `2 (d - 1) + double`, atoms N, quanta K; the atoms in float32 or float64; payload: N counts |
| 5 `MLPGenerator` | see `_write_mlp` |
| 7 `GriddedCondition` | m, m resolutions, how the corners are written (two bits each), low, high; the generator |

The path of a curve is 0 for the line, 1 for the diagonal, 2 for the centre, 3 for the line along the longest side of
each leaf, where that is not the last everywhere. A curve other than Peano's (`other` is 1) stands before the measure,
as an object after its length.

Section 7 of a sawtooth: `2 last + serpentine`, with `last` the axis that is nested last; then the other axes as they
are nested, where that is not their own order. Without it the path is the zigzag, and the axes are in their own order.

Section 7 of a curve: the axis that changes places with the last; or d, and the axis of each leaf. Without it none does,
but for the path 3.
"""

import itertools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import coding
from ..coding import CodeError, Input, Output
from ..curves import AbstractCurve, PeanoCurve, centre_distance, diagonal_distance
from ._codebook import CodebookGenerator
from ._curve import CurveGenerator, running_axes
from ._explicit import on_a_grid
from ._gridded_condition import GriddedCondition
from ._independent import IndependentGenerator
from ._mlp import MLPGenerator
from ._sawtooth import SawtoothGenerator

_MAX_LEVELS = _MAX_SIZE = _MAX_DIM = 1 << 20
_MAX_QUANTA = 1 << 24
_NESTING = 7
_PATHS, _LONGEST = ("line", "diagonal", "centre"), 3


def _read_measure(data: Input) -> Any:
    # In version 1 it was always a body of kind 0.
    return coding.read_body(data, 0) if data.version == 1 else coding.read_object(data)


def _write_sawtooth(out: Output, generator: SawtoothGenerator) -> None:
    """A zigzag through the axes in their own order, all that there was once, has no section of its own."""
    serpentine, axes = generator.path == "serpentine", np.asarray(generator.axes).tolist()
    if serpentine or axes != sorted(axes):
        part = Output()
        part.integer(2 * axes[-1] + serpentine)
        for axis in axes[:-1] if axes[:-1] != sorted(axes[:-1]) else ():
            part.integer(axis)
        out.sections[_NESTING] = part.finish()
    out.integer(generator.folds)
    coding.write_object(out, generator.measure)


def _read_sawtooth(data: Input) -> SawtoothGenerator:
    part, folds = data.section(_NESTING), data.integer("folds", _MAX_LEVELS)
    measure = on_a_grid(_read_measure(data))
    natural = list(range(measure.dim))
    if part is None:
        return SawtoothGenerator(measure, folds, axes=natural)
    last, serpentine = divmod(part.integer("the last axis", 2 * measure.dim - 1), 2)
    others, given = [axis for axis in natural if axis != last], part.left > 0
    axes = [part.integer("an axis", measure.dim - 1) for _ in others] if given else others
    part.end()
    # One file for one generator: nothing is written that need not be.
    if (given and axes == others) or (not serpentine and [*axes, last] == natural):
        raise CodeError("the order of the axes in the file is written in a way in which none is")
    return SawtoothGenerator(measure, folds, "serpentine" if serpentine else "zigzag", [*axes, last])


def _write_curve(out: Output, generator: CurveGenerator) -> None:
    peano = type(generator.curve) is PeanoCurve
    longest, section = _axes_of(generator)
    path = _LONGEST if longest else _PATHS.index(generator.path)
    out.integer((generator.extra_levels << 2 | path) << 1 | (not peano))
    if not peano:
        curve = Output(out.depth)
        coding.write_object(curve, generator.curve)
        out.block(curve.finish())
    if section:
        out.sections[_NESTING] = section
    coding.write_object(out, generator.measure)


def _axes_of(generator: CurveGenerator) -> tuple[bool, bytes]:
    """Whether a line runs along the longest sides and not along the last, and the section that says the axes else."""
    axes, dim, out = np.asarray(generator.axes), generator.dim, Output()
    if np.all(axes == dim - 1):
        return False, b""
    if np.array_equal(axes, running_axes("auto", generator.path, generator.measure)):
        return True, b""
    for number in [int(axes)] if axes.ndim == 0 else [dim, *axes.tolist()]:
        out.integer(number)
    return False, out.finish()


def _read_curve(data: Input) -> CurveGenerator:
    levels = data.integer("extra_levels", 8 * _MAX_LEVELS)
    if data.version == 1:
        measure = _read_measure(data)
        path = _path_1(np.asarray(measure.cell_sides, np.float64))
        return CurveGenerator(measure, levels, path, axes=measure.dim - 1)
    curve = coding.read_object(Input(data.block(), data.version, depth=data.depth)) if levels & 1 else PeanoCurve()
    path = levels >> 1 & 3
    if not isinstance(curve, AbstractCurve):
        raise CodeError("the file holds no curve where one should be")
    part = data.section(_NESTING)
    section = None if part is None else bytes(part.part(part.left))
    measure = _read_measure(data)
    axes = "auto" if path == _LONGEST else measure.dim - 1
    if section is not None:
        axes = _read_axes(Input(memoryview(section), data.version), measure)
    generator = CurveGenerator(measure, levels >> 3, "line" if path == _LONGEST else _PATHS[path], curve, axes)
    # One file for one generator: nothing is written that need not be.
    if _axes_of(generator) != (path == _LONGEST, section or b"") or section == b"":
        raise CodeError("the axes of the curve in the file are written in a way in which none are")
    return generator


def _read_axes(part: Input, measure: Any) -> int | list[int]:
    axis = part.integer("the axis", measure.dim)
    if axis < measure.dim:
        return axis
    return [part.integer("an axis", measure.dim - 1) for _ in range(measure.size)]


def _path_1(sides: np.ndarray) -> str:
    """In version 1 the path was the diagonal of a finest cell, or its centre where that is nearer to the cell's law."""
    # E|S| <= sqrt(Var S) and Var T = 1/6 bound the constant of the diagonal from below, and settle the matter in high
    # dimension without it.
    squares = sides**2
    if squares.sum() / 6 - math.sqrt(float(squares @ squares) / 24) >= squares.sum() / 12 > 0:
        return "centre"
    return "diagonal" if diagonal_distance(sides)[1] <= centre_distance(sides)[1] else "centre"


def _write_independent(out: Output, generator: IndependentGenerator) -> None:
    coding.write_object(out, generator.measure)


def _read_independent(data: Input) -> IndependentGenerator:
    return IndependentGenerator(_read_measure(data))


def _write_codebook(out: Output, codebook: CodebookGenerator) -> None:
    atoms, counts = np.asarray(codebook.atoms, np.float64), np.asarray(codebook.counts, np.int64)
    values = coding.float32_if_exact(atoms)
    out.integer((codebook.dim - 1) << 1 | (values.dtype.itemsize == 8))
    out.integer(len(counts))
    out.integer(codebook.quanta)
    out.raw(values.tobytes())
    record = codebook.measure.record
    coding.write_record(out, record.bounds if record.saved and codebook.measure.unchanged else {})
    coding.write_composition(out, counts)


def _read_codebook(data: Input) -> CodebookGenerator:
    old = data.version == 1
    flags = data.byte() if old else data.integer("dim", 2 * _MAX_DIM - 1)
    if old and flags >> 2:
        raise CodeError("the flags of the codebook are unknown")
    dim = data.integer("dim", _MAX_DIM) if old else (flags >> 1) + 1
    n, quanta = data.integer("the number of atoms", _MAX_QUANTA), data.integer("quanta", _MAX_QUANTA)
    if not (dim >= 1 and 1 <= n <= quanta):
        raise CodeError(f"the file claims {n} atoms of dimension {dim} with {quanta} quanta")
    bounds = coding.read_record(data)[0]
    if set(bounds) - {"quantization", "rounding", "points"}:
        raise CodeError(f"the file claims bounds of a codebook on {', '.join(bounds)}")
    if old and flags & 2:
        bounds["quantization"], bounds["rounding"] = map(tuple, data.numbers(4).reshape(2, 2).tolist())
    atoms = data.array("<f8" if flags & 1 else "<f4", n * dim).reshape(n, dim)
    return CodebookGenerator(atoms, coding.read_composition(data, n, quanta), **bounds)


def _write_mlp(out: Output, network: MLPGenerator, *, weight_bits: int = 8) -> None:
    """Sizes, box and label masses exactly; weights and biases at so many bits.

    A byte of flags (box, label masses, and two bits each for how low and high are written); dim, source_dim, width,
    depth, bits b of a weight; the box; the label masses in multiples of 2**-24; the number of modelled bits; the step
    of each array; payload. A weight is its step times an integer below 2**(b-1) in absolute value. The leading bits of
    all these integers are coded by their frequencies (for those that agree so far: how many have the next bit set, and
    which), the others as they are.
    """
    widths = {bias.shape[0] for bias in network.biases[:-1]}
    if len(widths) > 1:
        raise TypeError(f"the hidden layers must all have the same width; got {sorted(widths)}")
    box = None if network.low is None else [np.asarray(x, np.float64) for x in (network.low, network.high)]
    counted = network.label_counts is not None
    out.byte((0 if box is None else 1 | coding.box_kind(*box) << 2) | counted << 1)
    for size in (network.dim, network.source_dim, max(widths, default=1), len(network.weights), weight_bits):
        out.integer(size)
    if box is not None:
        coding.write_box(out, *box)
    if counted:
        for count in np.asarray(network.label_counts):
            out.integer(int(count))
    coding.write_vocabulary(out, network.vocabulary)
    coding.write_arrays(out, [*network.weights, *network.biases], weight_bits)


def _read_mlp(data: Input) -> MLPGenerator:
    """The inverse of `_write_mlp`, in version 1 too; the weights are the rounded ones."""
    vocabulary, flags = coding.read_vocabulary(data), data.byte()
    if flags >> 6:
        raise CodeError("the flags of the network are unknown")
    names = ("dim", "source_dim", "width", "depth")
    dim, source_dim, width, depth = (data.integer(name, _MAX_SIZE) for name in names)
    bits = data.integer("weight_bits", 1 << 10)
    if min(dim, source_dim, width, depth) < 1:
        raise CodeError("the file claims a network with a size of 0")
    box = coding.read_box(data, flags >> 2, dim) if flags & 1 else (None, None)
    counts = None
    if flags >> 1 & 1:
        if vocabulary is None:
            raise CodeError("the file has label masses but no vocabulary")
        counts = np.array([data.integer("a label mass", 1 << 24) for _ in vocabulary])
        if counts.sum() != 1 << 24:
            raise CodeError("the label masses in the file do not sum to 1")
    data.require(8 * 2 * depth, f"{depth} layers")
    sizes = [len(vocabulary or ()) + source_dim, *[width] * (depth - 1), dim]
    shapes: list[tuple[int, ...]] = [(rows, cols) for cols, rows in itertools.pairwise(sizes)]
    arrays = coding.read_arrays(data, shapes + [(rows,) for rows in sizes[1:]], bits)
    network = MLPGenerator(
        *(dim, source_dim, 1, 1),
        key=jax.random.key(0),
        vocabulary=vocabulary,
        label_masses=counts,
        low=box[0],
        high=box[1],
    )
    dtype = jnp.result_type(float)
    arrays = [jnp.asarray(array, dtype) for array in arrays]
    return eqx.tree_at(lambda net: (net.weights, net.biases), network, (tuple(arrays[:depth]), tuple(arrays[depth:])))


def _write_gridded(out: Output, gridded: GriddedCondition) -> None:
    low, high = np.asarray(gridded.low, np.float64), np.asarray(gridded.high, np.float64)
    out.integer(gridded.condition_dim)
    for size in gridded.condition_resolution:
        out.integer(size)
    out.byte(coding.box_kind(low, high))
    coding.write_box(out, low, high)
    coding.write_object(out, gridded.generator)


def _read_gridded(data: Input) -> GriddedCondition:
    dim = data.integer("the dimension of the condition", data.left)
    resolution = tuple(data.integer("condition_resolution", _MAX_SIZE) for _ in range(dim))
    if not dim:
        raise CodeError("the file claims conditions of dimension 0")
    low, high = coding.read_box(data, data.byte(), dim)
    return GriddedCondition(coding.read_object(data), resolution, low, high)


coding.register(SawtoothGenerator, 1, _write_sawtooth, _read_sawtooth)
coding.register(CurveGenerator, 2, _write_curve, _read_curve)
coding.register(IndependentGenerator, 3, _write_independent, _read_independent)
coding.register(CodebookGenerator, 4, _write_codebook, _read_codebook)
coding.register(MLPGenerator, 5, _write_mlp, _read_mlp)
coding.register(GriddedCondition, 7, _write_gridded, _read_gridded)
