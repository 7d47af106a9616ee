"""What several commands read and show in the same way."""

import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from ..data import Dataset, airports, load_points

INTERRUPTED = 130
PATH = click.Path(path_type=pathlib.Path)

seed_option = click.option("--seed", type=int, default=0, show_default=True)
progress_option = click.option("--no-progress", is_flag=True, help="No progress bars.")


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument DATA and the options that say how to read it."""
    for decorate in (
        click.option("--label", help="Column of labels: the generators are then conditional."),
        click.option("--columns", callback=_names, help="Columns of a table to use: name,name,..."),
        click.argument("data", required=False),
    ):
        command = decorate(command)
    return command


def read_data(data: str | None, columns: Sequence[str] | None, label: str | None) -> Dataset:
    """The points of a file, by default the US airports."""
    return airports(label) if data is None else load_points(data, columns, label)


def numbers(_context: object, _parameter: object, value: str | None) -> tuple[int, ...] | None:
    """A list of integers such as 16,64."""
    try:
        return None if value is None else tuple(int(n) for n in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of integers such as 16,64") from None


def show(rows: Iterable[tuple[str, str]]) -> None:
    """Prints rows in two columns."""
    from tabulate import tabulate

    click.echo(tabulate(list(rows), tablefmt="plain", disable_numparse=True))


def _names(_context: object, _parameter: object, value: str | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(name.strip() for name in value.split(","))
