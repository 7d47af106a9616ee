"""Pictures and moving pictures: PNG and GIF."""

import dataclasses
import math
import os
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int, UInt8

from .._checks import whole_number
from .._io import replacing
from ._modality import AbstractModality, Box, level_box, picture_shape, to_levels, to_points

# Small pictures are enlarged by a whole factor, so that their shorter side takes at least this many pixels.
_SHOWN = 64
_LEVELS = 256  # that a byte of a file holds
_GAP = 96  # brightness between pictures


@dataclasses.dataclass(frozen=True)
class Images(AbstractModality):
    """Pictures of one size. `shape` is (height, width) or (height, width, 3), `levels` the brightnesses: 0 is black.

    A file is a PNG of all pictures side by side, row by row.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.modalities import Images
        >>> modality = Images((2, 2), levels=4)
        >>> modality.points(np.array([[[0, 1], [2, 3]]])).tolist()
        [[0.0, 1.0, 2.0, 3.0]]
        >>> modality.restore([[0.2, 1.4, -7.0, 9.0]]).tolist()
        [[[0, 1], [0, 3]]]
    """

    shape: tuple[int, ...]
    levels: int = 256
    suffixes: ClassVar[tuple[str, ...]] = (".png",)

    def __post_init__(self):
        object.__setattr__(self, "shape", picture_shape(self.shape))
        object.__setattr__(self, "levels", whole_number(self.levels, "levels", 2, _LEVELS))

    @property
    def dim(self) -> int:
        return math.prod(self.shape)

    @property
    def box(self) -> Box:
        return level_box(self.levels)

    def points(self, stack: Any) -> Float[np.ndarray, "n d"]:
        """`stack`: `(n, *shape)` whole numbers from 0 to levels - 1."""
        return to_points(stack, self.shape, self.levels, "stack")

    def restore(self, points: Any) -> Int[np.ndarray, "n ..."]:
        """`(n, *shape)` whole numbers from 0 to levels - 1."""
        return to_levels(points, self.dim, self.levels).reshape(-1, *self.shape)

    def write(self, path: str | os.PathLike, points: Any) -> None:
        from PIL import Image

        sheet = tile(_bytes(self.restore(points), self.levels), len(self.shape) == 3)
        with replacing(path, self.suffixes) as draft:
            Image.fromarray(sheet).save(draft, format="PNG")

    def draw(self, axes: Any, thing: Any) -> None:
        axes.imshow(_bytes(thing, self.levels), cmap="gray", vmin=0, vmax=255)
        axes.set_axis_off()


@dataclasses.dataclass(frozen=True)
class Video(AbstractModality):
    """Clips of one size: `frames` pictures of `shape` and `levels`, as in `Images`, `rate` of them a second.

    A file is a GIF of all clips side by side. GIF keeps time in hundredths of a second, and at most 256 colours a
    picture: shades of grey exactly, colours nearly.

    **Example:**

        >>> from jaxgen.modalities import Video
        >>> Video((8, 8), frames=12).dim
        768
    """

    shape: tuple[int, ...]
    frames: int
    rate: float | int = 10.0
    levels: int = 256
    suffixes: ClassVar[tuple[str, ...]] = (".gif",)

    def __post_init__(self):
        object.__setattr__(self, "shape", picture_shape(self.shape))
        object.__setattr__(self, "frames", whole_number(self.frames, "frames", 1))
        object.__setattr__(self, "levels", whole_number(self.levels, "levels", 2, _LEVELS))
        if not 0 < self.rate <= 100:
            raise ValueError(f"rate, in frames a second, must lie between 0 and 100; got {self.rate}")
        object.__setattr__(self, "rate", float(self.rate))

    @property
    def dim(self) -> int:
        return self.frames * math.prod(self.shape)

    @property
    def box(self) -> Box:
        return level_box(self.levels)

    def points(self, stack: Any) -> Float[np.ndarray, "n d"]:
        """`stack`: `(n, frames, *shape)` whole numbers from 0 to levels - 1."""
        return to_points(stack, (self.frames, *self.shape), self.levels, "stack")

    def restore(self, points: Any) -> Int[np.ndarray, "n frames ..."]:
        """`(n, frames, *shape)` whole numbers from 0 to levels - 1."""
        return to_levels(points, self.dim, self.levels).reshape(-1, self.frames, *self.shape)

    def write(self, path: str | os.PathLike, points: Any) -> None:
        from PIL import Image

        clips = _bytes(self.restore(points), self.levels)
        sheets = [Image.fromarray(tile(clips[:, t], len(self.shape) == 3)) for t in range(self.frames)]
        duration = 10 * max(1, round(100 / self.rate))
        with replacing(path, self.suffixes) as draft:
            sheets[0].save(
                draft, format="GIF", save_all=True, append_images=sheets[1:], duration=duration, loop=0, optimize=False
            )

    def draw(self, axes: Any, thing: Any) -> None:
        """Four frames, to be read like a page."""
        shown = np.unique(np.linspace(0, self.frames - 1, min(self.frames, 4)).round().astype(int))
        strip = _bytes(np.asarray(thing)[shown], self.levels)
        axes.imshow(tile(strip, len(self.shape) == 3), cmap="gray", vmin=0, vmax=255)
        axes.set_axis_off()


def _bytes(stack: Int[np.ndarray, "..."], levels: int) -> UInt8[np.ndarray, "..."]:
    """Levels as brightness from 0 to 255: one to one, and whole numbers."""
    return np.rint(np.asarray(stack) * (255 / (levels - 1))).astype(np.uint8)


def tile(stack: UInt8[np.ndarray, "n h w ..."], color: bool) -> UInt8[np.ndarray, "..."]:
    """Pictures on one sheet, row by row, nearly square, enlarged by a whole factor, a gap of two pixels between."""
    n, h, w = stack.shape[:3]
    zoom = -(-_SHOWN // min(h, w)) if min(h, w) < _SHOWN else 1
    columns = math.ceil(math.sqrt(n))
    rows = -(-n // columns)
    gap = 2
    sheet = np.full((rows * (h * zoom + gap) - gap, columns * (w * zoom + gap) - gap, *([3] * color)), _GAP, np.uint8)
    for i, picture in enumerate(stack):
        y, x = (i // columns) * (h * zoom + gap), (i % columns) * (w * zoom + gap)
        sheet[y : y + h * zoom, x : x + w * zoom] = picture.repeat(zoom, 0).repeat(zoom, 1)
    return sheet
