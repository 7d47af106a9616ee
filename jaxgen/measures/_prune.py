"""Which tree, and how many quanta: the least error for a number of bits (theory, section 8).

K quanta go down the tree of the points, at each node the nearest whole number to the share of each half. A node then is
a leaf, or is split, whichever costs less, `error + price * bits`, from the last depth to the first: for each price that
is the best of all pruned trees, since both add over the nodes:

    error = sum over split nodes m'_v |phi_v - psi_v| (s_v/2 + D_lower/m_lower + D_upper/m_upper)
          + sum over leaves (m'_v / m_v) D_v,

with m' the masses in quanta and psi the shares of the halves in quanta: a bound on W_1 from the points to the law. With
the diagonal of the node in place of the bracket, squared, and D times the diagonal, it is one on W_2^2.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num

from ..coding import TreeCosts, TreeLevel, about_tree_bits, log_splits, tree_bits, tree_contexts
from ._kd_tree import Depth

_ROUNDS, _LEARNED, _STEPS = 10, 2, 24
# Budgets are met to this share, or to half a byte, as files are whole bytes.
_SLACK, _BYTE = 0.006, 8
_LEAST_PRICE = 1e-16
# More quanta than that never pay.
_QUANTA_A_BIT = 100
# Bounds that are so much larger than the least stand for distances that are larger too.
_WORSE = 2.5


class Pruned(NamedTuple):
    """A tree in quanta: its levels, as they are coded, their bits, bounds on W_1 and W_2^2, the price of a bit.

    In units of the longest side of the box.
    """

    levels: list[TreeLevel]
    bits: float
    error: float
    square: float
    price: float


def quanta_of_labels(sizes: Num[np.ndarray, " labels"], quanta: int) -> Int[np.ndarray, " labels"]:
    """Quanta in proportion, at least one each: the largest remainders get what is left."""
    out = np.maximum(1, np.floor(sizes / sizes.sum() * quanta)).astype(np.int64)
    while (off := quanta - int(out.sum())) != 0:
        rest = sizes / sizes.sum() * quanta - out
        order = np.argsort(rest)[::-1] if off > 0 else np.argsort(np.where(out > 1, rest, np.inf))
        out[order[: abs(off)]] += int(np.sign(off))
        out = np.maximum(out, 1)
    return out


class _LeafCosts:
    """A leaf costs 1, and all else nothing."""

    def flag(self, where: Int[np.ndarray, " n"]) -> Float[np.ndarray, "2 n"]:
        return np.stack([np.ones(len(where)), np.zeros(len(where))])

    def left(self, depth: int, powers: Float[np.ndarray, "components n"]) -> Float[np.ndarray, " n"]:
        return np.zeros(powers.shape[1])


class Quanta:
    """A tree of points with K quanta in it, ready to be pruned at any price."""

    def __init__(self, depths: list[Depth], quanta: int):
        self._depths, total = depths, float(depths[0].size.sum())
        self._quanta = [quanta_of_labels(depths[0].size, quanta)]
        self._left: list[Int[np.ndarray, " nodes"]] = []
        self._split: list[Int[np.ndarray, " splits"]] = []
        self._apart, self._moved, self._stay, self._powers, self._contexts = [], [], [], [], []
        for depth, below in zip(depths, [*depths[1:], None], strict=True):
            n = self._quanta[-1]
            left = np.floor(n * (depth.lower / depth.size) + 0.5).astype(np.int64)
            at = np.flatnonzero(depth.split)
            if below is not None:
                halves = np.stack([left[at], n[at] - left[at]], axis=1)
                # An empty half has the share 0 or 1, which is no quanta or all.
                next_ = np.zeros(len(below.size), np.int64)
                next_[depth.child[depth.child >= 0]] = halves[depth.child >= 0]
                self._quanta.append(next_)
            rows = np.flatnonzero(n[at] > 0)
            at = at[rows]
            share, mass = n / quanta, depth.size / total
            self._stay.append(np.where(n > 0, share / mass * depth.error, 0.0))
            phi = depth.lower[at] / depth.size[at]
            masses = np.stack([depth.lower[at], depth.size[at] - depth.lower[at]]) / total
            far = depth.side / 2 + (depth.halves[:, at] / np.where(masses > 0, masses, 1.0)).sum(axis=0)
            self._apart.append(share[at] * np.abs(phi - left[at] / n[at]))
            self._moved.append(self._apart[-1] * far)
            self._powers.append(np.exp2(log_splits(left[at], n[at])))
            self._contexts.append(tree_contexts(np.maximum(n, 1), depth.side))
            self._left.append(left)
            self._split.append(np.stack([at, rows]))
        self.quanta = quanta

    def pruned(self, price: float, costs: TreeCosts | _LeafCosts) -> tuple[list[np.ndarray], float]:
        """The best pruned tree at a price of a bit: which nodes are split, and about how many bits it takes."""
        takes, total, bits = [], np.zeros(0), np.zeros(0)
        for d in range(len(self._depths) - 1, -1, -1):
            depth, n = self._depths[d], self._quanta[d]
            at, rows = self._split[d]
            leaf, no_leaf = costs.flag(self._contexts[d])
            length = np.where(n > 0, leaf, 0.0)
            best = self._stay[d] + price * length
            if len(at):
                child, held = depth.child[rows], depth.child[rows] >= 0
                own = no_leaf[at] + costs.left(d, self._powers[d])
                cost = self._moved[d] + price * own + np.where(held, total[child], 0.0).sum(axis=1)
                better = cost < best[at]
                best[at] = np.where(better, cost, best[at])
                length[at] = np.where(better, own + np.where(held, bits[child], 0.0).sum(axis=1), length[at])
                takes.append(at[better])
            else:
                takes.append(at)
            total, bits = best, length
        return takes[::-1], float(bits.sum())

    def _selected(self, takes: list[np.ndarray]) -> tuple[list[TreeLevel], float, float]:
        """The levels of the tree in which these nodes are split, and its bounds on W_1 and W_2^2."""
        levels, error, square, chosen = [], 0.0, 0.0, np.arange(len(self._depths[0].size))
        for d, depth in enumerate(self._depths):
            at, rows = self._split[d]
            split = np.isin(chosen, takes[d])
            place = np.searchsorted(at, chosen[split])
            stay = float(self._stay[d][chosen[~split]].sum())
            error += float(self._moved[d][place].sum()) + stay
            square += depth.diagonal * (depth.diagonal * float(self._apart[d][place].sum()) + stay)
            n = self._quanta[d][chosen]
            levels.append(TreeLevel(n, ~split, np.where(split, self._left[d][chosen], 0)))
            if not split.any():
                break
            halves = np.stack([levels[-1].left[split], n[split] - levels[-1].left[split]], axis=1).ravel()
            chosen = depth.child[rows[place]].ravel()[halves > 0]
        return levels, error, square

    def _side(self, depth: int) -> float:
        return self._depths[depth].side

    def within(self, bits: float, price: float, costs: TreeCosts) -> tuple[Pruned | None, TreeCosts]:
        """The best pruned tree that takes at most so many bits; `None` where even the leaf of all does not fit.

        The price is found by what bits are expected, then what is expected is set right; `price` and `costs`, which
        are given back as they were learned, are where to begin.
        """
        slack = max(_SLACK * bits, _BYTE / 2)
        best, aim, low, high = None, bits - slack / 2, 0.0, math.inf
        for n in range(_ROUNDS):
            price, takes = self._priced(aim, price, costs)
            levels, error, square = self._selected(takes)
            taken = about_tree_bits(levels, self._side)
            if bits - slack <= taken <= bits + slack:
                taken = tree_bits(levels, self._side)
            if taken <= bits and (best is None or error < best.error):
                best = Pruned(levels, taken, error, square, price)
            if bits - slack <= taken <= bits or (taken <= bits and price <= 1.001 * _LEAST_PRICE):
                break
            if n < _LEARNED:
                costs = TreeCosts(levels, self._side)
            expected = self.pruned(price, costs)[1]
            # Of what is expected: so much fits, as nothing larger is within the aim, and so much does not.
            low, high = (max(low, aim), high) if taken <= bits else (low, min(high, expected))
            if n < _LEARNED:
                low, high = 0.0, math.inf
            if high - low < slack / 4:
                break
            aim = expected + bits - slack / 2 - taken
            if not low < aim < high:
                aim = (low + min(high, 2 * max(low, 1.0))) / 2
        return best, costs

    def best(self) -> Pruned:
        """The pruned tree of the least error, whatever bits it takes."""
        levels, error, square = self._selected(self.pruned(0.0, _LeafCosts())[0])
        return Pruned(levels, math.inf, error, square, 0.0)

    def of_leaves(self, most: int) -> list[TreeLevel]:
        """The best pruned tree with at most so many leaves."""
        takes = self._priced(float(most), max(float(self._depths[0].error.sum()), 1e-12) / most, _LeafCosts())[1]
        return self._selected(takes)[0]

    def _priced(self, aim: float, price: float, costs: TreeCosts | _LeafCosts) -> tuple[float, list[np.ndarray]]:
        """The price at which about `aim` bits are expected, not more, and the nodes that are split."""
        # Logarithms of prices, and of bits over the aim, on either side.
        dear = cheap = None
        takes = part = []
        x, goal, reach = math.log(price), math.log(max(aim, 1.0)), 1.0
        for _ in range(_STEPS):
            part, expected = self.pruned(math.exp(x), costs)
            over = math.log(max(expected, 0.5)) - goal
            if over <= 0:
                dear, takes = (x, over), part
            else:
                cheap = (x, over)
            if -_SLACK / 4 <= over <= 0 or (over <= 0 and math.exp(x) <= 1.001 * _LEAST_PRICE):
                break
            if dear is None or cheap is None:
                # Bits fall about like a root of the price, as long as there is something to cut.
                reach *= 2
                x = max(x + max(-reach, min(reach, 2 * over + math.copysign(reach / 4, over))), math.log(_LEAST_PRICE))
                continue
            if dear[0] - cheap[0] < 1e-4:
                break
            # A secant, kept from the ends, so that no end stays.
            step = (dear[0] - cheap[0]) * min(0.9, max(0.1, cheap[1] / (cheap[1] - dear[1])))
            x = cheap[0] + step
        return math.exp(x if dear is None else dear[0]), takes if dear is not None else part


def candidates(depths: list[Depth], bits: float, most: int) -> Iterator[Pruned]:
    """For numbers of quanta from that of the points on down, the best tree of so many bits."""
    labels, n = len(depths[0].size), round(float(depths[0].size.sum()))
    least, costs, price = math.inf, TreeCosts(), max(float(depths[0].error.sum()), 1e-12) / max(bits, 1.0)
    quanta = max(labels, min(n, most, int(_QUANTA_A_BIT * bits)))
    while quanta >= labels:
        found, costs = Quanta(depths, quanta).within(bits, price, costs)
        if found is not None:
            yield found
            least, price = min(least, found.error), max(found.price, _LEAST_PRICE)
        # Fewer quanta than fill the budget, or that cost more than they save, are not worth a look.
        if found is not None and (found.bits < 0.9 * bits or found.error > _WORSE * least):
            break
        quanta = quanta // 2
