"""Generator C: d independent uniforms, the baseline to compare against (theory, section 5)."""

from typing import Any, ClassVar, NoReturn, SupportsFloat

import equinox as eqx
import numpy as np
from jaxtyping import DTypeLike

from .._checks import ramp_width
from ..measures import AbstractMeasure, Bound, Label, unit_roundoff
from ..relu import ReLUNetwork
from ..source import Branches
from ._exact_source import Remembered, digits_for
from ._explicit import AbstractExplicitGenerator, on_a_grid
from ._float_limits import warn_of_network
from ._nested import NestedKernel, nested_branches, nested_network, nested_rows
from ._nested_floats import nested_floats


class IndependentGenerator(AbstractExplicitGenerator):
    """d uniform numbers to any grid measure, exactly: `x_k = Q_k(u_k)` given the bins of the earlier coordinates.

    What one uniform number is compared with: for the same measure, the error of `SawtoothGenerator` or
    `CurveGenerator` exceeds that of this one by at most their certificate. Theory, section 5.

    **Example:**

        >>> import jaxgen as jg
        >>> g = jg.IndependentGenerator(jg.GridMeasure.from_histogram([[1, 2], [0, 1]]))
        >>> g.source_dim, g([0.375, 0.5]).tolist(), g.filling()
        (2, [0.25, 0.625], (0.0, 0.0))
    """

    measure: Any  # a QuantizedMeasure, or a GridMeasure where that is traced, which has no counts of its own
    branches: Branches
    factor_bits: int = eqx.field(static=True)
    _remembered: Remembered = eqx.field(static=True, repr=False)
    moves_with_masses: ClassVar[bool] = True

    def __init__(self, measure: AbstractMeasure | object):
        """**Arguments:** `measure`: a `GridMeasure` or `QuantizedMeasure`, labels included.

        **Raises:** `TypeError` for a measure that is on no grid.
        """
        self.measure = on_a_grid(measure)  # pyright: ignore[reportAttributeAccessIssue]
        self.factor_bits = digits_for(self.measure, 0.0, "measure")
        self.branches = nested_branches(self.measure)
        self._remembered = Remembered(self)

    @property
    def source_dim(self) -> int:
        """One uniform number a coordinate."""
        return self.dim

    @property
    def position_bits(self) -> float:
        return 0.0

    def new_kernel(self) -> NestedKernel:
        """The tree, with a fresh number for each level."""
        return NestedKernel(self._tree, self.measure.low, self.measure.cell_sides)

    def filling(self, condition: Label | None = None) -> tuple[float, float]:
        """Zero: the law is the measure in quanta itself."""
        return 0.0, 0.0

    def strata(self, n: int, condition: Label | None = None) -> NoReturn:
        raise ValueError(f"stratified samples need a generator with one source; this one has {self.source_dim}")

    def ramp_measure(self, ramp: SupportsFloat) -> float:
        """A bound on the measure of the u for which `network(ramp)` differs: `ramp` of each number, for the jumps and
        for the borders between the bins."""
        ramp = ramp_width(ramp)
        rows = nested_rows(self.branches, self.measure._weights(), self.dim)
        jumps = sum(bool(np.any(coordinate.gap)) for coordinate in rows)
        return min(1.0, ramp * (jumps + self.dim - 1))

    def network(self, ramp: SupportsFloat = 2.0**-20) -> ReLUNetwork:
        """The same map as a ReLU network of `(u_1, ..., u_d)`, behind the one-hot label if there are labels.

        Each row of conditional masses reads `rho(u_k + on - 1)`, with `on` the indicator of the bin that it is given:
        the step at the bin's start less that of the next. Steps and jumps are ramps in the first `ramp` of a bin.

        A `UserWarning` says where the float type has fewer bits than resolve the law.

        **Raises:** `ValueError` for a ramp outside (0, 1).
        """
        warn_of_network(self)
        rows = nested_rows(self.branches, self.measure._weights(), self.dim)
        return nested_network(rows, self.measure, ramp_width(ramp), None)

    def network_floats(
        self, ramp: SupportsFloat, relative: bool, dtype: DTypeLike | None, condition: Label | None
    ) -> Bound | None:
        """What evaluating `network(ramp)` in floats adds to W_1 and W_2 (theory, section 9)."""
        measure = self.measure.relative() if relative else self.measure
        rows = nested_rows(self.branches, measure._weights(), self.dim)
        width, u, part = ramp_width(ramp), unit_roundoff(dtype), self._part(condition)
        return nested_floats(rows, measure, width, u, None, part=part)
