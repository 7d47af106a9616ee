"""What a comparison found: a table, a figure, and files of both."""

import dataclasses
import json
import math
import os
import pathlib
from typing import Any

import numpy as np
from jaxtyping import Float

from .._io import new_folder
from ._records import Curves, Entry, Floor, Limits, PlanePoint
from ._settings import Settings

_HEADERS = (
    "generator", "source", "depth", "width", "weights", "bits", "W1 to held-out", "W2 to held-out", "certified W1, W2",
    "certified to its points", "least W1 of its size", "build s", "ns/sample",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Report:
    """The result of `compare`: an entry a generator, the floor, and what the figure is drawn from.

    **Arguments:**

    - `title`, `columns`: the names of the data and of their coordinates.
    - `entries`: one a generator, the explicit ones first, then the trained ones and the user's.
    - `floor`: what the training points themselves score. `settings`: what was chosen.
    - `train`, `test`: `(n, d)`, the two halves.
    - `notes`: what a reader must know beside the numbers.
    - `curves`, `plane`, `limits`: error against size, depth and bits, and what no method can cross.
    - `image_shape`: (height, width) of points that are pictures.
    - `interrupted`: whether Ctrl-C ended the training early.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.comparison import PRESETS, Entry, Floor, Report, Spread
        >>> entry = Entry("mine", "user", source_dim=1, bits=64, w1=Spread(1.234, 0.1))
        >>> floor, point = Floor(Spread(1.0, 0.1), Spread(1.2, 0.1)), np.zeros((1, 1))
        >>> report = Report("one point", ("x",), (entry,), floor, PRESETS["quick"], point, point)
        >>> "1.23 ± 0.1" in report.table(), report.to_dict()["entries"][0]["w1"]
        (True, [1.234, 0.1])
    """

    title: str
    columns: tuple[str, ...]
    entries: tuple[Entry, ...]
    floor: Floor
    settings: Settings
    train: Float[np.ndarray, "n d"]
    test: Float[np.ndarray, "m d"]
    notes: tuple[str, ...] = ()
    curves: Curves = Curves()  # noqa: RUF009  (frozen, and so shared safely)
    plane: tuple[PlanePoint, ...] = ()
    limits: Limits = Limits()  # noqa: RUF009  (frozen, and so shared safely)
    image_shape: tuple[int, int] | None = None
    interrupted: bool = False

    def table(self, style: str = "github") -> str:
        """The table as text: a row a generator, distances as mean ± standard deviation over the repeats.

        `style` is a table format of `tabulate` ("github", "simple", "latex", ...).

        **Example:**

            >>> import numpy as np
            >>> from jaxgen.comparison import PRESETS, Entry, Floor, PlanePoint, Report, Spread
            >>> floor, points = Floor(Spread(1.0, 0.1), Spread(1.5, 0.1)), np.zeros((20, 1))
            >>> entry = Entry("mine", "user", source_dim=1, bits=512, w1=Spread(1.2, 0.1), w2=Spread(1.9, 0.2))
            >>> report = Report("test", ("x",), (entry,), floor, PRESETS["quick"], points, points)
            >>> [row.split()[0] for row in report.table("plain").splitlines()]
            ['generator', 'mine', 'two-sample']
        """
        rows = [_row(entry) for entry in self.entries]
        rows.append(["two-sample floor", *[None] * 5, str(self.floor.w1), str(self.floor.w2)])
        text = _tabulate(rows, _HEADERS, style)
        if not self.floor.per_label:
            return text
        lines = [(entry.name, entry.per_label) for entry in self.entries if entry.per_label]
        lines.append(("two-sample floor", self.floor.per_label))
        rows = [[name, *[f"{error.w1:.3g}" for error in errors]] for name, errors in lines]
        names = ("generator", *[error.label for error in self.floor.per_label])
        return f"{text}\n\nW1 to held-out points, label by label:\n\n{_tabulate(rows, names, style)}"

    def bits_table(self, style: str = "github") -> str:
        """Bits that each method needs for the same error, and how many times those of the cheapest.

        **Example:**

            >>> import numpy as np
            >>> from jaxgen.comparison import PRESETS, Entry, Floor, PlanePoint, Report, Spread
            >>> floor, points = Floor(Spread(1.0, 0.1), Spread(1.5, 0.1)), np.zeros((20, 1))
            >>> entry = Entry("mine", "user", source_dim=1, bits=512, w1=Spread(1.2, 0.1), w2=Spread(1.9, 0.2))
            >>> plane = (PlanePoint("explicit", "Peano", 300, 1.0), PlanePoint("trained", "wide", 900, 1.0))
            >>> report = Report("test", ("x",), (entry,), floor, PRESETS["quick"], points, points, plane=plane)
            >>> report.bits_table("plain").splitlines()[-1].split()
            ['1.02', '300', '(1.0x)', '900', '(3.0x)']
        """
        families = list(dict.fromkeys(point.family for point in self.plane))
        best = {family: min(p.w1 for p in self.plane if p.family == family) for family in families}
        rows = []
        # The errors that are compared at are those that each family reaches at its best.
        for target in sorted({w1 * 1.02 for w1 in best.values()}):
            reached = [point for point in self.plane if point.w1 <= target]
            least = min(point.bits for point in reached)
            needed = [min((p.bits for p in reached if p.family == family), default=None) for family in families]
            rows.append([f"{target:.3g}", *["-" if b is None else f"{b:.0f} ({b / least:.1f}x)" for b in needed]])
        return _tabulate(rows, ("W1 at most", *families), style) if rows else ""

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draws the figure to a file (PNG, PDF, SVG, by its ending).

        **Example:**

            >>> import os, tempfile
            >>> import numpy as np
            >>> from jaxgen.comparison import PRESETS, Entry, Floor, PlanePoint, Report, Spread
            >>> floor, points = Floor(Spread(1.0, 0.1), Spread(1.5, 0.1)), np.zeros((20, 1))
            >>> entry = Entry("mine", "user", source_dim=1, bits=512, w1=Spread(1.2, 0.1), w2=Spread(1.9, 0.2))
            >>> report = Report("test", ("x",), (entry,), floor, PRESETS["quick"], points, points)
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
            >>> from jaxgen.comparison import PRESETS, Entry, Floor, PlanePoint, Report, Spread
            >>> floor, points = Floor(Spread(1.0, 0.1), Spread(1.5, 0.1)), np.zeros((20, 1))
            >>> entry = Entry("mine", "user", source_dim=1, bits=512, w1=Spread(1.2, 0.1), w2=Spread(1.9, 0.2))
            >>> report = Report("test", ("x",), (entry,), floor, PRESETS["quick"], points, points)
            >>> report.to_dict()["entries"][0]["w1"]
            [1.2, 0.1]
        """
        return _finite(dataclasses.asdict(self, dict_factory=_without_arrays))

    def markdown(self) -> str:
        """The report as a Markdown page.

        **Example:**

            >>> import numpy as np
            >>> from jaxgen.comparison import PRESETS, Entry, Floor, PlanePoint, Report, Spread
            >>> floor, points = Floor(Spread(1.0, 0.1), Spread(1.5, 0.1)), np.zeros((20, 1))
            >>> entry = Entry("mine", "user", source_dim=1, bits=512, w1=Spread(1.2, 0.1), w2=Spread(1.9, 0.2))
            >>> report = Report("test", ("x",), (entry,), floor, PRESETS["quick"], points, points)
            >>> report.markdown().splitlines()[0]
            '# test'
        """
        lines = [f"# {self.title}", "", self.table(), ""]
        if self.plane:
            lines += ["Bits needed for the same error:", "", self.bits_table(), ""]
        lines += [f"- {note}" for note in self.notes]
        lines += ["", "![figure](figure.png)", ""]
        return "\n".join(lines)

    def save(self, folder: str | os.PathLike[str]) -> pathlib.Path:
        """Writes `report.md`, `report.json` and `figure.png` to a new folder, all or nothing.

        Raises `FileExistsError` if the folder exists: nothing is overwritten.

        **Example:**

            >>> import os, tempfile
            >>> import numpy as np
            >>> from jaxgen.comparison import PRESETS, Entry, Floor, PlanePoint, Report, Spread
            >>> floor, points = Floor(Spread(1.0, 0.1), Spread(1.5, 0.1)), np.zeros((20, 1))
            >>> entry = Entry("mine", "user", source_dim=1, bits=512, w1=Spread(1.2, 0.1), w2=Spread(1.9, 0.2))
            >>> report = Report("test", ("x",), (entry,), floor, PRESETS["quick"], points, points)
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
    if entry.failed is not None:
        return [entry.name, entry.source_dim, *[None] * 4, f"failed: {entry.failed}"]
    none = {absence.what: "none" for absence in entry.absent}
    bounds = (entry.certificate, entry.to_points)
    size = [entry.depth, entry.width, entry.connectivity]
    return [
        entry.name,
        entry.source_dim,
        *[none.get("ReLU form") if number is None else number for number in size],
        none.get("code") if entry.bits is None else round(entry.bits),
        None if entry.w1 is None else str(entry.w1),
        None if entry.w2 is None else str(entry.w2),
        *["none" if bound is None else ", ".join(f"{w:.3g}" for w in bound) for bound in bounds],
        "none" if entry.limit is None else f"{entry.limit:.2g}",
        None if entry.seconds is None else f"{entry.seconds:.1f}",
        None if entry.nanoseconds_per_sample is None else f"{entry.nanoseconds_per_sample:.0f}",
    ]


def _tabulate(rows: list[list[Any]], headers: tuple[str, ...], style: str) -> str:
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
