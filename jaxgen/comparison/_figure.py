"""The figure of a report."""

import math
import pathlib
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

_INK, _TARGET, _FLOOR = "#1f3b57", "#8a8a8a", "#c8c8c8"
_COLOURS = {"explicit": "#1b6ca8", "trained": "#c8553d", "user": "#5b8c3e"}
_THIRDS = 3
_KINDS = {"sawtooth": "#1b6ca8", "Peano": "#7a4fa3"}


def curve_of(generator: Any, points: int = 3000) -> np.ndarray:
    """The curve u -> x of a generator with one source, at equally spaced u."""
    return np.asarray(eqx.filter_jit(eqx.filter_vmap(generator))(jnp.linspace(0, 1, points)))


def draw(report: Any, path: str | pathlib.Path) -> None:
    """Target and samples, as clouds in one frame or as pictures; the curves; error against depth, size and bits."""
    shown = [e for e in report.entries if e.samples is not None]
    panels = [("held-out data", report.test, _TARGET)] + [(e.name, e.samples, _COLOURS[e.kind]) for e in shown]
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


def _extras(report: Any) -> list[tuple[Any, int]]:
    """The lower panels and how many thirds of a row each takes."""
    panels: list[tuple[Any, int]] = []
    if report.train.shape[1] > 1:
        panels += [(_path_panel(name), 1) for name in report.curves.get("path", {})]
    if report.floor[1][0] == 0:
        return panels  # all points are equal, and logarithmic axes have no place for distances of zero
    panels += [(_depth_panel, 1)] if report.curves.get("depth") else []
    panels += [(_size_panel, 1)] if report.curves.get("size") else []
    panels += [(_plane_panel, 2)] if report.plane else []
    return panels


def _few_ticks(axis: Any) -> None:
    """Labels at powers of ten only, or a few round numbers where there are none."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _path_panel(name: str):
    def panel(ax: Axes, report: Any) -> None:
        axes = _widest(report.train)
        path = report.curves["path"][name][:, axes]
        ax.plot(path[:, 0], path[:, 1], color=_KINDS[name], linewidth=0.5)
        ax.set_title(f"the {name} curve, a few folds only: x(u), 0 ≤ u ≤ 1", fontsize=10)

    return panel


def _depth_panel(ax: Axes, report: Any) -> None:
    for kind, colour in _KINDS.items():
        line = [p for p in report.curves["depth"] if p["kind"] == kind]
        depth = [p["depth"] for p in line]
        ax.semilogy(depth, [p["certificate"] for p in line], "-", color=colour, label=f"{kind}: certificate")
        ax.semilogy(depth, [p["w1"] for p in line], "o", color=colour, markersize=4, label=f"{kind}: sampled")
    ax.axhline(report.curves["depth_floor"], color=_FLOOR, label="floor of the samples")
    ax.set_title("error against depth: W1 to a grid of 9 cells an axis", fontsize=10)
    ax.set_xlabel("depth (affine layers)")
    _few_ticks(ax.yaxis)
    ax.legend(fontsize=7)


def _size_panel(ax: Axes, report: Any) -> None:
    for kind, colour in _KINDS.items():
        line = [p for p in report.curves["size"] if p["kind"] == kind]
        ax.loglog(
            [p["connectivity"] for p in line], [p["w1"] for p in line], "o-", color=colour, label=kind, markersize=4
        )
    for e in report.entries:
        if e.kind != "explicit" and e.connectivity and e.w1:
            ax.loglog(e.connectivity, e.w1[0], "s", color=_COLOURS[e.kind], label=e.name, markersize=5)
    ax.axhline(report.floor[1][0], color=_FLOOR, label="two-sample floor")
    ax.set_title("error against size: W1 to held-out points", fontsize=10)
    ax.set_xlabel("connectivity (nonzero weights)")
    _few_ticks(ax.xaxis)
    _few_ticks(ax.yaxis)
    ax.legend(fontsize=7)


def _plane_panel(ax: Axes, report: Any) -> None:
    families = list(dict.fromkeys(p["family"] for p in report.plane))
    markers = dict(zip(families, "os^vD", strict=False))
    trained = [family for family in families if family != "explicit"]
    shades = {"explicit": _INK, **dict(zip(trained, ("#c8553d", "#e09f3e", "#5b8c3e"), strict=False))}
    for family in families:
        for name in dict.fromkeys(p["name"] for p in report.plane if p["family"] == family):
            line = sorted((p["bits"], p["w1"]) for p in report.plane if p["family"] == family and p["name"] == name)
            first = name == next(p["name"] for p in report.plane if p["family"] == family)
            ax.loglog(
                *zip(*line, strict=True), marker=markers[family], color=shades[family], linewidth=1, markersize=4,
                label=family if first else None,
            )  # fmt: skip
    limits = report.limits
    if limits.get("any_method"):
        ax.loglog(*zip(*limits["any_method"], strict=True), "k--", linewidth=1, label="worst law, any method")
    for i, limit in enumerate(limits.get("length", [])):
        ax.axhline(limit["w1"], color=shades.get("trained, 1 source", "#c8553d"), linestyle=":", linewidth=1,
                   label="length limits, 1 source" if i == 0 else None)  # fmt: skip
    for e in report.entries:
        if e.kind == "user" and e.bits and e.w1:
            ax.loglog(e.bits, e.w1[0], "*", color=_COLOURS["user"], label=e.name, markersize=9)
    floor = report.floor[1][0]
    ax.axhline(floor, color=_FLOOR, label="two-sample floor")
    drawn = [w for line in limits.values() for w in (p["w1"] if isinstance(p, dict) else p[1] for p in line)]
    ax.set_ylim(0.7 * min([floor, *[p["w1"] for p in report.plane], *drawn]), 30 * floor)
    ax.set_title("the plane: W1 to held-out points against bits", fontsize=10)
    ax.set_xlabel("bits")
    _few_ticks(ax.yaxis)
    ax.legend(fontsize=7)
