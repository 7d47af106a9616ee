"""One step of training, compiled once for all generators, data and keys of one structure."""

import dataclasses
from functools import cache, partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from ._batches import data_batch, source_batch
from ._target import Target

# The parameters, the state of the optimizer, and the number of steps made.
State = tuple[PyTree, PyTree, Int[Array, ""]]


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that a step needs and that is not an array."""

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


def split_parameters(generator: eqx.Module) -> tuple[Any, Any]:
    """What is trained of a generator, and the rest of it: no optimizer sees the rest, weight decay or not.

    Trained are the inexact arrays, where the generator has a method `trainable` only those that it marks.
    """
    marked: Any = getattr(generator, "trainable", lambda: True)()
    params, rest = eqx.partition(generator, marked)
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
    """The state after one more step, and its loss; `fixed` and `static` are the rest of the generator and the loss."""
    params, opt_state, step = state
    rest, loss = eqx.combine(fixed, static)
    data_key, source_key = jr.split(jr.fold_in(key, step))
    chosen = data_batch(data_key, len(target.points), plan.batch_size)
    codes = None if target.codes is None else target.codes[chosen]
    u = source_batch(source_key, plan.batch_size, rest.source_dim, codes)

    def objective(params):
        generator = eqx.combine(params, rest)
        x = jax.vmap(generator)(u) if codes is None else jax.vmap(lambda u, code: generator(u, code=code))(u, codes)
        return loss((x - target.center) / target.unit, target.points[chosen], codes, codes, step, plan.steps), x

    (value, x), grads = jax.value_and_grad(objective, has_aux=True)(params)
    # OTT leaves potentials that are not finite out of its sums, so that the value alone can hide points that are not.
    # Their sum cannot, and neither can that of the gradients.
    seen = jnp.stack([jnp.sum(leaf) for leaf in jax.tree.leaves((x, grads))])
    updates, opt_state = plan.optimizer.update(grads, opt_state, params)
    return (optax.apply_updates(params, updates), opt_state, step + 1), value + 0 * jnp.sum(seen)
