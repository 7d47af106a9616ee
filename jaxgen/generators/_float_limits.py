"""What is said where a float type is too coarse for a law: for its points, and for its network (theory, section 9)."""

import math
import warnings
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from .._checks import require_numbers

if TYPE_CHECKING:
    from ._explicit import AbstractExplicitGenerator

# Of a law that the construction does not change, floats should show a leaf to so many parts.
_PARTS = 1024


def warn_of_points(generator: "AbstractExplicitGenerator") -> None:
    """Warns where placing points in floats costs more than all the rest that a certificate counts.

    Where a construction costs nothing (one coordinate, independent uniforms, a codebook), the rest is counted as one
    part in 1,024 of a leaf, were the leaves to fill the box.
    """
    measure = generator.measure
    floats, filling = measure.float_error()[1], generator.filling()[1]
    rest = filling + sum(w2 for name, (_, w2) in measure.record.bounds.items() if name not in ("points", "law"))
    if not filling:
        sides = np.asarray(measure.high, np.float64) - np.asarray(measure.low, np.float64)  # pyright: ignore[reportAttributeAccessIssue]
        rest = max(rest, float(np.linalg.norm(sides)) * measure.size ** (-1 / measure.dim) / _PARTS)
    if floats <= rest:
        return
    dtype, near = jnp.result_type(float), measure.float_error(relative=True)[1]
    remedies = []
    if near <= max(rest, floats / 4):
        remedies.append(
            f"sample(..., relative=True) gives points relative to the corner `measure.low` (off by {near:.2g}), to be "
            "added in float64"
        )
    remedies += ["jax.enable_x64(True) computes in float64"] if dtype == jnp.float32 else []
    remedies += [f"fewer {levels_of(generator)[0]} ask for no more than floats hold"] if filling and near > rest else []
    warnings.warn(
        f"points in {dtype} are off by up to {floats:.2g} here, and all else that the certificate counts is {rest:.2g}:"
        f" {'; '.join(remedies) or 'no type of JAX holds them better'}.",
        UserWarning,
        stacklevel=5,
    )


def warn_of_network(generator: "AbstractExplicitGenerator") -> None:
    """Warns where the float type of a network has fewer bits than resolve the law, and names what would fit."""
    require_numbers(generator, "a network")
    dtype, needed = jnp.result_type(float), generator.float_bits
    bits = int(jnp.finfo(dtype).nmant) + 1
    if needed <= bits:
        return
    fits = [f"{wide} ({most} bits, under jax.enable_x64(True))" for wide, most in (("float64", 53),) if needed <= most]
    name, levels = levels_of(generator)
    if levels and needed - generator.position_bits <= bits:
        most = math.floor((bits - needed + generator.position_bits) * levels / generator.position_bits)
        fits.append(f"{name}={most}")
    warnings.warn(
        f"the network is in {dtype}, which holds {bits} bits, but {needed} bits are needed to resolve the law: the "
        f"last digits of its points are lost. What fits: {' or '.join(fits) or 'no float, but `sample` does'}.",
        UserWarning,
        stacklevel=4,
    )


def levels_of(generator: "AbstractExplicitGenerator") -> tuple[str, int]:
    """What a generator calls the levels inside a leaf, and how many it has."""
    for name in ("extra_levels", "folds"):
        if hasattr(generator, name):
            return name, int(getattr(generator, name))
    return "levels", 0
