"""What a comparison found: a table, a figure, and files of both."""

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from .._io import new_folder
from ._ranking import bits, costs, sentences, weights
from ._records import Curves, Entry, Halves, Integrals, Limits
from ._settings import Settings

_LEAST = "least W1 of its size"
_HEADERS = (
    "generator", "source", "depth", "width", "weights", "bits", "W1 to its points", "certified", "W1 to held-out",
    _LEAST, "build s", "ns/sample",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Report:
    """The result of `compare`: what was found in plain sentences, a table, planes, and a figure.

    **Arguments:**

    - `title`, `columns`: the names of the data and of their coordinates.
    - `entries`: the explicit generators, each as a kernel and as a network, then the trained ones and the user's.
    - `halves`: how far the halves of the data are apart. `settings`: what was chosen.
    - `train`, `test`: `(n, d)`, the halves of the first split.
    - `rounded`: the trained networks with weights of fewer bits.
    - `notes`: what a reader must know beside the numbers.
    - `curves`, `limits`: error against depth, the curves themselves, and what no method can cross.
    - `integrals`: how fast integrals converge, for points of one uniform number and for Sobol points.
    - `image_shape`: (height, width) of points that are pictures.
    - `interrupted`: whether Ctrl-C ended it early.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.comparison import PRESETS, Entry, Halves, Report
        >>> entry = Entry("mine", "user", "mine", source_dim=1, bits=64, near=0.5, unseen=(1.2, 1.4))
        >>> point = np.zeros((1, 1))
        >>> report = Report("one point", ("x",), (entry,), Halves((1.0,)), PRESETS["quick"], point, point)
        >>> "1.3 ± 0.1" in report.table(), report.to_dict()["entries"][0]["near"]
        (True, 0.5)
    """

    title: str
    columns: tuple[str, ...]
    entries: tuple[Entry, ...]
    halves: Halves
    settings: Settings
    train: Float[np.ndarray, "n d"]
    test: Float[np.ndarray, "m d"]
    notes: tuple[str, ...] = ()
    rounded: tuple[Entry, ...] = ()
    curves: Curves = Curves()  # noqa: RUF009  (frozen, and so shared safely)
    limits: Limits = Limits()  # noqa: RUF009  (frozen, and so shared safely)
    integrals: Integrals = Integrals()  # noqa: RUF009  (frozen, and so shared safely)
    image_shape: tuple[int, int] | None = None
    interrupted: bool = False

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was won, by how much, and where another is better: in three sentences, or fewer.

        **Example:**

            >>> import numpy as np
            >>> from jaxgen.comparison import PRESETS, Entry, Halves, Report
            >>> one = Entry("a tree", "explicit", "tree", bits=512, near=0.5, unseen=(1.2, 1.4))
            >>> two = Entry("a net", "trained", "net", bits=9000, near=0.6, unseen=(1.3,))
            >>> points = np.zeros((20, 1))
            >>> report = Report("test", ("x",), (one, two), Halves((1.0, 1.2)), PRESETS["quick"], points, points)
            >>> report.sentences[0][:76]
            'Against the strongest of the others, explicit generators take 17.6 times few'
        """
        return tuple(sentences([*self.entries, *self.rounded], self.halves))

    def table(self, style: str = "github") -> str:
        """The table as text: a row a generator, distances to held-out points as mean ± standard deviation.

        `style` is a table format of `tabulate` ("github", "simple", "latex", ...).

        **Example:**

            >>> import numpy as np
            >>> from jaxgen.comparison import PRESETS, Entry, Halves, Report
            >>> halves, points = Halves((1.0, 1.2)), np.zeros((20, 1))
            >>> entry = Entry("mine", "user", "mine", source_dim=1, bits=512, near=0.5, unseen=(1.2, 1.4))
            >>> report = Report("test", ("x",), (entry,), halves, PRESETS["quick"], points, points)
            >>> [row.split()[0] for row in report.table("plain").splitlines()]
            ['generator', 'mine', 'halves']
        """
        rows = [_row(entry) for entry in self.entries if entry.failed is None]
        rows.append(["halves of the data", *[None] * 5, f"{self.halves.w1[0]:.3g}", None, str(self.halves.spread)])
        headers = list(_HEADERS)
        if not any(entry.limit for entry in self.entries):
            out = headers.index(_LEAST)
            rows, headers = [row[:out] + row[out + 1 :] for row in rows], headers[:out] + headers[out + 1 :]
        text = tabulated(rows, headers, style)
        failed = [f"- {entry.name}: {entry.failed}" for entry in self.entries if entry.failed is not None]
        text = "\n".join([text, "", "Not measured:", "", *failed]) if failed else text
        if not self.halves.per_label:
            return text
        lines = [(entry.name, entry.per_label) for entry in self.entries if entry.per_label]
        lines.append(("halves of the data", self.halves.per_label))
        rows = [[name, *[f"{error.w1:.3g}" for error in errors]] for name, errors in lines]
        names = ("generator", *[error.label for error in self.halves.per_label])
        return f"{text}\n\nW1 to held-out points, label by label:\n\n{tabulated(rows, names, style)}"

    def bits_table(self, style: str = "github") -> str:
        """Bits that each side needs for the same W1 to the given points, and how many times those of the cheapest.

        **Example:**

            >>> import numpy as np
            >>> from jaxgen.comparison import PRESETS, Entry, Halves, Report
            >>> one = Entry("a tree", "explicit", "tree", bits=300, near=1.0, unseen=(1.2,))
            >>> two = Entry("a net", "trained", "net", bits=900, near=1.0, unseen=(1.3,))
            >>> points = np.zeros((20, 1))
            >>> report = Report("test", ("x",), (one, two), Halves((1.0,)), PRESETS["quick"], points, points)
            >>> report.bits_table("plain").splitlines()[-1].split()
            ['1.02', '300', '(1.0x)', '900', '(3.0x)']
        """
        return _costs_table(costs([*self.entries, *self.rounded], bits), style)

    def weights_table(self, style: str = "github") -> str:
        """Nonzero weights that each side needs for the same W1 to the given points, as `bits_table`.

        **Example:**

            >>> import numpy as np
            >>> from jaxgen.comparison import PRESETS, Entry, Halves, Report
            >>> one = Entry("a tree", "network", "tree", connectivity=300, near=1.0, unseen=(1.2,))
            >>> points = np.zeros((20, 1))
            >>> report = Report("test", ("x",), (one,), Halves((1.0,)), PRESETS["quick"], points, points)
            >>> report.weights_table("plain").splitlines()[-1].split()
            ['1.02', '300', '(1.0x)']
        """
        return _costs_table(costs([*self.entries, *self.rounded], weights), style)

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draws the figure to a file (PNG, PDF, SVG, by its ending).

        **Example:**

            >>> import os, tempfile
            >>> import numpy as np
            >>> from jaxgen.comparison import PRESETS, Entry, Halves, Report
            >>> halves, points = Halves((1.0, 1.2)), np.zeros((20, 1))
            >>> entry = Entry("mine", "user", "mine", source_dim=1, bits=512, near=0.5, unseen=(1.2, 1.4))
            >>> report = Report("test", ("x",), (entry,), halves, PRESETS["quick"], points, points)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     report.plot(os.path.join(folder, "figure.svg"))
            ...     os.listdir(folder)
            ['figure.svg']
        """
        from ._figure import draw

        draw(self, path)

    def to_dict(self) -> dict[str, Any]:
        """All numbers of the report, ready for JSON; infinities and NaN become `None`.

        **Example:**

            >>> import numpy as np
            >>> from jaxgen.comparison import PRESETS, Entry, Halves, Report
            >>> halves, points = Halves((1.0, 1.2)), np.zeros((20, 1))
            >>> entry = Entry("mine", "user", "mine", source_dim=1, bits=512, near=0.5, unseen=(1.2, 1.4))
            >>> report = Report("test", ("x",), (entry,), halves, PRESETS["quick"], points, points)
            >>> report.to_dict()["entries"][0]["unseen"]
            [1.2, 1.4]
        """
        return _finite(dataclasses.asdict(self, dict_factory=_without_arrays))

    def markdown(self) -> str:
        """The report as a Markdown page.

        **Example:**

            >>> import numpy as np
            >>> from jaxgen.comparison import PRESETS, Entry, Halves, Report
            >>> halves, points = Halves((1.0, 1.2)), np.zeros((20, 1))
            >>> entry = Entry("mine", "user", "mine", source_dim=1, bits=512, near=0.5, unseen=(1.2, 1.4))
            >>> report = Report("test", ("x",), (entry,), halves, PRESETS["quick"], points, points)
            >>> report.markdown().splitlines()[0]
            '# test'
        """
        lines = [f"# {self.title}", "", *(f"{each}\n" for each in self.sentences), self.table(), ""]
        for what, table in (("Bits", self.bits_table()), ("Weights", self.weights_table())):
            if table:
                lines += [f"{what} needed for the same W1 to the given points:", "", table, ""]
        lines += [f"- {note}" for note in self.notes]
        return "\n".join([*lines, "", "![figure](figure.png)", ""])

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        return self.markdown().replace("\n![figure](figure.png)\n", "")

    def save(self, folder: str | os.PathLike[str]) -> pathlib.Path:
        """Writes `report.md`, `report.json` and `figure.png` to a new folder, all or nothing.

        Raises `FileExistsError` if the folder exists: nothing is overwritten.

        **Example:**

            >>> import os, tempfile
            >>> import numpy as np
            >>> from jaxgen.comparison import PRESETS, Entry, Halves, Report
            >>> halves, points = Halves((1.0, 1.2)), np.zeros((20, 1))
            >>> entry = Entry("mine", "user", "mine", source_dim=1, bits=512, near=0.5, unseen=(1.2, 1.4))
            >>> report = Report("test", ("x",), (entry,), halves, PRESETS["quick"], points, points)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     sorted(path.name for path in report.save(os.path.join(folder, "report")).iterdir())
            ['figure.png', 'report.json', 'report.md']
        """
        with new_folder(folder) as work:
            (work / "report.md").write_text(self.markdown(), encoding="utf-8")
            (work / "report.json").write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False), encoding="utf-8")
            self.plot(work / "figure.png")
        return pathlib.Path(folder)


def _row(entry: Entry) -> list[Any]:
    none = {absence.what: "none" for absence in entry.absent}
    size = [entry.depth, entry.width, entry.connectivity]
    return [
        entry.name,
        entry.source_dim,
        *[none.get("ReLU form") if number is None else number for number in size],
        none.get("code") if entry.bits is None else round(entry.bits),
        None if entry.near is None else f"{entry.near:.3g}",
        "none" if entry.to_points is None else f"{entry.to_points.w1:.3g}",
        None if entry.held_out is None else str(entry.held_out),
        "none" if entry.limit is None else f"{entry.limit:.2g}",
        None if entry.seconds is None else f"{entry.seconds:.1f}",
        None if entry.nanoseconds_per_sample is None else f"{entry.nanoseconds_per_sample:.0f}",
    ]


def _costs_table(rows: Iterable[tuple[float, dict[str, float | None]]], style: str) -> str:
    found = list(rows)
    if not found:
        return ""
    cells = []
    for target, paid in found:
        least = min(cost for cost in paid.values() if cost is not None)
        cells.append([f"{target:.3g}", *["-" if c is None else f"{c:.0f} ({c / least:.1f}x)" for c in paid.values()]])
    return tabulated(cells, ("W1 at most", *found[0][1]), style)


def tabulated(rows: list[list[Any]], headers: Sequence[str], style: str) -> str:
    """A table as text, its cells as they are."""
    from tabulate import tabulate

    return tabulate(rows, headers, tablefmt=style, disable_numparse=True, missingval="")


def _without_arrays(items: list[tuple[str, Any]]) -> dict[str, Any]:
    # Points and paths are for the figure.
    return {name: value for name, value in items if name != "paths" and not isinstance(value, np.ndarray)}


def _finite(value: Any) -> Any:
    """The same with lists in place of tuples, as JSON has them, and `None` in place of NaN and infinities."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
