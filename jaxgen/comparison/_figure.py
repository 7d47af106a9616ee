"""The figure of a report."""

import math
import os
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ._records import Path, PlanePoint
from ._report import Report

_INK, _TARGET, _FLOOR = "#1f3b57", "#8a8a8a", "#c8c8c8"
_COLOURS = {"explicit": "#1b6ca8", "trained": "#c8553d", "user": "#5b8c3e"}
_THIRDS = 3
_KINDS = {"sawtooth": "#1b6ca8", "Peano": "#7a4fa3"}
_Panel = Callable[[Axes, Report], None]


def draw(report: Report, path: str | os.PathLike[str]) -> None:
    """Target and samples, as clouds in one frame or as pictures; the curves; error against depth, size and bits."""
    panels = [("held-out data", report.test, _TARGET)]
    panels += [(e.name, e.samples, _COLOURS[e.kind]) for e in report.entries if e.samples is not None]
    columns = 5
    rows = math.ceil(len(panels) / columns)
    extra = _extras(report)
    lower = math.ceil(sum(width for _, width in extra) / _THIRDS)
    heights = [2.7] * rows + [3.8] * lower
    figure = Figure(figsize=(17, sum(heights) + 0.4), layout="constrained")
    # Fifteen columns: five clouds abreast, and three panels, of which the plane takes two places.
    grid = figure.add_gridspec(rows + lower, 15, height_ratios=heights)
    figure.suptitle(report.title, fontsize=14)
    axes = _widest(report.train)
    frame = _frame(report.train[:, axes], report.test[:, axes])
    for i, (title, points, colour) in enumerate(panels):
        row, column = divmod(i, columns)
        ax = figure.add_subplot(grid[row, 3 * column : 3 * column + 3])
        ax.set_title(title, fontsize=10)
        if report.image_shape is not None:
            _images(ax, points, report.image_shape)
            continue
        _cloud(ax, points[:, axes], colour, frame)
        ax.set_xlabel(report.columns[axes[0]], fontsize=8)
        if column == 0 and len(axes) == 2:
            ax.set_ylabel(report.columns[axes[1]], fontsize=8)
    place = 0
    for panel, width in extra:
        row, column = divmod(place, _THIRDS)
        panel(figure.add_subplot(grid[rows + row, 5 * column : 5 * (column + width)]), report)
        place += width
    figure.savefig(path, dpi=110)


def _widest(points: np.ndarray) -> list[int]:
    """The two coordinates with the largest variance, in order (one, for points of the line)."""
    return sorted(np.argsort(-points.var(axis=0))[:2].tolist())


def _frame(*clouds: np.ndarray) -> np.ndarray:
    # A few far points would leave all others in a corner: the frame holds the middle 99 % along each axis.
    low, high = np.quantile(np.concatenate(clouds), (0.005, 0.995), axis=0)
    margin = 0.06 * np.where(high > low, high - low, 1.0)
    return np.stack([low - margin, high + margin])


def _cloud(ax: Axes, points: np.ndarray, colour: str, frame: np.ndarray) -> None:
    if points.shape[1] == 1:
        ax.hist(points[:, 0], bins=60, range=(frame[0, 0], frame[1, 0]), color=colour, density=True)
        return
    ax.scatter(points[:, 0], points[:, 1], s=2.5, color=colour, alpha=0.5, linewidths=0, rasterized=True)
    ax.set_xlim(*frame[:, 0])
    ax.set_ylim(*frame[:, 1])


def _images(ax: Axes, points: np.ndarray, shape: tuple[int, int], rows: int = 4, columns: int = 7) -> None:
    """The first points as pictures, side by side with a line between them."""
    tiles = points[np.arange(rows * columns) % len(points)].reshape(rows, columns, *shape)
    tiles = np.pad(tiles, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    ax.imshow(np.concatenate(np.concatenate(tiles, axis=1), axis=1), cmap="gray_r")
    ax.axis("off")


def _extras(report: Report) -> list[tuple[_Panel, int]]:
    """The lower panels and how many thirds of a row each takes."""
    panels: list[tuple[_Panel, int]] = []
    if report.train.shape[1] > 1:
        panels += [(partial(_path_panel, path=path), 1) for path in report.curves.paths]
    if report.floor.w1.mean == 0:
        return panels  # all points are equal, and logarithmic axes have no place for distances of zero
    panels += [(_depth_panel, 1)] if report.curves.depth else []
    panels += [(_size_panel, 1)] if report.curves.size else []
    panels += [(_plane_panel, 2)] if report.plane else []
    return panels


def _label(ax: Axes, title: str, x: str) -> None:
    """What every panel of errors has beside its lines."""
    ax.set_title(title, fontsize=10)
    ax.set_xlabel(x)
    _few_ticks(ax.yaxis)
    ax.legend(fontsize=7)


def _few_ticks(axis: Axis) -> None:
    """Labels at powers of ten only, or a few round numbers where there are none."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _path_panel(ax: Axes, report: Report, path: Path) -> None:
    points = path.points[:, _widest(report.train)]
    ax.plot(points[:, 0], points[:, 1], color=_KINDS[path.kind], linewidth=0.5)
    ax.set_title(f"the {path.kind} curve, a few folds only: x(u), 0 ≤ u ≤ 1", fontsize=10)


def _depth_panel(ax: Axes, report: Report) -> None:
    for kind, colour in _KINDS.items():
        line = [p for p in report.curves.depth if p.kind == kind]
        depth = [p.depth for p in line]
        ax.semilogy(depth, [p.certificate for p in line], "-", color=colour, label=f"{kind}: certificate")
        ax.semilogy(depth, [p.w1 for p in line], "o", color=colour, markersize=4, label=f"{kind}: sampled")
    if report.curves.depth_floor is not None:
        ax.axhline(report.curves.depth_floor, color=_FLOOR, label="floor of the samples")
    _label(ax, "error against depth: W1 to a grid of 9 cells an axis", "depth (affine layers)")


def _size_panel(ax: Axes, report: Report) -> None:
    for kind, colour in _KINDS.items():
        line = [p for p in report.curves.size if p.kind == kind]
        weights = [p.connectivity for p in line]
        ax.loglog(weights, [p.w1 for p in line], "o-", color=colour, label=kind, markersize=4)
    for e in report.entries:
        if e.kind != "explicit" and e.connectivity and e.w1:
            ax.loglog(e.connectivity, e.w1.mean, "s", color=_COLOURS[e.kind], label=e.name, markersize=5)
    ax.axhline(report.floor.w1.mean, color=_FLOOR, label="two-sample floor")
    _label(ax, "error against size: W1 to held-out points", "connectivity (nonzero weights)")
    _few_ticks(ax.xaxis)


def _plane_panel(ax: Axes, report: Report) -> None:
    families = list(dict.fromkeys(p.family for p in report.plane))
    markers = dict(zip(families, "os^vD", strict=False))
    trained = [family for family in families if family != "explicit"]
    shades = {"explicit": _INK, **dict(zip(trained, ("#c8553d", "#e09f3e", "#5b8c3e"), strict=False))}
    for (family, _), line in _lines(report.plane):
        ax.loglog(
            [p.bits for p in line], [p.w1 for p in line], marker=markers[family], color=shades[family], linewidth=1,
            markersize=4, label=family if family in families else None,
        )  # fmt: skip
        families = [other for other in families if other != family]  # named once
    _limit_lines(ax, report, shades.get("trained, 1 source", "#c8553d"))
    for e in report.entries:
        if e.kind == "user" and e.bits and e.w1:
            ax.loglog(e.bits, e.w1.mean, "*", color=_COLOURS["user"], label=e.name, markersize=9)
    floor = report.floor.w1.mean
    ax.axhline(floor, color=_FLOOR, label="two-sample floor")
    drawn = (*report.plane, *report.limits.any_method, *report.limits.length)
    ax.set_ylim(0.7 * min([floor, *[p.w1 for p in drawn]]), 30 * floor)
    _label(ax, "the plane: W1 to held-out points against bits", "bits")


def _lines(plane: tuple[PlanePoint, ...]) -> Iterator[tuple[tuple[str, str], list[PlanePoint]]]:
    """The points of each generator, by their bits."""
    for key in dict.fromkeys((p.family, p.name) for p in plane):
        yield key, sorted((p for p in plane if (p.family, p.name) == key), key=lambda p: p.bits)


def _limit_lines(ax: Axes, report: Report, colour: str) -> None:
    limits = report.limits
    if limits.any_method:
        ax.loglog(*zip(*limits.any_method, strict=True), "k--", linewidth=1, label="worst law on the data's cells")
    for i, limit in enumerate(limits.length):
        label = None if i else "length limits, 1 source"
        ax.axhline(limit.w1, color=colour, linestyle=":", linewidth=1, label=label)
