"""One step of training, compiled once for all generators, data and keys of one structure."""

import dataclasses
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from ._batches import data_batch
from ._models import Cloud
from ._target import Target

# The parameters, the state of the optimizer, and the number of steps made.
State = tuple[PyTree, PyTree, Int[Array, ""]]


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that a step needs and that is not an array; `steps` are those of the whole schedule."""

    steps: int
    batch_size: int
    optimizer: optax.GradientTransformation


@cache  # One object for equal arguments, so that a second run is not another program.
def default_optimizer(steps: int, learning_rate: float) -> optax.GradientTransformation:
    """Adam with clipped gradients, warm-up and cosine decay."""
    schedule = optax.warmup_cosine_decay_schedule(
        init_value=learning_rate / 100,
        peak_value=learning_rate,
        warmup_steps=steps // 20,
        decay_steps=max(steps, 2),
    )
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))


def split_parameters(model: eqx.Module) -> tuple[Any, Any]:
    """What is trained of a model, and the rest of it: no optimizer sees the rest, weight decay or not.

    Trained are the inexact arrays that its method `trainable` marks.
    """
    marked: Any = model.trainable()  # pyright: ignore[reportAttributeAccessIssue]
    params, rest = eqx.partition(model, marked)
    params, other = eqx.partition(params, eqx.is_inexact_array)
    if not jax.tree.leaves(params):
        raise ValueError("generator has no inexact arrays that it would train: there is nothing to train")
    return params, eqx.combine(rest, other)


# One step a call, and not a loop of steps: calls are queued without waiting, and inside a loop XLA does not run the
# three transport problems of a step side by side on a CPU (a step of 256 points: 5.6 ms in a loop, 4.0 ms out of it).
# jax.jit, because to sort the arguments anew at each call, as filter_jit does, takes a tenth of such a step.
@partial(jax.jit, static_argnames=("static", "plan"))
def training_step(
    state: State, fixed: PyTree, static: PyTree, target: Target, key: PRNGKeyArray, plan: Plan
) -> tuple[State, Float[Array, ""]]:
    """The state after one more step, and its loss; `fixed` and `static` are the rest of the model, the loss, and what
    the data are seen through."""
    params, opt_state, step = state
    rest, loss, through = eqx.combine(fixed, static)
    data_key, source_key = jr.split(jr.fold_in(key, step))
    batch = target.at(data_batch(data_key, len(target.points), plan.batch_size))

    def objective(params):
        return _compared(eqx.combine(params, rest), loss, through, batch, source_key, step, plan.steps)

    (value, x), grads = jax.value_and_grad(objective, has_aux=True)(params)
    # OTT leaves potentials that are not finite out of its sums, so that the value alone can hide points that are not.
    # Their sum cannot, and neither can that of the gradients.
    totals = jnp.stack([jnp.sum(leaf) for leaf in jax.tree.leaves((x, grads))])
    updates, opt_state = plan.optimizer.update(grads, opt_state, params)
    return (optax.apply_updates(params, updates), opt_state, step + 1), value + 0 * jnp.sum(totals)


@partial(jax.jit, static_argnames=("static", "plan"))
def held_out_loss(
    params: PyTree, fixed: PyTree, static: PyTree, target: Target, key: PRNGKeyArray, plan: Plan
) -> Float[Array, ""]:
    """The loss against data that are not trained on, all of `target`, as the last step would weigh it."""
    rest, loss, through = eqx.combine(fixed, static)
    return _compared(eqx.combine(params, rest), loss, through, target, key, jnp.asarray(plan.steps), plan.steps)[0]


def _compared(
    model, loss, through: Callable | None, batch: Target, key, step, steps: int
) -> tuple[Float[Array, ""], Float[Array, "n d"]]:
    """The loss of a model against a batch of data, in the units of the loss, and the points that it was taken at."""
    cloud = observed(model.cloud(key, len(batch.points), batch.codes), through, key)
    x = (cloud.points - batch.center) / batch.unit
    weights = {} if cloud.weights is None else {"x_weights": cloud.weights}
    return loss(x, batch.points, cloud.codes, batch.codes, step, steps, **weights), x


def observed(cloud: Cloud, through: Callable | None, key: PRNGKeyArray) -> Cloud:
    """What is observed of a cloud; where each point is seen in several ways, `(ways, n, k)`, all of them."""
    if through is None:
        return cloud
    points = through(cloud.points, jr.fold_in(key, 1))
    ways = len(points) if points.ndim == 3 else 1
    codes = None if cloud.codes is None else jnp.tile(cloud.codes, ways)
    weights = None if cloud.weights is None else jnp.tile(cloud.weights / ways, ways)
    return Cloud(points.reshape(-1, points.shape[-1]), codes, weights)
