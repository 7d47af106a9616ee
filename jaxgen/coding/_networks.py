"""Networks with weights of stated precision, and the bits that they take."""

import math
from fractions import Fraction
from typing import Any, Protocol, TypeVar, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from .._checks import whole_number
from ._coder import Coder, Reader, Writer, code_number
from ._errors import CodeError
from ._fields import Input, Output
from ._multisets import code_subset, least_bits

Module = TypeVar("Module", bound=eqx.Module)

MIN_BITS, MAX_BITS = 2, 16
_MAX_MODELLED = 6  # leading bits of a weight that are coded by their frequencies; the others are as good as random
# A weight takes this many bits or more, so that a short file cannot claim a long network.
_LEAST = 1 / 64
# Steps have 8 significant bits and weights 15, so that a weight, their product, is an exact float32. None is denormal.
_STEP_BITS, _MIN_EXPONENT, _LARGEST = 8, -120, 2.0**126


@runtime_checkable
class _Network(Protocol):
    """What says how many weights it has, and how wide it is, as a `ReLUNetwork` does."""

    @property
    def connectivity(self) -> int: ...
    @property
    def width(self) -> int: ...


def network_bits(network: _Network, weight_bits: int | float = 32) -> float:
    """Bits that a plain description of a network takes: `M (b + 2 log2 w)`, M its connectivity, w its width.

    Each of the M nonzero weights takes b bits, and its place among the at most w**2 of its layer 2 log2 w. Theory,
    section 8.

    **Arguments:**

    - `network`: a `ReLUNetwork`, or whatever has its `connectivity` and `width`.
    - `weight_bits`: b >= 1.

    **Raises:** `ValueError` for weight_bits < 1.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.coding.network_bits(jg.ReLUNetwork([([[1.0], [2.0]], [0.0, 1.0]), ([[1.0, -1.0]], [0.0])]), 8)
        50.0
    """
    if not weight_bits >= 1:
        raise ValueError(f"weight_bits must be at least 1; got {weight_bits}")
    return network.connectivity * (weight_bits + 2 * math.log2(network.width))


def quantize_network(module: Module, weight_bits: int | object = 8) -> Module:
    """The same module with each float array rounded to whole multiples of a step, `weight_bits` bits an entry.

    The entries of an array become `step * k` with `|k| < 2**(weight_bits - 1)`; the step is that of the least squared
    error, clipping included. Rounding again to the same number of bits changes nothing.

    **Arguments:**

    - `module`: any Equinox module. All its floating-point arrays are rounded, or, if it has a `trainable()`, those of
        them that the filter it gives lets through: not the box of a trained generator.
    - `weight_bits`: 2 to 16.

    **Raises:** `ValueError` for weight_bits out of range and for entries that are not finite, and `TypeError` for a
    module without float arrays.

    **Example:**

        >>> import equinox as eqx, jax, jaxgen as jg, numpy as np
        >>> rounded = jg.coding.quantize_network(eqx.nn.Linear(20, 20, key=jax.random.key(0)), 3)
        >>> len(np.unique(rounded.weight))
        7
    """
    weight_bits = checked_precision(weight_bits)
    parameters, rest = _split(module)
    rounded = jax.tree.map(lambda a: jnp.asarray(_round(np.asarray(a), weight_bits), a.dtype), parameters)
    return eqx.combine(rounded, rest)


def module_bits(module: eqx.Module, weight_bits: int = 32) -> int:
    """Bits of the float arrays of any Equinox module.

    For 2 to 16 bits an entry: the length of the entropy code of what `quantize_network` gives, steps included. For
    more: `weight_bits` for each entry. The structure of the module is taken as known.

    **Arguments:**

    - `module`: as for `quantize_network`.
    - `weight_bits`: 2 or more.

    **Raises:** `ValueError` for fewer than 2 bits, and `TypeError` for a module without float arrays.

    **Example:**

        >>> import equinox as eqx, jax, jaxgen as jg
        >>> jg.coding.module_bits(eqx.nn.Linear(3, 4, key=jax.random.key(0)))
        512
    """
    arrays = jax.tree.leaves(_split(module)[0])
    if weight_bits > MAX_BITS:
        return int(weight_bits) * sum(array.size for array in arrays)
    out = Output()
    write_arrays(out, arrays, checked_precision(weight_bits))
    return 8 * len(out.finish())


def checked_precision(weight_bits: Any) -> int:
    """An integer from 2 to 16; `TypeError` or `ValueError` otherwise."""
    return whole_number(weight_bits, "weight_bits", MIN_BITS, MAX_BITS)


def _split(module: Any) -> tuple[Any, Any]:
    """The float arrays that are parameters, and everything else; the convention is that of training."""
    trainable = getattr(module, "trainable", None)
    some, rest = eqx.partition(module, eqx.is_inexact_array if trainable is None else trainable())
    parameters, others = eqx.partition(some, eqx.is_inexact_array)
    if not jax.tree.leaves(parameters):
        raise TypeError(f"a module with float arrays was expected; got {type(module).__name__}, which has none")
    return parameters, eqx.combine(rest, others)


def rounding_step(values: np.ndarray, weight_bits: int | object) -> float:
    """The step of which `quantize_network` makes the entries of an array multiples: that of the least squared error.

    **Raises:** `ValueError` for entries that are not finite or reach 2**126, and for weight_bits that are not 2 to 16.

    **Example:**

        >>> import numpy as np, jaxgen as jg
        >>> jg.coding.rounding_step(np.array([0.5, -1.0, 1.5]), 3)
        0.5
    """
    bits, wide = checked_precision(weight_bits), _checked_weights(values)
    found = _lattice(wide, bits)
    return found[0] if found is not None else _best(wide, bits)[0]


def _round(values: np.ndarray, bits: int) -> Float[np.ndarray, "..."]:
    """Entries to multiples of the best step, as exact float32 numbers in float64."""
    wide = _checked_weights(values)
    return wide if _lattice(wide, bits) is not None else _best(wide, bits)[1]


def _checked_weights(values: np.ndarray) -> Float[np.ndarray, "..."]:
    wide = values.astype(np.float64)
    if not np.all(np.abs(wide) < _LARGEST):
        raise ValueError(f"weights must be finite and below 2**126; {np.abs(wide).max()} is the largest")
    return wide


def _best(wide: Float[np.ndarray, "..."], bits: int) -> tuple[float, Float[np.ndarray, "..."]]:
    """The step of least squared error, and the entries rounded to its multiples."""
    most = 2 ** (bits - 1) - 1
    largest = np.abs(wide).max() / most
    # Clipping pays for few bits and heavy tails; each candidate is rounded to a step of few significant bits.
    steps = sorted({_short(largest * factor) for factor in np.geomspace(0.1, 1, 40)})
    rounded = ((step, step * np.clip(np.rint(wide / step), -most, most)) for step in steps)
    return min(rounded, key=lambda pair: float(np.sum((pair[1] - wide) ** 2)))


def _short(step: float) -> float:
    mantissa, exponent = math.frexp(step)
    return math.ldexp(math.ceil(mantissa * 2**_STEP_BITS), max(exponent, _MIN_EXPONENT) - _STEP_BITS)


def _lattice(values: Float[np.ndarray, "..."], bits: int) -> tuple[float, Int[np.ndarray, "..."]] | None:
    """The largest step that all entries are multiples of, and the multiples; `None` if they need more bits."""
    sizes = np.unique(np.abs(values[values != 0]))
    if sizes.size == 0:
        return 0.0, np.zeros(values.shape, np.int64)
    # So many multiples there are at most, and for as few as that integers of any size are fast enough.
    if sizes.size >= 2 ** (bits - 1):
        return None
    ratios = [size.as_integer_ratio() for size in sizes.tolist()]
    unit = max(denominator for _, denominator in ratios)  # each is a power of two
    step = Fraction(math.gcd(*(numerator * (unit // denominator) for numerator, denominator in ratios)), unit)
    if Fraction(*ratios[-1]) >= 2 ** (bits - 1) * step or float(np.float32(float(step))) != step or step < 2.0**-126:
        return None
    return float(step), np.rint(values / float(step)).astype(np.int64)


def write_arrays(out: Output, arrays: list[Any], bits: int) -> None:
    """Float arrays at so many bits: a step each, and all multiples together by the frequencies of leading bits.

    **Example:**

        >>> import numpy as np, jaxgen as jg
        >>> out = jg.coding.Output()
        >>> jg.coding.write_arrays(out, [np.array([0.5, -1.0]), np.array([3.0])], 4)
        >>> arrays = jg.coding.read_arrays(jg.coding.Input(out.finish(), version=2), [(2,), (1,)], 4)
        >>> [array.tolist() for array in arrays]
        [[0.5, -1.0], [3.0]]
    """
    steps, parts = [], []
    for array in arrays:
        found = _lattice(_round(np.asarray(array), bits), bits)
        assert found is not None
        steps.append(found[0])
        parts.append(found[1].ravel())
    values = np.concatenate(parts) + 2 ** (bits - 1)
    modelled = _best_modelled(values, bits)
    out.byte(modelled)
    out.numbers(steps)
    writer = Writer()
    _code_values(writer, values, len(values), bits, modelled)
    out.payload(writer)


def read_arrays(data: Input, shapes: list[tuple[int, ...]], bits: int) -> list[np.ndarray]:
    """The inverse of `write_arrays`, given the shapes.

    **Raises:** `CodeError` for bytes that it did not write, `ValueError` for bits out of range.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.coding.read_arrays(jg.coding.Input(b"\\5", version=2), [(2,)], 4)
        Traceback (most recent call last):
        ...
        jaxgen.coding._errors.CodeError: the file claims 5 modelled bits of 4
    """
    checked_precision(bits)
    modelled = data.byte()
    if modelled > min(bits, _MAX_MODELLED):
        raise CodeError(f"the file claims {modelled} modelled bits of {bits}")
    steps = data.numbers(len(shapes), old="<f4")
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
            ones = code_number(coder, None if chosen is None else len(chosen), len(group).bit_length())
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
