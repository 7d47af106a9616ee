"""Generator C: d independent uniforms, the baseline to compare against (theory, section 5)."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from ..curves import Residual, limb_bits, scale, to_float, to_limbs
from ..measures import AbstractGridMeasure, QuantizedMeasure
from ..relu import ReLUNetwork
from ._base import Certificate
from ._grid import AbstractGridGenerator, as_quanta, bits_needed, check_ramp, combine
from ._labels import Label
from ._layers import Layer, carry, clip_first, clip_second, in_box, prompt
from ._nested import nested_rows
from ._tree import QuantileTree, given_label, nested_tree, node_masses, start_node


class IndependentGenerator(AbstractGridGenerator):
    """d uniform numbers to any grid measure, exactly: `x_k = Q_k(u_k)` given the bins of the earlier coordinates.

    What one uniform number is compared with: for the same measure, the error of `SawtoothGenerator` or
    `PeanoGenerator` exceeds that of this one by at most their certificate. Theory, section 5.
    """

    measure: QuantizedMeasure
    tree: QuantileTree
    source_bits: int = eqx.field(static=True)
    float_bits: int = eqx.field(static=True)
    source_dim: int = eqx.field(static=True)

    def __init__(self, measure: AbstractGridMeasure):
        """- `measure`: a `GridMeasure` or `QuantizedMeasure`, labels included.

        Raises `TypeError` for a measure that is none.
        """
        self.measure = as_quanta(measure)
        self.tree = nested_tree(self.measure)
        self.source_dim = self.dim
        self.source_bits, self.float_bits = bits_needed(
            np.asarray(self.measure.counts), self.measure.quanta, 0.0, "measure"
        )

    def _push(
        self, words: UInt32[Array, "source_dim words"], code: Int[Array, ""] | None
    ) -> tuple[Float[Array, " dim"], Int[Array, ""]]:
        tree, labelled = self.tree, self.vocabulary is not None
        bits, dtype = limb_bits(self.measure.quanta), self.measure.low.dtype
        node, label = start_node(tree, labelled, code), jnp.zeros((), jnp.int32)
        one = jnp.ones((), jnp.uint32)
        x = []
        for k in range(self.dim):
            quantum, r = scale(Residual(0 * one, to_limbs(words[k], bits), one), tree.count[node], bits)
            r = Residual(quantum, r.limbs, tree.count[node])
            if k == 0:
                label, node, r = given_label(tree, labelled, code, node, r)
            node, r = tree.descend(node, r)
            x.append(tree.value[node].astype(dtype) + to_float(r, bits, dtype))
        return self.measure.low + jnp.stack(x) * self.measure.cell_sides, label

    def certificate(self, ramp: float | None = None, condition: Label | None = None) -> Certificate:
        """The law is the quantized measure itself: `filling` is zero, and what remains is `rounding`, and `ramps`."""
        return combine(self, (0.0, 0.0), self.measure.high - self.measure.low, ramp, condition)

    def ramp_measure(self, ramp: float) -> float:
        """A bound on the measure of the u for which `network(ramp)` differs: one ramp a jump, one a boundary."""
        ramp = check_ramp(ramp)
        wrong = 0.0
        for k, (level, row, start, _, gap) in enumerate(nested_rows(self.tree, self.dim, self.vocabulary is not None)):
            ramps = (gap != 0).astype(float) + ((start > 0) if k < self.dim - 1 else 0)
            wrong += ramp * float(node_masses(self.tree, level)[row] @ ramps)
        return min(wrong, 1.0)

    def network(self, ramp: float = 2.0**-20) -> ReLUNetwork:
        """The same map as a ReLU network of `(u_1, ..., u_d)`, behind the one-hot label if there are labels.

        Each row of conditional masses has its quantile function `q`, switched on by the indicator `i` of its bins so
        far: `rho(q + i - 1)`. The indicator of a bin is a difference of two steps, that of a sequence of bins
        `rho(i + step - 1)`. Jumps and steps are ramps of width `ramp`. Depth d + 3, and more with labels. Raises
        `ValueError` for a ramp outside (0, 1).
        """
        ramp = check_ramp(ramp)
        first = Layer(self.dim)
        inner, spread = [], []
        rows = list(nested_rows(self.tree, self.dim, self.vocabulary is not None))
        for k, (_, _, start, length, gap) in enumerate(rows):
            jump = np.flatnonzero(gap)
            step = np.flatnonzero(start > 0) if k < self.dim - 1 else np.array([], int)
            at = np.concatenate([start, start[jump], start[step]])
            w, b = clip_first(at, np.concatenate([length, np.full(len(jump) + len(step), ramp)]))
            new = first.neurons(b)
            first.connect(new, k, w)
            inner.append(new)
            spread.append((jump, step))
        second = Layer(first.size)
        outer = [clip_second(second, new) for new in inner]
        third = Layer(second.size)
        quantile, indicator = [], []
        for k, (_, row, start, _, gap) in enumerate(rows):
            jump, step = spread[k]
            bins, jumps, steps = np.split(outer[k], [len(row), len(row) + len(jump)])
            q = third.neurons(np.zeros(row.max() + 1))
            third.connect(q[row], bins, 1 / self.measure.resolution[k])
            third.connect(q[row[jump]], jumps, gap[jump] / self.measure.resolution[k])
            quantile.append(q)
            if k < self.dim - 1:
                # On from the step at its own start (the first bin of a row is on from 0), off from the next bin's.
                i = third.neurons((start == 0).astype(float))
                third.connect(i[step], steps, 1.0)
                third.connect(i[step - 1], steps, -1.0)
                indicator.append(i)
        pairs = [first.pair(), second.pair(), third.pair()]
        size = third.size
        finished, on = [quantile[0]], None
        for k in range(1, self.dim):
            # Coordinate k is switched by the indicators of its rows, which are the bins of coordinate k - 1.
            layer = Layer(size)
            done = []
            for neurons in finished:
                new = layer.neurons(0.0)
                layer.connect(new, neurons, 1.0)
                done.append(new)
            lit = indicator[0] if on is None else on
            x = layer.neurons(np.full(len(quantile[k]), -1.0))
            layer.connect(x, quantile[k], 1.0)
            layer.connect(x, lit, 1.0)
            later = [carry(layer, q) for q in quantile[k + 1 :]]
            waiting = [carry(layer, i) for i in indicator[k + 1 :]]
            if k < self.dim - 1:
                row = rows[k][1]
                on = layer.neurons(np.full(len(row), -1.0))
                layer.connect(on, indicator[k], 1.0)
                layer.connect(on, lit[row], 1.0)
            quantile[k + 1 :], indicator[k + 1 :] = later, waiting
            finished = [*done, x]
            pairs.append(layer.pair())
            size = layer.size
        out = Layer(size)
        x = out.neurons(np.zeros(self.dim))
        for k, neurons in enumerate(finished):
            out.connect(x[k], neurons, 1.0)
        low = np.asarray(self.measure.low, np.float64)
        network = in_box(ReLUNetwork([*pairs, out.pair()]), low, np.asarray(self.measure.high, np.float64) - low)
        return network if self.vocabulary is None else prompt(network, self._label_masses())
