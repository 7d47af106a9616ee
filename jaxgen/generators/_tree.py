"""The quantile tree: which cell, and where in it, for every step of every construction (theory, sections 3, 4 and 7).

Sort the occupied cells by some key columns and add up their counts. A *node* is a set of cells that agree in the first
columns: an interval of the quanta 0..K-1. The quantile function of the next column given the earlier ones is then the
step from a node to the child that holds a given quantum, one binary search, and the position left over inside the child
is exact because the quanta are whole numbers. The columns are (label, x_1, ..., x_d) for the nested constructions and
(label, cell) along a curve; a prompt is the node to start from.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt32

from ..curves import Residual
from ..measures import QuantizedMeasure


class QuantileTree(eqx.Module):
    """Nodes of all levels, the root first, each level in order of its quanta.

    - `start`, `count`: the interval of quanta `start .. start + count - 1` of each node, `(nodes,)`.
    - `value`: what the last column holds there; `first`, `children`: where its children are, and how many.
    - `offsets`: where each level begins (static).
    """

    start: UInt32[Array, " nodes"]
    count: UInt32[Array, " nodes"]
    value: Int[Array, " nodes"]
    first: Int[Array, " nodes"]
    children: Int[Array, " nodes"]
    offsets: tuple[int, ...] = eqx.field(static=True)
    search_steps: int = eqx.field(static=True)

    def descend(self, node: Int[Array, ""], r: Residual) -> tuple[Int[Array, ""], Residual]:
        """The child of `node` that holds the residual, and the residual inside the child."""
        quantum = self.start[node] + r.whole
        low, size = self.first[node], self.children[node]
        for _ in range(self.search_steps):
            half = size // 2
            right = self.start[low + half] <= quantum
            low, size = jnp.where(right, low + half, low), jnp.where(right, size - half, half)
        return low, Residual(quantum - self.start[low], r.limbs, self.count[low])

    def level(self, k: int) -> slice:
        """The nodes of level k; level 0 is the root."""
        return slice(self.offsets[k], self.offsets[k + 1])


def build_tree(columns: list[np.ndarray], counts: np.ndarray) -> QuantileTree:
    """The tree of cells already sorted by `columns`, most significant first, one distinct cell an entry."""
    edges = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    fresh = np.zeros(len(counts), bool)
    fresh[0] = True
    firsts, values = [np.array([0])], [np.array([0])]
    for column in columns:
        fresh = fresh.copy()
        fresh[1:] |= column[1:] != column[:-1]
        at = np.flatnonzero(fresh)
        firsts.append(at)
        values.append(column[at])
    offsets = np.concatenate([[0], np.cumsum([len(at) for at in firsts])])
    last = len(firsts) - 1
    child, number = [], []
    for k, at in enumerate(firsts):
        if k == last:
            child.append(np.zeros(len(at), np.int64))
            number.append(np.zeros(len(at), np.int64))
        else:
            bounds = np.searchsorted(firsts[k + 1], np.append(at, len(counts)))
            child.append(offsets[k + 1] + bounds[:-1])
            number.append(np.diff(bounds))
    starts = [edges[at] for at in firsts]
    sizes = [np.diff(np.append(edges[at], edges[-1])) for at in firsts]
    return QuantileTree(
        start=jax.device_put(np.concatenate(starts).astype(np.uint32)),
        count=jax.device_put(np.concatenate(sizes).astype(np.uint32)),
        value=jax.device_put(np.concatenate(values).astype(np.int32)),
        first=jax.device_put(np.concatenate(child).astype(np.int32)),
        children=jax.device_put(np.concatenate(number).astype(np.int32)),
        offsets=tuple(int(o) for o in offsets),
        search_steps=int(max(n.max() for n in number) - 1).bit_length(),
    )


def curve_tree(measure: QuantizedMeasure) -> QuantileTree:
    """(label,) cell: the quantile function along the curve, in which the cells of a measure are stored."""
    labels = [] if measure.labels is None else [np.asarray(measure.labels)]
    return build_tree([*labels, np.arange(measure.cells.shape[0])], np.asarray(measure.counts))


def nested_tree(measure: QuantizedMeasure) -> QuantileTree:
    """(label,) x_1, ..., x_d: the quantile function of each coordinate given the bins of the earlier ones."""
    columns = list(np.ascontiguousarray(np.asarray(measure.cells).T))
    columns = columns if measure.labels is None else [np.asarray(measure.labels), *columns]
    order = np.lexsort(columns[::-1])
    return build_tree([column[order] for column in columns], np.asarray(measure.counts)[order])


def start_node(tree: QuantileTree, labelled: bool, code: Int[Array, ""] | None) -> Int[Array, ""]:
    """The node of a label's interval, or the root."""
    return jnp.zeros((), jnp.int32) if code is None or not labelled else (1 + code).astype(jnp.int32)


def given_label(tree: QuantileTree, labelled: bool, code, node, r: Residual):
    """Steps from the root to a label where the law is to choose it; returns (label code, node, residual)."""
    if not labelled:
        return jnp.zeros((), jnp.int32), node, r
    if code is None:
        node, r = tree.descend(node, r)
    return tree.value[node], node, r


def node_masses(tree: QuantileTree, k: int) -> np.ndarray:
    """Masses of the nodes of level k, on the host."""
    count = np.asarray(tree.count, np.float64)
    return count[tree.level(k)] / count[0]
