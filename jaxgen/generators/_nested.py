"""The rows of conditional masses that the nested constructions are made of (theory, sections 3 and 5)."""

from collections.abc import Iterator

import numpy as np

from ._tree import QuantileTree


def nested_rows(
    tree: QuantileTree, dim: int, labelled: bool
) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """For each coordinate the tree level of its rows, and bin by bin: row, start, length, and the jump before it.

    Starts and lengths are fractions of the mass of the row; jumps, positive over empty bins, are counted in bins. A
    label is no coordinate: the bins of the first coordinate follow one another, label after label, in the one row of
    the root, with a jump back at each new label.
    """
    start, count, value = (np.asarray(a, np.float64) for a in (tree.start, tree.count, tree.value))
    for k in range(dim):
        level = k + int(labelled) if k else 0
        above, here = tree.level(level), tree.level(k + 1 + int(labelled))
        row = np.searchsorted(start[above], start[here], side="right") - 1
        bins = value[here]
        same = np.append(False, row[1:] == row[:-1])
        jump = bins - np.where(same, np.append(0.0, bins[:-1] + 1), 0.0)
        mass = count[above][row]
        yield level, row, (start[here] - start[above][row]) / mass, count[here] / mass, jump
