"""The code of a ReLU network: its structure, and its weights exactly (theory, section 8).

A layer is blocks of rows with equally many weights. In a block, places and weights are told one after another, all
first ones, all second ones and so on, and then the biases; a single row is told along the row. Places are told by their
increments, from row to row and in the row. Weights are told as what they were rounded from, `unit * p / q` with
integers p and q where such are found, q the same for a row, biases as `offset + unit * p / q`; else as the floats that
they are, in their order. All these integers are sequences (`_sequences`): constant, or with small increments, or like
sequences that came before. Nothing is known of what the network does.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from ..relu import ReLUNetwork, SparseAffine
from ._coder import Coder, PackedReader, PackedWriter, Reader, code_number, code_signed, code_small, code_whole
from ._errors import CodeError
from ._fields import Input, Output
from ._lattices import Lattice, as_ratio, from_ordered, multiples, ordered, reciprocals, rounded
from ._modules import write_module
from ._registry import MODULE_KIND, register, register_class
from ._sequences import Pool, code_sequence, sequence_bits

_DTYPES = tuple(map(np.dtype, ("float32", "float64")))
# So many weights and rows a bit of the code at most, so that a short file cannot claim a long network.
_DENSITY, _FREE = 1 << 10, 1 << 16
_LONG = 16  # rows of more weights are told along themselves
_EXPONENTS, _KNOWN = 1200, 15


class _Layer(NamedTuple):
    """Rows as pointers into places and weights, in the order of a compressed sparse matrix, and biases."""

    pointers: Int[np.ndarray, " rows+1"]
    places: Int[np.ndarray, " nnz"]
    weights: np.ndarray
    bias: np.ndarray


def network_code(network: ReLUNetwork) -> bytes:
    """The bytes of a network from which `read_network` gives the same one, every weight to its last bit.

    Structure and weights, and nothing else: 8 times their number is the length of the network in bits. For the networks
    of jaxgen's generators it is in proportion to the code of the measure (theory, section 8); a network in whose
    weights nothing is found takes a little more than 32 bits a weight, or 64.

    **Raises:** `TypeError` for weights that are neither float32 nor float64, or not all of one of them, and for layers
    whose places are out of order.

    **Example:**

        >>> import jaxgen as jg
        >>> saw = jg.relu.sawtooth(20)
        >>> 8 * len(jg.coding.network_code(saw)), 32 * saw.connectivity
        (240, 6944)
    """
    layers, dtype = _layers_of(network)
    writer = PackedWriter()
    _code_network(writer, layers, network.in_size, dtype)
    return writer.finish()[0]


def read_network(data: bytes | memoryview) -> ReLUNetwork:
    """The network that `network_code` wrote: every weight to the last bit.

    (Where JAX has no float64 switched on, a network in float64 is rounded to float32, as all files are.)

    **Raises:** `CodeError` for bytes that it did not write.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.coding.read_network(jg.coding.network_code(jg.relu.hat()))(0.25).tolist()
        [0.5]
    """
    reader = PackedReader(bytes(data))
    layers, in_size = _code_network(reader, None, 0, None)
    reader.finish()
    return _network_of(layers, in_size)


def _layers_of(network: ReLUNetwork) -> tuple[list[_Layer], np.dtype]:
    layers = []
    for affine in network.layers:
        rows, places = np.asarray(affine.rows, np.int64), np.asarray(affine.cols, np.int64)
        flat = rows * affine.in_size + places
        inside = np.all((places >= 0) & (places < affine.in_size) & (rows >= 0) & (rows < affine.out_size))
        if not (inside and np.all(np.diff(flat) > 0)):
            raise TypeError("the places of the weights of a network must be sorted, and lie inside its layers")
        pointers = np.searchsorted(rows, np.arange(affine.out_size + 1))
        layers.append(_Layer(pointers, places, np.asarray(affine.weights), np.asarray(affine.bias)))
    dtypes = {array.dtype for layer in layers for array in (layer.weights, layer.bias)}
    if len(dtypes) > 1 or not dtypes <= set(_DTYPES):
        raise TypeError(f"the weights of a network must be float32, or all float64; got {sorted(map(str, dtypes))}")
    return layers, dtypes.pop()


def _network_of(layers: list[_Layer], in_size: int) -> ReLUNetwork:
    """As it was, without the checks of a constructor, which would drop weights that are 0."""
    built = []
    for layer in layers:
        affine, size = object.__new__(SparseAffine), len(layer.bias)
        fields = {
            "rows": jnp.asarray(np.repeat(np.arange(size, dtype=np.int32), np.diff(layer.pointers))),
            "cols": jnp.asarray(layer.places.astype(np.int32)),
            "weights": jnp.asarray(layer.weights),
            "bias": jnp.asarray(layer.bias),
            "in_size": in_size,
            "out_size": size,
        }
        for name, value in fields.items():
            object.__setattr__(affine, name, value)
        built.append(affine)
        in_size = size
    network = object.__new__(ReLUNetwork)
    object.__setattr__(network, "layers", tuple(built))
    return network


class _Space:
    """How many weights and rows a code may still hold, so that memory is taken for no more."""

    def __init__(self, coder: Coder):
        self._left = _FREE + _DENSITY * 8 * coder.size if isinstance(coder, Reader) else None

    def take(self, size: int) -> None:
        if self._left is None:
            return
        self._left -= size
        if self._left < 0:
            raise CodeError("the file claims more weights than it can hold")


def _code_network(coder: Coder, layers: list[_Layer] | None, in_size: int, dtype: np.dtype | None):
    """The type, the number of inputs, the depth; then layer by layer, one bit for one like the layer before."""
    dtype = _DTYPES[code_number(coder, None if dtype is None else _DTYPES.index(dtype), 1)]
    in_size = code_small(coder, None if layers is None else in_size - 1) + 1
    depth = code_small(coder, None if layers is None else len(layers) - 1) + 1
    pool, space, out = Pool(), _Space(coder), []
    space.take(depth)
    size = in_size
    for i in range(depth):
        layer = None if layers is None else layers[i]
        same = i > 0 and code_number(coder, None if layer is None else _equal(layer, out[-1]), 1)
        if same:
            space.take(len(out[-1].weights) + len(out[-1].bias))
        out.append(out[-1] if same else _code_layer(coder, layer, dtype, pool, space))
        _check_places(out[-1], size)
        size = len(out[-1].bias)
    return out, in_size


def _check_places(layer: _Layer, in_size: int) -> None:
    flat = np.repeat(np.arange(len(layer.bias)), np.diff(layer.pointers)) * in_size + layer.places
    inside = np.all((layer.places >= 0) & (layer.places < in_size))
    if not (inside and np.all(np.diff(flat) > 0)):
        raise CodeError("the file holds weights that are out of order, or outside of their layer")


def _equal(one: _Layer, other: _Layer) -> bool:
    return all(a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


def _code_layer(coder: Coder, layer: _Layer | None, dtype: np.dtype, pool: Pool, space: _Space) -> _Layer:
    size = code_whole(coder, None if layer is None else len(layer.bias), 4)
    ends = None if layer is None else iter(_cuts(layer))
    done, blocks = 0, []
    while done < size:
        end = None if ends is None else next(ends)
        last = code_number(coder, None if end is None else end == size, 1)
        rows = size - done if last else code_whole(coder, None if end is None else end - done, 4)
        if not 1 <= rows <= size - done:
            raise CodeError("the file holds a layer of other than its own rows")
        block = None if layer is None else _part(layer, done, done + rows)
        blocks.append(_code_block(coder, block, rows, dtype, pool, space))
        done += rows
    if not blocks:
        raise CodeError("the file holds a layer without neurons")
    held = np.concatenate([np.full(len(block.bias), block.places.shape[1]) for block in blocks])
    return _Layer(
        np.concatenate([[0], np.cumsum(held)]),
        np.concatenate([block.places.ravel() for block in blocks]),
        np.concatenate([block.weights.ravel() for block in blocks]),
        np.concatenate([block.bias for block in blocks]),
    )


class _Block(NamedTuple):
    """Rows with equally many weights."""

    places: Int[np.ndarray, "rows k"]
    weights: np.ndarray
    bias: np.ndarray


def _part(layer: _Layer, start: int, stop: int) -> _Block:
    some = slice(int(layer.pointers[start]), int(layer.pointers[stop]))
    shape = (stop - start, -1 if some.stop > some.start else 0)
    return _Block(layer.places[some].reshape(shape), layer.weights[some].reshape(shape), layer.bias[start:stop])


def _cuts(layer: _Layer) -> Iterator[int]:
    """Where blocks end: before rows of another number of weights or another sign, and where a ramp starts anew.

    Any cuts will do; better ones make a shorter code.
    """
    held = np.diff(layer.pointers)
    some = held > 0
    first, place = np.zeros(len(held), layer.weights.dtype), np.full(len(held), -1)
    first[some] = layer.weights[layer.pointers[:-1][some]]
    place[some] = layer.places[layer.pointers[:-1][some]]
    cut = held[1:] != held[:-1]
    turned = np.sign(first[1:]) != np.sign(first[:-1])
    with np.errstate(all="ignore"):
        kink = -layer.bias.astype(np.float64) / first.astype(np.float64)
    anew = (held[1:] == 1) & (place[1:] == place[:-1]) & (kink[1:] < kink[:-1])
    for more in (turned, anew):
        if np.count_nonzero(more & ~cut) <= len(held) / 16:
            cut |= more
    ends = [*(1 + np.flatnonzero(cut)).tolist(), len(held)]
    start = 0
    for end in ends:
        k = int(held[start])
        # Long rows that are not alike have more to say along themselves.
        if end - start > 1 and k >= _LONG and not _alike(_part(layer, start, end).places):
            yield from range(start + 1, end)
        yield end
        start = end


def _alike(places: Int[np.ndarray, "rows k"]) -> bool:
    return bool(np.all(places - places[:, :1] == places[0] - places[0, 0])) if places.shape[1] else True


def _code_block(coder: Coder, block: _Block | None, rows: int, dtype: np.dtype, pool: Pool, space: _Space) -> _Block:
    k = code_whole(coder, None if block is None else block.places.shape[1], 3)
    space.take(rows * (k + 1))
    if k == 0:
        bias = _code_floats(coder, None if block is None else block.bias, rows, dtype, None, pool)
        return _Block(np.zeros((rows, 0), np.int64), np.zeros((rows, 0), dtype), bias)
    places = _code_places(coder, None if block is None else block.places, rows, k, pool)
    weights = None if block is None else block.weights
    bias = None if block is None else block.bias
    if k > 1 and (rows == 1 or code_number(coder, None if block is None else k > _LONG, 1)):
        flat = _code_floats(coder, None if weights is None else weights.ravel(), rows * k, dtype, None, pool)
        return _Block(places, flat.reshape(rows, k), _code_floats(coder, bias, rows, dtype, None, pool))
    ratios = None if block is None else _ratios(block, pool)
    below = None
    columns = []
    if rows > 1 and code_number(coder, ratios is not None, 1):
        first, below = _code_reciprocals(coder, ratios, rows, dtype, pool)
        columns.append(first)
    while len(columns) < k:
        column = None if weights is None else weights[:, len(columns)]
        columns.append(_code_floats(coder, column, rows, dtype, below, pool))
    return _Block(places, np.stack(columns, axis=1), _code_floats(coder, bias, rows, dtype, below, pool))


def _code_places(coder: Coder, places: Int[np.ndarray, "rows k"] | None, rows: int, k: int, pool: Pool):
    """The first of each row, and then the gaps: those of one row, if they are alike in all; else column by column."""
    gaps = None if places is None else np.diff(places, axis=1)
    if rows == 1:
        return code_sequence(coder, None if places is None else places[0], k, pool)[None]
    first = code_sequence(coder, None if places is None else places[:, 0], rows, pool)
    if k == 1:
        return first[:, None]
    if code_number(coder, None if places is None else _alike(places), 1):
        steps = code_sequence(coder, None if gaps is None else gaps[0], k - 1, pool)
        return first[:, None] + np.concatenate([[0], np.cumsum(steps)])
    columns = [first]
    for j in range(k - 1):
        columns.append(columns[-1] + code_sequence(coder, None if gaps is None else gaps[:, j], rows, pool))
    return np.stack(columns, axis=1)


def _ratios(block: _Block, pool: Pool) -> Lattice | None:
    """The first weights as `unit / q`, if that makes the whole block shorter."""
    if len(block.bias) < 2:
        return None
    found = reciprocals(block.weights[:, 0])
    if found is None:
        return None
    fields = [*block.weights.T[1:], block.bias]
    with_it, without = pool.copy(), pool.copy()
    bits = _lattice_bits(found._replace(above=found.below), with_it)
    with_it.add(found.below)
    bits += sum(_best(field, found.below, with_it)[1] for field in fields)
    plain = sum(_best(field, None, without)[1] for field in [block.weights[:, 0], *fields])
    return found if bits < plain else None


def _best(values: np.ndarray, below: Int[np.ndarray, " n"] | None, pool: Pool) -> tuple[Lattice | None, float]:
    """The shortest form of floats, as multiples or `None` as they are, and about its bits; its integers are pooled."""
    places = ordered(values)
    best, least, told = None, sequence_bits(places, pool), places
    ones = np.ones(len(values), np.int64)
    offsets = dict.fromkeys([0.0, 1.0, -1.0, float(values[0])]) if len(values) > 1 else [0.0]
    for offset in offsets:
        found = multiples(values, ones if below is None else below, offset)
        if found is not None and (bits := _lattice_bits(found, pool)) < least:
            best, least, told = found, bits, found.above
    pool.add(told)
    return best, least


def _lattice_bits(lattice: Lattice, pool: Pool) -> float:
    bits = 20 + sequence_bits(lattice.above, pool)
    return bits + (sequence_bits(lattice.off, pool) if lattice.off.any() else 0)


def _code_floats(coder: Coder, values: np.ndarray | None, size: int, dtype: np.dtype, below, pool: Pool) -> np.ndarray:
    """As `offset + unit * above / below`, or as they are."""
    found = None if values is None else _best(values, below, pool.copy())[0]
    if not code_number(coder, found is not None, 1):
        return from_ordered(code_sequence(coder, None if values is None else ordered(values), size, pool), dtype)
    offset, unit = _code_number_pair(coder, found, pool)
    above = code_sequence(coder, None if found is None else found.above, size, pool)
    ones = np.ones(size, np.int64) if below is None else below
    return rounded(Lattice(offset, unit, above, ones, _code_off(coder, found, size, pool)), dtype)


def _code_reciprocals(coder: Coder, found: Lattice | None, size: int, dtype: np.dtype, pool: Pool):
    offset, unit = _code_number_pair(coder, found, pool)
    below = code_sequence(coder, None if found is None else found.below, size, pool)
    if np.any(below == 0):
        raise CodeError("the file divides by 0")
    ones = np.ones(size, np.int64)
    return rounded(Lattice(offset, unit, ones, below, _code_off(coder, found, size, pool)), dtype), below


def _code_off(coder: Coder, found: Lattice | None, size: int, pool: Pool) -> Int[np.ndarray, " n"]:
    if not code_number(coder, None if found is None else bool(found.off.any()), 1):
        return np.zeros(size, np.int64)
    return code_sequence(coder, None if found is None else found.off, size, pool)


def _code_number_pair(coder: Coder, found: Lattice | None, pool: Pool) -> tuple[float, float]:
    offset = _code_float(coder, None if found is None else found.offset, pool)
    return offset, _code_float(coder, None if found is None else found.unit, pool)


def _code_float(coder: Coder, value: float | None, pool: Pool) -> float:
    """One of those that were told, by how long ago that was; or a ratio of integers, times a power of two."""
    known = pool.numbers
    place = code_small(coder, None if value is None else known.index(value) if value in known else len(known))
    if place > len(known):
        raise CodeError("the file refers to a number that it does not hold")
    if place < len(known):
        value = known.pop(place)
    else:
        above, below, exponent = (None, None, None) if value is None else as_ratio(value)
        above = code_signed(coder, above, 3)
        if code_number(coder, None if below is None else below > 1, 1):
            below, exponent = code_whole(coder, below, 4), 0
        else:
            below, exponent = 1, code_signed(coder, exponent, 3)
        if abs(exponent) > _EXPONENTS or below == 0 or max(above.bit_length(), below.bit_length()) > 64:
            raise CodeError("the file holds a number beyond all floats")
        with np.errstate(over="ignore"):
            value = float(np.ldexp(above / below, exponent))
        del known[_KNOWN - 1 :]
    known.insert(0, value)
    return value


def _write(out: Output, network: ReLUNetwork) -> int | None:
    try:
        out.raw(network_code(network))
    except TypeError:
        write_module(out, network)
        return MODULE_KIND
    return None


def _read(data: Input) -> ReLUNetwork:
    return read_network(data.part(data.left))


register(ReLUNetwork, 12, _write, _read)
register_class(ReLUNetwork)  # files of old hold one field by field
