"""A binary range coder for occupancies: how many of n items fall in each of B buckets of 2**s places.

All multisets of n items on the B * 2**s places are taken to be equally likely (theory, section 8), so that the code
length of every one of them is the logarithm of their number. Given that a bucket holds i items so far, that R items
are left and that T buckets follow, it holds no more with probability 1 / f, where

    f = 1 + r_0 + r_0 r_1 + ...,   r_t = (i + t + S)(R - t) / ((i + t + 1)(R - t - 1 + T S)),   S = 2**s,

since r_t is the ratio of the numbers of multisets with i + t + 1 and with i + t items in the bucket. Coding "no more"
or "one more" again and again codes the occupancies. For S = 1 the sum is (R + T) / T, the stars and bars.

Model and coder use unsigned 32-bit integers only: a file means the same on every machine.
"""

from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int32, UInt8, UInt32

from ._decisions import coded, decode_decisions, encode_decisions, on_cpu, yes_width

# Fixed sizes of what the loops see at once: one compilation each, and buffers that stay in the cache.
_WINDOW = 1 << 14
_STREAM = 1 << 15
# The sum f is taken term by term up to here, and its rest as that of a geometric series, fitted in so many rounds.
_TERMS = 24
_ROUNDS = 6
_MOST = np.uint32(1 << 31)  # f <= 2**16, in multiples of 2**-15

_Float: TypeAlias = tuple[UInt32[Array, ""], Int32[Array, ""]]


def _normal(x: UInt32[Array, ""]) -> _Float:
    """x as m * 2**e, with 2**15 <= m < 2**16 unless x is 0; the bits below are cut off."""
    zeros = lax.clz(x)
    return (x << (zeros & 31)) >> 16, 16 - zeros.astype(jnp.int32)


def _times(x: _Float, y: _Float) -> _Float:
    m, e = _normal(x[0] * y[0])
    return m, e + x[1] + y[1]


def _over(x: _Float, y: _Float) -> _Float:
    m, e = _normal((x[0] << 15) // y[0])
    return m, e + x[1] - y[1] - 15


def _fixed(x: _Float) -> UInt32[Array, ""]:
    """x in multiples of 2**-15, at most 2**16."""
    m, e = x[0], x[1] + 15
    return jnp.where(e >= 0, m << jnp.clip(e, 0, 15).astype(jnp.uint32), m >> jnp.clip(-e, 0, 31).astype(jnp.uint32))


def decision(
    items: UInt32[Array, ""], held: UInt32[Array, ""], buckets: UInt32[Array, ""], bits: UInt32[Array, ""]
) -> UInt32[Array, ""]:
    """Does a bucket of 2**bits places that holds `held` items get one more? The rarer answer, and its probability.

    `items` >= 1 items are left and `buckets` >= 1 buckets follow. Gives (m, k, a) as `m + 2**16 k + 2**20 a`: the rarer
    answer has probability m / 2**(16 + k), at least 2**-16, and is yes if a = 1.
    """
    zero, one = jnp.uint32(0), jnp.uint32(1 << 15)
    # In a bucket of 2**28 places, two of at most 2**24 items hardly ever meet; more places change nothing.
    bits = jnp.minimum(bits, 28)
    # (R - t - 1) / S + T in fixed point, with as many binary places as fit.
    places = jnp.clip(jnp.minimum(lax.clz(buckets), lax.clz(items) + bits), 1, 32) - 1
    grow, cut = jnp.where(places >= bits, places - bits, zero), jnp.where(places < bits, bits - places, zero)
    scale = places.astype(jnp.int32) - bits.astype(jnp.int32)

    def ratio(t) -> _Float:
        left, x = jnp.maximum(items, t) - t, held + t
        others = (jnp.maximum(left, 1) - 1) << grow >> jnp.minimum(cut, 31)
        upper = _times(_normal((jnp.uint32(1) << bits) + x), _normal(left))
        lower = _times(_normal(x + 1), _normal((buckets << places) + others))
        m, e = _over(upper, lower)
        return m, e + scale

    last = _TERMS + _ROUNDS - 1

    def step(n, word):
        # `word` is the only state, since XLA makes one kernel of a loop with one word. It holds, one after another:
        # - in the rounds n < _ROUNDS a distance, half the run length behind term _TERMS, where r is looked at; the
        #   last of them leaves f at term _TERMS, as if r were constant at its value there;
        # - then f, by f_t = 1 + r_t f_{t+1}, down to t = 1;
        # - in the end the answer, made of f_0 - 1 = r_0 f_1, which may be too small for f_0 to show.
        distance, f, searching = word, word, n < _ROUNDS
        r = ratio(jnp.where(searching, _TERMS + distance, (last - n).astype(jnp.uint32)))
        constant = jnp.uint32(1 << 30) // (one - jnp.minimum(_fixed(r), one - 1))
        nearer = (distance + jnp.minimum(constant >> 16, 2048)) >> 1
        m, e = _normal(f)
        odds = _times(r, (m, e - 15))
        f = jnp.minimum(one + _fixed(odds), _MOST)
        found = jnp.where(n < _ROUNDS - 1, nearer, constant)
        return jnp.where(searching, found, jnp.where(n < last, f, answer(odds)))

    def answer(odds) -> UInt32[Array, ""]:
        """Packs the odds of yes, f_0 - 1 to 1."""
        exact = _over(_normal(items), _normal(buckets))
        odds = jnp.where(bits == 0, exact[0], odds[0]), jnp.where(bits == 0, exact[1], odds[1])
        rare = odds[1] < -15
        m, e = _normal(jnp.minimum(one + _fixed(odds), _MOST))
        upper = jnp.where(rare, odds[0], one), jnp.where(rare, odds[1], -15)
        m, e = _over(upper, (m, e - 15))
        return m | jnp.clip(-16 - e, 0, 15).astype(jnp.uint32) << 16 | rare.astype(jnp.uint32) << 20

    # In buckets of one place f is known, and only the answer is left to make.
    return lax.fori_loop(jnp.where(bits == 0, last, 0), last + 1, step, zero)


def _get(x, place):
    # A slice, not an index: XLA keeps loops of slices and slice updates in one fast kernel.
    return lax.dynamic_index_in_dim(x, place, keepdims=False)


def _set(x, place, value):
    return lax.dynamic_update_index_in_dim(x, value, place, 0)


def _going(model, place) -> Bool[Array, ""]:
    left, *_, problem, bucket = model
    return (left > 0) & (problem < _WINDOW) & (bucket < _WINDOW - 1) & (place < _STREAM - 2)


def _advance(model, more, table):
    """The state of the model after a decision: one `more` item in this bucket, or on to the next bucket.

    The state is (left, held, buckets, bits; problem, bucket): what `decision` takes, and where to read next.
    """
    left, held, buckets, bits, problem, bucket = model
    left, buckets = left - more, buckets - ~more
    done = (left == 0) | (buckets == 0)
    first, second = _get(table[0], problem), _get(table[1], problem)
    return (
        jnp.where(done, first >> 5, left),
        jnp.where(more & ~done, held + 1, jnp.uint32(0)),
        jnp.where(done, second - 1, buckets),
        jnp.where(done, first & 31, bits),
        problem + done,
        bucket + jnp.where(done, buckets + 1, jnp.uint32(0)) + ~more,
    )


@jax.jit
def _encode_loop(state, table, counts):
    # Two loops, model and coder: XLA makes a single kernel of a loop only if it is small.
    model, (low, width, carry) = tuple(state[:6]), tuple(state[6:])

    def decide(state):
        model, place, decisions = state
        more = model[1] < _get(counts, model[5])
        decisions = _set(decisions, place, decision(*model[:4]) | more.astype(jnp.uint32) << 31)
        return _advance(model, more, table), place + 1, decisions

    def code(state):
        low, width, carry, place, at, stream = state
        (low, width, carry), place, stream = coded((low, width, carry), place, stream, _get(decisions, at))
        return low, width, carry, place, at + 1, stream

    zero, stream = jnp.uint32(0), jnp.zeros(2 * _STREAM, jnp.uint32)
    state = (model, zero, jnp.zeros(_STREAM, jnp.uint32))
    model, end, decisions = lax.while_loop(lambda x: _going(*x[:2]), decide, state)
    state = (low, width, carry, zero, zero, stream)
    low, width, carry, place, _, stream = lax.while_loop(lambda x: x[4] < end, code, state)
    return jnp.stack([*model, low, width, carry]), place, stream


@jax.jit
def _decode_loop(state, table, counts, stream):
    def step(state):
        model, code, width, place, counts = state
        left, held, buckets, _, _, bucket = model
        yes = yes_width(width, decision(*model[:4]))
        more = code < yes
        code, width = jnp.where(more, code, code - yes), jnp.where(more, yes, width - yes)
        # At most two bytes are spent; `stream` holds each byte with the one after it.
        spent = lax.clz(width) >> 3
        code = code << (8 * spent) | _get(stream, place) >> (16 - 8 * spent)
        width, place = width << (8 * spent), place + spent
        # The last bucket of a problem gets what is left.
        rest = jnp.where(buckets == 1, left, jnp.uint32(0))
        counts = _set(counts, bucket + ~more, jnp.where(more, held + 1, rest))
        return _advance(model, more, table), code, width, place, counts

    state = (tuple(state[:6]), state[6], state[7], jnp.uint32(0), counts)
    model, code, width, place, counts = lax.while_loop(lambda x: _going(x[0], x[3]), step, state)
    return jnp.stack([*model, code, width]), place, counts


class RangeEncoder:
    """Writes occupancies, and answers to questions of any other model; the bytes are `finish()`."""

    def __init__(self):
        self._coder = np.array([0, 0xFFFFFFFF, 0], np.uint32)  # low, width, and a carry not yet written
        self._out: list[np.ndarray] = []

    def write(self, counts: UInt32[np.ndarray, " buckets"], problems: UInt32[np.ndarray, "3 problems"]) -> None:
        """Codes the counts of all buckets, problem after problem.

        - `problems`: for each its number of items (at least 1), of buckets (at least 2), and `bits` of a bucket.
        """
        model, problem, bucket = _first(problems), 1, 0
        while model[0]:
            state = np.concatenate([model, np.zeros(2, np.uint32), self._coder])
            with on_cpu():
                state, place, stream = _encode_loop(state, _table(problems, problem), _window(counts, bucket, _WINDOW))
            model, (step, jump), self._coder = np.split(np.asarray(state), [4, 6])
            problem, bucket = problem + int(step), bucket + int(jump)
            self._out.append(np.asarray(stream)[: int(place)].copy())

    def decide(self, words: UInt32[np.ndarray, " n"]) -> None:
        """Codes answers to binary questions: as `decision` packs them, 2**31 added where the answer is yes."""
        self._coder, stream = encode_decisions(self._coder, words)
        self._out.append(stream)

    def number(self, value: int, bits: int) -> None:
        """Codes a number of so many bits by questions that are all `EVEN`, without the making of their words."""
        low, width, carry = (int(x) for x in self._coder)
        digits = []
        for k in reversed(range(bits)):
            half = width >> 1
            if not value >> k & 1:
                low, half = low + half, width - half
            width, carry, low = half, carry | low >> 32, low & 0xFFFFFFFF
            if width < 1 << 24:
                digits.append(low >> 24 | carry << 8)
                low, width, carry = low << 8 & 0xFFFFFFFF, width << 8, 0
        self._coder = np.array([low, width, carry], np.uint32)
        self._out.append(np.array(digits, np.uint32))

    def finish(self) -> bytes:
        """The shortest bytes that name a number in the final interval; zeros are understood to follow."""
        low, _, carry = (int(x) for x in self._coder)
        last = ((low + (1 << 24) - 1) >> 24) + (carry << 8)
        digits = np.concatenate([np.zeros(1, np.uint32), *self._out, [last]]).astype(np.int64)
        while np.any(digits > 0xFF):
            carries = digits >> 8
            digits = digits & 0xFF
            digits[:-1] += carries[1:]
        return digits[1:].astype(np.uint8).tobytes()


class RangeDecoder:
    """Reads what `RangeEncoder` wrote."""

    def __init__(self, data: bytes):
        self._data: UInt8[np.ndarray, " bytes"] = np.frombuffer(data, np.uint8)
        self._coder = np.array([int.from_bytes(data[:4].ljust(4, b"\0"), "big"), 0xFFFFFFFF], np.uint32)
        self._place = 4

    def read(self, problems: UInt32[np.ndarray, "3 problems"]) -> UInt32[np.ndarray, " buckets"]:
        """The counts of all buckets; any bytes decode to some."""
        counts = np.zeros(int(problems[1].sum(dtype=np.int64)), np.uint32)
        model, problem, bucket = _first(problems), 1, 0
        while model[0]:
            state = np.concatenate([model, np.zeros(2, np.uint32), self._coder])
            with on_cpu():
                state, place, part = _decode_loop(
                    state,
                    _table(problems, problem),
                    _window(counts, bucket, _WINDOW),
                    _window(self._data, self._place, _STREAM) << 8 | _window(self._data, self._place + 1, _STREAM),
                )
            end = min(bucket + _WINDOW, counts.size)
            counts[bucket:end] = np.asarray(part)[: end - bucket]
            model, (step, jump), self._coder = np.split(np.asarray(state), [4, 6])
            problem, bucket, self._place = problem + int(step), bucket + int(jump), self._place + int(place)
        return counts

    def decide(self, words: UInt32[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Reads answers to binary questions, packed as `decision` packs them."""
        self._coder, used, answers = decode_decisions(self._coder, self._data[self._place :], words)
        self._place += used
        return answers

    def number(self, bits: int) -> int:
        """Reads a number of so many bits."""
        code, width = (int(x) for x in self._coder)
        value = 0
        for _ in range(bits):
            half = width >> 1
            one = code < half
            code, width = (code, half) if one else (code - half, width - half)
            value = value << 1 | one
            if width < 1 << 24:
                byte = int(self._data[self._place]) if self._place < len(self._data) else 0
                code, width, self._place = code << 8 | byte, width << 8, self._place + 1
        self._coder = np.array([code, width], np.uint32)
        return value

    @property
    def used(self) -> int:
        """How many bytes `RangeEncoder.finish` gives for what has been read so far."""
        return self._place - 3

    @property
    def shortest(self) -> bool:
        """Whether what has been read ends as `RangeEncoder.finish` ends it: of the numbers in the final interval,
        the first one that is followed by zeros alone."""
        return int(self._coder[0]) < 1 << 24


def _first(problems) -> UInt32[np.ndarray, " 4"]:
    items, buckets, bits = problems[:, 0]
    return np.array([items, 0, buckets - 1, bits], np.uint32)


def _table(problems, start):
    """Problems from `start` on: items and bits in one word, buckets in another."""
    items, buckets, bits = _window(problems, start, _WINDOW)
    return items << 5 | bits, buckets


def _window(x: np.ndarray, start: int, size: int) -> UInt32[np.ndarray, "*rows size"]:
    out = np.zeros((*x.shape[:-1], size), np.uint32)
    part = x[..., start : start + size]
    out[..., : part.shape[-1]] = part
    return out
