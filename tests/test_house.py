"""The order of the rooms, and what `import jaxgen` brings with it."""

import ast
import pathlib
import subprocess
import sys

import pytest

import jaxgen

ROOT = pathlib.Path(jaxgen.__file__).parent
ROOMS = [
    *("_checks", "_io", "relu", "source", "curves", "coding", "measures", "data", "generators", "distances", "limits"),
    *("rate", "training", "comparison", "modalities", "cli"),
]
HEAVY = [
    *("ott", "pandas", "matplotlib", "click", "tqdm", "tabulate", "sklearn", "ot", "PIL", "jaxopt"),
    *("scipy.stats", "scipy.signal", "scipy.optimize"),
]


def _rooms_imported(file: pathlib.Path) -> set[str]:
    """The rooms that a file imports from, inside functions too."""
    package = ("jaxgen", *file.relative_to(ROOT).parent.parts)
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += (node.module or "").split(".") if node.module else []
            names = [[*base, alias.name] for alias in node.names]
        else:
            continue
        found |= {name[1] for name in names if name[0] == "jaxgen" and len(name) > 1}
    return found


def test_every_room_is_known():
    rooms = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms - {"__init__"} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_rooms_before_it(room):
    files = [ROOT / f"{room}.py"] if room.startswith("_") else sorted((ROOT / room).rglob("*.py"))
    allowed = {*ROOMS[: ROOMS.index(room) + 1], "__version__"}
    upward = {str(file.relative_to(ROOT)): _rooms_imported(file) - allowed for file in files}
    assert not {file: names for file, names in upward.items() if names}


def test_import_brings_nothing_that_a_caller_may_never_use():
    code = f"import sys, jaxgen; print([name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"
