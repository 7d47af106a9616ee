"""`jaxgen prompt`: words in, a file out."""

import pathlib

import click
import jax.random as jr

from ..coding import load
from ..modalities import DATA_SETS, PromptedGenerator, example


@click.command("prompt")
@click.argument("text")
@click.option("--modality", type=click.Choice([*DATA_SETS]), default="images", show_default=True)
@click.option("--file", type=click.Path(exists=True), help="A saved generator, in place of an example.")
@click.option("-n", "count", type=click.IntRange(1, 10**6), default=16, show_default=True, help="How many samples.")
@click.option("-o", "--out", required=True, type=click.Path(dir_okay=False), help=".png, .wav, .gif, .txt or .csv.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
def prompt_command(text: str, modality: str, file: str | None, count: int, out: str, seed: int) -> None:
    """Ask a generator for TEXT, as in "handwritten seven" or "a map of Alaska and Hawaii".

    The generator is the exact one of a data set that is made on the spot: digits, plucked strings, digits in motion,
    lines of text, or airports.
    """
    generator = example(modality) if file is None else load(file)
    if not isinstance(generator, PromptedGenerator):
        raise ValueError(f"{file!r} holds a {type(generator).__name__}, which takes no prompts in words")
    weights = generator.prompt(text)
    generator.write(pathlib.Path(out), jr.key(seed), count, weights)
    click.echo(f"labels chosen for {text!r}:")
    for label, weight in weights.items():
        described = generator.descriptions[label]
        click.echo(f"  {weight:6.1%}  {label}" + (f"  ({described})" if described else ""))
    sources = generator.generator.source_dim
    numbers = "one number" if sources == 1 else f"{sources} numbers"
    click.echo(f"{count} samples, each from {numbers} of {generator.generator.source_bits} bits, in {out}")
