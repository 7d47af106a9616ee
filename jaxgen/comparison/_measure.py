"""Measuring one generator: its size, its speed, what is proven of it, and how far it is from held-out points."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.random as jr

from ..generators import AbstractGenerator
from ..measures import GridMeasure
from ._held_out import HeldOut
from ._limits import row_limit
from ._records import Absence, Bound, Entry

_PICTURE_POINTS = 4000


def measure(name: str, kind: str, generator: Any, held_out: HeldOut, seconds: float | None = None) -> Entry:
    """Measures one generator, which took so many seconds to make. Raises whatever goes wrong."""
    sampler = held_out.sampler(generator)
    samples = sampler(jr.fold_in(held_out.key, 10_000), None)[:_PICTURE_POINTS]
    w1, w2 = held_out.distances(sampler)
    entry = Entry(
        name=name,
        kind=kind,
        source_dim=int(getattr(generator, "source_dim", 1)),
        w1=w1,
        w2=w2,
        seconds=seconds,
        nanoseconds_per_sample=held_out.nanoseconds_per_sample(sampler),
        per_label=() if getattr(generator, "vocabulary", None) is None else held_out.per_label(sampler),
        samples=samples,
    )
    if isinstance(generator, AbstractGenerator):
        return _with_its_own_word(entry, generator, held_out.law)
    # What a function keeps to itself cannot be counted.
    numbers = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(generator, eqx.is_inexact_array)))
    return dataclasses.replace(entry, connectivity=numbers or None, bits=32 * numbers or None)


def measure_or_report(name: str, given: Any, held_out: HeldOut) -> Entry:
    """`measure` for a user's generator, or `(generator, bits)`: whatever goes wrong becomes an entry that says so."""
    try:
        generator, bits = given if isinstance(given, tuple) else (given, None)
        entry = measure(name, "user", generator, held_out)
        return entry if bits is None else dataclasses.replace(entry, bits=float(bits))
    except Exception as error:  # a user's code may raise anything, and must not take the others down
        return failure(name, "user", error)


def failure(name: str, kind: str, error: Exception) -> Entry:
    """The entry of a generator that could not be measured."""
    return Entry(name, kind, failed=f"{type(error).__name__}: {_first_line(error)}")


def _with_its_own_word(entry: Entry, generator: AbstractGenerator, law: GridMeasure | None) -> Entry:
    """What the generator says of itself: size, bits and certificate, or that it has none."""
    absent = []

    def answer(what: str, ask: Callable[[], Any]) -> Any:
        why = ""
        try:
            found = ask()
        except (NotImplementedError, TypeError, ValueError) as error:
            found, why = None, _first_line(error)
        if found is None:
            absent.append(Absence(what, why))
        return found

    size = answer("ReLU form", generator.size)
    bits = answer("code", generator.bits)
    certificate = answer("certificate", generator.certificate)
    bound = None if certificate is None else Bound(float(certificate.w1), float(certificate.w2))
    # Somebody's own certificate need not have the field.
    points = None if certificate is None else getattr(certificate, "to_points", None)
    points = None if points is None else Bound(*map(float, points))
    sizes = {} if size is None else size._asdict()
    limit = row_limit(generator, sizes.get("depth"), sizes.get("width"), law)
    rounding = None if certificate is None else certificate.parts.get("float", (None, None))[0]
    return dataclasses.replace(
        entry,
        **sizes,
        bits=bits,
        certificate=bound,
        to_points=points,
        rounding=rounding,
        limit=limit,
        absent=tuple(absent),
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]
