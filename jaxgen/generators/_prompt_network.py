"""The layer in front of a network that reads a label (theory, section 7)."""

import numpy as np
from jaxtyping import Float

from ..relu import NetworkBuilder, ReLUNetwork, affine, compose, parallel


def prompted(network: ReLUNetwork, label_masses: Float[np.ndarray, " labels"]) -> ReLUNetwork:
    """The joint generator behind the layer that sends (one-hot label, u) to the interval of the label.

    `u -> sum_c lo_c e_c + w_c rho(u + e_c - 1)`, exact for u in [0, 1]. Further sources pass by.
    """
    net = NetworkBuilder(label=len(label_masses), u=1)
    net.layer(**net.carry("label"), chosen=net["label"] + net["u"] - 1)
    starts = np.cumsum(label_masses) - label_masses
    interval = net.network(starts[None] @ net["label"] + label_masses[None] @ net["chosen"])
    others = network.in_size - 1
    if others:
        interval = parallel(interval, affine(np.eye(others)), nonnegative=True)
    return compose(network, interval, nonnegative=True)
