"""The command: a prompt in, a file out."""

import pathlib
from collections.abc import Callable
from typing import Any

import click
import jax.random as jr

from ._data import DATA_SETS, example
from ._prompted import PromptedGenerator


def answer(generator: PromptedGenerator, text: str, n: int, out: str | pathlib.Path, seed: int) -> str:
    """Writes `n` answers to the prompt `text` into the file `out`, and says what was done, line by line."""
    weights = generator.prompt(text)
    described = generator.descriptions
    generator.write(out, jr.key(seed), n, weights)
    chosen = [
        f"  {weight:6.1%}  {label}" + (f"  ({described[label]})" if described[label] else "")
        for label, weight in weights.items()
    ]
    bits = generator.generator.source_bits
    sources = generator.generator.source_dim
    numbers = "one number" if sources == 1 else f"{sources} numbers"
    return "\n".join(
        [f"labels chosen for {text!r}:", *chosen, f"{n} samples, each from {numbers} of {bits} bits, in {out}"]
    )


def prompt_command(load: Callable[[str], Any] | None = None) -> click.Command:
    """The command `prompt`; with `load`, which reads a generator from a file, it has an option `--file`."""

    @click.command("prompt")
    @click.argument("text")
    @click.option("--modality", type=click.Choice([*DATA_SETS]), default="images", show_default=True)
    @click.option("-n", "count", type=click.IntRange(1, 10**6), default=16, show_default=True, help="How many samples.")
    @click.option("-o", "--out", required=True, type=click.Path(dir_okay=False), help=".png, .wav, .gif, .txt or .csv.")
    @click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
    def prompt(text, modality, count, out, seed, file=None):
        """Ask a generator for TEXT, as in "handwritten seven" or "a map of Alaska and Hawaii".

        The generator is the exact one of a data set that is made on the spot: digits, plucked strings, digits in
        motion, lines of text, or airports.
        """
        try:
            generator = example(modality) if file is None or load is None else load(file)
            if not isinstance(generator, PromptedGenerator):
                raise ValueError(f"{file!r} holds a {type(generator).__name__}, which takes no prompts in words")
            click.echo(answer(generator, text, count, out, seed))
        except (ValueError, ImportError, OSError) as error:
            raise click.ClickException(str(error)) from error

    if load is not None:
        option = click.option("--file", type=click.Path(exists=True), help="A saved generator, in place of an example.")
        prompt = option(prompt)
    return prompt


prompt = prompt_command()
