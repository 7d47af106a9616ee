"""Training: stochastic gradient descent on the Sinkhorn divergence to the data."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jax.typing import ArrayLike
from jaxtyping import PRNGKeyArray
from tqdm import tqdm

from ..generators import MLPGenerator
from ._batches import curve_order, data_batch, source_batch
from ._loss import batch_divergence

# Epsilon falls from this many times its last value, and stays there for the last third of the steps.
_ANNEAL, _ANNEALED = 10, 0.7
# Steps between two looks at the losses: as many as fit this time, so that the bar moves and Ctrl-C is obeyed.
_BLOCK, _BLOCK_SECONDS = 128, 0.25


class TrainingError(FloatingPointError):
    """The loss stopped being finite; `step` is the first step (counted from 1) where it was not."""

    def __init__(self, message: str, step: int):
        super().__init__(message)
        self.step = step


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What `fit` made.

    - `generator`: the trained one, in the coordinates of the data.
    - `losses`: one float a step, the Sinkhorn divergence of its two batches over the mean squared distance of two
      data points. Each is for the epsilon of its step, so that early and late ones do not compare.
    - `epsilon`: the first and the last regularization, in squared units of the data.
    - `steps`, `batch_size`, `learning_rate`: what was asked for; `len(losses)` steps were made.
    - `seconds`: the time taken, `compile_seconds` of which went into compilation (and one block of steps).
    - `interrupted`: whether Ctrl-C ended the training early.
    """

    generator: Any
    losses: np.ndarray
    epsilon: tuple[float, float]
    steps: int
    batch_size: int
    learning_rate: float
    seconds: float
    compile_seconds: float
    interrupted: bool


@dataclasses.dataclass(frozen=True)
class _Plan:
    """All that a step needs and that is not an array."""

    steps: int
    batch_size: int
    learning_rate: float
    epsilon: float

    def optimizer(self) -> optax.GradientTransformation:
        schedule = optax.warmup_cosine_decay_schedule(
            init_value=self.learning_rate / 100,
            peak_value=self.learning_rate,
            warmup_steps=self.steps // 20,
            decay_steps=max(self.steps, 2),
        )
        return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))

    def epsilon_at(self, step):
        return self.epsilon * _ANNEAL ** jnp.maximum(1 - step / (_ANNEALED * self.steps), 0)


def fit(
    generator: Any,
    data: ArrayLike,
    *,
    key: PRNGKeyArray,
    steps: int = 4000,
    batch_size: int = 256,
    epsilon: float = 0.01,
    learning_rate: float = 5e-3,
    labels: Sequence[str | int] | None = None,
    progress: bool = True,
    callback: Callable[[int, np.ndarray, Any], None] | None = None,
) -> Fitted:
    """Trains a generator to have the law of `data`.

    Every step draws a batch of data and a batch of sources and takes an Adam step (Optax; warm-up, cosine decay,
    clipped gradients) on their Sinkhorn divergence (OTT-JAX, squared Euclidean cost). Both batches are stratified.

    - `generator`: an `MLPGenerator`, or any Equinox module with inexact arrays that maps one source `(source_dim,)`
      to a point and has a `source_dim`. An `MLPGenerator` takes the box and the label masses that it was not given
      from the data.
    - `data`: shape `(n, dim)`, or `(n,)` for points of the line, in any units.
    - `epsilon`: the last regularization, as a multiple of the mean squared distance of two data points; it starts
      ten times larger and falls geometrically for the first 0.7 of the steps.
    - `labels`: one a point; needed for a generator with a `vocabulary`, which is called with the position of the
      label in it as `condition`. A label that differs costs as much as a typical distance, so that conditional laws
      are matched.
    - `callback(step, losses, generator)`: called every quarter of a second or so, with the number of steps made and
      the losses of the last ones. Raising `KeyboardInterrupt` in it ends the training, as Ctrl-C does: the state so
      far is returned, `interrupted=True`.

    The defaults were tuned on 1688 of the US airports, with samples of 1688 points against the other 1688, in degrees,
    where the two halves are 2.03 (W_1) and 7.40 (W_2) apart. 4000 steps of 8 to 10 ms on a shared CPU core reached
    2.67 and 8.53 with one source (2.47 and 8.35 if its samples are stratified), 2.05 and 8.06 with two. Width 128
    (W_1 = 2.64), epsilon 0.003 (2.67) and learning rate 0.01 (2.61) made no difference beyond that of another seed
    (2.54). What mattered were Sinkhorn solves that see far clusters, annealed from a large epsilon: with twenty plain
    iterations at epsilon 0.003 a network of width 128 had as low a loss and W_1 = 4.79. There, in 2000 steps, learning
    rate 0.001 was too slow (3.42 against 3.28 at 0.003) and stratified batches took W_1 between stratified samples and
    the training half from 2.09 to 1.64.

    The same key, on the same machine, gives the same losses, bit for bit.

    Raises `TrainingError`, naming the step, when the loss is no longer finite; `ValueError` for data that are empty,
    not finite or of the wrong shape, labels that do not fit them, `steps < 1`, `batch_size < 2`, and an `epsilon` or
    `learning_rate` that is not a positive number.
    """
    began = time.perf_counter()
    for name, value, least in (("steps", steps, 1), ("batch_size", batch_size, 2)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"{name} must be an integer; got {type(value).__name__}")
        if value < least:
            raise ValueError(f"{name} must be at least {least}; got {value}")
    for name, value in (("epsilon", epsilon), ("learning_rate", learning_rate)):
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be a positive finite number; got {value}")
    points = _points(data, generator)
    codes = _codes(labels, generator, len(points))
    if isinstance(generator, MLPGenerator):
        generator = generator.suited_to(points, codes)
    order = curve_order(points, codes)
    points, codes = points[order], None if codes is None else jnp.asarray(codes[order], jnp.int32)
    center = points.mean(axis=0)
    unit = math.sqrt(2 * np.mean(np.sum((points - center) ** 2, axis=1))) or 1.0
    target = (jnp.asarray((points - center) / unit), jnp.asarray(center), jnp.asarray(unit), codes)

    plan = _Plan(int(steps), int(batch_size), float(learning_rate), float(epsilon))
    params, rest = eqx.partition(generator, eqx.is_inexact_array)
    fixed, static = eqx.partition(rest, lambda leaf: isinstance(leaf, jax.Array | np.ndarray))
    if not jax.tree.leaves(params):
        raise ValueError("generator has no inexact arrays: there is nothing to train")
    state = params, plan.optimizer().init(params), jnp.zeros((), jnp.int32)
    losses, done, block, compile_seconds, interrupted = [], 0, 1, 0.0, False
    bar = tqdm(total=plan.steps, disable=not progress, unit="step", desc="training")
    try:
        while done < plan.steps:
            started = time.perf_counter()
            count = min(block, plan.steps - done)
            new, values = state, []
            for _ in range(count):
                *new, value = _step(*new, fixed, static, target, key, plan)
                values.append(value)
            block_losses = np.asarray(jax.device_get(values))
            bad = np.flatnonzero(~np.isfinite(block_losses))
            if bad.size:
                step = done + int(bad[0]) + 1
                raise TrainingError(
                    f"the loss or its gradient is not finite at step {step} of {plan.steps}: use a smaller "
                    f"learning_rate (it is {plan.learning_rate:g}) or a larger epsilon (it is {plan.epsilon:g})",
                    step,
                )
            state, done = new, done + count
            losses.append(block_losses)
            elapsed = time.perf_counter() - started
            if done == count:
                compile_seconds = elapsed
            # The first block times compilation; blocks then grow at most eightfold at a time.
            block = max(1, min(8 * block, _BLOCK, int(count * _BLOCK_SECONDS / elapsed) if done > count else 8))
            bar.set_postfix(loss=f"{block_losses.mean():.3g}", refresh=False)
            bar.update(count)
            if callback is not None:
                callback(done, block_losses, eqx.combine(state[0], fixed, static))
    except KeyboardInterrupt:
        interrupted = True
    finally:
        bar.close()
    return Fitted(
        generator=eqx.combine(state[0], fixed, static),
        losses=np.concatenate(losses) if losses else np.zeros(0),
        epsilon=(float(plan.epsilon_at(0)) * unit**2, float(plan.epsilon_at(plan.steps)) * unit**2),
        steps=plan.steps,
        batch_size=plan.batch_size,
        learning_rate=plan.learning_rate,
        seconds=time.perf_counter() - began,
        compile_seconds=compile_seconds,
        interrupted=interrupted,
    )


# One step a call, and not a loop of steps: calls are queued without waiting, and inside a loop XLA does not run the
# three transport problems of a step side by side on a CPU (a step of 256 points: 5.6 ms in a loop, 4.0 ms out of it).
# jax.jit, because to sort the arguments anew at each call, as filter_jit does, takes a tenth of such a step.
@partial(jax.jit, static_argnames=("static", "plan"))
def _step(params, opt_state, step, fixed, static, target, key, plan):
    points, center, unit, codes = target
    data_key, source_key = jr.split(jr.fold_in(key, step))
    chosen = data_batch(data_key, len(points), plan.batch_size)
    some = None if codes is None else codes[chosen]
    u = source_batch(source_key, plan.batch_size, static.source_dim, some)

    def loss(params):
        generator = eqx.combine(params, fixed, static)
        x = jax.vmap(generator)(u) if some is None else jax.vmap(generator)(u, some)
        return batch_divergence((x - center) / unit, points[chosen], plan.epsilon_at(step), some, some), x

    (value, x), grads = jax.value_and_grad(loss, has_aux=True)(params)
    # OTT leaves potentials that are not finite out of its sums, so that the value alone can hide points that are not.
    # Their sum cannot, and neither can that of the gradients.
    seen = jnp.stack([jnp.sum(leaf) for leaf in jax.tree.leaves((x, grads))])
    updates, opt_state = plan.optimizer().update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, step + 1, value + 0 * jnp.sum(seen)


def _points(data, generator):
    points = np.asarray(data)
    if points.dtype.kind not in "fiub":
        raise TypeError(f"data must hold real numbers; got dtype {points.dtype}")
    points = points.astype(np.float64)
    points = points[:, None] if points.ndim == 1 else points
    if points.ndim != 2 or 0 in points.shape:
        raise ValueError(f"data must have shape (n, dim) or (n,) with n, dim >= 1; got {np.shape(data)}")
    dim = getattr(generator, "dim", points.shape[1])
    if points.shape[1] != dim:
        raise ValueError(f"data has points of dimension {points.shape[1]}, the generator of dimension {dim}")
    bad = np.count_nonzero(~np.isfinite(points).all(axis=1))
    if bad:
        raise ValueError(f"data has {bad} of {len(points)} points with NaN or infinity; remove them")
    largest, dtype = np.abs(points).max(), jnp.result_type(float)
    if largest > math.sqrt(float(jnp.finfo(dtype).max)) / 16:
        raise ValueError(f"data reaches {largest:.3g}, too large to be squared in {dtype}; rescale it")
    return points


def _codes(labels, generator, n):
    vocabulary = getattr(generator, "vocabulary", None)
    if vocabulary is None:
        if labels is not None:
            raise ValueError("labels were given, but the generator has no vocabulary; build it with vocabulary=")
        return None
    if labels is None:
        raise ValueError("the generator is conditional: give labels=, one for each point")
    labels = [c.item() if isinstance(c, np.generic) else c for c in labels]
    if len(labels) != n:
        raise ValueError(f"labels must hold one label for each point, {n}; got {len(labels)}")
    table = {label: code for code, label in enumerate(vocabulary)}
    unknown = sorted({str(c) for c in labels if c not in table})
    if unknown:
        raise ValueError(f"labels holds {len(unknown)} not in the generator's vocabulary: {', '.join(unknown[:5])}")
    return np.array([table[c] for c in labels])
