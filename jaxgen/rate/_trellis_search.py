"""Which places of a trellis the atoms of given points take: the least distance and bits together (theory, section 8).

A Viterbi search in each block. The points are sorted along the first axis, and a state of the search says the state of
the machine, how many points have been placed, and which of the next few have been placed before their turn. A point
near the border of a block may be left to a neighbor that is searched later, at an estimate of what it costs there.
Lengths are in units of the spacing of the lattice.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ..coding import Trellis

# By dimension: what a bit costs in units of the spacing, about the slope of the error over the bits where such codes
# are used, 1.5 to 4 bits a point; and among how many next points one may be placed. By trial, as all that follows.
_PRICES = {1: 0.35, 2: 0.3, 3: 0.3}
_AHEAD = {1: 1, 2: 3, 3: 3}
# How many points, not quanta, are placed on one place at most.
_LAYERS = 2
# No point is moved further than _FAR. One that is nearer to another block than _NEAR may be left to it, and is thought
# to cost there what a point costs, and _SLOPE for each unit by which it is nearer to the border than _DEEP.
_FAR, _NEAR, _DEEP, _SLOPE = 6.0, 1.4, 0.8, 0.6
# The search may be ahead of the column, or behind it, by as many points as lie within so many columns, or by _REACH.
_WITHIN, _REACH = {1: 5, 2: 2, 3: 2}, 12
# Blocks that are searched at once, which bounds the memory for the choices.
_AT_ONCE = {1: 64, 2: 16, 3: 16}
_NEVER = np.float32(np.inf)


class Rates(NamedTuple):
    """Bits of an open place that stays empty, of one that is taken, and of a further quantum on one that is taken."""

    empty: float
    taken: float
    more: float


def rates_of(quanta: int, atoms: int, line: int) -> Rates:
    """Those of a subset of a line of so many open places, and of a composition."""
    share = min(max(atoms / line, 1e-6), 1 - 1e-6)
    return Rates(-math.log2(1 - share), -math.log2(share), math.log2(1 + atoms / (quanta - atoms + 1)))


def search(
    points: Float[np.ndarray, "n d"],
    weights: Int[np.ndarray, " n"],
    trellis: Trellis,
    rates: Rates,
    sweeps: int = 1,
) -> Int[np.ndarray, "n d"] | None:
    """The place of each point, or None where points are too crowded for the search.

    **Arguments:**

    - `points`: `(n, d)` in units of the spacing: the place of index i is at i + 1/2 on each axis.
    - `weights`: `(n,)`, quanta of each point.
    - `rates`: what the places will cost, about.
    - `sweeps`: the blocks are searched so often, in one order of their colors and the other, each time with what was
        found before as the estimate of what a point costs another block; the best is returned.
    """
    dim = points.shape[1]
    price = _PRICES[dim]
    bits = price * (rates.taken - rates.empty)
    candidates = _candidates(points, trellis)
    # What a point costs deep in a block: about the distance to be had with so few open places, and the bits.
    cost = 0.5 * math.sqrt(dim) + bits + _SLOPE * np.maximum(0, _DEEP - candidates.depth)
    found, least = None, np.inf
    for sweep in range(sweeps):
        turn = candidates.color if sweep % 2 == 0 else (1 << dim) - 1 - candidates.color
        out = _sweep(points, weights, trellis, rates, candidates, turn, cost)
        if out is None:
            break
        distance = np.sqrt(np.sum((points - out - 0.5) ** 2, axis=1))
        total = float(distance.sum()) + bits * len(np.unique(out, axis=0))
        if total < least:
            found, least = out, total
        owner = _number(_home(out, trellis), trellis)[candidates.point]
        cost = np.where(owner == candidates.block, distance[candidates.point] + bits, cost)
    return found


def _sweep(points, weights, trellis: Trellis, rates, candidates, turn, cost) -> np.ndarray | None:
    """Searches all blocks, those of one turn at once; a point may be left where a block that takes it has a later."""
    out = np.full(points.shape, -1, np.int64)
    for now in range(1 << points.shape[1]):
        left = out[candidates.point, 0] < 0
        later = left & (turn > now)
        skip = np.full(len(points), np.inf)
        np.minimum.at(skip, candidates.point[later], cost[later])
        some = np.flatnonzero(left & (turn == now))
        names = np.unique(candidates.block[some])
        for part in range(0, len(names), _AT_ONCE[points.shape[1]]):
            these = names[part : part + _AT_ONCE[points.shape[1]]]
            few = some[np.isin(candidates.block[some], these)]
            if not _part(points, weights, trellis, rates, candidates.point[few], candidates.block[few], skip, out):
                return None
    return out


class _Candidates(NamedTuple):
    """Pairs of a point and a block that may take it; how deep it lies inside, negative outside; the block's color."""

    point: Int[np.ndarray, " pairs"]
    block: Int[np.ndarray, " pairs"]
    depth: Float[np.ndarray, " pairs"]
    color: Int[np.ndarray, " pairs"]


def _candidates(points, trellis: Trellis) -> _Candidates:
    blocks = np.array(trellis.blocks)
    home, parts = _home(points, trellis), []
    for step in np.ndindex((3,) * points.shape[1]):
        block = home + step - 1
        exists = np.all((block >= 0) & (block < blocks), axis=1)
        block = np.clip(block, 0, blocks - 1)
        to_border = np.minimum(points - trellis.corners(block), trellis.corners(block, 1) - points)
        # Where a block is the only one on an axis, there is no border on it.
        depth = np.where(blocks > 1, to_border, np.inf).min(axis=1)
        at = np.flatnonzero(exists & ((depth > -_NEAR) | (min(step) == max(step) == 1)))
        color = (block % 2) @ (1 << np.arange(len(blocks)))
        parts.append((at, _number(block[at], trellis), depth[at], color[at]))
    return _Candidates(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _home(points, trellis: Trellis) -> Int[np.ndarray, "n d"]:
    """The block in which each point lies, its number an axis."""
    at = [np.searchsorted(starts, x, "right") - 1 for starts, x in zip(trellis.starts, points.T, strict=True)]
    return np.clip(np.stack(at, axis=1), 0, np.array(trellis.blocks) - 1)


def _number(block, trellis: Trellis) -> Int[np.ndarray, " n"]:
    """Blocks in row-major order."""
    return np.asarray(np.ravel_multi_index(tuple(block.T), trellis.blocks))


@functools.cache
def _moves(ahead: int) -> tuple[tuple[int, int, int, int], ...]:
    """All ways to place a point: (places ahead of its turn, b; mask before; how far the turn moves; mask after).

    A mask has a bit for each of the next points but the first, which has not been placed, or it would not be next.
    """
    moves = []
    for before in range(1 << (ahead - 1)):
        for b in range(ahead):
            mask = before << 1
            if not mask >> b & 1:
                moves.append((b, before, *_turned(mask | 1 << b)))
    return tuple(moves)


def _turned(mask: int) -> tuple[int, int]:
    """How many of the next points have been placed, and the mask behind them."""
    shift = 0
    while mask & 1:
        mask, shift = mask >> 1, shift + 1
    return shift, mask >> 1


def _part(points, weights, trellis: Trellis, rates, which, block, skip, out) -> bool:
    """Searches blocks that share no border, at once, and fills `out`; whether it went well."""
    dim, names = points.shape[1], np.unique(block)
    price = _PRICES[dim]
    row = np.searchsorted(names, block)
    order = np.lexsort([points[which, 0], row])
    which, row = which[order], row[order]
    held = np.bincount(row, minlength=len(names))
    slot = np.arange(len(which)) - np.repeat(np.cumsum(held) - held, held)
    most = int(held.max())
    local = np.full((len(names), most, dim), np.inf)
    local[row, slot] = points[which] - trellis.origins[names[row]]
    leave, more = (np.full((len(names), most), np.inf, np.float32) for _ in range(2))
    leave[row, slot] = skip[which]
    more[row, slot] = price * rates.more * weights[which]
    chosen = _viterbi(local, leave, more, held, trellis, names, price * rates.empty, price * rates.taken)
    if chosen is None:
        return False
    step = chosen[row, slot]
    taken = step >= 0
    out[which[taken]] = trellis.origins[names[row[taken]]] + trellis.scan[step[taken]]
    return True


def _viterbi(local, leave, more, held, trellis: Trellis, names, empty, taken) -> np.ndarray | None:
    """The step of the scan on which each point of each block is placed, -1 where it is left to another block."""
    blocks, most, dim = local.shape
    ahead = _AHEAD[dim]
    columns, rows = trellis.size[0], math.prod(trellis.size[1:])
    # How many points of a block stand before the middle of each column, and in the end all.
    before = np.stack([np.searchsorted(x[:n, 0], np.arange(columns) + 0.5) for x, n in zip(local, held, strict=True)])
    before = np.concatenate([before, held[:, None]], axis=1)
    # Turns are kept within `reach` of the number of points before the column.
    within = min(_WITHIN[dim], columns)
    reach = min(max(2, int(np.max(before[:, within:] - before[:, :-within]))), _REACH)
    width = 2 * reach + 1
    states, masks = trellis.targets.shape[1], 1 << (ahead - 1)
    # Padded on both sides, so that the points around every turn are a slice of it.
    pad = ((0, 0), (reach, reach + width + ahead))
    place = np.pad(local, (*pad, (0, 0)), constant_values=np.inf)
    leave = np.pad(leave, pad, constant_values=np.inf)
    more = np.pad(more, pad, constant_values=np.inf)
    window = np.arange(width + ahead - 1)[:, None]
    inside = trellis.inside(names)
    cost = np.full((states, masks, width, blocks), _NEVER)
    cost[0, 0, reach] = 0
    here = np.zeros(blocks, np.int64)
    left: list[np.ndarray] = []
    steps: list[tuple[np.ndarray, ...]] = []
    for column in range(columns + 1):
        cost = _shifted(cost, before[:, column] - here)
        here = before[:, column]
        near = np.arange(blocks), here + window
        left.append(_leave(cost, leave[near]))
        if column == columns:
            break
        around, extra = place[near], more[near]
        for p in range(column * rows, (column + 1) * rows):
            with np.errstate(invalid="ignore"):
                distance = np.sqrt(np.sum((around - (trellis.scan[p] + 0.5)) ** 2, axis=2)).astype(np.float32)
            distance[~(distance <= _FAR)] = np.inf
            steps.append(_step(cost, distance, extra, trellis.targets[p], inside[p], empty, taken))
    # In the end all points have had their turn.
    final = cost[:, 0, reach]
    state = final.argmin(axis=0)
    if not np.all(np.isfinite(final[state, np.arange(blocks)])):
        return None
    return _back(state, reach, left, steps, before, trellis, most, ahead)


def _shifted(cost, by) -> np.ndarray:
    """The costs with the turn counted from `by` points further on, in each block."""
    if not np.any(by):
        return cost
    width = cost.shape[2]
    at = np.arange(width)[:, None] + by
    moved = cost[:, :, np.minimum(at, width - 1), np.arange(len(by))]
    moved[:, :, at >= width] = np.inf
    return moved


def _leave(cost, leave) -> np.ndarray:
    """Leaves points whose turn it is to other blocks; which states came about so, from which mask (or -1)."""
    came = np.full(cost.shape, -1, np.int8)
    _, masks, width, _ = cost.shape
    for k in range(width - 1):
        if not np.any(np.isfinite(leave[k])):
            continue
        for mask in range(masks):
            shift, after = _turned(mask << 1 | 1)
            if k + shift < width:
                new = cost[:, mask, k] + leave[k]
                better = new < cost[:, after, k + shift]
                np.copyto(cost[:, after, k + shift], new, where=better)
                np.copyto(came[:, after, k + shift], mask, where=better)
    return came


def _step(cost, distance, extra, targets, inside, empty, taken) -> tuple[np.ndarray, ...]:
    """Changes the costs to those after one more place; gives the layers of points on it, and the moves in each."""
    source = np.flatnonzero(targets >= 0)
    target = targets[source]
    layer = cost[source]
    stay = layer + np.float32(empty)
    best, count, moves = np.full(layer.shape, _NEVER), np.zeros(layer.shape, np.int8), []
    for n in range(1, _LAYERS + 1):
        layer, move = _placed(layer, distance if n == 1 else distance + extra)
        moves.append(move)
        better = layer < best
        np.copyto(best, layer, where=better)
        np.copyto(count, n, where=better)
    best += np.float32(taken)
    if not np.all(inside):
        # Places beyond the lattice are not open.
        best[..., ~inside] = np.inf
        stay[..., ~inside] -= np.float32(empty)
    cost[source] = stay
    old = cost[target]
    np.copyto(count, 0, where=best >= old)
    cost[target] = np.minimum(best, old)
    return count, *moves


def _placed(layer, distance) -> tuple[np.ndarray, np.ndarray]:
    """The least cost with one point more on this place, and the move that gives it."""
    out, move = np.full(layer.shape, _NEVER), np.zeros(layer.shape, np.int8)
    _, masks, width, _ = layer.shape
    for n, (b, mask, shift, after) in enumerate(_moves(masks.bit_length())):
        new = layer[:, mask, : width - shift] + distance[b : b + width - shift]
        better = new < out[:, after, shift:]
        np.copyto(out[:, after, shift:], new, where=better)
        np.copyto(move[:, after, shift:], n, where=better)
    return out, move


def _back(state, reach, left, steps, before, trellis: Trellis, most, ahead) -> np.ndarray:
    """Follows the choices from the end to the beginning."""
    blocks = len(state)
    out = np.full((blocks, most), -1, np.int64)
    rows, moves = math.prod(trellis.size[1:]), _moves(ahead)
    # From where an atom on the place of a step brings the machine to a state, and the how manieth such state that is.
    source = np.full(trellis.targets.shape, -1)
    rank = np.cumsum(trellis.targets >= 0, axis=1) - 1
    step, old = np.nonzero(trellis.targets >= 0)
    source[step, trellis.targets[step, old]] = old
    sources, ranks = source.tolist(), rank.tolist()
    for row in range(blocks):
        s, k, mask = int(state[row]), reach, 0
        for column in range(len(left) - 1, -1, -1):
            while (came := int(left[column][s, mask, k, row])) >= 0:
                k, mask = k - _turned(came << 1 | 1)[0], came
            if column == 0:
                break
            here = int(before[row, column - 1])
            k += int(before[row, column]) - here
            for p in range(column * rows - 1, (column - 1) * rows - 1, -1):
                if (old := sources[p][s]) < 0:
                    continue
                count, *layers = steps[p]
                j = ranks[p][old]
                n = int(count[j, mask, k, row])
                for layer in layers[:n][::-1]:
                    b, mask, shift, _ = moves[layer[j, mask, k, row]]
                    k -= shift
                    out[row, here + k - reach + b] = p
                s = old if n else s
    return out
