"""A row of a table of times: two things timed in turn in one process, and a check that they do the same."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

ROUNDS = 7


@dataclasses.dataclass(frozen=True)
class Row:
    """What is timed.

    - `ours`, `peer`: called without arguments; what they return is waited for. `items`: how many things a call makes.
    - `bytes`, `words`: what any method must write (read, for a file), and the random words that it must draw.
    - `same`: whether what both return is the same (law), by a test that can fail; `None` where the peer is a yardstick
        that makes something else.
    """

    name: str
    ours: Callable[[], Any]
    against: str
    peer: Callable[[], Any]
    items: int
    bytes: int
    words: int = 0
    same: Callable[[Any, Any], bool] | None = None


@dataclasses.dataclass(frozen=True)
class Device:
    """What times are divided by: `unit`, the case that compares them from commit to commit, and two rates.

    `copied`: bytes a second that a copy writes; `drawn`: random words a second, 32 bits each.
    """

    unit: Callable[[], Any]
    copied: float
    drawn: float

    @classmethod
    def measured(cls, n: int) -> "Device":
        """By n pairs of uniform numbers, and by 16 n numbers copied and n words drawn."""
        key, x = jr.key(0), jnp.zeros(16 * n, jnp.float32)
        pairs, copy = jax.jit(lambda key: jr.uniform(key, (n, 2))), jax.jit(lambda x: x + 1)
        bits = jax.jit(lambda key: jr.bits(key, (n,), jnp.uint32))
        copying, drawing = in_turn(lambda: copy(x), lambda: bits(key))
        return cls(lambda: pairs(key), x.nbytes / copying, n / drawing)

    def floor(self, row: Row) -> float:
        """Seconds in which what must be drawn can be drawn, and what must be written can be copied."""
        return row.bytes / self.copied + row.words / self.drawn


def in_turn(*calls: Callable[[], Any], rounds: int = ROUNDS) -> list[float]:
    """Median seconds of each, after one call of each that compiles."""
    for call in calls:
        jax.block_until_ready(call())
    seconds = np.empty((rounds, len(calls)))
    for row in seconds:
        for i, call in enumerate(calls):
            began = time.perf_counter()
            jax.block_until_ready(call())
            row[i] = time.perf_counter() - began
    return np.median(seconds, axis=0).tolist()


def measured(row: Row, device: Device) -> dict[str, Any]:
    """The row as numbers. **Raises:** `RuntimeError` where the two do not make the same."""
    if row.same is not None and not row.same(row.ours(), row.peer()):
        raise RuntimeError(f"{row.name}: not the same as {row.against}")
    ours, peer, unit = in_turn(row.ours, row.peer, device.unit)
    return {
        "name": row.name,
        "against": row.against,
        "ns": 1e9 * ours / row.items,
        "peer_ns": 1e9 * peer / row.items,
        "ratio": ours / peer,
        "normalised": ours / unit,
        "floor_bytes": row.bytes,
        "floor_words": row.words,
        "over_floor": ours / device.floor(row),
        "same": "held" if row.same is not None else "a yardstick",
    }
