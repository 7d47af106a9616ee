"""Reading points: from NumPy files, tables and pictures."""

import os
import pathlib
import warnings
from collections.abc import Sequence
from typing import Any

import jax.random as jr
import numpy as np

from .._checks import finite_points
from ..measures import GridMeasure
from ._dataset import Dataset

_ARRAYS, _TABLES, _PICTURES = (".npy", ".npz"), (".csv", ".parquet"), (".png", ".jpg", ".jpeg")
# Points drawn from a picture, which is a density and has none of its own.
_PICTURE_POINTS = 8000


def load_points(
    path: str | os.PathLike[str], columns: Sequence[str] | None = None, label: str | None = None
) -> Dataset:
    """Points from a `.npy`, `.npz`, `.csv`, `.parquet` (with pyarrow), `.png` or `.jpg` file.

    An `.npz` holds its points under `points`, or as its only array beside the labels. A picture is a density on the
    plane (`GridMeasure.from_image`), from which 8000 points are drawn.

    **Arguments:**

    - `path`: the file.
    - `columns`: the columns of a table to use, by name; by default all numeric ones, with a warning that names the
      others.
    - `label`: the column of a table, or the array of an `.npz`, that holds the labels.

    **Returns:** a `Dataset` with the name of the file.

    **Raises:** `FileNotFoundError` for a missing file; `ValueError` for one that cannot be read, an unknown ending, an
    unknown column, a table without numeric columns, points that are not `(n, d)` or not finite, and labels that are not
    one a point; `TypeError` for points that are no real numbers.

    **Example:**

        >>> import pathlib, tempfile
        >>> import jaxgen as jg
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "places.csv"
        ...     _ = path.write_text("x,y,kind\\n0,1,a\\n2,3,b\\n")
        ...     data = jg.data.load_points(path, label="kind")
        >>> data.points.tolist(), data.columns, data.labels
        ([[0.0, 1.0], [2.0, 3.0]], ('x', 'y'), ('a', 'b'))
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}")
    kind = path.suffix.lower()
    if kind not in (*_ARRAYS, *_TABLES, *_PICTURES):
        raise ValueError(f"{path.name}: unknown ending {kind!r}; known are .npy, .npz, .csv, .parquet, .png and .jpg")
    if columns is not None and kind not in _TABLES:
        raise ValueError(f"columns are chosen by name in tables (.csv, .parquet); {path.name} is none")
    if kind in _PICTURES:
        if label is not None:
            raise ValueError(f"{path.name} is a picture, which has no label {label!r}")
        return Dataset(path.name, _from_picture(path), ("x", "y"))
    values, names, labels = _from_table(path, columns, label) if kind in _TABLES else _from_arrays(path, label)
    points = finite_points(values, f"the points of {path.name}")
    if labels is not None and len(labels) != len(points):
        raise ValueError(f"{path.name} holds {len(labels)} labels for {len(points)} points")
    return Dataset(path.name, points, names or tuple(f"x{k}" for k in range(points.shape[1])), labels)


def _from_picture(path: pathlib.Path) -> np.ndarray:
    try:
        return np.asarray(GridMeasure.from_image(path, resolution=None).sample(jr.key(0), _PICTURE_POINTS))
    except Exception as error:  # Pillow raises whatever the damage leads to
        raise ValueError(f"{path.name} cannot be read as a picture: {error}") from error


def _from_arrays(path: pathlib.Path, label: str | None) -> tuple[np.ndarray, tuple[str, ...], Any]:
    """The points and the labels; their coordinates have no names."""
    try:
        held = np.load(path, allow_pickle=False)
        arrays = {"points": held} if isinstance(held, np.ndarray) else {name: held[name] for name in held.files}
    except Exception as error:  # NumPy raises whatever the damage leads to
        raise ValueError(f"{path.name} cannot be read as a NumPy file: {error}") from error
    rest = [name for name in arrays if name != label]
    name = "points" if "points" in arrays else rest[0] if len(rest) == 1 else None
    if name is None:
        raise ValueError(f"{path.name} holds {sorted(arrays)}; store the points under the name 'points'")
    if label is not None and label not in arrays:
        raise ValueError(f"{path.name} holds no array {label!r}; it holds {sorted(arrays)}")
    return arrays[name], (), None if label is None else tuple(np.atleast_1d(arrays[label]).tolist())


def _from_table(
    path: pathlib.Path, columns: Sequence[str] | None, label: str | None
) -> tuple[np.ndarray, tuple[str, ...], tuple[str | int, ...] | None]:
    table = _read_table(path, label)
    for name in [*(columns or ()), *([] if label is None else [label])]:
        if name not in table.columns:
            raise ValueError(f"{path.name} has no column {name!r}; it has {', '.join(map(str, table.columns))}")
    numeric = [c for c in table.columns if table[c].dtype.kind in "iufb" and c != label]
    if columns is None:
        ignored = [str(c) for c in table.columns if c not in numeric and c != label]
        if not numeric:
            raise ValueError(f"{path.name} has no numeric column; it has {', '.join(map(str, table.columns))}")
        if ignored:
            warnings.warn(f"{path.name}: columns that are not numeric are ignored: {', '.join(ignored)}", stacklevel=3)
        columns = numeric
    elif wrong := [c for c in columns if c not in numeric]:
        raise ValueError(f"{path.name}: column {wrong[0]!r} is not numeric")
    labels = None if label is None else _labels(table[label].tolist())
    return table[list(columns)].to_numpy(np.float64), tuple(map(str, columns)), labels


def _read_table(path: pathlib.Path, label: str | None) -> Any:
    import pandas as pd

    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        table = pd.read_csv(path)
        if label in table.columns:
            # Labels are taken as they are written: pandas would read the label NA as a missing number.
            table[label] = pd.read_csv(path, usecols=[label], dtype=str, keep_default_na=False)[label]
        return table
    except ImportError as error:
        raise ValueError(f"{path.name}: reading it needs pyarrow (pip install pyarrow)") from error
    except Exception as error:  # parsers raise whatever the damage leads to
        raise ValueError(f"{path.name} cannot be read as a table: {error}") from error


def _labels(values: list[Any]) -> tuple[str | int, ...]:
    """Integers where all labels are whole numbers, else strings."""
    texts = [str(v) for v in values]
    whole = all(text.removeprefix("-").isdecimal() for text in texts)
    return tuple(int(text) if whole else text for text in texts)
