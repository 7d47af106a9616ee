"""A run of training: where it stands, and the loop that takes it further."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from ._step import State

# Steps between two looks at the losses: as many as fit this time, so that the bar moves and Ctrl-C is obeyed.
_BLOCK, _BLOCK_SECONDS = 128, 0.25


class Run(NamedTuple):
    """Where a run stands: all that its next step depends on, and all that it has found.

    - `losses`: one a step made; `look_steps`, `look_losses`: when held-out data were looked at, and their losses;
        `best`, `best_step`: the parameters of the least of them, and when it was (0: none yet).
    """

    params: PyTree
    opt_state: PyTree
    losses: Float[np.ndarray, " made"]
    look_steps: Int[np.ndarray, " looks"]
    look_losses: Float[np.ndarray, " looks"]
    best: PyTree
    best_step: int

    @property
    def made(self) -> int:
        """How many steps were made."""
        return len(self.losses)

    @property
    def state(self) -> State:
        """What a step takes."""
        return self.params, self.opt_state, jnp.asarray(self.made, jnp.int32)

    def after(self, state: State, losses: Float[np.ndarray, " block"]) -> "Run":
        """The run after more steps."""
        return self._replace(params=state[0], opt_state=state[1], losses=np.concatenate([self.losses, losses]))

    def looked(self, loss: float) -> "Run":
        """The run with one more loss of held-out data."""
        run = self._replace(
            look_steps=np.append(self.look_steps, self.made), look_losses=np.append(self.look_losses, loss)
        )
        better = np.isfinite(loss) and (self.best_step == 0 or loss < np.nanmin(self.look_losses))
        return run._replace(best=self.params, best_step=self.made) if better else run


def new_run(params: PyTree, opt_state: PyTree) -> Run:
    """A run of no steps yet."""
    return Run(params, opt_state, np.zeros(0), np.zeros(0, np.int64), np.zeros(0), params, 0)


class Watch(NamedTuple):
    """What is done between the steps: `look` and `save` every so many `every` steps.

    - `look(params)`: the loss of held-out data; `save(run)`: writes a checkpoint.
    - `callback(step, losses, params)`: after each block; `progress`: whether there is a bar.
    """

    every: int
    total: int
    look: Callable[[PyTree], float] | None
    save: Callable[[Run], object] | None
    callback: Callable[[int, np.ndarray, Any], object] | None
    progress: bool

    def room(self, made: int) -> int:
        """Steps until there is something to do."""
        return self.total if self.look is None and self.save is None else self.every - made % self.every

    def attend(self, run: Run) -> Run:
        """Looks and saves, where it is time."""
        on_time = run.made % self.every == 0
        if self.look is not None and (on_time or run.made == self.total):
            run = run.looked(self.look(run.params))
        if self.save is not None and on_time:
            self.save(run)
        return run


class NotFinite(Exception):
    """The loss of `step` was not finite; `run` ends with the last parameters whose loss was."""

    def __init__(self, step: int, run: Run):
        super().__init__(step)
        self.step, self.run = step, run


def train(
    run: Run, end: int, advance: Callable[[State], tuple[State, Float[Array, ""]]], watch: Watch
) -> tuple[Run, float, bool]:
    """Takes a run to step `end`, in blocks after which the losses are looked at; Ctrl-C and SIGTERM end it early.

    Returns the run, the seconds until its first block was made, and whether it was ended early.
    """
    from tqdm import tqdm

    before, block, compile_seconds, interrupted = run.state, 1, 0.0, False
    bar = tqdm(total=end, initial=run.made, disable=not watch.progress, unit="step", desc="training")
    with bar, _terminated(watch.save is not None) as terminated:
        try:
            while run.made < end and not terminated:
                started, first = time.perf_counter(), compile_seconds == 0
                count = min(block, end - run.made, watch.room(run.made))
                state, before, values = _advanced(run, before, advance, count)
                elapsed = time.perf_counter() - started
                run = watch.attend(run.after(state, values))
                if first:
                    compile_seconds = elapsed
                # The first block times compilation; blocks then grow at most eightfold at a time.
                block = max(1, min(8 * block, _BLOCK, 8 if first else int(count * _BLOCK_SECONDS / elapsed)))
                bar.set_postfix(loss=f"{values.mean():.3g}", refresh=False)
                bar.update(count)
                if watch.callback is not None:
                    watch.callback(run.made, values, run.params)
        except KeyboardInterrupt:
            interrupted = True
        if watch.save is not None:
            watch.save(run)
    return run, compile_seconds, interrupted or bool(terminated)


def _advanced(
    run: Run, before: State, advance: Callable[[State], tuple[State, Float[Array, ""]]], count: int
) -> tuple[State, State, np.ndarray]:
    """The state after `count` more steps, the one before the last of them, and their losses."""
    state, older, values = run.state, before, []
    for _ in range(count):
        older, (state, value) = state, advance(state)
        values.append(value)
    values = np.asarray(jax.device_get(values), np.float64)
    if (bad := np.flatnonzero(~np.isfinite(values))).size:
        # The loss of a step is that of the parameters before it: the last good ones are two states back. The steps of
        # the block are made again up to there, to the same bits.
        good = run.state if bad[0] else before
        for _ in range(bad[0] - 1):
            good, _ = advance(good)
        losses = np.concatenate([run.losses, values])[: int(good[2])]
        raise NotFinite(run.made + int(bad[0]) + 1, run._replace(params=good[0], opt_state=good[1], losses=losses))
    return state, older, values


@contextlib.contextmanager
def _terminated(watched: bool) -> Iterator[list[int]]:
    """A list that fills when SIGTERM comes; what was to happen then happens at the end of the block.

    Where there is nothing to save the signal is left alone, and outside the main thread, which alone may take it.
    """
    seen: list[int] = []
    if not watched or threading.current_thread() is not threading.main_thread():
        yield seen
        return
    previous = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        yield seen
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if previous is None else previous)
    if seen:
        signal.raise_signal(signal.SIGTERM)
