"""The airports of the United States."""

import csv
import importlib.resources

import numpy as np

from ._dataset import Dataset

_COLUMNS = ("longitude", "latitude")


def airports(label: str | None = None) -> Dataset:
    """The 3376 airports of the United States, in degrees of longitude and latitude; public domain.

    **Arguments:**

    - `label`: `"state"` keeps the two letters of each airport's state as its label.

    **Returns:** a `Dataset` with points `(3376, 2)`.

    **Raises:** `ValueError` for another label.

    **Example:**

        >>> import jaxgen as jg
        >>> data = jg.data.airports("state")
        >>> data.points.shape, data.columns, data.labels[0]
        ((3376, 2), ('longitude', 'latitude'), 'MS')
    """
    if label not in (None, "state"):
        raise ValueError(f"the airports have no labels {label!r}; they have 'state'")
    text = importlib.resources.files("jaxgen").joinpath("data/us_airports.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    points = np.array([[float(row[name]) for name in _COLUMNS] for row in rows])
    return Dataset("US airports", points, _COLUMNS, None if label is None else tuple(row[label] for row in rows))
