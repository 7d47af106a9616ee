"""The network of leaves in an order and a path inside each (theory, section 4).

With F_i the mass before leaf i, p_i its mass and step_i a ramp at F_i, staircases in u say which leaf u is in, and

    r = sum_i rho( rho((u - F_i)/p_i) - rho((u - F_i)/p_i - (1 - ramp)) / ramp )

is where in it: each term rises from 0 to 1 on its own leaf, falls back in the last `ramp` of it, and is exactly 0
elsewhere, so that no large numbers cancel. Then x = corner + side * path(r), each a sum of staircases and of gates:

- corners are counted in whole cells on a grid, where sums of floats are exact; the last layer brings them into the box;
- where a leaf runs along an axis backwards, p becomes |p - 1|;
- where the sides of an axis differ, each of its few distinct sides S has an indicator `on`, a staircase in u, and
  `rho(S p + S (on - 1))` is S p where it is on and 0 elsewhere, since 0 <= p <= 1.
"""

import numpy as np
from jaxtyping import Bool, Float

from ..relu import NetworkBuilder, ReLUNetwork, Signal, clip_inner, clip_outer


def leaf_network(
    counts: Float[np.ndarray, " m"],
    corners: Float[np.ndarray, "m d"],
    sides: Float[np.ndarray, "m d"],
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
    - `backward`: where the path runs backward. `path`: r -> [0, top]^d inside a leaf; `None` for leaves that are atoms.
    - `ramp`: the share of each leaf that its ramps take, on either side: u of measure `2 ramp` in all.
    """
    leaves = _Leaves(NetworkBuilder(u=1), counts, ramp)
    # What a staircase stands for: corners, then directions and sides where they are not the same everywhere.
    stairs = {"corner": corners}
    turning = np.flatnonzero(np.any(backward, axis=0)) if path is not None else np.array([], int)
    if turning.size:
        stairs["backward"] = backward[:, turning].astype(float)
    uneven, gates = _gates(sides) if path is not None else ([], np.zeros((len(counts), 0)))
    if gates.shape[1]:
        stairs["gate"] = gates
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
            **net.carry("corner", *(["gate"] if gates.shape[1] else [])),
            inside=net["inside"],
            over=net["inside"][turning] - net["backward"],
            under=net["backward"] - net["inside"][turning],
        )
        kept = np.ones(len(low))
        kept[turning] = 0
        turned = (net["over"] + net["under"]).add_at(turning, len(low))
        net.define(inside=turned if not kept.any() else kept * net["inside"] + turned)
    if gates.shape[1]:
        return net.network(low + unit * _gated(net, sides, uneven))
    return net.network(low + unit * (net["corner"] + sides[0] * net["inside"]))


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


def _gates(sides: np.ndarray) -> tuple[list[tuple[int, float]], np.ndarray]:
    """The (axis, side) of each gate, on every axis as soon as the sides of one differ, and where each gate is open."""
    distinct = [np.unique(sides[:, k]) for k in range(sides.shape[1])]
    if all(len(values) == 1 for values in distinct):
        return [], np.zeros((len(sides), 0))
    pairs = [(k, float(s)) for k, values in enumerate(distinct) for s in values]
    return pairs, np.stack([sides[:, k] == s for k, s in pairs], axis=1).astype(float)


def _gated(net: NetworkBuilder, sides: np.ndarray, pairs: list[tuple[int, float]]) -> Signal:
    axis, size = np.array([k for k, _ in pairs]), np.array([s for _, s in pairs])
    net.layer(**net.carry("corner"), open=size * (net["inside"][axis] + net["gate"] - 1))
    return net["corner"] + net["open"].add_at(axis, sides.shape[1])
