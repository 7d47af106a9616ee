"""The nested constructions, coordinate by coordinate: kernel and network (theory, sections 3 and 5).

`x_k = Q_k(v_k)`, with Q_k the quantile function of coordinate k given the bins of the earlier ones, and v_k a number
that is uniform given these bins: the position of v_{k-1} in its bin, folded, or a fresh one.
"""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..measures import AbstractGridMeasure, lexicographic
from ..relu import NetworkBuilder, ReLUNetwork, Signal, clip_inner, clip_outer, part_centres, stack
from ..source import Branches, QuantileTree, branches, entry
from ._kernel import AbstractKernel
from ._prompt_network import prompted

# Up to this many coordinates, steps with fresh numbers are unrolled. Steps with folds are not: a number that is handed
# on would be computed anew, from the start, by each loop over samples that XLA makes of a later step.
_UNROLL = 4


def nested_branches(measure: AbstractGridMeasure, axes: Int[np.ndarray, " d"] | None = None) -> Branches:
    """(label,) x_axes[0], ..., x_axes[-1], and the cells in this order, by default that in which they are stored."""
    labels = None if measure.labels is None else np.asarray(measure.labels)
    cells, order = np.asarray(measure.cells), None
    if axes is not None and np.any(np.diff(axes) < 0):
        cells = cells[:, axes]
        order = lexicographic(cells, labels)
        cells = cells[order]
    # Cells stay label by label.
    return branches(list(np.ascontiguousarray(cells.T)), measure.size, labels, order)


class NestedKernel(AbstractKernel):
    """One step down the tree an axis, with folds between, or a fresh number where `folds` is `None`.

    In a serpentine (`rests`) all coordinates but the last rest at the centre of the dyadic interval that is folded.

    A coordinate has the derivatives by u and by the masses of its row. The number that is handed on has that by u, and
    that by the masses of earlier rows where `pathwise` only: each fold would double it and turn its sign over and over.
    """

    tree: QuantileTree
    low: Float[Array | np.ndarray, " d"]
    sides: Float[Array | np.ndarray, " d"]
    axes: Int[Array, " d"] | None = None
    folds: int | None = eqx.field(static=True, default=None)
    rests: bool = eqx.field(static=True, default=False)
    pathwise: bool = eqx.field(static=True, default=False)

    def send(self, words, code, moved):
        """Locate, bin by bin, then place."""
        tree, dtype, dim = self.tree, jnp.result_type(float), len(self.low)
        if moved is None and tree.start_moved is not None:
            moved = jnp.zeros(words.shape[:1], tree.start_moved.dtype)
        first, fixed = None if moved is None else moved[0], tree.detached()
        detach = tree.start_moved is not None and not self.pathwise
        label, node, r = tree.enter(words[0], code, first)
        free = fixed.enter(words[0], code, first)[2].moved if detach else r.moved

        def coordinate(state, k):
            above, r, free = state
            node, within = tree.descend(above, r, tree.columns + k)
            inside = within.to_float(dtype)
            if self.folds is None:
                later = jnp.minimum(k + 1, dim - 1)
                following = tree.fresh(words[later], node, None if moved is None else moved[later])
            else:
                # The same integers again, which XLA finds once, with another derivative.
                handed = dataclasses.replace(r, moved=free)
                handed = fixed.descend(above, handed, tree.columns + k)[1] if detach else within
                centre, following = handed.fold_from_centre(self.folds, dtype)
                inside = jnp.where(k < dim - 1, centre, inside) if self.rests else inside
            return (node, following, following.moved), entry(tree.value, node).astype(dtype) + inside

        state, low, sides = (node, r, free), jnp.asarray(self.low, dtype), jnp.asarray(self.sides, dtype)
        if self.folds is not None or dim > _UNROLL:
            _, x = jax.lax.scan(coordinate, state, jnp.arange(dim, dtype=jnp.int32))
            if self.axes is not None:
                x = x[jnp.zeros(dim, jnp.int32).at[self.axes].set(jnp.arange(dim, dtype=jnp.int32))]
            return low + x * sides, label
        found = []
        for k in range(dim):
            state, x = coordinate(state, k)
            found.append(x)
        return low + jnp.stack(found) * sides, label

    def padded(self) -> "NestedKernel":
        """The same in padded arrays."""
        fields = self.low, self.sides, self.axes, self.folds, self.rests, self.pathwise
        return NestedKernel(self.tree.padded(), *fields)


class Rows(NamedTuple):
    """The conditional laws of one coordinate, bin by bin.

    - `row`: which of the conditional laws a bin belongs to; `start`, `length`: fractions of the mass of the row.
    - `gap`: the jump before the bin, in bins, positive over empty ones.
    """

    row: Int[np.ndarray, " bins"]
    start: Float[np.ndarray, " bins"]
    length: Float[np.ndarray, " bins"]
    gap: Float[np.ndarray, " bins"]


def nested_rows(tree: Branches, counts: np.ndarray, dim: int) -> Iterator[Rows]:
    """The rows of each coordinate.

    A label is no coordinate: the bins of the first coordinate follow one another, label after label, in the one row of
    the root, with a jump back at each new label.
    """
    edges = np.concatenate([[0.0], np.cumsum(counts, dtype=np.float64)])
    begin, end, value = np.asarray(tree.begin), np.asarray(tree.end), np.asarray(tree.value, np.float64)
    start, mass = edges[begin], edges[end] - edges[begin]
    for k in range(dim):
        above, here = tree.level(k + int(tree.labelled) if k else 0), tree.level(k + 1 + int(tree.labelled))
        row = np.searchsorted(begin[above], begin[here], side="right") - 1
        bins = value[here]
        same = np.append(False, row[1:] == row[:-1])
        gap = bins - np.where(same, np.append(0.0, bins[:-1] + 1), 0.0)
        yield Rows(row, (start[here] - start[above][row]) / mass[above][row], mass[here] / mass[above][row], gap)


def nested_network(
    rows: Iterator[Rows],
    measure: AbstractGridMeasure,
    ramp: float,
    folds: int | None,
    serpentine: bool = False,
    axes: Int[np.ndarray, " d"] | None = None,
) -> ReLUNetwork:
    """The same map as a ReLU network of u, or of `(u_1, ..., u_d)` where `folds` is `None`, behind the label if any.

    Each row of conditional masses has a value v in [0, 1], written as a combination of neurons; off its branch v is at
    most 0. As `Q(0) = 0`, the branches are simply added: a clipped ramp a bin, and one a jump, in the first `ramp` of
    the bin that it leads to. In a serpentine each coordinate but the last is then moved to its centre of rest, beside
    the layers of those that follow.
    """
    axes = np.arange(measure.dim) if axes is None else axes
    net = _NestedBuilder(measure.dim, folds, ramp, serpentine)
    for axis, row in zip(axes, rows, strict=True):
        net.coordinate(row, measure.resolution[axis])
    network = net.network(np.asarray(measure.low, np.float64), np.asarray(measure.cell_sides, np.float64), axes)
    return network if measure.vocabulary is None else prompted(network, measure.label_masses)


class _NestedBuilder:
    """A network in the making. The coordinate begun in one layer is finished in the next, beside what follows."""

    def __init__(self, dim: int, folds: int | None, ramp: float, serpentine: bool):
        self.dim, self.folds, self.ramp, self.serpentine = dim, folds, ramp, serpentine
        later = {"later": dim - 1} if folds is None and dim > 1 else {}
        self.net = NetworkBuilder(u=1, **later)
        self.net.define(value=self.net["u"])
        self.kept, self.done = list(later), 0
        self.begun: tuple[np.ndarray, int] | None = None  # rises of the ramps in `half`, and bins of the coordinate
        self.moving: dict[str, list] = {}  # coordinates on the way to their centres, and the layers that are left

    def coordinate(self, rows: Rows, bins: int) -> None:
        """Begins a coordinate, and makes the values of the rows of the next one."""
        jump = np.flatnonzero(rows.gap)
        at = np.append(rows.start, rows.start[jump])
        width = np.append(rows.length, self.ramp * rows.length[jump])
        v, last = self.net["value"], self.done + (self.begun is not None) == self.dim - 1
        first = {"half": clip_inner(v[np.append(rows.row, rows.row[jump])], at, width)}
        if not last and self.folds is None:
            first["edge"] = clip_inner(v[rows.row], rows.start, self.ramp * rows.length)
        elif not last:
            first |= self._turn((v[rows.row] - rows.start) / rows.length)
        self._layer(first)
        self.begun = np.append(np.ones(len(rows.row)), rows.gap[jump]), bins
        if last:
            self._layer({})
        elif self.folds is None:
            self._switch(rows)
        else:
            self._folded()

    def network(
        self, low: Float[np.ndarray, " d"], sides: Float[np.ndarray, " d"], axes: Int[np.ndarray, " d"]
    ) -> ReLUNetwork:
        """The network, once all coordinates are there."""
        if self.folds is None and self.dim > 1:
            self._layer({})
        while self.moving:
            self._layer({})
        return self.net.network(low + sides * stack(*(self.net[f"x{k}"] for k in np.argsort(axes))))

    def _layer(self, neurons: dict[str, Signal]) -> None:
        net, capped = self.net, None
        neurons = neurons | net.carry(*self.kept)
        neurons |= {name: weight @ net[name] + bias for name, [(weight, bias), *_] in self.moving.items()}
        if self.folds is None and self.done:
            # In a ramp two branches are switched on in part: their sum is cut off at the end of the box.
            capped, name = self.bins, f"x{self.done - 1}"
            neurons[name] = self.bins - net[name]
        if self.begun is not None:
            neurons["on"] = clip_outer(net["half"])
        net.layer(**neurons)
        if capped is not None:
            net.define(**{f"x{self.done - 1}": capped - net[f"x{self.done - 1}"]})
        self._move()
        if self.begun is not None:
            rises, self.bins = self.begun
            name = f"x{self.done}"
            net.define(**{name: rises[None] @ net["on"]})
            if self.serpentine and self.done < self.dim - 1:
                parts = self.bins << (self.folds or 0)
                self.moving[name] = part_centres(parts, self.ramp, self.bins).layers_as_scipy()
            else:
                self.kept.append(name)
            self.done, self.begun = self.done + 1, None

    def _move(self) -> None:
        """The coordinates on the way have come one layer further; the last affine map takes none."""
        for name, layers in list(self.moving.items()):
            del layers[0]
            if len(layers) == 1:
                (weight, bias), *_ = self.moving.pop(name)
                self.net.define(**{name: weight @ self.net[name] + bias})
                self.kept.append(name)

    def _turn(self, position: Signal) -> dict[str, Signal]:
        """The neurons of a position in a bin, folded once: the tent `g(z) = rho(2 rho(z) - 4 rho(z - 1/2))`.

        Its outer rho, in the next layer, cuts off z > 1. Without folds the position is passed on as it is, and dies in
        a ramp at the end of the bin: no two branches are alive at once, so that their sum stays in the box.
        """
        return {"rise": position, "fall": position - (0.5 if self.folds else 1 - self.ramp)}

    def _folded(self) -> None:
        for fold in range(max(self.folds or 0, 1)):
            if fold:
                self._layer(self._turn(self.net["value"]))
            rise, fall = self.net["rise"], self.net["fall"]
            self.net.define(value=2 * rise - 4 * fall if self.folds else rise - fall / self.ramp)

    def _switch(self, rows: Rows) -> None:
        """A fresh number for each bin, switched on by the step at its start and off by that of the next one."""
        self._layer({"step": clip_outer(self.net["edge"])})
        bins = len(rows.row)
        before = np.flatnonzero(np.append(rows.row[1:] == rows.row[:-1], False))
        step, later = self.net["step"], self.net["later"]
        on = step - step[before + 1].add_at(before, bins) if len(before) else step
        self.net.define(value=on + later[:1] - 1)
        if len(later) > 1:
            self.net.define(later=later[1:])
        else:
            self.kept.remove("later")
