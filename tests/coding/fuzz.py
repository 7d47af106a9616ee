"""Random damage to encoded objects: `decode` raises `CodeError` or returns a valid object, and nothing else happens.

Run as a script for as many mutations as wanted: `python tests/coding/fuzz.py 100000`. Half of the mutations have their
checksum put right afterwards, so that they get past it. Files of both versions are damaged.
"""

import argparse
import pathlib
import random
import sys
import time
import zlib
from collections import Counter

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxgen as jg
from jaxgen.measures import Lattice, LatticeMeasure, TreeMeasure

GOLDEN = pathlib.Path(__file__).with_name("golden")


class Everything(eqx.Module):
    """A class of the user's own, with a field of every type."""

    plain: object
    nested: object
    arrays: object


def specimens() -> list[bytes]:
    """Small files of every kind, of every part of the format, and of both versions."""
    jg.coding.register_class(Everything)
    plain = jg.QuantizedMeasure([[0, 1], [2, 2], [1, 0]], np.array([3, 1, 2]), 0.0, 1.0, 3)
    cells, counts = [[0, 1], [2, 2], [0, 1]], np.array([3, 1, 2])
    record = jg.measures.Record({"rounding": (0.1, 0.2)})
    boxed = jg.QuantizedMeasure(cells, counts, [0.5, 0.0], [1.0, 7.0], (3, 4), [0, 0, 1], ("a", 7), record)
    leaves = jg.LeafMeasure([[0.0, 1.0], [1.0, 2.0]], 0.25, [1.0, 2.0]).quantize(7)
    rounded = jg.GridMeasure.from_samples([0.0, 0.1, 0.7, 1.0], 3, labels=[0, 0, 1, 1]).quantize(5)
    wide = jg.QuantizedMeasure(np.arange(5 * 64).reshape(5, 64) % 27, np.array([1, 2, 1, 1, 1]), 0.0, 1.0, 27)
    network = jg.MLPGenerator(
        dim=2, width=3, depth=2, key=jax.random.key(0), vocabulary=("a", "b"), label_masses=[1, 2]
    )
    gridded = jg.GriddedCondition(jg.SawtoothGenerator(rounded), (2,), 0.0, 2.5)
    objects = [
        *(plain, boxed, rounded, wide, leaves, network, gridded),
        TreeMeasure([[0], [1], [0]], [[1], [1], [0]], [1, 2, 9], 0.0, 1.0, [0, 0, 1], ("a", "b")),
        TreeMeasure([[0, 0], [2, 0], [3, 0]], [[1, 0], [2, 0], [2, 0]], [3001, 77, 5], [0.0, -1.0], [4.0, 1.0]),
        LatticeMeasure([[2], [5]], [3, 1], Lattice((0.25,), 0.375, (8,), memory=2)),
        LatticeMeasure([[0, 2, 0], [6, 1, 0]], [3, 1], Lattice((0.1, -2.0, 7.25), 0.3, (7, 3, 1))),
        jg.SawtoothGenerator(plain, folds=2),
        jg.SawtoothGenerator(wide, 1, "serpentine", [*range(1, 63), 0, 63]),
        jg.PeanoGenerator(boxed, extra_levels=1),
        jg.CurveGenerator(plain, curve=jg.HilbertCurve()),
        jg.IndependentGenerator(plain),
        jg.CodebookGenerator(np.array([[0.1, 2.0], [3.0, 4.0], [5.0, 6.0]], np.float32), np.array([1, 2, 3])),
        jg.CodebookGenerator([[0.1], [0.3]], [0.4, 0.6]),
        jg.modalities.example("text"),
        jg.relu.sawtooth(2),
        Everything([1, -300, 0.1, None, True], {"a": plain, "b": ("text", network)}, (jnp.ones((2, 2)), np.arange(3))),
    ]
    old = [path.read_bytes() for path in sorted(GOLDEN.glob("v1_*.jaxgen"))]
    return [jg.encode(obj) for obj in objects] + [data for data in old if len(data) < 250]


def seal(out: bytearray) -> None:
    """Puts the checksum right."""
    size = 2 if out[:1] == b"\x8a" and len(out) < (4096 if out[2:3] >= b"\x80" else 256) else 4
    if len(out) > size:
        out[-size:] = zlib.crc32(bytes(out[:-size])).to_bytes(4, "little")[:size]


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to three random changes: a bit, a byte, a cut, an insertion, a piece copied elsewhere."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(out)) if out else 0
        what = rng.randrange(6)
        if what == 0 and out:
            out[at] ^= 1 << rng.randrange(8)
        elif what == 1 and out:
            out[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif what == 2:
            del out[at : at + rng.randint(1, 4)]
        elif what == 3:
            out[at:at] = rng.randbytes(rng.randint(1, 4))
        elif what == 4:
            del out[at:]
        elif out:
            start = rng.randrange(len(out))
            piece = out[start : start + rng.randint(1, 8)]
            out[at : at + len(piece)] = piece
    if rng.random() < 0.5:
        seal(out)
    return bytes(out)


def fuzz(rounds: int, seed: int = 0) -> Counter[str]:
    """The outcomes of so many mutations, by the start of the message; anything but `CodeError` is let through."""
    rng, outcomes = random.Random(seed), Counter[str]()
    files = specimens()
    for i in range(rounds):
        data = mutate(rng.choice(files), rng)
        start = time.perf_counter()
        try:
            obj = jg.decode(data)
        except jg.CodeError as error:
            outcomes[" ".join(word for word in str(error).split()[:6] if not any(c.isdigit() for c in word))] += 1
        except BaseException:
            print(f"mutation {i} of seed {seed}: {data.hex()}", file=sys.stderr)
            raise
        else:
            outcomes["valid"] += 1
            assert jg.encode(obj)
        if (took := time.perf_counter() - start) > 5:
            print(f"slow, {took:.1f} s: {data.hex()}", file=sys.stderr)
    return outcomes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rounds", type=int, nargs="?", default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for message, count in fuzz(arguments.rounds, arguments.seed).most_common():
        print(f"{count:8d}  {message}")
    import resource  # not on Windows, where the test imports this file too

    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB (on Linux)")
