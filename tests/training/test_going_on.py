"""Training survives: it is stopped, killed, gone on with, and ends as if nothing had been."""

import os
import signal
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import jaxgen as jg
from jaxgen.training import SinkhornLoss, TrainingError, fit
from jaxgen.training._checkpoint import named

KEY = jr.key(0)
DATA = np.random.default_rng(0).normal([3.0, -2.0], [2.0, 5.0], (64, 2))
PEANO = jg.PeanoGenerator(jg.GridMeasure.from_histogram(np.ones((3, 3)), low=-10.0, high=10.0), extra_levels=0)


def moments(x, y, x_codes, y_codes, step, steps, x_weights=None):
    """The simplest loss that depends on everything: two moments, and where in the run a step is."""
    w = jnp.full(len(x), 1 / len(x)) if x_weights is None else x_weights
    off = w @ x - y.mean(axis=0), w @ x**2 - (y**2).mean(axis=0)
    return sum(jnp.sum(a**2) for a in off) * (2 - step / steps)


def network(**changes):
    return jg.MLPGenerator(
        **{"dim": 2, "width": 4, "depth": 2, "key": jr.key(1), "low": -10.0, "high": 10.0, **changes}
    )


def train(g=None, data=DATA, **changes):
    small = {"key": KEY, "steps": 40, "batch_size": 16, "loss": moments, "progress": False}
    return fit(network() if g is None else g, data, **{**small, **changes})


def assert_same(first, second):
    np.testing.assert_array_equal(first.losses, second.losses)
    np.testing.assert_array_equal(first.validation_losses, second.validation_losses)
    np.testing.assert_array_equal(first.validation_steps, second.validation_steps)
    assert first.returned_step == second.returned_step and first.steps == second.steps
    for a, b in zip(jax.tree.leaves(first.generator), jax.tree.leaves(second.generator), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def whole():
    return train(validation=0.25, every=4)


CHILD = """
import os, time, jax
jax.config.update("jax_disable_most_optimizations", True)
import importlib.util
spec = importlib.util.spec_from_file_location("going_on", {file!r})
going_on = importlib.util.module_from_spec(spec)
spec.loader.exec_module(going_on)

def stop(step, losses, generator):
    if step >= 18:
        print(step, flush=True)
        time.sleep(60)

going_on.train(validation=0.25, every=4, checkpoint={path!r}, callback=stop)
"""


@pytest.mark.slow
def test_killed_and_gone_on_with_ends_as_if_it_had_not_been(whole, tmp_path):
    path = tmp_path / "run"
    code = textwrap.dedent(CHILD.format(file=__file__, path=str(path)))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        reached = int(child.stdout.readline())
        child.kill()
    assert child.returncode == -signal.SIGKILL and 18 <= reached < 40
    steps = []
    resumed = train(validation=0.25, every=4, checkpoint=path, callback=lambda step, *_: steps.append(step))
    # It goes on from the last checkpoint, a multiple of four.
    assert min(steps) - 1 >= 16 and max(steps) == 40
    assert_same(resumed, whole)
    # A run that has come to its end is read, and not trained.
    assert_same(train(validation=0.25, every=4, checkpoint=path, callback=lambda *_: pytest.fail("trained")), whole)


def test_ctrl_c_writes_a_checkpoint(whole, tmp_path):
    def stop(step, losses, generator):
        if step >= 10:
            raise KeyboardInterrupt

    options = {"validation": 0.25, "every": 4, "checkpoint": tmp_path / "run"}
    part = train(**options, callback=stop)
    assert part.interrupted and 10 <= len(part.losses) < 40
    steps = []
    assert_same(train(**options, callback=lambda step, *_: steps.append(step)), whole)
    # Not from the last multiple of four, but from where it was stopped.
    assert steps[0] > len(part.losses)
    assert not list(tmp_path.glob(".*"))


def test_sigterm_writes_a_checkpoint_and_takes_its_course(whole, tmp_path):
    seen = []
    before = signal.signal(signal.SIGTERM, lambda *_: seen.append("handled"))
    try:
        options = {"validation": 0.25, "every": 4, "checkpoint": tmp_path / "run"}
        part = train(**options, callback=lambda step, *_: os.kill(os.getpid(), signal.SIGTERM) if step > 8 else None)
        assert seen == ["handled"] and part.interrupted and 8 < len(part.losses) < 40
        assert_same(train(**options), whole)
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.slow
def test_a_checkpoint_of_explicit_masses(tmp_path):
    def stop(step, losses, generator):
        if step >= 10:
            raise KeyboardInterrupt

    options = {"checkpoint": tmp_path / "run", "every": 7}
    part = train(PEANO, **options, callback=stop)
    assert part.interrupted
    assert_same(train(PEANO, **options), train(PEANO))


@pytest.mark.parametrize(
    "changes, differ",
    [
        ({"g": network(key=jr.key(2))}, "generator"),
        ({"g": network(width=5)}, "generator"),
        ({"data": DATA + 1}, "data"),
        ({"data": DATA[:-1]}, "data"),
        ({"key": jr.key(3)}, "key"),
        ({"steps": 41}, r"steps \(40 in the file, 41 now\), total_steps \(40 in the file, 41 now\)"),
        ({"batch_size": 17}, r"batch_size \(16 in the file, 17 now\)"),
        ({"learning_rate": 0.1}, r"learning_rate \(0.005 in the file, 0.1 now\)"),
        ({"optimizer": optax.sgd(0.1)}, "learning_rate, optimizer"),
        ({"loss": lambda x, *_: x.sum()}, "loss"),
        ({"g": PEANO}, "generator, learning_rate .*, optimizer"),
        ({"through": lambda x, key: x}, "through"),
        ({"validation": 0.25}, "validation"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path_factory, changes, differ):
    path = tmp_path_factory.getbasetemp() / "other"
    if not path.exists():
        train(checkpoint=path)
    held = path.read_bytes()
    with pytest.raises(ValueError, match=f"is of another run: what differs is {differ}. Give the"):
        train(**changes, checkpoint=path)
    assert path.read_bytes() == held


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda data: data[:-1], "is damaged"),
        (lambda data: data[:30], "is damaged"),
        (lambda data: data[:-40] + b"x" + data[-39:], "is damaged"),
        (lambda data: data.replace(b"looks", b"books"), "is damaged"),
        (lambda data: data.replace(b"earlier call", b"another call"), "is damaged"),
        (lambda data: b"", "no checkpoint of a training"),
        (lambda data: b"some notes of mine", "no checkpoint of a training"),
    ],
)
def test_a_damaged_checkpoint_is_refused(tmp_path_factory, damage, message):
    path = tmp_path_factory.getbasetemp() / "good"
    if not path.exists():
        train(checkpoint=path)
    bad = tmp_path_factory.mktemp("damaged") / "bad"
    bad.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=message):
        train(checkpoint=bad)


def test_what_is_told_of_a_module_is_what_it_holds():
    about = [named(SinkhornLoss()), named(SinkhornLoss(iterations=41)), named(SinkhornLoss(0.02))]
    about += [named(g) for g in (PEANO, jg.CurveGenerator(PEANO.measure, 0, curve=jg.HilbertCurve()))]
    assert len(set(about)) == 5 and named(SinkhornLoss()) == about[0]


def test_a_checkpoint_needs_its_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        train(checkpoint=tmp_path / "nowhere" / "run")


@pytest.mark.parametrize("g", [None, PEANO], ids=["network", "masses"])
def test_two_halves_are_the_whole(g):
    whole = train(g, validation=0.25, every=6)
    half = train(g, steps=15, total_steps=40, validation=0.25, every=6)
    assert (half.steps, len(half.losses)) == (15, 15)
    assert_same(train(half, steps=25, validation=0.25, every=6, batch_size=None, loss=None), whole)


def test_a_run_that_was_interrupted_goes_on():
    def stop(step, losses, generator):
        raise KeyboardInterrupt

    part = train(callback=stop)
    rest = train(part, steps=40 - len(part.losses))
    assert_same(rest, train())


@pytest.mark.slow
def test_an_optimizer_without_a_schedule_goes_on_as_it_was():
    options = {"optimizer": optax.adam(0.01), "loss": lambda x, y, *_: jnp.sum((x.mean(0) - y.mean(0)) ** 2)}
    half = train(steps=20, **options)
    both = train(half, steps=20, loss=None)
    assert_same(both, train(steps=40, **options))


@pytest.mark.slow
def test_what_an_earlier_call_had_is_kept_where_nothing_is_given():
    loss = SinkhornLoss(0.1, iterations=1, self_iterations=1)
    first = train(learning_rate=0.02, batch_size=8, steps=5, loss=loss)
    then = train(first, batch_size=None, steps=5, loss=None)
    assert (then.learning_rate, then.batch_size, then.epsilon) == (0.02, 8, first.epsilon)


@pytest.mark.slow
def test_the_state_of_the_least_held_out_loss_is_returned():
    def falls_then_rises(x, y, x_codes, y_codes, step, steps):
        # A look has step = steps, and measures what the first half of the run lowers, and the second raises.
        return jnp.where((step < 20) | (step == steps), 1, -1) * jnp.mean((x - y.mean(axis=0)) ** 2)

    options = {"optimizer": optax.sgd(0.01), "validation": DATA[:16], "every": 5, "loss": falls_then_rises}
    fitted = train(**options)
    assert fitted.validation_steps.tolist() == list(range(5, 41, 5))
    assert fitted.returned_step == fitted.validation_steps[np.argmin(fitted.validation_losses)]
    assert 0 < fitted.returned_step < 40
    stopped = train(**options | {"validation": None}, steps=fitted.returned_step, total_steps=40)
    for a, b in zip(jax.tree.leaves(stopped.generator), jax.tree.leaves(fitted.generator), strict=True):
        np.testing.assert_array_equal(a, b)
    # Without held-out data it is the last state, and to go on is to go on from that.
    on = train(fitted, steps=3, **options | {"validation": None})
    assert on.returned_step == 43 and len(on.losses) == 43


@pytest.mark.slow
def test_held_out_data_are_not_trained_on():
    seen = []

    def loss(x, y, x_codes, y_codes, step, steps):
        jax.debug.callback(lambda y, step: seen.append((int(step), np.asarray(y))), y, step)
        return moments(x, y, x_codes, y_codes, step, steps)

    train(
        jg.MLPGenerator(dim=1, width=2, depth=2, key=jr.key(1)),
        np.arange(20.0),
        loss=loss,
        validation=0.25,
        steps=6,
        every=3,
        batch_size=15,
    )
    jax.effects_barrier()
    trained = np.unique(np.concatenate([y for step, y in seen if step < 6]).round(5))
    held = np.unique(np.concatenate([y for step, y in seen if step == 6]).round(5))
    assert len(trained) == 15 and len(held) == 5 and not set(trained) & set(held)


@pytest.mark.slow
def test_held_out_points_with_labels():
    data, labels = np.linspace(0, 1, 40), ["a", "b"] * 20
    g = jg.MLPGenerator(dim=1, width=4, depth=2, key=jr.key(1), vocabulary=("a", "b"))
    fitted = train(g, data, labels=labels, validation=(data[:6], labels[:6]), steps=10, every=5)
    assert fitted.validation_steps.tolist() == [5, 10] and np.isfinite(fitted.validation_losses).all()
    with pytest.raises(ValueError, match=r"give validation=\(points, labels\)"):
        train(g, data, labels=labels, validation=data[:6])


def test_what_had_been_reached_is_in_the_error():
    def breaks(x, y, x_codes, y_codes, step, steps):
        return jnp.where(step < 25, moments(x, y, x_codes, y_codes, step, steps), jnp.nan)

    with pytest.raises(TrainingError, match="at step 26 of 40") as error:
        train(loss=breaks)
    fitted = error.value.fitted
    # The loss of step 25 was that of the parameters after 24 steps.
    assert len(fitted.losses) == fitted.returned_step == 24 and np.isfinite(fitted.losses).all()
    assert_finite(fitted.generator)
    as_far = train(loss=breaks, steps=24, total_steps=40)
    np.testing.assert_array_equal(fitted.losses, as_far.losses)
    for a, b in zip(jax.tree.leaves(fitted.generator), jax.tree.leaves(as_far.generator), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.sweep(1)
@pytest.mark.parametrize("bad_from", [0, 1, 2])
def test_an_error_in_the_first_steps(bad_from):
    with pytest.raises(TrainingError) as error:
        train(loss=lambda x, y, a, b, step, steps: jnp.where(step < bad_from, x.sum(), jnp.inf), steps=10)
    assert error.value.step == bad_from + 1
    assert len(error.value.fitted.losses) == max(bad_from - 1, 0)
    assert_finite(error.value.fitted.generator)


def assert_finite(generator):
    assert all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(generator))


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"batch_size": 10**9}, ValueError, "batch_size must be at most 16777216; got 1000000000"),
        ({"total_steps": 30}, ValueError, "total_steps must be at least the 40 steps"),
        ({"total_steps": 50.0}, TypeError, "total_steps"),
        ({"every": 0}, ValueError, "every must be at least 1"),
        ({"validation": 0.0}, ValueError, "must lie between 0 and 1"),
        ({"validation": 1}, ValueError, "must lie between 0 and 1"),
        ({"validation": np.nan}, ValueError, "must lie between 0 and 1"),
        ({"validation": 0.001}, ValueError, "leaves 64 to train on and 0 held out"),
        ({"validation": np.zeros((3, 1))}, ValueError, "validation has points of dimension 1"),
        ({"validation": "some"}, TypeError, "validation must be a number"),
    ],
)
def test_bad_input(changes, error, message):
    with pytest.raises(error, match=message):
        train(**changes)


def test_another_optimizer_cannot_go_on():
    with pytest.raises(ValueError, match="not the one that the earlier call used"):
        train(train(steps=2), optimizer=optax.sgd(0.1))


@pytest.mark.slow
def test_a_batch_larger_than_the_data():
    assert np.isfinite(train(batch_size=200, steps=5).losses).all()
