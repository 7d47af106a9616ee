"""Generator B: one chain along the Peano curve, in any dimension (theory, section 4)."""

import functools as ft
import itertools
import math
from fractions import Fraction

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import scipy.integrate
from jaxtyping import Array, Float, Int, UInt32

from ..curves import Residual, levels_for, limb_bits, peano_keys, peano_network, peano_walk, scale, to_limbs
from ..measures import AbstractGridMeasure, QuantizedMeasure
from ..relu import ReLUNetwork, compose
from ._base import Certificate, Size
from ._grid import AbstractGridGenerator, as_quanta, bits_needed, check_ramp, combine, whole_number
from ._labels import Label
from ._layers import in_box, prompt, staircase
from ._tree import QuantileTree, curve_tree, given_label, start_node


class PeanoGenerator(AbstractGridGenerator):
    """One uniform number to any grid measure in any dimension: a quantile function, then the Peano curve.

    The cells of the measure are taken in the order of the curve; u chooses the cell by its quantum, and the position of
    u inside the cell goes on along the curve for `extra_levels` levels more. Time, memory and connectivity grow with
    the occupied cells, never with all cells. Theory, section 4.

    `path` is how the law fills a finest cell: its `"diagonal"`, or its `"centre"`, whichever the certificate prefers.
    """

    measure: QuantizedMeasure
    tree: QuantileTree
    extra_levels: int = eqx.field(static=True)
    path: str = eqx.field(static=True)
    source_bits: int = eqx.field(static=True)
    float_bits: int = eqx.field(static=True)
    source_dim: int = eqx.field(static=True)

    def __init__(self, measure: AbstractGridMeasure, extra_levels: int = 2):
        """- `measure`: a `GridMeasure` or `QuantizedMeasure` of any dimension, resolution and box, labels included.
        - `extra_levels`: s >= 0; each makes the finest cells 3 times smaller.

        Raises `ValueError` for negative levels, or so many that the source would need more than 2**20 bits, and
        `TypeError` for a measure that is none.
        """
        self.extra_levels = whole_number(extra_levels, "extra_levels")
        self.measure = as_quanta(measure)
        self.tree = curve_tree(self.measure)
        self.source_dim = 1
        sides = np.asarray(self.measure.cell_sides, np.float64)
        self.path = "diagonal" if _prefers_diagonal(sides) else "centre"
        position = self.dim * self.extra_levels * math.log2(3)
        self.source_bits, self.float_bits = bits_needed(
            np.asarray(self.measure.counts), self.measure.quanta, position, "extra_levels"
        )

    def _push(
        self, words: UInt32[Array, "source_dim words"], code: Int[Array, ""] | None
    ) -> tuple[Float[Array, " dim"], Int[Array, ""]]:
        measure, tree = self.measure, self.tree
        bits, labelled = limb_bits(measure.quanta), self.vocabulary is not None
        node = start_node(tree, labelled, code)
        one = jnp.ones((), jnp.uint32)
        quantum, r = scale(Residual(0 * one, to_limbs(words[0], bits), one), tree.count[node], bits)
        label, node, r = given_label(tree, labelled, code, node, Residual(quantum, r.limbs, tree.count[node]))
        node, r = tree.descend(node, r)
        cell = measure.cells[tree.value[node]]
        inside = peano_walk(cell, r, self.extra_levels, measure.quanta, bits, measure.low.dtype, self.path)
        return measure.low + (cell.astype(measure.low.dtype) + inside) * measure.cell_sides, label

    def certificate(self, ramp: float | None = None, condition: Label | None = None) -> Certificate:
        """The bound of theory, section 4, with the exact constant of the box and path, for finest cells of side eta.

        Parts: `filling` (W_2 between the path inside a finest cell and the uniform law on it), `rounding` (float masses
        to quanta; zero for a measure in quanta), and, with `ramp`, `ramps` (the network instead of the kernel). With
        `condition`, for the conditional law of that label.
        """
        # On its ramps the network runs through skipped stretches of the curve, which leave the box if the resolution is
        # no power of 3.
        reach = np.asarray(self.measure.cell_sides, np.float64) * 3.0 ** levels_for(self.measure.resolution)
        eta = np.asarray(self.measure.cell_sides, np.float64) * 3.0**-self.extra_levels
        w2 = diagonal_constant(eta) if self.path == "diagonal" else centre_constant(eta)
        return combine(self, (w2, w2), reach, ramp, condition)

    def _curve(self):
        """Base-3 digits of every cell's index on the curve, as Python integers: index and number of levels."""
        levels = levels_for(self.measure.resolution)
        keys = peano_keys(np.asarray(self.measure.cells), levels)
        digits = levels * self.dim
        index = [0] * self.measure.cells.shape[0]
        for w, key in enumerate(keys):
            width = min(40, digits - 40 * w)
            index = [a * 3**width + int(b) for a, b in zip(index, key, strict=True)]
        return index, levels

    def ramp_measure(self, ramp: float) -> float:
        """A bound on the measure of the u for which `network(ramp)` differs from the generator.

        Each skipped stretch of the curve takes `ramp` of u. Between two cells one wave passes a third, in a ramp of at
        most `ramp` times a cell's length of the curve, on one side or the other: `2 ramp` of each cell at most. Inside
        a cell each of the `dim * extra_levels` waves spends `2 ramp / 3**(levels of the cells)` of its time in ramps.
        """
        ramp = check_ramp(ramp)
        index, levels = self._curve()
        gaps = int(index[0] > 0) + sum(b != a + 1 for a, b in itertools.pairwise(index))
        fine = self.dim * self.extra_levels * 2 * ramp * 3.0 ** -(levels * self.dim)
        return min(1.0, gaps * ramp + 2 * ramp + fine)

    def network(self, ramp: float = 2.0**-20) -> ReLUNetwork:
        """The same map as a ReLU network: the quantile function along the curve, then `peano_network`.

        Skipped stretches of the curve become ramps of width `ramp` in u, and the thirds of the waves ramps of slope
        `3**(levels * dim) / ramp`, rounded up to an integer. With labels the input is `(one-hot label, u)`, else `u`.
        Depth O(dK), connectivity O(occupied cells + (dK)^2) with K levels in all. Its weights hold the place of each
        cell on the curve as floats: beyond 24 or 53 bits of it, evaluation is inexact, and only the counts and the
        float64 rounding of the weights are meaningful.

        Raises `ValueError` for a ramp outside (0, 1), and where a weight would overflow the float type (`skeleton` has
        the counts all the same).
        """
        return self._network(check_ramp(ramp), values=True)

    def skeleton(self) -> ReLUNetwork:
        """A network with the layers of `network()`, and nonzero weights where it has them, but not their values.

        For counting depth, width and connectivity in dimensions where the place of a cell on the curve, an integer of
        hundreds of digits, fits no float.
        """
        return self._network(2.0**-20, values=False)

    def size(self) -> Size:
        """Depth, width and connectivity of `network()`, in every dimension: no weight is needed to count them."""
        network = self.skeleton()
        return Size(network.depth, network.width, network.connectivity)

    def _network(self, ramp: float, values: bool) -> ReLUNetwork:
        measure = self.measure
        index, levels = self._curve()
        counts = np.asarray(measure.counts, np.float64)
        start = (np.cumsum(counts) - counts) / measure.quanta
        skipped = [i - b for i, b in zip(index, [0, *(i + 1 for i in index[:-1])], strict=True)]
        jumps = [j for j, gap in enumerate(skipped) if gap]
        whole = 3 ** (levels * self.dim)
        # Along the curve: the length of a cell, those of the skipped stretches, and the slope of the thirds.
        cell, gaps, slope = 1.0, [1.0] * len(jumps), 1
        if values:
            if whole.bit_length() > 960:
                raise ValueError(f"weights near 3**{levels * self.dim} are too large for a float; see `skeleton`")
            cell, gaps, slope = 1 / whole, [float(Fraction(skipped[j], whole)) for j in jumps], whole / Fraction(ramp)
        quantile = staircase(
            np.append(start, start[jumps]),
            np.append(counts / measure.quanta, np.zeros(len(jumps))),
            [cell] * len(index) + gaps,
            ramp,
            0.0,
        )
        curve = peano_network(self.dim, levels + self.extra_levels, math.ceil(slope), self.path)
        finest = np.asarray(measure.cell_sides, np.float64) * 3.0**-self.extra_levels
        network = in_box(compose(curve, quantile, nonnegative=True), measure.low, finest)
        return network if self.vocabulary is None else prompt(network, self._label_masses())


def centre_constant(sides: np.ndarray) -> float:
    """W_2 between the uniform law on a box and its centre: `sqrt(sum sides^2 / 12)`."""
    return math.sqrt(float(sides @ sides) / 12)


def _prefers_diagonal(sides: np.ndarray) -> bool:
    # E|S| <= sqrt(Var S) and Var T = 1/6 bound the constant of the diagonal from below, and settle the matter in high
    # dimension without it.
    squares = sides**2
    if squares.sum() / 6 - math.sqrt(float(squares @ squares) / 24) >= squares.sum() / 12 > 0:
        return False
    return diagonal_constant(sides) <= centre_constant(sides)


def diagonal_constant(sides: np.ndarray) -> float:
    """W_2 between the uniform law on a box and that on its diagonal, exactly.

    Let Y be uniform on the box with sides e and P its projection on the diagonal. The law on the diagonal lives on a
    line, so the best coupling is monotone in P, and with Q_P the quantile function of P

        W_2^2 = |e|^2/12 - Var P + Var P + |e|^2/12 - 2 |e| int Q_P(t) (t - 1/2) dt = |e|^2/6 - E|sum_k e_k^2 T_k| / 2,

    where the T_k are independent triangular on [-1, 1], since int Q_P(t)(2t - 1) dt = E|P - P'|/2. For a cube of side 1
    the mean is that of |Z|, Z a centred Irwin-Hall sum of 2d terms, a rational number.
    """
    sides = np.asarray(sides, np.float64)
    longest = float(sides.max())
    if longest == 0:
        return 0.0
    e = sides[sides > 0] / longest
    if np.all(e == 1):
        square = Fraction(len(e), 6) - _irwin_hall_mean(len(e)) / 2
        return longest * math.sqrt(square)
    squares = e**2
    # E|S| = (2/pi) int (1 - phi(t))/t^2 dt with phi the characteristic function of S; the tail of 1/t^2 is exact, and
    # |phi| is at most (2/(a t))^2 for the longest side a = 1, so that the rest of the tail is below 8/(3 pi end^3).
    end = 400.0
    value, error = 0.0, 8 / (3 * math.pi * end**3)
    for left in range(0, 400, 8):
        part, wrong = scipy.integrate.quad(
            lambda t: (
                (1 - np.prod(np.sinc(squares * t / (2 * math.pi)) ** 2)) / t**2 if t > 1e-4 else squares @ squares / 12
            ),
            left,
            left + 8,
            epsabs=1e-13,
            epsrel=1e-12,
        )
        value, error = value + part, error + wrong
    mean = 2 / math.pi * (value + 1 / end) - error
    return longest * math.sqrt(max(0.0, float(squares.sum()) / 6 - mean / 2))


@ft.cache
def _irwin_hall_mean(d: int) -> Fraction:
    """E|Z| for Z the sum of 2d independent uniforms on [-1/2, 1/2], by the piecewise polynomial of its law."""
    total = sum((-1) ** k * math.comb(2 * d, k) * (d - k) ** (2 * d + 1) for k in range(d + 1))
    return Fraction(2 * total, math.factorial(2 * d + 1))
