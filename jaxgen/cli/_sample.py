"""`jaxgen sample`: points of a saved generator, in a file."""

import itertools
import pathlib
from collections.abc import Iterator
from typing import Any

import click
import jax.random as jr
import numpy as np

from .._io import replacing
from ..coding import load
from ..generators import AbstractGenerator
from ..modalities import PromptedGenerator
from ._options import PATH, progress_option, seed_option

# Points drawn and written at a time.
_CHUNK = 1 << 16


@click.command("sample")
@click.argument("file", type=PATH)
@click.option("-n", "count", required=True, type=click.IntRange(1), help="How many points.")
@click.option("-o", "--out", required=True, type=PATH, help=".npy or .csv file to write.")
@click.option("--condition", help="A label.")
@seed_option
@progress_option
def sample_command(
    file: pathlib.Path, count: int, out: pathlib.Path, condition: str | int | None, seed: int, no_progress: bool
) -> None:
    """Draw points from the generator in FILE."""
    from tqdm import tqdm

    generator = load(file)
    if isinstance(generator, PromptedGenerator):
        generator = generator.generator
    if not isinstance(generator, AbstractGenerator):
        raise ValueError(f"{file} holds a {type(generator).__name__}, which is a measure; build a generator of it")
    if isinstance(condition, str) and generator.vocabulary and isinstance(generator.vocabulary[0], int):
        condition = int(condition) if condition.lstrip("-").isdigit() else condition
    chunks = generator.stream(jr.key(seed), count, condition, chunk_size=_CHUNK)
    with (
        replacing(out, (".npy", ".csv")) as draft,
        tqdm(total=count, unit="point", unit_scale=True, desc="sampling", disable=no_progress) as bar,
    ):
        write = _write_npy if draft.suffix.lower() == ".npy" else _write_csv
        for written in write(draft, map(np.asarray, chunks), count, generator.dim):
            bar.update(written)
    click.echo(f"written: {out}")


def _write_npy(path: pathlib.Path, chunks: Iterator[Any], n: int, dim: int) -> Iterator[int]:
    """Writes the chunks, and says how many points each held."""
    first = next(chunks)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=first.dtype, shape=(n, dim))
    at = 0
    for chunk in itertools.chain([first], chunks):
        out[at : at + len(chunk)] = chunk
        at += len(chunk)
        yield len(chunk)
    out.flush()


def _write_csv(path: pathlib.Path, chunks: Iterator[Any], n: int, dim: int) -> Iterator[int]:
    """Writes the chunks, with nine digits, which say every float32."""
    with path.open("w", encoding="utf-8") as out:
        out.write(",".join(f"x{k}" for k in range(dim)) + "\n")
        for chunk in chunks:
            np.savetxt(out, chunk, fmt="%.9g", delimiter=",")
            yield len(chunk)
