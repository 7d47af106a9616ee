"""What a measure is: leaves, a mass each, and the uniform law inside each leaf (theory, section 2)."""

import abc
import inspect
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, DTypeLike, Float, Int, PRNGKeyArray

from .._checks import whole_number
from ..source import cut, padded_size
from ._boxes import Boxes
from ._generator import Generator
from ._record import Bound, Record
from ._vocabulary import Label, label_code

# Not `Self`, which cannot be checked at run time where functions are decorated one by one.
AnyMeasure = TypeVar("AnyMeasure", bound="AbstractMeasure")


class AbstractMeasure(eqx.Module):
    """A law on R^d: m boxes ("leaves") with a mass each, uniform inside each box.

    Leaves may have sides of zero length (atoms, constant coordinates). With labels the law is that of a label and a
    point; leaves are kept label by label. `record` holds what was proven when the measure was made. Boxes are kept in
    float64 on the host, so that they are the same whatever type JAX computes in; points come out in that type, and
    `float_error` bounds what this costs.

    **Example:**

        >>> import jax, jaxgen as jg
        >>> m = jg.GridMeasure.from_histogram([1, 0, 3])
        >>> m.size, m.dim, m.quantize(4).counts.tolist()
        (2, 1, [1, 3])
        >>> m.sample(jax.random.key(0), 5).shape, type(m.generator(extra_levels=1)).__name__
        ((5, 1), 'CurveGenerator')
    """

    masses: eqx.AbstractVar[Float[Array, " m"]]
    labels: eqx.AbstractVar[Int[Array, " m"] | None]
    vocabulary: eqx.AbstractVar[tuple[Label, ...] | None]
    record: eqx.AbstractVar[Record]
    dim: eqx.AbstractVar[int]
    low_corners: eqx.AbstractVar[Float[Array | np.ndarray, "m d"]]
    sides: eqx.AbstractVar[Float[Array | np.ndarray, "m d"]]

    _generators: ClassVar[dict[type, Callable[..., Generator]]] = {}

    @property
    @abc.abstractmethod
    def boxes(self) -> Boxes:
        """Where the leaves are, apart from what they weigh."""

    def place(self, leaf: Int[Array, ""], inside: Float[Array, " d"]) -> Float[Array, " d"]:
        """The point of a leaf at the position `inside` in [0, 1]^d: `corner + side * inside`.

        **Example:**

            >>> import jax.numpy as jnp, jaxgen as jg
            >>> jg.GridMeasure.from_histogram([1, 3], high=4.0).place(jnp.asarray(1), jnp.asarray([0.25])).tolist()
            [2.5]
        """
        return self.boxes.place(leaf, inside)

    @abc.abstractmethod
    def quantize(self, quanta: int | object) -> "AbstractMeasure":
        """The nearest measure whose masses are multiples of 1/quanta, along the order of the leaves.

        **Example:**

            >>> import jaxgen as jg
            >>> jg.GridMeasure.from_histogram([0.3, 0.7]).quantize(4).masses.tolist()
            [0.25, 0.75]
        """

    @abc.abstractmethod
    def given(self: AnyMeasure, condition: Label) -> AnyMeasure:
        """The conditional law of a label, as a measure without labels.

        **Example:**

            >>> import jaxgen as jg
            >>> m = jg.GridMeasure.from_samples([0.0, 1.0, 2.0], 2, labels=["a", "b", "b"])
            >>> m.given("a").cells.tolist()
            [[0]]
        """

    @abc.abstractmethod
    def relative(self: AnyMeasure) -> AnyMeasure:
        """The measure relative to the lower corner of its box: floats hold it better where the box is far from 0."""

    @abc.abstractmethod
    def float_error(
        self, relative: bool = False, dtype: DTypeLike | None = None, condition: Label | None = None
    ) -> Bound:
        """Bounds on W_1 and W_2 between the points that come out as floats and those that are meant.

        Of points in `dtype`, by default the type that JAX computes in now; of points relative to the lower corner
        `low` of the box, where `relative`; under a label, with `condition`. Theory, section 9.
        """

    @abc.abstractmethod
    def _weights(self) -> np.ndarray:
        """Masses or counts, on the host."""

    @abc.abstractmethod
    def _proof_arrays(self) -> tuple[Any, ...]:
        """The arrays that the record speaks of."""

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self.masses.shape[0]

    @property
    def centers(self) -> Float[Array, "m d"]:
        """Centres of the leaves, in the units of the data."""
        return jnp.asarray(self.low_corners + self.sides / 2, jnp.result_type(float))

    @property
    def label_offsets(self) -> Int[np.ndarray, " bounds"]:
        """Where the leaves of each label begin, on the host: those of label c are `offsets[c]` to `offsets[c + 1]`."""
        if self.vocabulary is None or self.labels is None:
            return np.array([0, self.size])
        return np.searchsorted(np.asarray(self.labels), np.arange(len(self.vocabulary) + 1))

    @property
    def label_masses(self) -> Float[np.ndarray, " labels"]:
        """The mass of each label, on the host; of everything, where there are no labels."""
        weights = self._weights().astype(np.float64)
        return np.add.reduceat(weights, self.label_offsets[:-1]) / weights.sum()

    def mean(self) -> Float[Array, " d"]:
        """Mean of the law, in the units of the data.

        **Example:**

            >>> import jaxgen as jg
            >>> jg.GridMeasure.from_histogram([1, 3], high=2.0).mean().tolist()
            [1.25]
        """
        return self.masses @ self.centers

    def variance(self) -> Float[Array, " d"]:
        """Variance of each coordinate: that of the centres, and 1/12 of the mean squared side.

        **Example:**

            >>> import jaxgen as jg
            >>> round(float(jg.GridMeasure.from_histogram([1, 1]).variance()[0]), 4)  # uniform on [0, 1]
            0.0833
        """
        return self.masses @ ((self.centers - self.mean()) ** 2 + self.sides**2 / 12)

    def weighted_points(self, each: int = 1) -> tuple[Float[Array, "n d"], Float[Array, " n"]]:
        """Points that stand for the law, with weights: differentiable in the masses and the boxes, at any of them.

        The law of a leaf is uniform, so that `E f = sum_i p_i E[f | leaf i]`, and its derivative by the masses is
        `sum_i dp_i E[f | leaf i]`: what losses on weighted points, and `weights @ f(points)`, have. Theory, section 12.

        **Arguments:** `each`: how many points stand for a leaf, of equal weights; the centre, or a lattice around it
        whose mean is the centre: on an axis the middles of equal parts.

        **Returns:** points `(m * each, d)`, leaf by leaf, in the units of the data, and weights, of sum 1.

        **Raises:** `ValueError` for each < 1.

        **Example:** the mean of a law on [0, 1/10] and [9/10, 1], by the mass of the first.

            >>> import jax, jax.numpy as jnp, jaxgen as jg
            >>> def mean(p):
            ...     law = jg.LeafMeasure([0.0, 0.9], [0.1, 0.1], jnp.stack([p, 1 - p]))
            ...     points, weights = law.weighted_points()
            ...     return weights @ points[:, 0]
            >>> round(float(jax.grad(mean)(0.5)), 4)
            -0.9
        """
        each = whole_number(each, "each", 1)
        # A Kronecker lattice of powers of the root of x**d = x + 1, turned about the centre.
        root = 2.0
        for _ in range(64):
            root = (1 + root) ** (1 / self.dim) if self.dim > 1 else root
        middles = (np.arange(each) - (each - 1) / 2)[:, None]
        steps = np.append(1 / each, root ** -np.arange(1.0, self.dim))
        dtype = jnp.result_type(float)
        inside = jnp.asarray((0.5 + middles * steps) % 1.0, dtype)
        corners, sides = jnp.asarray(self.low_corners, dtype), jnp.asarray(self.sides, dtype)
        points = corners[:, None] + sides[:, None] * inside
        return points.reshape(-1, self.dim), jnp.repeat(self.masses / each, each)

    def sample(self, key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        """Draws `n` independent points: a leaf by its mass, and d more uniform numbers in the leaf.

        The reference sampler, that shares nothing with the generators. Raises `ValueError` for n < 1.

        **Example:**

            >>> import jax, jaxgen as jg
            >>> jg.GridMeasure.from_histogram([[1, 3]]).sample(jax.random.key(0), 5).shape
            (5, 2)
        """
        n = whole_number(n, "n", 1)
        return cut(_reference_sample(self, key, padded_size(n)), n)

    def generator(self, **options: Any) -> Generator:
        """The natural generator of a measure of this kind: explicit, from one uniform number.

        `options` are those of its constructor, such as `extra_levels` and `path`.

        **Example:**

            >>> import jax, jaxgen as jg
            >>> g = jg.GridMeasure.from_histogram([[1, 2], [0, 1]]).generator(extra_levels=3)
            >>> g.sample(jax.random.key(0), 5).shape
            (5, 2)
        """
        for kind in type(self).__mro__:
            if kind in AbstractMeasure._generators:
                return AbstractMeasure._generators[kind](self, **options)
        raise TypeError(f"no generator is registered for a {type(self).__name__}; see natural_generator")

    @property
    def unchanged(self) -> bool:
        """Whether the arrays are those that the measure was made with. Not under `jit`."""
        return self.record.holds(*self._proof_arrays())

    def proven(self, name: str, condition: Label | None = None) -> Bound | None:
        """Bounds on W_1 and W_2 that were proven when the measure was made, for all labels or one of them.

        "rounding": to the masses that were rounded; between the points, where the measure was made from some, and,
        before any rounding, "points": the centres of its leaves, "law": the law itself.

        Zeros where there was nothing to prove; `None` where the arrays were changed since, so that nothing holds any
        more, where the bounds of single labels are not known, and for points where there were none.

        **Example:**

            >>> import jaxgen as jg
            >>> q = jg.GridMeasure.from_histogram([0.3, 0.7], high=2.0).quantize(4)
            >>> [round(w, 4) for w in q.proven("rounding")]  # a twentieth of the mass moves by 1
            [0.05, 0.2236]
        """
        code = None if condition is None else label_code(condition, self.vocabulary)
        if name not in self.record.bounds:
            return None if name in ("points", "law") else (0.0, 0.0)
        if not self.unchanged:
            return None
        # Laws of points may agree where those under the labels do not; all else is known label by label.
        if code is None or not (name == "law" or any(self.record.bounds[name])):
            return self.record.bounds[name]
        each = self.record.label_bounds.get(name)
        return None if each is None else each[code]

    def rounding_bound(self, p: int = 2, condition: Label | None = None) -> float:
        """A bound on W_p to the measure this one was rounded from, in units of the data; zero if there was none.

        From the monotone coupling along the curve; with `condition`, for the conditional law of that label. Theory,
        section 8.

        **Raises:** `ValueError` unless p is 1 or 2, for an unknown label, where the bounds of single labels are not
        known (a file keeps the one for all), and where the arrays were changed since.

        **Example:**

            >>> import jaxgen as jg
            >>> round(jg.GridMeasure.from_histogram([0.3, 0.7], high=2.0).quantize(4).rounding_bound(1), 4)
            0.05
        """
        if p not in (1, 2):
            raise ValueError(f"p must be 1 or 2; got {p}")
        bound = self.proven("rounding", condition)
        if bound is None and self.proven("rounding") is None:
            raise ValueError("the arrays of this measure were changed since it was rounded: no bound holds any more")
        if bound is None:
            raise ValueError("what rounding cost each label is not known for this measure, only what it cost them all")
        return bound[p - 1]

    def _kept_record(self) -> dict[str, Record]:
        """The record as an argument of the constructor, for those that take one and as long as it holds."""
        takes = "record" in inspect.signature(type(self).__init__).parameters
        return {"record": self.record} if takes and self.unchanged else {}

    def _labels_given(self, condition: Label) -> slice:
        first, last = self.label_offsets[label_code(condition, self.vocabulary) :][:2]
        return slice(int(first), int(last))


def natural_generator(kind: type, make: Callable[..., Generator]) -> None:
    """Registers what `measure.generator(**options)` calls for measures of a kind: `make(measure, **options)`.

    **Example:**

        >>> import jaxgen as jg
        >>> from jaxgen.measures import natural_generator
        >>> class Tiles(jg.GridMeasure):
        ...     pass
        >>> natural_generator(Tiles, lambda measure, **options: jg.SawtoothGenerator(measure, **options))
        >>> type(Tiles([[0], [1]], [1, 1], 0, 1, 2).generator(folds=3)).__name__
        'SawtoothGenerator'
    """
    AbstractMeasure._generators[kind] = make


@eqx.filter_jit
def _reference_sample(measure: AbstractMeasure, key, n):
    which, where = jr.split(key)
    edges = jnp.cumsum(measure.masses)
    leaf = jnp.searchsorted(edges, jr.uniform(which, (n,), edges.dtype) * edges[-1], side="right")
    leaf = jnp.minimum(leaf, edges.shape[0] - 1)
    return jax.vmap(measure.place)(leaf, jr.uniform(where, (n, measure.dim), edges.dtype))
