"""Generator A: nested sawtooth (Perekrestenko, Eberhard, Boelcskei; theory, section 3)."""

from typing import SupportsFloat, SupportsIndex

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from .._checks import ramp_width, whole_number
from ..curves import box_distance
from ..measures import AbstractMeasure, Label, QuantizedMeasure
from ..relu import ReLUNetwork
from ..source import Branches
from ._explicit import AbstractExplicitGenerator, CellMoments, Needs, digits_for, on_a_grid
from ._float_limits import warn_of_network
from ._nested import nested_branches, nested_network, nested_push, nested_rows


class SawtoothGenerator(AbstractExplicitGenerator):
    """One uniform number to any grid measure: each coordinate is the folded position inside the bin of the one before.

        x_1 = Q_1(u),   x_{k+1} = Q_{k+1}( g_s(position of x_k in its bin) ),

    with `Q_{k+1}` the quantile function given the bins so far and `g_s` the sawtooth with s = `folds` folds. Each fold
    halves the distance to the measure. Theory, section 3.

    **Example:**

        >>> import jaxgen as jg
        >>> m = jg.GridMeasure.from_histogram([[1, 2], [0, 1]])
        >>> g = jg.SawtoothGenerator(m, folds=6)
        >>> round(g.certificate().w2, 5)  # h / sqrt(6), h = 1/2 / 2**6
        0.00319
        >>> g.network().depth
        9
    """

    measure: QuantizedMeasure
    branches: Branches
    folds: int = eqx.field(static=True)
    digit_bits: int = eqx.field(static=True)
    _needs: Needs = eqx.field(static=True, repr=False)

    def __init__(self, measure: AbstractMeasure | object, folds: SupportsIndex | object = 6):
        """**Arguments:**

        - `measure`: a `GridMeasure` or `QuantizedMeasure` of any dimension, resolution and box, labels included.
        - `folds`: s >= 0.

        **Raises:** `ValueError` for negative folds, or so many that the source would need more than 2**20 bits, and
        `TypeError` for a measure that is on no grid.
        """
        self.folds = whole_number(folds, "folds")
        self.measure = on_a_grid(measure)  # pyright: ignore[reportAttributeAccessIssue]
        self.digit_bits = digits_for(self.measure, self.position_bits, "folds")
        self.branches = nested_branches(self.measure)
        self._needs = Needs(self)

    @property
    def position_bits(self) -> float:
        return float((self.measure.dim - 1) * self.folds)

    def push(
        self, words: UInt32[Array, "source_dim words"], code: Int[Array, ""] | None
    ) -> tuple[Float[Array, " dim"], Int[Array, ""]]:
        """Locate, bin by bin, then place."""
        return nested_push(self._tree, self.measure, words, code, self.folds)

    def filling(self, condition: Label | None = None) -> tuple[float, float]:
        """What coupling with an independent point of the dyadic box costs, sides `h_k = cell side / 2**folds`, k < d.

        `sqrt(sum h_k^2 / 6)` for W_2 whatever the joint law in the box is; the mean distance of two points for W_1 up
        to two such axes, where it is proven, and W_2 beyond.
        """
        w1, w2 = box_distance(np.asarray(self.measure.cell_sides, np.float64)[:-1] * 2.0**-self.folds)
        return (w1 if self.dim <= 3 else w2), w2

    def cell_moments(self) -> CellMoments | None:
        """Every one-dimensional marginal is uniform on its bins, but a cell sees more of some stretches than of others:
        the variance is that of the uniform law on average over the cells."""
        moments = super().cell_moments()
        return None if moments is None else CellMoments(moments.variance, self.dim == 1)

    @property
    def centred(self) -> bool:
        """Whether the law has the mean of the cell in each cell; without folds a cell sees a part of the bin only."""
        return self.folds > 0 or self.dim == 1

    def ramp_measure(self, ramp: SupportsFloat) -> float:
        """A bound on the measure of the u for which `network(ramp)` differs from the generator.

        A row of conditional masses is entered with a uniform number, of which the ramps of its jumps take `ramp` at
        most. Without folds, `ramp` is also the part of each bin's length in which the branch of the bin dies away.
        """
        ramp = ramp_width(ramp)
        rows = nested_rows(self.branches, self.measure._weights(), self.dim)
        jumps = sum(bool(np.any(coordinate.gap)) for coordinate in rows)
        return min(1.0, ramp * (jumps + (self.dim - 1 if self.folds == 0 else 0)))

    def network(self, ramp: SupportsFloat = 2.0**-20) -> ReLUNetwork:
        """The same map as a ReLU network; jumps over empty bins become ramps, in the first `ramp` of the next bin.

        With labels the input is `(one-hot label, u)`, else `u`. Depth `(d - 1) max(folds, 1) + 3`, more with labels;
        connectivity O(occupied cells + folds * occupied rows), which is O(n^d + s n^(d-1)) on a full grid. It agrees
        with the generator to rounding except on a set of u of measure at most `ramp_measure(ramp)`.

        **Raises:** `ValueError` for a ramp outside (0, 1).
        """
        warn_of_network(self)
        return nested_network(self.branches, self.measure, self.folds, ramp_width(ramp))
