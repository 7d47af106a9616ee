"""A trellis on a lattice: which places may hold an atom, given those before it that do (theory, section 8).

As in trellis-coded quantisation (Marcellin and Fischer, 1990), the places are four times finer an axis than what is
told apart: in each state of a machine the places of two of the four classes of an axis, index mod 4, are open, and the
class that is taken moves the machine on. The classes are those of Ungerboeck's convolutional codes (1982).

The lattice is cut into blocks, and the machine starts anew in each; a block is scanned column by column along the first
axis. All open places, in the order of the scan and for each step of it in all blocks, are a line of some length, and
the atoms a subset of it.
"""

import functools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Int

from ._coder import Reader, Writer
from ._errors import CodeError
from ._fields import Input, Output
from ._multisets import code_composition, code_subset, least_bits

# Parity checks h0 and h1 of the codes of 2**memory states, in octal as in the literature.
_CHECKS = {2: (0o5, 0o2), 3: (0o13, 0o4), 4: (0o23, 0o4), 5: (0o45, 0o10), 6: (0o103, 0o24), 7: (0o235, 0o126)}
# The most columns of a block, and about its width on the other axes.
_BLOCKS = {1: (256,), 2: (256, 8), 3: (128, 5, 5)}
# Places of a lattice with a trellis: all are walked through.
MAX_PLACES = 1 << 22


class Trellis:
    """The machine of 2**memory states on a lattice of `resolution` places an axis, of one to three axes.

    - `starts`: for each axis where its blocks begin, and the resolution; `blocks`: how many of them, an axis. They are
        as equal as can be; `size`: places an axis of the largest.
    - `scan`: `(steps, d)`, the places of a block in their order; `targets`: `(steps, states)`, to where an atom on the
        place of a step moves the machine, -1 where it is not open. Both are the same for all blocks.

    **Example:**

        >>> import numpy as np, jaxgen as jg
        >>> trellis = jg.coding.Trellis((8,), memory=2)
        >>> trellis.targets[:4].tolist()  # in an even state the places 0 and 2 are open, in an odd one 1 and 3
        [[0, -1, 1, -1], [-1, 2, -1, 3], [1, -1, 0, -1], [-1, 3, -1, 2]]
        >>> trellis.positions(np.array([[2], [5]]))
        (array([1, 3]), 5)
        >>> trellis.places(np.array([1, 3]), 5).tolist()
        [[2], [5]]
    """

    def __init__(self, resolution: Sequence[int], memory: int):
        self.resolution, self.memory, dim = tuple(resolution), memory, len(resolution)
        if memory not in _CHECKS:
            raise ValueError(f"memory must be one of {sorted(_CHECKS)}; got {memory}")
        if dim not in _BLOCKS:
            raise ValueError(f"a trellis needs 1 to 3 axes; got {dim}")
        if math.prod(self.resolution) > MAX_PLACES:
            raise ValueError(f"a trellis needs at most 2**22 places; got {math.prod(self.resolution)}")
        most, *widths = _BLOCKS[dim]
        across = (max(1, (n + width // 2) // width) for n, width in zip(self.resolution[1:], widths, strict=True))
        self.blocks = (-(-self.resolution[0] // most), *across)
        self.starts = [np.arange(k + 1) * n // k for n, k in zip(self.resolution, self.blocks, strict=True)]
        self.size = tuple(int(np.diff(starts).max()) for starts in self.starts)
        self.scan = np.stack(np.unravel_index(np.arange(math.prod(self.size)), self.size), axis=1)
        self.targets = _targets(dim, memory)[np.ravel_multi_index(tuple(self.scan.T % 4), (4,) * dim)]

    def expected(self, atoms: int) -> int:
        """About how many places are open along the way: one in 2**d, and half of those that atoms would be beyond."""
        axes = len(self.resolution)
        return (math.prod(self.resolution) + atoms * ((1 << axes) - 1) // 2) >> axes

    def corners(self, block: Int[np.ndarray, "n d"], end: int = 0) -> Int[np.ndarray, "n d"]:
        """The first places of blocks, `(n, d)` of their numbers an axis; with `end = 1` the places behind them."""
        return np.stack([starts[at + end] for starts, at in zip(self.starts, block.T, strict=True)], axis=1)

    @functools.cached_property
    def origins(self) -> Int[np.ndarray, "blocks d"]:
        """The first place of each block, blocks in row-major order."""
        return self.corners(self._all)

    def inside(self, blocks: Int[np.ndarray, " blocks"] | slice = slice(None)) -> Bool[np.ndarray, "steps blocks"]:
        """Whether the place of a step is in a block, which may be smaller than the largest."""
        sizes = (self.corners(self._all, 1) - self.origins)[blocks]
        return np.all(self.scan[:, None] < sizes, axis=2)

    @functools.cached_property
    def _all(self) -> Int[np.ndarray, "blocks d"]:
        return np.stack(np.unravel_index(np.arange(math.prod(self.blocks)), self.blocks), axis=1)

    def positions(self, places: Int[np.ndarray, "m d"]) -> tuple[Int[np.ndarray, " m"], int]:
        """The positions of places on the line of open ones, sorted, and the length of the line.

        **Raises:** `ValueError` for places that are not open one after the other.
        """
        at = [np.searchsorted(starts, x, "right") - 1 for starts, x in zip(self.starts, places.T, strict=True)]
        block = np.ravel_multi_index(tuple(at), self.blocks)
        step = np.ravel_multi_index(tuple((places - self.origins[block]).T), self.size)
        taken = np.zeros((len(self.scan), math.prod(self.blocks)), bool)
        taken[step, block] = True
        found, length = [], 0
        for open_, now in self._walk(lambda p, open_, _: taken[p]):
            if np.any(now & ~open_):
                raise ValueError("an atom is on a place that the trellis does not open")
            found.append(length + np.cumsum(open_)[now] - 1)
            length += int(open_.sum())
        return np.concatenate(found), length

    def places(self, positions: Int[np.ndarray, " m"], length: int) -> Int[np.ndarray, "m d"]:
        """The places, row-major, of sorted positions on a line of some length: the inverse of `positions`.

        **Raises:** `CodeError` where the line has another length.
        """
        line = np.zeros(length + math.prod(self.blocks), bool)
        line[positions] = True

        def take(p: int, open_: np.ndarray, start: int) -> np.ndarray:
            now = np.zeros_like(open_)
            now[open_] = line[min(start, length) :][: int(open_.sum())]
            return now

        found, walked = [], 0
        for p, (open_, now) in enumerate(self._walk(take)):
            walked += int(open_.sum())
            found.append(self.origins[now] + self.scan[p])
        if walked != length:
            raise CodeError(f"the file claims a line of {length} open places; there are {walked}")
        out = np.concatenate(found)
        return out[np.lexsort(out.T[::-1])]

    def _walk(self, take) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Step by step, which blocks have an open place, and which take it: `take(step, open, position)`."""
        state, inside, start = np.zeros(math.prod(self.blocks), np.int64), self.inside(), 0
        for p, targets in enumerate(self.targets):
            target = targets[state]
            open_ = (target >= 0) & inside[p]
            now = take(p, open_, start)
            yield open_, now
            state = np.where(now & open_, target, state)
            start += int(open_.sum())


def write_open(out: Output, trellis: Trellis, places: Int[np.ndarray, "m d"], counts: Int[np.ndarray, " m"]) -> None:
    """Ends a body with a law in quanta on open places of a trellis, distinct, in row-major order.

    Their positions are a subset of the line of open places, the counts a composition of the quanta, each coded in as
    many bits as there are possibilities, without plain bits, so that nothing tells where they begin.

    **Example:**

        >>> import numpy as np, jaxgen as jg
        >>> out, trellis = jg.coding.Output(), jg.coding.Trellis((8,), memory=2)
        >>> jg.coding.write_open(out, trellis, np.array([[2], [5]]), np.array([3, 1]))
        >>> places, counts = jg.coding.read_open(jg.coding.Input(out.finish(), version=2), trellis)
        >>> places.tolist(), counts.tolist()
        ([[2], [5]], [3, 1])
    """
    positions, length = trellis.positions(places)
    quanta = int(counts.sum())
    out.integer(len(places))
    out.integer(quanta - len(places))
    # By how much the line is longer than expected, 0, -1, 1, -2, ... as 0, 1, 2, 3.
    further = length - trellis.expected(len(places))
    out.integer(2 * further if further >= 0 else -2 * further - 1)
    writer = Writer()
    code_subset(writer, positions, len(positions), length, tails=False)
    code_composition(writer, counts, len(counts), quanta, tails=False)
    out.raw(writer.finish()[0])


def read_open(data: Input, trellis: Trellis) -> tuple[Int[np.ndarray, "m d"], Int[np.ndarray, " m"]]:
    """The places and counts that `write_open` wrote.

    **Raises:** `CodeError` for bytes that it did not write, before memory is taken for what they claim.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.coding.read_open(jg.coding.Input(b"\\x09\\x00\\x00", version=2), jg.coding.Trellis((8,), memory=2))
        Traceback (most recent call last):
        ...
        jaxgen.coding._errors.CodeError: the file claims 9 atoms on 6 open places
    """
    m = data.integer("the number of atoms", MAX_PLACES)
    quanta = m + data.integer("the other quanta", MAX_PLACES)
    folded = data.integer("the length of the line", 2 * MAX_PLACES)
    length = trellis.expected(m) + (folded >> 1 if folded % 2 == 0 else -(folded >> 1) - 1)
    if not 1 <= m <= length:
        raise CodeError(f"the file claims {m} atoms on {length} open places")
    data.require(least_bits(m, math.log2(length)), f"{m} atoms on {length} open places")
    reader = Reader(bytes(data.part(data.left)), b"")
    positions = code_subset(reader, None, m, length, tails=False)
    counts = code_composition(reader, None, m, quanta, tails=False)
    reader.finish()
    return trellis.places(positions, length), counts


@functools.cache
def _targets(dim: int, memory: int) -> Int[np.ndarray, "classes states"]:
    """For each class of a place, its index mod 4 on each axis, and each state: the next state, -1 if it is not open."""
    first, second = _CHECKS[memory]
    out = np.full((4,) * dim + (1 << memory,), -1)
    for *index, state in np.ndindex(out.shape):
        now = state
        for i in index:
            # The lowest bit of a systematic encoder with feedback is the parity that the next class must have.
            if now & 1 != i & 1:
                break
            now = (now >> 1) ^ (first >> 1 if i & 1 else 0) ^ (second >> 1 if i >> 1 else 0)
        else:
            out[(*index, state)] = now
    return out.reshape(-1, 1 << memory)
