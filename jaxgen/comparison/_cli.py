"""The command line: a thin face on the library."""

import pathlib
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click
from tabulate import tabulate

from .. import __version__
from ..coding import load, save
from ..modalities import prompt_command
from ._compare import PRESETS, compare
from ._data import airports, load_points
from ._files import build, describe, write_samples

_INTERRUPTED = 130


class _Command(click.Group):
    """Errors of the library become one line on stderr; Ctrl-C exits with 130."""

    def main(self, *args: Any, **options: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = lambda message, *_, **__: click.echo(f"note: {message}", err=True)
                return super().main(*args, **{**options, "standalone_mode": False})
        except click.exceptions.Exit as stop:
            sys.exit(stop.exit_code)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted", err=True)
            sys.exit(_INTERRUPTED)
        except (ValueError, TypeError, OSError) as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(2)


@click.group(cls=_Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="jaxgen")
def main() -> None:
    """Explicit generative networks: one uniform number to any law, with proven error and known bits."""


def _names(_context, _parameter, value: str | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(name.strip() for name in value.split(","))


def _numbers(_context, _parameter, value: str | None) -> tuple[int, ...] | None:
    try:
        return None if value is None else tuple(int(n) for n in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of integers such as 16,64") from None


def _read(data: str | None, columns: Sequence[str] | None, label: str | None):
    return airports(label) if data is None else load_points(data, columns, label)


@main.command("compare")
@click.argument("data", required=False)
@click.option(
    "--out", type=click.Path(path_type=pathlib.Path), help="New folder for report.md, report.json, figure.png."
)
@click.option("--columns", callback=_names, help="Columns of a table to use: name,name,...")
@click.option("--label", help="Column of labels: conditional generators, label by label.")
@click.option("--image-shape", callback=_numbers, help="Show points as pictures: height,width")
@click.option("--resolution", type=int, help="Cells an axis of the grid.")
@click.option("--folds", type=int, default=6, show_default=True, help="Folds of the sawtooth generator.")
@click.option("--extra-levels", type=int, default=2, show_default=True, help="Levels of the Peano generator in a cell.")
@click.option("--widths", callback=_numbers, help="Widths of the trained networks: 16,64")
@click.option("--steps", type=int, help="Training steps.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--quick", "preset", flag_value="quick", help="Under 30 seconds.")
@click.option("--full", "preset", flag_value="full", help="The thorough one, without a time limit.")
@click.option("--no-progress", is_flag=True, help="No progress bars.")
def compare_command(data, out, columns, label, preset, no_progress, **options) -> None:
    """Compare generators on DATA (.npy, .npz, .csv, .parquet, .png, .jpg), by default the US airports."""
    folder = out if out is not None else _free_folder("jaxgen-report")
    if folder.exists():
        raise FileExistsError(f"{str(folder)!r} exists and is kept as it is; choose another --out folder")
    dataset = _read(data, columns, label)
    report = compare(dataset, preset=preset if preset in PRESETS else "default", progress=not no_progress, **options)
    click.echo(f"\n{report.title}\n\n{report.table('simple')}\n")
    if report.plane:
        click.echo(f"Bits needed for the same error:\n\n{report.bits_table('simple')}\n")
    for note in report.notes:
        click.echo(f"- {note}")
    report.save(folder)
    click.echo(f"\nReport and figure: {folder / 'report.md'}, {folder / 'figure.png'}")
    if report.interrupted:
        sys.exit(_INTERRUPTED)


def _free_folder(name: str) -> pathlib.Path:
    number = 1
    while (folder := pathlib.Path(name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder


@main.command("build")
@click.argument("data", required=False)
@click.option("-o", "--out", required=True, type=click.Path(path_type=pathlib.Path), help="File to write: NAME.jaxgen")
@click.option("--bits", type=float, help="Budget for the whole file; by default the exact counts on a grid.")
@click.option("--resolution", type=int, help="Cells an axis, without --bits.")
@click.option("--extra-levels", type=int, default=3, show_default=True, help="Levels of the curve inside a cell.")
@click.option("--columns", callback=_names, help="Columns of a table to use: name,name,...")
@click.option("--label", help="Column of labels, without --bits.")
def build_command(data, out, bits, resolution, extra_levels, columns, label) -> None:
    """Build a Peano generator of DATA (by default the US airports), in at most so many bits."""
    dataset = _read(data, columns, label)
    generator = build(dataset, bits, resolution, extra_levels)
    save(out, generator)
    _show(describe(generator, dataset.points))
    click.echo(f"\nwritten: {out}")


@main.command("inspect")
@click.argument("file", type=click.Path(path_type=pathlib.Path))
def inspect_command(file) -> None:
    """Say what FILE holds: depth, width, connectivity, bits against the limit, certificate."""
    _show(describe(load(file)))


@main.command("sample")
@click.argument("file", type=click.Path(path_type=pathlib.Path))
@click.option("-n", "count", required=True, type=click.IntRange(1), help="How many points.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=pathlib.Path), help=".npy or .csv file to write.")
@click.option("--condition", help="A label.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--no-progress", is_flag=True, help="No progress bar.")
def sample_command(file, count, out, condition, seed, no_progress) -> None:
    """Draw points from the generator in FILE."""
    generator = load(file)
    generator = getattr(generator, "generator", generator)
    if not hasattr(generator, "stream"):
        raise ValueError(f"{file} holds a {type(generator).__name__}, which is a measure; build a generator of it")
    if condition is not None and generator.vocabulary and isinstance(generator.vocabulary[0], int):
        condition = int(condition) if condition.lstrip("-").isdigit() else condition
    write_samples(generator, count, out, condition=condition, seed=seed, progress=not no_progress)
    click.echo(f"written: {out}")


main.add_command(prompt_command(load))


def _show(rows: list[tuple[str, str]]) -> None:
    click.echo(tabulate(rows, tablefmt="plain", disable_numparse=True))
