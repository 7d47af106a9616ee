"""The units of coordinates: as they come, or standard deviations."""

import dataclasses
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from ..data import Dataset
from ..distances import SourceMap, law_points
from ..generators import AbstractGenerator
from ..measures import AbstractMeasure, LeafMeasure
from ._wrap import Wrapped

# A coordinate that many times narrower than another has hardly a part in distances.
_UNITS_APART = 10
SCALES = ("std",)


def units_of(data: Dataset, scale: str | None) -> Float[np.ndarray, " d"] | None:
    """What the coordinates are to be divided by; `None` for nothing.

    **Raises:** `ValueError` for an unknown scale.
    """
    if scale is None:
        return None
    if scale not in SCALES:
        raise ValueError(f"scale must be None or one of {', '.join(SCALES)}; got {scale!r}")
    spread = np.std(data.points, axis=0, dtype=np.float64)
    return np.where(spread > 0, spread, 1.0)


def divided(data: Dataset, unit: Float[np.ndarray, " d"]) -> Dataset:
    """The data with coordinates divided by their units, and named so."""
    names = tuple(f"{column} / {value:.3g}" for column, value in zip(data.columns, unit, strict=True))
    return dataclasses.replace(data, points=data.points / unit, columns=names)


def in_units(model: Wrapped, unit: Float[np.ndarray, " d"], n: int) -> Wrapped:
    """A model of the data as they come, its points divided by units; a law without weights is n points of it.

    What it says of its own error is in the units of the data, and is left out.
    """
    law, generator = model.law, model.generator
    measure = law if isinstance(law, AbstractMeasure) else getattr(generator, "measure", None)
    if isinstance(law, SourceMap):
        law = dataclasses.replace(
            law, law=lambda u: np.asarray(model.law(u)) / unit,  # pyright: ignore[reportCallIssue]
            many=lambda u: model.law.many(u).reshape(len(u), -1) / unit,  # pyright: ignore[reportAttributeAccessIssue]
        )  # fmt: skip
    elif isinstance(measure, AbstractMeasure) and (law is measure or not np.any(np.asarray(measure.sides))):
        corners, sides = measure._host_centers() - measure.sides / 2, np.asarray(measure.sides)  # pyright: ignore[reportAttributeAccessIssue]
        law = LeafMeasure(corners / unit, sides / unit, measure._weights().astype(np.float64))
    elif isinstance(law, AbstractGenerator):
        law = law_points(law, n) / unit
    elif law is not None:
        law = np.asarray(law) / unit
    return dataclasses.replace(
        model,
        draw=lambda key, count, condition: model.sample(key, count, condition) / unit,
        law=None if model.vocabulary else law,
        own_units=False,
    )


def units(train: Dataset, unit: Float[np.ndarray, " d"] | None = None) -> Iterator[str]:
    """What distances are in: where they are all but those of some coordinates, or in units of their own."""
    if unit is not None:
        yield (
            "Coordinates are divided by their standard deviations, as their names say: distances, certificates and "
            "limits are in these units."
        )
        return
    spread = sorted(zip(np.std(train.points, axis=0, dtype=np.float64).tolist(), train.columns, strict=True))
    (least, short), (most, long) = next((each for each in spread if each[0] > 0), spread[0]), spread[-1]
    if most > _UNITS_APART * least > 0:
        yield (
            f"Distances take coordinates in the units they come in: the standard deviation of {long} ({most:.3g}) is "
            f'{most / least:.3g} times that of {short} ({least:.3g}), of which W1 sees little. `scale="std"` takes '
            "standard deviations for units."
        )
