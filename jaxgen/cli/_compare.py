"""`jaxgen compare`: generators side by side, in a table and a folder."""

import pathlib
import sys
from typing import Any

import click
from click.core import ParameterSource

from ..comparison import compare, compare_suite
from ..data import Dataset
from ._options import INTERRUPTED, PATH, numbers, progress_option, seed_option, takes_data

_WITH_SUITE = ("suite", "out", "seed", "quick", "no_progress")


@click.command("compare")
@takes_data
@click.option("--out", type=PATH, help="New folder for report.md, report.json, figure.png.")
@click.option("--image-shape", callback=numbers, help="Show points as pictures: height,width")
@click.option("--resolution", type=int, help="Cells an axis of the grid.")
@click.option("--folds", type=int, default=6, show_default=True, help="Folds of the sawtooth generator.")
@click.option("--extra-levels", type=int, default=2, show_default=True, help="Levels of the Peano generator in a cell.")
@click.option("--widths", callback=numbers, help="Widths of the trained networks: 16,64")
@click.option("--steps", type=int, help="Training steps.")
@click.option("--scale", type=click.Choice(["std"]), help="Divide each coordinate by its standard deviation.")
@seed_option
@click.option("--quick", is_flag=True, help="The shortest: small networks, few splits.")
@click.option("--full", is_flag=True, help="Many networks, seeds and budgets: hours, as it says first.")
@click.option(
    "--suite", is_flag=True, help="In place of DATA: laws whose truth is known, and the factor to the limits."
)
@progress_option
def compare_command(
    dataset: Dataset, out: pathlib.Path | None, quick: bool, full: bool, suite: bool, no_progress: bool, **options: Any
) -> None:
    """Compare generators on DATA (.npy, .npz, .csv, .parquet, .png, .jpg), by default the US airports."""
    if suite:
        _only_with_suite()
    folder = _free_folder("jaxgen-suite" if suite else "jaxgen-report") if out is None else out
    if folder.exists():
        raise FileExistsError(f"{str(folder)!r} exists and is kept as it is; choose another --out folder")
    if quick and full:
        raise click.UsageError("choose one of --quick and --full")
    if suite:
        found = compare_suite(seed=options["seed"], preset="quick" if quick else "default", progress=not no_progress)
        click.echo(f"\n{found.markdown('simple')}")
        found.save(folder)
        click.echo(f"Report: {folder / 'suite.md'}, {folder / 'suite.json'}")
        return
    preset = "quick" if quick else "full" if full else "default"
    report = compare(dataset, preset=preset, progress=not no_progress, **options)
    click.echo(f"\n{report.title}\n")
    for sentence in report.sentences:
        click.echo(f"{sentence}\n")
    click.echo(f"{report.table('simple')}\n")
    for what, table in (("Bits", report.bits_table("simple")), ("Weights", report.weights_table("simple"))):
        if table:
            click.echo(f"{what} needed for the same W1 to the given points:\n\n{table}\n")
    for note in report.notes:
        click.echo(f"- {note}")
    report.save(folder)
    click.echo(f"\nReport and figure: {folder / 'report.md'}, {folder / 'figure.png'}")
    if report.interrupted:
        sys.exit(INTERRUPTED)


def _only_with_suite() -> None:
    """Raises a usage error for what was given and says nothing about known laws."""
    context = click.get_current_context()
    given = [
        parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name
        for parameter in context.command.params
        if context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        and parameter.name not in _WITH_SUITE
    ]
    if given:
        raise click.UsageError(f"--suite is on laws of its own, and takes no {', '.join(given)}")


def _free_folder(name: str) -> pathlib.Path:
    number = 1
    while (folder := pathlib.Path(name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder
