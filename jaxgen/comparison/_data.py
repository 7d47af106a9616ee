"""Reading points: from NumPy files, tables and pictures."""

import dataclasses
import pathlib
import warnings
from collections.abc import Sequence

import jax.random as jr
import numpy as np
import pandas as pd

from .. import modalities
from .._checks import finite_points as check_points
from ..measures import GridMeasure

_TABLES = {".csv": pd.read_csv, ".parquet": pd.read_parquet}
_PICTURES = {".png", ".jpg", ".jpeg"}
# Points drawn from a picture, which is a density and has none of its own.
_PICTURE_POINTS = 8000


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Points `(N, d)`, the names of their coordinates, and a label a point if there are labels."""

    name: str
    points: np.ndarray
    columns: tuple[str, ...]
    labels: tuple[str | int, ...] | None = None


def airports(label: str | None = None) -> Dataset:
    """The 3376 airports of the United States (longitude and latitude, degrees); public domain.

    `label="state"` keeps the state of each as its label. Raises `ValueError` for another label.
    """
    if label not in (None, "state"):
        raise ValueError(f"the airports have no labels {label!r}; they have 'state'")
    points, labels, *_ = modalities.airports()
    return Dataset("US airports", points, ("longitude", "latitude"), None if label is None else tuple(labels))


def load_points(path: str | pathlib.Path, columns: Sequence[str] | None = None, label: str | None = None) -> Dataset:
    """Points from a `.npy`, `.npz`, `.csv`, `.parquet` (with pyarrow), `.png` or `.jpg` file.

    - `columns`: the columns of a table to use, by name; by default all numeric ones, with a warning that names the
      others. `label`: the column (or the array of an `.npz`) that holds labels.
    - An `.npz` holds its points under `points`, or as its only array. A picture is a density on the plane
      (`GridMeasure.from_image`), from which 8000 points are drawn.

    Raises `FileNotFoundError` for a missing file, and `ValueError` for one that cannot be read, an unknown ending, an
    unknown column, a table without numeric columns, points that are no `(N, d)` finite numbers (`TypeError` where they
    are no numbers), and labels that are not one a point.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}")
    kind = path.suffix.lower()
    if kind not in (".npy", ".npz", *_TABLES, *_PICTURES):
        raise ValueError(f"{path.name}: unknown ending {kind!r}; known are .npy, .npz, .csv, .parquet, .png and .jpg")
    if columns is not None and kind not in _TABLES:
        raise ValueError(f"columns are chosen by name in tables (.csv, .parquet); {path.name} is none")
    if label is not None and kind in _PICTURES:
        raise ValueError(f"{path.name} is a picture, which has no label {label!r}")
    if kind in _PICTURES:
        try:
            points = np.asarray(GridMeasure.from_image(path, resolution=None).sample(jr.key(0), _PICTURE_POINTS))
        except Exception as error:  # Pillow raises whatever the damage leads to
            raise ValueError(f"{path.name} cannot be read as a picture: {error}") from error
        return Dataset(path.name, points, ("x", "y"))
    dataset = _from_table(path, kind, columns, label) if kind in _TABLES else _from_arrays(path, label)
    points = check_points(dataset.points, f"the points of {path.name}")
    if dataset.labels is not None and len(dataset.labels) != len(points):
        raise ValueError(f"{path.name} holds {len(dataset.labels)} labels for {len(points)} points")
    return dataset


def _from_arrays(path, label) -> Dataset:
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
    points = arrays[name]
    points = points[:, None] if points.ndim == 1 else points
    columns = tuple(f"x{k}" for k in range(points.shape[-1])) if points.ndim == 2 else ()
    return Dataset(path.name, points, columns, None if label is None else tuple(np.atleast_1d(arrays[label]).tolist()))


def _from_table(path, kind, columns, label) -> Dataset:
    try:
        table = _TABLES[kind](path)
        if kind == ".csv" and label in table.columns:
            # Labels are taken as they are written: pandas would read the label NA as a missing number.
            table[label] = pd.read_csv(path, usecols=[label], dtype=str, keep_default_na=False)[label]
    except ImportError as error:
        raise ValueError(f"{path.name}: reading {kind} needs pyarrow (pip install pyarrow)") from error
    except Exception as error:  # parsers raise whatever the damage leads to
        raise ValueError(f"{path.name} cannot be read as {kind}: {error}") from error
    for name in [*(columns or ()), *([label] if label is not None else [])]:
        if name not in table.columns:
            raise ValueError(f"{path.name} has no column {name!r}; it has {', '.join(map(str, table.columns))}")
    if columns is None:
        numeric = [c for c in table.columns if pd.api.types.is_numeric_dtype(table[c]) and c != label]
        ignored = [str(c) for c in table.columns if c not in numeric and c != label]
        if not numeric:
            raise ValueError(f"{path.name} has no numeric column; it has {', '.join(map(str, table.columns))}")
        if ignored:
            warnings.warn(f"{path.name}: columns that are not numeric are ignored: {', '.join(ignored)}", stacklevel=3)
        columns = numeric
    else:
        wrong = [c for c in columns if not pd.api.types.is_numeric_dtype(table[c])]
        if wrong:
            raise ValueError(f"{path.name}: column {wrong[0]!r} is not numeric")
    labels = None if label is None else _labels(table[label].tolist())
    return Dataset(path.name, table[list(columns)].to_numpy(np.float64), tuple(map(str, columns)), labels)


def _labels(values: list) -> tuple[str | int, ...]:
    """Integers where all labels are whole numbers, else strings."""
    texts = [str(v) for v in values]
    whole = all(text.removeprefix("-").isdecimal() for text in texts)
    return tuple(int(text) if whole else text for text in texts)
