"""Points with the names of their coordinates."""

import dataclasses

import numpy as np
from jaxtyping import Shaped


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Points, the names of their coordinates, and a label a point if there are labels.

    **Arguments:**

    - `name`: what the data are called in titles.
    - `points`: `(n, d)`, real numbers.
    - `columns`: d names, one a coordinate.
    - `labels`: n of them, all strings or all integers, or `None`.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.data import Dataset
        >>> Dataset("two points", np.zeros((2, 1)), ("x",), labels=("a", "b")).labels
        ('a', 'b')
    """

    name: str
    points: Shaped[np.ndarray, "n d"]
    columns: tuple[str, ...]
    labels: tuple[str | int, ...] | None = None
