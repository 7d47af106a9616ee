"""The figure of a report."""

import math
import os
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ._ranking import Cost, bits, weights
from ._records import Entry, Path
from ._report import Report

_TARGET, _FLOOR = "#8a8a8a", "#b0b0b0"
_COLOURS = {"explicit": "#1b6ca8", "trained": "#c8553d", "peer": "#b8860b", "user": "#5b8c3e"}
_KINDS = {"sawtooth": "#1b6ca8", "Peano": "#7a4fa3"}
# A marker and a colour for each family: that of its kind, from dark to light.
_MARKERS = "osD^v<>PXh"
_SHADES = {
    "explicit": ("#0b3c5d", "#1b6ca8", "#3fa7d6", "#7a4fa3", "#59a5a5"),
    "network": ("#5a6f7d", "#7d9bb5", "#9fc4d8", "#ab94c4", "#a3cccc"),
    "trained": ("#c8553d", "#e09f3e", "#8c2f39"),
    "peer": ("#b8860b", "#d4a017", "#8b6508", "#cd853f", "#a0522d", "#bdb76b", "#6b4423"),
    "user": ("#5b8c3e", "#9bb13c", "#2f6f4f"),
}
# Ways to choose the points of an integral.
_POINTS = {"i.i.d.": ("x", "#8a8a8a"), "stratified": ("s", "#1b6ca8"), "extensible": ("^", "#7a4fa3")}
_POINTS["Sobol"] = ("D", "#c8553d")
# How far a law may be from the best and still be in the window, as a multiple.
_WINDOW = 12.0
# Of the plane with limits, as a share of the height that the laws take.
_ROOM = 0.7


def draw(report: Report, path: str | os.PathLike[str]) -> None:
    """Held-out data and samples, as clouds in one frame or as pictures; the curves; integrals; the two planes."""
    clouds = [("held-out data", report.test, _TARGET)]
    clouds += [(e.name, e.samples, _COLOURS[e.kind]) for e in report.entries if e.samples is not None]
    columns = min(5, len(clouds))
    rows, extra = math.ceil(len(clouds) / columns), _extras(report)
    planes = any(_drawn(report, cost, unseen) for cost in (bits, weights) for unseen in (False, True))
    tall = 1.9 if report.image_shape is None and _is_map(report.columns, _widest(report.train)) else 2.7
    integrals = [3.6] if report.integrals.errors else []
    heights = [tall * rows, *([3.6] if extra else []), *integrals, *([9.0] if planes else [])]
    figure = Figure(figsize=(17, sum(heights) + 0.4), layout="constrained")
    figure.suptitle(report.title, fontsize=14)
    parts = iter(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    _clouds(next(parts), report, clouds, (rows, columns))
    if extra:
        part = next(parts)
        for i, panel in enumerate(extra):
            panel(part.add_subplot(1, len(extra), i + 1), report)
    if integrals:
        _integrals(next(parts), report)
    if planes:
        _planes(next(parts), report)
    figure.savefig(path, dpi=110)


def _clouds(part: SubFigure, report: Report, clouds: Sequence[tuple], shape: tuple[int, int]) -> None:
    axes = _widest(report.train)
    frame = _frame(report.train[:, axes], report.test[:, axes])
    for i, (title, points, colour) in enumerate(clouds):
        ax = part.add_subplot(*shape, i + 1)
        ax.set_title(title, fontsize=10)
        if report.image_shape is not None:
            _images(ax, points, report.image_shape)
            continue
        _cloud(ax, points[:, axes], colour, frame, _is_map(report.columns, axes))
        ax.set_xlabel(report.columns[axes[0]], fontsize=8)
        if i % shape[1] == 0 and len(axes) == 2:
            ax.set_ylabel(report.columns[axes[1]], fontsize=8)


def _is_map(columns: Sequence[str], axes: Sequence[int]) -> bool:
    """Whether both axes are in the same units as far as their names tell: places on a map."""
    return {str(columns[axis]).lower()[:3] for axis in axes} in ({"lon", "lat"}, {"eas", "nor"})


def _widest(points: np.ndarray) -> list[int]:
    """The two coordinates with the largest variance, in order (one, for points of the line)."""
    return sorted(np.argsort(-points.var(axis=0))[:2].tolist())


def _frame(*clouds: np.ndarray) -> np.ndarray:
    # A few far points would leave all others in a corner: the frame holds the middle 99 % along each axis.
    low, high = np.quantile(np.concatenate(clouds), (0.005, 0.995), axis=0)
    margin = 0.06 * np.where(high > low, high - low, 1.0)
    return np.stack([low - margin, high + margin])


def _cloud(ax: Axes, points: np.ndarray, colour: str, frame: np.ndarray, is_map: bool) -> None:
    if points.shape[1] == 1:
        ax.hist(points[:, 0], bins=60, range=(frame[0, 0], frame[1, 0]), color=colour, density=True)
        return
    ax.scatter(points[:, 0], points[:, 1], s=2.5, color=colour, alpha=0.5, linewidths=0, rasterized=True)
    ax.set_xlim(*frame[:, 0])
    ax.set_ylim(*frame[:, 1])
    if is_map:
        ax.set_aspect("equal", adjustable="box")


def _images(ax: Axes, points: np.ndarray, shape: tuple[int, int], rows: int = 4, columns: int = 7) -> None:
    """The first points as pictures, side by side with a line between them."""
    tiles = points[np.arange(rows * columns) % len(points)].reshape(rows, columns, *shape)
    tiles = np.pad(tiles, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    ax.imshow(np.concatenate(np.concatenate(tiles, axis=1), axis=1), cmap="gray_r")
    ax.axis("off")


def _extras(report: Report) -> list[Callable[[Axes, Report], None]]:
    """The curves, and the error against depth."""
    panels: list[Callable[[Axes, Report], None]] = []
    if report.train.shape[1] > 1:
        panels += [partial(_path_panel, path=path) for path in report.curves.paths]
    # Where all points are equal, logarithmic axes have no place for distances of zero.
    return panels + ([_depth_panel] if any(p.certificate > 0 for p in report.curves.depth) else [])


def _few_ticks(axis: Axis, subs: tuple[int, ...] = (1, 2, 5)) -> None:
    """Labels at these multiples of powers of ten only."""
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _path_panel(ax: Axes, report: Report, path: Path) -> None:
    axes = _widest(report.train)
    points = path.points[:, axes]
    ax.plot(points[:, 0], points[:, 1], color=_KINDS[path.kind], linewidth=0.5)
    ax.set_title(f"the {path.kind} curve, a few folds only: x(u), 0 ≤ u ≤ 1", fontsize=10)
    if _is_map(report.columns, axes):
        ax.set_aspect("equal", adjustable="box")


def _depth_panel(ax: Axes, report: Report) -> None:
    for kind, colour in _KINDS.items():
        line = [p for p in report.curves.depth if p.kind == kind and p.certificate > 0]
        ax.semilogy([p.depth for p in line], [p.certificate for p in line], "o-", color=colour, label=kind)
    ax.set_title("proven W1 to the law on a grid of 9 cells an axis", fontsize=10)
    ax.set_xlabel("depth (affine layers)")
    _few_ticks(ax.yaxis)
    ax.legend(fontsize=8)


def _integrals(part: SubFigure, report: Report) -> None:
    """A panel an integrand: errors against the number of points, and the slopes of theory through the first of them."""
    found = report.integrals
    names = list(dict.fromkeys(error.integrand for error in found.errors))
    sizes = np.array(found.sizes, float)
    panels = part.subplots(1, len(names), sharey=True, squeeze=False)[0]
    panels[0].set_ylabel("root mean square error")
    for ax, name in zip(panels, names, strict=True):
        for error in found.errors:
            if error.integrand != name:
                continue
            marker, colour = _POINTS[error.points]
            label = f"{error.points}, slope {error.slope:.2f}"
            ax.loglog(sizes, error.rmse, marker + "-", color=colour, markersize=5, linewidth=1, label=label)
            if error.theory is not None:
                guide = error.rmse[0] * (sizes / sizes[0]) ** error.theory
                ax.loglog(sizes, guide, ":", color=colour, linewidth=1)
        ax.set_title(f"error of an integral: {name}", fontsize=10)
        ax.set_xlabel("points (dotted: slope proven without gaps)")
        ax.set_xticks(sizes, [f"{size:g}" for size in sizes], minor=False)
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.legend(fontsize=8, loc="lower left")


def _drawn(report: Report, cost: Cost, unseen: bool) -> list[tuple[str, str, list[tuple[float, float]]]]:
    """Kind, family and line of each family in a plane, by what it costs."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    # Weights of fewer bits are as many.
    for entry in (*report.entries, *(report.rounded if cost is bits else ())):
        value, paid = _error(entry, unseen), cost(entry)
        if value and paid:
            found.setdefault((entry.kind, entry.family), []).append((float(paid), value))
    return [(kind, family, sorted(line)) for (kind, family), line in found.items()]


def _error(entry: Entry, unseen: bool) -> float | None:
    return (float(np.mean(entry.unseen)) if entry.unseen else None) if unseen else entry.near


def _planes(part: SubFigure, report: Report) -> None:
    """Approximation above, generalisation below; bits on the left, weights on the right; each row in one window."""
    panels = part.subplots(2, 2, sharey="row")
    limited = bool(report.limits.any_method and _drawn(report, bits, False))
    styles: dict[tuple[str, str], tuple[str, str]] = {}
    handles = {}
    for row, unseen in enumerate((False, True)):
        seen = [value for cost in (bits, weights) for *_, line in _drawn(report, cost, unseen) for _, value in line]
        for ax, cost, name in zip(panels[row], (bits, weights), ("bits", "weights"), strict=True):
            for kind, family, line in _drawn(report, cost, unseen):
                marker, colour = styles.setdefault((kind, family), _style(kind, len(styles), styles))
                handles[family] = ax.loglog(*zip(*line, strict=True), marker + "-", color=colour, markersize=5)[0]
            if unseen:
                handles["halves of the data"] = ax.axhline(report.halves.spread.mean, color=_FLOOR)
            ax.set_xlabel(name)
            if seen:
                low, high = 0.8 * min(seen), min(1.25 * max(seen), _WINDOW * min(seen))
                # Below the nearest law there is room for the limits.
                ax.set_ylim(low * (low / high) ** (0.0 if unseen or not limited else _ROOM), high)
            _few_ticks(ax.yaxis)
            if _drawn(report, cost, unseen):
                first, last = ax.get_xlim()
                _few_ticks(ax.xaxis, (1, 2, 5) if last < 100 * first else (1,))
        title = (
            "generalisation: W1 to held-out points" if unseen else "approximation: W1 to the points it was made from"
        )
        panels[row][0].set_title(title, fontsize=11, loc="left")
        panels[row][0].set_ylabel("W1")
    if limited:
        _limits_inset(panels[0][0], report)
    part.legend(handles.values(), handles.keys(), loc="outside right center", fontsize=9)


def _style(kind: str, number: int, taken: dict) -> tuple[str, str]:
    shades = _SHADES[kind]
    return _MARKERS[number % len(_MARKERS)], shades[sum(k == kind for k, _ in taken) % len(shades)]


def _limits_inset(ax: Axes, report: Report) -> None:
    """The same plane from far away: what no method crosses lies decades below."""
    inset = ax.inset_axes((0.06, 0.07, 0.6, 0.28))
    for kind, _, line in _drawn(report, bits, False):
        inset.loglog(*zip(*line, strict=True), ".", color=_SHADES[kind][1], markersize=3)
    inset.loglog(*zip(*report.limits.any_method, strict=True), "k--", linewidth=1)
    inset.set_title("limit: worst law on the data's cells (dashed)", fontsize=7)
    inset.tick_params(labelsize=6)
    inset.xaxis.set_minor_formatter(NullFormatter())
    for limit in report.limits.length:
        inset.axhline(limit.w1, color=_COLOURS["trained"], linestyle=":", linewidth=1)
