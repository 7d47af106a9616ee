"""The network of the nested sawtooth in the making, layer by layer (theory, section 3)."""

import numpy as np

from ..relu import ReLUNetwork
from ._layers import Layer, clip_first, clip_second


class Chain:
    """What the neurons of the last layer stand for.

    Each *row* of conditional masses has a value v in [0, 1], the fresh uniform number for its coordinate, written as a
    combination of neurons; off its branch v is at most 0, before rho. The first row is the root's, and its value is u.
    """

    def __init__(self):
        self._pairs, self._size = [], 1
        # Neurons and weights of each row's value, `(rows, terms)`; and of each finished coordinate.
        self._values = np.zeros((1, 1), np.int64), np.ones((1, 1))
        self._finished: list[tuple[np.ndarray, np.ndarray]] = []
        self._clips: tuple[np.ndarray, np.ndarray] | None = None

    def open(self) -> Layer:
        """The next layer: finished coordinates are carried along, and the coordinate begun in the last is finished."""
        layer = Layer(self._size)
        carried = []
        for neurons, weights in self._finished:
            new = layer.neurons(0.0)
            layer.connect(new, neurons, weights)
            carried.append((new, np.ones(1)))
        if self._clips is not None:
            inner, rises = self._clips
            carried.append((clip_second(layer, inner), rises))
        self._finished, self._clips = carried, None
        return layer

    def close(self, layer: Layer, values: tuple[np.ndarray, np.ndarray] | None = None) -> None:
        """Puts the layer behind the others; `values` are the rows' values on its neurons, unless no row is left."""
        self._pairs.append(layer.pair())
        self._size = layer.size
        self._values = self._values if values is None else values

    def _on(self, layer: Layer, rows, weight, bias) -> np.ndarray:
        """Neurons `rho(weight * v + bias)` on the values of some rows."""
        new = layer.neurons(bias)
        neurons, weights = self._values
        layer.connect(new[:, None], neurons[rows], np.asarray(weight)[:, None] * weights[rows])
        return new

    def quantile(self, layer: Layer, row, start, length, gap, bins: int, ramp: float) -> None:
        """Begins a coordinate: the quantile functions of all rows, a clipped ramp a bin and one a jump, added up."""
        jump = np.flatnonzero(gap)
        weight, bias = clip_first(np.append(start, start[jump]), np.append(length, np.full(len(jump), ramp)))
        inner = self._on(layer, np.append(row, row[jump]), weight, bias)
        self._clips = inner, np.append(np.full(len(row), 1 / bins), gap[jump] / bins)

    def enter(self, layer: Layer, row, start, length, folds: int, ramp: float):
        """The value of each bin as a row of the next coordinate: the position in the bin, folded once.

        The tent is `g(z) = rho(2 rho(z) - 4 rho(z - 1/2))`, whose outer rho, in the next layer, cuts off z > 1. Without
        folds the position is passed on as it is, and dies in a ramp at the end of the bin: no two branches are alive at
        once, so that their sum stays in the box.
        """
        turn, slopes = (0.5, (2.0, -4.0)) if folds else (1 - ramp, (1.0, -1 / ramp))
        rise = self._on(layer, row, 1 / length, -start / length)
        fall = self._on(layer, row, 1 / length, -start / length - turn)
        return np.stack([rise, fall], axis=1), np.tile(slopes, (len(row), 1))

    def fold(self, layer: Layer):
        """The values of all rows, folded once more."""
        rows = np.arange(len(self._values[0]))
        start, length = np.zeros(len(rows)), np.ones(len(rows))
        return self.enter(layer, rows, start, length, folds=1, ramp=0.0)

    def network(self) -> ReLUNetwork:
        """The network of the finished coordinates, each in [0, 1]."""
        out = Layer(self._size)
        x = out.neurons(np.zeros(len(self._finished)))
        for k, (neurons, weights) in enumerate(self._finished):
            out.connect(x[k], neurons, weights)
        return ReLUNetwork([*self._pairs, out.pair()])
