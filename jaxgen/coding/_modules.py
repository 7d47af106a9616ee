"""Equinox modules without a kind of their own, such as a generator of the user's: written field by field.

The body is the name of the class, the number of fields, and for each its name and its value: a byte that says what it
is, and then the value. A file names classes and never holds code: on reading, the class is looked up among those that
are defined, its fields must be exactly those of the file, and nothing of it is called.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ._errors import CodeError
from ._fields import Input, Output
from ._numbers import integer_bytes
from ._registry import MODULE_KIND, Kind, add, class_of, name_of, read_object, write_object

_NONE, _FALSE, _TRUE, _INTEGER, _FLOAT, _TEXT, _TUPLE, _LIST, _DICT, _MODULE, _SCALAR, _NUMPY, _JAX = range(13)
_SINGLETONS = (None, False, True)
_DEEPEST = 64  # values in one another, so that what is written can be read
# By their place in files: new ones go to the end.
_DTYPES = tuple(
    jnp.dtype(name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
    )
)


def write_module(out: Output, module: eqx.Module) -> None:
    """Any Equinox module. Raises `TypeError` naming a field that holds what no file can."""
    fields = dataclasses.fields(module)  # pyright: ignore[reportArgumentType]
    out.text(name_of(type(module)))
    out.integer(len(fields))
    for field in fields:
        where = f"{type(module).__name__}.{field.name}"
        if not hasattr(module, field.name):
            raise TypeError(f"{where} has no value and cannot be encoded; give it one")
        out.text(field.name)
        _write(out, getattr(module, field.name), where, out.depth)


def read_module(data: Input) -> eqx.Module:
    """The inverse of `write_module`."""
    cls = class_of(data.text())
    values = {}
    for _ in range(data.integer("the number of fields", data.left)):
        name = data.text()
        values[name] = _read(data, data.depth)
    names = {field.name for field in dataclasses.fields(cls)}  # pyright: ignore[reportArgumentType]
    if set(values) != names:
        raise CodeError(
            f"the file holds a {cls.__name__!r} with the fields {', '.join(sorted(values)) or 'none'}; "
            f"the class of that name has {', '.join(sorted(names)) or 'none'}"
        )
    module = object.__new__(cls)
    for name, value in values.items():
        object.__setattr__(module, name, value)
    return module


def _write(out: Output, value: Any, where: str, depth: int) -> None:
    if depth > _DEEPEST:
        raise TypeError(f"{where} is more than {_DEEPEST} deep, or holds itself; no file holds that")
    if any(value is known for known in _SINGLETONS):
        out.byte(_SINGLETONS.index(value))
    elif type(value) is int:
        out.byte(_INTEGER)
        out.block(integer_bytes(value))
    elif type(value) is float:
        out.byte(_FLOAT)
        out.numbers(value)
    elif type(value) is str:
        out.byte(_TEXT)
        out.text(value)
    elif type(value) in (tuple, list):
        out.byte(_TUPLE if type(value) is tuple else _LIST)
        out.integer(len(value))
        for i, item in enumerate(value):
            _write(out, item, f"{where}[{i}]", depth + 1)
    elif type(value) is dict:
        out.byte(_DICT)
        out.integer(len(value))
        for key, item in value.items():
            if type(key) not in (str, int, bool):
                raise TypeError(f"the keys of {where} must be strings or integers to be encoded; got {key!r}")
            _write(out, key, where, depth)
            _write(out, item, f"{where}[{key!r}]", depth + 1)
    elif isinstance(value, eqx.Module):
        part = Output(depth)
        write_object(part, value)
        out.byte(_MODULE)
        out.block(part.finish())
    elif isinstance(value, np.ndarray | np.generic | jax.Array):
        _write_array(out, value, where)
    else:
        raise TypeError(
            f"{where} is of type {type(value).__name__}, which no file holds; fields may be arrays, numbers, text, "
            "None, Equinox modules, and tuples, lists and dicts of these"
        )


def _read(data: Input, depth: int) -> Any:
    if depth > _DEEPEST:
        raise CodeError(f"the file holds values more than {_DEEPEST} deep")
    what = data.byte()
    if what in (_NONE, _FALSE, _TRUE):
        return _SINGLETONS[what]
    if what == _INTEGER:
        return int.from_bytes(data.block(), "little", signed=True)
    if what == _FLOAT:
        return float(data.numbers(1)[0])
    if what == _TEXT:
        return data.text()
    if what in (_TUPLE, _LIST):
        items = [_read(data, depth + 1) for _ in range(data.integer("the length of a list", data.left))]
        return items if what == _LIST else tuple(items)
    if what == _DICT:
        table = {}
        for _ in range(data.integer("the length of a dict", data.left)):
            key = _read(data, depth)
            if type(key) not in (str, int, bool):
                raise CodeError("the keys of a dict in the file must be strings or integers")
            table[key] = _read(data, depth + 1)
        return table
    if what == _MODULE:
        return read_object(Input(data.block(), data.version, depth=depth))
    if what in (_SCALAR, _NUMPY, _JAX):
        array = _read_array(data)
        return _to_jax(array) if what == _JAX else array if what == _NUMPY else array[()]
    raise CodeError(f"the file holds a value of unknown type {what}")


def _write_array(out: Output, value: Any, where: str) -> None:
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        raise TypeError(f"{where} is a key, which no file holds; keep jax.random.key_data of it")
    array = np.asarray(value)
    dtype = array.dtype.newbyteorder("=")
    if dtype not in _DTYPES:
        raise TypeError(f"{where} is an array of {array.dtype}, which no file holds; use numbers or booleans")
    out.byte(_JAX if isinstance(value, jax.Array) else _NUMPY if isinstance(value, np.ndarray) else _SCALAR)
    out.byte(_DTYPES.index(dtype))
    out.integer(array.ndim)
    for size in array.shape:
        out.integer(size)
    out.raw(array.astype(dtype.newbyteorder("<")).tobytes())


def _read_array(data: Input) -> np.ndarray:
    number = data.byte()
    if number >= len(_DTYPES):
        raise CodeError(f"the file holds an array of unknown type {number}")
    shape = [data.integer("the size of an array", 1 << 40) for _ in range(data.integer("axes", 64))]
    size = _DTYPES[number].itemsize
    for n in shape:
        size *= n
    # A copy, since NumPy arrays of fields may be changed.
    little = np.frombuffer(data.part(size), _DTYPES[number].newbyteorder("<")).reshape(shape)
    return little.astype(_DTYPES[number])


def _to_jax(array: np.ndarray) -> jax.Array:
    """In the types that are switched on: without x64 a double becomes a float, and a long integer must fit."""
    out = jnp.asarray(array)
    if array.dtype.kind in "iu" and not np.array_equal(np.asarray(out), array):
        raise CodeError(f"the file holds integers of {array.dtype} that need jax_enable_x64")
    return out


add(Kind(eqx.Module, MODULE_KIND, write_module, read_module))
