"""A step of `jaxgen.training.fit`, against a minimal hand-written Optax + OTT-JAX loop that does the same work.

Same network, batch size, epsilon schedule, solver settings and optimizer; compilation apart; the two in turn. `fit` is
timed from the outside, between its callbacks, so that its progress bar and its checks count.
"""

import time

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from ott.geometry import costs, epsilon_scheduler, pointcloud
from ott.tools.sinkhorn_divergence import sinkhorn_divergence

import jaxgen as jg
from jaxgen.generators import MLPGenerator
from jaxgen.training import SinkhornLoss, fit

from .rows import ROUNDS

LOSS, RATE = SinkhornLoss(), 5e-3


def table(small: bool):
    """Nanoseconds a step. **Raises:** `RuntimeError` where the trained laws are not equally near to the points."""
    steps, rounds, batch = (20, 1, 64) if small else (300, ROUNDS, 256)
    rng = np.random.default_rng(0)
    data = rng.normal(size=(1688, 2)) + 3 * rng.integers(0, 3, (1688, 1))
    ways = {
        "by hand, the same divergence": LOSS,
        "by hand, OTT-JAX's sinkhorn_divergence": ott_divergence,
    }
    times, laws = {name: [] for name in ("fit", *ways)}, {}
    for _ in range(rounds):
        seconds, laws["fit"] = by_fit(data, steps, batch)
        times["fit"].append(seconds)
        for name, divergence in ways.items():
            seconds, laws[name] = by_hand(data, steps, batch, divergence)
            times[name].append(seconds)
    near = {name: jg.law_distance(law, data, n=1024).value for name, law in laws.items()}
    ours = np.median(times["fit"])
    for name in ways:
        # From one network, on other batches.
        if abs(near[name] - near["fit"]) > (0.2 if small else 0.1) * data.std():
            raise RuntimeError(f"the law by fit is {near['fit']:.3g} from the points, {name} {near[name]:.3g}")
        peer = np.median(times[name])
        yield {
            "name": f"a step of fit, batch {batch}, W_1 {near['fit']:.2f}",
            "against": f"{name}, W_1 {near[name]:.2f}",
            "ns": 1e9 * ours,
            "peer_ns": 1e9 * peer,
            "ratio": ours / peer,
            "same": "held",
        }


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
    """Seconds per step of the loop that a careful user would write for this one problem, and its points."""
    # The network that `fit` starts from, so that both learn the same; the box of the data is where its points start.
    start = MLPGenerator(key=jr.key(0))
    params, low, high = (start.weights, start.biases), data.min(axis=0), data.max(axis=0)
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adam(optax.warmup_cosine_decay_schedule(RATE / 100, RATE, steps // 20, steps)),
    )
    opt_state = optimizer.init(params)
    middle, scale = data.mean(axis=0), np.sqrt(2 * data.var(axis=0).sum())
    target, corner, sides = (
        jnp.asarray(x) for x in ((data - middle) / scale, (low - middle) / scale, (high - low) / scale)
    )

    def network(params, u):
        *hidden, (w, b) = zip(*params, strict=True)
        for weight, bias in hidden:
            u = jax.nn.relu(weight @ u + bias)
        return corner + sides * (w @ u + b)

    @jax.jit
    def step(params, opt_state, i):
        first, second = jr.split(jr.fold_in(jr.key(1), i))
        u = jr.uniform(first, (batch_size, 1))
        y = target[jr.randint(second, (batch_size,), 0, len(target))]

        def loss(params):
            x = jax.vmap(network, (None, 0))(params, u)
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
    seconds = (time.perf_counter() - began) / (steps - 1)
    u = (jnp.arange(1024) + 0.5)[:, None] / 1024
    return seconds, middle + scale * np.asarray(jax.vmap(network, (None, 0))(params, u), float)


def by_fit(data, steps, batch_size):
    """Seconds per step of `fit`, progress bar and checks included, first block (compilation) excluded; its law."""
    seen = []
    found = fit(
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
    return (ended - began) / (last - first), found.generator
