"""The plane on which every generator is judged: Wasserstein error against bits (theory, sections 8 and 10)."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from .. import limits
from ..coding import code_length, encode, quantize_network
from ..rate import quantize
from ..generators import PeanoGenerator
from ..measures import GridMeasure
from ._entries import Judge

# Levels below the cells of a quantized measure: they cost no bits, and the filling is then no part of the error.
_EXTRA_LEVELS = 3


def plane_points(train: np.ndarray, judge: Judge, networks: list, plan: Any) -> list[dict[str, Any]]:
    """One point `(family, name, bits, w1)` for each budget of bits, and for each network at each precision.

    Explicit generators are rate-distortion optimal along the curve (`quantize`) and cost their whole encoded file.
    Trained networks are charged the smaller of their entropy-coded file and `weights * precision` for the rounded ones.
    """
    points = []
    for budget in plan.budgets:
        try:
            measure = quantize(train, bits=budget)
        except ValueError:
            continue  # the header and the box alone take more than the budget
        generator = PeanoGenerator(measure, _EXTRA_LEVELS)
        (w1,) = judge.distances(lambda key, c, g=generator: judge.draw(g, key, c), orders=(1,))
        points.append(
            {"family": "explicit", "name": "Peano", "budget": budget, "bits": code_length(generator), "w1": w1[0]}
        )
    for entry, network, _ in networks:
        weights = sum(int(jnp.size(a)) for a in (*network.weights, *network.biases))
        for precision in plan.precisions:
            rounded = quantize_network(network, precision)
            bits = min(8 * len(encode(network, weight_bits=precision)), weights * precision)
            (w1,) = judge.distances(lambda key, c, g=rounded: judge.draw(g, key, c), orders=(1,))
            family = f"trained, {network.source_dim} source{'s'[: network.source_dim > 1]}"
            points.append({"family": family, "name": entry.name, "precision": precision, "bits": bits, "w1": w1[0]})
    return points


def limit_lines(train: np.ndarray, networks: list, bits: list[float]) -> dict[str, Any]:
    """What no method can cross.

    - `any_method`: for each number of bits, the error that every code has on some law on the box: `covering_error`,
      scaled to the largest cube in it. A worst case over all laws, not a statement about these data.
    - `length`: for each network with one source, its curve's length, and the least W_1 of any law on a curve so long to
      a law with the largest density of the training points on a grid of 27 cells an axis.
    """
    dim = train.shape[1]
    side = float(np.ptp(train, axis=0).min())
    bits = sorted({round(float(b)) for b in bits})
    out: dict[str, Any] = {
        "any_method": [[float(b), side * limits.covering_error(float(b), dim)] for b in bits] if side > 0 else [],
        "length": [],
    }
    grid = GridMeasure.from_samples(train, 27 if dim <= 3 else 3)
    volume = float(np.prod(np.asarray(grid.cell_sides, np.float64)))
    if volume > 0 and dim >= 2:
        density = float(np.max(np.asarray(grid.masses))) / volume
        for entry, network, _ in networks:
            if network.source_dim == 1 and network.vocabulary is None:
                length = limits.curve_length(network)
                out["length"].append(
                    {"name": entry.name, "length": length, "w1": limits.length_bound(length, dim, density)}
                )
    return out
