"""What the explicit generators share: leaves of a measure in quanta, in an order, found exactly."""

import abc
import math
from typing import ClassVar, NamedTuple, SupportsFloat, SupportsIndex, TypeVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, DTypeLike, Float, Int, UInt32

from .._checks import Numbers, is_traced, require_numbers, whole_number
from ..measures import AbstractGridMeasure, AbstractLeafMeasure, AbstractMeasure, Bound, Condition, Label, added
from ..relu import ReLUNetwork
from ..source import Branches, QuantileTree
from ._base import GUARD_BITS, AbstractGenerator
from ._certificate import Certificate, combined, mixed, ramp_cost
from ._conditions import one_code, shares
from ._exact_source import Remembered, exact_source
from ._float_limits import warn_of_points
from ._kernel import AbstractKernel
from ._mass_derivative import refused

# Weights of labels that differ by less are the same.
_EQUAL = 2.0**-40


class CellMoments(NamedTuple):
    """The law inside a cell of a grid, whose mean is the centre: its variance, summed over the axes.

    `in_each_cell` says whether that is the variance in every cell, or only its mean over the cells.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.CodebookGenerator([0.0, 1.0]).cell_moments()
        CellMoments(variance=0.0, in_each_cell=True)
    """

    variance: float
    in_each_cell: bool


# Not `Self`, which cannot be checked at run time where functions are decorated one by one.
AnyExplicit = TypeVar("AnyExplicit", bound="AbstractExplicitGenerator")


class AbstractExplicitGenerator(AbstractGenerator):
    """A generator whose law is, up to its certificate, a measure in quanta: exact in uint32 arithmetic.

    Every explicit generator is the same two steps: `locate`, in exact integers, says which leaf of the measure u falls
    in and where in it; `place`, in floats, says which point that is (theory, section 2).

    - `measure`: the law in quanta; `branches`: how its leaves branch, in the order of the construction.
    - `position_bits`: bits of u that move the point inside a leaf.

    **Example:**

        >>> import jaxgen as jg
        >>> g = jg.SawtoothGenerator(jg.GridMeasure.from_histogram([[1, 2], [0, 1]]), folds=3)
        >>> isinstance(g, jg.generators.AbstractExplicitGenerator), g.source_bits, g.position_bits
        (True, 5, 3.0)
    """

    measure: eqx.AbstractVar[AbstractMeasure]
    branches: eqx.AbstractVar[Branches]
    factor_bits: eqx.AbstractVar[int]
    _remembered: eqx.AbstractVar[Remembered]

    # Whether a point has derivatives by the masses, where these are floats; else they are refused.
    moves_with_masses: ClassVar[bool] = False

    def __check_init__(self):
        if not is_traced(self.measure):
            warn_of_points(self)

    @property
    @abc.abstractmethod
    def position_bits(self) -> float:
        """Bits of u that move the point inside a leaf."""

    @abc.abstractmethod
    def new_kernel(self) -> AbstractKernel:
        """The map on exact words, computed anew from the arrays as they stand; `kernel` remembers it."""

    def kernel(self) -> AbstractKernel:
        """The map on exact words alone, with all that does not depend on the words computed: what is to be compiled.

        It is remembered as long as the arrays of the generator are the very same.

        **Example:**

            >>> import jaxgen as jg
            >>> g = jg.GridMeasure.from_histogram([1, 3]).generator()
            >>> g.kernel() is g.kernel()
            True
        """
        return self._remembered.kernel(self)

    def push(
        self,
        words: UInt32[Array, "source_dim words"],
        code: Int[Array, ""] | None,
        moved: Float[Array, " source_dim"] | None = None,
    ) -> tuple[Float[Array, " dim"], Int[Array, ""]]:
        """The point, and the code of its label, for one fixed-point source: locate, then place.

        `moved`, if given, is zero and has the derivative of the source (theory, section 12).

        **Example:**

            >>> import jax, jax.numpy as jnp, jaxgen as jg
            >>> g = jg.GridMeasure.from_histogram([1, 3], high=4.0).generator()
            >>> words = jnp.asarray([[1 << 31, 0]], jnp.uint32)
            >>> jax.jacfwd(lambda moved: g.push(words, None, moved)[0])(jnp.zeros(1)).tolist()  # side 2, mass 3/4
            [[2.6666667461395264]]
        """
        return self.kernel().push(words, code, moved)

    @abc.abstractmethod
    def filling(self, condition: Label | None = None) -> tuple[float, float]:
        """Bounds on W_1 and W_2 between the law and the measure in quanta: what the path inside a leaf costs.

        **Example:**

            >>> import jaxgen as jg
            >>> m = jg.GridMeasure.from_histogram([[1, 2], [0, 1]])
            >>> [round(w, 4) for w in jg.PeanoGenerator(m, extra_levels=0).filling()]  # side / 4, side / sqrt(12)
            [0.125, 0.1443]
        """

    @abc.abstractmethod
    def network(self, ramp: SupportsFloat = 2.0**-20) -> ReLUNetwork:
        """The same map as a ReLU network, in which jumps are ramps that take the share `ramp` of what they lead to.

        **Example:**

            >>> import jaxgen as jg
            >>> g = jg.PeanoGenerator(jg.GridMeasure.from_histogram([[1, 2], [0, 1]]), extra_levels=0)
            >>> [round(float(a - b), 4) for a, b in zip(g.network()(0.3), g(0.3))]
            [0.0, 0.0]
        """

    @abc.abstractmethod
    def ramp_measure(self, ramp: SupportsFloat) -> float:
        """A bound on the measure of the u for which `network(ramp)` differs from the generator.

        **Example:**

            >>> import jaxgen as jg
            >>> jg.PeanoGenerator(jg.GridMeasure.from_histogram([1, 2]), extra_levels=0).ramp_measure(0.01)
            0.02
        """

    def cell_moments(self) -> CellMoments | None:
        """Of the law inside the cells of a grid, for `data_bound`; `None` where its means are not the centres.

        **Example:**

            >>> import jaxgen as jg
            >>> jg.PeanoGenerator(jg.GridMeasure.from_histogram([[1, 2]], high=2.0), 0, "diagonal").cell_moments()
            CellMoments(variance=0.41666666666666663, in_each_cell=True)
        """
        if not self.centred:
            return None
        sides = np.asarray(self.measure.cell_sides, np.float64)  # pyright: ignore[reportAttributeAccessIssue]
        return CellMoments(float(sides @ sides) / 12, True)

    @abc.abstractmethod
    def strata(self, n: int, condition: Label | None = None) -> Bound:
        """Bounds on W_1 and W_2 between any n points with one u in each of n equal strata, and the law.

        Of [0, 1], or of the interval of a label. Theory, section 4.

        **Raises:** `ValueError` for a generator with more than one source.

        **Example:**

            >>> import jaxgen as jg
            >>> g = jg.PeanoGenerator(jg.GridMeasure.from_histogram([1, 1]), extra_levels=2)
            >>> [round(g.strata(n)[0], 4) for n in (1, 2, 6)]
            [1.0, 0.5, 0.1667]
        """

    def trainable(self) -> "AbstractExplicitGenerator":
        """Which leaves are parameters, as a filter: none. Boxes are the unit of the output, and counts are integers.

        **Example:**

            >>> import jax, jaxgen as jg
            >>> any(jax.tree.leaves(jg.PeanoGenerator(jg.GridMeasure.from_histogram([1, 2])).trainable()))
            False
        """
        return jax.tree.map(lambda _: False, self)

    def _part(self, condition: Label | None) -> slice:
        """The leaves of a label, which keep together in every order; all of them for `None`."""
        return slice(None) if condition is None else self.measure._labels_given(condition)

    @property
    def centred(self) -> bool:
        """Whether the law has the mean of the leaf in each leaf, and leaves of one size: what makes squares add."""
        return isinstance(self.measure, AbstractGridMeasure)

    @property
    def dim(self) -> int:
        """Dimension of the points."""
        return self.measure.dim

    @property
    def vocabulary(self) -> tuple[Label, ...] | None:
        """The labels that can be asked for."""
        return self.measure.vocabulary

    @property
    def source_bits(self) -> int:
        """Bits of u that resolve the finest cells of all the mass."""
        return self._remembered.bits(self)[0]

    @property
    def float_bits(self) -> int:
        """Bits of u that resolve the finest cells of 99 % of the mass: what a float source must have."""
        return self._remembered.bits(self)[1]

    @property
    def source_words(self) -> int:
        """Number of 32-bit words of each uniform number that `sample` draws: enough whatever the masses are."""
        self._remembered.bits(self)
        leaf_bits = 0 if self.measure.size == 1 else 32 - self.factor_bits
        return math.ceil((leaf_bits + self.position_bits + GUARD_BITS - 1e-9) / 32)

    @property
    def _tree(self) -> QuantileTree:
        """The tree of the measure as it stands: nothing about the masses is kept beside the masses."""
        if hasattr(self.measure, "counts"):
            return self.branches.weighed(self.measure.counts, self.factor_bits)  # pyright: ignore[reportAttributeAccessIssue]
        weights = self.measure.masses
        return self.branches.of_masses(weights if self.moves_with_masses else refused(weights), self.moves_with_masses)

    def __call__(
        self,
        u: Numbers,
        condition: Label | None = None,
        *,
        code: Numbers | None = None,
    ) -> Float[Array, " dim"]:
        """The point that one source value is sent to, shape `(dim,)`, in the coordinates of the measure.

        **Arguments:**

        - `u`: a float in [0, 1] (or `source_dim` of them), read exactly, to its last bit; or, with every bit the law
            needs, a fixed-point fraction: uint32 words, most significant first, `(words,)` or `(source_dim, words)`.
        - `condition`: a label; or `code`, its position in the vocabulary.

        **Raises:** `ValueError` for a wrong shape, an unknown label, and a float type with fewer bits than resolve the
        law (`sample` has no such limit); a runtime error for u outside [0, 1].
        """
        words, moved = exact_source(self, u)
        return point_at(self.kernel(), words, one_code(condition, code, self.vocabulary), moved)

    def relative(self: AnyExplicit) -> AnyExplicit:
        """The same generator relative to the lower corner of its box, `measure.low`, which is a float64 on the host.

        Where a box is far from 0, floats hold the difference from its corner better than the point:
        `np.asarray(g.relative()(u), np.float64) + g.measure.low`. Not under `jit` of the generator itself.
        """
        return eqx.tree_at(lambda g: g.measure, self, self.measure.relative())

    def network_floats(
        self, ramp: SupportsFloat, relative: bool, dtype: DTypeLike | None, condition: Label | None
    ) -> Bound | None:
        """What evaluating `network(ramp)` in floats adds to W_1 and W_2; `None` where nothing is proven about it.

        Of a network whose weights and signals are of that type, at floats that are off from a uniform number by no
        more than two unit roundoffs, as those of `jax.random.uniform` are.
        """
        return None

    def certificate(
        self,
        ramp: SupportsFloat | None = None,
        condition: Condition = None,
        *,
        stratified: SupportsIndex | None = None,
        relative: bool = False,
        dtype: DTypeLike | None = None,
    ) -> Certificate:
        """A proven bound on W_1 and W_2 between the law and the measure the generator was built from.

        Parts: `filling` (the path inside a leaf), `rounding` (float masses to quanta; zero for a measure in quanta),
        with `ramp`, `ramps` (the network instead of the kernel), and `float` (points in floats, or the network
        evaluated in floats, instead of exactly). `to_points` bounds the distance to the points behind the measure.

        - `condition`: as for `sample`: a label, for the conditional laws; a mapping from labels to weights, or a
            sequence of labels, one a sample, for the mixtures of these.
        - `stratified`: n, for any n points of `sample(key, n, condition, stratified=True)` instead of the law; a part
            `strata`, and a part `labels` where n samples cannot have the weights that were asked for.
        - `relative`: of points relative to the lower corner of the box, as `sample(..., relative=True)` gives them,
            or of the network of `relative()`.
        - `dtype`: the type that comes out, "float32" or "float64"; by default the one that JAX computes in now.

        **Raises:** `ValueError` for an unknown label, where the bounds of single labels are not known, and for a `ramp`
        beside `stratified`.

        **Example:**

            >>> import jaxgen as jg
            >>> m = jg.GridMeasure.from_samples([0.0, 1.0, 2.0, 3.0], 2, labels=["a", "a", "b", "b"])
            >>> g = m.generator(extra_levels=2)
            >>> [round(w, 3) for w in g.certificate(condition={"a": 0.7, "b": 0.3}).to_points]
            [0.707, 0.707]
            >>> round(g.certificate(stratified=6).w1, 3)  # one in each third of a leaf of length 3/2
            0.5
        """
        require_numbers(self, "a certificate")
        n = None if stratified is None else whole_number(stratified, "stratified", 1, 1 << 24)
        if n is not None and ramp is not None:
            raise ValueError("give ramp, for the network, or stratified, for samples of the kernel: not both")
        asked = shares(condition, self.vocabulary, n)
        weights = [share.weight for share in asked]
        parts = mixed([self._parts(ramp, share.label, relative, dtype) for share in asked], weights)
        if n is not None:
            drawn = [share for share in asked if share.samples]
            each = [{"strata": self.strata(share.samples, share.label)} for share in drawn]
            parts |= mixed(each, [share.samples / n for share in drawn])
            off = sum(abs(share.weight - share.samples / n) for share in asked) / 2
            parts |= {"labels": ramp_cost(off, self._box_sides())} if off > _EQUAL else {}
        source = mixed([self._source(share.label) for share in asked], weights)
        return combined(parts, source, self.centred, self.measure.unchanged)

    def _construction(self, condition: Label | None) -> dict[str, Bound | None]:
        """What the construction costs."""
        return {"filling": self.filling(condition)}

    def _parts(self, ramp, condition: Label | None, relative, dtype) -> dict[str, Bound | None]:
        """The parts of the certificate of a label, as `combined` takes them."""
        rounding = self.measure.proven("rounding", condition)
        if rounding is None and condition is not None and self.measure.proven("rounding") is not None:
            raise ValueError("what rounding cost each label is not known for this measure, only what it cost them all")
        parts = self._construction(condition) | {"rounding": rounding}
        if ramp is not None:
            parts["ramps"] = self._ramp_cost(ramp)
        return parts | {"float": self._floats(ramp, condition, relative, dtype)}

    def _ramp_cost(self, ramp: SupportsFloat) -> Bound:
        # Ramps take a share of what they lead to, so that of the u of a label no larger share is in ramps.
        return ramp_cost(self.ramp_measure(ramp), self._box_sides())

    def _box_sides(self) -> np.ndarray:
        return np.asarray(self.measure.high, np.float64) - np.asarray(self.measure.low, np.float64)  # pyright: ignore[reportAttributeAccessIssue]

    def _source(self, condition: Label | None) -> dict[str, Bound | None]:
        """How far the points behind the measure are from the centres of leaves, and how far the law is spread there;
        and how far they are from the law, before any rounding."""
        moments, near = self.cell_moments(), self.measure.proven("law", condition)
        if moments is None:
            part = self._part(condition)
            sides, weights = np.asarray(self.measure.sides, np.float64)[part], self.measure._weights()[part]
            variance, moved = float(np.average((sides**2).sum(axis=1), weights=weights)) / 12, self.filling(condition)
        else:
            variance, moved = moments.variance, (0.0, 0.0)
        spread = math.sqrt(variance), math.sqrt(variance)
        near = None if near is None else added(near, self.filling(condition))
        return {"points": self.measure.proven("points", condition), "spread": spread, "moved": moved, "law": near}

    def _floats(self, ramp, condition, relative, dtype) -> Bound | None:
        if ramp is None:
            return self.measure.float_error(relative, dtype, condition)
        return self.network_floats(ramp, relative, dtype, condition)


# Called eagerly, it is compiled once for each shape.
@eqx.filter_jit
def point_at(
    kernel: AbstractKernel,
    words: UInt32[Array, "source_dim words"],
    code: Int[Array, ""] | None,
    moved: Float[Array, " source_dim"] | None,
) -> Float[Array, " dim"]:
    """The point that one fixed-point source is sent to."""
    return kernel.push(words, code, moved)[0]


def in_quanta(measure: AbstractMeasure | object) -> AbstractMeasure:
    """The measure a generator runs on: its own counts where they are known, else 2**24 quanta; itself, if traced.

    **Raises:** `TypeError` for anything but a measure.
    """
    if not isinstance(measure, AbstractMeasure):
        raise TypeError(
            f"measure must be a GridMeasure or another measure; got {type(measure).__name__}. "
            "Points become one by GridMeasure.from_samples(points, resolution)."
        )
    if is_traced([getattr(measure, name, None) for name in ("cells", "labels", "counts")]):
        raise TypeError(
            f"cells, labels or counts of this {type(measure).__name__} are traced, and a generator puts them in order: "
            "build the generator outside of jit, or the measure inside, of cells that are known and masses that are not"
        )
    if is_traced(measure) and not hasattr(measure, "counts"):
        return measure
    return measure.counted()  # pyright: ignore[reportAttributeAccessIssue]


def on_a_grid(measure: AbstractMeasure | object) -> AbstractGridMeasure:
    """The same, for the constructions that need a grid. **Raises:** `TypeError`, naming those that do not."""
    if isinstance(measure, AbstractLeafMeasure):
        raise TypeError(
            f"measure must be a GridMeasure or a QuantizedMeasure; got {type(measure).__name__}, whose leaves are on "
            "no grid. CurveGenerator takes it, or measure.generator()."
        )
    return in_quanta(measure)  # pyright: ignore[reportReturnType]
