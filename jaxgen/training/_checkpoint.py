"""Runs on disk: whole or not at all, and only for the run that they are of."""

import dataclasses
import io
import json
import os
import pathlib
import zlib
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

from .._io import replacing
from ..measures import fingerprint
from ._run import Run

_MAGIC = b"jaxgen training 1\n"


def write_checkpoint(path: str | os.PathLike[str], run: Run, about: Mapping[str, Any]) -> None:
    """Writes a run, and what it is a run of, in place of what is at `path`."""
    body = io.BytesIO()
    eqx.tree_serialise_leaves(body, run)
    head = {"about": about, "made": run.made, "looks": len(run.look_steps)}
    data = json.dumps(head).encode() + b"\n" + body.getvalue()
    with replacing(path) as draft:
        draft.write_bytes(_MAGIC + b"%08x\n" % zlib.crc32(data) + data)


def read_checkpoint(path: str | os.PathLike[str], like: Run, about: Mapping[str, Any]) -> Run | None:
    """The run at `path`, `None` where there is no file. `like` is a run of the same shapes.

    **Raises:** `ValueError` for a file that is damaged or none of a run, and for one of another run, naming what
    differs; `FileNotFoundError` for a missing folder.
    """
    file = pathlib.Path(path)
    if not file.parent.is_dir():
        raise FileNotFoundError(f"the folder {str(file.parent)!r} of checkpoint {str(file)!r} does not exist")
    if not file.exists():
        return None
    magic, _, rest = file.read_bytes().partition(b"\n")
    if magic + b"\n" != _MAGIC:
        raise ValueError(f"checkpoint {str(file)!r} exists, and is no checkpoint of a training: choose another path")
    check, _, data = rest.partition(b"\n")
    if check != b"%08x" % zlib.crc32(data):
        raise ValueError(f"checkpoint {str(file)!r} is damaged: delete it to train from the start")
    first, _, data = data.partition(b"\n")
    head = json.loads(first)
    told, there = json.loads(json.dumps(about)), head["about"]
    differ = [name for name in sorted(told.keys() | there.keys()) if told.get(name) != there.get(name)]
    if differ:
        names = ", ".join(_difference(name, there.get(name), told.get(name)) for name in differ)
        raise ValueError(
            f"checkpoint {str(file)!r} is of another run: what differs is {names}. Give the arguments of that run to "
            "go on with it, or another path"
        )
    blank = np.zeros(head["looks"])
    like = like._replace(losses=np.zeros(head["made"]), look_steps=blank.astype(np.int64), look_losses=blank)
    return eqx.tree_deserialise_leaves(io.BytesIO(data), like)


def arrays_of(tree: PyTree) -> str:
    """What arrays a tree holds, where, and what is in them: the same in another process."""
    found = [(jax.tree_util.keystr(at), leaf) for at, leaf in jax.tree_util.tree_leaves_with_path(tree)]
    found = [(at, np.asarray(leaf)) for at, leaf in found if eqx.is_array_like(leaf)]
    shapes = ", ".join(f"{at}: {leaf.dtype}{list(leaf.shape)}" for at, leaf in found)
    return f"{zlib.crc32(shapes.encode()):08x}{fingerprint(leaf for _, leaf in found):08x}"


def places_of(tree: PyTree) -> str:
    """Where a tree holds arrays, whatever their shapes: what tells one optimizer's state from another's."""
    places = [jax.tree_util.keystr(at) for at, _ in jax.tree_util.tree_leaves_with_path(tree)]
    return f"{zlib.crc32(' '.join(places).encode()):08x}"


def named(value: object) -> str:
    """A name for anybody's function or module, with what it holds: the same in another process."""
    name = getattr(value, "__qualname__", type(value).__qualname__)
    if not isinstance(value, eqx.Module):
        return name
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    plain = [f"{at}={held!r}" for at, held in fields.items() if isinstance(held, int | float | str | tuple)]
    inner = [f"{at}={type(held).__qualname__}" for at, held in fields.items() if isinstance(held, eqx.Module)]
    return f"{name}({', '.join(plain + inner)}) {arrays_of(value)}"


def _difference(name: str, there: Any, here: Any) -> str:
    plain = all(isinstance(value, int | float) for value in (there, here))
    return f"{name} ({there:g} in the file, {here:g} now)" if plain else name
