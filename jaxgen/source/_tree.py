"""The search among leaves: which one, and where in it, for every step of every construction (theory, sections 2 to 7).

Leaves in an order, sorted by some key columns, hold counts of quanta. A *node* is a run of leaves that agree in the
first columns: an interval of the quanta 0..K-1. The quantile function of the next column given the earlier ones is the
step from a node to the child that holds a given quantum, one search, and the position left over inside the child
is exact, because the quanta are whole numbers. The columns are (label, x_1, ..., x_d) for the nested constructions and
(label, leaf) along a curve. A prompt is the node to start from.
"""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from .._checks import is_traced
from ._padding import entry, on_device, padded
from ._residual import Residual, multiplied, split_words
from ._slope import motion, moved_inside

# Masses that are floats are held as so many quanta: the most that counts beside digits of 8 bits have room for.
_QUANTA = 1 << 24


class QuantileTree(eqx.Module):
    """Nodes of all levels with their quanta, the root first, each level in order.

    The nodes of a level share all quanta, in order, so that a quantum alone tells the node. A table in front of the
    search tells a node near to it, and how many halvings are left at most: mostly none to three.

    - `start`, `count`: the interval of quanta `start .. start + count - 1` of each node, `(nodes,)`.
    - `value`: what the last column holds there.
    - `guide`: of each level in turn, the last node that starts at or before each multiple of `2**shift`.
    - `levels`: where the guide of a level begins, its shift, halvings that are left, and its last node, `(levels, 4)`.
    - `labelled`: whether the first column is a label (static).
    - `start_moved`, `count_moved`: exactly 0, with the derivatives of start and count by masses; `None` without these.

    **Example:**

        >>> import jax.numpy as jnp, numpy as np
        >>> from jaxgen.source import branches
        >>> tree = branches([np.arange(3)], 3).weighed(jnp.asarray([1, 2, 1], jnp.uint32), bits=16)
        >>> _, leaf, r = tree.locate(jnp.asarray([3 << 29], jnp.uint32), None)  # u = 3/8: quantum 1 of 4, half way
        >>> int(leaf), float(r.to_float(jnp.float32))
        (1, 0.25)
    """

    start: UInt32[Array, " nodes"]
    count: UInt32[Array, " nodes"]
    value: Int[Array, " nodes"]
    guide: Int[Array, " entries"]
    levels: Int[Array, "levels 4"]
    labelled: bool = eqx.field(static=True)
    bits: int = eqx.field(static=True)
    start_moved: Float[Array, " nodes"] | None = None
    count_moved: Float[Array, " nodes"] | None = None

    @property
    def columns(self) -> int:
        """The level of the first column behind the label, if there is one: where the constructions descend to."""
        return 1 + self.labelled

    def enter(
        self, words: UInt32[Array, " words"], code: Int[Array, ""] | None, moved: Float[Array, ""] | None = None
    ) -> tuple[Int[Array, ""], Int[Array, ""], Residual]:
        """The label, the node of that label, and the position of u in it. A label that is asked for is a narrower u.

        `moved`, if given, has the derivative of u, as in a `Residual`.

        **Example:**

            >>> import jax.numpy as jnp, numpy as np
            >>> from jaxgen.source import branches
            >>> labels = np.array([0, 1, 1])
            >>> tree = branches([np.arange(3)], 3, labels).weighed(jnp.asarray([2, 1, 1], jnp.uint32), bits=16)
            >>> label, node, _ = tree.enter(jnp.asarray([1 << 30], jnp.uint32), None)  # u = 1/4 is in the first label
            >>> int(label), int(node)
            (0, 1)
        """
        root = jnp.zeros((), jnp.int32)
        if not self.labelled:
            return root, root, self.fresh(words, root, moved)
        if code is None:
            node, r = self.descend(root, self.fresh(words, root, moved), 1)
        else:
            node = (1 + code).astype(jnp.int32)
            r = self.fresh(words, node, moved)
        return entry(self.value, node), node, r

    def fresh(
        self, words: UInt32[Array, " words"], node: Int[Array, ""], moved: Float[Array, ""] | None = None
    ) -> Residual:
        """A uniform number as a position in a node.

        **Example:**

            >>> import jax.numpy as jnp, numpy as np
            >>> from jaxgen.source import branches
            >>> tree = branches([np.arange(2)], 2).weighed(jnp.asarray([1, 3], jnp.uint32), bits=16)
            >>> r = tree.fresh(jnp.asarray([1 << 31], jnp.uint32), jnp.asarray(0))  # half of four quanta
            >>> int(r.whole), int(r.count)
            (2, 4)
        """
        count = entry(self.count, node)
        quantum, fraction = multiplied(split_words(words), count)
        return Residual(quantum, fraction, count, self.bits, moved)

    def descend(
        self, node: Int[Array, ""], r: Residual, level: int | Int[Array, ""]
    ) -> tuple[Int[Array, ""], Residual]:
        """The child, on a level, of a node above that holds the position, and the position inside the child.

        **Example:**

            >>> import jax.numpy as jnp, numpy as np
            >>> from jaxgen.source import branches
            >>> tree = branches([np.arange(2)], 2).weighed(jnp.asarray([1, 3], jnp.uint32), bits=16)
            >>> root = jnp.asarray(0)
            >>> node, r = tree.descend(root, tree.fresh(jnp.asarray([1 << 31], jnp.uint32), root), 1)
            >>> int(tree.value[node]), round(float(r.to_float(jnp.float32)), 4)
            (1, 0.3333)
        """
        quantum = entry(self.start, node) + r.whole
        first, shift, halvings, last = self.levels[level]
        near = entry(self.guide, first + (quantum >> shift.astype(jnp.uint32)).astype(jnp.int32))

        def nearer(i, near):
            further = jnp.minimum(near + (1 << (halvings - 1 - i)), last)
            return jnp.where(entry(self.start, further) <= quantum, further, near)

        # A loop, though it keeps XLA from making one kernel of everything: gathers in a row are slow in a large one,
        # and how many there are is then no part of the program.
        child = jax.lax.fori_loop(0, halvings, nearer, near)
        inside = Residual(quantum - entry(self.start, child), r.fraction, entry(self.count, child), self.bits)
        if r.moved is None:
            return child, inside
        moved = moved_inside(inside.to_float(r.moved.dtype), *self._motion(node, r, child, r.moved))
        return child, dataclasses.replace(inside, moved=moved)

    def detached(self) -> "QuantileTree":
        """The tree without the derivatives by masses.

        **Example:**

            >>> import jax.numpy as jnp, numpy as np
            >>> from jaxgen.source import branches
            >>> masses = jnp.asarray([0.25, 0.75])
            >>> branches([np.arange(2)], 2).of_masses(masses).detached().count_moved is None
            True
        """
        return dataclasses.replace(self, start_moved=None, count_moved=None)

    def _motion(self, node: Int[Array, ""], r: Residual, child: Int[Array, ""], moved: Float[Array, ""]):
        """The last arguments of `moved_inside`, in quanta, for the position r in a node, `start + r count`, in a child.

        With S, C, R the values of start, count and r, and s, c, m their motions, this position is `S + R C`, what the
        integers say, and `s + R c + m (C + c)`.
        """
        size, count = self.count[node].astype(moved.dtype), self.count[child].astype(moved.dtype)
        if self.start_moved is None or self.count_moved is None:
            return moved * size, count
        s, c = self.start_moved[node], self.count_moved[node]
        exact = dataclasses.replace(r, moved=None).to_float(moved.dtype)
        return s + exact * c + moved * (size + c) - self.start_moved[child], count, self.count_moved[child]

    def locate(
        self, words: UInt32[Array, " words"], code: Int[Array, ""] | None, moved: Float[Array, ""] | None = None
    ) -> tuple[Int[Array, ""], Int[Array, ""], Residual]:
        """The leaf that u falls in, exactly, the position of u inside it, and the label: `(label, leaf, residual)`.

        **Example:**

            >>> import jax.numpy as jnp, numpy as np
            >>> from jaxgen.source import branches
            >>> tree = branches([np.arange(2)], 2).weighed(jnp.asarray([1, 3], jnp.uint32), bits=16)
            >>> _, leaf, r = tree.locate(jnp.asarray([1 << 31], jnp.uint32), None)
            >>> int(leaf), round(float(r.to_float(jnp.float32)), 4)
            (1, 0.3333)
        """
        label, node, r = self.enter(words, code, moved)
        node, r = self.descend(node, r, self.columns)
        return label, entry(self.value, node), r

    def padded(self) -> "QuantileTree":
        """The same tree in arrays of sizes that many trees share, so that they share compiled programs, too.

        **Example:**

            >>> import jax.numpy as jnp, numpy as np
            >>> from jaxgen.source import branches
            >>> branches([np.arange(4)], 4).weighed(jnp.ones(4, jnp.uint32), bits=16).padded().count.shape
            (6,)
        """
        start, count, value, guide = (padded(array) for array in (self.start, self.count, self.value, self.guide))
        return dataclasses.replace(self, start=start, count=count, value=value, guide=guide)


class Branches(eqx.Module):
    """How leaves branch into nodes, whatever their counts: a `QuantileTree` once these are known.

    - `begin`, `end`: the run of leaves of each node; `value`: as in `QuantileTree`.
    - `order`: which leaf of the measure is at each place of the order; `None` if they are in the order of the measure.
    - `offsets`: where each level begins (static).

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.source import branches
        >>> tree = branches([np.array([0, 0, 2]), np.array([1, 5, 1])], 3)
        >>> tree.masses(np.array([1, 2, 1]))[tree.level(1)].tolist()  # of the first column: 0, then 2
        [0.75, 0.25]
    """

    begin: Int[Array, " nodes"]
    end: Int[Array, " nodes"]
    value: Int[Array, " nodes"]
    order: Int[Array, " leaves"] | None
    offsets: tuple[int, ...] = eqx.field(static=True)
    labelled: bool = eqx.field(static=True)

    def weighed(self, counts: UInt32[Array, " leaves"], bits: int) -> QuantileTree:
        """The tree for counts of the leaves of the measure, and factors of so many bits.

        Counts that are traced have no guide in front of their search, which then takes as many steps as it may.

        **Example:**

            >>> import jax.numpy as jnp, numpy as np
            >>> from jaxgen.source import branches
            >>> branches([np.arange(2)], 2).weighed(jnp.asarray([1, 3], jnp.uint32), bits=16).count.tolist()
            [4, 1, 3]
        """
        if is_traced((counts, self)):
            counts = counts if self.order is None else counts[self.order]
            edges = jnp.concatenate([jnp.zeros((1,), jnp.uint32), jnp.cumsum(counts, dtype=jnp.uint32)])
            start = edges[self.begin]
            return QuantileTree(start, edges[self.end] - start, self.value, *self._unguided(), self.labelled, bits)
        host = np.asarray(counts) if self.order is None else np.asarray(counts)[np.asarray(self.order)]
        edges = np.concatenate([np.zeros(1, np.uint32), np.cumsum(host, dtype=np.uint32)])
        start = edges[np.asarray(self.begin)]
        guide, levels = (on_device(array) for array in self._guided(start, int(edges[-1])))
        count = on_device(edges[np.asarray(self.end)] - start)
        return QuantileTree(on_device(start), count, self.value, guide, levels, self.labelled, bits)

    def _unguided(self) -> tuple[Array, Array]:
        """Guides of one entry: the first node of the level."""
        first, end = np.array(self.offsets[:-1]), np.array(self.offsets[1:])
        halvings = [int(n - 1).bit_length() for n in end - first]
        levels = np.stack([np.arange(len(first)), np.full(len(first), 31), halvings, end - 1], axis=1)
        return on_device(first.astype(np.int32)), on_device(levels.astype(np.int32))

    def _guided(self, start: UInt32[np.ndarray, " nodes"], total: int) -> tuple[np.ndarray, np.ndarray]:
        """Guides with one to four entries for each node, whatever the quanta are. What is left of the search is then
        between two entries."""
        guides, levels, at = [], [], 0
        for first, end in itertools.pairwise(self.offsets):
            starts = start[first:end].astype(np.int64)
            size = 1 << (2 * len(starts) - 1).bit_length() if len(starts) > 1 else 1
            shift = max(0, (total - 1).bit_length() - size.bit_length() + 1)
            # The last node that starts at or before the first quantum of each bucket, and before the first of the next.
            above = -(-starts >> shift)
            near = np.cumsum(np.bincount(above, minlength=size)[:size]) - 1
            furthest = np.cumsum(np.bincount(starts >> shift, minlength=size)[:size]) - 1
            guides.append(first + near)
            levels.append((at, min(shift, 31), int((furthest - near).max()).bit_length(), end - 1))
            at += size
        return np.concatenate(guides).astype(np.int32), np.array(levels, np.int32)

    def of_masses(self, masses: Float[Array, " leaves"], derivative: bool = True) -> QuantileTree:
        """The tree for float masses of the leaves of the measure, rounded to 2**24 quanta; traced, as often as not.

        First the cumulative masses of the labels are rounded, each of which keeps a quantum at least; then those of the
        leaves under each label. `derivative`: whether the tree has derivatives by the masses.

        **Example:**

            >>> import jax.numpy as jnp, numpy as np
            >>> from jaxgen.source import branches
            >>> tree = branches([np.arange(2)], 2).of_masses(jnp.asarray([1.0, 3.0]))
            >>> tree.count.tolist(), tree.count_moved.tolist()
            ([16777216, 4194304, 12582912], [0.0, 0.0, 0.0])
        """
        masses = masses if self.order is None else masses[self.order]
        own = dataclasses.replace(self, order=None)
        tree = own.weighed(self._rounded(jax.lax.stop_gradient(masses)), bits=8)
        if not derivative:
            return tree
        edges = jnp.concatenate([jnp.zeros((1,), masses.dtype), jnp.cumsum(masses)])
        edges = edges * (_QUANTA / edges[-1])
        start = edges[self.begin]
        return dataclasses.replace(tree, start_moved=motion(start), count_moved=motion(edges[self.end] - start))

    def _rounded(self, masses: Float[Array, " leaves"]) -> UInt32[Array, " leaves"]:
        level = self.level(1) if self.labelled else self.level(0)
        first, end = self.begin[level], self.end[level]
        labels, leaves = level.stop - level.start, masses.shape[0]
        # Sums of floats need not grow with each term; those of counts do.
        edges = jnp.concatenate([jnp.zeros((1,), masses.dtype), jax.lax.cummax(jnp.cumsum(masses))])
        place = jnp.arange(labels + 1, dtype=masses.dtype)
        ends = jnp.append(jnp.rint(edges[first] * (_QUANTA / edges[-1])), jnp.asarray(_QUANTA, masses.dtype))
        ends = jnp.minimum(jax.lax.cummax(ends - place) + place, _QUANTA - (labels - place))
        label = jnp.searchsorted(first, jnp.arange(leaves, dtype=first.dtype), side="right") - 1
        total = (edges[end] - edges[first])[label]
        # Without any mass, the quantum of a label is that of its last leaf.
        share = jnp.where(total > 0, (edges[1:] - edges[first][label]) / jnp.where(total > 0, total, 1), 0)
        share = jnp.where(jnp.arange(1, leaves + 1) == end[label], 1, share)
        inner = ends[label] + jnp.rint(share * jnp.diff(ends)[label])
        return jnp.diff(inner, prepend=jnp.zeros((1,), inner.dtype)).astype(jnp.uint32)

    def level(self, k: int) -> slice:
        """The nodes of level k; level 0 is the root.

        **Example:**

            >>> import numpy as np
            >>> from jaxgen.source import branches
            >>> branches([np.arange(3)], 3).level(1)
            slice(1, 4, None)
        """
        return slice(self.offsets[k], self.offsets[k + 1])

    def masses(self, counts: Int[np.ndarray, " leaves"]) -> np.ndarray:
        """The share of the mass of each node, on the host.

        **Example:**

            >>> import numpy as np
            >>> from jaxgen.source import branches
            >>> branches([np.arange(2)], 2).masses(np.array([1, 3])).tolist()  # the root, then the leaves
            [1.0, 0.25, 0.75]
        """
        edges = np.concatenate([[0.0], np.cumsum(counts, dtype=np.float64)])
        return (edges[np.asarray(self.end)] - edges[np.asarray(self.begin)]) / edges[-1]


def branches(
    columns: list[np.ndarray], leaves: int, labels: np.ndarray | None = None, order: np.ndarray | None = None
) -> Branches:
    """The branching of `leaves` leaves already sorted by (label and) columns, most significant first.

    `order` says which leaf of the measure is at each place, if it is not in the order of the measure.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.source import branches
        >>> tree = branches([np.array([0, 0, 2])], 3)  # two of three leaves share the first column
        >>> tree.offsets, tree.value.tolist(), tree.end.tolist()
        ((0, 1, 3), [0, 0, 2], [3, 2, 3])
    """
    columns = columns if labels is None else [labels, *columns]
    fresh = np.zeros(leaves, bool)
    fresh[0] = True
    firsts, values = [np.array([0])], [np.array([0])]
    for column in columns:
        fresh = fresh.copy()
        fresh[1:] |= column[1:] != column[:-1]
        at = np.flatnonzero(fresh)
        firsts.append(at)
        values.append(column[at])
    begin, end = np.concatenate(firsts), np.concatenate([np.append(at[1:], leaves) for at in firsts])
    return Branches(
        *(on_device(field.astype(np.int32)) for field in (begin, end, np.concatenate(values))),
        order=None if order is None else on_device(order.astype(np.int32)),
        offsets=tuple(np.cumsum([0, *map(len, firsts)]).tolist()),
        labelled=labels is not None,
    )
