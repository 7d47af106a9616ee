"""The comparison: every generator is measured, none takes the others down, and the same seed says the same."""

import dataclasses
import functools
import json
import math
import re
import threading
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.figure
import numpy as np
import pytest
from PIL import Image

import jaxgen as jg
import jaxgen.comparison._compare as module
import jaxgen.comparison._trained as trained_module
from jaxgen.coding import code_length
from jaxgen.comparison import PRESETS, Dataset, Halves, Report, compare
from jaxgen.comparison._continued import continued
from jaxgen.comparison._integrals import integrals
from jaxgen.comparison._notes import notes
from jaxgen.comparison._split import as_dataset, halves
from jaxgen.comparison._stages import Ahead, Stages
from jaxgen.comparison._trained import rounded, shapes, steps_of, trained
from jaxgen.comparison._units import units
from jaxgen.comparison._yardstick import Yardstick
from jaxgen.distances import law_distance, wasserstein
from jaxgen.generators import AbstractGenerator, IndependentGenerator
from jaxgen.measures import GridMeasure
from jaxgen.training import TrainingError

# One budget of bits and one curve of each kind: each network that is measured has to be compiled.
TINY = {"preset": "lean", "steps": 3, "widths": (4,), "sources": 256, "splits": 2, "progress": False}
BARE = {**TINY, "preset": "bare"}  # kernels only
UNTRAINED = {**BARE, "widths": ()}
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
    "one coordinate of three": Affine(3),
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
    fewer = {"budgets": (1024,), "precisions": (4,), "curve_folds": (1,), "curve_levels": (1,)}
    fewer |= {"networks": PRESETS["default"].networks, "integrals": (64, 128)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "lean", dataclasses.replace(PRESETS["quick"], preset="lean", **fewer))
        patch.setitem(
            PRESETS, "bare", dataclasses.replace(PRESETS["lean"], preset="bare", networks=(), integrals=(), peers=())
        )
        yield


# One for all tests that only look at it: compiling its generators is what takes the time.
@pytest.fixture(scope="module")
def report(lean):
    return compare(POINTS, generators=USERS, **TINY)


EXPLICIT = ["sawtooth", "Peano", "independent", "codebook, 50 atoms", "tree, 1,024 bits"]
NETWORKS = [f"{name}, as a network" for name in EXPLICIT]
BUILT = [name for pair in zip(EXPLICIT, NETWORKS, strict=True) for name in pair]
PEERS = ["Gaussian mixture, 16", "k-means, 16"]
TRAINED = ["trained, width 4, 1 source", "trained, width 4, 2 sources"]
OURS = [*EXPLICIT, "one of ours"]
EVERY_LAW = [
    *BUILT,
    *PEERS,
    *TRAINED,
    "a callable",
    "a module",
    "module, bits",
    "one of ours",
    "one of ours, as a network",
]


@pytest.fixture(scope="module")
def entries(report):
    return {e.name: e for e in report.entries}


@pytest.mark.slow
def test_every_generator_has_an_entry_in_order(report):
    assert isinstance(report, Report) and not report.interrupted
    assert [e.name for e in report.entries] == [*BUILT, *PEERS, *TRAINED, *USERS, "one of ours, as a network"]
    kinds = ["explicit", "network"] * 5 + ["peer"] * 2 + ["trained"] * 2 + ["user"] * len(USERS) + ["network"]
    assert [e.kind for e in report.entries] == kinds
    assert len(report.train) == len(report.test) == 100 and report.columns == ("x0", "x1")
    both = np.concatenate([report.train, report.test])
    np.testing.assert_array_equal(both[np.lexsort(both.T)], POINTS[np.lexsort(POINTS.T)])


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY_LAW)
def test_every_law_is_measured(entries, name):
    e = entries[name]
    assert e.failed is None and 0 < e.near < np.inf
    # A network is made of the first split only; what a user brings is judged on each.
    assert len(e.unseen) == (1 if e.kind in ("network", "trained") else 2) and 0 < e.held_out.mean < np.inf
    assert e.nanoseconds_per_sample > 0 and (e.seconds is None) == (e.kind in ("network", "user"))
    if e.kind != "network":
        assert e.samples.shape[1] == 2 and np.isfinite(e.samples).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["one of ours", "a module"])
def test_distances_are_those_of_the_laws(entries, report, name):
    e, law = entries[name], USERS[name]
    assert e.near == pytest.approx(law_distance(law, report.train, n=256).value, rel=1e-6)
    assert e.unseen[0] == pytest.approx(law_distance(law, report.test, n=128).value, rel=1e-6)


@pytest.mark.slow
def test_a_kernel_and_its_network_are_one_law(entries):
    """Apart from ramps, floats and how they are discretised: at 256 values, some tenths of the side of a leaf."""
    for name, other in zip(OURS, [*NETWORKS, "one of ours, as a network"], strict=True):
        assert abs(entries[name].near - entries[other].near) < 0.1
        assert entries[name].depth is entries[name].connectivity is None and entries[other].connectivity > 100
        # What is proven of the network is proven of it in the floats that it runs in.
        assert entries[other].to_points.w1 >= entries[name].to_points.w1


@pytest.mark.slow
def test_explicit_generators_are_as_good_as_the_data_allow(entries, report):
    # A trained network of width 4 after three steps has not left its start; the data are matched to twice the halves.
    for name in EXPLICIT:
        assert entries[name].held_out.mean < 2 * report.halves.spread.mean < entries[TRAINED[0]].held_out.mean


@pytest.mark.slow
def test_only_what_is_proven_has_a_certificate(entries):
    for name in EVERY_LAW:
        e = entries[name]
        if e.kind in ("explicit", "network") or name == "one of ours":
            assert len(e.certificate) == 2 and all(w >= 0 for w in e.certificate)
        else:
            assert e.certificate is e.to_points is None
    # Of the independent one only the last rounding is left: some units in the last place of coordinates of about 16.
    assert 0 < max(entries["independent"].certificate) < 8 * np.spacing(np.float32(16))
    assert entries["sawtooth"].certificate.w2 > 0


@pytest.mark.slow
def test_what_is_certified_to_the_points_holds(entries):
    """No measured distance is above what is proven, but for its discretisation: some percent of a deviation of 2."""
    for name in (*EXPLICIT, *NETWORKS):
        to_points = entries[name].to_points
        assert to_points.w2 >= to_points.w1 > 0
        assert entries[name].near <= to_points.w1 + 0.05


@pytest.mark.slow
def test_sizes_and_sources(entries):
    assert [entries[n].source_dim for n in (*EXPLICIT, *TRAINED)] == [1, 1, 2, 1, 1, 1, 2]
    assert [entries[n].source_dim for n in ("a callable", "a module", "one of ours")] == [1, 2, 2]
    for name in (*NETWORKS, *TRAINED):
        assert entries[name].depth > 1 and entries[name].width > 1 and entries[name].connectivity > 1
    assert all(entries[name].bits > 8 for name in (*BUILT, *TRAINED))
    # The budget is that of the measure; its generator takes two bytes more, and two where the checksum gets longer.
    assert entries["tree, 1,024 bits"].bits <= 1024 + 32
    assert entries["a module"].connectivity == 6 and entries["a module"].bits == 6 * 32
    assert entries["module, bits"].bits == 77
    # What a function keeps to itself cannot be counted.
    assert entries["a callable"].bits is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("raises", "ValueError: a callable gave no points of dimension 2"),
        ("not a number", "ValueError: "),
        ("one coordinate of three", "ValueError: a callable (Affine) gave no points of dimension 2"),
        ("three coordinates", "ValueError: a callable gave no points of dimension 2"),
        ("a matrix", "ValueError: a callable gave no points of dimension 2"),
        ("no function", "TypeError: "),
        ("a triple", "TypeError: samples must be an array of numbers"),
    ],
)
def test_a_bad_generator_is_reported_with_its_reason(entries, report, name, reason):
    e = entries[name]
    assert e.failed.startswith(reason) and "\n" not in e.failed
    assert e.near is None and e.samples is None and e.held_out is None
    assert f"- {name}: {reason}" in report.table()


@pytest.mark.slow
def test_the_halves_are_apart(report):
    assert len(report.halves.w1) == 2 and report.halves.w1[0] == wasserstein(report.train, report.test, 1)
    assert "halves of the data" in report.table()


@pytest.mark.slow
def test_the_table_names_everything(report):
    for style in ("github", "simple"):
        table = report.table(style)
        assert all(name in table for name in (*BUILT, *TRAINED, *USERS))
    rows = {row.split("|")[1].strip(): row for row in report.table().splitlines() if row.startswith("|")}
    columns = [c.strip() for c in rows["generator"].split("|")]
    at = columns.index("certified")
    assert rows[TRAINED[0]].split("|")[at].strip() == "none"
    near = next(f"{entry.to_points.w1:.3g}" for entry in report.entries if entry.name == "Peano")
    assert rows["Peano"].split("|")[at].strip() == near


@pytest.mark.slow
def test_costs_of_the_same_error(report):
    assert {p.family for p in report.rounded} == {"trained, 1 source", "trained, 2 sources"}
    assert all(p.bits > 0 and p.near > 0 and p.samples is None for p in report.rounded)
    table = report.bits_table()
    sides = ["explicit, exact", "explicit, as networks", *TRAINED_FAMILIES, "a module", "one of ours"]
    assert all(name in table for name in sides) and "(1.0x)" in table
    assert "explicit, exact" not in report.weights_table() and "explicit, as networks" in report.weights_table()
    # The cheapest of all entries that are as near, by hand.
    for line in table.splitlines()[2:]:
        cells = [c.strip() for c in line.strip("|").split("|")]
        judged = [e for e in (*report.entries, *report.rounded) if e.near is not None and e.bits]
        reach = [e.bits for e in judged if e.kind == "explicit" and e.near <= float(cells[0]) * 1.005]
        assert cells[1] == "-" or float(cells[1].split()[0]) >= min(reach) - 1
    lines = report.limits.any_method
    assert lines and all(b > 0 and w >= 0 for b, w in lines)


TRAINED_FAMILIES = ["trained, 1 source", "trained, 2 sources"]


@pytest.mark.slow
def test_the_report_begins_with_plain_sentences(report):
    said = report.sentences
    assert len(said) == 3 and all(each.endswith(".") for each in said)
    assert report.markdown().index(said[0]) < report.markdown().index("| generator")
    assert "seen" in said[1]
    assert report._repr_markdown_() == report.markdown().replace("\n![figure](figure.png)\n", "")


@pytest.mark.slow
def test_the_report_is_plain_json(report):
    out = report.to_dict()
    again = json.loads(json.dumps(out, allow_nan=False))
    assert again == out and len(again["entries"]) == len(report.entries)
    assert again["halves"]["w1"] == list(report.halves.w1)
    assert again["settings"]["steps"] == 3 and again["settings"]["sources"] == 256
    assert again["rounded"][0]["bits"] == report.rounded[0].bits and again["curves"]["depth"][0]["kind"] == "sawtooth"
    # Points are for the figure.
    assert "samples" not in again["entries"][0] and "test" not in again and "paths" not in again["curves"]
    infinite = dataclasses.replace(report, halves=Halves((math.inf, math.nan, 1.0)))
    assert json.loads(json.dumps(infinite.to_dict(), allow_nan=False))["halves"]["w1"] == [None, None, 1.0]


@pytest.mark.slow
def test_records_are_frozen(report):
    records = [report, report.halves, report.settings, report.curves, report.limits, *report.entries, *report.rounded]
    records += [*report.curves.depth, *report.curves.paths, *report.limits.length]
    for record in records:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, dataclasses.fields(record)[0].name, None)
        assert not any(isinstance(value, dict | list) for value in vars(record).values())


@pytest.mark.slow
def test_integrals_are_of_the_law_of_the_training_points(report):
    train = Dataset("data", report.train, report.columns)
    assert report.integrals == integrals(train, report.settings) and report.integrals.sizes == (64, 128)
    assert report.to_dict()["integrals"]["errors"][0]["rmse"] == list(report.integrals.errors[0].rmse)
    assert sum("Sobol points (2 uniform numbers each" in note for note in report.notes) == 1


@pytest.mark.slow
def test_curves(report):
    assert [(p.kind, p.s) for p in report.curves.depth] == [("sawtooth", 1), ("Peano", 1)]
    assert [path.kind for path in report.curves.paths] == ["sawtooth", "Peano"]


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_save_is_all_or_nothing(report, tmp_path, monkeypatch, error):
    def fail(self, path, **options):
        path.write_bytes(b"half a picture")
        raise error

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", fail)
    with pytest.raises(error):
        report.save(tmp_path / "report")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_same_seed_says_the_same(report):
    again = compare(POINTS, generators={"a module": USERS["a module"]}, **BARE)
    first = {e.name: e for e in report.entries}
    for e in again.entries:
        assert (e.near, e.unseen) == (first[e.name].near, first[e.name].unseen)
        np.testing.assert_array_equal(e.samples, first[e.name].samples)
    assert again.halves == report.halves and [e.near for e in again.rounded] == [e.near for e in report.rounded]


def interrupt(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.slow
def test_interrupted_training_is_reported(report, monkeypatch):
    real = trained_module.fit
    monkeypatch.setattr(trained_module, "fit", lambda *args, **options: real(*args, callback=interrupt, **options))
    stopped = compare(POINTS, generators={"a module": USERS["a module"]}, **BARE)
    assert stopped.interrupted and stopped.to_dict()["interrupted"]
    # The network that was being trained is measured as it was, and nothing more is begun.
    assert [e.name for e in stopped.entries] == [*EXPLICIT, TRAINED[0], "a module"] and not stopped.rounded
    assert all(e.failed is None for e in stopped.entries)
    assert "interrupted" in stopped.markdown() and "interrupted" not in report.markdown()


@pytest.mark.slow
def test_an_end_at_any_stage_leaves_what_there_is(monkeypatch, tmp_path):
    monkeypatch.setattr("jaxgen.comparison._explicit.measure", interrupt)
    stopped = compare(POINTS, generators={"a module": USERS["a module"]}, **BARE)
    assert stopped.interrupted and [e.name for e in stopped.entries] == ["a module"]
    assert "No integrals are compared: the comparison was interrupted." in stopped.notes
    assert "what comes later is missing" in stopped.markdown()
    stopped.save(tmp_path / "report")


def test_a_line_a_stage_where_no_terminal_is(capsys):
    stages = Stages(4, shown=True)
    assert stages.run("one", 1, lambda: [1, 2]) == [1, 2]

    def cut():
        yield 3
        interrupt()

    assert stages.run("two", 1, cut) == [3] and stages.interrupted
    assert stages.run("three", 2, lambda: [4]) == []
    stages.close()
    first, second = capsys.readouterr().err.splitlines()
    assert first == "[0 s] one" and re.fullmatch(r"\[0 s, 0 s left\] two", second)


@pytest.mark.slow
def test_training_that_fails_is_reported(monkeypatch, tmp_path):
    def fail(*_, **__):
        raise TrainingError("the loss was nan at step 2", 2)

    monkeypatch.setattr(trained_module, "fit", fail)
    result = compare(POINTS, **BARE)
    assert [e.name for e in result.entries] == [*EXPLICIT, *TRAINED]
    assert result.entries[-1].failed == "TrainingError: the loss was nan at step 2"
    assert result.entries[0].failed is None and "1 source: TrainingError" in result.table()
    result.save(tmp_path / "report")


class Corona(AbstractGenerator):
    """A user's own law, uniform on a ring: its map is all that is known."""

    dim: int = 2
    source_dim: int = 2

    def __call__(self, u, condition=None):
        radius, angle = jnp.sqrt(1 + 3 * u[0]), 2 * jnp.pi * u[1]
        return radius * jnp.stack([jnp.cos(angle), jnp.sin(angle)])


@pytest.mark.slow
def test_a_subclass_that_says_nothing_of_itself_has_a_row():
    result = compare(POINTS, generators={"ring": Corona()}, **UNTRAINED)
    entry = result.entries[-1]
    assert entry.failed is None and entry.certificate is None and entry.depth is None
    assert entry.bits == code_length(Corona())
    radii = np.linalg.norm(entry.samples, axis=1)
    assert 0.99 < radii.min() < radii.max() < 2.01
    columns, row = ([c.strip() for c in line.split("|")] for line in _lines(result, "generator", "ring"))
    said = dict(zip(columns, row, strict=True))
    assert said["certified"] == said["depth"] == "none" and "±" in said["W1 to held-out"]
    for what in ("certificate", "ReLU form"):
        assert any(note.startswith(f"No {what} (ring)") for note in result.notes)


def _lines(report, *names):
    lines = report.table().splitlines()
    return [next(line for line in lines if line.startswith(f"| {name} ")) for name in names]


@pytest.mark.slow
def test_points_in_one_place(tmp_path):
    # One atom at most, no distance is positive, and nothing can be drawn on a logarithmic axis.
    result = compare(np.full(200, 3.0), **UNTRAINED)
    assert any(e.name == "codebook, 1 atoms" for e in result.entries) and all(e.failed is None for e in result.entries)
    assert result.entries[0].near == result.halves.w1[0] == 0
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
    for e in [*result.entries, result.halves]:
        assert {error.label for error in e.per_label} == {"left", "right"}
        assert all(error.w1 > 0 for error in e.per_label)
    # The labels are 20 apart, and what is drawn for one of them is not drawn for the other.
    for e in result.entries[:3]:
        assert max(error.w1 for error in e.per_label) < 4 and e.held_out.mean < 4
    table = result.table()
    assert "label by label" in table and "left" in table and "halves of the data" in table.split("label by label")[1]
    assert len(result.test) == 99 and any("1 held-out points are left out" in note for note in result.notes)
    assert result.curves.depth == result.limits.any_method == ()
    json.dumps(result.to_dict(), allow_nan=False)
    result.save(tmp_path / "report")


@pytest.mark.slow
def test_few_points_of_the_line(tmp_path):
    """The halves of an odd number of points differ by one."""
    result = compare(np.random.default_rng(4).normal(size=21), **BARE)
    assert all(e.failed is None for e in result.entries)
    assert (result.settings.train_points, result.settings.held_out_points) == (10, 11)
    # On the line one source is all there is.
    assert [e.name for e in result.entries if e.kind == "trained"] == TRAINED[:1] and result.test.shape == (11, 1)
    result.save(tmp_path / "report")


@pytest.mark.slow
def test_three_dimensions(tmp_path):
    result = compare(np.random.default_rng(4).normal(size=(120, 3)), **UNTRAINED)
    assert all(e.failed is None and e.held_out.mean < 1.6 * result.halves.spread.mean for e in result.entries)
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
        (POINTS, {"splits": 0}, ValueError, "splits must be at least 1; got 0"),
        (POINTS, {"sources": 1}, ValueError, "sources must be at least 2; got 1"),
        (POINTS, {"resolution": 0}, ValueError, "resolution"),
        (POINTS, {"folds": -1}, ValueError, "folds"),
        ("/nowhere/points.npy", {}, FileNotFoundError, "no file '/nowhere/points.npy'"),
    ],
)
def test_bad_input(data, options, error, message):
    with pytest.raises(error, match=message):
        compare(data, **{**TINY, **options})


@pytest.mark.slow
def test_planes_without_explicit_generators_are_drawn(report, tmp_path):
    trained = dataclasses.replace(report, entries=tuple(e for e in report.entries if e.kind == "trained"))
    trained.save(tmp_path / "report")
    assert "explicit" not in trained.bits_table() and trained.sentences == ()


@pytest.mark.slow
def test_points_that_are_pictures_are_shown_as_pictures(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 5, (60, 6)).astype(float)
    report = compare(pictures, image_shape=(2, 3), resolution=5, **{**UNTRAINED, "splits": 1})
    assert all(e.failed is None and e.held_out.mean < 1.6 * report.halves.w1[0] for e in report.entries)
    assert report.curves.paths == ()  # in more than four dimensions
    report.plot(tmp_path / "figure.png")
    assert Image.open(tmp_path / "figure.png").width > 100
    with pytest.raises(ValueError, match="image_shape"):
        compare(pictures, image_shape=(2, 2), **UNTRAINED)


@pytest.mark.slow
def test_standard_deviations_as_units_on_request():
    """All that is measured is that of the divided points; what a user brings is divided too, law or samples."""
    unit, wide = POINTS.std(axis=0), jg.GridMeasure.from_samples(POINTS, 5)
    users = {
        "measure": wide,
        "generator": wide.generator(),
        "map": Affine(),
        "not traced": lambda u: np.array([9 + 2 * float(u[0]), -3.5 + 2 * float(u[1])]),
        "samples": POINTS,
        "atoms": jg.CodebookGenerator([[10.0, -3.0], [12.0, -2.0]]),
    }
    found = compare(POINTS, generators=users, scale="std", **UNTRAINED)
    entries, train = {e.name: e for e in found.entries}, found.train
    np.testing.assert_allclose(np.concatenate([train, found.test]).std(axis=0), 1)
    assert found.columns == (f"x0 / {unit[0]:.3g}", f"x1 / {unit[1]:.3g}")
    assert entries["samples"].near == pytest.approx(wasserstein(POINTS / unit, train, 1), rel=1e-5)
    atoms = wasserstein(np.array([[10.0, -3.0], [12.0, -2.0]]) / unit, train, 1)
    assert entries["atoms"].near == pytest.approx(atoms, rel=1e-5)
    divided = jg.GridMeasure.from_samples(POINTS / unit, 5)
    for name in ("measure", "generator"):
        assert entries[name].near == pytest.approx(law_distance(divided, train, n=256).value, rel=0.01)
        assert entries[name].certificate is None and entries[name].bits
    assert entries["map"].near == pytest.approx(entries["not traced"].near, rel=0.02)
    assert any("divided by their standard deviations" in note for note in found.notes)
    with pytest.raises(ValueError, match="scale"):
        compare(POINTS, scale="range", **UNTRAINED)


@pytest.mark.slow
def test_long_training_says_beforehand_how_long(monkeypatch, capsys):
    """Networks x (seeds + splits - 1 + rounds x splits) x steps, and those under rounding."""
    settings = dataclasses.replace(
        PRESETS["full"], widths=(4, 8), depths=(2,), steps=100, seeds=3, trained_splits=4, rounds=2,
        tuning=10, precisions=(4, 8), pruned=(0.5,), continued=(512, 600),
    )  # fmt: skip
    assert steps_of(shapes(3, settings), settings) == 2 * 2 * (100 * (3 + 3 + 2 * 4) + 10 * 2 * 2) + 200
    assert steps_of(shapes(1, settings), settings) == 2 * (100 * (3 + 3 + 2 * 4) + 10 * 2 * 2) + 200  # one source, once
    assert [module._duration(seconds) for seconds in (3, 89, 7290)] == ["1 min", "1 min", "2 h 2 min"]

    def end(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(module, "_MANY_STEPS", 5)
    monkeypatch.setattr(module, "Ahead", end)
    with pytest.raises(ZeroDivisionError):
        compare(POINTS, **{**BARE, "progress": True})
    said = re.search(r"At most 6 steps of training, of (\S+) ms: 1 min", capsys.readouterr().err)
    assert said and 0 < float(said[1]) < 1e4


@pytest.mark.slow
def test_the_best_seed_goes_on_and_is_rounded(monkeypatch):
    """What only the full comparison does, at the size of a test: every fit is recorded."""
    made = []
    real = trained_module.fit

    def recorded(generator, points, **options):
        fitted = real(
            generator, points, batch_size=16, loss=energy, **{k: v for k, v in options.items() if k != "loss"}
        )
        made.append((options, fitted))
        return fitted

    monkeypatch.setattr(trained_module, "fit", recorded)
    monkeypatch.setattr("jaxgen.training._rounded.SinkhornLoss", lambda epsilon, anneal: energy)
    settings = dataclasses.replace(
        PRESETS["bare"], steps=20, widths=(4,), seeds=3, rounds=2, tuning=5, precisions=(3,), pruned=(0.5,), splits=2,
        trained_splits=2, sources=128,
    )  # fmt: skip
    dataset = as_dataset(POINTS, None)
    yardstick = Yardstick(tuple(halves(dataset, k) for k in range(2)), 128, 0)
    shape = shapes(2, settings)[1]
    ((measured, fitted),) = trained(shape, yardstick, settings, False)
    seeds = [fit for options, fit in made if "validation" in options]
    assert len(seeds) == 3 and len({float(fit.validation_losses.min()) for fit in seeds}) == 3
    best = min(seeds, key=lambda fit: fit.validation_losses.min())
    # It goes on from the best, and the other split takes the seed of it.
    np.testing.assert_array_equal(fitted.losses[:20], best.losses)
    assert len(measured.entry.unseen) == 2 and len(made) >= 3 + 1 + 1 + 1
    few = list(rounded(measured.entry, fitted, yardstick, settings, False))
    assert [entry.name.rpartition(", weights of ")[2] for entry in few] == ["3 bits", "3 bits, 50 % pruned"]
    assert few[1].connectivity < 0.7 * few[0].connectivity
    # As few weights as these take no fewer bits by an entropy code than as they are.
    assert few[1].bits == few[0].bits == 3 * (8 + 4 + 2 * (16 + 4) + 8 + 2)
    said = " ".join(notes(settings, [], {"a network": dataclasses.replace(fitted, epsilon=(1.0, 0.1))}, 0, False))
    assert "the best of 3 seeds" in said and "up to 2 times" in said


@pytest.mark.slow
def test_a_construction_is_trained_on_at_equal_weights(monkeypatch):
    """What it gains is nearness; what it loses is all that was proven of it."""
    settings = dataclasses.replace(PRESETS["bare"], steps=60)
    yardstick = Yardstick((halves(as_dataset(POINTS, None), 0),), 256, 0)
    monkeypatch.setattr("jaxgen.comparison._continued.SinkhornLoss", lambda anneal: energy)
    before, after = (found.entry for found in continued(300, yardstick, settings, False))
    assert [before.name, after.name] == ["construction of 300 bits, wide ramps", "construction of 300 bits, trained on"]
    assert after.near < 0.9 * before.near and before.to_points.w1 > before.near
    assert (after.depth, after.width) == (before.depth, before.width)
    # The same matrices; biases that were zero are free.
    assert before.connectivity <= after.connectivity < 1.2 * before.connectivity
    assert after.certificate is after.to_points is None and after.seconds > 0 and after.kind == "trained"
    assert list(continued(8, yardstick, settings, False)) == []  # too few bits
    labelled = (halves(as_dataset(POINTS, ["a", "b"] * 100), 0),)
    assert list(continued(300, Yardstick(labelled, 256, 0), settings, False)) == []


def energy(x, y, *_):
    """The energy distance of two batches, which compiles in no time."""

    def apart(a, b):
        return jnp.sqrt(jnp.sum((a[:, None] - b) ** 2, axis=-1) + 1e-12).mean()

    return 2 * apart(x, y) - apart(x, x) - apart(y, y)


def test_threads_work_ahead_and_end_where_they_are_told_to():
    stop, order = threading.Event(), []

    def slow(name):
        order.append(name)
        yield name
        if stop.wait(10):
            raise KeyboardInterrupt
        yield "too late"

    with Ahead({"one": lambda: iter([1, 2])}, stop) as ahead:
        assert ahead.found("one") == [1, 2]
    assert not stop.is_set()
    with Ahead({str(i): functools.partial(slow, str(i)) for i in range(200)}, stop) as ahead:
        pass
    assert stop.is_set() and len(order) < 200
    with pytest.raises(ZeroDivisionError), Ahead({"bad": lambda: [1 // 0]}, threading.Event()) as ahead:
        ahead.found("bad")


def test_a_note_on_units_that_are_far_apart():
    data = Dataset("mine", POINTS * [1.0, 0.1] + [0.0, 5.0], ("metres", "pence"))
    (said,) = units(data)
    apart = np.divide(*np.std(data.points, axis=0))
    assert f"of metres ({np.std(POINTS[:, 0]):.3g}) is {apart:.3g} times that of pence" in said and apart > 10
    assert list(units(Dataset("even", POINTS, ("x", "y")))) == list(units(Dataset("one", 0 * POINTS, ("x", "y")))) == []
    constant = np.concatenate([data.points, np.ones((200, 1))], axis=1)
    assert list(units(Dataset("mine", constant, ("metres", "pence", "one")))) == [said]


@pytest.mark.slow
def test_notes_say_where_the_last_rounding_matters(report, entries):
    assert any("On the uniform square" in note and "serpentine 1," in note for note in report.notes)
    assert not any("last rounding" in note for note in report.notes)
    one = dataclasses.replace(entries[EXPLICIT[0]], rounding=0.02 * entries[EXPLICIT[0]].near)
    said = [
        note for note in notes(report.settings, [one, *report.entries[1:]], {}, 0, False) if "last rounding" in note
    ]
    assert len(said) == 1 and f"({EXPLICIT[0]})" in said[0] and f"by {one.rounding:.2g} on average" in said[0]
