"""The network of leaves in an order and a path inside each (theory, section 4).

With F_i the mass before leaf i, p_i its mass and step_i a ramp at F_i, staircases in u say which leaf u is in, and

    r = sum_i rho( rho((u - F_i)/p_i) - rho((u - F_i)/p_i - (1 - ramp)) / ramp )

is where in it: each term rises from 0 to 1 on its own leaf, falls back in the last `ramp` of it, and is exactly 0
elsewhere, so that no large numbers cancel. Then x = corner + side * path(r), each a sum of staircases and of gates:

- corners are counted in whole cells on a grid, where sums of floats are exact; the last layer brings them into the box;
- where a leaf runs along an axis backwards, p becomes |p - 1|;
- where the sides of an axis differ, or the coordinates of the path that it takes, each of its few distinct pairs of a
  side S and a coordinate p has an indicator `on`, a staircase in u, and `rho(S p + S (on - 1))` is S p where it is on
  and 0 elsewhere, since 0 <= p <= 1.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ..relu import NetworkBuilder, ReLUNetwork, Signal, clip_inner, clip_outer
from ._axes import exchanged


def leaf_network(
    counts: Float[np.ndarray, " m"],
    corners: Float[np.ndarray, "m d"],
    sides: Float[np.ndarray, "m d"],
    axes: Int[np.ndarray, " m"],
    backward: Bool[np.ndarray, "m d"],
    path: ReLUNetwork | None,
    top: float | int,
    low: Float[np.ndarray, " d"],
    unit: Float[np.ndarray, " d"],
    ramp: float,
) -> ReLUNetwork:
    """The network u -> low + unit * (corner + side * path(r) / top).

    **Arguments:**

    - `counts`: quanta of the leaves, in their order; `corners`, nonnegative, and `sides`, in multiples of `unit`.
    - `axes`: of each leaf, the one that takes the last coordinate of the path, and the last axis takes its.
    - `backward`: which coordinates of the path run backward. `path`: r -> [0, top]^d inside a leaf; `None` for leaves
        that are atoms.
    - `ramp`: the share of each leaf that its ramps take, on either side: u of measure `2 ramp` in all.
    """
    leaves = _Leaves(NetworkBuilder(u=1), counts, ramp)
    # What a staircase stands for: corners, then directions and sides where they are not the same everywhere.
    stairs = {"corner": corners}
    turning = np.flatnonzero(np.any(backward, axis=0)) if path is not None else np.array([], int)
    if turning.size:
        stairs["backward"] = backward[:, turning].astype(float)
    taken = exchanged(np.broadcast_to(np.arange(len(low)), sides.shape), axes)
    gates = _gates(sides, taken) if path is not None else None
    if gates is not None:
        stairs["gate"] = gates.open
    net = leaves.locate(stairs, path is not None)
    if path is None:
        return net.network(low + unit * net["corner"])
    inside = net.apply(path, 1 - net["left"], merge=None, nonnegative=True, **net.carry(*stairs))
    net.define(inside=inside / top)
    if path.depth > 1:
        # In floats a wave may leave [0, 1], and would go on leaving it.
        net.layer(**net.carry(*stairs), beyond=1 - net["inside"])
        net.define(inside=1 - net["beyond"])
    if turning.size:
        net.layer(
            **net.carry("corner", *(["gate"] if gates is not None else [])),
            inside=net["inside"],
            over=net["inside"][turning] - net["backward"],
            under=net["backward"] - net["inside"][turning],
        )
        kept = np.ones(len(low))
        kept[turning] = 0
        turned = (net["over"] + net["under"]).add_at(turning, len(low))
        net.define(inside=turned if not kept.any() else kept * net["inside"] + turned)
    if gates is not None:
        return net.network(low + unit * _gated(net, len(low), gates))
    return net.network(low + unit * (net["corner"] + sides[0] * net["inside"][taken[0]]))


class _Leaves:
    """The first two layers: which leaf, and where in it."""

    def __init__(self, net: NetworkBuilder, counts, ramp: float):
        self.net, self.counts, self.ramp = net, counts, ramp

    def locate(self, stairs: dict[str, np.ndarray], position: bool) -> NetworkBuilder:
        """Defines each staircase by its name, and `left`, what is left of the leaf behind the position, as neurons."""
        net, counts, ramp = self.net, self.counts, self.ramp
        # In quanta all is integers, of which weights and biases are ratios, rounded once.
        starts, u = np.cumsum(counts) - counts, counts.sum() * net["u"]
        # Steps only where something changes: equal neighbours share one.
        changes = {name: np.diff(levels, axis=0) for name, levels in stairs.items()}
        at = 1 + np.flatnonzero(np.any(np.concatenate([*changes.values()], axis=1) != 0, axis=1))
        first = {"half": clip_inner(u, starts[at], ramp * counts[at])} if at.size else {}
        if position:
            inside = (u - starts) / counts
            first |= {"rise": inside, "fall": inside[:-1] - (1 - ramp)}
        net.layer(**first)
        second = {"step": clip_outer(net["half"])} if at.size else {}
        if position:
            last = len(starts) - 1
            second["part"] = net["rise"] - (net["fall"] / ramp).add_at(np.arange(last), last + 1)
        net.layer(**second)
        levels = {name: net.constant(table[0]) for name, table in stairs.items()}
        if at.size:
            levels = {name: level + changes[name][at - 1].T @ net["step"] for name, level in levels.items()}
        if position:
            # What is left of the leaf: so that the position is at most 1, whatever floats make of the sum.
            net.layer(**levels, left=1 - net["part"].sum())
        else:
            net.define(**levels)
        return net


class _Gates(NamedTuple):
    """Of each gate the axis, the side and the coordinate of the path that it takes; and where it is open."""

    axis: Int[np.ndarray, " gates"]
    side: Float[np.ndarray, " gates"]
    coordinate: Int[np.ndarray, " gates"]
    open: Float[np.ndarray, "m gates"]


def _gates(sides: np.ndarray, taken: np.ndarray) -> _Gates | None:
    """A gate for each distinct pair of a side and a coordinate, on every axis as soon as one differs; else none."""
    if np.all(sides == sides[0]) and np.all(taken == taken[0]):
        return None
    pairs = sides + 1j * taken
    axis, distinct = zip(*((k, pair) for k, column in enumerate(pairs.T) for pair in np.unique(column)), strict=True)
    axis, distinct = np.array(axis), np.array(distinct)
    return _Gates(axis, np.real(distinct), np.imag(distinct).astype(int), (pairs[:, axis] == distinct).astype(float))


def _gated(net: NetworkBuilder, dim: int, gates: _Gates) -> Signal:
    net.layer(**net.carry("corner"), open=gates.side * (net["inside"][gates.coordinate] + net["gate"] - 1))
    return net["corner"] + net["open"].add_at(gates.axis, dim)
