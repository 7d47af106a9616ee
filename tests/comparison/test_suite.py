"""The suite: errors against bounds that hold at every N, and what is said of them, either way."""

import json

import pytest

from jaxgen.comparison import AtomsRow, BitsRow, SuiteReport, compare_suite
from jaxgen.data import known_laws
from jaxgen.limits import covering_bits, quantization_error, zador

LAWS = known_laws()


@pytest.fixture(scope="module")
def report():
    laws = {name: LAWS[name] for name in ("uniform square", "circle", "Cantor")}
    atoms = compare_suite(laws, atoms=[16], bits=[], points=2048, progress=False)
    del laws["Cantor"]
    files = compare_suite(laws, atoms=[], bits=[200], points=1024, progress=False)
    return SuiteReport(atoms.atoms, files.bits, 1024)


@pytest.mark.slow
def test_no_law_on_atoms_is_nearer_than_possible(report):
    square, circle, cantor = report.atoms
    assert (square.exact, circle.exact, cantor.exact) == (False, True, True)
    assert square.limit == pytest.approx(zador(16, 2)) and circle.limit == LAWS["circle"].least(16)
    # A proven bound at every N, and the exact ones; the points that stand for the truth are not quite it.
    assert min(square.errors.values()) >= 0.99 * quantization_error(16, 2)
    for row in (circle, cantor):
        assert min(row.factors.values()) >= 0.99
        assert row.factors["codebook"] <= 1.01 and row.discretisation < 0.01 * row.errors["codebook"]
    for row in report.atoms:
        assert row.factors["codebook"] < row.factors["along a curve"] < row.factors["random"]
    assert 1 <= square.factors["codebook"] < 1.06


def test_bits_are_those_of_a_file_within_its_budget(report):
    square, circle = report.bits
    assert all(0 < row.bits <= row.budget for row in report.bits)
    # One leaf is the law itself: what is measured are the points, and it is said so.
    assert square.bits < 128 and not square.resolved and square.factor < 1
    assert circle.resolved and circle.factor == circle.bits / circle.limit
    # A curve of length l meets about 4 l / (pi side) cells; the square has 1 / side^2, and not all of them hold points.
    cells = 8 / circle.w1
    assert covering_bits(1.0, 2, 0.9 * cells) <= circle.limit <= covering_bits(1.0, 2, 1.1 * cells)
    assert 0 < square.limit < covering_bits(square.w1, 2)
    assert "(uniform square" in report.notes[-1] and "circle" not in report.notes[-1]


def test_what_is_said_follows_the_numbers():
    def row(error, dim=2.0, exact=False):
        return AtomsRow("law", dim, 100, 0.04, exact, {"codebook": error}, 0.0004)

    def said(*rows, bits=()):
        return " ".join(SuiteReport(rows, bits, 1000).notes)

    assert "here 1 of 2 rows have an error below it (law)" in said(row(0.039), row(0.05))
    assert "here 0 of 1 rows have an error below it. Errors" in said(row(0.05))
    assert "best lattice" in said(row(0.05, 3.0)) and "best lattice" not in said(row(0.05))
    assert "no bound" not in said(row(0.05, exact=True)) and "at N = 100: codebook 1.25." in said(row(0.05, exact=True))
    many, few = BitsRow("a", 2, 512, 500, 0.1, 0.001, 100.0), BitsRow("b", 2, 512, 80, 0.1, 0.02, 100.0)
    assert "0.8 (b) to 5 (a)" in said(bits=(many, few)) and "1 of 2 files take fewer (b)" in said(bits=(many, few))
    assert "0 of 1 files take fewer." in said(bits=(many,)) and "*" not in said(bits=(many,))
    assert "more than 10% (b)" in said(bits=(many, few)) and said() == ""


def test_the_report_is_saved_whole(report, tmp_path):
    report.save(tmp_path / "out")
    found = json.loads((tmp_path / "out" / "suite.json").read_text())
    assert found == json.loads(json.dumps(report.to_dict())) and found["points"] == 1024
    assert found["atoms"][0]["factors"]["codebook"] == report.atoms[0].factors["codebook"]
    text = (tmp_path / "out" / "suite.md").read_text()
    assert all(part in text for part in (report.table(), report.bits_table(), *report.notes))
    with pytest.raises(FileExistsError, match="exists and is kept as it is"):
        report.save(tmp_path / "out")


@pytest.mark.slow
def test_codebooks_come_near_to_every_limit():
    report = compare_suite(atoms=[64], bits=[], points=4096, progress=False)
    assert [row.law for row in report.atoms] == list(LAWS)
    assert all(0.95 < row.factors["codebook"] < 1.06 for row in report.atoms)


def test_bad_input():
    for options, message in (
        ({"preset": "slow"}, "preset must be one of quick, default"),
        ({"atoms": [1]}, "atoms must be at least 2"),
        ({"bits": [100]}, "bits must be at least 128"),
        ({"atoms": [64], "points": 100}, "points must be at least 128"),
        ({"seed": -1}, "seed must not be negative"),
    ):
        with pytest.raises(ValueError, match=message):
            compare_suite({}, progress=False, **options)
