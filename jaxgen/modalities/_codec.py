"""Generators that take prompts, in files: the modality and the descriptions in JSON, and then the generator."""

from typing import Any

from ..coding import Input, Output, read_object, register, write_object
from ..generators import AbstractGenerator
from ._prompted import PromptedGenerator


def _write(out: Output, prompted: PromptedGenerator, **options: Any) -> None:
    """`options` are those of the generator."""
    out.json(prompted.metadata)
    write_object(out, prompted.generator, **options)


def _read(data: Input) -> PromptedGenerator:
    """The same in version 1, whose metadata stood elsewhere."""
    metadata, generator = data.json(), read_object(data)
    if not isinstance(generator, AbstractGenerator):
        raise TypeError(f"metadata of a generator stand before a {type(generator).__name__}")
    return PromptedGenerator.from_parts(generator, metadata)


register(PromptedGenerator, 6, _write, _read)
