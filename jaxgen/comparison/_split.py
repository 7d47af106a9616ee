"""The data of a comparison, checked and split into halves."""

import dataclasses
import os
import pathlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from .._checks import finite_points
from ..data import Dataset, airports, load_points

_LEAST = 20


class Split(NamedTuple):
    """Two halves of the data, and how many points were left out as no training point has their label."""

    train: Dataset
    test: Dataset
    left_out: int


def as_dataset(data: object, labels: Iterable[object] | None) -> Dataset:
    """Points, a file or a `Dataset` as a `Dataset` of float64 points; `labels` take the place of its own."""
    if data is None:
        data = airports()
    elif isinstance(data, str | os.PathLike):
        data = load_points(pathlib.Path(data))
    elif not isinstance(data, Dataset):
        points = finite_points(data, "data")
        data = Dataset("data", points, tuple(f"x{k}" for k in range(points.shape[1])))
    points = finite_points(data.points, "data").astype(np.float64)
    labels = data.labels if labels is None else labels
    return dataclasses.replace(data, points=points, labels=None if labels is None else _checked(labels, len(points)))


def _checked(labels: Iterable[object], count: int) -> tuple[str | int, ...]:
    plain: tuple[Any, ...] = tuple(label.item() if isinstance(label, np.generic) else label for label in labels)
    if not any(all(isinstance(label, kind) for label in plain) for kind in (str, int)):
        raise TypeError("labels must be all strings or all integers")
    if len(plain) != count:
        raise ValueError(f"labels must hold one label a point, {count}; got {len(plain)}")
    return plain


def halves(data: Dataset, seed: int) -> Split:
    """A random half to build from, a half to measure with, and how many points the second half had to leave out.

    Those are the points whose label no point of the first half has. Raises `ValueError` for fewer than 20 points, and
    where no label is in both halves.
    """
    count = len(data.points)
    if count < _LEAST:
        raise ValueError(f"data must hold at least {_LEAST} points, to be split into two halves; got {count}")
    order = np.random.default_rng(seed).permutation(count)
    train, rest = _part(data, order[: count // 2]), order[count // 2 :]
    if data.labels is None or train.labels is None:
        return Split(train, _part(data, rest), 0)
    known = set(train.labels)
    seen = np.array([i for i in rest if data.labels[i] in known], int)
    if not len(seen):
        raise ValueError(
            "no label of the held-out half of the data occurs in the other half, from which the generators are "
            "built; labels must repeat"
        )
    return Split(train, _part(data, seen), len(rest) - len(seen))


def _part(data: Dataset, rows: np.ndarray) -> Dataset:
    labels = None if data.labels is None else tuple(data.labels[i] for i in rows)
    return dataclasses.replace(data, points=data.points[rows], labels=labels)
