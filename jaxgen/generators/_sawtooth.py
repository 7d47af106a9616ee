"""Generator A: nested sawtooth (Perekrestenko, Eberhard, Boelcskei; theory, section 3)."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from ..curves import Residual, fold, limb_bits, scale, to_float, to_limbs
from ..measures import AbstractGridMeasure, QuantizedMeasure
from ..relu import ReLUNetwork
from ._base import Certificate
from ._chain import Chain
from ._grid import AbstractGridGenerator, as_quanta, bits_needed, check_ramp, combine, whole_number
from ._labels import Label
from ._layers import in_box, prompt
from ._nested import nested_rows
from ._tree import QuantileTree, given_label, nested_tree, node_masses, start_node

# Up to this many coordinates the steps are unrolled, for XLA to fuse them over samples.
_UNROLL = 4


class SawtoothGenerator(AbstractGridGenerator):
    """One uniform number to any grid measure: each coordinate is the folded position inside the bin of the one before.

        x_1 = Q_1(u),   x_{k+1} = Q_{k+1}( g_s(position of x_k in its bin) ),

    with `Q_{k+1}` the quantile function given the bins so far and `g_s` the sawtooth with s = `folds` folds. Each fold
    halves the distance to the measure. Theory, section 3.
    """

    measure: QuantizedMeasure
    tree: QuantileTree
    folds: int = eqx.field(static=True)
    source_bits: int = eqx.field(static=True)
    float_bits: int = eqx.field(static=True)
    source_dim: int = eqx.field(static=True)

    def __init__(self, measure: AbstractGridMeasure, folds: int = 6):
        """- `measure`: a `GridMeasure` or `QuantizedMeasure` of any dimension, resolution and box, labels included.
        - `folds`: s >= 0.

        Raises `ValueError` for negative folds, or so many that the source would need more than 2**20 bits, and
        `TypeError` for a measure that is none.
        """
        self.folds = whole_number(folds, "folds")
        self.measure = as_quanta(measure)
        self.tree = nested_tree(self.measure)
        self.source_dim = 1
        self.source_bits, self.float_bits = bits_needed(
            np.asarray(self.measure.counts), self.measure.quanta, (self.dim - 1) * self.folds, "folds"
        )

    def _push(
        self, words: UInt32[Array, "source_dim words"], code: Int[Array, ""] | None
    ) -> tuple[Float[Array, " dim"], Int[Array, ""]]:
        bits, dtype = limb_bits(self.measure.quanta), self.measure.low.dtype
        labelled = self.vocabulary is not None
        node = start_node(self.tree, labelled, code)
        one = jnp.ones((), jnp.uint32)
        quantum, r = scale(Residual(0 * one, to_limbs(words[0], bits), one), self.tree.count[node], bits)
        r = Residual(quantum, r.limbs, self.tree.count[node])
        label, node, r = given_label(self.tree, labelled, code, node, r)

        def coordinate(state, _):
            node, r = self.tree.descend(*state)
            x = self.tree.value[node].astype(dtype) + to_float(r, bits, dtype)
            return (node, fold(r, self.folds, bits)), x

        _, x = jax.lax.scan(coordinate, (node, r), None, length=self.dim, unroll=min(self.dim, _UNROLL))
        return self.measure.low + x * self.measure.cell_sides, label

    def certificate(self, ramp: float | None = None, condition: Label | None = None) -> Certificate:
        """The bound of theory, section 3: `W_2 <= sqrt(sum_{k<d} h_k^2 / 6)` with `h_k` = cell side / 2**folds.

        Parts: `filling` (the folds), `rounding` (float masses to quanta; zero for a measure in quanta), and, with
        `ramp`, `ramps` (the network instead of the kernel). With `condition`, for the conditional law of that label.
        """
        h = np.asarray(self.measure.cell_sides, np.float64)[:-1] * 2.0**-self.folds
        filling = (float(h.sum() / 3), math.sqrt(float(h @ h) / 6))
        return combine(self, filling, self.measure.high - self.measure.low, ramp, condition)

    def ramp_measure(self, ramp: float) -> float:
        """A bound on the measure of the u for which `network(ramp)` differs from the generator.

        A row of conditional masses is entered with a uniform number, and each of its jumps takes `ramp` of it. Without
        folds, `ramp` is also the part of each bin's length in which the branch of the bin dies away at its end.
        """
        ramp = check_ramp(ramp)
        wrong = 0.0
        for k, (level, row, _, _, gap) in enumerate(nested_rows(self.tree, self.dim, self.vocabulary is not None)):
            wrong += ramp * float(node_masses(self.tree, level)[row] @ (gap != 0))
            # The branch of each bin dies away in `ramp` of the bin's length; the bins fill the unit interval.
            wrong += ramp if self.folds == 0 and k < self.dim - 1 else 0.0
        return min(wrong, 1.0)

    def network(self, ramp: float = 2.0**-20) -> ReLUNetwork:
        """The same map as a ReLU network; jumps over empty bins become ramps of width `ramp`.

        With labels the input is `(one-hot label, u)`, else `u`. Depth `(d - 1) max(folds, 1) + 3`, more with labels;
        connectivity O(occupied cells + folds * occupied rows), which is O(n^d + s n^(d-1)) on a full grid. It agrees
        with the generator to rounding except on a set of u of measure at most `ramp_measure(ramp)`.

        Raises `ValueError` for a ramp outside (0, 1).
        """
        ramp = check_ramp(ramp)
        chain = Chain()
        for k, (_, row, start, length, gap) in enumerate(nested_rows(self.tree, self.dim, self.vocabulary is not None)):
            layer = chain.open()
            chain.quantile(layer, row, start, length, gap, self.measure.resolution[k], ramp)
            if k == self.dim - 1:
                chain.close(layer)
                chain.close(chain.open())
                break
            chain.close(layer, chain.enter(layer, row, start, length, self.folds, ramp))
            for _ in range(1, self.folds):
                layer = chain.open()
                chain.close(layer, chain.fold(layer))
        low = np.asarray(self.measure.low, np.float64)
        network = in_box(chain.network(), low, np.asarray(self.measure.high, np.float64) - low)
        return network if self.vocabulary is None else prompt(network, self._label_masses())
