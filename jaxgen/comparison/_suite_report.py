"""What the suite of known laws found: rows, tables, and what they say and do not say."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._io import new_folder
from ._report import tabulated

# Points of the truth for a bound, as a multiple of those for an exact distance.
POINTS_OF_BOUND = 8
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
        return tabulated(rows, ["law", "D", "N", "limit", *names, "discretisation"], style)

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
        return tabulated(rows, ["law", "d", "bits", "W1 at most", "covering limit", "over the limit"], style)

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
    yield from _on_bits(report.bits, POINTS_OF_BOUND * report.points)


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
