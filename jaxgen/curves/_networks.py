"""The Peano curve as a ReLU network with integer weights (theory, section 4)."""

import numpy as np
import scipy.sparse as sp

from ..relu import ReLUNetwork


def peano_network(dim: int, levels: int, slope: int, path: str = "diagonal") -> ReLUNetwork:
    """The Peano curve v -> [0, 3**levels]^dim with `levels` levels; all weights are integers.

    The waves t_0, t_1, ... are computed once going forward, one a layer, and carried; the unfolds run backward, all
    coordinates at once, on signals scaled by powers of 3:

        3 unfold = w + 2 rho(ind_1 - w) + 2 rho(w + ind_2 - 1),   ind_m = rho(1 - rho(1 - B(3c - m))),   B = `slope`.

    The clipped ramp `ind_m` is exactly 0 or 1 outside the ramp, which section 1's difference of two large numbers is
    not in floating point. With `path="centre"` the innermost signal is the constant 1/2, the only weight
    that is no integer.

    Sizes: with D = dim * levels, depth D + levels + 3 (one less for the centre path; 1 for levels = 0). Connectivity is
    `peano_connectivity(dim, levels, path)`, O(D^2) whatever the number of cells, 3**D.
    """
    waves = dim * levels
    if levels == 0:
        weight = np.ones((dim, 1)) if path == "diagonal" else np.zeros((dim, 1))
        return ReLUNetwork([(weight, None if path == "diagonal" else np.full(dim, 0.5))])
    pairs: list[tuple] = []
    # Each signal is kept as a row of weights on the neurons of the last layer, and a bias.
    signals = {"t0": (sp.csr_array(np.ones((1, 1))), np.zeros(1))}

    def advance(blocks: dict[str, tuple]) -> None:
        """Adds a layer of neurons `rho(weight * signals + bias)`; their names then stand for the neurons."""
        pairs.append(
            (sp.vstack([w for w, _ in blocks.values()], format="csr"), np.concatenate([b for _, b in blocks.values()]))
        )
        size, at = pairs[-1][0].shape[0], 0
        for name, (weight, _) in blocks.items():
            rows = weight.shape[0]
            signals[name] = (sp.eye_array(rows, size, k=at, format="csr"), np.zeros(rows))
            at += rows

    def mix(*terms, bias=0.0):
        """A combination of signals."""
        weight = sum((a * signals[name][0] for a, name in terms[1:]), terms[0][0] * signals[terms[0][1]][0])
        return weight, sum((a * signals[name][1] for a, name in terms), np.zeros(1)) + bias

    last = waves if path == "diagonal" else waves - 1
    for j in range(last):
        # t_{j+1} = 3 t_j - 2 rho(3 t_j - 1) + 2 rho(3 t_j - 2); the earlier waves are carried.
        blocks = {f"t{i}": signals[f"t{i}"] for i in range(j + 1)}
        advance(blocks | {"up": mix((3, f"t{j}"), bias=-1), "down": mix((3, f"t{j}"), bias=-2)})
        signals[f"t{j + 1}"] = mix((3, f"t{j}"), (-2, "up"), (2, "down"))
    # One pipeline: while one level is unfolded, the indicators of the next are clipped, and those after that begun.
    if path == "diagonal":
        for i in range(dim):
            signals[f"y{i}"] = signals[f"t{waves}"]
    scale = 1
    for step in range(levels + 2):
        unfolding, clipping, starting = levels + 1 - step, levels - step, levels - 1 - step
        blocks = {f"t{i}": signals[f"t{i}"] for i in range(max(starting, 0) * dim)}
        for i in range(dim):
            for m in (1, 2):
                if starting >= 0:
                    blocks[f"in{m},{i}"] = mix((-3 * slope, f"t{starting * dim + i}"), bias=1 + m * slope)
                if 0 <= clipping < levels:
                    blocks[f"ind{m},{i}"] = mix((-1, f"in{m},{i}"), bias=1)
        if step < 2:
            if path == "diagonal":
                blocks["w"] = signals[f"t{waves}"] if step == 0 else signals["w"]
        else:
            for i in range(dim):
                y = [(1, f"y{i}")] if f"y{i}" in signals else []
                constant = 0.0 if y else 0.5
                back, forth = [(-a, name) for a, name in y], y
                if y:
                    blocks[f"y{i}"] = signals[f"y{i}"]
                blocks[f"a{i}"] = mix((scale, f"ind1,{i}"), *back, bias=-constant)
                blocks[f"b{i}"] = mix((scale, f"ind2,{i}"), *forth, bias=constant - scale)
        advance(blocks)
        if step < 2:
            if path == "diagonal":
                for i in range(dim):
                    signals[f"y{i}"] = signals["w"]
        else:
            for i in range(dim):
                if f"y{i}" in blocks:
                    signals[f"y{i}"] = mix((1, f"y{i}"), (2, f"a{i}"), (2, f"b{i}"))
                else:
                    signals[f"y{i}"] = mix((2, f"a{i}"), (2, f"b{i}"), bias=0.5)
            scale *= 3
        del unfolding
    out = [signals[f"y{i}"] for i in range(dim)]
    return ReLUNetwork([*pairs, (sp.vstack([w for w, _ in out], format="csr"), np.concatenate([b for _, b in out]))])
