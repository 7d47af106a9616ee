"""What a comparison found: a table, a figure, and files of both."""

import dataclasses
import json
import math
import os
import pathlib
import shutil
import tempfile
from typing import Any

import numpy as np
from tabulate import tabulate


@dataclasses.dataclass
class Entry:
    """One generator of a comparison, and what was measured of it.

    Distances are `(mean, standard deviation)` over the repeats, in the units of the data; `bits` of the whole encoded
    generator, or of its arrays; `certificate` is `(w1, w2)`, the proven bound between its law and its measure.
    `failed` says why a generator could not be measured.
    """

    name: str
    kind: str
    source_dim: int | None = None
    depth: int | None = None
    width: int | None = None
    connectivity: int | None = None
    bits: float | None = None
    w1: tuple[float, float] | None = None
    w2: tuple[float, float] | None = None
    certificate: tuple[float, float] | None = None
    seconds: float | None = None
    nanoseconds_per_sample: float | None = None
    per_label: dict[str, float] | None = None
    failed: str | None = None
    samples: np.ndarray | None = None


@dataclasses.dataclass
class Report:
    """The result of `compare`: entries, floors, settings, and what the figure is drawn from."""

    title: str
    columns: tuple[str, ...]
    entries: list[Entry]
    floor: dict[int, tuple[float, float]]
    settings: dict[str, Any]
    train: np.ndarray
    test: np.ndarray
    notes: list[str]
    curves: dict[str, Any]
    plane: list[dict[str, Any]]
    limits: dict[str, Any] = dataclasses.field(default_factory=dict)
    label_floor: dict[str, float] | None = None
    image_shape: tuple[int, int] | None = None
    interrupted: bool = False

    def table(self, style: str = "github") -> str:
        """The table as text: a row a generator, distances as mean ± standard deviation over the repeats.

        `style` is a table format of `tabulate` ("github", "simple", "latex", ...).
        """
        headers = [
            "generator", "source", "depth", "width", "weights", "bits", "W1 to held-out", "W2 to held-out",
            "certified W1, W2", "build s", "ns/sample",
        ]  # fmt: skip
        rows = []
        for e in self.entries:
            if e.failed is not None:
                rows.append([e.name, e.source_dim, *[None] * 4, f"failed: {e.failed}"])
                continue
            rows.append(
                [
                    e.name, e.source_dim, e.depth, e.width, e.connectivity, None if e.bits is None else round(e.bits),
                    _spread(e.w1), _spread(e.w2),
                    "none" if e.certificate is None else ", ".join(f"{w:.3g}" for w in e.certificate),
                    None if e.seconds is None else f"{e.seconds:.1f}",
                    None if e.nanoseconds_per_sample is None else f"{e.nanoseconds_per_sample:.0f}",
                ]
            )  # fmt: skip
        rows.append(["two-sample floor", *[None] * 5, _spread(self.floor[1]), _spread(self.floor[2])])
        text = tabulate(rows, headers, tablefmt=style, disable_numparse=True, missingval="")
        if self.label_floor:
            names = list(self.label_floor)
            rows = [
                [e.name, *[None if e.per_label.get(n) is None else f"{e.per_label[n]:.3g}" for n in names]]
                for e in self.entries
                if e.per_label is not None
            ]
            rows.append(["two-sample floor", *[f"{self.label_floor[n]:.3g}" for n in names]])
            text += "\n\nW1 to held-out points, label by label:\n\n"
            text += tabulate(rows, ["generator", *names], tablefmt=style, disable_numparse=True, missingval="")
        return text

    def bits_table(self, style: str = "github") -> str:
        """Bits that each method needs for the same error, and how many times those of the cheapest."""
        families: dict[str, list[tuple[float, float]]] = {}
        for point in self.plane:
            families.setdefault(point["family"], []).append((point["bits"], point["w1"]))
        if not families:
            return ""
        best = {name: min(w for _, w in points) for name, points in families.items()}
        # The errors that are compared at: what each family reaches at its best, and a few coarser ones.
        targets = sorted({w * 1.02 for w in best.values()})
        rows = []
        for target in targets:
            needed = {
                name: min((b for b, w in points if w <= target), default=None) for name, points in families.items()
            }
            least = min(b for b in needed.values() if b is not None)
            rows.append(
                [f"{target:.3g}", *["-" if b is None else f"{b:.0f} ({b / least:.1f}x)" for b in needed.values()]]
            )
        return tabulate(rows, ["W1 at most", *families], tablefmt=style, disable_numparse=True)

    def plot(self, path: str | pathlib.Path) -> None:
        """Draws the figure to a file (PNG, PDF, SVG, by its ending)."""
        from ._figure import draw

        draw(self, path)

    def to_dict(self) -> dict[str, Any]:
        """All numbers of the report, ready for JSON; infinities and NaN become `None`."""
        entries = [dataclasses.asdict(dataclasses.replace(e, samples=None)) for e in self.entries]
        for entry in entries:
            del entry["samples"]
        return _plain(
            {
                "title": self.title,
                "columns": self.columns,
                "settings": self.settings,
                "floor": {f"w{p}": v for p, v in self.floor.items()},
                "label_floor": self.label_floor,
                "entries": entries,
                "curves": {name: values for name, values in self.curves.items() if name != "path"},
                "plane": self.plane,
                "limits": self.limits,
                "notes": self.notes,
                "interrupted": self.interrupted,
            }
        )

    def markdown(self) -> str:
        """The report as a Markdown page."""
        lines = [f"# {self.title}", "", self.table(), ""]
        if self.plane:
            lines += ["Bits needed for the same error:", "", self.bits_table(), ""]
        lines += [f"- {note}" for note in self.notes]
        lines += ["", "![figure](figure.png)", ""]
        return "\n".join(lines)

    def save(self, folder: str | pathlib.Path) -> pathlib.Path:
        """Writes `report.md`, `report.json` and `figure.png` to a new folder, all or nothing.

        Raises `FileExistsError` if the folder exists: nothing is overwritten.
        """
        folder = pathlib.Path(folder)
        if folder.exists():
            raise FileExistsError(f"{str(folder)!r} exists and is kept as it is; choose another folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = pathlib.Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            (work / "report.md").write_text(self.markdown(), encoding="utf-8")
            (work / "report.json").write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False), encoding="utf-8")
            self.plot(work / "figure.png")
            work.chmod(0o755)
            os.rename(work, folder)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        return folder


def _spread(value: tuple[float, float] | None) -> str | None:
    return None if value is None else f"{value[0]:.3g} ± {value[1]:.1g}"


def _plain(value: Any) -> Any:
    """Numbers of NumPy and JAX as plain ones, for JSON."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, str | bool | int | None):
        return value
    if hasattr(value, "tolist") and getattr(value, "ndim", 0):
        return _plain(value.tolist())
    value = value.item() if hasattr(value, "item") else value
    return value if not isinstance(value, float) or math.isfinite(value) else None
