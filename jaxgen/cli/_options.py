"""What several commands read and show in the same way."""

import functools
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from ..data import airports, load_points

INTERRUPTED = 130
PATH = click.Path(path_type=pathlib.Path)

seed_option = click.option("--seed", type=int, default=0, show_default=True)
progress_option = click.option("--no-progress", is_flag=True, help="No progress bars.")


def takes_data(command: Callable[..., None]) -> Callable[..., None]:
    """The argument DATA, by default the US airports, and the options that say how to read it, as `dataset`."""

    @click.argument("data", required=False)
    @click.option("--columns", callback=_names, help="Columns of a table to use: name,name,...")
    @click.option("--label", help="Column of labels: the generators are then conditional.")
    @functools.wraps(command)
    def read(data: str | None, columns: Sequence[str] | None, label: str | None, **options: Any) -> None:
        command(airports(label) if data is None else load_points(data, columns, label), **options)

    return read


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
