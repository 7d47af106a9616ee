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
from jaxgen.coding import code_length
from jaxgen.comparison import PRESETS, Dataset, Floor, Report, Spread, compare
from jaxgen.comparison._notes import notes
from jaxgen.distances import wasserstein
from jaxgen.generators import AbstractGenerator, IndependentGenerator
from jaxgen.measures import GridMeasure
from jaxgen.training import TrainingError

# One budget of bits and one curve of each kind: what each of them takes is to be compiled.
TINY = {"preset": "lean", "steps": 3, "widths": (4,), "samples": 60, "repeats": 2, "progress": False}
UNTRAINED = {**TINY, "widths": ()}
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


@pytest.fixture(autouse=True, scope="module")
def lean():
    fewer = {
        "budgets": (2048,),
        "precisions": (4,),
        "curve_resolutions": (9,),
        "curve_folds": (1,),
        "curve_levels": (1,),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "lean", dataclasses.replace(PRESETS["quick"], preset="lean", **fewer))
        yield


# One for all tests that only look at it: compiling its generators is what takes the time.
@pytest.fixture(scope="module")
def report(lean):
    return compare(POINTS, generators=USERS, **TINY)


EXPLICIT = ["sawtooth (explicit)", "Peano (explicit)", "independent (explicit)", "codebook, 50 atoms"]
TRAINED = ["trained, width 4, 1 source", "trained, width 4, 2 sources"]
EVERY_LAW = [*EXPLICIT, *TRAINED, "a callable", "a module", "module, bits", "one of ours"]


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
    assert e.w1.mean <= e.w2.mean
    # What a user brings ready-made took no time that anyone knows.
    assert e.nanoseconds_per_sample > 0 and (e.seconds is None if e.kind == "user" else e.seconds > 0)
    # The two clouds that are kept are other samples of the same two laws: one is within what all of them scatter.
    assert wasserstein(e.samples[:60], report.test[:60], 1) < 3 * e.w1.mean + 3 * report.floor.w1.mean


def test_explicit_generators_are_as_good_as_the_data_allow(entries, report):
    # A trained network of width 4 after three steps has not left its start; the data are matched to twice the floor.
    for name in EXPLICIT:
        assert entries[name].w1.mean < 2 * report.floor.w1.mean < entries[TRAINED[0]].w1.mean


def test_only_what_is_proven_has_a_certificate(entries):
    for name in EVERY_LAW:
        e = entries[name]
        if name in EXPLICIT or name == "one of ours":
            assert len(e.certificate) == 2 and all(w >= 0 for w in e.certificate)
        else:
            assert e.certificate is None
    # Of the independent one only the last rounding is left: some units in the last place of coordinates of about 16.
    assert 0 < max(entries["independent (explicit)"].certificate) < 8 * np.spacing(np.float32(16))
    assert entries["sawtooth (explicit)"].certificate.w2 > 0


def test_what_is_certified_to_the_points_holds(entries, report):
    """Against exact assignment between the training points and samples, of which the floor is the noise."""
    for name in EXPLICIT:
        to_points, x = entries[name].to_points, np.asarray(entries[name].samples, float)
        assert to_points.w2 >= to_points.w1 > entries[name].certificate.w1
        n = min(len(x), len(report.train))
        assert wasserstein(x[:n], report.train[:n], 1) <= to_points.w1 + 2 * report.floor.w1.mean
    assert all(entries[name].to_points is None for name in TRAINED)


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
    for mean, std in (report.floor.w1, report.floor.w2):
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
    near = [f"{w:.3g}" for entry in report.entries if entry.name == "Peano (explicit)" for w in entry.to_points]
    assert columns[at + 1] == "certified to its points"
    assert rows["Peano (explicit)"].split("|")[at + 1].strip() == ", ".join(near)
    assert rows[TRAINED[0]].split("|")[at + 1].strip() == "none"


def test_bits_for_the_same_error(report):
    families = {p.family for p in report.plane}
    assert families == {"explicit", "trained, 1 source", "trained, 2 sources"}
    assert all(p.bits > 0 and p.w1 > 0 for p in report.plane)
    # The budget is that of the measure; its generator is two bytes more, and two where the checksum gets longer.
    explicit = [p for p in report.plane if p.family == "explicit"]
    assert explicit and all(p.bits <= p.budget + 32 for p in explicit)
    table = report.bits_table()
    assert all(name in table for name in families) and "(1.0x)" in table
    lines = report.limits.any_method
    assert lines and all(b > 0 and w >= 0 for b, w in lines)
    assert [limit.name for limit in report.limits.length] == [TRAINED[0]]


def test_the_report_is_plain_json(report):
    out = report.to_dict()
    again = json.loads(json.dumps(out, allow_nan=False))
    assert again == out and len(again["entries"]) == len(report.entries)
    assert again["floor"]["w1"] == list(report.floor.w1)
    assert again["settings"]["steps"] == 3 and again["settings"]["samples"] == 60
    assert again["settings"]["points_per_distance"] == 60
    assert again["plane"][0]["bits"] == report.plane[0].bits and again["curves"]["depth"][0]["kind"] == "sawtooth"
    # Points are for the figure.
    assert "samples" not in again["entries"][0] and "test" not in again and "paths" not in again["curves"]
    infinite = dataclasses.replace(report, floor=Floor(Spread(math.inf, math.nan), Spread(1.0, math.nan)))
    assert json.loads(json.dumps(infinite.to_dict(), allow_nan=False))["floor"]["w2"] == [1.0, None]


def test_records_are_frozen(report):
    records = [report, report.floor, report.settings, report.curves, report.limits, *report.entries, *report.plane]
    records += [*report.curves.depth, *report.curves.size, *report.curves.paths, *report.limits.length]
    for record in records:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, dataclasses.fields(record)[0].name, None)
        assert not any(isinstance(value, dict | list) for value in vars(record).values())


def test_curves(report):
    assert [(p.kind, p.s) for p in report.curves.depth] == [("sawtooth", 1), ("Peano", 1)]
    assert [(p.kind, p.resolution) for p in report.curves.size] == [("sawtooth", 9), ("Peano", 9)]
    assert [path.kind for path in report.curves.paths] == ["sawtooth", "Peano"]
    for point in report.curves.depth:
        # Two clouds of 60 points, each nearer to its law than independent ones.
        assert point.w1 < point.certificate + 2 * report.curves.depth_floor


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


class Corona(AbstractGenerator):
    """A user's own law, uniform on a ring: its map is all that is known."""

    dim: int = 2
    source_dim: int = 2

    def __call__(self, u, condition=None):
        radius, angle = jnp.sqrt(1 + 3 * u[0]), 2 * jnp.pi * u[1]
        return radius * jnp.stack([jnp.cos(angle), jnp.sin(angle)])


def test_a_subclass_that_says_nothing_of_itself_has_a_row():
    result = compare(POINTS, generators={"ring": Corona()}, **UNTRAINED)
    entry = result.entries[-1]
    assert entry.failed is None and entry.certificate is None and entry.depth is None
    assert entry.bits == code_length(Corona())
    radii = np.linalg.norm(entry.samples, axis=1)
    assert 0.99 < radii.min() < radii.max() < 2.01
    columns, row = ([c.strip() for c in line.split("|")] for line in _lines(result, "generator", "ring"))
    said = dict(zip(columns, row, strict=True))
    assert said["certified W1, W2"] == said["depth"] == "none" and "±" in said["W1 to held-out"]
    for what in ("certificate", "ReLU form"):
        assert any(note.startswith(f"No {what} (ring)") for note in result.notes)


def _lines(report, *names):
    lines = report.table().splitlines()
    return [next(line for line in lines if line.startswith(f"| {name} ")) for name in names]


@pytest.mark.slow
def test_points_in_one_place(tmp_path):
    # One atom at most, no distance is positive, and nothing can be drawn on a logarithmic axis.
    result = compare(np.full(200, 3.0), **UNTRAINED)
    assert result.entries[-1].name == "codebook, 1 atoms" and all(e.failed is None for e in result.entries)
    assert result.entries[0].w1 == result.floor.w1 == (0, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result.save(tmp_path / "report")


@pytest.mark.slow
def test_labels_make_it_conditional(tmp_path):
    rng = np.random.default_rng(3)
    names = [("left", "right")[i % 2] for i in range(200)]
    points = rng.normal(size=(200, 2)) + 20 * np.array([[name == "right", 0] for name in names])
    # One label is held out: the split of seed 0 is this permutation.
    names[np.random.default_rng(0).permutation(200)[150]] = "nowhere"
    result = compare(Dataset("mine", points, ("x", "y"), tuple(names)), **TINY)
    assert "mine" in result.title and result.columns == ("x", "y")
    assert [e.name for e in result.entries] == [*EXPLICIT[:3], *TRAINED]
    for e in [*result.entries, result.floor]:
        assert {error.label for error in e.per_label} == {"left", "right"}
        assert all(error.w1 > 0 for error in e.per_label)
    # The labels are 20 apart, and what is drawn for one of them is not drawn for the other.
    for e in result.entries[:3]:
        assert max(error.w1 for error in e.per_label) < 4 and e.w1.mean < 4
    table = result.table()
    assert "label by label" in table and "left" in table and "two-sample floor" in table.split("label by label")[1]
    assert len(result.test) == 99 and any("1 held-out points are left out" in note for note in result.notes)
    assert result.curves.depth == result.plane == ()
    json.dumps(result.to_dict(), allow_nan=False)
    result.save(tmp_path / "report")


@pytest.mark.slow
def test_few_points_of_the_line(tmp_path):
    """The halves of an odd number of points differ by one; the distances take as many of both."""
    result = compare(np.random.default_rng(4).normal(size=21), **TINY)
    assert all(e.failed is None for e in result.entries) and result.settings.points_per_distance == 10
    # On the line one source is all there is.
    assert [e.name for e in result.entries if e.kind == "trained"] == TRAINED[:1] and result.test.shape == (11, 1)
    # Ten points say nothing about a curve of errors.
    assert result.curves.depth == result.curves.size == () and len(result.curves.paths) == 2
    result.save(tmp_path / "report")


@pytest.mark.slow
def test_three_dimensions(tmp_path):
    result = compare(np.random.default_rng(4).normal(size=(120, 3)), **UNTRAINED)
    assert all(e.failed is None and e.w1.mean < 1.6 * result.floor.w1.mean for e in result.entries)
    assert result.test.shape == (60, 3) and len(result.curves.depth) == 2
    result.save(tmp_path / "report")


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        (POINTS[:19], {}, ValueError, "data must hold at least 20 points, .*; got 19"),
        (np.zeros((0, 2)), {}, ValueError, "data is empty"),
        (np.where(np.arange(200)[:, None] == 3, np.nan, POINTS), {}, ValueError, "data must be finite; 1 of 200 rows"),
        (POINTS[:, :, None], {}, ValueError, "data must have shape"),
        ([["a", "b"]] * 30, {}, TypeError, "data must be real numbers"),
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
    trained = dataclasses.replace(report, plane=tuple(p for p in report.plane if p.family != "explicit"))
    trained.save(tmp_path / "report")
    assert "explicit" not in trained.bits_table()


def test_a_fixed_generator_scores_what_its_samples_score(report):
    # The same numbers by hand, from the public parts: half the data, samples by the same law, exact assignment.
    train, test = report.train, report.test
    g = IndependentGenerator(GridMeasure.from_samples(train, 81))
    scores = [wasserstein(g.sample(jr.key(i), 60), test[i : i + 60], 1) for i in range(20)]
    mean = next(e.w1.mean for e in report.entries if e.name == EXPLICIT[2])
    # A mean of two repeats of the same experiment lies within what twenty of them span.
    assert min(scores) * 0.9 < mean < max(scores) * 1.1


def test_points_that_are_pictures_are_shown_as_pictures(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 5, (60, 6)).astype(float)
    report = compare(pictures, image_shape=(2, 3), resolution=5, **{**UNTRAINED, "repeats": 1})
    assert all(e.failed is None and e.w1.mean < 1.6 * report.floor.w1.mean for e in report.entries)
    assert report.curves.paths == ()  # in more than four dimensions
    report.plot(tmp_path / "figure.png")
    assert Image.open(tmp_path / "figure.png").width > 100
    with pytest.raises(ValueError, match="image_shape"):
        compare(pictures, image_shape=(2, 2), **UNTRAINED)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "dim"), [(333, 2), (21, 1), (20, 7), (20, 70)])
def test_any_number_of_points_is_compared(n, dim):
    points = np.random.default_rng(n).normal(size=(n, dim))
    report = compare(points, preset="quick", widths=(4,), steps=2, progress=False)
    assert not [entry.failed for entry in report.entries if entry.failed]
    assert report.settings.points_per_distance == n // 2


def test_notes_say_where_the_last_rounding_matters(report, entries):
    assert any("On the uniform square" in note and "serpentine 1," in note for note in report.notes)
    assert not any("last rounding" in note for note in report.notes)
    one = dataclasses.replace(entries[EXPLICIT[0]], rounding=0.02 * entries[EXPLICIT[0]].w1.mean)
    said = [note for note in notes(report.settings, [one, *report.entries[1:]], {}) if "last rounding" in note]
    assert len(said) == 1 and f"({EXPLICIT[0]})" in said[0] and f"by {one.rounding:.2g} on average" in said[0]
