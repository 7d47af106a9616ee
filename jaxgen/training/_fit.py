"""Training: stochastic gradient descent on a distance between batches of a generator and of the data."""

import time
from collections.abc import Callable, Iterable
from typing import Any, SupportsFloat, SupportsIndex

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._checks import Numbers, positive_number, whole_number
from ._fitted import Fitted, G, TrainingError
from ._sinkhorn_loss import SinkhornLoss
from ._step import Plan, State, default_optimizer, split_parameters, training_step
from ._target import check_data, check_labels, make_target

# The defaults were tuned on 1688 of the US airports, with samples of 1688 points against the other 1688, in degrees,
# where the two halves are 2.03 (W_1) and 7.40 (W_2) apart. 4000 steps of 8 to 10 ms on a shared CPU core reached 2.67
# and 8.53 with one source (2.47 and 8.35 if its samples are stratified), 2.05 and 8.06 with two. Width 128 (W_1 =
# 2.64), epsilon 0.003 (2.67) and learning rate 0.01 (2.61) made no difference beyond that of another seed (2.54). What
# mattered were Sinkhorn solves that see far clusters, annealed from a large epsilon: with twenty plain iterations at
# epsilon 0.003 a network of width 128 had as low a loss and W_1 = 4.79. There, in 2000 steps, learning rate 0.001 was
# too slow (3.42 against 3.28 at 0.003) and stratified batches took W_1 between stratified samples and the training half
# from 2.09 to 1.64.
_EPSILON, _LEARNING_RATE = 0.01, 5e-3
# Steps between two looks at the losses: as many as fit this time, so that the bar moves and Ctrl-C is obeyed.
_BLOCK, _BLOCK_SECONDS = 128, 0.25


def fit(
    generator: G,
    data: Numbers,
    *,
    key: PRNGKeyArray,
    steps: SupportsIndex = 4000,
    batch_size: SupportsIndex = 256,
    epsilon: SupportsFloat | None = None,
    learning_rate: SupportsFloat | None = None,
    labels: Iterable[str | int | np.generic] | None = None,
    optimizer: optax.GradientTransformation | None = None,
    loss: Callable[..., Array] | None = None,
    progress: bool = True,
    callback: Callable[[int, Float[np.ndarray, " block"], G], object] | None = None,
) -> Fitted[G]:
    """Trains a generator to have the law of `data`.

    Every step draws a batch of sources and a batch of data, both stratified, and lets the optimizer lower the loss
    between them. The same key, on the same machine, gives the same losses, bit for bit.

    **Arguments:**

    - `generator`: an Equinox module that maps one source `(source_dim,)` to a point and has a `source_dim`. Its inexact
        arrays are trained; if it has a method `trainable()`, only those that this marks (a filter as in
        `equinox.partition`), and nothing moves the rest. If it has a method `suited_to(points, codes)`, that is asked
        first: an `MLPGenerator` takes the box and the label masses that it was not given from the data.
    - `data`: shape `(n, dim)`, or `(n,)` for points of the line, in any units.
    - `key`: of the batches. `steps`: how many. `batch_size`: points in each, at least 2.
    - `epsilon`: of the default loss, its last regularization as a multiple of the mean squared distance of two data
        points; 0.01 if not given. It starts ten times larger and falls for the first 0.7 of the steps.
    - `learning_rate`: of the default optimizer, its largest; 0.005 if not given.
    - `labels`: one a point; needed for a generator with a `vocabulary`, which is called as `generator(u, code=code)`
        with the position of the label in it, so that conditional laws are matched.
    - `optimizer`: of Optax; by default Adam with clipped gradients, warm-up and cosine decay.
    - `loss`: `loss(x, y, x_codes, y_codes, step, steps)`, a scalar that is differentiable in `x`: `x` and `y` are a
        batch of the generator and one of the data, `(batch_size, dim)`, centred and in units in which two data points
        are a mean squared distance of 1 apart; the codes are their labels, `(batch_size,)`, or `None`; `step` counts
        from 0 to `steps`. Any callable that can be hashed will do, or an Equinox module (its arrays are not trained);
        `SinkhornLoss(epsilon)` by default.
    - `progress`: whether to show a bar.
    - `callback(step, losses, generator)`: called every quarter of a second or so, with the number of steps made and the
        losses of the last ones. Raising `KeyboardInterrupt` in it ends the training, as Ctrl-C does: the state so far
        is returned, `interrupted=True`.

    **Returns:** a `Fitted`, whose `generator` has the type of the one given.

    **Raises:** `TrainingError`, naming the step, when the loss is no longer finite; `ValueError` for data that are
    empty, not finite or of the wrong shape, labels that do not fit them, `steps < 1`, `batch_size < 2`, an `epsilon` or
    `learning_rate` that is not positive or is given beside the `loss` or `optimizer` that it would not reach, and a
    generator with nothing to train; `TypeError` for what is not a number.

    **Example:**

        >>> import jax.random as jr, numpy as np, jaxgen as jg
        >>> network = jg.MLPGenerator(dim=1, width=8, depth=2, key=jr.key(0))
        >>> fitted = jg.fit(network, np.linspace(5, 8, 64), key=jr.key(1), steps=40, batch_size=32, progress=False)
        >>> type(fitted.generator).__name__, len(fitted.losses), bool(fitted.losses[-1] < fitted.losses[0])
        ('MLPGenerator', 40, True)
    """
    began = time.perf_counter()
    if optimizer is not None and learning_rate is not None:
        raise ValueError("learning_rate is that of the default optimizer: give it or optimizer=, not both")
    if loss is not None and epsilon is not None:
        raise ValueError("epsilon is that of the default loss: give it or loss=, not both")
    steps, batch_size = whole_number(steps, "steps", 1), whole_number(batch_size, "batch_size", 2)
    hints = []
    if optimizer is None:
        learning_rate = positive_number(_LEARNING_RATE if learning_rate is None else learning_rate, "learning_rate")
        optimizer = default_optimizer(steps, learning_rate)
        hints.append(f"a smaller learning_rate (it is {learning_rate:g})")
    if loss is None:
        loss = SinkhornLoss(positive_number(_EPSILON if epsilon is None else epsilon, "epsilon"))
        hints.append(f"a larger epsilon (it is {loss.epsilon:g})")
    points = check_data(data, getattr(generator, "dim", None))
    codes = check_labels(labels, getattr(generator, "vocabulary", None), len(points))
    suited: Any = getattr(generator, "suited_to", lambda points, codes: generator)(points, codes)
    target, unit = make_target(points, codes)
    params, rest = split_parameters(suited)
    if not hasattr(rest, "source_dim"):
        raise ValueError("generator has no source_dim, the number of uniform numbers that it maps to a point")

    plan = Plan(steps, batch_size, optimizer)
    fixed, static = eqx.partition((rest, loss), eqx.is_array)
    params, losses, compile_seconds, interrupted = _loop(
        lambda state: training_step(state, fixed, static, target, key, plan),
        (params, optimizer.init(params), jnp.zeros((), jnp.int32)),
        steps,
        " or ".join(hints) or "a smaller learning rate or another loss",
        progress,
        None if callback is None else lambda step, losses, params: callback(step, losses, eqx.combine(params, rest)),
    )
    ends = [float(loss.epsilon_at(k, steps)) for k in (0, steps)] if isinstance(loss, SinkhornLoss) else None
    return Fitted(
        generator=eqx.combine(params, rest),
        losses=losses,
        epsilon=None if ends is None else (ends[0] * unit**2, ends[1] * unit**2),
        steps=steps,
        batch_size=batch_size,
        learning_rate=None if learning_rate is None else float(learning_rate),
        seconds=time.perf_counter() - began,
        compile_seconds=compile_seconds,
        interrupted=interrupted,
    )


def _loop(
    advance: Callable[[State], tuple[State, Float[Array, ""]]],
    state: State,
    steps: int,
    hint: str,
    progress: bool,
    callback: Callable[[int, np.ndarray, Any], object] | None,
) -> tuple[PyTree, Float[np.ndarray, " made"], float, bool]:
    """Advances the state step by step, in blocks after which the losses are looked at; Ctrl-C ends it early.

    Returns the parameters, the losses, the seconds until the first of them, and whether it was ended early.
    """
    from tqdm import tqdm

    losses, done, block, compile_seconds, interrupted = [], 0, 1, 0.0, False
    bar = tqdm(total=steps, disable=not progress, unit="step", desc="training")
    try:
        while done < steps:
            started = time.perf_counter()
            count = min(block, steps - done)
            new, values = state, []
            for _ in range(count):
                new, value = advance(new)
                values.append(value)
            values = np.asarray(jax.device_get(values))
            if (bad := np.flatnonzero(~np.isfinite(values))).size:
                at = done + int(bad[0]) + 1
                raise TrainingError(f"the loss or its gradient is not finite at step {at} of {steps}: use {hint}", at)
            state, done = new, done + count
            losses.append(values)
            elapsed = time.perf_counter() - started
            if done == count:
                compile_seconds = elapsed
            # The first block times compilation; blocks then grow at most eightfold at a time.
            block = max(1, min(8 * block, _BLOCK, int(count * _BLOCK_SECONDS / elapsed) if done > count else 8))
            bar.set_postfix(loss=f"{values.mean():.3g}", refresh=False)
            bar.update(count)
            if callback is not None:
                callback(done, values, state[0])
    except KeyboardInterrupt:
        interrupted = True
    finally:
        bar.close()
    return state[0], np.concatenate(losses) if losses else np.zeros(0), compile_seconds, interrupted
