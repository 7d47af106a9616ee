"""How far a law is from thin sets: the mass outside of a neighborhood of bounded volume (theory, section 10)."""

import math
from typing import NamedTuple, SupportsFloat, SupportsIndex

import numpy as np
from jaxtyping import Float

from .._checks import positive_number, whole_number
from ..measures import AbstractGridMeasure


class Target(NamedTuple):
    """What is known of a law: the largest mass on any set of given volume, the densest parts first.

    - `masses`: `(m,)`, descending: no set of j volumes of `exp(log_volume)` has more than the first j together.
    - `dim`: of the law; coordinates that do not vary are left out.
    """

    dim: int
    log_volume: float
    masses: Float[np.ndarray, " m"]


def target(dim: SupportsIndex | None, max_density: SupportsFloat, law: AbstractGridMeasure | None) -> Target:
    """A law with density at most `max_density` on R^dim, or a grid measure. Raises for both, and for neither."""
    if law is None:
        if dim is None:
            raise ValueError("dim is missing: give dim (and max_density), or a grid measure as law")
        dim, density = whole_number(dim, "dim", 1), positive_number(max_density, "max_density")
        return Target(dim, -math.log(density), np.ones(1))
    if not isinstance(law, AbstractGridMeasure):
        raise TypeError(f"law must be a measure on a grid, whose cells do not overlap; got {type(law).__name__}")
    if dim is not None and whole_number(dim, "dim", 1) != law.dim:
        raise ValueError(f"dim is {dim}, but the law has dimension {law.dim}: leave dim out")
    if positive_number(max_density, "max_density") != 1:
        raise ValueError("max_density is for laws that are not given: leave it out beside law")
    sides = cell_sides(law)
    varying = sides > 0
    # A cell may be there once a label.
    _, cell = np.unique(np.asarray(law.cells), axis=0, return_inverse=True)
    masses = np.bincount(cell.ravel(), np.asarray(law.masses, np.float64))
    masses = np.sort(masses)[::-1] / masses.sum()
    return Target(int(varying.sum()), float(np.log(sides[varying]).sum()), masses)


def cell_sides(law: AbstractGridMeasure) -> Float[np.ndarray, " d"]:
    """The sides of a cell, in float64."""
    return (np.asarray(law.high, np.float64) - np.asarray(law.low, np.float64)) / np.asarray(law.resolution)


def log_ball_volume(dim: int) -> float:
    """ln of the volume of the unit ball of R^dim; of a point, 1, for dim = 0."""
    return dim / 2 * math.log(math.pi) - math.lgamma(dim / 2 + 1)


def distance_from(log_length: float, log_points: float, law: Target, p: float) -> float:
    """A lower bound on W_p between a law and any law on `points` curves of total length `length`, both by logarithm.

    `W_p^p >= integral_0^1 r(m)^p dm`, where within r(m) of the curves, a set of volume at most
    `V(r) = kappa_{d-1} length r^(d-1) + kappa_d points r^d`, there is at most the mass m.
    """
    dim, log_volume, masses = law
    if dim == 0:
        return 0.0
    # In units of a cell: the radius within which there are at most j cells, by its logarithm.
    cells = np.arange(1.0, len(masses) + 1)
    tube = log_ball_volume(dim - 1) + log_length - log_volume
    ball = log_ball_volume(dim) + log_points - log_volume
    if dim == 1:
        with np.errstate(divide="ignore"):
            log_radius = np.log(np.maximum(cells - math.exp(min(tube, 700.0)), 0)) - ball
    else:
        # ln V is convex in ln r with a slope between d - 1 and d: from above, Newton's steps square the error.
        log_radius = np.minimum((np.log(cells) - tube) / (dim - 1), (np.log(cells) - ball) / dim)
        for _ in range(6):
            parts = tube + (dim - 1) * log_radius, ball + dim * log_radius
            slope = dim - 1 / (1 + np.exp(np.clip(parts[1] - parts[0], -700, 700)))
            log_radius = log_radius - (np.logaddexp(*parts) - np.log(cells)) / slope
    unit = log_radius[-1]
    if unit == -math.inf:
        return 0.0
    # The integral of r^p dV up to each radius; the mass of a cell times what its volume adds to it.
    outer = np.exp(np.minimum(ball + dim * log_radius, np.log(cells)))
    inner = cells - outer if dim > 1 else np.zeros(len(cells))
    moment = np.exp(p * (log_radius - unit)) * (inner * (dim - 1) / (dim - 1 + p) + outer * dim / (dim + p))
    mean = float(masses @ np.diff(moment, prepend=0.0))
    return math.exp(min(unit + math.log(mean) / p, 709.0)) if mean > 0 else 0.0
