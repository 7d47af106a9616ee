"""The comparison: every generator is measured, none takes the others down, and the same seed says the same."""

import dataclasses
import json
import math
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib.figure
import numpy as np
import pytest
from PIL import Image

import jaxgen.comparison._compare as module
from jaxgen.comparison import Dataset, Report, compare
from jaxgen.distances import wasserstein
from jaxgen.generators import IndependentGenerator
from jaxgen.measures import GridMeasure
from jaxgen.training import TrainingError

TINY = {"preset": "quick", "steps": 3, "widths": (4,), "samples": 60, "repeats": 2, "progress": False}
POINTS = np.random.default_rng(0).normal([10.0, -3.0], [2.0, 0.5], (200, 2))


class Affine(eqx.Module):
    """A user's module: two uniform numbers, six numbers to store."""

    matrix: jax.Array
    shift: jax.Array
    source_dim: int = eqx.field(static=True)

    def __init__(self, source_dim=2):
        self.matrix, self.shift, self.source_dim = 2 * jnp.eye(2), jnp.array([9.0, -3.5]), source_dim

    def __call__(self, u):
        return self.matrix @ u + self.shift


def broken(u):
    raise RuntimeError("no weights found\nsecond line")


# What comes out must not depend on what stands beside it, so the bad ones come first.
USERS = {
    "raises": broken,
    "not a number": lambda u: jnp.array([u, jnp.nan]),
    "one coordinate": lambda u: u,
    "three coordinates": lambda u: jnp.stack([u, u, u]),
    "a matrix": lambda u: jnp.ones((2, 2)) * u,
    "no function": 17,
    "a triple": (Affine(), 8, 8),
    "a callable": lambda u: jnp.stack([8 + 4 * u, -3.0 + 0 * u]),
    "a module": Affine(),
    "module, bits": (Affine(), 77),
    "one of ours": IndependentGenerator(GridMeasure.from_samples(POINTS, 5)),
}


# One for all tests that only look at it: compiling its generators is what takes the time.
@pytest.fixture(scope="module")
def report():
    return compare(POINTS, generators=USERS, **TINY)


EXPLICIT = ["sawtooth (explicit)", "Peano (explicit)", "independent (explicit)", "codebook, 50 atoms"]
TRAINED = ["trained, width 4, 1 source", "trained, width 4, 2 sources"]
EVERY_LAW = [*EXPLICIT, *TRAINED, "a callable", "a module", "module, bits", "one of ours"]
# Nothing to train, one budget of bits and one curve of each kind: what each of them takes is to be compiled.
LEAN = {**TINY, "preset": "lean"}
UNTRAINED = {**LEAN, "widths": ()}


@pytest.fixture(autouse=True)
def lean(monkeypatch):
    fewer = {"budgets": (2048,), "precisions": (4,), "resolutions": (), "folds": (1,)}
    monkeypatch.setitem(module.PRESETS, "lean", dataclasses.replace(module.PRESETS["quick"], **fewer))


@pytest.fixture(scope="module")
def entries(report):
    return {e.name: e for e in report.entries}


def test_every_generator_has_an_entry_in_order(report):
    assert isinstance(report, Report) and not report.interrupted
    assert [e.name for e in report.entries] == [*EXPLICIT, *TRAINED, *USERS]
    assert [e.kind for e in report.entries] == ["explicit"] * 4 + ["trained"] * 2 + ["user"] * len(USERS)
    assert len(report.train) == len(report.test) == 100 and report.columns == ("x0", "x1")
    both = np.concatenate([report.train, report.test])
    np.testing.assert_array_equal(both[np.lexsort(both.T)], POINTS[np.lexsort(POINTS.T)])


@pytest.mark.parametrize("name", EVERY_LAW)
def test_every_law_is_measured(entries, report, name):
    e = entries[name]
    assert e.failed is None and e.samples.shape[1] == 2 and np.isfinite(e.samples).all()
    for mean, std in (e.w1, e.w2):
        assert 0 < mean < np.inf and 0 <= std < np.inf
    assert e.w1[0] <= e.w2[0]
    assert e.seconds >= 0 and e.nanoseconds_per_sample > 0
    # The two clouds that are kept are other samples of the same two laws: one is within what all of them scatter.
    assert wasserstein(e.samples[:60], report.test[:60], 1) < 3 * e.w1[0] + 3 * report.floor[1][0]


def test_explicit_generators_are_as_good_as_the_data_allow(entries, report):
    # A trained network of width 4 after three steps has not left its start; the data are matched to twice the floor.
    for name in EXPLICIT:
        assert entries[name].w1[0] < 2 * report.floor[1][0] < entries[TRAINED[0]].w1[0]


def test_only_what_is_proven_has_a_certificate(entries):
    for name in EVERY_LAW:
        e = entries[name]
        if name in EXPLICIT or name == "one of ours":
            assert len(e.certificate) == 2 and all(w >= 0 for w in e.certificate)
        else:
            assert e.certificate is None
    assert entries["independent (explicit)"].certificate == (0, 0)
    assert entries["sawtooth (explicit)"].certificate[1] > 0


def test_sizes_and_sources(entries):
    assert [entries[n].source_dim for n in (*EXPLICIT, *TRAINED)] == [1, 1, 2, 1, 1, 2]
    assert [entries[n].source_dim for n in ("a callable", "a module", "one of ours")] == [1, 2, 2]
    for name in (*EXPLICIT, *TRAINED):
        assert entries[name].depth > 1 and entries[name].width > 1 and entries[name].connectivity > 1
        assert entries[name].bits > 8
    assert entries["a module"].connectivity == 6 and entries["a module"].bits == 6 * 32
    assert entries["module, bits"].bits == 77
    # What a function keeps to itself cannot be counted.
    assert entries["a callable"].bits is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("raises", "RuntimeError: no weights found"),
        ("not a number", "ValueError: the generator gave NaN or infinite points"),
        ("one coordinate", "ValueError: the generator gives points of dimension 1; the data have 2"),
        ("three coordinates", "ValueError: the generator gives points of dimension 3; the data have 2"),
        ("a matrix", "ValueError: the generator gave samples of shape"),
        ("no function", "TypeError: "),
        ("a triple", "ValueError: too many values to unpack"),
    ],
)
def test_a_bad_generator_is_reported_with_its_reason(entries, report, name, reason):
    e = entries[name]
    assert e.failed.startswith(reason) and "\n" not in e.failed
    assert e.w1 is None and e.samples is None
    assert f"failed: {reason}" in report.table()


def test_floors_are_positive(report):
    assert set(report.floor) == {1, 2}
    for mean, std in report.floor.values():
        assert mean > 0 and std >= 0
    assert "two-sample floor" in report.table()


def test_the_table_names_everything(report):
    for style in ("github", "simple"):
        table = report.table(style)
        assert all(name in table for name in (*EXPLICIT, *TRAINED, *USERS))
    rows = {row.split("|")[1].strip(): row for row in report.table().splitlines() if row.startswith("|")}
    columns = [c.strip() for c in rows["generator"].split("|")]
    at = columns.index("certified W1, W2")
    assert rows[TRAINED[0]].split("|")[at].strip() == "none"
    assert "," in rows["Peano (explicit)"].split("|")[at]


def test_bits_for_the_same_error(report):
    families = {p["family"] for p in report.plane}
    assert families == {"explicit", "trained, 1 source", "trained, 2 sources"}
    assert all(p["bits"] > 0 and p["w1"] > 0 for p in report.plane)
    # The budgets are those of the whole encoded generator, which is a byte more than its measure.
    explicit = [p for p in report.plane if p["family"] == "explicit"]
    assert explicit and all(p["bits"] <= p["budget"] + 16 for p in explicit)
    table = report.bits_table()
    assert all(name in table for name in families) and "(1.0x)" in table
    lines = report.limits["any_method"]
    assert lines and all(b > 0 and w >= 0 for b, w in lines)
    assert [line["name"] for line in report.limits["length"]] == [TRAINED[0]]


def test_the_report_is_plain_json(report):
    out = report.to_dict()
    again = json.loads(json.dumps(out, allow_nan=False))
    assert again == json.loads(json.dumps(out)) and len(again["entries"]) == len(report.entries)
    assert again["floor"]["w1"] == list(report.floor[1])
    assert again["settings"]["steps"] == 3 and again["settings"]["points_per_distance"] == 60
    assert "samples" not in again["entries"][0]
    json.dumps(Report.to_dict(_with_infinities(report)), allow_nan=False)


def _with_infinities(report):
    values = {**vars(report), "floor": {1: (math.inf, math.nan), 2: (np.float32(1), np.nan)}}
    return Report(**values)


def test_save_writes_three_files(report, tmp_path):
    folder = report.save(tmp_path / "new" / "report")
    assert sorted(p.name for p in folder.iterdir()) == ["figure.png", "report.json", "report.md"]
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert report.table() in text and report.bits_table() in text and all(note in text for note in report.notes)
    assert json.loads((folder / "report.json").read_text()) == json.loads(json.dumps(report.to_dict()))
    with Image.open(folder / "figure.png") as image:
        image.load()
        assert image.format == "PNG" and image.width > 1000
    # Another report into the same folder: kept as it is.
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(FileExistsError, match="exists and is kept as it is"):
        report.save(folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_save_is_all_or_nothing(report, tmp_path, monkeypatch, error):
    def fail(self, path, **options):
        path.write_bytes(b"half a picture")
        raise error

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", fail)
    with pytest.raises(error):
        report.save(tmp_path / "report")
    assert list(tmp_path.iterdir()) == []


def test_the_same_seed_says_the_same(report):
    again = compare(POINTS, generators={"a module": USERS["a module"]}, **TINY)
    first = {e.name: e for e in report.entries}
    for e in again.entries:
        assert (e.w1, e.w2) == (first[e.name].w1, first[e.name].w2)
        np.testing.assert_array_equal(e.samples, first[e.name].samples)
    assert again.floor == report.floor and again.plane == report.plane


def test_interrupted_training_is_reported(report, monkeypatch):
    real = module.fit

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "fit", lambda *args, **options: real(*args, callback=interrupt, **options))
    stopped = compare(POINTS, generators={"a module": USERS["a module"]}, **TINY)
    assert stopped.interrupted and stopped.to_dict()["interrupted"]
    # The network that was being trained is measured as it was, the next is not begun, the rest is done.
    assert [e.name for e in stopped.entries] == [*EXPLICIT, TRAINED[0], "a module"]
    assert all(e.failed is None for e in stopped.entries)
    assert "interrupted" in stopped.markdown() and "interrupted" not in report.markdown()


def test_training_that_fails_is_reported(monkeypatch, tmp_path):
    def fail(*_, **__):
        raise TrainingError("the loss was nan at step 2", 2)

    monkeypatch.setattr(module, "fit", fail)
    result = compare(POINTS, **TINY)
    assert [e.name for e in result.entries] == [*EXPLICIT, *TRAINED]
    assert result.entries[-1].failed == "TrainingError: the loss was nan at step 2"
    assert result.entries[0].failed is None and "failed: TrainingError" in result.table()
    result.save(tmp_path / "report")


def test_points_in_one_place(tmp_path):
    # One atom at most, no distance is positive, and nothing can be drawn on a logarithmic axis.
    result = compare(np.full(200, 3.0), **UNTRAINED)
    assert result.entries[-1].name == "codebook, 1 atoms" and all(e.failed is None for e in result.entries)
    assert result.entries[0].w1 == (0, 0) and result.floor[1] == (0, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result.save(tmp_path / "report")


def test_labels_make_it_conditional(tmp_path):
    rng = np.random.default_rng(3)
    names = [("left", "right")[i % 2] for i in range(200)]
    points = rng.normal(size=(200, 2)) + 20 * np.array([[name == "right", 0] for name in names])
    result = compare(Dataset("mine", points, ("x", "y"), tuple(names)), **LEAN)
    assert "mine" in result.title and result.columns == ("x", "y")
    assert [e.name for e in result.entries] == [*EXPLICIT[:3], *TRAINED]
    for e in result.entries:
        assert set(e.per_label) == {"left", "right"} and all(w > 0 for w in e.per_label.values())
    assert set(result.label_floor) == {"left", "right"}
    # The labels are 20 apart, and what is drawn for one of them is not drawn for the other.
    for e in result.entries[:3]:
        assert max(e.per_label.values()) < 4 and e.w1[0] < 4
    table = result.table()
    assert "label by label" in table and "left" in table and "two-sample floor" in table.split("label by label")[1]
    json.dumps(result.to_dict(), allow_nan=False)
    result.save(tmp_path / "report")


def test_unseen_labels_are_said_and_another_seed_differs():
    # The one point with label 7 is held out: the split of seed 0 is this permutation.
    order = np.random.default_rng(0).permutation(200)
    labels = np.zeros(200, int)
    labels[order[150]] = 7
    result = compare(POINTS, labels=labels, **UNTRAINED)
    assert len(result.test) == 99 and any("1 held-out points are left out" in note for note in result.notes)
    # Another seed splits otherwise and draws otherwise.
    other = compare(POINTS, labels=labels, **{**UNTRAINED, "seed": 1})
    assert other.floor != result.floor and other.entries[0].w1 != result.entries[0].w1


@pytest.mark.parametrize("shape", [(120,), (120, 3), (120, 5)])
def test_other_dimensions(shape, tmp_path):
    settings = LEAN if shape == (120,) else UNTRAINED
    result = compare(np.random.default_rng(4).normal(size=shape), **settings)
    assert all(e.failed is None and e.w1[0] < 1.6 * result.floor[1][0] for e in result.entries if e.kind == "explicit")
    assert result.test.shape[1:] == (shape[1:] or (1,))
    # On the line one source is all there is.
    assert [e.name for e in result.entries if e.kind == "trained"] == (TRAINED[:1] if shape == (120,) else [])
    result.save(tmp_path / "report")


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        (POINTS[:19], {}, ValueError, "data must hold at least 20 points, .*; got 19"),
        (np.zeros((0, 2)), {}, ValueError, "data is empty"),
        (np.where(np.arange(200)[:, None] == 3, np.nan, POINTS), {}, ValueError, "data must be finite; 1 of 200 rows"),
        (POINTS[:, :, None], {}, ValueError, "data must have shape"),
        ([["a", "b"]] * 30, {}, TypeError, "data must be numbers"),
        (POINTS, {"labels": ["a"] * 199}, ValueError, "labels must hold one label a point, 200; got 199"),
        (POINTS, {"labels": list(range(200))}, ValueError, "no label of the held-out half"),
        (POINTS, {"labels": ["a", 1] * 100}, TypeError, "labels must be all strings or all integers"),
        (POINTS, {"labels": [0.5] * 200}, TypeError, "labels must be all strings or all integers"),
        (POINTS, {"preset": "fast"}, ValueError, "preset must be one of quick, default, full.*; got 'fast'"),
        (POINTS, {"steps": 0}, ValueError, "steps must be at least 1; got 0"),
        (POINTS, {"repeats": 0}, ValueError, "repeats must be at least 1; got 0"),
        (POINTS, {"samples": -2}, ValueError, "samples must be at least 1; got -2"),
        (POINTS, {"resolution": 0}, ValueError, "resolution"),
        (POINTS, {"folds": -1}, ValueError, "folds"),
        ("/nowhere/points.npy", {}, FileNotFoundError, "no file '/nowhere/points.npy'"),
    ],
)
def test_bad_input(data, options, error, message):
    with pytest.raises(error, match=message):
        compare(data, **{**TINY, **options})


def test_a_plane_without_explicit_generators_is_drawn(report, tmp_path):
    # As in hundreds of dimensions, where the box alone takes more than the budgets.
    plane = [p for p in report.plane if p["family"] != "explicit"]
    Report(**{**vars(report), "plane": plane}).save(tmp_path / "report")
    assert "explicit" not in Report(**{**vars(report), "plane": plane}).bits_table()


def test_a_fixed_generator_scores_what_its_samples_score(report):
    # The same numbers by hand, from the public parts: half the data, samples by the same law, exact assignment.
    train, test = report.train, report.test
    g = IndependentGenerator(GridMeasure.from_samples(train, 81))
    scores = [wasserstein(g.sample(jr.key(i), 60), test[i : i + 60], 1) for i in range(20)]
    mean = next(e.w1[0] for e in report.entries if e.name == EXPLICIT[2])
    # A mean of two repeats of the same experiment lies within what twenty of them span.
    assert min(scores) * 0.9 < mean < max(scores) * 1.1


def test_points_that_are_pictures_are_shown_as_pictures(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 5, (60, 6)).astype(float)
    settings = {"preset": "quick", "steps": 3, "widths": (4,), "samples": 20, "repeats": 1, "progress": False}
    report = compare(pictures, image_shape=(2, 3), resolution=5, **settings)
    report.plot(tmp_path / "figure.png")
    assert Image.open(tmp_path / "figure.png").width > 100
    with pytest.raises(ValueError, match="image_shape"):
        compare(pictures, image_shape=(2, 2), **settings)


@pytest.mark.parametrize(("n", "dim"), [(333, 2), (21, 1), (20, 7)])
def test_any_number_of_points_is_compared(n, dim):
    """The halves of an odd number of points differ by one; the distances take as many of both."""
    points = np.random.default_rng(n).normal(size=(n, dim))
    report = compare(points, preset="quick", widths=(4,), steps=2, progress=False)
    assert not [entry.failed for entry in report.entries if entry.failed]
    assert report.settings["points_per_distance"] == n // 2
