"""Measures that are built while a function is traced: their cells are known, and their masses and boxes are not."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._checks import Numbers, is_traced
from ._abstract_grid import label_fields


def traced_masses(masses: Numbers, m: int) -> Float[Array, " m"]:
    """Masses over their sum, with a runtime error where they are none; those of zero are kept, as shapes must be.

    **Raises:** `ValueError` for a wrong shape.
    """
    weights = jnp.asarray(masses, jnp.result_type(float))
    if weights.shape != (m,):
        raise ValueError(f"masses must have shape ({m},), one entry each; got {weights.shape}")
    wrong = ~jnp.all(jnp.isfinite(weights) & (weights >= 0)) | ~(weights.sum() > 0)
    weights = eqx.error_if(weights, wrong, "masses must be finite, nonnegative and not all zero")
    return weights / weights.sum()


def traced_leaves(low_corners, sides, masses, labels, vocabulary):
    """The fields of leaves, label by label; see `LeafMeasure`."""
    corners, lengths = (
        jnp.asarray(array, jnp.result_type(float)) if is_traced(array) else np.asarray(array, np.float64)
        for array in (low_corners, sides)
    )
    corners = corners[:, None] if corners.ndim == 1 else corners
    if corners.ndim != 2 or 0 in corners.shape:
        raise ValueError(f"low_corners must have shape (m, d), or (m,) for d = 1; got {corners.shape}")
    lengths = lengths[:, None] if lengths.shape == corners.shape[:1] else lengths
    if lengths.shape not in ((), corners.shape[1:], corners.shape):
        raise ValueError(f"sides must have shape {corners.shape}, like low_corners; got {lengths.shape}")
    if is_traced(lengths):
        lengths = jnp.broadcast_to(lengths, corners.shape)
    else:
        lengths = np.broadcast_to(lengths, corners.shape)
    weights = traced_masses(masses, len(corners))
    wrong = ~jnp.all(jnp.isfinite(lengths) & (lengths >= 0)) | ~jnp.all(jnp.isfinite(corners))
    weights = eqx.error_if(weights, wrong, "low_corners and sides must be finite, and sides not negative")
    codes, names = label_fields(labels, vocabulary, len(corners))
    if codes is None:
        return corners, lengths, weights, None, names
    order: Int[np.ndarray, " m"] = np.argsort(codes, kind="stable")
    return corners[order], lengths[order], weights[order], codes[order], names
