"""How a generator is trained: optimizer, loss and numbers, each given, as it was in an earlier call, or the default."""

from collections.abc import Callable
from typing import Any, NamedTuple, SupportsFloat, SupportsIndex

import optax

from .._checks import positive_number, whole_number
from ._fitted import Fitted
from ._sinkhorn_loss import SinkhornLoss
from ._step import Plan, default_optimizer

# The defaults were tuned on 1688 of the US airports, with samples of 1688 points against the other 1688, in degrees,
# where the two halves are 2.03 (W_1) and 7.40 (W_2) apart. 4000 steps of 8 to 10 ms on a shared CPU core reached 2.67
# and 8.53 with one source (2.47 and 8.35 if its samples are stratified), 2.05 and 8.06 with two. Width 128 (W_1 =
# 2.64), epsilon 0.003 (2.67) and learning rate 0.01 (2.61) made no difference beyond that of another seed (2.54). What
# mattered were Sinkhorn solves that see far clusters, annealed from a large epsilon: with twenty plain iterations at
# epsilon 0.003 a network of width 128 had as low a loss and W_1 = 4.79. There, in 2000 steps, learning rate 0.001 was
# too slow (3.42 against 3.28 at 0.003) and stratified batches took W_1 between stratified samples and the training half
# from 2.09 to 1.64.
_EPSILON, _LEARNING_RATE, _BATCH = 0.01, 5e-3, 256
# Of the logits of masses, which have a scale of their own. On 8 x 8 cells with masses from a flat Dirichlet law (two of
# them), 300 steps against batches of 256 of 20,000 points came, in total variation to the law, to 0.091 and 0.078 at
# 0.1, to 0.074 and 0.067 at 0.2, to 0.066 and 0.063 at 0.4; the histogram of the points is at 0.020 and 0.018.
_MASS_RATE = 0.2
# Points of a batch, at most.
_MOST = 1 << 24


class Settings(NamedTuple):
    """What stays the same in all steps of a run.

    - `end`: the step that this call goes to, of `plan.steps` of the whole run.
    - `optimizer`: where one was given; `hint`: what might help where the loss is not finite.
    """

    plan: Plan
    loss: Callable[..., Any]
    end: int
    optimizer: optax.GradientTransformation | None
    learning_rate: float | None
    hint: str


def settings(
    earlier: Fitted[Any] | None,
    masses: bool,
    steps: SupportsIndex,
    total_steps: SupportsIndex | None,
    batch_size: SupportsIndex | None,
    epsilon: SupportsFloat | None,
    learning_rate: SupportsFloat | None,
    optimizer: optax.GradientTransformation | None,
    loss: Callable[..., Any] | None,
) -> Settings:
    """The settings of a call: those given, else those of the `earlier` call that it goes on from, else the defaults.

    **Raises:** as `fit`.
    """
    if optimizer is not None and learning_rate is not None:
        raise ValueError("learning_rate is that of the default optimizer: give it or optimizer=, not both")
    if loss is not None and epsilon is not None:
        raise ValueError("epsilon is that of the default loss: give it or loss=, not both")
    made, total, rate = 0, None, _MASS_RATE if masses else _LEARNING_RATE
    if earlier is not None and (stopped := earlier.resumable) is not None:
        made, total = stopped.run.made, stopped.total_steps
        batch_size = earlier.batch_size if batch_size is None else batch_size
        optimizer = stopped.optimizer if optimizer is None and learning_rate is None else optimizer
        rate = earlier.learning_rate or rate
        loss = stopped.loss if loss is None and epsilon is None else loss
    end = made + whole_number(steps, "steps", 1)
    total = max(total or 0, end) if total_steps is None else whole_number(total_steps, "total_steps")
    if total < end:
        raise ValueError(f"total_steps must be at least the {end} steps that are made by the end; got {total}")
    hints, used, given = [], optimizer, learning_rate
    if used is None:
        given = positive_number(rate if given is None else given, "learning_rate")
        used = default_optimizer(total, given)
        hints.append(f"a smaller learning_rate (it is {given:g})")
    if loss is None:
        loss = SinkhornLoss(positive_number(_EPSILON if epsilon is None else epsilon, "epsilon"))
        hints.append(f"a larger epsilon (it is {loss.epsilon:g})")
    size = whole_number(_BATCH if batch_size is None else batch_size, "batch_size", 2, _MOST)
    hint = " or ".join(hints) or "a smaller learning rate or another loss"
    return Settings(Plan(total, size, used), loss, end, optimizer, None if given is None else float(given), hint)
