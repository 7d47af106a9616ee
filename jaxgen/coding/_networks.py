"""Networks with weights of stated precision, and the bits that they take."""

import itertools
import math
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ..generators import MLPGenerator
from ..relu import ReLUNetwork
from ._coder import Coder, Reader, Writer
from ._errors import CodeError
from ._fields import Input, Output, corner_kind, read_corner, read_values, write_corner
from ._multisets import code_subset, least_bits

Module = TypeVar("Module", bound=eqx.Module)

MIN_BITS, MAX_BITS = 2, 16
_MAX_MODELLED = 6  # leading bits of a weight that are coded by their frequencies; the others are as good as random
_MAX_SIZE = 1 << 20
# A weight takes this many bits or more, so that a short file cannot claim a long network.
_LEAST = 1 / 64
# Steps have 8 significant bits and weights 15, so that a weight, their product, is an exact float32. None is denormal.
_STEP_BITS, _MIN_EXPONENT, _LARGEST = 8, -120, 2.0**126


def network_bits(network: ReLUNetwork, weight_bits: int | float = 32) -> float:
    """Bits that a plain description of a network takes: `M (b + 2 log2 w)`, M its connectivity, w its width.

    Each of the M nonzero weights takes `weight_bits` = b bits, and its place among the at most w**2 of its layer
    2 log2 w. Raises `ValueError` for weight_bits < 1. Theory, section 8.
    """
    if not weight_bits >= 1:
        raise ValueError(f"weight_bits must be at least 1; got {weight_bits}")
    return network.connectivity * (weight_bits + 2 * math.log2(network.width))


def quantize_network(module: Module, weight_bits: int = 8) -> Module:
    """The same module with each float array rounded to whole multiples of a step, `weight_bits` bits an entry.

    Works on the floating-point arrays of any Equinox module (of an `MLPGenerator`: on its weights and biases, not on
    its box). The entries of an array become `step * k` with `|k| < 2**(weight_bits - 1)`; the step is that of the least
    squared error, clipping included. Rounding again to the same number of bits changes nothing.

    Raises `ValueError` for weight_bits outside 2 to 16 and for entries that are not finite, and `TypeError` for a
    module without float arrays.
    """
    weight_bits = check_weight_bits(weight_bits)
    _parameters(module)

    def rounded(leaf):
        return jnp.asarray(_round(np.asarray(leaf), weight_bits), leaf.dtype) if eqx.is_inexact_array(leaf) else leaf

    if isinstance(module, MLPGenerator):
        return eqx.tree_at(_weights, module, jax.tree.map(rounded, _weights(module)))
    return jax.tree.map(rounded, module)


def module_bits(module: eqx.Module, weight_bits: int = 32) -> int:
    """Bits of the float arrays of any Equinox module.

    For 2 to 16 bits an entry: the length of the entropy code of what `quantize_network` gives, steps included. For
    more: `weight_bits` for each entry. The structure of the module is taken as known. Raises `ValueError` for fewer
    than 2 bits, and `TypeError` for a module without float arrays.
    """
    if weight_bits > MAX_BITS:
        return int(weight_bits) * sum(leaf.size for leaf in _parameters(module))
    out = Output()
    write_arrays(out, _parameters(module), check_weight_bits(weight_bits))
    return 8 * len(out.finish())


def check_weight_bits(weight_bits: Any) -> int:
    """An integer from 2 to 16; `TypeError` or `ValueError` otherwise."""
    if isinstance(weight_bits, bool) or not isinstance(weight_bits, int | np.integer):
        raise TypeError(f"weight_bits must be an integer; got {type(weight_bits).__name__}")
    if not MIN_BITS <= weight_bits <= MAX_BITS:
        raise ValueError(f"weight_bits must lie between {MIN_BITS} and {MAX_BITS}; got {weight_bits}")
    return int(weight_bits)


def _weights(network: MLPGenerator):
    # The box is the unit of the output, not a parameter.
    return network.weights, network.biases


def _parameters(module: Any) -> list[Any]:
    tree = _weights(module) if isinstance(module, MLPGenerator) else module
    leaves = [leaf for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf)]
    if not leaves:
        raise TypeError(f"a module with float arrays was expected; got {type(module).__name__}, which has none")
    return leaves


def _round(values: np.ndarray, bits: int) -> Float[np.ndarray, "..."]:
    """Entries to multiples of the best step, as exact float32 numbers in float64."""
    wide = values.astype(np.float64)
    if not np.all(np.abs(wide) < _LARGEST):
        raise ValueError(f"weights must be finite and below 2**126; {np.abs(wide).max()} is the largest")
    if _lattice(wide, bits) is not None:
        return wide
    most = 2 ** (bits - 1) - 1
    largest = np.abs(wide).max() / most
    # Clipping pays for few bits and heavy tails; each candidate is rounded to a step of few significant bits.
    steps = {_short(largest * factor) for factor in np.geomspace(0.1, 1, 40)}
    rounded = (step * np.clip(np.rint(wide / step), -most, most) for step in sorted(steps))
    return min(rounded, key=lambda near: float(np.sum((near - wide) ** 2)))


def _short(step: float) -> float:
    mantissa, exponent = math.frexp(step)
    return math.ldexp(math.ceil(mantissa * 2**_STEP_BITS), max(exponent, _MIN_EXPONENT) - _STEP_BITS)


def _lattice(values: Float[np.ndarray, "..."], bits: int) -> tuple[float, Int[np.ndarray, "..."]] | None:
    """The largest step that all entries are multiples of, and the multiples; `None` if they need more bits."""
    nonzero = np.abs(values[values != 0])
    if nonzero.size == 0:
        return 0.0, np.zeros(values.shape, np.int64)
    lowest = int(np.frexp(nonzero.min())[1]) - 53
    if int(np.frexp(nonzero.max())[1]) - lowest > 53 + bits or lowest < -1000:
        return None
    # Whole multiples of 2**lowest as mantissa and exponent; trailing zeros are taken off first, so that they fit.
    mantissa, exponent = np.frexp(nonzero)
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    zeros = np.frexp((whole & -whole).astype(np.float64))[1] - 1
    unit = int((exponent - 53 + zeros).min())
    shift = exponent - 53 - unit
    if int(np.frexp(nonzero.max())[1]) - unit > 62:
        return None
    scaled = np.where(shift >= 0, whole << np.maximum(shift, 0), whole >> np.maximum(-shift, 0))
    divisor = int(np.gcd.reduce(scaled))
    step = math.ldexp(divisor, unit)
    if scaled.max() // divisor >= 2 ** (bits - 1) or float(np.float32(step)) != step or abs(step) < 2.0**-126:
        return None
    return step, np.rint(values / step).astype(np.int64)


def write_arrays(out: Output, arrays: list[Any], bits: int) -> None:
    """Float arrays at so many bits: a step each, and all multiples together by the frequencies of leading bits."""
    steps, parts = [], []
    for array in arrays:
        found = _lattice(_round(np.asarray(array), bits), bits)
        assert found is not None
        steps.append(found[0])
        parts.append(found[1].ravel())
    values = np.concatenate(parts) + 2 ** (bits - 1)
    modelled = _best_modelled(values, bits)
    out.byte(modelled)
    out.raw(np.asarray(steps, "<f4").tobytes())
    writer = Writer()
    _code_values(writer, values, len(values), bits, modelled)
    out.payload(writer)


def read_arrays(data: Input, shapes: list[tuple[int, ...]], bits: int) -> list[np.ndarray]:
    """The inverse of `write_arrays`, given the shapes."""
    modelled = data.byte()
    if modelled > min(bits, _MAX_MODELLED):
        raise CodeError(f"the file claims {modelled} modelled bits of {bits}")
    steps = read_values(data, False, len(shapes))
    if not np.all((steps >= 0) & (steps * 2.0 ** (bits - 1) < _LARGEST)):
        raise CodeError("the steps of the weights must be nonnegative, and small enough for float32")
    sizes = [math.prod(shape) for shape in shapes]
    data.require((_LEAST if modelled else bits) * sum(sizes), f"{sum(sizes)} weights")
    reader = data.payload()
    values = _code_values(reader, None, sum(sizes), bits, modelled) - 2 ** (bits - 1)
    reader.finish()
    parts = np.split(values, np.cumsum(sizes)[:-1])
    return [(step * part).reshape(shape) for step, part, shape in zip(steps, parts, shapes, strict=True)]


def _code_values(coder: Coder, values, size: int, bits: int, modelled: int) -> Int[np.ndarray, " size"]:
    """Integers of so many bits. Each modelled bit is a set: which of those alike so far have it set."""
    out = np.zeros(size, np.int64)
    groups = [np.arange(size)]
    for bit in range(bits - 1, bits - 1 - modelled, -1):
        halves = []
        for group in groups:
            chosen = None if values is None else np.flatnonzero(values[group] >> bit & 1)
            ones = coder.number(None if chosen is None else len(chosen), len(group).bit_length())
            if ones > len(group):
                raise CodeError(f"the file claims that {ones} of {len(group)} weights have a bit set")
            if isinstance(coder, Reader):
                coder.require(least_bits(ones, math.log2(max(len(group), 1))))
            chosen = code_subset(coder, chosen, ones, len(group))
            out[group[chosen]] |= 1 << bit
            halves += [np.delete(group, chosen), group[chosen]]
        groups = [group for group in halves if group.size]
    rest = bits - modelled
    if rest and size:
        words = np.zeros((size, 1), np.uint32) if values is None else values.astype(np.uint32)[:, None]
        coder.tails(words, np.arange(size), rest)
        out |= words[:, 0].astype(np.int64) & ((1 << rest) - 1)
    return out


def _best_modelled(values: Int[np.ndarray, " size"], bits: int) -> int:
    """How many leading bits to model, by an estimate of the length."""
    best, least = 0, float(bits * len(values))
    for modelled in range(1, min(bits, _MAX_MODELLED) + 1):
        length = float((bits - modelled) * len(values))
        for bit in range(modelled):
            held = np.bincount(values >> (bits - bit - 1), minlength=2 << bit).reshape(-1, 2)
            total = held.sum(axis=1)
            length += sum(math.log2(n + 1) for n in total)
            n, k = total[total > 0][:, None].astype(float), held[total > 0].astype(float)
            length -= float(np.sum(k * np.log2(np.where(k > 0, k / n, 1))))
        if 2 * _LEAST * len(values) <= length < least:
            best, least = modelled, length
    return best


def write_mlp(out: Output, network: MLPGenerator, weight_bits: int) -> None:
    """Sizes, box and label masses exactly; weights and biases at so many bits."""
    widths = {bias.shape[0] for bias in network.biases[:-1]}
    if len(widths) > 1:
        raise TypeError(f"the hidden layers must all have the same width; got {sorted(widths)}")
    boxed, counted = network.low is not None, network.label_counts is not None
    low, high = (np.asarray(x if boxed else [0.0], np.float64) for x in (network.low, network.high))
    out.byte(boxed | counted << 1 | corner_kind(low) << 2 | corner_kind(high) << 4)
    for size in (network.dim, network.source_dim, max(widths, default=1), len(network.weights), weight_bits):
        out.integer(size)
    if boxed:
        write_corner(out, low)
        write_corner(out, high)
    if counted:
        for count in np.asarray(network.label_counts):
            out.integer(int(count))
    write_arrays(out, _parameters(network), weight_bits)


def read_mlp(data: Input, vocabulary) -> MLPGenerator:
    """The inverse of `write_mlp`; the weights are the rounded ones."""
    flags = data.byte()
    if flags >> 6:
        raise CodeError("the flags of the network are unknown")
    names = ("dim", "source_dim", "width", "depth")
    dim, source_dim, width, depth = (data.integer(name, _MAX_SIZE) for name in names)
    bits = data.integer("weight_bits", MAX_BITS)
    if min(dim, source_dim, width, depth) < 1 or bits < MIN_BITS:
        raise CodeError("the file claims a network with a size of 0, or with less than 2 bits a weight")
    box = [read_corner(data, flags >> shift & 3, dim) for shift in (2, 4)] if flags & 1 else [None, None]
    counts = None
    if flags >> 1 & 1:
        if vocabulary is None:
            raise CodeError("the file has label masses but no vocabulary")
        counts = np.array([data.integer("a label mass", 1 << 24) for _ in vocabulary])
        if counts.sum() != 1 << 24:
            raise CodeError("the label masses in the file do not sum to 1")
    labels = 0 if vocabulary is None else len(vocabulary)
    data.require(8 * 4 * 2 * depth, f"{depth} layers")
    sizes = [labels + source_dim, *[width] * (depth - 1), dim]
    shapes: list[tuple[int, ...]] = [(rows, cols) for cols, rows in itertools.pairwise(sizes)]
    arrays = read_arrays(data, shapes + [(rows,) for rows in sizes[1:]], bits)
    network = MLPGenerator(
        dim,
        source_dim,
        1,
        1,
        key=jax.random.key(0),
        vocabulary=vocabulary,
        label_masses=counts,
        low=box[0],
        high=box[1],
    )
    dtype = jnp.result_type(float)
    arrays = [jnp.asarray(array, dtype) for array in arrays]
    return eqx.tree_at(lambda net: (net.weights, net.biases), network, (tuple(arrays[:depth]), tuple(arrays[depth:])))
