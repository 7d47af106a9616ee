"""Generator A: nested sawtooth (Perekrestenko, Eberhard, Boelcskei; theory, section 3)."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, SupportsFloat, SupportsIndex

import equinox as eqx
import numpy as np
from jaxtyping import Array, DTypeLike, Int

from .._checks import Numbers, ramp_width, whole_number
from ..curves import centre_distance, zigzag_distance
from ..measures import AbstractGridMeasure, AbstractMeasure, Bound, Label, label_code, unit_roundoff
from ..relu import ReLUNetwork
from ..source import Branches, on_device
from ._axes import longest_axis, require_known_sides
from ._exact_source import Remembered, digits_for
from ._explicit import AbstractExplicitGenerator, CellMoments, on_a_grid
from ._float_limits import warn_of_network
from ._nested import NestedKernel, Rows, nested_branches, nested_network, nested_rows
from ._nested_floats import nested_floats
from ._parallel_lines import unfolded_distance
from ._strata import nested_strata

_PATHS, _GRADIENTS = ("zigzag", "serpentine"), ("detached", "pathwise")


class SawtoothGenerator(AbstractExplicitGenerator):
    """One uniform number to any grid measure: each coordinate is the folded position inside the bin of the one before.

        x_1 = Q_1(u),   x_{k+1} = Q_{k+1}( g_s(position of x_k in its bin) ),

    with `Q_{k+1}` the quantile function given the bins so far and `g_s` the sawtooth with s = `folds` folds. Each fold
    halves the distance to the measure. The coordinates are taken in the order of `axes`; all but the last cost
    something. In a zigzag they run through the dyadic interval of the bin that is folded, and every marginal is exact;
    in a serpentine they rest at its centre, which is as near to the measure as any law on so many lines can be.
    Theory, section 3.

    **Example:**

        >>> import jaxgen as jg
        >>> m = jg.GridMeasure.from_histogram([[1, 2], [0, 1]])
        >>> g = jg.SawtoothGenerator(m, folds=6)
        >>> round(g.certificate().w2, 5)  # h / sqrt(6), h = 1/2 / 2**6
        0.00319
        >>> g.network().depth
        9
        >>> round(jg.SawtoothGenerator(m, folds=6, path="serpentine").certificate().w2, 5)  # h / sqrt(12)
        0.00226
    """

    measure: AbstractGridMeasure
    branches: Branches
    axes: Int[Array, " d"]
    folds: int = eqx.field(static=True)
    path: str = eqx.field(static=True)
    gradient: str = eqx.field(static=True)
    factor_bits: int = eqx.field(static=True)
    _remembered: Remembered = eqx.field(static=True, repr=False)
    moves_with_masses: ClassVar[bool] = True

    def __init__(
        self,
        measure: AbstractMeasure | object,
        folds: SupportsIndex | object = 6,
        path: str = "zigzag",
        axes: Sequence[SupportsIndex] | Numbers | str | object = "auto",
        gradient: str = "detached",
    ):
        """**Arguments:**

        - `measure`: a `GridMeasure` or `QuantizedMeasure` of any dimension, resolution and box, labels included.
        - `folds`: s >= 0.
        - `path`: "zigzag" or "serpentine". Without folds a serpentine rests at the centres of the bins.
        - `axes`: a permutation of 0, ..., d - 1, the first axis first; "auto" takes the axis with the longest cells
            last, which makes the certificate least, and leaves the others as they are. (If several are the longest, to
            six digits, the last of them.) Points are in the coordinates of the measure in any case.

        - `gradient`: of a point by masses, where they are traced. "detached": each coordinate by the masses of its own
            row, but not through the number that is handed on to it, as each fold doubles that derivative and turns its
            sign. "pathwise": the derivative of the point at fixed u, exactly. Neither sees the jumps, so that the mean
            over u is not the derivative of the law: for masses 1/2 on [0, 0.1] and [0.9, 1] the mean moves by -0.1 with
            the first, of the law by -0.9. `measure.weighted_points` has that of the law. A file does not keep it.

        **Raises:** `ValueError` for negative folds, or so many that the source would need more than 2**20 bits, an
        unknown path or gradient, and axes that are no permutation, or "auto" for a box that is traced; `TypeError` for
        a measure that is on no grid.
        """
        if not isinstance(path, str) or path not in _PATHS:
            raise ValueError(f"path must be one of {', '.join(_PATHS)}; got {path!r}")
        if not isinstance(gradient, str) or gradient not in _GRADIENTS:
            raise ValueError(f"gradient must be one of {', '.join(_GRADIENTS)}; got {gradient!r}")
        self.gradient = gradient
        self.folds, self.path = whole_number(folds, "folds"), path
        self.measure = on_a_grid(measure)  # pyright: ignore[reportAttributeAccessIssue]
        self.factor_bits = digits_for(self.measure, self.position_bits, "folds")
        permutation = _permutation(axes, self.measure)
        self.branches, self.axes = nested_branches(self.measure, permutation), on_device(permutation.astype(np.int32))
        self._remembered = Remembered(self)

    @property
    def position_bits(self) -> float:
        return float((self.measure.dim - 1) * self.folds)

    @property
    def order(self) -> Int[Array, " m"]:
        """The cells of the measure in the order of nesting."""
        order = self.branches.order
        return on_device(np.arange(self.measure.size, dtype=np.int32)) if order is None else order

    def new_kernel(self) -> NestedKernel:
        """The tree, with folds between its levels."""
        rests, pathwise = self.path == "serpentine", self.gradient == "pathwise"
        low, sides = self.measure.low, self.measure.cell_sides
        return NestedKernel(self._tree, low, sides, self.axes, self.folds, rests, pathwise)

    def filling(self, condition: Label | None = None) -> tuple[float, float]:
        """What the dyadic boxes cost, with sides `h_k = cell side / 2**folds` for all axes but the last.

        Of a serpentine the distance of a point of the box from its centre, which is exact. Of a zigzag, where an
        independent point of the box is coupled, `sqrt(sum h_k^2 / 6)` for W_2 whatever the joint law in the box is; for
        W_1 see `curves.zigzag_distance`. Without folds neighbouring lines are parallel, and there is a better coupling.
        """
        axes = np.asarray(self.axes)
        sides = np.asarray(self.measure.cell_sides, np.float64)[axes] * 2.0**-self.folds
        if self.path == "serpentine":
            return centre_distance(sides[:-1])
        if self.folds:
            return zigzag_distance(sides[:-1])
        part, order, labels = self._part(condition), np.asarray(self.order), self.measure.labels
        cells, weights = np.asarray(self.measure.cells)[order][part][:, axes], self.measure._weights()[order][part]
        return unfolded_distance(cells, weights, None if labels is None else np.asarray(labels)[part], sides)

    def cell_moments(self) -> CellMoments | None:
        """Every one-dimensional marginal of a zigzag is uniform on its bins, but a cell sees more of some stretches
        than of others: the variance is that of the uniform law on average over the cells. A serpentine is the same law
        in each cell, the uniform one with all coordinates but the last moved to centres, which takes off the variance
        of the dyadic interval."""
        moments = super().cell_moments()
        if moments is None or self.path == "zigzag":
            return None if moments is None else CellMoments(moments.variance, self.dim == 1)
        return CellMoments(moments.variance - self.filling()[1] ** 2, True)

    @property
    def centred(self) -> bool:
        """Whether the law has the mean of the cell in each cell; without folds a zigzag sees a part of the bin only."""
        return self.folds > 0 or self.dim == 1 or self.path == "serpentine"

    def strata(self, n: int, condition: Label | None = None) -> Bound:
        axes, order = np.asarray(self.axes), np.asarray(self.order)
        cells, sides = np.asarray(self.measure.cells)[order][:, axes], np.asarray(self.measure.cell_sides, np.float64)
        label = None if condition is None else label_code(condition, self.vocabulary)
        counts, rests = self.measure._weights()[order], self.path == "serpentine"
        return nested_strata(self.branches, counts, cells, sides[axes], n, self.folds, rests, label)

    def ramp_measure(self, ramp: SupportsFloat) -> float:
        """A bound on the measure of the u for which `network(ramp)` differs from the generator.

        A row of conditional masses is entered with a uniform number, of which the ramps of its jumps take `ramp` at
        most. Without folds, `ramp` is also the part of each bin's length in which the branch of the bin dies away. A
        serpentine jumps from centre to centre in the first and last `ramp` of every second dyadic interval; without
        folds this is where branches die, or as much again.
        """
        ramp = ramp_width(ramp)
        jumps = sum(bool(np.any(coordinate.gap)) for coordinate in self._rows())
        each = (self.folds == 0) + (self.path == "serpentine")
        return min(1.0, ramp * (jumps + each * (self.dim - 1)))

    def network(self, ramp: SupportsFloat = 2.0**-20) -> ReLUNetwork:
        """The same map as a ReLU network; jumps over empty bins become ramps, in the first `ramp` of the next bin.

        With labels the input is `(one-hot label, u)`, else `u`. Depth of a zigzag `(d - 1) max(folds, 1) + 3`, more
        with labels; connectivity O(occupied cells + folds * occupied rows), which is O(n^d + s n^(d-1)) on a full grid.
        A serpentine of n cells an axis and s >= 1 folds is `ceil(log2(n)) + 2` layers deeper, and has four weights more
        for each occupied bin of the coordinates that rest, and O(d (s + log2(n))) to move them. It agrees with the
        generator to rounding except on a set of u of measure at most `ramp_measure(ramp)`; what rounding adds is the
        part `float` of `certificate(ramp)`. A `UserWarning` says, and names what would fit, where the float type has
        fewer bits than resolve the law.

        **Raises:** `ValueError` for a ramp outside (0, 1).
        """
        warn_of_network(self)
        width, axes = ramp_width(ramp), np.asarray(self.axes)
        return nested_network(self._rows(), self.measure, width, self.folds, self.path == "serpentine", axes)

    def network_floats(
        self, ramp: SupportsFloat, relative: bool, dtype: DTypeLike | None, condition: Label | None
    ) -> Bound | None:
        """What evaluating `network(ramp)` in floats adds to W_1 and W_2 (theory, section 9)."""
        measure = self.measure.relative() if relative else self.measure
        axes, order, rests = np.asarray(self.axes), np.asarray(self.order), self.path == "serpentine"
        width, u, part = ramp_width(ramp), unit_roundoff(dtype), self._part(condition)
        return nested_floats(self._rows(), measure, width, u, self.folds, rests, axes, order, part)

    def _rows(self) -> Iterator[Rows]:
        return nested_rows(self.branches, self.measure._weights()[np.asarray(self.order)], self.dim)


def _permutation(axes: object, measure: AbstractGridMeasure) -> Int[np.ndarray, " d"]:
    """The axes in the order of nesting. Raises `ValueError` for what is neither "auto" nor a permutation."""
    natural = np.arange(measure.dim)
    if isinstance(axes, str) and axes == "auto":
        require_known_sides(measure)
        last = 0 if measure.dim == 1 else int(longest_axis(np.asarray(measure.cell_sides, np.float64)))
        return np.append(np.delete(natural, last), last)
    given = np.asarray(axes)
    if given.dtype.kind not in "iu" or not np.array_equal(np.sort(given, axis=None), natural) or given.ndim != 1:
        raise ValueError(f"axes must be 'auto' or a permutation of 0, ..., {measure.dim - 1}; got {axes!r}")
    return given
