"""`jaxgen distance`: how far apart two laws are."""

import pathlib
from typing import Any

import click

from ..data import load_points
from ..distances import law_distance
from ._options import PATH, show


@click.command("distance")
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@click.option("-p", "order", type=click.FloatRange(1), default=1, show_default=True, help="The order of W_p.")
@click.option("-n", "count", type=click.IntRange(2), default=8192, show_default=True, help="Source values a law.")
@click.option("--condition", help="A label.")
def distance_command(a: pathlib.Path, b: pathlib.Path, order: float, count: int, condition: str | None) -> None:
    """W_p between the laws in A and B, each a .jaxgen file or a file of points."""
    found = law_distance(_law(a), _law(b), order, count, condition)
    rows = [(f"W{order:g}", f"{found.value:.6g}")]
    if found.low < found.high:
        rows.append(
            ("proven bounds", f"{found.low:.6g} to {found.high:.6g}, too many pairs of points to solve exactly")
        )
    if found.discretisation:
        rows.append(("discretisation", f"about {found.discretisation:.2g}, an estimate, by {found.n} source values"))
    show(rows)


def _law(path: pathlib.Path) -> Any:
    return path if path.suffix == ".jaxgen" else load_points(path).points
