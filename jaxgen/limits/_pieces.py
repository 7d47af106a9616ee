"""How near any network of given depth and widths can be to a law: by the pieces that it can have."""

import math
from collections.abc import Sequence
from typing import SupportsFloat, SupportsIndex

import numpy as np

from .._checks import Numbers, transport_order, whole_number
from ..measures import AbstractGridMeasure
from ..relu import ReLUNetwork
from ._neighborhood import cell_sides, distance_from, target


def pieces(network: object) -> int:
    """The most linear pieces that a ReLU network with one input can have: the product of its hidden widths + 1.

    Proven, whatever the weights: on a piece where the layers before are linear each neuron of the next layer is linear
    before the ReLU, and changes sign at most once. Depth multiplies, width only adds. Theory, section 10.

    **Arguments:**

    - `network`: the widths of the hidden layers (none for an affine map); or a `ReLUNetwork`, or anything whose
        `network()` is one, with one input.

    **Returns:** the number, exactly.

    **Raises:** `ValueError` for a width < 1 and a network with more than one input; `TypeError` for widths that are not
    integers and for something that is not a network.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.limits.pieces([2, 2, 2]), jg.limits.pieces([6])  # six neurons: three layers, or one
        (27, 7)
    """
    if isinstance(network, Sequence | np.ndarray) and not isinstance(network, str):
        widths = [whole_number(width, f"network[{i}]", 1) for i, width in enumerate(network)]
    else:
        widths = one_input_network(network).sizes[1:-1]
    return math.prod(width + 1 for width in widths)


def network_bound(
    network: object,
    dim: SupportsIndex | None = None,
    max_density: SupportsFloat = 1.0,
    p: SupportsFloat = 1,
    *,
    sides: Numbers | None = None,
    law: AbstractGridMeasure | None = None,
) -> float:
    """A lower bound on W_p between a law on a box and any ReLU network with one input and such hidden layers.

    Proven, whatever the weights: projected on the box, which brings it no farther from the law, the output is monotone
    in each coordinate on each of at most `pieces(network)` pieces, so that its length is at most that number times the
    sum of the sides of the box, and `length_bound` applies. Nearly attained at d = 2 by one long and one short side.
    Networks with more than one input are not curves: nothing is said of them. Theory, section 10.

    **Arguments:**

    - `network`: widths of the hidden layers, or a network with one input, as for `pieces`.
    - `dim`, `max_density`, `p`: as for `length_bound`.
    - `sides`: `(d,)`, of a box that holds the law; 1 each if not given.
    - `law`: a grid measure, in place of `dim`, `max_density` and `sides`.

    **Returns:** a W_p, in units of length; 0 where it is below what float64 can hold.

    **Raises:** as `pieces` and `length_bound`; `ValueError` for sides that are not positive and finite or of the wrong
    number, and for sides beside a law.

    **Example:**

        >>> import jaxgen as jg
        >>> [round(jg.limits.network_bound([8] * depth, dim=2), 6) for depth in (1, 2, 3)]
        [0.013867, 0.001543, 0.000171]
    """
    number, p, known = pieces(network), transport_order(p), target(dim, max_density, law)
    if law is not None:
        if sides is not None:
            raise ValueError("sides are those of the law: leave them out beside law")
        cells = np.asarray(law.cells)
        lengths = (np.ptp(cells, axis=0) + 1) * cell_sides(law)
    else:
        lengths = np.ones(known.dim) if sides is None else np.asarray(sides, np.float64)
        if lengths.shape != (known.dim,) or not (np.isfinite(lengths).all() and (lengths > 0).all()):
            raise ValueError(f"sides must be {known.dim} positive finite numbers, one a dimension; got {sides}")
    total = float(lengths.sum())
    if total == 0:
        return 0.0
    return distance_from(math.log(number) + math.log(total), 0.0, known, p)


def one_input_network(generator: object) -> ReLUNetwork:
    """The network of a generator. Raises `TypeError` where there is none, `ValueError` if it has several inputs."""
    sources = getattr(generator, "source_dim", 1)
    if sources != 1:
        raise ValueError(f"this needs a network with one input, a curve; got a generator with source_dim = {sources}")
    network = generator if isinstance(generator, ReLUNetwork) else getattr(generator, "network", lambda: None)()
    if not isinstance(network, ReLUNetwork):
        raise TypeError(f"generator must be a ReLUNetwork or have network(); got {type(generator).__name__}")
    if network.in_size != 1:
        raise ValueError(
            f"this needs a network with one input, a curve; got {network.in_size} inputs. For a conditional generator, "
            "fix the condition first (a one-hot code in the first bias)"
        )
    return network
