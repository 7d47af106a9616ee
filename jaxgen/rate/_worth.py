"""What data are worth: the bits beyond which a law learns nothing more about points it has not seen (section 8)."""

import math
from typing import SupportsIndex

import numpy as np
from jaxtyping import Float

from .._checks import Numbers, TooFewBits, finite_points, whole_number
from ..distances import law_value
from ..measures import trees

_STEP = math.sqrt(2)
# Budgets without a gain, after which no larger one is tried.
_PATIENCE = 4
_MOST_POINTS = 8192


def worth(points: Numbers, halvings: SupportsIndex | object = 10) -> int:
    """How many bits N/2 such points are worth, in W_1: the fewest that serve unseen points as well as any more.

    The points are halved at random, 10 times by default; a tree is made of one half for each of some budgets, a
    factor sqrt(2) apart, and its W_1 to the other half falls with the bits, and then stops: what a longer file says is
    about the points, not about their law. The answer is the fewest bits whose mean error is no more than one standard
    error above the least. The errors of two budgets are compared on the same halves, and as halvings overlap, the
    variance of their mean difference is taken as 1/10 + 1 times that of one (Nadeau and Bengio, 2003). Theory, section
    8.

    Takes a minute for some thousand points; of more than 8,192, so many are drawn, and it is these that are spoken of.

    **Arguments:** `points`: `(N, d)` or `(N,)`, N >= 4; `halvings`: how often they are halved, at least 2.

    **Returns:** bits of a file, header and box included.

    **Raises:** `ValueError` for fewer than 4 points, and for bad points; `TypeError` for anything but numbers.

    **Example:**

        >>> import jaxgen as jg, numpy as np
        >>> 64 < jg.rate.worth(np.random.default_rng(0).normal(size=8), halvings=2) < 1000
        True
    """
    cloud = finite_points(points).astype(np.float64)
    if len(cloud) < 4:
        raise ValueError(f"points must be at least 4, to be halved; got {len(cloud)}")
    if len(cloud) > _MOST_POINTS:
        cloud = cloud[np.random.default_rng(0).permutation(len(cloud))[:_MOST_POINTS]]
    times = whole_number(halvings, "halvings", 2)
    halves = [_halves(cloud, seed) for seed in range(times)]
    budgets, errors = [max(_least_bits(seen) for seen, _ in halves)], []
    while True:
        errors.append([_unseen(seen, unseen, budgets[-1]) for seen, unseen in halves])
        means = np.mean(errors, axis=1)
        best = int(np.argmin(means))
        # A larger budget that changes nothing has nothing left to say.
        if len(budgets) > best + _PATIENCE or errors[-1] in errors[-2:-1]:
            break
        budgets.append(budgets[-1] * _STEP)
    worse = np.asarray(errors) - errors[best]
    allowed = np.sqrt((1 / times + 1) * worse.var(axis=1, ddof=1))
    return math.ceil(budgets[int(np.argmax(worse.mean(axis=1) <= allowed))])


def _halves(cloud: Float[np.ndarray, "n d"], seed: int):
    order = np.random.default_rng(seed).permutation(len(cloud))
    return cloud[order[: len(cloud) // 2]], cloud[order[len(cloud) // 2 :]]


def _least_bits(points) -> float:
    """The smallest budget of a tree of these points."""
    try:
        trees(points, 1.0)
    except TooFewBits as error:
        return float(error.least)
    return 1.0


def _unseen(seen, unseen, bits: float) -> float:
    law = min(trees(seen, bits), key=lambda pair: pair[1])[0]
    return law_value(law, unseen, 1, n=max(2048, len(unseen)))
