"""One training: a model, a loss, and data, put together; `fit` makes it, and the loop runs it."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, SupportsIndex

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from .._checks import whole_number
from ..generators import AbstractExplicitGenerator
from ..measures import MAX_QUANTA, Label
from ._checkpoint import arrays_of, named, places_of
from ._fitted import Fitted, Resumable
from ._held_out import Data
from ._models import Leaves, Samples, leaves_of
from ._rebuilt import learnt
from ._run import Run, new_run
from ._settings import Settings
from ._sinkhorn_loss import SinkhornLoss
from ._step import State, held_out_loss, split_parameters, training_step
from ._target import Target, make_target


@dataclasses.dataclass(frozen=True)
class Job:
    """What all steps of a training share.

    - `construction`: the generator that was given; `params`, `rest`: its model, to begin with; `fixed`, `static`: the
        arrays, and all else, of `rest`, of the loss, and of what the data are seen through.
    - `unit`: of `target`, in float64; `looks`: the held-out data, if there are any; `label_masses`: of the data;
        `quanta`: of explicit laws.
    """

    construction: Any
    params: PyTree
    rest: PyTree
    fixed: PyTree
    static: PyTree
    chosen: Settings
    target: Target
    unit: float
    looks: Target | None
    through: Callable | None
    label_masses: Float[np.ndarray, " labels"]
    quanta: int

    def begin(self, earlier: Resumable | None) -> Run:
        """The run before the first step of this call.

        **Raises:** `ValueError` where the state of the optimizer that an earlier call left is of another optimizer.
        """
        fresh = new_run(self.params, self.chosen.plan.optimizer.init(self.params))
        if earlier is None:
            return fresh
        if jax.tree.structure(earlier.run.opt_state) != jax.tree.structure(fresh.opt_state):
            raise ValueError(
                "the optimizer is not the one that the earlier call used, whose state it cannot go on from: give that "
                "one, or train fitted.generator anew"
            )
        return earlier.run

    def advance(self, state: State, key: PRNGKeyArray) -> tuple[State, Float[Array, ""]]:
        """One step."""
        return training_step(state, self.fixed, self.static, self.target, key, self.chosen.plan)

    def look(self, params: PyTree, key: PRNGKeyArray) -> float:
        """The loss against the data that are held out."""
        assert self.looks is not None
        return float(held_out_loss(params, self.fixed, self.static, self.looks, key, self.chosen.plan))

    def result(self, params: PyTree) -> Any:
        """The generator with these parameters."""
        model = eqx.combine(params, self.rest)
        if isinstance(model, Samples):
            return model.generator
        return learnt(self.construction, model, self.label_masses, self.quanta)

    def fitted(self, run: Run, seconds: float, compile_seconds: float = 0.0, interrupted: bool = False) -> Fitted[Any]:
        """What `fit` hands back."""
        chosen, loss = self.chosen, self.chosen.loss
        steps, looked = chosen.plan.steps, self.looks is not None and run.best_step > 0
        ends = [float(loss.epsilon_at(k, steps)) for k in (0, steps)] if isinstance(loss, SinkhornLoss) else None
        return Fitted(
            generator=self.result(run.best if looked else run.params),
            losses=run.losses,
            epsilon=None if ends is None else (ends[0] * self.unit**2, ends[1] * self.unit**2),
            steps=chosen.end,
            batch_size=chosen.plan.batch_size,
            learning_rate=chosen.learning_rate,
            seconds=seconds,
            compile_seconds=compile_seconds,
            interrupted=interrupted,
            validation_losses=run.look_losses,
            validation_steps=run.look_steps,
            returned_step=run.best_step if looked else run.made,
            resumable=Resumable(self.construction, self.rest, run, steps, chosen.optimizer, loss),
        )

    def about(self, data: Data, key: PRNGKeyArray, every: int, made: int) -> dict[str, Any]:
        """What tells this run from others, by the names of the arguments of `fit`; the same in another process."""
        plan, loss = self.chosen.plan, self.chosen.loss
        return {
            "generator": named(self.construction),
            "earlier call": f"{made} {arrays_of(self.params)}" if made else None,
            "data": arrays_of(data.points),
            "labels": arrays_of(data.codes),
            "key": arrays_of(jr.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key),
            "steps": self.chosen.end,
            "total_steps": plan.steps,
            "batch_size": plan.batch_size,
            "learning_rate": self.chosen.learning_rate,
            "optimizer": places_of(plan.optimizer.init(self.params)),
            "loss": named(loss),
            "through": None if self.through is None else named(self.through),
            "validation": None if self.looks is None else f"{arrays_of(self.looks)} every {every}",
        }


def new_job(
    generator: Any,
    earlier: Resumable | None,
    data: Data,
    looks: Callable[[Target], Target] | None,
    chosen: Settings,
    through: Callable | None,
    atoms: bool,
    quanta: SupportsIndex,
) -> Job:
    """A training of a generator on data, or one that goes on from where an `earlier` one stopped.

    **Arguments:** `looks`: makes the held-out data of a target, in its units; the others as in `fit`.

    **Raises:** as `fit`.
    """
    target, unit = make_target(*data)
    vocabulary = getattr(generator, "vocabulary", None)
    counts = np.bincount(np.zeros(len(data.points), int) if data.codes is None else data.codes)
    counts = np.append(counts, np.zeros(len(vocabulary or (None,)) - len(counts), int))
    if earlier is not None:
        params, rest = earlier.run.params, earlier.rest
    elif isinstance(generator, AbstractExplicitGenerator):
        params, rest = split_parameters(leaves_of(generator, unit if through is None else None, atoms))
    elif atoms:
        raise ValueError(f"atoms=True is for a CodebookGenerator; got a {type(generator).__name__}")
    else:
        params, rest = split_parameters(_sampled(generator, data if through is None else None))
    model = eqx.combine(params, rest)
    if isinstance(model, Leaves):
        _check_leaves(chosen.loss, counts, vocabulary)
    if through is not None:
        _check_through(through, model, data, chosen.plan.batch_size)
    fixed, static = eqx.partition((rest, chosen.loss, through), eqx.is_array)
    quanta = whole_number(quanta, "quanta", len(counts), MAX_QUANTA)
    held = None if looks is None else looks(target)
    masses = counts / counts.sum()
    return Job(generator, params, rest, fixed, static, chosen, target, unit, held, through, masses, quanta)


def _sampled(generator: Any, data: Data | None) -> Samples:
    """The model of a generator that is trained through its samples, suited to the data, if it likes."""
    if data is not None and hasattr(generator, "suited_to"):
        generator = generator.suited_to(*data)
    model = Samples(generator)
    split_parameters(model)
    if model.source_shape is None:
        raise ValueError("generator has no source_dim, the number of uniform numbers that it maps to a point")
    return model


def _check_leaves(loss: Callable, counts: Int[np.ndarray, " labels"], vocabulary: tuple[Label, ...] | None) -> None:
    """Raises where a loss takes no weights, and where there is nothing to learn the law under a label from."""
    try:
        inspect.signature(loss).bind(None, None, None, None, 0, 1, x_weights=None)
    except TypeError:
        raise TypeError(
            "an explicit generator learns the masses of its leaves: loss must take them, as the keyword x_weights"
        ) from None
    if missing := [str(label) for label, count in zip(vocabulary or ("",), counts, strict=True) if not count]:
        raise ValueError(f"labels: no point has {', '.join(missing[:5])}, and every label must have mass")


def _check_through(through: Callable, model: Samples | Leaves, data: Data, size: int) -> None:
    """Raises `ValueError` where observations have another shape than the data."""
    codes = None if data.codes is None else jnp.zeros(size, jnp.int32)
    dim = data.points.shape[1]
    points = jax.eval_shape(lambda key: model.cloud(key, size, codes).points, jr.key(0))
    shape = jax.eval_shape(through, points, jr.key(0)).shape
    if len(shape) not in (2, 3) or shape[-2:] != (len(points), dim):
        raise ValueError(
            f"through must take points of shape {points.shape} to {(len(points), dim)}, the dimension of data, or to "
            f"{('ways', len(points), dim)}; it gave {shape}"
        )
