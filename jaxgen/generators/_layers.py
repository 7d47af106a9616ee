"""Pieces that the networks of the generators are put together from, on the host in float64."""

import numpy as np
import scipy.sparse as sp

from ..relu import ReLUNetwork, affine, compose


class Layer:
    """One affine layer in the making: neurons are added in blocks, weights as triplets."""

    def __init__(self, in_size: int):
        self.in_size, self.size = in_size, 0
        self._rows, self._cols, self._weights, self._bias = [], [], [], []

    def neurons(self, bias) -> np.ndarray:
        """Adds a block of neurons, one a bias; returns their numbers."""
        bias = np.atleast_1d(np.asarray(bias, np.float64))
        self._bias.append(bias)
        self.size += len(bias)
        return np.arange(self.size - len(bias), self.size)

    def connect(self, rows, cols, weights) -> None:
        """Adds `weights` from the inputs `cols` to the neurons `rows`; all broadcast together."""
        rows, cols, weights = np.broadcast_arrays(rows, cols, np.asarray(weights, np.float64))
        self._rows.append(rows.ravel())
        self._cols.append(cols.ravel())
        self._weights.append(weights.ravel())

    def pair(self) -> tuple[sp.csr_array, np.ndarray]:
        """(W, b)."""
        entries = np.concatenate(self._weights), (np.concatenate(self._rows), np.concatenate(self._cols))
        return sp.csr_array(entries, shape=(self.size, self.in_size)), np.concatenate(self._bias)


# A clipped ramp, min(max((v - a)/w, 0), 1), is rho(1 - rho(1 - (v - a)/w)): two layers instead of the two neurons of
# section 1, and in exchange exactly 0 and exactly 1 outside, in floating point too, where a difference of two large
# numbers would leave noise for the folds to amplify. The first of its layers is the pair (weight, bias) on v:
def clip_first(start, width):
    """Weight and bias on v of the inner neuron of `clip((v - start)/width)`."""
    return -1 / np.asarray(width, np.float64), 1 + np.asarray(start, np.float64) / np.asarray(width, np.float64)


def clip_second(layer: Layer, inner: np.ndarray) -> np.ndarray:
    """The outer neurons of clips whose inner neurons are the inputs `inner` of `layer`."""
    outer = layer.neurons(np.ones(len(inner)))
    layer.connect(outer, inner, -1.0)
    return outer


def carry(layer: Layer, inputs: np.ndarray) -> np.ndarray:
    """One neuron for each nonnegative input that a later layer needs."""
    kept = layer.neurons(np.zeros(len(inputs)))
    layer.connect(kept, inputs, 1.0)
    return kept


def staircase(starts, widths, rises, ramp: float, first) -> ReLUNetwork:
    """`u -> first + sum_j rises[j] clip((u - starts[j])/widths[j])`, depth 3; `rises`: `(pieces,)` or `(pieces, d)`.

    A width of zero is a jump, and becomes a ramp of width `ramp`.
    """
    rises = np.asarray(rises, np.float64).reshape(len(starts), -1)
    weight, bias = clip_first(starts, np.where(np.asarray(widths) == 0, ramp, widths))
    inner = (weight[:, None], bias)
    outer = (-sp.eye_array(len(starts), format="csr"), np.ones(len(starts)))
    return ReLUNetwork([inner, outer, (sp.csr_array(rises.T), np.broadcast_to(first, rises.shape[1:]))])


def in_box(network: ReLUNetwork, low, scale) -> ReLUNetwork:
    """`low + scale * network(u)`, merged into the last layer."""
    scale = np.asarray(scale, np.float64)
    return compose(affine(sp.diags_array(scale), np.asarray(low, np.float64)), network, merge=True)


def prompt(network: ReLUNetwork, label_masses: np.ndarray) -> ReLUNetwork:
    """The joint generator behind the layer that sends (one-hot label, u) to the interval of the label.

    `u -> sum_c lo_c e_c + w_c rho(u + e_c - 1)`, exact for u in [0, 1] (theory, section 7). Further sources pass by.
    """
    labels, sources = len(label_masses), network.in_size
    first, last = Layer(labels + sources), Layer(2 * labels + sources - 1)
    code = first.neurons(np.zeros(labels))
    first.connect(code, code, 1.0)
    chosen = first.neurons(-np.ones(labels))
    first.connect(chosen, code, 1.0)
    first.connect(chosen, labels, 1.0)
    others = first.neurons(np.zeros(sources - 1))
    first.connect(others, labels + 1 + np.arange(sources - 1), 1.0)
    out = last.neurons(np.zeros(sources))
    last.connect(out[0], code, np.cumsum(label_masses) - label_masses)
    last.connect(out[0], chosen, label_masses)
    last.connect(out[1:], others, 1.0)
    return compose(network, ReLUNetwork([first.pair(), last.pair()]), nonnegative=True)
