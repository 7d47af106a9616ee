"""Files that are there whole or not at all."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: str | os.PathLike, suffixes: tuple[str, ...]) -> Iterator[pathlib.Path]:
    """A path beside `path` to write to, which takes its place at the end if nothing was raised.

    Raises `ValueError` for a suffix that is none of `suffixes`, and `FileNotFoundError` for a missing folder.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"path must end in {' or '.join(suffixes)}; got {str(path)!r}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the folder {str(path.parent)!r} of {str(path)!r} does not exist; make it first")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as folder:
        draft = pathlib.Path(folder) / path.name
        yield draft
        os.replace(draft, path)
