"""What a modality is: the way from things a person can open to points, and back."""

import abc
import dataclasses
import os
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from .._checks import finite_points, whole_number


class Box(NamedTuple):
    """The grid that a modality's points live on: the arguments of `GridMeasure.from_samples` of the same names.

    **Example:**

        >>> from jaxgen.modalities import Images
        >>> Images((2, 2), levels=17).box
        Box(low=-0.5, high=16.5, resolution=17)
    """

    low: float | tuple[float, ...]
    high: float | tuple[float, ...]
    resolution: int | tuple[int, ...]


class AbstractModality(abc.ABC):
    """Things of one kind as points of R^`dim`, and points as things in a file; a frozen dataclass.

    Whatever has finitely many levels (grey values, 8-bit amplitudes, characters) is a point of whole coordinates
    0, 1, ..., levels - 1, each the centre of a cell of side 1 of `box`; so a generator of that grid gives the things
    themselves back, exactly, whatever it does inside a cell.

    **Example:**

        >>> from jaxgen.modalities import Text
        >>> modality = Text.of(["no", "yes"])
        >>> points = modality.points(["yes", "no"])
        >>> points.shape, modality.restore(points)
        ((2, 3), ['yes', 'no'])
    """

    suffixes: ClassVar[tuple[str, ...]]

    @property
    @abc.abstractmethod
    def dim(self) -> int:
        """Dimension of the points.

        **Example:**

            >>> from jaxgen.modalities import Text
            >>> modality = Text.of(["no", "yes"])
            >>> modality.dim
            3
        """

    @property
    @abc.abstractmethod
    def box(self) -> Box:
        """The grid on which nothing of a thing is lost.

        **Example:**

            >>> from jaxgen.modalities import Text
            >>> modality = Text.of(["no", "yes"])
            >>> modality.box  # four letters, and the end
            Box(low=-0.5, high=5.5, resolution=6)
        """

    @abc.abstractmethod
    def points(self, stack: Any) -> Float[np.ndarray, "n d"]:
        """Things as points. Raises `ValueError` where a thing does not fit the modality.

        **Example:**

            >>> from jaxgen.modalities import Text
            >>> modality = Text.of(["no", "yes"])
            >>> modality.points(["no"]).tolist()
            [[2.0, 3.0, 0.0]]
        """

    @abc.abstractmethod
    def restore(self, points: Any) -> Any:
        """Points as things: each coordinate goes to its cell, those outside the box to the nearest one.

        Undoes `points` exactly. Raises `ValueError` for points of the wrong shape, NaN or infinity.

        **Example:**

            >>> from jaxgen.modalities import Text
            >>> modality = Text.of(["no", "yes"])
            >>> modality.restore([[2.2, 2.9, -1.0]])
            ['no']
        """

    @abc.abstractmethod
    def write(self, path: str | os.PathLike, points: Any) -> None:
        """Writes points into one file with a suffix of `suffixes`; an older file is replaced whole, at the end.

        Raises as `restore` does, `ValueError` for another suffix, and `FileNotFoundError` for a missing folder.

        **Example:**

            >>> import pathlib, tempfile
            >>> from jaxgen.modalities import Text
            >>> modality = Text.of(["no", "yes"])
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = pathlib.Path(folder, "answers.txt")
            ...     modality.write(path, modality.points(["yes", "no"]))
            ...     path.read_text().split()
            ['yes', 'no']
        """

    @abc.abstractmethod
    def draw(self, axes: Any, thing: Any) -> None:
        """Shows one thing, an element of what `restore` gives, on Matplotlib axes.

        **Example:**

            >>> from matplotlib.figure import Figure
            >>> from jaxgen.modalities import Text
            >>> modality = Text.of(["no", "yes"])
            >>> axes = Figure().add_subplot()
            >>> modality.draw(axes, "yes")
            >>> axes.texts[0].get_text()
            'yes'
        """

    def metadata(self) -> dict[str, Any]:
        """All of it in JSON's types; `modality_from_metadata` undoes it.

        **Example:**

            >>> from jaxgen.modalities import Text
            >>> modality = Text.of(["no", "yes"])
            >>> modality.metadata()
            {'kind': 'Text', 'alphabet': 'enosy', 'length': 3}
        """
        return {"kind": type(self).__name__, **dataclasses.asdict(self)}  # type: ignore[call-overload]  # every modality is a dataclass


def level_box(levels: int) -> Box:
    """The grid of whole coordinates 0 to levels - 1, in cells of side 1 about them."""
    return Box(-0.5, levels - 0.5, levels)


def to_points(stack: Any, shape: tuple[int, ...], levels: int, name: str) -> Float[np.ndarray, "n d"]:
    """A stack `(n, *shape)` of whole numbers of [0, levels) as points. Raises `ValueError` naming the argument."""
    stack = np.asarray(stack)
    if stack.shape[1:] != shape or stack.ndim == 0 or not len(stack):
        raise ValueError(f"{name} must have shape (n, {', '.join(map(str, shape))}) with n >= 1; got {stack.shape}")
    if stack.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers; got dtype {stack.dtype}")
    if not np.all((stack >= 0) & (stack < levels) & (stack == np.floor(stack))):
        raise ValueError(
            f"{name} must hold whole numbers from 0 to {levels - 1}, the levels; its values lie between "
            f"{stack.min()} and {stack.max()}. Scale and round them first."
        )
    return stack.reshape(len(stack), -1).astype(np.float64)


def points_of(points: Any, dim: int) -> Float[np.ndarray, "n d"]:
    """Points `(n, dim)` in float64. Raises `ValueError`."""
    found = finite_points(points).astype(np.float64)
    if found.shape[1] != dim or np.ndim(points) < 2:
        raise ValueError(f"points must have shape (n, {dim}) with n >= 1; got {np.shape(points)}")
    return found


def to_levels(points: Any, dim: int, levels: int) -> Int[np.ndarray, "n d"]:
    """The cell that each coordinate lies in, or the nearest one."""
    return np.clip(np.floor(points_of(points, dim) + 0.5), 0, levels - 1).astype(np.int64)


def picture_shape(shape: Any) -> tuple[int, ...]:
    """(height, width) or (height, width, 3)."""
    if not isinstance(shape, tuple) or len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] != 3):
        raise ValueError(f"shape must be (height, width) or (height, width, 3); got {shape!r}")
    return tuple(whole_number(n, "shape's sizes", 1) for n in shape)
