"""What the generators of grid measures share: quanta, exact sources, float sources, certificates of rounding."""

import abc
import math
import operator
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from ..measures import AbstractGridMeasure, GridMeasure, QuantizedMeasure
from ..relu import ReLUNetwork
from ._base import AbstractGenerator, Certificate, exact_words, point_at
from ._labels import Label

# Quanta that float masses are rounded to when a generator is built: as many as uint32 arithmetic allows.
_QUANTA = 1 << 24
_MAX_SOURCE_BITS = 1 << 20
# A float source must resolve the finest cells of this much of the mass.
_RESOLVED = 0.99


class AbstractGridGenerator(AbstractGenerator):
    """A generator whose law is, up to its certificate, a quantized measure: exact in uint32 arithmetic.

    `measure` is that measure. `float_bits` is the number of bits of u that resolve the finest cells of 99 % of the
    mass: what a float source must have.
    """

    measure: eqx.AbstractVar[QuantizedMeasure]
    float_bits: eqx.AbstractVar[int]

    @abc.abstractmethod
    def certificate(self, ramp: float | None = None, condition: Label | None = None) -> Certificate:
        """A proven bound on W_1 and W_2 between the law and the measure the generator was built from.

        With `ramp`, between the law of `network(ramp)` and that measure; with `condition`, between the conditional laws
        of that label.
        """

    @abc.abstractmethod
    def network(self, ramp: float = 2.0**-20) -> ReLUNetwork:
        """The same map as a ReLU network, in which jumps are ramps of width `ramp`."""

    @abc.abstractmethod
    def ramp_measure(self, ramp: float) -> float:
        """A bound on the measure of the u for which `network(ramp)` differs from the generator."""

    @property
    def dim(self) -> int:
        """Dimension of the points."""
        return self.measure.dim

    @property
    def vocabulary(self) -> tuple[Label, ...] | None:
        """The labels that can be asked for."""
        return self.measure.vocabulary

    def _label_masses(self) -> np.ndarray:
        masses = np.asarray(self.measure.counts, np.float64) / self.measure.quanta
        return np.add.reduceat(masses, self.measure.label_offsets[:-1])

    def __call__(self, u: Any, condition: Label | None = None) -> Float[Array, " dim"]:
        """The point that one source value is sent to, shape `(dim,)`, in the coordinates of the measure.

        `u` is a float in [0, 1] (or `source_dim` of them), read exactly, to its last bit; or, with every bit the law
        needs, a fixed-point fraction: uint32 words, most significant first, shape `(words,)` or `(source_dim, words)`.

        Raises `ValueError` for a wrong shape, an unknown label, and a float type with fewer bits than resolve the law
        (`sample` has no such limit); a runtime error for u outside [0, 1].
        """
        return point_at(self, exact_words(self, u), self._code(condition))

    @abc.abstractmethod
    def _push(
        self, words: UInt32[Array, "source_dim words"], code: Int[Array, ""] | None
    ) -> tuple[Float[Array, " dim"], Int[Array, ""]]: ...


def as_quanta(measure: AbstractGridMeasure) -> QuantizedMeasure:
    """The measure a generator runs on: the counts themselves where they are known, else 2**24 quanta.

    Raises `TypeError` for anything but a grid measure.
    """
    if isinstance(measure, QuantizedMeasure):
        return measure
    if not isinstance(measure, GridMeasure):
        raise TypeError(
            f"measure must be a GridMeasure or a QuantizedMeasure; got {type(measure).__name__}. "
            "Points become one by GridMeasure.from_samples(points, resolution)."
        )
    total = measure.total
    if total is not None and total <= _QUANTA:
        counts = np.asarray(measure.masses, np.float64) * total
        whole = np.rint(counts).astype(np.int64)
        # Parameters that were trained since are no longer counts; float32 alone moves a count by 1e-7 of itself.
        if np.all(np.abs(counts - whole) <= 1e-6 * counts + 1e-6) and whole.min() >= 1 and whole.sum() == total:
            return QuantizedMeasure(
                measure.cells, whole, measure.low, measure.high, measure.resolution, measure.labels, measure.vocabulary
            )
    return measure.quantize(_QUANTA)


def whole_number(value: Any, name: str) -> int:
    """A nonnegative integer. Raises `TypeError` and `ValueError` naming the argument."""
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an integer; got {value}")
    try:
        value = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {type(value).__name__}") from None
    if value < 0:
        raise ValueError(f"{name} must not be negative; got {value}")
    return value


def bits_needed(counts: np.ndarray, quanta: int, position_bits: float, name: str) -> tuple[int, int]:
    """Bits of u that resolve the finest cells of all the mass, and of 99 % of it.

    A cell of mass p takes log2(1/p) bits to reach and `position_bits` to move in (theory, section 9). Raises
    `ValueError`, naming the argument that asks for them, beyond 2**20 bits.
    """
    counts = np.sort(np.asarray(counts, np.int64))
    light = counts[np.searchsorted(np.cumsum(counts), (1 - _RESOLVED) * quanta)]
    every, most = (math.ceil(math.log2(quanta / c) + position_bits - 1e-9) for c in (int(counts[0]), int(light)))
    if every > _MAX_SOURCE_BITS:
        raise ValueError(f"{name} asks for a source of {every} bits; at most 2**20 are possible. Use fewer.")
    return every, most


def combine(
    generator: AbstractGridGenerator,
    filling: tuple[float, float],
    sides: Any,
    ramp: float | None,
    condition: Label | None,
) -> Certificate:
    """The bound on the whole way from the law to the measure it was built from.

    Let X follow the law, Y the quantized measure, and Z the measure it was rounded from; rounding moves whole cells, so
    Z = Y + (a shift that depends on the cell alone). Given the finest cell, X and Y have the same mean and do not
    depend on the shift: E<X - Y, Y - Z> = 0, and the squares add. First moments add by the triangle inequality. All of
    it holds label by label: the path fills every finest cell alike. The u of a label are an interval, which may hold
    all the ramps. The network stays in a box with these `sides`.
    """
    measure = generator.measure
    rounding = (measure.rounding_bound(1, condition), measure.rounding_bound(2, condition))
    w2 = math.hypot(filling[1], rounding[1])
    w1 = min(filling[0] + rounding[0], w2)
    parts = {"filling": filling, "rounding": rounding}
    rule = "w2 = sqrt(filling^2 + rounding^2), w1 = min(filling + rounding, w2)"
    if ramp is not None:
        mass = 1.0 if condition is None else float(generator._label_masses()[measure._code(condition)])
        ramps = ramp_cost(generator.ramp_measure(ramp) / mass, sides)
        parts["ramps"] = ramps
        w1, w2, rule = w1 + ramps[0], w2 + ramps[1], rule + "; ramps are added to both"
    return Certificate(w1, w2, parts, rule)


def ramp_cost(wrong: float, sides: Any) -> tuple[float, float]:
    """What maps into a box with these sides that differ on u of measure `wrong` add to W_1 and W_2 (section 3)."""
    diameter = float(np.linalg.norm(np.asarray(sides, np.float64)))
    wrong = min(wrong, 1.0)
    return wrong * diameter, math.sqrt(wrong) * diameter


def check_ramp(ramp: float) -> float:
    """The ramp width of a network as a float of (0, 1)."""
    if not 0 < ramp < 1:
        raise ValueError(f"ramp, the width of the ramps that stand for jumps, must lie between 0 and 1; got {ramp}")
    return float(ramp)
