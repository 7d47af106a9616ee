"""The command line: what it writes, what it keeps, and what it says when something is wrong."""

import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import jax.random as jr
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import jaxgen.cli._compare as compare_module
import jaxgen.cli._sample as sample_module
from jaxgen import __version__ as jaxgen_version
from jaxgen.cli import main
from jaxgen.coding import code_length, load, save
from jaxgen.comparison import PRESETS, BitsRow, SuiteReport
from jaxgen.distances import data_bound, law_distance
from jaxgen.generators import CodebookGenerator, IndependentGenerator, MLPGenerator, PeanoGenerator
from jaxgen.measures import GridMeasure

POINTS = np.random.default_rng(0).normal([10.0, -3.0], [2.0, 0.5], (200, 2))
NAMES = ["Alaska", "Alabama", "Texas"]


def jaxgen(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "points.npy"
    np.save(path, POINTS)
    return path


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    rows = [f"{x},{y},{NAMES[i % 3]}" for i, (x, y) in enumerate(POINTS)]
    path.write_text("x,y,state\n" + "\n".join(rows) + "\n")
    return path


def failed(result, code, *texts):
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    for text in texts:
        assert text in result.output
    return True


@pytest.mark.slow
def test_compare_writes_a_report_and_keeps_the_one_that_is_there(tmp_path, monkeypatch):
    # Few points of the line, and one budget of bits: what takes the time is to compile.
    data = tmp_path / "line.npy"
    np.save(data, POINTS[:40, 0])
    monkeypatch.setitem(PRESETS, "quick", dataclasses.replace(PRESETS["quick"], budgets=(2048,), precisions=(4,)))
    small = ("compare", data, "--quick", "--steps", 3, "--widths", "4", "--no-progress", "--out", tmp_path / "out")
    result = jaxgen(*small)
    assert result.exit_code == 0, result.output
    assert "Peano" in result.output and "trained, width 4, 1 source" in result.output
    assert "Bits needed for the same W1" in result.output
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["figure.png", "report.json", "report.md"]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["settings"]["steps"] == 3 and report["settings"]["preset"] == "quick"
    with Image.open(tmp_path / "out" / "figure.png") as image:
        image.verify()
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    monkeypatch.setattr(compare_module, "compare", None)  # it must not even begin
    assert failed(jaxgen(*small), 2, "exists and is kept as it is")
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before


def test_compare_takes_the_options(data, tmp_path, monkeypatch):
    seen = {}

    def stand_in(dataset, **options):
        seen.update(options, points=dataset.points, labels=dataset.labels)
        raise ValueError("enough")

    monkeypatch.setattr(compare_module, "compare", stand_in)
    result = jaxgen("compare", data, "--full", "--widths", "8, 16", "--seed", 5, "--resolution", 7, "--folds", 2)
    assert failed(result, 2, "error: enough")
    assert (seen["preset"], seen["widths"], seen["seed"]) == ("full", (8, 16), 5)
    assert (seen["resolution"], seen["folds"], seen["steps"]) == (7, 2, None)
    np.testing.assert_array_equal(seen["points"], POINTS)
    jaxgen("compare", "--label", "state", "--out", tmp_path / "x")
    assert seen["preset"] == "default" and len(seen["labels"]) == len(seen["points"]) == 3376


def test_compare_on_known_laws(data, tmp_path, monkeypatch):
    seen = {}

    def stand_in(**options):
        seen.update(options)
        return SuiteReport((), (BitsRow("a law", 2, 512, 300, 0.1, 0.0, 100.0),), 64)

    monkeypatch.setattr(compare_module, "compare_suite", stand_in)
    monkeypatch.chdir(tmp_path)
    result = jaxgen("compare", "--suite", "--quick", "--seed", 3, "--no-progress")
    assert result.exit_code == 0 and "over the limit" in result.output and "3x" in result.output
    assert seen == {"seed": 3, "preset": "quick", "progress": False}
    assert sorted(p.name for p in (tmp_path / "jaxgen-suite").iterdir()) == ["suite.json", "suite.md"]
    assert failed(jaxgen("compare", "--suite", "--out", tmp_path / "jaxgen-suite"), 2, "exists and is kept as it is")
    assert failed(jaxgen("compare", data, "--suite", "--folds", 2), 2, "takes no", "DATA", "--folds")
    assert failed(jaxgen("compare", "--suite", "--full"), 2, "takes no --full")


def test_an_interrupted_comparison_is_130(data, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(compare_module, "compare", interrupted)
    assert failed(jaxgen("compare", data, "--out", tmp_path / "out"), 130, "interrupted")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [("--widths", "a,b"), ("--steps", "many"), ("--fast",)])
def test_options_that_are_none(data, arguments):
    assert failed(jaxgen("compare", data, *arguments), 2, arguments[-1])


@pytest.mark.parametrize("command", [("compare",), ("build", "-o", "out.jaxgen")])
def test_data_that_cannot_be_read(command, tmp_path, monkeypatch, table):
    monkeypatch.chdir(tmp_path)
    name, *options = command
    assert failed(jaxgen(name, "nothing.npy", *options), 2, "error: no file 'nothing.npy'")
    (tmp_path / "bad.npy").write_bytes(b"nonsense")
    assert failed(jaxgen(name, "bad.npy", *options), 2, "error: bad.npy cannot be read as a NumPy file")
    assert failed(jaxgen(name, table, "--columns", "x,z", *options), 2, "has no column 'z'; it has x, y, state")
    assert failed(jaxgen(name, table, "--label", "city", *options), 2, "has no column 'city'")
    np.save("nan.npy", np.array([[0.0, np.nan], [1, 1]]))
    assert failed(jaxgen(name, "nan.npy", *options), 2, "must be finite; 1 of 2 rows")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.npy", "nan.npy", "table.csv"]


def test_build_inspect_sample(data, tmp_path):
    file = tmp_path / "points.jaxgen"
    result = jaxgen("build", data, "-o", file, "--resolution", 9, "--extra-levels", 2)
    assert result.exit_code == 0 and f"written: {file}" in result.output
    generator = load(file)
    assert isinstance(generator, PeanoGenerator) and generator.measure.resolution == (9, 9)
    assert generator.extra_levels == 2 and generator.measure.quanta == 200
    bound = data_bound(POINTS, generator, 1)
    assert f"W1 <= {bound:.4g}" in result.output

    rows = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in jaxgen("inspect", file).output.splitlines())
    network = generator.network()
    assert rows["kind"] == "CurveGenerator" and rows["resolution"] == "9 x 9"
    assert rows["depth, width"] == f"{network.depth}, {network.width}"
    assert rows["bits"] == str(code_length(generator)) and rows["connectivity"].startswith(str(network.connectivity))
    assert f"W2 <= {generator.certificate().w2:.4g}" in rows["certificate"]
    near = generator.certificate().to_points
    assert rows["to the points"].startswith(f"W1 <= {near[0]:.4g}, W2 <= {near[1]:.4g}, certified")

    out = {s: tmp_path / f"out{s}" for s in (".npy", ".csv")}
    for path in out.values():
        result = jaxgen("sample", file, "-n", 500, "-o", path, "--seed", 3, "--no-progress")
        assert result.exit_code == 0, result.output
    x = np.load(out[".npy"])
    np.testing.assert_array_equal(x, generator.sample(jr.key(3), 500))
    assert out[".csv"].read_text().startswith("x0,x1\n")
    # Nine digits say every float32.
    np.testing.assert_array_equal(np.loadtxt(out[".csv"], delimiter=",", skiprows=1).astype(np.float32), x)
    other = tmp_path / "other.npy"
    jaxgen("sample", file, "-n", 500, "-o", other, "--seed", 4, "--no-progress")
    assert not np.array_equal(np.load(other), x)


@pytest.mark.slow
def test_distance(data, tmp_path):
    law = tmp_path / "law.jaxgen"
    save(law, GridMeasure.from_samples(POINTS, 9, labels=[NAMES[i % 2] for i in range(200)]).quantize(100))
    for order, condition in ((1, None), (2, NAMES[1])):
        extra = () if condition is None else ("--condition", condition)
        rows = dict(
            re.split(r"\s{2,}", line, maxsplit=1)
            for line in jaxgen("distance", law, data, "-p", order, "-n", 512, *extra).output.splitlines()
        )
        found = law_distance(law, POINTS, order, 512, condition)
        assert rows[f"W{order}"] == f"{found.value:.6g}" and f"{found.discretisation:.2g}" in rows["discretisation"]
    result = jaxgen("distance", data, data)
    assert result.exit_code == 0 and re.fullmatch(r"W1\s+0\n", result.output)
    assert failed(jaxgen("distance", law, "nothing.npy"), 2, "error: no file 'nothing.npy'")
    assert failed(jaxgen("distance", law, data, "--condition", "Texas"), 2, "unknown label")


@pytest.mark.slow
def test_samples_are_streamed(data, tmp_path, monkeypatch):
    generator = PeanoGenerator(GridMeasure.from_samples(POINTS, 9), 1)
    save(tmp_path / "g.jaxgen", generator)
    monkeypatch.setattr(sample_module, "_CHUNK", 64)
    for name in ("x.npy", "x.csv"):
        jaxgen("sample", tmp_path / "g.jaxgen", "-n", 150, "-o", tmp_path / name, "--no-progress")
    x = np.asarray(generator.sample(jr.key(0), 150))
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), x)
    rows = np.loadtxt(tmp_path / "x.csv", delimiter=",", skiprows=1).astype(np.float32)
    np.testing.assert_array_equal(rows, x)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [250.5, pytest.param(700, marks=pytest.mark.slow)])
def test_build_for_a_budget(data, tmp_path, bits):
    file = tmp_path / "points.jaxgen"
    result = jaxgen("build", data, "-o", file, "--bits", bits)
    assert result.exit_code == 0, result.output
    # The whole file, checksum and all.
    assert 8 * file.stat().st_size <= bits
    assert 8 * file.stat().st_size == code_length(load(file))


def test_budgets_that_do_not_fit(data, table, tmp_path):
    file = tmp_path / "out.jaxgen"
    for few in (3, 60):
        result = jaxgen("build", data, "-o", file, "--bits", few)
        assert failed(result, 2, f"bits={few} must be finite and at least") and not file.exists()
    # The number named is enough.
    enough = int(result.output.split("at least ")[1].split(",")[0])
    assert jaxgen("build", data, "-o", file, "--bits", enough).exit_code == 0
    assert 8 * file.stat().st_size <= enough
    file.unlink()
    assert failed(jaxgen("build", data, "-o", file, "--bits", "nan"), 2, "bits")
    for options in (("--bits", 900, "--resolution", 9), ("--bits", 900, "--error", 1.0)):
        assert failed(jaxgen("build", data, "-o", file, *options), 2, "give one of them")
    result = jaxgen("build", table, "-o", file, "--error", 1.0, "--label", "state")
    assert failed(result, 2, "error takes no labels")
    assert not file.exists()


@pytest.mark.slow
def test_labels_in_a_budget_of_bits(table, tmp_path):
    file = tmp_path / "states.jaxgen"
    result = jaxgen("build", table, "-o", file, "--bits", 1500, "--label", "state")
    assert result.exit_code == 0, result.output
    assert 8 * file.stat().st_size <= 1500 and load(file).vocabulary == ("Alabama", "Alaska", "Texas")


@pytest.mark.slow
def test_build_for_an_error(data, tmp_path):
    file = tmp_path / "points.jaxgen"
    assert jaxgen("build", data, "-o", file, "--error", 0.3).exit_code == 0
    assert law_distance(file, POINTS, n=8192).value <= 0.31


@pytest.mark.slow
def test_conditions(table, tmp_path):
    file, out = tmp_path / "states.jaxgen", tmp_path / "x.npy"
    result = jaxgen("build", table, "-o", file, "--label", "state", "--resolution", 9)
    assert result.exit_code == 0 and "labels" in result.output and "3: Alabama, Alaska, Texas" in result.output
    result = jaxgen("sample", file, "-n", 40, "-o", out, "--condition", "Alaska", "--no-progress")
    assert result.exit_code == 0 and np.load(out).shape == (40, 2)
    out.unlink()
    result = jaxgen("sample", file, "-n", 40, "-o", out, "--condition", "Alasca", "--no-progress")
    assert failed(result, 2, "unknown label", "Alaska") and not out.exists()
    numbered = PeanoGenerator(GridMeasure.from_samples(POINTS, 9, labels=np.arange(200) % 2), 1)
    save(file, numbered)
    result = jaxgen("sample", file, "-n", 40, "-o", out, "--condition", "1", "--no-progress")
    assert result.exit_code == 0, result.output
    result = jaxgen("sample", file, "-n", 40, "-o", out, "--condition", "2", "--no-progress")
    assert failed(result, 2, "unknown label 2")
    save(file, PeanoGenerator(GridMeasure.from_samples(POINTS, 9), 1))
    result = jaxgen("sample", file, "-n", 40, "-o", out, "--condition", "Texas", "--no-progress")
    assert failed(result, 2, "condition")


@pytest.mark.parametrize("name", ["x.npy", "x.csv"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_samples_are_written_whole_or_not_at_all(tmp_path, monkeypatch, name, error):
    file, out = tmp_path / "g.jaxgen", tmp_path / name
    save(file, PeanoGenerator(GridMeasure.from_samples(POINTS, 9), 1))
    out.write_text("what was there before")

    def stream(*_, **__):
        yield np.zeros((8, 2), np.float32)
        raise error("out of numbers")

    monkeypatch.setattr(PeanoGenerator, "stream", stream)
    result = jaxgen("sample", file, "-n", 40, "-o", out, "--no-progress")
    assert failed(result, 2 if error is ValueError else 130)
    assert out.read_text() == "what was there before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g.jaxgen", name]


def test_samples_that_cannot_be_written(tmp_path):
    file = tmp_path / "g.jaxgen"
    save(file, PeanoGenerator(GridMeasure.from_samples(POINTS, 9), 1))
    result = jaxgen("sample", file, "-n", 4, "-o", tmp_path / "x.txt")
    assert failed(result, 2, "error: path must end in .npy or .csv")
    result = jaxgen("sample", file, "-n", 4, "-o", tmp_path / "no" / "x.npy")
    assert failed(result, 2, "error: the folder", "does not exist; make it first")
    assert failed(jaxgen("sample", file, "-n", 0, "-o", tmp_path / "x.npy"), 2, "0 is not in the range")
    save(file, GridMeasure.from_samples(POINTS, 9).quantize(50))
    result = jaxgen("sample", file, "-n", 4, "-o", tmp_path / "x.npy")
    assert failed(result, 2, "holds a QuantizedMeasure, which is a measure; build a generator of it")
    assert [p.name for p in tmp_path.iterdir()] == ["g.jaxgen"]


def test_files_that_are_none(tmp_path):
    (tmp_path / "a.jaxgen").write_bytes(b"this is no generator at all")
    for command in (("inspect",), ("sample", "-n", 4, "-o", tmp_path / "x.npy")):
        name, *options = command
        assert failed(jaxgen(name, tmp_path / "a.jaxgen", *options), 2, "error: ")
        assert failed(jaxgen(name, tmp_path / "b.jaxgen", *options), 2, "error: ", "b.jaxgen")
    assert not (tmp_path / "x.npy").exists()
    file = tmp_path / "g.jaxgen"
    save(file, PeanoGenerator(GridMeasure.from_samples(POINTS, 9), 1))
    file.write_bytes(file.read_bytes()[:-9])
    assert failed(jaxgen("inspect", file), 2, "error: ")


KINDS = {
    "measure": lambda: GridMeasure.from_samples(POINTS, 9).quantize(50),
    "independent": lambda: IndependentGenerator(GridMeasure.from_samples(POINTS, 9)),
    "codebook": lambda: CodebookGenerator(POINTS[:5], np.full(5, 0.2)),
    "MLP": lambda: MLPGenerator(dim=2, source_dim=1, width=4, depth=2, key=jr.key(0)),
    "labelled MLP": lambda: MLPGenerator(dim=2, width=4, depth=2, key=jr.key(0), vocabulary=("a", "b")),
    "20 dimensions": lambda: PeanoGenerator(GridMeasure.from_samples(np.repeat(POINTS, 10, axis=1), 3), 0),
}


@pytest.mark.sweep(3)
@pytest.mark.parametrize("kind", KINDS)
def test_inspect_describes_everything_that_can_be_saved(kind, tmp_path):
    obj = KINDS[kind]()
    save(tmp_path / "x.jaxgen", obj)
    result = jaxgen("inspect", tmp_path / "x.jaxgen")
    assert result.exit_code == 0, result.output
    assert type(obj).__name__ in result.output and "bits" in result.output
    assert ("labels" in result.output) == (kind == "labelled MLP")
    assert ("none: " in result.output) == ("MLP" in kind)


def test_control_c_in_a_real_process(tmp_path):
    save(tmp_path / "g.jaxgen", PeanoGenerator(GridMeasure.from_samples(POINTS, 9), 1))
    # What runs in the background of a shell inherits that it ignores the signal.
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    command = [sys.executable, "-c", f"{program}from jaxgen.cli import main; main()", "sample"]
    command += [str(tmp_path / "g.jaxgen"), "-n", str(4 * 10**9), "-o", str(tmp_path / "x.csv"), "--no-progress"]
    root = pathlib.Path(sample_module.__file__).parents[2]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(root)})
    try:
        # It is sampling once its hidden work file holds more than the header.
        deadline = time.monotonic() + 60
        while not any(p.stat().st_size > 100 for p in tmp_path.glob(".x-*/x.csv")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and "interrupted" in errors and "Traceback" not in errors
    assert [p.name for p in tmp_path.iterdir()] == ["g.jaxgen"]


def test_version_and_help():
    assert jaxgen_version in jaxgen("--version").output
    result = jaxgen("-h")
    assert result.exit_code == 0 and all(c in result.output for c in ("compare", "build", "inspect", "sample"))
