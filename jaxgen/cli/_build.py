"""`jaxgen build`: a generator of points, in a file."""

import pathlib

import click

from ..coding import code_length, save
from ..comparison import default_resolution
from ..data import Dataset
from ..generators import PeanoGenerator
from ..measures import GridMeasure
from ..rate import quantize
from ._inspect import describe
from ._options import PATH, show, takes_data


@click.command("build")
@takes_data
@click.option("-o", "--out", required=True, type=PATH, help="File to write: NAME.jaxgen")
@click.option("--bits", type=float, help="Budget for the whole file; by default the exact counts on a grid.")
@click.option("--resolution", type=int, help="Cells an axis, without --bits.")
@click.option("--extra-levels", type=int, default=3, show_default=True, help="Levels of the curve inside a cell.")
def build_command(
    dataset: Dataset, out: pathlib.Path, bits: float | None, resolution: int | None, extra_levels: int
) -> None:
    """Build a Peano generator of DATA (by default the US airports), in at most so many bits."""
    if bits is None:
        generator = _of_counts(dataset, resolution, extra_levels)
    elif resolution is not None or dataset.labels is not None:
        raise ValueError("bits chooses the resolution, and takes no labels: give either bits, or resolution and label")
    else:
        generator = _for_budget(dataset, bits, extra_levels)
    save(out, generator)
    show(describe(generator, dataset.points))
    click.echo(f"\nwritten: {out}")


def _of_counts(dataset: Dataset, resolution: int | None, extra_levels: int) -> PeanoGenerator:
    """The generator of the exact counts on a grid."""
    cells = default_resolution(dataset.points.shape[1]) if resolution is None else resolution
    return PeanoGenerator(GridMeasure.from_samples(dataset.points, cells, labels=dataset.labels), extra_levels)


def _for_budget(dataset: Dataset, bits: float, extra_levels: int) -> PeanoGenerator:
    """The generator of `quantize`, whose file takes at most so many bits."""
    generator = PeanoGenerator(quantize(dataset.points, bits), extra_levels)
    if code_length(generator) <= bits:
        return generator
    # A generator takes a byte or two more than its measure, whatever the measure.
    more = code_length(generator) - code_length(generator.measure)
    try:
        return PeanoGenerator(quantize(dataset.points, bits - more), extra_levels)
    except ValueError as error:
        raise ValueError(f"bits={bits:g} is too small a budget; {code_length(generator)} bits are enough") from error
