"""Laws of which the truth is known: how to place points evenly in them, and how near N atoms can come."""

import dataclasses
import math
from collections.abc import Callable
from typing import SupportsIndex

import numpy as np
from jaxtyping import Float

from .._checks import Numbers, real_array, whole_number

_DEGREES = 4
# Of the mixture: weight, centre and standard deviation of each component.
_WEIGHTS, _CENTERS, _SCALES = (
    np.array([0.5, 0.3, 0.2]),
    np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 3.0]]),
    (1.0, 0.5, 0.25),
)
# Grey values, from the top: the density is constant on each of the 64 pixels of the unit square.
_FACE = """
00999900
09333390
93833839
93333339
93833839
93388339
09333390
00999900
"""
# So many ternary digits leave nothing of a float64.
_CANTOR_DIGITS = 34


@dataclasses.dataclass(frozen=True, eq=False)
class KnownLaw:
    """A law of which the truth is known: a map of uniform numbers to it, and what N atoms can reach.

    It is a callable with `source_dim`, and so a law for `law_distance` and a generator for `compare`. With e_N the
    least W_2 of any law on N atoms, N^(1/D) e_N stays between two positive numbers; D is the *quantization dimension*.
    Either Zador's theorem has its limit, by `norm`, or e_N is known itself, by `least`. Theory, section 6.

    - `name`; `dim`: of its points. `source_dim`: uniform numbers that `transport` takes.
    - `transport`: the map, of `(n, source_dim)` in [0, 1) to `(n, dim)`.
    - `quantization_dim`: D. `norm`: `||f||_{d/(d+2)}` of its density, for `limits.zador`, in squared units of length;
        then D = d, the `dim`.
    - `least`: e_N of N, where it is known exactly, in place of a `norm`.
    - `tilt`: of the points of `cloud`. The first source value is `1 - (1 - v)^tilt` with v even: more points, of less
        weight, at its end, where a heavy tail has most of its second moment.

    **Example:**

        >>> import jaxgen as jg
        >>> square = jg.data.known_laws()["uniform square"]
        >>> square([0.25, 0.5]).tolist(), square.norm, square.quantization_dim
        ([0.25, 0.5], 1.0, 2.0)
        >>> round(jg.law_distance(square, [[0.5, 0.5]], n=1024).value, 3)  # the mean distance from the centre is 0.3826
        0.383
    """

    name: str
    dim: int
    source_dim: int
    transport: Callable[[np.ndarray], np.ndarray]
    quantization_dim: float
    norm: float | None = None
    least: Callable[[int], float] | None = None
    tilt: int = 1

    def __post_init__(self):
        if (self.norm is None) == (self.least is None):
            raise ValueError(f"give exactly one of norm and least for the {self.name}")
        if self.least is None and self.quantization_dim != self.dim:
            raise ValueError(f"a norm is of a density on R^{self.dim}; got quantization_dim={self.quantization_dim:g}")

    def __call__(self, u: Numbers) -> Float[np.ndarray, "*batch dim"]:
        """The points of source values `(..., source_dim)`.

        **Raises:** `TypeError` for anything but numbers; `ValueError` for another last axis, and for values outside of
        [0, 1), whose points need not be finite.

        **Example:**

            >>> import jaxgen as jg
            >>> jg.data.known_laws()["circle"]([[0.0], [0.5]]).round(3).tolist()
            [[1.0, 0.0], [-1.0, 0.0]]
        """
        values = real_array(u, "u").astype(np.float64)
        if values.ndim == 0 or values.shape[-1] != self.source_dim:
            raise ValueError(f"u must have shape (..., {self.source_dim}) for the {self.name}; got {values.shape}")
        if not np.all((values >= 0) & (values < 1)):
            raise ValueError("u must lie in [0, 1)")
        return self.transport(values.reshape(-1, self.source_dim)).reshape(*values.shape[:-1], self.dim)

    def cloud(
        self, n: SupportsIndex, seed: SupportsIndex = 0
    ) -> tuple[Float[np.ndarray, "n dim"], Float[np.ndarray, " n"]]:
        """The law as n points, evenly placed (scrambled Sobol points, mapped), and their weights.

        **Arguments:**

        - `n`: how many, best a power of two. `seed`: of the scrambling: clouds of two seeds are independent.

        **Returns:** the points, and weights of sum 1, equal unless the law has a `tilt`.

        **Raises:** `TypeError` and `ValueError` for anything but an n >= 1 and a seed >= 0.

        **Example:**

            >>> import jaxgen as jg
            >>> points, weights = jg.data.known_laws()["Student"].cloud(1024)
            >>> round(float(weights @ (points**2).sum(axis=1)), 1)  # E|X|^2 = 2 nu / (nu - 2), nu = 4
            4.0
        """
        v = self._even(n, seed)
        rest = 1 - v[:, 0]
        v[:, 0] = np.minimum(1 - rest**self.tilt, np.nextafter(1.0, 0.0))
        weights = rest ** (self.tilt - 1)
        return self(v), weights / weights.sum()

    def points(self, n: SupportsIndex, seed: SupportsIndex = 0) -> Float[np.ndarray, "n dim"]:
        """The law as n points of equal weight, evenly placed. Arguments and errors as for `cloud`.

        **Example:**

            >>> import jaxgen as jg
            >>> jg.data.known_laws()["uniform cube"].points(4096).mean(axis=0).round(3).tolist()
            [0.5, 0.5, 0.5]
        """
        return self(self._even(n, seed))

    def _even(self, n: SupportsIndex, seed: SupportsIndex) -> Float[np.ndarray, "n sources"]:
        from scipy.stats.qmc import Sobol

        count, seed = whole_number(n, "n", 1), whole_number(seed, "seed")
        values = Sobol(self.source_dim, rng=np.random.default_rng(seed)).random_base2((count - 1).bit_length())[:count]
        return np.minimum(values, np.nextafter(1.0, 0.0))


def known_laws() -> dict[str, KnownLaw]:
    """Eight laws whose truth is known, by name.

    The uniform laws on the unit square and cube; the standard normal law of the plane; a mixture of three normal laws;
    Student's of 4 degrees of freedom, in the plane; the density of a picture on the unit square; the uniform law on the
    unit circle; Cantor's law on [0, 1]. The last two have no density, and their e_N is known at every N (the circle's
    for N >= 3). Theory, section 6.

    **Example:**

        >>> import jaxgen as jg
        >>> laws = jg.data.known_laws()
        >>> [name for name, law in laws.items() if law.least is not None]
        ['circle', 'Cantor']
        >>> laws["Cantor"].least(2) ** 2 == 1 / 72  # a ninth of the variance, 1/8
        True
    """
    masses = _pixels()
    cantor = math.log(2) / math.log(3)
    laws = (
        KnownLaw("uniform square", 2, 2, np.copy, 2.0, 1.0),
        KnownLaw("uniform cube", 3, 3, np.copy, 3.0, 1.0),
        # ||f||_{1/2} of the normal law of the plane: (integral of f^{1/2})^2 = (4 pi / sqrt(2 pi))^2.
        KnownLaw("Gaussian", 2, 2, _normal, 2.0, 8 * math.pi),
        KnownLaw("mixture", 2, 2, _mixture, 2.0, _mixture_norm()),
        # f = (1 + |x|^2 / nu)^(-(nu + 2)/2) / (2 pi): with s = |x|^2 / nu the integral of f^{1/2} is
        # (pi nu / sqrt(2 pi)) times that of (1 + s)^(-(nu + 2)/4), which is 4 / (nu - 2).
        KnownLaw("Student", 2, 2, _student, 2.0, 8 * math.pi * (_DEGREES / (_DEGREES - 2)) ** 2, tilt=2),
        # On pixels of mass p and volume 1/64 the integral of f^{1/2} is the sum of (p / 64)^{1/2}.
        KnownLaw("picture", 2, 2, _picture, 2.0, float(np.sqrt(masses / masses.size).sum()) ** 2),
        KnownLaw("circle", 2, 1, _circle, 1.0, least=_circle_error),
        KnownLaw("Cantor", 1, 1, _cantor, cantor, least=_cantor_error),
    )
    return {law.name: law for law in laws}


def _normal(u: np.ndarray) -> np.ndarray:
    from scipy.special import ndtri

    return ndtri(np.clip(u, np.finfo(np.float64).tiny, None))


def _located(u: np.ndarray, masses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which part a uniform number falls in, and where in it: a uniform number again."""
    edges = np.concatenate([[0.0], np.cumsum(masses)])
    edges /= edges[-1]
    part = np.minimum(np.searchsorted(edges, u, side="right") - 1, len(masses) - 1)
    place = (u - edges[part]) / (edges[part + 1] - edges[part])
    return part, np.clip(place, 0.0, np.nextafter(1.0, 0.0))


def _mixture(u: np.ndarray) -> np.ndarray:
    part, place = _located(u[:, 0], _WEIGHTS)
    inside = np.stack([place, u[:, 1]], axis=-1)
    return _CENTERS[part] + np.array(_SCALES)[part][:, None] * _normal(inside)


def _mixture_norm() -> float:
    """By the trapezoidal rule, which is exact to rounding for a function as smooth, far before its tails are cut."""
    axis, step = np.linspace(-16, 16, 641, retstep=True)
    density = np.zeros((len(axis), len(axis)))
    for weight, center, scale in zip(_WEIGHTS, _CENTERS, _SCALES, strict=True):
        x, y = (np.exp(-(((axis - c) / scale) ** 2) / 2) for c in center)
        density += weight / (2 * math.pi * scale**2) * np.outer(x, y)
    return float(np.sqrt(density).sum() * step**2) ** 2


def _student(u: np.ndarray) -> np.ndarray:
    """By radius, P(|X| > r) = (1 + r^2 / nu)^(-nu/2), and angle."""
    radius = np.sqrt(_DEGREES * np.expm1(-2 / _DEGREES * np.log1p(-u[:, 0])))
    return radius[:, None] * _circle(u[:, 1:])


def _pixels() -> Float[np.ndarray, "8 8"]:
    """Masses of the pixels, the lowest row first."""
    grey = np.array([[int(digit) for digit in row] for row in _FACE.split()][::-1], np.float64)
    return grey / grey.sum()


def _picture(u: np.ndarray) -> np.ndarray:
    masses = _pixels()
    occupied = np.flatnonzero(masses)
    part, place = _located(u[:, 0], masses.ravel()[occupied])
    row, column = np.divmod(occupied[part], len(masses))
    return np.stack([column + place, row + u[:, 1]], axis=-1) / len(masses)


def _circle(u: np.ndarray) -> np.ndarray:
    angle = 2 * math.pi * u[:, 0]
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _circle_error(n: int) -> float:
    """Atoms at the means of n equal arcs, at the distance (n / pi) sin(pi / n) from the centre (theory, section 6)."""
    return math.sqrt(max(0.0, 1 - (n / math.pi * math.sin(math.pi / n)) ** 2))


def _cantor(u: np.ndarray) -> np.ndarray:
    """The binary digits of u, doubled, are ternary digits of x."""
    rest, x = u.copy(), np.zeros_like(u)
    for k in range(1, _CANTOR_DIGITS + 1):
        rest = 2 * rest
        digit = np.floor(rest)
        rest -= digit
        x += 2 * digit / 3.0**k
    return x


def _cantor_error(n: int) -> float:
    """Graf and Luschgy, *The quantization of the Cantor distribution* (1997): for 2^l <= n <= 2^(l+1), of the 2^l
    pieces of level l, all of variance 9^(-l)/8, n - 2^l are cut once more."""
    level = n.bit_length() - 1
    whole, cut = 2 ** (level + 1) - n, n - 2**level
    return math.sqrt((whole + cut / 9) / 8 / 18.0**level)
