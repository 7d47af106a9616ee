"""The layer in front of a network that reads a label (theory, section 7)."""

import numpy as np
from jaxtyping import Float

from ..relu import NetworkBuilder, ReLUNetwork, stack


def prompted(network: ReLUNetwork, label_masses: Float[np.ndarray, " labels"]) -> ReLUNetwork:
    """The joint generator behind the layer that sends (one-hot label, u) to the interval of the label.

    `u -> sum_c lo_c e_c + w_c rho(u + e_c - 1)`, exact for u in [0, 1]. Further sources pass by.
    """
    net = NetworkBuilder(label=len(label_masses), u=network.in_size)
    u = net["u"]
    net.layer(**net.carry("label"), chosen=net["label"] + u[:1] - 1, others=u[1:])
    starts = np.cumsum(label_masses) - label_masses
    chosen = starts[None] @ net["label"] + label_masses[None] @ net["chosen"]
    return net.network(net.apply(network, stack(chosen, net["others"]), merge=None, nonnegative=True))
