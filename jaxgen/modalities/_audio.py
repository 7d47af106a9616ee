"""Sound: WAV."""

import dataclasses
import os
import wave
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from .._checks import whole_number
from .._io import replacing
from ._modality import AbstractModality, Box, level_box, points_of, to_levels


@dataclasses.dataclass(frozen=True)
class Audio(AbstractModality):
    """Sounds of one length: `samples` amplitudes, `rate` of them a second, of [-1, 1) in an even number of `levels`.

    Amplitude x is level `(1 + x) levels / 2`, so that silence is a level. A file is a mono WAV of all sounds, one
    after another: 8 bits for up to 256 levels, else 16.

    **Example:**

        >>> from jaxgen.modalities import Audio
        >>> modality = Audio(samples=3, levels=4)
        >>> modality.restore(modality.points([[-1.0, 0.1, 0.4]])).tolist()
        [[-1.0, 0.0, 0.5]]
    """

    samples: int
    rate: int = 8000
    levels: int = 256
    suffixes: ClassVar[tuple[str, ...]] = (".wav",)

    def __post_init__(self):
        for name, least in (("samples", 1), ("rate", 1), ("levels", 2)):
            object.__setattr__(self, name, whole_number(getattr(self, name), name, least))
        if self.levels % 2 or self.levels > 1 << 16:
            raise ValueError(f"levels must be even and at most 2**16; got {self.levels}")

    @property
    def dim(self) -> int:
        return self.samples

    @property
    def box(self) -> Box:
        return level_box(self.levels)

    def points(self, stack: Any) -> Float[np.ndarray, "n d"]:
        """`stack`: `(n, samples)` amplitudes of [-1, 1], rounded to the nearest level."""
        stack = points_of(stack, self.samples)
        if np.abs(stack).max() > 1:
            raise ValueError(f"stack must hold amplitudes from -1 to 1; the largest is {np.abs(stack).max():g}")
        half = self.levels // 2
        return np.minimum(np.floor(half * (1 + stack) + 0.5), self.levels - 1)

    def restore(self, points: Any) -> Float[np.ndarray, "n samples"]:
        """`(n, samples)` amplitudes of [-1, 1)."""
        half = self.levels // 2
        return to_levels(points, self.dim, self.levels) / half - 1

    def write(self, path: str | os.PathLike, points: Any) -> None:
        amplitudes = self.restore(points).reshape(-1)
        # Eight bits are unsigned in a WAV file, sixteen are signed.
        width = 1 if self.levels <= 256 else 2
        data = (128 * (1 + amplitudes)).astype("u1") if width == 1 else (32768 * amplitudes).astype("<i2")
        with replacing(path, self.suffixes) as draft, wave.open(str(draft), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(width)
            file.setframerate(self.rate)
            file.writeframes(data.tobytes())

    def draw(self, axes: Any, thing: Any) -> None:
        """The spectrogram: time runs right, frequency up."""
        window = max(2, min(256, self.samples // 2))
        axes.specgram(
            np.asarray(thing) + 1e-9 * np.cos(np.arange(self.samples)),
            NFFT=window,
            noverlap=window // 2,
            Fs=self.rate,
            cmap="magma",
            vmin=-90,
            vmax=-30,
        )
        axes.set_axis_off()
