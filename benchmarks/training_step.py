"""Times a step of `jaxgen.training.fit` against a minimal hand-written Optax + OTT-JAX loop doing the same work.

Same network, batch size, epsilon schedule, solver settings and optimizer; compilation apart; the two in turn. `fit` is
timed from the outside, between its callbacks, so that its progress bar and its checks count. Run from anywhere:
`python benchmarks/training_step.py`.
"""

import argparse
import time
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from ott.geometry import costs, epsilon_scheduler, pointcloud
from ott.tools.sinkhorn_divergence import sinkhorn_divergence

from jaxgen.generators import MLPGenerator
from jaxgen.training import SinkhornLoss, fit

LOSS, RATE = SinkhornLoss(), 5e-3


def ott_divergence(x, y, x_codes, y_codes, step, steps):
    """OTT's own function, which gives all three transport problems the iterations of the first."""
    value, _ = sinkhorn_divergence(
        pointcloud.PointCloud,
        x,
        y,
        cost_fn=costs.SqEuclidean(),
        epsilon=epsilon_scheduler.Epsilon(LOSS.epsilon_at(step, steps), init=LOSS.solve_from, decay=LOSS.solve_by),
        solve_kwargs={"min_iterations": LOSS.iterations, "max_iterations": LOSS.iterations},
    )
    return value


def by_hand(data, steps, batch_size, divergence):
    """Seconds per step of the loop that a careful user would write for this one problem."""
    model = eqx.nn.MLP(1, 2, 64, 3, key=jr.key(0))
    params, static = eqx.partition(model, eqx.is_inexact_array)
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adam(optax.warmup_cosine_decay_schedule(RATE / 100, RATE, steps // 20, steps)),
    )
    opt_state = optimizer.init(params)
    target = jnp.asarray((data - data.mean(axis=0)) / np.sqrt(2 * data.var(axis=0).sum()))

    @jax.jit
    def step(params, opt_state, i):
        first, second = jr.split(jr.fold_in(jr.key(1), i))
        u = jr.uniform(first, (batch_size, 1))
        y = target[jr.randint(second, (batch_size,), 0, len(target))]

        def loss(params):
            x = jax.vmap(eqx.combine(params, static))(u)
            return divergence(x, y, None, None, i, steps)

        value, grads = jax.value_and_grad(loss)(params)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, value

    params, opt_state, _ = jax.block_until_ready(step(params, opt_state, 0))
    losses, began = [], time.perf_counter()
    for i in range(1, steps):
        params, opt_state, value = step(params, opt_state, i)
        losses.append(value)
    jax.block_until_ready((params, losses))
    return (time.perf_counter() - began) / (steps - 1)


def by_fit(data, steps, batch_size):
    """Seconds per step of `fit`, progress bar and checks included, first block (compilation) excluded."""
    seen = []
    fit(
        MLPGenerator(key=jr.key(0)),
        data,
        key=jr.key(1),
        steps=steps,
        batch_size=batch_size,
        loss=LOSS,
        learning_rate=RATE,
        callback=lambda step, losses, generator: seen.append((step, time.perf_counter())),
    )
    (first, began), (last, ended) = seen[0], seen[-1]
    return (ended - began) / (last - first)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=256)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    data = rng.normal(size=(1688, 2)) + 3 * rng.integers(0, 3, (1688, 1))
    ways = {
        "fit": by_fit,
        "by hand, the same divergence": partial(by_hand, divergence=LOSS),
        "by hand, sinkhorn_divergence": partial(by_hand, divergence=ott_divergence),
    }
    times = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, run in ways.items():
            times[name].append(run(data, options.steps, options.batch_size))
    ours = np.median(times["fit"])
    print(f"{jax.devices()[0].platform}, {options.rounds} rounds in turn, milliseconds a step")
    for name, seen in times.items():
        low, middle, high = 1e3 * np.quantile(seen, [0, 0.5, 1])
        print(f"{name:30} {middle:7.3f}  ({low:.3f} to {high:.3f})  fit takes {1e3 * ours / middle:.3f} of it")


if __name__ == "__main__":
    main()
