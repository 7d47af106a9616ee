"""Measuring one generator: its size, its speed, what is proven of it, and how far its law is from points."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..coding import code_length
from ..distances import source_values
from ..generators import AbstractExplicitGenerator, AbstractGenerator
from ._limits import row_limit
from ._records import Absence, Bound, Entry
from ._wrap import Wrapped, wrapped
from ._yardstick import Yardstick

# Of the networks of explicit generators: the default of `network`.
_RAMP = 2.0**-20


def measure(
    name: str,
    kind: str,
    models: Sequence[Wrapped],
    yardstick: Yardstick,
    seconds: float | None = None,
    family: str = "",
) -> Entry:
    """Measures one generator, made of each split, or of the first ones; it took so many seconds to make. Raises
    whatever goes wrong."""
    model = models[0]
    samples = yardstick.samples(model)
    entry = Entry(
        name=name,
        kind=kind,
        family=family or name,
        source_dim=model.source_dim,
        near=yardstick.near(model),
        unseen=yardstick.unseen(models),
        seconds=seconds,
        nanoseconds_per_sample=yardstick.nanoseconds_per_sample(model),
        per_label=yardstick.per_label(model),
        samples=samples,
    )
    if model.generator is not None:
        return _with_its_own_word(entry, model.generator, yardstick)
    # What a function keeps to itself cannot be counted.
    numbers = model.numbers or None
    return dataclasses.replace(entry, connectivity=numbers, bits=None if numbers is None else 32 * numbers)


def measure_or_report(name: str, given: Any, yardstick: Yardstick, networks: bool = True) -> Iterator[Entry]:
    """`measure` for a user's model, or `(model, bits)`, and for its network, if it is an explicit generator: whatever
    goes wrong becomes an entry that says so."""
    split = yardstick.splits[0]
    try:
        counted = isinstance(given, tuple) and len(given) == 2 and np.ndim(given[1]) == 0
        model, bits = given if counted else (given, None)
        model = wrapped(model, split.train.points.shape[1], split.train.labels)
        entry = measure(name, "user", [model] * len(yardstick.splits), yardstick)
        yield entry if bits is None else dataclasses.replace(entry, bits=float(bits))
    except Exception as error:  # a user's code may raise anything, and must not take the others down
        yield failure(name, "user", error)
        return
    generator = model.generator
    if networks and isinstance(generator, AbstractExplicitGenerator) and generator.vocabulary is None:
        name = f"{name}, as a network"
        try:
            yield measure_network(name, generator, yardstick)
        except (NotImplementedError, ValueError, TypeError) as error:
            yield failure(name, "network", error)


def measure_network(name: str, generator: AbstractExplicitGenerator, yardstick: Yardstick, family: str = "") -> Entry:
    """An explicit generator as the ReLU network that it is, in the floats that it runs in."""
    network = generator.network(_RAMP)
    run = eqx.filter_jit(jax.vmap(network))
    u = jnp.asarray(source_values(generator.source_dim, yardstick.n), jnp.result_type(float))
    points, seconds = _timed(lambda: np.asarray(run(u), np.float64))
    model = Wrapped("a ReLU network", generator.dim, lambda *_: points, points, generator.source_dim)
    entry = Entry(
        name=name,
        kind="network",
        family=family or name,
        source_dim=generator.source_dim,
        depth=network.depth,
        width=network.width,
        connectivity=network.connectivity,
        bits=code_length(network),
        near=yardstick.near(model),
        unseen=yardstick.unseen([model]),
        nanoseconds_per_sample=1e9 * seconds / len(points),
        limit=row_limit(generator, network.depth, network.width, yardstick.gridded),
    )
    return _certified(entry, generator.certificate(_RAMP))


def own(generator: AbstractGenerator, law: object = None) -> Wrapped:
    """One of our generators, which needs no trial; its law may be given by something that stands for it."""
    return Wrapped(
        f"a generator ({type(generator).__name__})",
        generator.dim,
        generator.sample,
        law=generator if law is None else law,
        source_dim=generator.source_dim,
        generator=generator,
    )


def _timed(work: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    """What comes out, and the median time of three times, after one for the compiler."""
    out, seconds = work(), []
    for _ in range(3):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return out, float(np.median(seconds))


def failure(name: str, kind: str, error: Exception) -> Entry:
    """The entry of a generator that could not be measured."""
    return Entry(name, kind, failed=f"{type(error).__name__}: {_line(error)}")


def _with_its_own_word(entry: Entry, generator: AbstractGenerator, yardstick: Yardstick) -> Entry:
    """What the generator says of itself: size, bits and certificate, or that it has none."""
    absent = []

    def answer(what: str, ask: Callable[[], Any]) -> Any:
        why = ""
        try:
            found = ask()
        except (NotImplementedError, TypeError, ValueError) as error:
            found, why = None, _line(error)
        if found is None:
            absent.append(Absence(what, why))
        return found

    # The size of a kernel is that of another generator: of its network.
    explicit = isinstance(generator, AbstractExplicitGenerator)
    size = None if explicit else answer("ReLU form", generator.size)
    sizes = {} if size is None else size._asdict()
    bits = answer("code", generator.bits)
    certificate = answer("certificate", generator.certificate)
    limit = row_limit(generator, sizes.get("depth"), sizes.get("width"), yardstick.gridded)
    entry = dataclasses.replace(entry, **sizes, bits=bits, limit=limit, absent=tuple(absent))
    return entry if certificate is None else _certified(entry, certificate)


def _certified(entry: Entry, certificate: Any) -> Entry:
    # Somebody's own certificate need not have the field.
    points = getattr(certificate, "to_points", None)
    return dataclasses.replace(
        entry,
        certificate=Bound(float(certificate.w1), float(certificate.w2)),
        to_points=None if points is None else Bound(*map(float, points)),
        rounding=certificate.parts.get("float", (None, None))[0],
    )


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]
