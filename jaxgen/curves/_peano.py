"""The Peano curve of any dimension, on digits (theory, section 4).

Let v have base-3 digits o_0 o_1 ..., digit number m belonging to coordinate m mod d. The digit of the coordinate is
o_m itself, or 2 - o_m when the sum of the earlier digits of the *other* coordinates is odd. As 2 - o has the parity of
o, the same rule read with the coordinates' digits gives back the digits of v: the rule is its own inverse. And as 3 is
odd, the parity of a sum of digits is the parity of the integer they write, so that a cell known by its integer
coordinates carries on from there with no digit of it unpacked.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ._fixed_point import Residual, float_to_words, ternary_digits, to_float, to_limbs


def reflect(digits, cell=None):
    """Digits of the curve's parameter to digits of the coordinates, and back: the rule is an involution.

    `digits`: `(..., levels, d)`, unsigned integers, level by level. `cell`: `(..., d)`
    integers, the cell that earlier levels have led to; none by default. Returns an array like `digits`.
    """
    # Parities survive the wrap-around of small unsigned integers.
    flat = digits.reshape(*digits.shape[:-2], -1)
    everyone = (jnp.cumsum(flat, axis=-1, dtype=flat.dtype) - flat).reshape(digits.shape)
    own = jnp.cumsum(digits, axis=-2, dtype=digits.dtype) - digits
    others = everyone - own
    if cell is not None:
        cell = cell.astype(digits.dtype)
        others = others + (cell.sum(axis=-1, keepdims=True, dtype=digits.dtype) - cell)[..., None, :]
    return jnp.where(others % 2 == 1, 2 - digits, digits)


def levels_for(resolution) -> int:
    """The smallest number of levels k with `3**k >= max(resolution)`."""
    k = 0
    while 3**k < max(resolution):
        k += 1
    return k


def cell_digits(cells, levels: int):
    """Base-3 digits of integer cells `(..., d)`: `(..., levels, d)` uint8, most significant level first."""
    if levels == 0:
        return jnp.zeros((*cells.shape[:-1], 0, cells.shape[-1]), jnp.uint8)
    return jnp.stack([(cells // 3**j % 3).astype(jnp.uint8) for j in reversed(range(levels))], axis=-2)


def peano_index(cells, levels: int):
    """The place of each cell on the curve: base-3 digits `(..., levels * d)` of its index, most significant first.

    `cells`: `(..., d)` integers in [0, 3**levels). Inverse of `peano_cell`.
    """
    digits = reflect(cell_digits(cells, levels))
    return digits.reshape(*digits.shape[:-2], -1)


def peano_cell(index_digits, dim: int):
    """The cell at a place of the curve: `(..., levels * dim)` base-3 digits to `(..., dim)` int32 coordinates."""
    digits = reflect(index_digits.reshape(*index_digits.shape[:-1], -1, dim))
    levels = digits.shape[-2]
    powers = 3 ** jnp.arange(levels - 1, -1, -1, dtype=jnp.int32)
    return (digits.astype(jnp.int32) * powers[:, None]).sum(axis=-2, dtype=jnp.int32)


def peano_keys(cells: Int[np.ndarray, "m d"], levels: int) -> list[np.ndarray]:
    """Sort keys of cells along the curve, most significant first: words of 40 base-3 digits in uint64.

    `peano_index` for millions of cells on the host, one digit of all cells at a time.
    """
    columns = np.ascontiguousarray(np.asarray(cells).T)
    d, m = columns.shape
    words = np.zeros((max(1, -(-levels * d // 40)), m), np.uint64)
    own, everyone = np.zeros((d, m), np.uint8), np.zeros(m, np.uint8)
    for place in range(levels * d):
        level, k = divmod(place, d)
        digit = (columns[k] // 3 ** (levels - 1 - level) % 3).astype(np.uint8)
        word = words[place // 40]
        word *= np.uint64(3)
        word += np.where((everyone ^ own[k]).astype(bool), 2 - digit, digit)
        digit &= 1
        everyone ^= digit
        own[k] ^= digit
    return list(words)


def peano_argsort(cells: Int[np.ndarray, "m d"], levels: int) -> Int[np.ndarray, " m"]:
    """The permutation that puts integer cells of [0, 3**levels)^d in the order of the Peano curve (stable)."""
    keys = peano_keys(cells, levels)
    used = 1
    while True:
        # Points of high dimension differ in their first digits already; a sort by all of them is the exception.
        order = np.lexsort(keys[:used][::-1])
        if used >= len(keys) or all_distinct([key[order] for key in keys[:used]]):
            return order
        used *= 4


def all_distinct(sorted_keys: list[np.ndarray]) -> bool:
    """Whether no two neighbours of a sorted list of keys, held as columns, are equal."""
    return bool(np.all(np.any([key[1:] != key[:-1] for key in sorted_keys], axis=0)))


def peano_walk(
    cell: Int[Array, " d"], r: Residual, levels: int, quanta: int, bits: int, dtype, path: str
) -> Float[Array, " d"]:
    """The position in [0, 1]^d inside `cell` after the residual `r` of the curve's parameter, `levels` levels deeper.

    The last bits move along the diagonal of the finest cell (`path="diagonal"`), or stay at its centre (`"centre"`).
    """
    d = cell.shape[0]
    flat, r = ternary_digits(r, levels * d, quanta, bits)
    digits = flat.reshape(levels, d)
    steps = reflect(digits, cell)
    if path == "centre":
        inner = jnp.full((d,), 0.5, dtype)
    else:
        # One more digit of every coordinate would be reflected by the sum of the digits of the others.
        ends = cell.astype(jnp.uint32) + digits.sum(axis=0, dtype=jnp.uint32)
        w = to_float(r, bits, dtype)
        inner = jnp.where((ends.sum(dtype=jnp.uint32) - ends) % 2 == 1, 1 - w, w)

    def unfold(inner, step):
        return (step.astype(dtype) + inner) / 3, None

    return jax.lax.scan(unfold, inner, steps, reverse=True)[0]


def peano_curve(v: Float[Array, ""], dim: int, levels: int) -> Float[Array, " dim"]:
    """The Peano curve [0, 1] -> [0, 1]^dim with `levels` levels, the diagonal inside each finest cell.

    `v` scalar; exact in the bits of `v`, of which it reads `dim * levels * log2(3)` and those of the output. For a
    batch use `jax.vmap`. Theory, section 4.
    """
    v = jnp.asarray(v)
    v = v if jnp.issubdtype(v.dtype, jnp.floating) else v.astype(jnp.result_type(float))
    one = jnp.ones((), jnp.uint32)
    limbs = to_limbs(float_to_words(v, 5 if v.dtype == jnp.float32 else 34), 16)
    start = jnp.zeros((dim,), jnp.int32)
    return peano_walk(start, Residual(0 * one, limbs, one), levels, 1, 16, v.dtype, "diagonal")
