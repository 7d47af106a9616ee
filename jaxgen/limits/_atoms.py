"""How near a law on N points can be to a law with a density."""

import math
from collections.abc import Sequence
from typing import SupportsFloat, SupportsIndex

import numpy as np
from jaxtyping import ArrayLike

from .._checks import nonnegative_weights, positive_number, transport_order, whole_number
from ..measures import AbstractGridMeasure
from ._neighborhood import distance_from, log_ball_volume, target

# Normalized second moments of the best cells: the interval, the regular hexagon (Fejes Toth: optimal among
# all quantizers), the truncated octahedron of the bcc lattice (Barnes & Sloane: optimal among lattices).
_SECOND_MOMENTS = {1: 1 / 12, 2: 5 / (36 * math.sqrt(3)), 3: 19 / (192 * 2 ** (1 / 3))}


def second_moment(dim: SupportsIndex) -> float:
    """The constant G_d of Zador's theorem, or a lower bound on it.

    Exact for d = 1 (1/12) and d = 2 (hexagons, 0.0801875, Fejes Toth). For d = 3 the best known, 0.0785433 (bcc),
    proven best among lattices only, hence an upper bound on G_3. For d > 3 the value for balls,
    `Gamma(d/2+1)^(2/d) / ((d+2) pi)`, a proven lower bound (Zador) that is not attained, but asymptotically sharp as d
    grows; at d = 3 it is 0.0770. Source: Graf & Luschgy, *Foundations of Quantization*; theory, section 6.

    **Arguments:**

    - `dim`: d >= 1.

    **Returns:** a number without unit.

    **Raises:** `ValueError` for dim < 1; `TypeError` for a dim that is not an integer.

    **Example:**

        >>> import jaxgen as jg
        >>> round(jg.limits.second_moment(2), 7)
        0.0801875
    """
    dim = whole_number(dim, "dim", 1)
    return _SECOND_MOMENTS.get(dim, math.exp(-2 / dim * log_ball_volume(dim)) / (dim + 2))


def zador(n_atoms: SupportsIndex, dim: SupportsIndex, norm: SupportsFloat = 1.0) -> float:
    """Zador's asymptotics of the N-point quantization error, `sqrt(d G_d norm) N^(-1/d)`.

    e_N is the smallest W_2 between a law and any law on N points. For a law on R^d with a density f (and a moment of
    order above 2), `N^(2/d) e_N^2 -> d G_d ||f||_{d/(d+2)}`.

    What is proven: the limit, as N grows, for d = 1 and 2. At d = 3 this is the value of the bcc lattice (the limit is
    at most that); for d > 3 a lower bound on the limit (see `second_moment`). It is not a bound at finite N: that is
    `quantization_error`. Theory, section 6.

    **Arguments:**

    - `n_atoms`: N >= 1, of any size. `dim`: d >= 1.
    - `norm`: `||f||_{d/(d+2)}`, in squared units of length: 1 for the uniform law on a unit cube; see `density_norm`
        and `normal_density_norm`.

    **Returns:** a W_2, in units of length.

    **Raises:** `ValueError` for N or dim < 1 or norm <= 0; `TypeError` for sizes that are not integers.

    **Example:**

        >>> import jaxgen as jg
        >>> round(jg.limits.zador(100, 2), 6)  # of the uniform law on the unit square
        0.040047
    """
    n_atoms, dim = whole_number(n_atoms, "n_atoms", 1), whole_number(dim, "dim", 1)
    norm = positive_number(norm, "norm")
    return math.sqrt(dim * second_moment(dim) * norm) * math.exp(-math.log(n_atoms) / dim)


def density_norm(
    masses: ArrayLike | Sequence[object], volumes: ArrayLike | Sequence[object], dim: SupportsIndex
) -> float:
    """`||f||_{d/(d+2)}` of a density that is constant on cells, for `zador`.

    The uniform law on a set of volume V is one cell: `density_norm(1, V, d) == V**(2/d)`. Theory, section 6.

    **Arguments:**

    - `masses`: `(cells,)` or one number, nonnegative; they are divided by their sum.
    - `volumes`: `(cells,)`, or one number for all.
    - `dim`: d >= 1.

    **Returns:** the norm, in squared units of length.

    **Raises:** `ValueError` for masses that are negative or sum to zero, volumes that are not positive, and shapes that
    do not match.

    **Example:**

        >>> import jaxgen as jg
        >>> round(jg.limits.density_norm([1, 3], 0.5, dim=2), 6)  # a unit square, three quarters on one half
        0.933013
    """
    dim = whole_number(dim, "dim", 1)
    masses, volumes = np.atleast_1d(nonnegative_weights(masses, "masses")), np.asarray(volumes, np.float64)
    if not (np.isfinite(volumes).all() and (volumes > 0).all()):
        raise ValueError("volumes must be finite and positive")
    if volumes.ndim and volumes.shape != masses.shape:
        raise ValueError(f"volumes must be one number or match masses {masses.shape}; got {volumes.shape}")
    power = dim / (dim + 2)
    return float(np.sum((masses / masses.sum()) ** power * volumes ** (1 - power))) ** (1 / power)


def normal_density_norm(covariance: ArrayLike | Sequence[object]) -> float:
    """`||f||_{d/(d+2)} = 2 pi det(covariance)^(1/d) ((d+2)/d)^((d+2)/2)` of a normal law, for `zador`.

    Theory, section 6.

    **Arguments:**

    - `covariance`: `(d, d)`, symmetric positive definite, or a variance for d = 1.

    **Returns:** the norm, in squared units of length.

    **Raises:** `ValueError` for another shape, or a matrix that is not symmetric and positive definite.

    **Example:**

        >>> import jaxgen as jg
        >>> round(jg.limits.zador(100, 1, jg.limits.normal_density_norm(1.0)), 6)
        0.016495
    """
    covariance = np.atleast_2d(np.asarray(covariance, np.float64))
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1]:
        raise ValueError(f"covariance must have shape (d, d); got {covariance.shape}")
    if not np.allclose(covariance, covariance.T) or not (np.linalg.eigvalsh(covariance) > 0).all():
        raise ValueError("covariance must be symmetric and positive definite")
    dim = len(covariance)
    root = math.exp(np.linalg.slogdet(covariance)[1] / dim)
    return 2 * math.pi * root * ((dim + 2) / dim) ** ((dim + 2) / 2)


def quantization_error(
    n_atoms: SupportsIndex,
    dim: SupportsIndex | None = None,
    max_density: SupportsFloat = 1.0,
    p: SupportsFloat = 2,
    *,
    law: AbstractGridMeasure | None = None,
) -> float:
    """A lower bound on W_p between a law with a density and any law on N points, at every N.

    For a density of at most M it is `(d / (d+p))^(1/p) (M N kappa_d)^(-1/d)`; kappa_d is the volume of the unit ball of
    R^d. Proven for every such law on R^d, every N >= 1 and p >= 1: N balls of radius r have mass at most M N kappa_d
    r^d, and what is outside travels further than r. Attained by the uniform law on an interval, where it is
    1/(sqrt(12) N) for p = 2. For a law that is far from uniform it can be far too small: given as `law`, a measure on a
    grid, its balls hold at most the mass of its densest cells of the same volume (see `zador` for the right constant as
    N grows). Theory, section 10.

    **Arguments:**

    - `n_atoms`: N >= 1, of any size. `dim`: d >= 1. `p`: the order.
    - `max_density`: M, a bound on the density with respect to volume (1 for the uniform law on the unit cube).
    - `law`: a grid measure, in place of `dim` and `max_density`.

    **Returns:** a W_p, in units of length. To the points that a grid measure was made from: less their W_p to it, at
        most `data_bound(points, law, p)`.

    **Raises:** `ValueError` for N or dim < 1, M <= 0 or p < 1, and for a dim or density beside a law; `TypeError` for
    sizes that are not integers and a law that is not on a grid.

    **Example:**

        >>> import jaxgen as jg
        >>> round(jg.limits.quantization_error(100, 1, p=1), 6)  # 1 / (4 N)
        0.0025
        >>> uneven = jg.GridMeasure.from_histogram([0.9, 0.1])  # density 1.8, then 0.2
        >>> round(jg.limits.quantization_error(100, p=1, law=uneven), 6), round(1 / (4 * 100 * 1.8), 6)
        (0.0015, 0.001389)
    """
    n_atoms, p = whole_number(n_atoms, "n_atoms", 1), transport_order(p)
    return distance_from(-math.inf, math.log(n_atoms), target(dim, max_density, law), p)


def samples(
    n: SupportsIndex,
    dim: SupportsIndex | None = None,
    max_density: SupportsFloat = 1.0,
    p: SupportsFloat = 2,
    *,
    law: AbstractGridMeasure | None = None,
) -> float:
    """A lower bound on W_p between a law with a density and n samples: the best they can give.

    The empirical law has at most n atoms, so this is `quantization_error`: proven for whatever points, drawn or chosen,
    of order n^(-1/d). For points drawn at random it is of the right order for d > 2p; for smaller d their error is
    larger, of order n^(-1/2) for p = 1 and d = 1, and this bound does not say so. Theory, section 10.

    **Arguments, Returns, Raises:** as `quantization_error`.

    **Example:**

        >>> import jaxgen as jg
        >>> round(jg.limits.samples(1000, 3, p=1), 6)
        0.046526
    """
    return quantization_error(whole_number(n, "n", 1), dim, max_density, p, law=law)
