"""A binary range coder: answers to questions whose probabilities the two sides know (Martin, 1979).

A question is one unsigned 32-bit word, `m + 2**16 k + 2**20 a`: the rarer answer has probability m / 2**(16 + k), at
least 2**-16, and is yes if a = 1. An answer narrows an interval (low, width) of 32-bit numbers; where its leading byte
is settled it is written, with a carry that may still come. Long lists are coded by a compiled loop, short ones, for
which calling that would take longer than the work, by the same steps in Python. Why it is our own: theory, section 8.
"""

import contextlib
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, UInt8, UInt32

_State: TypeAlias = UInt32[np.ndarray, " state"]
# A fixed size of what the loops see at once, for one compilation each; and lists that are short.
_WINDOW, _SHORT = 1 << 16, 1 << 11
_MOST = 15  # the largest k
EVEN = 1 << 20 | 1 << 15  # a question whose two answers are equally likely


def on_cpu():
    """Loops of tiny steps belong on the CPU, if JAX has one beside its accelerator."""
    try:
        return jax.default_device(jax.local_devices(backend="cpu")[0])
    except RuntimeError:
        return contextlib.nullcontext()


def packed(
    yes: Int[np.ndarray, " n"] | Float[np.ndarray, " n"], total: Int[np.ndarray, " n"] | Float[np.ndarray, " n"]
) -> UInt32[np.ndarray, " n"]:
    """Questions where yes has the probability `yes / total`, positive integers below 2**53 with yes < total.

    One division, which every machine rounds alike.
    """
    no = total - yes
    fraction, exponent = np.frexp(np.minimum(yes, no) / total)
    m, k = np.floor(fraction * (1 << 16)), -exponent
    m, k = np.where(k > _MOST, 1 << 15, m).astype(np.uint32), np.minimum(k, _MOST).astype(np.uint32)
    return m | k << np.uint32(16) | (yes <= no).astype(np.uint32) << np.uint32(20)


def yes_width(width, word):
    """The part of an interval that stands for yes."""
    m = word & 0xFFFF
    rare = ((width >> 16) * m + (((width & 0xFFFF) * m) >> 16)) >> (word >> 16 & 15)
    return jnp.where(word >> 20 & 1 == 1, rare, width - rare)


def coded(coder, place, stream, word):
    """The interval after an answer (bit 31 of `word`), the stream of bytes and where it goes on."""
    low, width, carry = coder
    more = word >> 31 == 1
    yes = yes_width(width, word)
    new = jnp.where(more, low, low + yes)
    carry = carry | (new < low)
    low, width = new, jnp.where(more, yes, width - yes)
    for _ in range(2):
        small = width < jnp.uint32(1 << 24)
        # A slice, not an index: XLA keeps loops of slices and slice updates in one fast kernel.
        stream = lax.dynamic_update_index_in_dim(stream, low >> 24 | carry << 8, place, 0)
        carry = jnp.where(small, jnp.uint32(0), carry)
        low, width = jnp.where(small, low << 8, low), jnp.where(small, width << 8, width)
        place = place + small
    return (low, width, carry), place, stream


def encode_decisions(coder: _State, words: UInt32[np.ndarray, " n"]) -> tuple[_State, UInt32[np.ndarray, " bytes"]]:
    """The state (low, width, carry) after these answers, and bytes with carries as they come."""
    if len(words) <= _SHORT:
        return _encode_few(coder, words)
    parts = []
    for i in range(0, len(words), _WINDOW):
        part = words[i : i + _WINDOW]
        with on_cpu():
            coder, place, stream = _encode_loop(coder, _window(part), np.uint32(len(part)))
        parts.append(np.asarray(stream)[: int(place)])
    return np.asarray(coder), np.concatenate(parts)


def decode_decisions(
    coder: _State, data: UInt8[np.ndarray, " bytes"], words: UInt32[np.ndarray, " n"]
) -> tuple[_State, int, Bool[np.ndarray, " n"]]:
    """The state (number in the interval, width) after these questions, the bytes read, and the answers."""
    if len(words) <= _SHORT:
        return _decode_few(coder, data, words)
    used, answers = 0, []
    for i in range(0, len(words), _WINDOW):
        part = words[i : i + _WINDOW]
        with on_cpu():
            stream = _window(data[used : used + 2 * _WINDOW], 2 * _WINDOW)
            coder, place, out = _decode_loop(coder, _window(part), np.uint32(len(part)), stream)
        used += int(place)
        answers.append(np.asarray(out)[: len(part)])
    return np.asarray(coder), used, np.concatenate(answers)


def _window(part: np.ndarray, size: int = _WINDOW) -> UInt32[np.ndarray, " size"]:
    out = np.zeros(size, np.uint32)
    out[: len(part)] = part
    return out


@jax.jit
def _encode_loop(state: UInt32[Array, "3"], words: UInt32[Array, " n"], count: UInt32[Array, ""]):
    def step(x):
        coder, place, stream, at = x
        coder, place, stream = coded(coder, place, stream, lax.dynamic_index_in_dim(words, at, keepdims=False))
        return coder, place, stream, at + 1

    zero, stream = jnp.uint32(0), jnp.zeros(2 * words.shape[0] + 2, jnp.uint32)
    coder, place, stream, _ = lax.while_loop(lambda x: x[3] < count, step, (tuple(state), zero, stream, zero))
    return jnp.stack(coder), place, stream


@jax.jit
def _decode_loop(state: UInt32[Array, "2"], words: UInt32[Array, " n"], count: UInt32[Array, ""], stream):
    def step(x):
        code, width, place, at, answers = x
        yes = yes_width(width, lax.dynamic_index_in_dim(words, at, keepdims=False))
        more = code < yes
        code, width = jnp.where(more, code, code - yes), jnp.where(more, yes, width - yes)
        for _ in range(2):
            small = width < jnp.uint32(1 << 24)
            byte = lax.dynamic_index_in_dim(stream, place, keepdims=False)
            code, width = jnp.where(small, code << 8 | byte, code), jnp.where(small, width << 8, width)
            place = place + small
        return code, width, place, at + 1, lax.dynamic_update_index_in_dim(answers, more, at, 0)

    zero = jnp.uint32(0)
    x = (state[0], state[1], zero, zero, jnp.zeros(words.shape[0], bool))
    code, width, place, _, answers = lax.while_loop(lambda x: x[3] < count, step, x)
    return jnp.stack([code, width]), place, answers


def _yes(width: int, word: int) -> int:
    m = word & 0xFFFF
    rare = ((width >> 16) * m + ((width & 0xFFFF) * m >> 16)) >> (word >> 16 & 15)
    return rare if word >> 20 & 1 else width - rare


def _encode_few(coder, words):
    low, width, carry = (int(x) for x in coder)
    out = []
    for word in words.tolist():
        yes = _yes(width, word)
        if word >> 31:
            width = yes
        else:
            low, width = low + yes, width - yes
            carry |= low >> 32
            low &= 0xFFFFFFFF
        while width < 1 << 24:
            out.append(low >> 24 | carry << 8)
            low, width, carry = low << 8 & 0xFFFFFFFF, width << 8, 0
    return np.array([low, width, carry], np.uint32), np.array(out, np.uint32)


def _decode_few(coder, data, words):
    code, width = (int(x) for x in coder)
    rest = [*data[: 2 * len(words)].tolist(), 0, 0]  # zeros are understood to follow
    used, answers = 0, []
    for word in words.tolist():
        yes = _yes(width, word)
        answers.append(code < yes)
        code, width = (code, yes) if code < yes else (code - yes, width - yes)
        while width < 1 << 24:
            code, width, used = code << 8 | (rest[used] if used < len(rest) else 0), width << 8, used + 1
    return np.array([code, width], np.uint32), used, np.array(answers, bool)
