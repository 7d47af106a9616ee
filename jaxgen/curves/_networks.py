"""The Peano curve as a ReLU network with integer weights (theory, section 4)."""

import sys
from typing import TypeAlias

import scipy.sparse as sp

from ..relu import ReLUNetwork

# A combination of the neurons of the last layer: `({neuron: weight}, bias)`.
_Signal: TypeAlias = tuple[dict[int, float | int], float | int]


class _Circuit:
    """A network in the making, and named signals on its last layer."""

    def __init__(self, name: str):
        self.pairs: list[tuple] = []
        self.signals: dict[str, _Signal] = {name: ({0: 1}, 0)}
        self._size = 1

    def mix(self, *terms: tuple[float | int, str], bias: float = 0) -> _Signal:
        """`sum factor * signal + bias`."""
        weights: dict[int, float | int] = {}
        for factor, name in terms:
            inputs, constant = self.signals[name]
            bias += factor * constant
            for neuron, weight in inputs.items():
                weights[neuron] = weights.get(neuron, 0) + factor * weight
        return weights, bias

    def affine(self, signals: list[_Signal]) -> tuple[sp.csr_array, list[float]]:
        """The matrix and bias that compute `signals` from the last layer."""
        rows = [row for row, (weights, _) in enumerate(signals) for _ in weights]
        columns = [neuron for weights, _ in signals for neuron in weights]
        entries = [float(weight) for weights, _ in signals for weight in weights.values()]
        return sp.csr_array((entries, (rows, columns)), shape=(len(signals), self._size)), [
            float(b) for _, b in signals
        ]

    def layer(self, neurons: dict[str, _Signal]) -> None:
        """Adds a layer `rho(signal)`: each name then stands for its neuron. Nonnegative constants need none."""
        active = {name: signal for name, signal in neurons.items() if signal[0]}
        self.pairs.append(self.affine(list(active.values())))
        units: dict[str, _Signal] = {name: ({number: 1}, 0) for number, name in enumerate(active)}
        self.signals = neurons | units
        self._size = len(active)


def peano_network(dim: int, levels: int, slope: int, path: str = "diagonal") -> ReLUNetwork:
    """The Peano curve v -> [0, 3**levels]^dim with `levels` levels; all weights are integers.

    The waves t_0, t_1, ... are computed once going forward, one a layer, and carried; the unfolds run backward, all
    coordinates at once, on signals scaled by powers of 3:

        3 unfold = w + 2 rho(ind_1 - w) + 2 rho(w + ind_2 - 1),   ind_m = rho(1 - rho(1 - B(3c - m))),   B = `slope`.

    The clipped ramp `ind_m` is exactly 0 or 1 outside the ramp, which section 1's difference of two large numbers is
    not in floating point. It differs from the curve only where a wave lies in a ramp, `[m/3, m/3 + 1/(3B))`. With
    `path="centre"` the innermost signal is the constant 1/2, the only weight that is no integer.

    **Counts**, for d = `dim`, K = `levels` >= 1 and D = d K >= 2, whatever the number of cells, 3**D:

    | path | depth | connectivity |
    |---|---|---|
    | diagonal | D + K + 3 | D (D + K)/2 + 30 D - 3 d - 2 |
    | centre | D + K + 2 | D (D + K)/2 + 29 D - 6 d - 12, and d more for K = 1 |

    For K = 0 the depth is 1 and the connectivity d. Raises `ValueError` for a slope beyond the float type.
    """
    if slope > sys.float_info.max / 3:
        raise ValueError("slope is beyond float64: choose wider ramps, fewer levels or fewer dimensions")
    waves = dim * levels
    net = _Circuit("t0")
    for j in range(waves if path == "diagonal" else waves - 1):
        # t_{j+1} = 3 t_j - 2 rho(3 t_j - 1) + 2 rho(3 t_j - 2); the earlier waves are carried.
        last = f"t{j}"
        carried = {f"t{i}": net.signals[f"t{i}"] for i in range(j + 1)}
        net.layer(carried | {"up": net.mix((3, last), bias=-1), "down": net.mix((3, last), bias=-2)})
        net.signals[f"t{j + 1}"] = net.mix((3, last), (-2, "up"), (2, "down"))
    net.signals["w"] = net.signals[f"t{waves}"] if path == "diagonal" else ({}, 0.5)
    inner = ["w"] * dim
    # A pipeline of three layers a level: inner half of the clip, outer half, unfold; a level starts with every layer.
    for step in range(levels + 2 if levels else 0):
        starting, clipped, unfolded = levels - 1 - step, levels - step, levels + 1 - step
        neurons = {f"t{i}": net.signals[f"t{i}"] for i in range(starting * dim)}
        for i in range(dim):
            for m in (1, 2):
                if starting >= 0:
                    neurons[f"half{m},{i}"] = net.mix((-3 * slope, f"t{starting * dim + i}"), bias=1 + m * slope)
                if 0 <= clipped < levels:
                    neurons[f"ind{m},{i}"] = net.mix((-1, f"half{m},{i}"), bias=1)
        if unfolded >= levels:
            neurons["w"] = net.signals["w"]
            net.layer(neurons)
            continue
        scale = 3 ** (levels - 1 - unfolded)
        for i, w in enumerate(inner):
            neurons[f"w{i}"] = net.signals[w]
            neurons[f"first{i}"] = net.mix((scale, f"ind1,{i}"), (-1, w))
            neurons[f"second{i}"] = net.mix((1, w), (scale, f"ind2,{i}"), bias=-scale)
        net.layer(neurons)
        inner = [f"w{i}" for i in range(dim)]
        for i, w in enumerate(inner):
            net.signals[w] = net.mix((1, w), (2, f"first{i}"), (2, f"second{i}"))
    return ReLUNetwork([*net.pairs, net.affine([net.signals[w] for w in inner])])
