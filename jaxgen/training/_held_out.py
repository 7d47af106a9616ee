"""Data that are not trained on: those that the best state is chosen by."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from .._checks import real_number
from ._batches import curve_order, data_batch
from ._target import Target, check_data, check_labels

# Held-out points that a look takes at most, if batches are not larger.
_MOST = 1024
# Numbers no step has, to draw what is drawn once.
_SPLIT, _CHOICE = 0x7FFFFFFE, 0x7FFFFFFF


class Data(NamedTuple):
    """Points, and the positions of their labels, if there are any."""

    points: Float[np.ndarray, "n d"]
    codes: Int[np.ndarray, " n"] | None

    def at(self, chosen: Int[np.ndarray, " some"]) -> "Data":
        """Some of them."""
        return Data(self.points[chosen], None if self.codes is None else self.codes[chosen])


def split_off(
    data: Data, validation: Any, key: PRNGKeyArray, vocabulary: tuple[str | int, ...] | None
) -> tuple[Data, Data | None]:
    """The data to train on, and those held out: a share of the data, or points that `validation` gives.

    A share is one point in each of so many equal stretches of the curve through the data, label by label.

    **Raises:** `ValueError` for a share that is not between 0 and 1 or leaves nothing on one side, for points that do
    not fit, and where labels are missing.
    """
    if validation is None:
        return data, None
    if isinstance(validation, int | float | np.number | str):
        share, n = real_number(validation, "validation"), len(data.points)
        if not 0 < share < 1:
            raise ValueError(f"validation, a share of the data, must lie between 0 and 1; got {validation}")
        size = round(share * n)
        if not 0 < size < n:
            raise ValueError(f"validation={share:g} of {n} points leaves {n - size} to train on and {size} held out")
        order = curve_order(*data)
        held = np.unique(np.asarray(data_batch(jr.fold_in(key, _SPLIT), n, size)))
        return data.at(np.sort(np.delete(order, held))), data.at(np.sort(order[held]))
    points, labels = validation if vocabulary is not None and isinstance(validation, tuple) else (validation, None)
    if vocabulary is not None and labels is None:
        raise ValueError("the generator is conditional: give validation=(points, labels), or a share")
    points = check_data(points, data.points.shape[1], "validation")
    return data, Data(points, check_labels(labels, vocabulary, len(points)))


def held_out_target(held: Data, target: Target, key: PRNGKeyArray, batch_size: int) -> Target:
    """The held-out points that a look takes, in the units of those that are trained on."""
    held = held.at(curve_order(*held))
    most = max(batch_size, _MOST)
    if len(held.points) > most:
        held = held.at(np.asarray(data_batch(jr.fold_in(key, _CHOICE), len(held.points), most)))
    center, unit = np.asarray(target.center, np.float64), float(target.unit)
    codes = None if held.codes is None else jnp.asarray(held.codes, jnp.int32)
    return target._replace(points=jnp.asarray((held.points - center) / unit, jnp.result_type(float)), codes=codes)
