"""How near a curve of given length can be to a law with a density, and the length of a network's curve."""

import math
from typing import SupportsFloat, SupportsIndex

import numpy as np
from jaxtyping import Float

from .._checks import real_number, transport_order
from ..measures import AbstractGridMeasure
from ._neighborhood import distance_from, target
from ._pieces import one_input_network

# Numbers held at once while pieces are split; more pieces than fit are worked off in portions.
_PORTION = 1 << 21


def length_bound(
    length: SupportsFloat,
    dim: SupportsIndex | None = None,
    max_density: SupportsFloat = 1.0,
    p: SupportsFloat = 1,
    *,
    law: AbstractGridMeasure | None = None,
) -> float:
    """A lower bound on W_p between a law with a density and any law on a curve of given length.

    `W_p^p >= integral_0^inf (1 - m(V(r)))_+ d(r^p)`, `V(r) = kappa_{d-1} r^(d-1) length + kappa_d r^d`, where m(v) is
    the largest mass of the law on any set of volume v: M v for a density of at most M, the densest cells first for a
    `law` that is given. For d = 2, p = 1, long curves and a density of at most M it tends to 1/(4 M length).

    Proven for every law carried by one curve of so great a length, whatever the weights or the training: the points
    within r of the curve have volume at most V(r), and what is outside travels further than r. It says nothing about
    generators with more than one input, and is too small for curves that retrace themselves. Theory, section 10.

    **Arguments:**

    - `length`: of the curve, in units of length (for a map from [0, 1], at most its Lipschitz constant; see
        `curve_length`). `dim`: d >= 1. `p`: the order.
    - `max_density`: M, a bound on the density by volume (1 for the uniform law on the unit cube).
    - `law`: a grid measure, in place of `dim` and `max_density`; stronger the more uneven it is.

    **Returns:** a W_p, in units of length. To the points that a grid measure was made from: less their W_p to it, at
        most `data_bound(points, law, p)`.

    **Raises:** `ValueError` for a length that is negative or not finite, M <= 0, dim < 1 or p < 1, and for a dim or
    density beside a law; `TypeError` for a dim that is not an integer and a law that is not on a grid.

    **Example:**

        >>> import jaxgen as jg
        >>> round(jg.limits.length_bound(100, dim=2), 6)
        0.0025
        >>> uneven = jg.GridMeasure.from_histogram([[0.4, 0.1], [0.4, 0.1]])  # densities 1.6 and 0.4
        >>> round(jg.limits.length_bound(100, law=uneven), 6), round(jg.limits.length_bound(100, 2, 1.6), 6)
        (0.00175, 0.001562)
    """
    p, length = transport_order(p), real_number(length, "length")
    if not (math.isfinite(length) and length >= 0):
        raise ValueError(f"length must be a finite number >= 0; got {length}")
    log_length = math.log(length) if length > 0 else -math.inf
    return distance_from(log_length, 0.0, target(dim, max_density, law), p)


def curve_length(generator: object) -> float:
    """The length of the curve that a ReLU network with one input makes of [0, 1].

    Exact up to rounding in float64 (of the weights as they are stored): the breakpoints are solved for, layer by layer,
    not sampled. On a piece where the layers so far are linear every next pre-activation is linear as well and known
    from its two ends; where it changes sign the piece is split. Time follows the number of linear pieces, which can be
    exponential in the depth. What the curve runs through twice counts twice.

    With `length_bound` this bounds the error of the network from below, however it was trained. It does not bound it
    from above. Theory, section 10.

    **Arguments:**

    - `generator`: a `ReLUNetwork`, or anything whose `network()` is one, with one input.

    **Returns:** the length, in the units of the output.

    **Raises:** `ValueError` for more than one input or weights that are not finite; `TypeError` for something that is
    not a network.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.limits.curve_length(jg.relu.sawtooth(3))  # up and down four times
        8.0
    """
    network = one_input_network(generator)
    layers = network.layers_as_scipy()
    if not all(np.isfinite(weight.data).all() and np.isfinite(bias).all() for weight, bias in layers):
        raise ValueError("generator has weights that are NaN or infinite")
    most = max(1, _PORTION // network.width)
    lengths = []
    portions = [(0, np.zeros((1, 1)), np.ones((1, 1)))]  # the next layer, and (neurons, pieces) at both ends
    while portions:
        depth, left, right = portions.pop()
        if left.shape[1] > most:
            half = left.shape[1] // 2
            portions += [(depth, left[:, :half], right[:, :half]), (depth, left[:, half:], right[:, half:])]
            continue
        weight, bias = layers[depth]
        if depth == len(layers) - 1:
            lengths.append(float(np.linalg.norm(weight @ (right - left), axis=0).sum()))
            continue
        left, right = _split(weight @ left + bias[:, None], weight @ right + bias[:, None])
        portions.append((depth + 1, np.maximum(left, 0), np.maximum(right, 0)))
    return math.fsum(lengths)


def _split(
    left: Float[np.ndarray, "neurons pieces"], right: Float[np.ndarray, "neurons pieces"]
) -> tuple[Float[np.ndarray, "neurons parts"], Float[np.ndarray, "neurons parts"]]:
    """Splits each piece, given by its values at both ends, where a neuron changes sign."""
    neuron, piece = np.nonzero(((left < 0) & (right > 0)) | ((left > 0) & (right < 0)))
    start, end = left[neuron, piece], right[neuron, piece]
    at = 1 / (1 - end / start)
    order = np.lexsort((at, piece))
    neuron, piece, at = neuron[order], piece[order], at[order]
    # A piece with c crossings becomes c + 1 parts. Crossing number j of all ends part j + piece, and begins the next.
    pieces = left.shape[1]
    parent = np.repeat(np.arange(pieces), 1 + np.bincount(piece, minlength=pieces))
    part = np.arange(len(at)) + piece
    first, last = np.zeros(len(parent)), np.ones(len(parent))
    last[part], first[part + 1] = at, at
    a, b = left[:, parent], right[:, parent]
    left, right = a * (1 - first) + b * first, a * (1 - last) + b * last
    # The neuron that vanishes does so exactly, however steep the layers to come.
    right[neuron, part], left[neuron, part + 1] = 0.0, 0.0
    return left, right
