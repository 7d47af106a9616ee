"""Text: UTF-8."""

import dataclasses
import os
import textwrap
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from .._checks import whole_number
from .._io import replacing
from ._modality import AbstractModality, Box, level_box, to_levels


@dataclasses.dataclass(frozen=True)
class Text(AbstractModality):
    """Texts of at most `length` characters, each in `alphabet`, a string without repetitions.

    Level 0 ends a text, and level k is character k of the alphabet. A file holds one text a line.

    **Example:**

        >>> from jaxgen.modalities import Text
        >>> modality = Text("ab", length=3)
        >>> modality.points(["ab"]).tolist(), modality.restore([[2.0, 1.2, 0.0]])
        ([[1.0, 2.0, 0.0]], ['ba'])
    """

    alphabet: str
    length: int
    suffixes: ClassVar[tuple[str, ...]] = (".txt",)

    def __post_init__(self):
        if not isinstance(self.alphabet, str) or not self.alphabet:
            raise ValueError(f"alphabet must be a string of at least one character; got {self.alphabet!r}")
        if len(set(self.alphabet)) < len(self.alphabet) or "\n" in self.alphabet:
            raise ValueError(f"alphabet must not repeat a character or hold a line break; got {self.alphabet!r}")
        object.__setattr__(self, "length", whole_number(self.length, "length", 1))

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Text":
        """The smallest that fits the given texts. Raises `ValueError` for no text at all.

        **Example:**

            >>> from jaxgen.modalities import Text
            >>> Text.of(["no", "yes"])
            Text(alphabet='enosy', length=3)
        """
        return cls("".join(sorted(set("".join(texts)))), max(map(len, texts), default=0))

    @property
    def dim(self) -> int:
        return self.length

    @property
    def box(self) -> Box:
        return level_box(len(self.alphabet) + 1)

    def points(self, stack: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """`stack`: strings of at most `length` characters of the alphabet."""
        stack = [stack] if isinstance(stack, str) else list(stack)
        if not stack:
            raise ValueError("stack holds no text")
        code = {character: k for k, character in enumerate(self.alphabet, 1)}
        out = np.zeros((len(stack), self.length))
        for row, text in zip(out, stack, strict=True):
            if unknown := set(text) - set(code):
                raise ValueError(f"{text!r} has characters that are not in the alphabet: {sorted(unknown)}")
            if len(text) > self.length:
                raise ValueError(f"texts must have at most {self.length} characters; got {len(text)}: {text!r}")
            row[: len(text)] = [code[character] for character in text]
        return out

    def restore(self, points: Any) -> list[str]:
        """Strings, each up to its first level 0."""
        signs = np.array(["\n", *self.alphabet])
        levels = to_levels(points, self.dim, len(signs))
        return ["".join(row).partition("\n")[0] for row in signs[levels]]

    def write(self, path: str | os.PathLike, points: Any) -> None:
        texts = self.restore(points)
        with replacing(path, self.suffixes) as draft:
            draft.write_bytes("".join(f"{text}\n" for text in texts).encode())

    def draw(self, axes: Any, thing: Any) -> None:
        text = "\n".join(textwrap.wrap(thing, 16)) or "(nothing)"
        axes.text(0.5, 0.5, text, ha="center", va="center", family="monospace", size=6.5, parse_math=False)
        axes.set_axis_off()
