"""Points and back, and files that other software reads."""

import json
import wave

import jax.numpy as jnp
import matplotlib.figure
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from jaxgen import GridMeasure
from jaxgen.modalities import Audio, Images, Table, Text, Video, modality_from_metadata

rng = np.random.default_rng(0)
CASES = [
    (Images((3, 4), 17), rng.integers(0, 17, (5, 3, 4))),
    (Images((3, 4, 3)), rng.integers(0, 256, (2, 3, 4, 3))),
    (Video((3, 2), 4, 5.0, 2), rng.integers(0, 2, (3, 4, 3, 2))),
    (Video((2, 2, 3), 3), rng.integers(0, 256, (2, 3, 2, 2, 3))),
    (Audio(30, 8000), rng.integers(-128, 128, (4, 30)) / 128),
    (Audio(7, 44100, 65536), rng.integers(-32768, 32768, (4, 7)) / 32768),
    (Text("abz é☂", 6), ["", "a", "zzéab ", "☂"]),
    (Table(("x", "y"), (0.0, -1.0), (2.0, 1.0), 9), rng.uniform(0, 1, (6, 2))),
]
each_case = pytest.mark.parametrize(("modality", "stack"), CASES, ids=lambda v: getattr(type(v), "__name__", "stack"))


@each_case
def test_restore_undoes_points(modality, stack):
    points = modality.points(stack)
    assert points.shape == (len(stack), modality.dim)
    assert np.array_equal(modality.restore(points), stack)


@pytest.mark.parametrize(("modality", "stack"), CASES[:-1], ids=lambda v: getattr(type(v), "__name__", "stack"))
def test_a_cell_of_the_grid_is_one_thing(modality, stack):
    """Wherever a generator lands inside a cell of the data, the thing that comes out is the datum."""
    points = modality.points(stack)
    assert np.array_equal(modality.restore(jnp.asarray(points, jnp.float32)), stack)
    measure = GridMeasure.from_samples(points, **modality.box._asdict())
    assert np.all(np.asarray(measure.cell_sides) == 1)
    assert {tuple(c) for c in np.asarray(measure.cells)} == {tuple(p) for p in points.astype(int)}
    inside = points + rng.uniform(-0.499, 0.499, points.shape)
    assert np.array_equal(modality.restore(inside), stack)
    assert np.array_equal(modality.restore(np.asarray(measure.centers)), modality.restore(np.asarray(measure.cells)))


@each_case
def test_metadata_is_json_and_complete(modality, stack):
    again = modality_from_metadata(json.loads(json.dumps(modality.metadata())))
    assert again == modality
    assert hash(again) == hash(modality)


@each_case
def test_each_can_be_drawn(modality, stack, tmp_path):
    figure = matplotlib.figure.Figure(figsize=(1, 1))
    modality.draw(figure.add_subplot(), modality.restore(modality.points(stack))[0])
    figure.savefig(tmp_path / "figure.png")
    assert np.ptp(np.asarray(Image.open(tmp_path / "figure.png"))) > 0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(alphabet="ab c.", max_size=8), min_size=1, max_size=5))
def test_texts_survive(texts):
    modality = Text("ab c.", 8)
    assert modality.restore(modality.points(texts)) == texts


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 128).map(lambda half: 2 * half), st.data())
def test_amplitudes_are_rounded_to_the_nearest_level(levels, data):
    x = data.draw(st.lists(st.floats(-1, 1), min_size=3, max_size=3))
    modality = Audio(3, 8000, levels)
    y = modality.restore(modality.points([x]))[0]
    step = 2 / levels
    # The largest amplitude, 1 - step, is a whole step below 1: files of signed numbers have no +1.
    assert np.all(np.abs(y - np.minimum(x, 1 - step)) <= step / 2 * (1 + 1e-9))
    assert np.array_equal(modality.restore(modality.points([y]))[0], y)
    assert modality.restore(modality.points(np.zeros((1, 3)))).tolist() == [[0, 0, 0]]


def test_what_lies_outside_goes_to_the_nearest_level():
    assert Images((1, 2), 17).restore([[-3.0, 99.0]]).tolist() == [[[0, 16]]]
    assert Table(("x",), (0.0,), (1.0,)).restore([[7.0]]).tolist() == [[1.0]]


def test_a_png_holds_every_pixel(tmp_path):
    modality, stack = CASES[0]
    modality.write(tmp_path / "a.png", modality.points(stack))
    sheet = np.asarray(Image.open(tmp_path / "a.png"))
    zoom, columns = 22, 3  # 22 * 3 is the first multiple of the shorter side to reach 64
    assert sheet.shape == (2 * 3 * zoom + 2, 3 * 4 * zoom + 4)
    for i, picture in enumerate(stack):
        y, x = (i // columns) * (3 * zoom + 2), (i % columns) * (4 * zoom + 2)
        part = sheet[y : y + 3 * zoom, x : x + 4 * zoom]
        assert np.array_equal(part, np.kron(np.rint(picture * 255 / 16), np.ones((zoom, zoom))))


def test_a_png_holds_colours(tmp_path):
    modality = Images((64, 64, 3))
    stack = rng.integers(0, 256, (1, 64, 64, 3))
    modality.write(tmp_path / "a.png", modality.points(stack))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), stack[0])


@pytest.mark.parametrize("case", [4, 5])
def test_a_wav_holds_every_amplitude(case, tmp_path):
    modality, stack = CASES[case]
    modality.write(tmp_path / "a.wav", modality.points(stack))
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (1, modality.rate, stack.size)
        data = file.readframes(stack.size)
        read = np.frombuffer(data, "u1") / 128.0 - 1 if file.getsampwidth() == 1 else np.frombuffer(data, "<i2") / 32768
    assert np.array_equal(read, stack.reshape(-1))


def test_a_gif_holds_every_frame(tmp_path):
    modality = Video((64, 64), 5, 4.0)
    stack = rng.integers(0, 256, (1, 5, 64, 64))
    modality.write(tmp_path / "a.gif", modality.points(stack))
    with Image.open(tmp_path / "a.gif") as file:
        assert file.n_frames == 5
        for t in range(5):
            file.seek(t)
            assert file.info["duration"] == 250
            assert np.array_equal(np.asarray(file.convert("L")), stack[0, t])


def test_a_text_file_is_utf8(tmp_path):
    modality, stack = CASES[6]
    modality.write(tmp_path / "a.txt", modality.points(stack))
    assert (tmp_path / "a.txt").read_bytes().decode("utf-8").splitlines() == stack


def test_a_table_is_a_csv_or_a_picture(tmp_path):
    modality, stack = CASES[7]
    modality.write(tmp_path / "a.csv", stack)
    text = (tmp_path / "a.csv").read_text()
    assert text.startswith("x,y\n")
    assert np.allclose(np.loadtxt(tmp_path / "a.csv", delimiter=",", skiprows=1), stack, rtol=1e-8)
    modality.write(tmp_path / "a.png", stack)
    assert Image.open(tmp_path / "a.png").size == (1200, 750)
    with pytest.raises(ValueError, match="two columns"):
        Table(("x",), (0.0,), (1.0,)).write(tmp_path / "b.png", [[0.5]])
    assert not (tmp_path / "b.png").exists()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    modality, stack = CASES[0]
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def fails(self, file, **_):
        file.write_bytes(b"half")
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", fails)
        with pytest.raises(OSError, match="disk full"):
            modality.write(path, modality.points(stack))
    assert path.read_bytes() == b"old"
    modality.write(path, modality.points(stack))
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


@each_case
def test_bad_points_and_paths(modality, stack, tmp_path):
    points = modality.points(stack)
    for wrong in (np.full_like(points, np.nan), np.full_like(points, np.inf)):
        with pytest.raises(ValueError, match="points must be finite"):
            modality.restore(wrong)
    for wrong in (points[0], np.zeros((2, modality.dim + 1))):
        with pytest.raises(ValueError, match="points must have shape"):
            modality.restore(wrong)
    with pytest.raises(ValueError, match="points is empty"):
        modality.restore(points[:0])
    with pytest.raises(ValueError, match="path must end in"):
        modality.write(tmp_path / "a.exe", points)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        modality.write(tmp_path / "nowhere" / f"a{modality.suffixes[0]}", points)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Images((3,)), "shape must be"),
        (lambda: Images((3, 0)), "at least 1"),
        (lambda: Images((3, 3, 4)), "shape must be"),
        (lambda: Images((3, 3), 257), "at most 256"),
        (lambda: Images((3, 3), 1), "levels must be at least 2"),
        (lambda: Video((3, 3), 0), "frames must be"),
        (lambda: Video((3, 3), 2, 0.0), "rate"),
        (lambda: Video((3, 3), 2, float("nan")), "rate"),
        (lambda: Audio(0), "samples"),
        (lambda: Audio(5, 8000, 255), "even"),
        (lambda: Text("", 5), "alphabet"),
        (lambda: Text("aa", 5), "repeat"),
        (lambda: Text("a\n", 5), "line break"),
        (lambda: Text.of([]), "alphabet"),
        (lambda: Table((), (), ()), "at least one column"),
        (lambda: Table(("x",), (1.0,), (0.0,)), "below high"),
        (lambda: Table(("x",), (0.0, 0.0), (1.0,)), "low must hold"),
        (lambda: Table(("x",), (0.0,), (float("inf"),)), "high must hold"),
        (lambda: CASES[0][0].points(np.zeros((0, 3, 4))), "n >= 1"),
        (lambda: CASES[0][0].points(np.zeros((2, 4, 3))), "shape"),
        (lambda: CASES[0][0].points(np.full((2, 3, 4), 17)), "0 to 16"),
        (lambda: CASES[0][0].points(np.full((2, 3, 4), 0.5)), "whole"),
        (lambda: CASES[0][0].points(np.full((2, 3, 4), np.nan)), "whole"),
        (lambda: CASES[4][0].points(np.full((2, 30), 1.5)), "-1 to 1"),
        (lambda: CASES[6][0].points(["q"]), "not in the alphabet"),
        (lambda: CASES[6][0].points(["a" * 7]), "at most 6"),
        (lambda: CASES[6][0].points([]), "no text"),
        (lambda: modality_from_metadata({"kind": "Smell"}), "kind must be"),
        (lambda: modality_from_metadata({"kind": "Images", "shape": [3, 3]}), "must have"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()
