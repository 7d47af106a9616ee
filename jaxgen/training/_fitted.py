"""What training hands back: the result, or the step at which it failed."""

import dataclasses
from typing import Any, Generic, TypeVar

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from ._run import Run

G = TypeVar("G", bound=eqx.Module)


class TrainingError(FloatingPointError):
    """The loss stopped being finite; `step` is the first step (counted from 1) where it was not.

    `fitted` is what had been reached: the generator with the last parameters whose loss was finite (those given, where
    none was), from which `fit` can go on.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.TrainingError("the loss is not finite", step=7).step
        7
    """

    def __init__(self, message: str, step: int, fitted: "Fitted[Any] | None" = None):
        super().__init__(message)
        self.step, self.fitted = step, fitted


@dataclasses.dataclass(frozen=True)
class Resumable:
    """All that `fit` needs to go on from where it stopped: the last state, whatever was returned.

    - `construction`: the generator that was given; `rest`: what is not trained of the model; `run`: where it stands.
    - `total_steps`, `optimizer`, `loss`: of the run; `optimizer` is `None` for the default one.
    """

    construction: Any
    rest: Any
    run: Run
    total_steps: int
    optimizer: Any
    loss: Any


@dataclasses.dataclass(frozen=True)
class Fitted(Generic[G]):
    """What `fit` made.

    - `generator`: the trained one, of the type that was given, in the coordinates of the data.
    - `losses`: one float a step, those of earlier calls that this one went on from included: the loss of its two
        batches, for points in units in which two data points are a mean squared distance of 1 apart. That of
        `SinkhornLoss` is for the epsilon of its step, so that early and late ones do not compare.
    - `epsilon`: the first and the last regularization, in squared units of the data; `None` for a loss without.
    - `steps`, `batch_size`, `learning_rate`: what was asked for (`steps` of all calls together); `len(losses)` steps
        were made, and the rate is `None` where an optimizer was given.
    - `seconds`: the time taken, `compile_seconds` of which went into compilation (and one block of steps).
    - `interrupted`: whether Ctrl-C, or SIGTERM, ended the training early.
    - `validation_losses`, `validation_steps`: the losses of held-out data, for the last epsilon, and after how many
        steps they were taken; empty without `validation`.
    - `returned_step`: how many steps the generator is from: those of the least held-out loss, or all that were made.
    - `resumable`: where the training stopped, after all steps that were made, for `fit(fitted, ...)`.

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
    validation_losses: Float[np.ndarray, " looks"] = dataclasses.field(default_factory=lambda: np.zeros(0))
    validation_steps: Int[np.ndarray, " looks"] = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))
    returned_step: int = 0
    resumable: Resumable | None = dataclasses.field(default=None, repr=False)
