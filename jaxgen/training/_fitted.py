"""What training hands back: the result, or the step at which it failed."""

import dataclasses
from typing import Generic, TypeVar

import equinox as eqx
import numpy as np
from jaxtyping import Float

G = TypeVar("G", bound=eqx.Module)


class TrainingError(FloatingPointError):
    """The loss stopped being finite; `step` is the first step (counted from 1) where it was not.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.TrainingError("the loss is not finite", step=7).step
        7
    """

    def __init__(self, message: str, step: int):
        super().__init__(message)
        self.step = step


@dataclasses.dataclass(frozen=True)
class Fitted(Generic[G]):
    """What `fit` made.

    - `generator`: the trained one, of the type that was given, in the coordinates of the data.
    - `losses`: one float a step, the loss of its two batches, for points in units in which two data points are a mean
        squared distance of 1 apart. That of `SinkhornLoss` is for the epsilon of its step, so that early and late ones
        do not compare.
    - `epsilon`: the first and the last regularization, in squared units of the data; `None` for a loss without.
    - `steps`, `batch_size`, `learning_rate`: what was asked for; `len(losses)` steps were made, and the rate is `None`
        where an optimizer was given.
    - `seconds`: the time taken, `compile_seconds` of which went into compilation (and one block of steps).
    - `interrupted`: whether Ctrl-C ended the training early.

    **Example:**

        >>> import jax.random as jr, numpy as np, jaxgen as jg
        >>> network = jg.MLPGenerator(dim=1, width=8, depth=2, key=jr.key(0))
        >>> fitted = jg.fit(network, np.linspace(5, 8, 64), key=jr.key(1), steps=40, batch_size=32, progress=False)
        >>> fitted.losses.shape, fitted.learning_rate, fitted.interrupted
        ((40,), 0.005, False)
    """

    generator: G
    losses: Float[np.ndarray, " made"]
    epsilon: tuple[float, float] | None
    steps: int
    batch_size: int
    learning_rate: float | None
    seconds: float
    compile_seconds: float
    interrupted: bool
