"""Files and folders that are there whole or not at all."""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], suffixes: Sequence[str] | None = None) -> Iterator[pathlib.Path]:
    """A path of the same name in a private folder beside `path`; what is written there takes its place at the end.

    If anything is raised, `path` is as it was. Raises `ValueError` for a suffix that is none of `suffixes`, and
    `FileNotFoundError` for a missing folder, both before the body runs.
    """
    path = pathlib.Path(path)
    if suffixes is not None and path.suffix.lower() not in suffixes:
        raise ValueError(f"path must end in {' or '.join(suffixes)}; got {str(path)!r}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the folder {str(path.parent)!r} of {str(path)!r} does not exist; make it first")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem[:64]}-") as folder:
        draft = pathlib.Path(folder) / path.name
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(draft, path)


@contextlib.contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """A private folder beside `path`, which becomes `path` at the end; nothing of it is left if anything is raised.

    Raises `FileExistsError` where `path` exists: nothing is overwritten.
    """
    path = pathlib.Path(path)
    if path.exists():
        raise FileExistsError(f"{str(path)!r} exists and is kept as it is; choose another folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name[:64]}-", dir=path.parent))
    try:
        yield work
        work.chmod(0o755)
        os.rename(work, path)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
