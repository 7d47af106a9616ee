"""Draws a file of results, a figure a topic: `python -m benchmarks.plots benchmarks/results/cpu.json [folder]`."""

import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def draw(file: pathlib.Path, folder: pathlib.Path) -> None:
    """Ratios as bars on a logarithmic axis: to the left of 1 jaxgen is faster."""
    found = json.loads(file.read_text())
    for topic, rows in found["topics"].items():
        if topic == "growth":
            growth(rows, f"growth ({found['device']}, {found['date']})", folder / f"{file.stem}_{topic}.png")
        if not rows or "ratio" not in rows[0]:
            continue
        figure, axis = plt.subplots(figsize=(9, 0.7 + 0.26 * len(rows)), layout="constrained")
        names, ratios = [f"{row['name']} / {row['against']}" for row in rows], [row["ratio"] for row in rows]
        axis.barh(names, [ratio - 1 for ratio in ratios], left=1, color=["C2" if r < 1 else "C1" for r in ratios])
        axis.axvline(1, color="k", lw=0.8)
        axis.set_xscale("log")
        axis.margins(y=0.01)
        axis.invert_yaxis()
        axis.tick_params(labelsize=8)
        axis.set_title(f"{topic}: time over that of the peer ({found['device']}, {found['date']})", fontsize=9)
        figure.savefig(folder / f"{file.stem}_{topic}.png", dpi=120)
        plt.close(figure)


def growth(rows: list, title: str, file: pathlib.Path) -> None:
    """Seconds against size, both logarithmic; the legend has the slopes."""
    figure, axis = plt.subplots(figsize=(9, 5), layout="constrained")
    for row, marker in zip(rows, "osv^D<>pXh", strict=False):
        axis.loglog(row["sizes"], row["seconds"], f"{marker}-", label=f"{row['name']}: slope {row['slope']:.2f}")
    axis.set(xlabel="size", ylabel="seconds", title=title)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(file, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    source = pathlib.Path(sys.argv[1])
    draw(source, pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else source.parent)
