"""`jaxgen build`: a generator of points, in a file."""

import pathlib
from collections.abc import Callable

import click
import numpy as np

from .._checks import TooFewBits
from ..coding import code_length, save
from ..comparison import default_resolution
from ..data import Dataset
from ..generators import CurveGenerator
from ..measures import AbstractMeasure, GridMeasure, TreeMeasure
from ..rate import quantize
from ._inspect import describe
from ._options import PATH, show, takes_data


@click.command("build")
@takes_data
@click.option("-o", "--out", required=True, type=PATH, help="File to write: NAME.jaxgen")
@click.option("--bits", type=float, help="Budget for the whole file; by default the exact counts on a grid.")
@click.option("--error", type=float, help="W_1 to the points that is allowed, in their units: the fewest bits for it.")
@click.option("--resolution", type=int, help="Cells an axis, without --bits and --error.")
@click.option("--extra-levels", type=int, default=3, show_default=True, help="Levels of the curve inside a leaf.")
def build_command(
    dataset: Dataset,
    out: pathlib.Path,
    bits: float | None,
    error: float | None,
    resolution: int | None,
    extra_levels: int,
) -> None:
    """Build a generator of DATA (by default the US airports): the best in at most so many bits, or for an error."""
    if sum(value is not None for value in (bits, error, resolution)) > 1:
        raise ValueError("bits, error and resolution each say how fine the law is: give one of them")
    if error is not None:
        if dataset.labels is not None:
            raise ValueError("error takes no labels: give bits, or resolution, or no label")
        measure = quantize(dataset.points, error=error)
    elif bits is not None:
        measure = _within(lambda budget: _of_bits(dataset, budget), bits, extra_levels)
    else:
        cells = default_resolution(dataset.points.shape[1]) if resolution is None else resolution
        measure = GridMeasure.from_samples(dataset.points, cells, labels=dataset.labels)
    generator = CurveGenerator(measure, extra_levels)
    save(out, generator)
    show(describe(generator, dataset.points))
    click.echo(f"\nwritten: {out}")


def _of_bits(dataset: Dataset, bits: float) -> AbstractMeasure:
    if dataset.labels is not None:
        return TreeMeasure.from_samples(dataset.points, bits, labels=dataset.labels)
    return quantize(dataset.points, bits)


def _within(make: Callable[[float], AbstractMeasure], bits: float, extra_levels: int) -> AbstractMeasure:
    """The measure whose generator takes at most so many bits: some more than the measure itself."""

    def more(measure: AbstractMeasure) -> int:
        return code_length(CurveGenerator(measure, extra_levels)) - code_length(measure)

    # As many more as of any small measure; a longer one states its length in a byte or two more.
    around = more(GridMeasure.from_histogram(np.ones(2)).quantize(2))
    try:
        measure = make(max(bits - around, 1.0))
        while code_length(measure) + more(measure) > bits:
            measure = make(bits - more(measure))
        return measure
    except TooFewBits as error:
        raise TooFewBits(bits, error.least + around) from error
