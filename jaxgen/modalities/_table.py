"""Rows of numbers: CSV, and a map where there are two columns."""

import dataclasses
import os
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from .._checks import whole_number
from .._io import replacing
from ._modality import AbstractModality, Box, points_of


@dataclasses.dataclass(frozen=True)
class Table(AbstractModality):
    """Rows of numbers, one for each of `columns`, from `low` to `high`, in `resolution` cells an axis.

    The points are the rows themselves. A file is a CSV, or a PNG with a dot a row where there are two columns.

    **Example:**

        >>> from jaxgen.modalities import Table
        >>> modality = Table(("x", "y"), (0.0, 0.0), (1.0, 2.0))
        >>> modality.restore([[0.5, 3.0]]).tolist()  # moved to the border of the box
        [[0.5, 2.0]]
    """

    columns: tuple[str, ...]
    low: tuple[float | int, ...]
    high: tuple[float | int, ...]
    resolution: int = 3**9
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".png")

    def __post_init__(self):
        object.__setattr__(self, "columns", tuple(map(str, self.columns)))
        for name in ("low", "high"):
            corner = tuple(float(x) for x in getattr(self, name))
            if len(corner) != len(self.columns) or not np.all(np.isfinite(corner)):
                raise ValueError(f"{name} must hold {len(self.columns)} finite numbers, one a column; got {corner}")
            object.__setattr__(self, name, corner)
        if not self.columns or not all(a < b for a, b in zip(self.low, self.high, strict=True)):
            raise ValueError(f"low must be below high on each of at least one column; got {self.low} and {self.high}")
        object.__setattr__(self, "resolution", whole_number(self.resolution, "resolution", 1))

    @property
    def dim(self) -> int:
        return len(self.columns)

    @property
    def box(self) -> Box:
        return Box(self.low, self.high, self.resolution)

    def points(self, stack: Any) -> Float[np.ndarray, "n d"]:
        """`stack`: `(n, columns)` finite numbers, which are the points."""
        return points_of(stack, self.dim)

    def restore(self, points: Any) -> Float[np.ndarray, "n d"]:
        """The points, those outside the box moved to its border."""
        return np.clip(points_of(points, self.dim), self.low, self.high)

    def write(self, path: str | os.PathLike, points: Any) -> None:
        rows = self.restore(points)
        with replacing(path, self.suffixes) as draft:
            if draft.suffix.lower() == ".csv":
                np.savetxt(draft, rows, "%.9g", ",", header=",".join(self.columns), comments="", encoding="utf-8")
                return
            from matplotlib.figure import Figure

            figure = Figure(figsize=(8, 5), layout="constrained")
            axes = figure.add_subplot()
            self._dots(axes, rows)
            axes.set(xlabel=self.columns[0], ylabel=self.columns[-1])
            figure.savefig(draft, dpi=150)

    def draw(self, axes: Any, thing: Any) -> None:
        self._dots(axes, np.asarray(thing)[None])
        axes.set(xticks=[], yticks=[], xlim=(self.low[0], self.high[0]), ylim=(self.low[-1], self.high[-1]))

    def _dots(self, axes, rows):
        if self.dim != 2:
            raise ValueError(f"a picture needs two columns; these are {', '.join(self.columns)}. Write a .csv file.")
        axes.scatter(*rows.T, s=max(2.0, min(12.0, 8000 / len(rows))), linewidths=0, color="tab:blue")
