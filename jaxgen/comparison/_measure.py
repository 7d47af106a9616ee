"""Measuring one generator: its size, its speed, what is proven of it, and how far its law is from points."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..coding import code_length
from ..distances import source_values
from ..generators import AbstractExplicitGenerator, AbstractGenerator
from ..relu import ReLUNetwork
from ._limits import row_limit
from ._records import Absence, Bound, Entry
from ._units import in_units
from ._wrap import Wrapped, wrapped
from ._yardstick import Yardstick, nanoseconds

# Of the networks of explicit generators: the default of `network`.
_RAMP = 2.0**-20


class Measured(NamedTuple):
    """An entry, and a clock for it: nanoseconds a sample, to be asked for when nothing else runs."""

    entry: Entry
    clock: Callable[[], float] | None = None

    @property
    def timed(self) -> Entry:
        """The entry with its time."""
        try:
            return self.entry if self.clock is None else replace(self.entry, nanoseconds_per_sample=self.clock())
        except Exception:  # a user's code may fail at any time
            return self.entry


def measure(
    name: str,
    kind: str,
    models: Sequence[Wrapped],
    yardstick: Yardstick,
    seconds: float | None = None,
    family: str = "",
    bits: float | int | None = None,
) -> Measured:
    """Measures one generator, made of each split, or of the first ones; it took so many seconds to make, and so many
    bits are known from elsewhere. Raises whatever goes wrong."""
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
        per_label=yardstick.per_label(model),
        samples=samples,
    )
    if model.generator is not None:
        entry = _with_its_own_word(entry, model.generator, yardstick, model.own_units)
    else:
        # What a function keeps to itself cannot be counted.
        numbers = model.numbers or None
        entry = replace(entry, connectivity=numbers, bits=None if numbers is None else 32 * numbers)
    entry = entry if bits is None else replace(entry, bits=bits)
    return Measured(entry, lambda: yardstick.nanoseconds_per_sample(model))


def measure_or_report(
    name: str,
    given: Any,
    yardstick: Yardstick,
    networks: bool = True,
    unit: Float[np.ndarray, " d"] | None = None,
) -> Iterator[Measured]:
    """`measure` for a user's model, or `(model, bits)`, and for its network, if it is an explicit generator: whatever
    goes wrong becomes an entry that says so. Its points are divided by the unit, if there is one."""
    split = yardstick.splits[0]
    try:
        counted = isinstance(given, tuple) and len(given) == 2 and np.ndim(given[1]) == 0
        model, bits = given if counted else (given, None)
        model = wrapped(model, split.train.points.shape[1], split.train.labels)
        model = model if unit is None else in_units(model, unit, yardstick.n)
        yield measure(
            name, "user", [model] * len(yardstick.splits), yardstick, bits=None if bits is None else float(bits)
        )
    except Exception as error:  # a user's code may raise anything, and must not take the others down
        yield failure(name, "user", error)
        return
    generator = model.generator
    if networks and unit is None and isinstance(generator, AbstractExplicitGenerator) and generator.vocabulary is None:
        name = f"{name}, as a network"
        try:
            yield measure_network(name, generator, yardstick)
        except (NotImplementedError, ValueError, TypeError) as error:
            yield failure(name, "network", error)


def measure_network(
    name: str,
    generator: AbstractExplicitGenerator,
    yardstick: Yardstick,
    family: str = "",
    ramp: float = _RAMP,
) -> Measured:
    """An explicit generator as the ReLU network that it is, in the floats that it runs in."""
    network = generator.network(ramp)
    found = network_row(name, "network", network, yardstick, family)
    limit = row_limit(generator, network.depth, network.width, yardstick.gridded)
    return found._replace(entry=replace(_certified(found.entry, generator.certificate(ramp)), limit=limit))


def network_row(name: str, kind: str, network: ReLUNetwork, yardstick: Yardstick, family: str = "") -> Measured:
    """A ReLU network, in the floats that it runs in, and nothing proven of it."""
    run = eqx.filter_jit(jax.vmap(network))
    u = jnp.asarray(source_values(network.in_size, yardstick.n), jnp.result_type(float))
    points = np.asarray(run(u), np.float64)
    model = Wrapped("a ReLU network", network.out_size, lambda *_: points, points, network.in_size)
    entry = Entry(
        name=name,
        kind=kind,
        family=family or name,
        source_dim=network.in_size,
        depth=network.depth,
        width=network.width,
        connectivity=network.connectivity,
        bits=code_length(network),
        near=yardstick.near(model),
        unseen=yardstick.unseen([model]),
    )
    return Measured(entry, partial(nanoseconds, lambda: jax.block_until_ready(run(u)), len(points)))


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


def failure(name: str, kind: str, error: Exception) -> Measured:
    """The entry of a generator that could not be measured."""
    return Measured(Entry(name, kind, failed=f"{type(error).__name__}: {_line(error)}"))


def _with_its_own_word(entry: Entry, generator: AbstractGenerator, yardstick: Yardstick, own_units: bool) -> Entry:
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
    if not own_units:
        absent.append(Absence("certificate", "what it proves is in the units of the data as they come"))
        return replace(entry, **sizes, bits=bits, absent=tuple(absent))
    certificate = answer("certificate", generator.certificate)
    limit = row_limit(generator, sizes.get("depth"), sizes.get("width"), yardstick.gridded)
    entry = replace(entry, **sizes, bits=bits, limit=limit, absent=tuple(absent))
    return entry if certificate is None else _certified(entry, certificate)


def _certified(entry: Entry, certificate: Any) -> Entry:
    # Somebody's own certificate need not have the field.
    points = getattr(certificate, "to_points", None)
    return replace(
        entry,
        certificate=Bound(float(certificate.w1), float(certificate.w2)),
        to_points=None if points is None else Bound(*map(float, points)),
        rounding=certificate.parts.get("float", (None, None))[0],
    )


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]
