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
    - `floor`: bytes that must be written at least; `same`: whether what both return is the same (law), by a test that
        can fail; `None` where the peer is a yardstick that makes something else.
    """

    name: str
    ours: Callable[[], Any]
    against: str
    peer: Callable[[], Any]
    items: int
    floor: int = 0
    same: Callable[[Any, Any], bool] | None = None


def copy_rate(size: int = 1 << 26) -> float:
    """Bytes a second that a copy on the device writes."""
    x, copy = jnp.zeros(size // 4, jnp.float32), jax.jit(lambda x: x + 1)
    return size / in_turn(lambda: copy(x))[0]


def normal(n: int) -> Callable[[], Any]:
    """The case that all times are divided by to compare them from commit to commit: n pairs of uniform numbers."""
    draw, key = jax.jit(lambda key: jr.uniform(key, (n, 2))), jr.key(0)
    return lambda: draw(key)


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


def measured(row: Row, unit: Callable[[], Any], rate: float) -> dict[str, Any]:
    """The row as numbers. **Raises:** `RuntimeError` where the two do not make the same."""
    if row.same is not None and not row.same(row.ours(), row.peer()):
        raise RuntimeError(f"{row.name}: not the same as {row.against}")
    ours, peer, normed = in_turn(row.ours, row.peer, unit)
    return {
        "name": row.name,
        "against": row.against,
        "ns": 1e9 * ours / row.items,
        "peer_ns": 1e9 * peer / row.items,
        "ratio": ours / peer,
        "normalised": ours / normed,
        "over_floor": ours / (row.floor / rate) if row.floor else None,
        "same": None if row.same is None else True,
    }
