"""The suite: how far explicit laws are from what is possible, on laws of which the truth is known."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import jax.random as jr
import numpy as np
from jaxtyping import Float

from .._checks import whole_number
from .._io import new_folder
from ..coding import code_length
from ..curves import PeanoCurve
from ..data import KnownLaw, known_laws
from ..distances import data_bound, wasserstein
from ..generators import CodebookGenerator
from ..limits import covering_bits, occupied_volume, zador
from ..measures import TreeMeasure, merge, tree_of_leaves
from ._stages import Stages

# Atoms, bits, and evenly placed points that stand for the truth.
_PRESETS = {"quick": ((64,), (256,), 1 << 12), "default": ((16, 256), (2048,), 1 << 13)}
# Of the points that a codebook is made of, so many an atom. Bounds take more points of the truth than exact distances.
_POINTS_AN_ATOM, _POINTS_OF_BOUND = 64, 8
# Of the search for a codebook: five times as many gain half a percent, on a heavy tail, and take most of the time.
_STEPS = 100
# No leaf takes fewer.
_BITS_A_LEAF = 4
# Where half as many points change an error by more than this share, it is one of the points.
_RESOLVED = 0.1


@dataclasses.dataclass(frozen=True)
class AtomsRow:
    """W_2 from a known law to laws on N atoms, and what N atoms can reach.

    - `law`; `dim`: its quantization dimension D; `n_atoms`: N.
    - `limit`: Zador's limit of e_N at this N; or, where `exact`, e_N itself, below which nothing is.
    - `errors`: W_2 by name: of a codebook, of N points evenly along the curve of a generator of one number, and of N
        random points of the law.
    - `discretisation`: what half as many points of the truth change of the codebook's.

    **Example:**

        >>> from jaxgen.comparison import AtomsRow
        >>> row = AtomsRow("uniform square", 2.0, 100, 0.04, False, {"codebook": 0.041}, 0.0001)
        >>> round(row.scaled(row.limit), 6), {name: round(factor, 6) for name, factor in row.factors.items()}
        (0.4, {'codebook': 1.025})
    """

    law: str
    dim: float
    n_atoms: int
    limit: float
    exact: bool
    errors: Mapping[str, float]
    discretisation: float

    @property
    def factors(self) -> dict[str, float]:
        """The errors over the limit.

        **Example:**

            >>> from jaxgen.comparison import AtomsRow
            >>> AtomsRow("Cantor", 0.63, 2, 0.25, True, {"codebook": 0.25}, 0.0).factors
            {'codebook': 1.0}
        """
        return {name: error / self.limit for name, error in self.errors.items()}

    def scaled(self, error: float) -> float:
        """The error times N^(1/D), which is of one size for all N.

        **Example:**

            >>> from jaxgen.comparison import AtomsRow
            >>> AtomsRow("uniform square", 2.0, 16, 0.1, False, {}, 0.0).scaled(0.125)
            0.5
        """
        return error * self.n_atoms ** (1 / self.dim)


@dataclasses.dataclass(frozen=True)
class BitsRow:
    """A file of so many bits, a bound on W_1 from its law to the truth, and the covering limit at that error.

    - `law`; `dim`: of its points; `budget`; `bits`: of the whole file.
    - `w1`: a proven bound on W_1 to the points that stand for the truth; `discretisation`: what half as many change.
    - `limit`: `covering_bits` at that error, of all laws on the cells of that side that these points occupy.

    **Example:**

        >>> from jaxgen.comparison import BitsRow
        >>> row = BitsRow("Gaussian", 2, 1024, 1000, 0.04, 0.001, 500.0)
        >>> row.factor, row.resolved
        (2.0, True)
    """

    law: str
    dim: int
    budget: int
    bits: int
    w1: float
    discretisation: float
    limit: float

    @property
    def factor(self) -> float | None:
        """Bits over the limit; `None` where that is zero.

        **Example:**

            >>> from jaxgen.comparison import BitsRow
            >>> BitsRow("Gaussian", 2, 100, 100, 3.0, 0.0, 0.0).factor is None
            True
        """
        return self.bits / self.limit if self.limit > 0 else None

    @property
    def resolved(self) -> bool:
        """Whether the error is that of the law, not of the points that stand for the truth.

        **Example:**

            >>> from jaxgen.comparison import BitsRow
            >>> BitsRow("uniform square", 2, 512, 80, 0.002, 0.001, 2000.0).resolved
            False
        """
        return self.discretisation <= _RESOLVED * self.w1


@dataclasses.dataclass(frozen=True)
class SuiteReport:
    """The result of `compare_suite`: two tables, and what they say and do not say.

    - `atoms`, `bits`: the rows. `points`: of the truth, in the rows of atoms.

    **Example:**

        >>> from jaxgen.comparison import AtomsRow, BitsRow, SuiteReport
        >>> atoms = AtomsRow("uniform square", 2.0, 100, 0.04, False, {"codebook": 0.041}, 0.0001)
        >>> report = SuiteReport((atoms,), (BitsRow("uniform square", 2, 512, 80, 0.01, 0.0001, 160.0),), 4096)
        >>> report.table("plain").splitlines()[1].split()
        ['uniform', 'square', '2', '100', '0.4', '0.41', '(1.025x)', '0.24', '%']
        >>> report.bits_table("plain").splitlines()[1].split()
        ['uniform', 'square', '2', '80', '0.01', '160', '0.5x']
    """

    atoms: tuple[AtomsRow, ...]
    bits: tuple[BitsRow, ...]
    points: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What the tables say, from their numbers, and what kind of limit each of them is set against.

        **Example:**

            >>> from jaxgen.comparison import AtomsRow, SuiteReport
            >>> row = AtomsRow("uniform square", 2.0, 100, 0.04, False, {"codebook": 0.041}, 0.0001)
            >>> SuiteReport((row,), (), 4096).notes[0]
            'Over the Zador limit, at N = 100: codebook 1.025.'
        """
        return tuple(_notes(self))

    def table(self, style: str = "github") -> str:
        """Error times N^(1/D) of laws on N atoms, and in parentheses over the limit; `style` as in `Report.table`.

        **Example:**

            >>> from jaxgen.comparison import AtomsRow, SuiteReport
            >>> row = AtomsRow("Cantor", 0.63, 1, 0.25, True, {"codebook": 0.25}, 0.0)
            >>> SuiteReport((row,), (), 4096).table("plain").splitlines()[1].split()
            ['Cantor', '0.63', '1', '0.25', '(exact)', '0.25', '(1.000x)', '0', '%']
        """
        names = list(dict.fromkeys(name for row in self.atoms for name in row.errors))
        rows = [
            [
                row.law,
                f"{row.dim:.3g}",
                row.n_atoms,
                f"{row.scaled(row.limit):.4g}{' (exact)' if row.exact else ''}",
                *(
                    f"{row.scaled(row.errors[name]):.4g} ({row.factors[name]:.3f}x)" if name in row.errors else ""
                    for name in names
                ),
                f"{_percent(row):.2g} %",
            ]
            for row in self.atoms
        ]
        return _tabulated(rows, ["law", "D", "N", "limit", *names, "discretisation"], style)

    def bits_table(self, style: str = "github") -> str:
        """Files, bounds on their W_1 to the truth, and bits over the covering limit at that error.

        **Example:**

            >>> from jaxgen.comparison import BitsRow, SuiteReport
            >>> row = BitsRow("Gaussian", 2, 1024, 1000, 0.04, 0.02, 500.0)
            >>> SuiteReport((), (row,), 4096).bits_table("plain").splitlines()[1].split()
            ['Gaussian', '2', '1000', '0.04*', '500', '2x']
        """
        rows = [
            [
                row.law,
                row.dim,
                row.bits,
                f"{row.w1:.3g}{'' if row.resolved else '*'}",
                f"{row.limit:.0f}",
                "" if row.factor is None else f"{row.factor:.3g}x",
            ]
            for row in self.bits
        ]
        return _tabulated(rows, ["law", "d", "bits", "W1 at most", "covering limit", "over the limit"], style)

    def to_dict(self) -> dict[str, Any]:
        """All numbers, ready for JSON.

        **Example:**

            >>> from jaxgen.comparison import AtomsRow, SuiteReport
            >>> row = AtomsRow("Cantor", 0.63, 1, 0.25, True, {"codebook": 0.25}, 0.0)
            >>> SuiteReport((row,), (), 4096).to_dict()["atoms"][0]["factors"]
            {'codebook': 1.0}
        """
        atoms = [dataclasses.asdict(row) | {"errors": dict(row.errors), "factors": row.factors} for row in self.atoms]
        bits = [dataclasses.asdict(row) | {"factor": row.factor, "resolved": row.resolved} for row in self.bits]
        return {"points": self.points, "atoms": atoms, "bits": bits, "notes": list(self.notes)}

    def markdown(self, style: str = "github") -> str:
        """The report as a Markdown page.

        **Example:**

            >>> from jaxgen.comparison import SuiteReport
            >>> SuiteReport((), (), 4096).markdown().splitlines()[0]
            '# jaxgen on laws of which the truth is known'
        """
        return "\n".join(
            [
                *("# jaxgen on laws of which the truth is known", ""),
                *("W2 of laws on N atoms, times N^(1/D):", "", self.table(style), ""),
                *("Bits of a file, and the covering limit at its W1:", "", self.bits_table(style), ""),
                *(f"- {note}" for note in self.notes),
                "",
            ]
        )

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        return self.markdown()

    def save(self, folder: str | os.PathLike[str]) -> pathlib.Path:
        """Writes `suite.md` and `suite.json` to a new folder, all or nothing.

        **Raises:** `FileExistsError` if the folder exists: nothing is overwritten.

        **Example:**

            >>> import os, tempfile
            >>> from jaxgen.comparison import SuiteReport
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     saved = SuiteReport((), (), 4096).save(os.path.join(folder, "suite"))
            ...     sorted(path.name for path in saved.iterdir())
            ['suite.json', 'suite.md']
        """
        with new_folder(folder) as work:
            (work / "suite.md").write_text(self.markdown(), encoding="utf-8")
            (work / "suite.json").write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False), encoding="utf-8")
        return pathlib.Path(folder)


def compare_suite(
    laws: Mapping[str, KnownLaw] | None = None,
    *,
    atoms: Sequence[int] | None = None,
    bits: Sequence[int] | None = None,
    points: int | None = None,
    seed: int = 0,
    preset: str = "default",
    progress: bool = True,
) -> SuiteReport:
    """Sets explicit laws against the truth, on laws of which it is known, and against what is possible.

    For each law and N, W_2 of three laws on N atoms to it, exactly (`wasserstein`): a codebook, made of other points of
    the law; N points evenly along the curve of a generator of one uniform number; and N random points. They are set
    against Zador's limit or, where it is known, the least error e_N. For each budget of bits, a bound on W_1 of a tree
    to it (`data_bound`), against the covering limit at that error. Theory, section 6.

    **Arguments:**

    - `laws`: by name; by default `jaxgen.data.known_laws()`.
    - `atoms`: each N, at least 2. `bits`: each budget, at least 128.
    - `points`: evenly placed, that stand for the truth where it is compared with atoms, at least twice the largest N.
    - `seed`: of the points. `preset`: "quick" or "default": the defaults of these.
    - `progress`: whether to show what is under way, as `compare` does.

    **Returns:** a `SuiteReport`, with `.table()`, `.bits_table()`, `.notes`, and `.save(folder)`.

    **Raises:** `ValueError` for an unknown preset, and numbers that are too small; `TypeError` for what is no integer.

    **Example:**

        >>> import jaxgen as jg
        >>> cantor = {"Cantor": jg.data.known_laws()["Cantor"]}
        >>> report = jg.comparison.compare_suite(cantor, atoms=[4], bits=[], preset="quick", progress=False)
        >>> row = report.atoms[0]
        >>> row.exact, round(row.limit, 6), round(row.factors["codebook"], 3)  # e_4 = 1 / (9 sqrt(8))
        (True, 0.039284, 1.0)
    """
    if preset not in _PRESETS:
        raise ValueError(f"preset must be one of {', '.join(_PRESETS)}; got {preset!r}")
    sizes, budgets, count = _PRESETS[preset]
    sizes = [whole_number(n, "atoms", 2) for n in (sizes if atoms is None else atoms)]
    budgets = [whole_number(b, "bits", 128) for b in (budgets if bits is None else bits)]
    count = whole_number(count if points is None else points, "points", 2 * max(sizes, default=1))
    seed = whole_number(seed, "seed")
    given = known_laws() if laws is None else laws
    atoms_rows: list[AtomsRow] = []
    bits_rows: list[BitsRow] = []
    stages = Stages(2 * len(given), progress)
    for name, law in given.items():
        made_of = law.points(count, 2 * seed)
        atoms_rows += stages.run(f"{name}, atoms", 1, partial(_atoms_rows, name, law, made_of, sizes, count, seed))
        bits_rows += stages.run(f"{name}, bits", 1, partial(_bits_rows, name, law, made_of, budgets, seed))
    stages.close()
    if stages.interrupted:
        raise KeyboardInterrupt
    return SuiteReport(tuple(atoms_rows), tuple(bits_rows), count)


def _atoms_rows(
    name: str, law: KnownLaw, made_of: Float[np.ndarray, "n d"], sizes: Sequence[int], count: int, seed: int
) -> Iterator[AtomsRow]:
    if not sizes:
        return
    # Made of points of one seed, and judged by those of another.
    along = made_of[PeanoCurve().order(made_of)]
    random = np.random.default_rng(seed)
    truth, weights = law.cloud(count, 2 * seed + 1)
    half, half_weights = law.cloud(count // 2, 2 * seed + 1)
    for n in sizes:
        points, masses = law.cloud(_POINTS_AN_ATOM * n, 2 * seed)
        even = None if np.ptp(masses) == 0 else masses
        book = CodebookGenerator.from_samples(points, n, key=jr.key(seed), weights=even, restarts=1, max_steps=_STEPS)
        atoms, counts = np.asarray(book.atoms), np.asarray(book.counts)
        error = wasserstein(truth, atoms, 2, weights, counts)
        middles = along[(2 * np.arange(n) + 1) * len(along) // (2 * n)]
        clouds = {"along a curve": middles, "random": law(random.random((n, law.source_dim)))}
        yield AtomsRow(
            law=name,
            dim=law.quantization_dim,
            n_atoms=n,
            limit=_limit(law, n),
            exact=law.least is not None,
            errors={"codebook": error, **{k: wasserstein(truth, x, 2, weights) for k, x in clouds.items()}},
            discretisation=abs(error - wasserstein(half, atoms, 2, half_weights, counts)),
        )


def _limit(law: KnownLaw, n: int) -> float:
    if law.least is not None:
        return law.least(n)
    assert law.norm is not None  # a known law has one of the two
    return zador(n, law.dim, law.norm)


def _bits_rows(
    name: str, law: KnownLaw, made_of: Float[np.ndarray, "n d"], budgets: Sequence[int], seed: int
) -> Iterator[BitsRow]:
    truth = law.points(_POINTS_OF_BOUND * len(made_of), 2 * seed + 1)
    for budget in budgets:
        # More leaves than so many bits hold, pruned to them: for points as even as these much faster than from points.
        tree: TreeMeasure = merge([tree_of_leaves(made_of, budget // _BITS_A_LEAF)], [1.0], bits=budget)
        w1 = data_bound(truth, tree)
        change = abs(w1 - data_bound(truth[: len(truth) // 2], tree))
        # In units of the error, of which the points occupy so many cells.
        limit = covering_bits(1.0, law.dim, occupied_volume(truth / w1, 1.0))
        yield BitsRow(name, law.dim, budget, code_length(tree), w1, change, limit)


def _notes(report: SuiteReport) -> Iterator[str]:
    """One sentence or two each."""
    for exact in (False, True):
        rows = [row for row in report.atoms if row.exact == exact]
        if rows:
            most = max(row.n_atoms for row in rows)
            at = [row for row in rows if row.n_atoms == most]
            ranges = ", ".join(
                f"{name} {_range([(row.factors[name], row.law) for row in at if name in row.factors])}"
                for name in dict.fromkeys(name for row in at for name in row.errors)
            )
            over = "the least error of any law on N atoms (exact)" if exact else "the Zador limit"
            yield f"Over {over}, at N = {most}: {ranges}."
    yield from _on_atoms([row for row in report.atoms if not row.exact], report.points)
    yield from _on_bits(report.bits, _POINTS_OF_BOUND * report.points)


def _on_atoms(rows: Sequence[AtomsRow], points: int) -> Iterator[str]:
    if not rows:
        return
    below = [row for row in rows if min(row.factors.values()) < 1]
    found = f"here {len(below)} of {len(rows)} rows have an error below it" + _named(below)
    cube = " At D = 3 it is that of the best lattice: the limit is at most so large." if _has(rows, 3) else ""
    yield (
        f"Zador's is the limit of the least W2 times N^(1/D) as N grows, no bound at finite N: {found}.{cube} Errors "
        f"are exact, to {points:,} evenly placed points of the law; half as many change the codebook's by at most "
        f"{max(map(_percent, rows)):.2g} %."
    )


def _on_bits(rows: Sequence[BitsRow], points: int) -> Iterator[str]:
    if not rows:
        return
    factors = [(row.factor, row.law) for row in rows if row.factor is not None]
    if factors:
        yield f"Bits over the covering limit: {_range(factors)}."
    fewer = [row for row in rows if row.factor is not None and row.factor < 1]
    found = f"here {len(fewer)} of {len(rows)} files take fewer" + _named(fewer)
    yield (
        "The covering limit is a worst case: no method takes fewer bits for each of all laws on the cells, of the side "
        f"of the error, that {points:,} evenly placed points of the law occupy; a single law may take fewer, and "
        f"{found}. W1 is bounded, by proof, to these points."
    )
    blurred = [row for row in rows if not row.resolved]
    if blurred:
        yield (
            f"* Half as many points change this bound by more than {_RESOLVED:.0%}{_named(blurred)}: part of it is the "
            "distance of these points from the law that they stand for."
        )


def _percent(row: AtomsRow) -> float:
    return 100 * row.discretisation / row.errors["codebook"]


def _has(rows: Sequence[AtomsRow], dim: int) -> bool:
    return any(row.dim == dim for row in rows)


def _named(rows: Sequence[AtomsRow] | Sequence[BitsRow]) -> str:
    return f" ({', '.join(dict.fromkeys(row.law for row in rows))})" if rows else ""


def _range(values: Sequence[tuple[float, str]]) -> str:
    """From the least to the largest, and whose they are."""
    (low, first), (high, last) = min(values), max(values)
    if len(values) == 1:
        return f"{low:.4g}"
    return f"{low:.4g} ({first}) to {high:.4g} ({last})"


def _tabulated(rows: list[list[Any]], headers: Sequence[str], style: str) -> str:
    from tabulate import tabulate

    return tabulate(rows, headers, tablefmt=style, disable_numparse=True)
