"""Single mistakes, put into the code on purpose: which of them do the tests of their room see?

    python tests/mutate.py generators distances --sample 40      # 40 mistakes in these rooms, one after another
    python tests/mutate.py --sample 10 --known tests/mutants.txt  # fail if one survives that is not known to

A mistake changes one expression: an operator, a comparison, a bound, a term of a sum, a check. A copy of the library
with it is held to the tests of its room and to its own examples. The ones that are not seen are printed; `--known`
names a file of those that are explained.
"""

import argparse
import ast
import concurrent.futures
import copy
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROOMS = ("curves", "source", "generators", "measures", "distances", "limits", "coding", "relu")
SECONDS = 240

_BINARY = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
}
_COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_CALLS = {"max": "min", "maximum": "minimum", "ceil": "floor", "any": "all", "left": "right", "fmax": "fmin"}
_CALLS |= {new: old for old, new in _CALLS.items()}


class Mutant(NamedTuple):
    """One mistake: its file, the lines before it, and the bytes of the file that it changes."""

    path: str
    line: int
    start: int
    end: int
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.path}: {' '.join(self.old.split())}  ->  {' '.join(self.new.split())}"


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of a node by mistake."""
    match node:
        case ast.BinOp(left, op, right):
            for other in _BINARY.get(type(op), ()):
                yield ast.BinOp(left, other(), right)
            if isinstance(op, ast.Add | ast.Sub):
                yield left
            if isinstance(op, ast.Add):
                yield right
        case ast.Compare(left, [op], [right]) if type(op) in _COMPARISONS:
            yield ast.Compare(left, [_COMPARISONS[type(op)]()], [right])
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
            yield from (ast.BoolOp(op, values[:i] + values[i + 1 :]) for i in range(len(values)) if len(values) > 2)
        case ast.UnaryOp(ast.USub() | ast.Not(), operand):
            yield operand
        case ast.Constant(bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(int() as value):
            yield ast.Constant(value + 1)
        case ast.Constant(float() as value):
            yield ast.Constant(value * 1.25 if value else 1.0)
        case ast.Call(ast.Name(name), args, keywords) if name in _CALLS:
            yield ast.Call(ast.Name(_CALLS[name]), args, keywords)
        case ast.Call(ast.Attribute(value, name), args, keywords) if name in _CALLS:
            yield ast.Call(ast.Attribute(value, _CALLS[name]), args, keywords)
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)


def expressions(node: ast.AST) -> Iterator[ast.AST]:
    """The expressions that are run: no annotation, decorator, message or text."""
    for name, field in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "bases", "keywords") and not isinstance(node, ast.Call):
            continue
        for child in field if isinstance(field, list) else [field]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.Raise | ast.JoinedStr | ast.AnnAssign):
                yield child
                yield from expressions(child)
            elif isinstance(child, ast.AnnAssign) and child.value is not None:
                yield child.value
                yield from expressions(child.value)


def mutants(path: pathlib.Path) -> Iterator[Mutant]:
    """Every mistake in a file."""
    source = path.read_bytes()
    lines = [0]
    for line in source.splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    tree = ast.parse(source)
    for node in expressions(tree):
        test = getattr(node, "test", None)
        if isinstance(node, ast.If) and isinstance(node.body[0], ast.Raise) and test is not None:
            yield _mutant(path, source, lines, test, ast.Constant(False))
        if isinstance(node, ast.expr):
            for other in changes(node):
                yield _mutant(path, source, lines, node, other)


def _mutant(path, source, lines, node, other) -> Mutant:
    start, end = lines[node.lineno - 1] + node.col_offset, lines[node.end_lineno - 1] + node.end_col_offset
    new = ast.unparse(ast.fix_missing_locations(copy.deepcopy(other)))
    return Mutant(str(path.relative_to(ROOT)), node.lineno, start, end, source[start:end].decode(), f"({new})")


def tests_of(mutant: Mutant) -> list[str]:
    """Its own examples, then the tests of its room, those that bear its name first."""
    path = pathlib.Path(mutant.path)
    stem = path.stem.strip("_")
    tests = sorted((ROOT / "tests" / path.parts[1]).glob("test_*.py"), key=lambda t: (stem not in t.stem, t.stem))
    return [mutant.path, *(str(test.relative_to(ROOT)) for test in tests)]


def survives(mutant: Mutant) -> bool:
    """Whether no test of its room sees the mistake."""
    with tempfile.TemporaryDirectory() as folder:
        for part in ("docs", "jaxgen", "tests"):
            shutil.copytree(ROOT / part, f"{folder}/{part}", ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / part, folder)
        source = (ROOT / mutant.path).read_bytes()
        changed = source[: mutant.start] + mutant.new.encode() + source[mutant.end :]
        pathlib.Path(folder, mutant.path).write_bytes(changed)
        command = [sys.executable, "-m", "pytest", "-x", "-n", "0", "-p", "no:cacheprovider", *tests_of(mutant)]
        try:
            return subprocess.run(command, cwd=folder, capture_output=True, timeout=SECONDS).returncode == 0
        except subprocess.TimeoutExpired:
            return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", nargs="*", default=ROOMS)
    parser.add_argument("--sample", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--known", type=pathlib.Path)
    arguments = parser.parse_args()
    files = [path for room in arguments.rooms for path in sorted((ROOT / "jaxgen" / room).glob("_[a-z]*.py"))]
    everything = [mutant for path in files for mutant in mutants(path)]
    sample = random.Random(arguments.seed).sample(everything, min(arguments.sample, len(everything)))
    known = arguments.known.read_text(encoding="utf-8") if arguments.known else ""
    unseen = unknown = 0
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for mutant, survived in zip(sample, pool.map(survives, sample), strict=True):
            if survived:
                unseen += 1
                unknown += str(mutant) not in known
                print(f"SURVIVED line {mutant.line} of {mutant}", flush=True)
    print(
        f"{len(sample) - unseen} of {len(sample)} mistakes seen ({len(everything)} possible ones), "
        f"{time.monotonic() - started:.0f} s"
    )
    return unknown if arguments.known else 0


if __name__ == "__main__":
    sys.exit(main())
