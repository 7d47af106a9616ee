"""Models of other libraries, fitted to the same half of the data."""

import dataclasses
import importlib.util
import time
from collections.abc import Callable, Iterator

from ..data import Dataset
from . import _densities, _flows
from ._measure import Measured, failure, measure
from ._peer import Peer
from ._wrap import wrapped
from ._yardstick import Yardstick

# The packages that it needs, and what can be made with them.
_PEERS: dict[str, tuple[tuple[str, ...], Callable[[Dataset, int], Iterator[tuple[str, Peer]]]]] = {
    "Gaussian mixture": (("sklearn",), _densities.mixtures),
    "k-means": (("sklearn",), _densities.k_means),
    "kernel density": ((), _densities.kernels),
    "coupling flow": (("flowjax",), _flows.coupling),
    "spline flow": (("flowjax",), _flows.spline),
    "flow matching": (("flax", "diffrax"), _flows.matching),
    "semi-discrete map": (("ott",), _flows.semi_discrete),
}


def peers(train: Dataset, names: tuple[str, ...], seed: int) -> tuple[dict[str, Peer], list[str]]:
    """Those of the names that can be made of such points, and sentences that say which packages were missing.

    With labels there are none: none of them is conditional.
    """
    if train.labels is not None:
        return {}, []
    found: dict[str, Peer] = {}
    missing: dict[str, list[str]] = {}
    for name in names:
        packages, makers = _PEERS[name]
        absent = [package for package in packages if importlib.util.find_spec(package) is None]
        if absent:
            missing.setdefault(" and ".join(absent), []).append(name)
        else:
            found |= dict(makers(train, seed))
    return found, [
        f"Left out, without {package} (`pip install 'jaxgen[peers]'`): {', '.join(left)}."
        for package, left in missing.items()
    ]


def peer_row(name: str, peer: Peer, yardstick: Yardstick) -> Iterator[Measured]:
    """A model of another library, made of each split, or of the first where it takes long."""
    splits = yardstick.splits if peer.quick else yardstick.splits[:1]
    began = time.thread_time()
    try:
        made = peer.make(splits[0].train, yardstick.seed)
        seconds = time.thread_time() - began
        laws = [made.law, *(peer.make(split.train, yardstick.seed).law for split in splits[1:])]
        models = [
            # What it says of itself, if it is one of ours, is about itself.
            dataclasses.replace(wrapped(law, split.train.points.shape[1]), generator=None)
            for law, split in zip(laws, splits, strict=True)
        ]
        yield measure(name, "peer", models, yardstick, seconds, peer.family, made.bits)
    except Exception as error:  # another library may raise anything, and must not take the others down
        yield failure(name, "peer", error)
