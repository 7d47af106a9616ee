"""What can be written to a file: each kind of object registers its number, writer and reader from where it lives.

An object in a file is a byte (the number of its kind, and 128 if sections follow), its sections, and its body. A class
without a kind of its own is written field by field if it is an Equinox module (`_modules`), under its name.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx

from ._errors import CodeError
from ._fields import Input, Output

_SECTIONS, MODULE_KIND = 0x80, 0x7F  # the bit for sections; the number of the kind of modules without one of their own


class Kind(NamedTuple):
    """How the objects of one class are written and read."""

    cls: type
    number: int
    write: Callable[..., int | None]
    read: Callable[[Input], Any]


_KINDS: dict[int, Kind] = {}
_REFUSED: dict[type, str] = {}
_CLASSES: dict[str, type[eqx.Module]] = {}


def register(cls: type, number: int, write: Callable[..., int | None], read: Callable[[Input], Any]) -> None:
    """Gives a class a kind of its own in files, so that `encode`, `save` and the others take its objects.

    **Arguments:**

    - `cls`: the class; subclasses are not included.
    - `number`: 0 to 126, never to be given to another class; jaxgen keeps those below 64.
    - `write`: takes an `Output` and an object, and writes the body and the sections. Keyword arguments that it takes
        are options of `encode`. It returns `None`, or another number of the class, in whose form it has written.
    - `read`: takes an `Input` and gives the object back; for bytes that `write` did not write it may raise `CodeError`,
        `ValueError` or `TypeError`, all of which become a `CodeError`.

    **Raises:** `ValueError` for a number out of range, or of another class.

    **Example:**

        >>> import equinox as eqx, jaxgen as jg
        >>> class Circle(eqx.Module):
        ...     radius: float
        >>> jg.coding.register(
        ...     Circle, 100, lambda out, circle: out.numbers(circle.radius), lambda data: Circle(data.numbers(1)[0])
        ... )
        >>> jg.code_length(Circle(0.5)), float(jg.decode(jg.encode(Circle(0.5))).radius)
        (64, 0.5)
    """
    if not 0 <= number < MODULE_KIND:
        raise ValueError(f"number must lie between 0 and {MODULE_KIND - 1}; got {number}")
    add(Kind(cls, number, write, read))


def add(kind: Kind) -> None:
    """Registers a kind of any number. Raises `ValueError` for that of another class."""
    other = _KINDS.get(kind.number, kind)
    if (other.cls.__module__, other.cls.__qualname__) != (kind.cls.__module__, kind.cls.__qualname__):
        raise ValueError(f"number {kind.number} belongs to {other.cls.__name__}; choose another")
    _KINDS[kind.number] = kind


def refuse(cls: type, why: str) -> None:
    """Objects of a class, though they are Equinox modules, are not for files; `why` says so and what is.

    **Example:**

        >>> import equinox as eqx, jaxgen as jg
        >>> class Session(eqx.Module):
        ...     port: int
        >>> jg.coding.refuse(Session, "It is open here only: encode its settings.")
        >>> jg.encode(Session(8080))
        Traceback (most recent call last):
        ...
        TypeError: obj must be one of ..., or an Equinox module; got Session. It is open here only: encode its settings.
    """
    _REFUSED[cls] = why


def register_class(cls: type[eqx.Module] | object, name: str | None = None) -> None:
    """Says which class a name in a file means: that of the class by default, and the newest class of that name.

    Needed only where two classes share a name, or where a class was renamed since its files were written: files find
    every Equinox module that is defined or imported when they are loaded by its name.

    **Arguments:**

    - `cls`: an Equinox module. Its objects are written field by field, and rebuilt without a call of `__init__`.
    - `name`: its name in files.

    **Raises:** `TypeError` for anything but a class of Equinox modules.

    **Example:**

        >>> import equinox as eqx, jaxgen as jg
        >>> class Washer(eqx.Module):
        ...     inner: float
        >>> jg.coding.register_class(Washer, "Annulus")
        >>> b"Annulus" in jg.encode(Washer(0.5)), jg.decode(jg.encode(Washer(0.5)))
        (True, Washer(inner=0.5))
    """
    if not (isinstance(cls, type) and issubclass(cls, eqx.Module)):
        raise TypeError(f"cls must be a class of Equinox modules; got {cls!r}")
    _CLASSES[cls.__name__ if name is None else name] = cls


def class_of(name: str) -> type[eqx.Module]:
    """The class that a file means. Raises `CodeError` if there is none, or more than one."""
    found = _classes(name)
    if not found:
        raise CodeError(
            f"the file holds a {name!r}, a class that is not defined here: define or import it before loading"
        )
    if places := _others(found[-1], found):
        raise CodeError(f"the file holds a {name!r}, which may be that of {places}; {_CHOOSE}")
    return found[-1]


def name_of(cls: type[eqx.Module]) -> str:
    """The name of a class in files. Raises `TypeError` if a file would find another class by it."""
    name = next((name for name, known in _CLASSES.items() if known is cls), cls.__name__)
    if places := _others(cls, _classes(name)):
        raise TypeError(f"two classes are called {name!r}, those of {places}; {_CHOOSE}")
    return name


_CHOOSE = "say which with jaxgen.coding.register_class(cls), or give one another name with register_class(cls, name)"


def _classes(name: str) -> list[type[eqx.Module]]:
    """The classes of a name: the registered one, or all that are defined, the newest last."""
    if name in _CLASSES:
        return [_CLASSES[name]]
    own = {kind.cls for kind in _KINDS.values()} | set(_REFUSED)
    return [cls for cls in _subclasses(eqx.Module) if cls.__name__ == name and cls not in own]


def _others(cls: type, found: list[type[eqx.Module]]) -> str:
    """Where a class and others of its name are defined; empty if all are the same one, defined again."""
    places = {f"{other.__module__}.{other.__qualname__}" for other in (cls, *found)}
    return " and ".join(sorted(places)) if len(places) > 1 else ""


def _subclasses(cls: type) -> Iterator[type]:
    for child in cls.__subclasses__():
        yield child
        yield from _subclasses(child)


def write_object(out: Output, obj: Any, **options: Any) -> None:
    """Ends a body with an object, whatever its kind.

    **Raises:** `TypeError` for one that cannot be written, `ValueError` for options that its kind does not have.

    **Example:**

        >>> import jaxgen as jg
        >>> out = jg.coding.Output()
        >>> jg.coding.write_object(out, jg.QuantizedMeasure([[0]], [1], 0.0, 1.0, 2))
        >>> jg.coding.read_object(jg.coding.Input(out.finish(), version=2)).resolution
        (2,)
    """
    kind = _kind_of(obj)
    known = inspect.signature(kind.write).parameters.values()
    for option in options:
        if not any(p.kind is p.VAR_KEYWORD or p.name == option for p in known):
            raise ValueError(f"{option} is for networks; a {type(obj).__name__} is encoded exactly. Leave it out.")
    body = Output(out.depth + 1)
    number = kind.write(body, obj, **options)
    out.byte((kind.number if number is None else number) | (_SECTIONS if body.sections else 0))
    if body.sections:
        for number, data in sorted(body.sections.items()):
            out.byte(number)
            out.block(data)
        out.byte(0)
    out.raw(body.finish())


def read_object(data: Input) -> Any:
    """The object that `write_object` wrote: all that is left.

    **Raises:** `CodeError` for bytes that it did not write.

    **Example:**

        >>> import jaxgen as jg
        >>> jg.coding.read_object(jg.coding.Input(bytes([99]), version=2))
        Traceback (most recent call last):
        ...
        jaxgen.coding._errors.CodeError: the file holds an object of unknown kind 99
    """
    byte = data.byte()
    sections: dict[int, memoryview] = {}
    while byte & _SECTIONS and (number := data.byte()):
        if number in sections:
            raise CodeError(f"the file has two sections {number}")
        sections[number] = data.block()
    body = Input(data.part(data.left), data.version, sections, data.depth + 1)
    return read_body(body, byte & ~_SECTIONS)


def read_body(data: Input, number: int) -> Any:
    """The object of the kind `number` that a body holds, without the byte of the kind and the sections.

    **Raises:** `CodeError` for bytes that its writer did not write.

    **Example:**

        >>> import jaxgen as jg
        >>> file = jg.encode(jg.CodebookGenerator([0.0, 1.0]))
        >>> body = file[4:-2]  # behind magic, version and kind, before the checksum
        >>> jg.coding.read_body(jg.coding.Input(body, version=2), number=4).quanta
        2
    """
    if number not in _KINDS:
        raise CodeError(f"the file holds an object of unknown kind {number}")
    kind = _KINDS[number]
    with only_code_errors(f"the file holds no valid {kind.cls.__name__}"):
        obj = kind.read(data)
        data.end()
    return obj


@contextlib.contextmanager
def only_code_errors(message: str) -> Iterator[None]:
    """What damaged bytes raise in readers and constructors becomes a `CodeError`."""
    try:
        yield
    except CodeError:
        raise
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise CodeError(f"{message}: {error}") from error


def _kind_of(obj: Any) -> Kind:
    for kind in _KINDS.values():
        if type(obj) is kind.cls:
            return kind
    if isinstance(obj, eqx.Module) and type(obj) not in _REFUSED:
        return _KINDS[MODULE_KIND]
    names = ", ".join(dict.fromkeys(_KINDS[number].cls.__name__ for number in sorted(set(_KINDS) - {MODULE_KIND})))
    why = next((f" {why}" for cls, why in _REFUSED.items() if isinstance(obj, cls)), "")
    raise TypeError(f"obj must be one of {names}, or an Equinox module; got {type(obj).__name__}.{why}")
