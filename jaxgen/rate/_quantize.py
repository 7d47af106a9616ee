"""The best law for a budget: of bits, of error, or of weights (theory, section 8)."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any, Literal, SupportsFloat, SupportsIndex

import numpy as np
from jaxtyping import Float

from .._checks import Numbers, TooFewBits, finite_points, positive_number, real_number, whole_number
from ..coding import code_length
from ..distances import data_bound, law_value
from ..limits import covering_error
from ..measures import AbstractMeasure, TreeMeasure, tree_of_leaves, trees, with_bounds
from ._grids import best_grid
from ._lattice_atoms import lattice_atoms
from ._worth import worth

# Clouds up to this size are compared with laws by an exact solver.
_EXACT_POINTS = 4096
# Beyond so many dimensions trees, which halve the longest side, are no better than grids.
TREE_DIMENSIONS = 8
# With so many bits a point, atoms on a lattice are worth a look: few points, that have no density.
_LATTICE_BITS = 1.5
# Where they are, they are tried for this share of the bits that another law needs, and so on down.
_SAVED = 0.95
# Budgets are found to this ratio, and not beyond this many bits.
_PRECISION, _MOST_BITS = 1.02, 1 << 26
# Levels of the curve in the leaves of a network: so many make its error that of uniform leaves, or nearly (section 4).
_LEVELS = 2


def quantize(
    points: Numbers,
    bits: SupportsFloat | Literal["auto"] | object | None = None,
    *,
    error: SupportsFloat | object | None = None,
    weights: SupportsIndex | object | None = None,
    p: SupportsFloat = 1,
    low: Numbers | None = None,
    high: Numbers | None = None,
) -> AbstractMeasure:
    """The best law of any kind for a budget of bits, or the fewest bits, or the best network, for points.

    Trees of several numbers of quanta, grids, and for few points atoms on a lattice, are made for the budget, and the
    nearest to the points is taken: by the distance itself (`law_distance`) on the line and for up to 4,096 points, by
    the proven bounds for more. Give exactly one of `bits`, `error` and `weights`. Theory, section 8.

    **Arguments:**

    - `points`: `(N, d)` or `(N,)`.
    - `bits`: the budget for the whole file, header and box included; or `"auto"`, for what the data are worth: see
        `worth`.
    - `error`: the W_p that is allowed, in units of the data: the law with the fewest bits that was found.
    - `weights`: how many nonzero weights the ReLU network `generator(extra_levels=2).network()` of the law may have.
    - `p`: the order of the distance, 1 or 2.
    - `low`, `high`: the box, by default that of the points, rounded outwards to as many bits as they are worth.

    **Returns:** a `TreeMeasure`, a `QuantizedMeasure` or whatever is best; `.generator(**options)` makes its generator.
        Its record has its bounds to the points, "law", and so have certificates of its generators; no file keeps them.

    **Raises:** `ValueError` for a budget that the header and the box alone exceed, naming the smallest; for an error
    that no law within 2^26 bits reaches; for too few weights; for more or less than one budget; and for bad points;
    `TypeError` for anything but numbers.

    **Example:**

        >>> import jaxgen as jg, numpy as np
        >>> points = np.arange(32.0) ** 2
        >>> law = jg.quantize(points, bits=200)
        >>> jg.code_length(law) <= 200, law.generator(extra_levels=1).dim
        (True, 1)
    """
    given = [name for name, value in (("bits", bits), ("error", error), ("weights", weights)) if value is not None]
    if len(given) != 1:
        raise ValueError(f"give exactly one of bits, error and weights; got {' and '.join(given) or 'none'}")
    order = real_number(p, "p")
    if order not in (1, 2):
        raise ValueError(f"p must be 1 or 2; got {p}")
    search = _Search(finite_points(points).astype(np.float64), order, low, high)
    if weights is not None:
        law = search.of_weights(whole_number(weights, "weights", 1))
    elif error is not None:
        law = search.of_error(positive_number(error, "error"))
    else:
        if isinstance(bits, str):
            if bits != "auto":
                raise ValueError(f'bits must be a number or "auto"; got {bits!r}')
            bits = worth(points)
        law, _ = search.of_bits(real_number(bits, "bits"))
    return with_bounds(law, search.cloud, None) if isinstance(law, TreeMeasure) else law


class _Search:
    def __init__(self, cloud: Float[np.ndarray, "n d"], p: float, low: Numbers | None, high: Numbers | None):
        self.cloud, self.p = cloud, p
        self.box: dict[str, Any] = {"low": low, "high": high}

    def of_bits(self, bits: float, lattice: bool = True) -> tuple[AbstractMeasure, float]:
        """The nearest of the laws of so many bits, and its distance, or a bound on it."""
        found = [(law, self._error(law, bound)) for law, bound in self._laws(bits)]
        best = min(found, key=lambda pair: pair[1])
        if lattice and best[1] > self._even_limit(bits) and (atoms := self._atoms(bits)) is not None:
            best = min(best, atoms, key=lambda pair: pair[1])
        return best

    def _even_limit(self, bits: float) -> float:
        """What no code of so many bits reaches for all laws on the box.

        A code of atoms that sees no clusters treats all points alike, and where another law is nearer than that, it is
        taken to be so: a saving of time, no proof, and wrong for points that are on a lattice themselves.
        """
        volume = float(np.prod(np.ptp(self.cloud, axis=0)))
        return covering_error(bits, self.cloud.shape[1], volume) if 0 < volume < math.inf else 0.0

    def of_error(self, error: float) -> AbstractMeasure:
        """The law of the fewest bits that is as near: a budget is doubled until it is enough, then cut.

        Atoms on a lattice, which take time, are tried from there on down.
        """
        enough = self._least_bits()
        law, distance = self.of_bits(enough, lattice=False)
        short, far = enough, distance
        while distance > error:
            short, far, enough = enough, distance, 2 * enough
            if enough > _MOST_BITS:
                raise ValueError(f"error={error:g} is not reached by {short} bits, whose law is at {distance:g}")
            law, distance = self.of_bits(enough, lattice=False)
        while enough > _PRECISION * short:
            budget = _between(short, enough, far, distance, error)
            tried, value = self.of_bits(budget, lattice=False)
            if value <= error:
                law, enough, distance = tried, min(budget, float(code_length(tried))), value
            else:
                short, far = budget, value
        while (atoms := self._atoms(_SAVED * enough)) is not None and atoms[1] <= error:
            law, enough = atoms[0], _SAVED * enough
        return law

    def of_weights(self, weights: int) -> TreeMeasure:
        """The tree whose network has so many weights: their number grows with that of the leaves, and is counted."""
        leaves, best, tried = max(1, weights // (12 + self.cloud.shape[1])), None, set()
        least = math.inf
        while leaves not in tried:
            tried.add(leaves)
            tree = tree_of_leaves(self.cloud, leaves, **self.box)
            count = tree.generator(extra_levels=_LEVELS).network().connectivity
            least = min(least, count)
            if count <= weights and (best is None or tree.size > best.size):
                best = tree
            leaves = max(1, leaves + math.floor((weights - count) * tree.size / count))
        if best is None:
            raise ValueError(f"weights={weights} are too few: a network of one leaf has {least}")
        return best

    def _laws(self, bits: float) -> Iterator[tuple[AbstractMeasure, float]]:
        """Laws of so many bits, with a bound on their distance; `nan` where it is not known yet."""
        if self.cloud.shape[1] <= TREE_DIMENSIONS:
            found = trees(self.cloud, bits, **self.box)
            # What trees are pruned by chooses among them; between kinds of laws one bound must, which is nearer.
            yield from [min(found, key=lambda pair: pair[1])] if self.p == 1 and not self._exact else found
        try:
            yield best_grid(self.cloud, bits, p=int(self.p), **self.box), math.nan
        except TooFewBits:
            if self.cloud.shape[1] > TREE_DIMENSIONS:
                raise

    def _atoms(self, bits: float) -> tuple[AbstractMeasure, float] | None:
        """Atoms on a lattice, where they are worth the time, and their distance."""
        boxed = any(corner is not None for corner in self.box.values())
        if boxed or not self._exact or bits < _LATTICE_BITS * len(self.cloud):
            return None
        with contextlib.suppress(TooFewBits):
            law = lattice_atoms(self.cloud, bits, int(self.p))
            return law, self._error(law, math.nan)
        return None

    def _error(self, law: AbstractMeasure, bound: float) -> float:
        size, dim = self.cloud.shape
        if dim == 1 and isinstance(law, TreeMeasure) and self.p == 1:
            return bound
        if self._exact:
            return law_value(law, self.cloud, self.p, n=max(2048, size if dim > 1 else 4 * size))
        return data_bound(self.cloud, law, self.p)

    def _least_bits(self) -> float:
        """The smallest budget that is taken."""
        try:
            self.of_bits(1.0, lattice=False)
        except TooFewBits as error:
            return float(error.least)
        return 1.0

    @property
    def _exact(self) -> bool:
        """Whether the distance can be had."""
        return self.cloud.shape[1] == 1 or len(self.cloud) <= _EXACT_POINTS


def _between(short: float, enough: float, far: float, near: float, error: float) -> float:
    """The budget on the line, on logarithmic scales, between one that is too small and one that is not."""
    share = math.log(far / error) / math.log(far / near) if near > 0 and far > near else 0.5
    return short * (enough / short) ** min(0.9, max(0.1, share + 0.05))
