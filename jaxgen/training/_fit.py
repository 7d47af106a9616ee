"""Training: stochastic gradient descent on a distance between batches of a generator and of the data."""

import os
import time
from collections.abc import Callable, Iterable
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import Numbers, whole_number
from ..generators import AbstractExplicitGenerator
from ..measures import MAX_QUANTA
from ._checkpoint import read_checkpoint, write_checkpoint
from ._fitted import Fitted, G, TrainingError
from ._held_out import Data, held_out_target, split_off
from ._job import new_job
from ._run import NotFinite, Watch, train
from ._settings import settings
from ._target import check_data, check_labels


def fit(
    generator: G | Fitted[G],
    data: Numbers,
    *,
    key: PRNGKeyArray,
    steps: SupportsIndex = 4000,
    batch_size: SupportsIndex | None = None,
    epsilon: SupportsFloat | None = None,
    learning_rate: SupportsFloat | None = None,
    labels: Iterable[str | int | np.generic] | None = None,
    optimizer: optax.GradientTransformation | None = None,
    loss: Callable[..., Array] | None = None,
    through: Callable[[Float[Array, "n dim"], PRNGKeyArray], Float[Array, "*ways n k"]] | None = None,
    atoms: bool = False,
    quanta: SupportsIndex = MAX_QUANTA,
    validation: SupportsFloat | Numbers | tuple[Numbers, Iterable[str | int | np.generic]] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: SupportsIndex | None = None,
    total_steps: SupportsIndex | None = None,
    progress: bool = True,
    callback: Callable[[int, Float[np.ndarray, " block"], G], object] | None = None,
) -> Fitted[G]:
    """Trains a generator to have the law of `data`.

    Every step draws a batch of data, and lets the optimizer lower the loss between it and the generator. The same key,
    on the same machine, gives the same losses, bit for bit.

    An *explicit generator* learns the masses of its leaves, and, with labels, those under each label; masses of labels
    are those of the data. Each step compares all leaves, at their centres and with their masses, with the batch
    (theory, section 12). At the end masses are rounded to quanta, and what comes out is the same construction on the
    new measure, with the cost of rounding in its certificate. Any *other generator* is trained through its samples: a
    batch of sources, stratified as the data are.

    `fit(fitted, data, ...)`, with what `fit` returned, *goes on where it stopped*: from its last state, not from the
    best one, with the optimizer's state, and with the loss, the optimizer, the batch size and the held-out losses that
    it had, where none are given. (Data and labels are given anew, and so are `through`, `validation` and `quanta`;
    atoms move if they did.) Steps are counted on: with the same key and data they draw the batches that one long run
    draws. Schedules are drawn over `total_steps`: `steps=100, total_steps=200`, and 100 steps more, are one run of 200
    steps, bit for bit. Without `total_steps` the default learning rate has fallen to 0 at the end of each call; to go
    on is then to make the steps that are left of a longer schedule.

    **Arguments:**

    - `generator`: an Equinox module that maps one source `(source_dim,)` to a point and has a `source_dim`, or an
        `in_size`, as those of `equinox.nn` and the `network()` of an explicit generator have. Its inexact arrays are
        trained; if it has a method `trainable()`, only those that this marks (a filter as in
        `equinox.partition`), and nothing moves the rest. If it has a method `suited_to(points, codes)`, that is asked
        first: an `MLPGenerator` takes the box and the label masses that it was not given from the data. Or an explicit
        generator, or what `fit` returned.
    - `data`: shape `(n, dim)`, or `(n,)` for points of the line, in any units.
    - `key`: of the batches. `steps`: how many. `batch_size`: points in each, 2 to 2**24; 256 if not given.
    - `epsilon`: of the default loss, its last regularization as a multiple of the mean squared distance of two data
        points; 0.01 if not given. It starts ten times larger and falls for the first 0.7 of the steps.
    - `learning_rate`: of the default optimizer, its largest; if not given 0.005, and 0.2 for masses.
    - `labels`: one a point; needed for a generator with a `vocabulary`, which is called as `generator(u, code=code)`
        with the position of the label in it, so that conditional laws are matched.
    - `optimizer`: of Optax; by default Adam with clipped gradients, warm-up and cosine decay.
    - `loss`: `loss(x, y, x_codes, y_codes, step, steps)`, a scalar that is differentiable in `x`: `x` and `y` are a
        batch of the generator and one of the data, `(batch_size, dim)`, centred and in units in which two data points
        are a mean squared distance of 1 apart; the codes are their labels, `(batch_size,)`, or `None`; `step` counts
        from 0 to `total_steps`. For an explicit generator `x` are all its leaves, and it is given, and must be
        differentiable in, `x_weights`, their masses, which sum to 1. Any callable that can be hashed will do, or an
        Equinox module (its arrays are not trained); `SinkhornLoss(epsilon)` by default.
    - `through`: what the data are seen through: `through(points, key)`, differentiable, takes points of the generator,
        `(n, dim)`, in its coordinates, to what would be observed of them, `(n, k)`, or in `ways` equally likely ways,
        `(ways, n, k)`, and `data` are observations, `(N, k)`: a linear map of the points, or the points and noise. The
        key is another one at each step. With it `suited_to` is not asked.
    - `atoms`: whether a `CodebookGenerator` learns its atoms, too.
    - `quanta`: of what an explicit generator learns, 2**24 if not given; fewer take fewer bits.
    - `validation`: data to hold out, as a share of `data`, or as points (with labels, a pair of points and labels). The
        parameters of the least held-out loss are returned, of those looked at. A look takes up to 1024 points, or
        `batch_size` of them.
    - `checkpoint`: a path. The run is written there, whole or not at all, as it goes and at its end, at Ctrl-C and at
        SIGTERM, which then takes its course. Where the file exists, the run that it is of goes on, to the same end, bit
        for bit. (Of optimizers, losses and operators of your own only names and shapes are compared.)
    - `every`: steps between two looks at held-out data, and between two checkpoints; a twentieth of `total_steps` if
        not given.
    - `total_steps`: of the whole run, of which this call makes `steps`; by default the steps made so far and these, and
        no fewer than in the call before.
    - `progress`: whether to show a bar.
    - `callback(step, losses, generator)`: called every quarter of a second or so, with the number of steps made and the
        losses of the last ones. Raising `KeyboardInterrupt` in it ends the training, as Ctrl-C does: the state so far
        is returned, `interrupted=True`.

    **Returns:** a `Fitted`, whose `generator` has the type of the one given.

    **Raises:** `TrainingError`, naming the step and with what had been reached, when the loss is no longer finite;
    `ValueError` for data that are empty, not finite or of the wrong shape, labels that do not fit them, numbers out of
    range, an `epsilon` or `learning_rate` that is given beside the `loss` or `optimizer` that it would not reach, a
    generator with nothing to train, and a checkpoint that is damaged or of another run, naming what differs;
    `TypeError` for what is not a number, and a loss that takes no `x_weights` where there are some.

    **Example:**

        >>> import jax.random as jr, numpy as np, jaxgen as jg
        >>> network = jg.MLPGenerator(dim=1, width=8, depth=2, key=jr.key(0))
        >>> fitted = jg.fit(network, np.linspace(5, 8, 64), key=jr.key(1), steps=40, batch_size=32, progress=False)
        >>> type(fitted.generator).__name__, len(fitted.losses), bool(fitted.losses[-1] < fitted.losses[0])
        ('MLPGenerator', 40, True)
        >>> even = jg.PeanoGenerator(jg.GridMeasure.from_histogram(np.ones(4), low=0.0, high=4.0))
        >>> data = [0.5, 1.5, 1.5, 1.5, 1.5]  # one point in the first cell, four in the second
        >>> learnt = jg.fit(even, data, key=jr.key(1), steps=100, batch_size=5, progress=False).generator
        >>> [round(float(mass), 1) for mass in learnt.measure.masses[:2]]
        [0.2, 0.8]
    """
    began = time.perf_counter()
    fitted = generator if isinstance(generator, Fitted) else None
    earlier = None if fitted is None else fitted.resumable
    start: Any = generator if earlier is None else earlier.construction
    masses = isinstance(start, AbstractExplicitGenerator)
    chosen = settings(fitted, masses, steps, total_steps, batch_size, epsilon, learning_rate, optimizer, loss)
    every = max(1, chosen.plan.steps // 20) if every is None else whole_number(every, "every", 1)
    points = check_data(data, None if through is not None else getattr(start, "dim", None))
    vocabulary = getattr(start, "vocabulary", None)
    everything = Data(points, check_labels(labels, vocabulary, len(points)))
    kept, held = split_off(everything, validation, key, vocabulary)
    looks = None if held is None else lambda target: held_out_target(held, target, key, chosen.plan.batch_size)
    job = new_job(start, earlier, kept, looks, chosen, through, atoms, quanta)

    run = job.begin(earlier)
    about = {}
    if checkpoint is not None:
        about = job.about(everything, key, every, run.made)
        run = read_checkpoint(checkpoint, run, about) or run
    watch = Watch(
        every,
        chosen.plan.steps,
        None if looks is None else lambda params: job.look(params, key),
        None if checkpoint is None else lambda run: write_checkpoint(checkpoint, run, about),
        None if callback is None else lambda step, losses, params: callback(step, losses, job.result(params)),
        progress,
    )
    try:
        run, compile_seconds, interrupted = train(run, chosen.end, lambda state: job.advance(state, key), watch)
    except NotFinite as error:
        message = f"the loss or its gradient is not finite at step {error.step} of {chosen.end}: use {chosen.hint}"
        raise TrainingError(message, error.step, job.fitted(error.run, time.perf_counter() - began)) from None
    return job.fitted(run, time.perf_counter() - began, compile_seconds, interrupted)
