"""Reading points: every kind of file, and every way in which one can be wrong."""

import warnings

import numpy as np
import pytest
from PIL import Image

from jaxgen.data import Dataset, airports, load_points

POINTS = np.random.default_rng(0).normal(size=(12, 2))


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    rows = [f"{x},{y},place {i % 3},{i % 2},{i}" for i, (x, y) in enumerate(POINTS)]
    path.write_text("x,y,place,side,number\n" + "\n".join(rows) + "\n")
    return path


def test_npy_and_npz(tmp_path):
    np.save(tmp_path / "a.npy", POINTS)
    np.savez(tmp_path / "one.npz", anything=POINTS)
    np.savez(tmp_path / "two.npz", points=POINTS, kind=np.arange(12) % 3)
    np.savez(tmp_path / "named.npz", rest=POINTS, kind=np.array(["a", "b", "c"] * 4))
    for name in ("a.npy", "one.npz", "two.npz"):
        data = load_points(tmp_path / name)
        assert isinstance(data, Dataset) and data.name == name and data.columns == ("x0", "x1") and data.labels is None
        np.testing.assert_array_equal(data.points, POINTS)
    assert load_points(str(tmp_path / "two.npz"), label="kind").labels == (0, 1, 2) * 4
    assert load_points(tmp_path / "named.npz", label="kind").labels == ("a", "b", "c") * 4


def test_a_vector_is_points_of_the_line(tmp_path):
    np.save(tmp_path / "line.npy", POINTS[:, 0])
    (tmp_path / "line.npy").rename(tmp_path / "line.NPY")
    data = load_points(tmp_path / "line.NPY")
    assert data.points.shape == (12, 1) and data.columns == ("x0",)


def test_columns_of_a_table_by_name(table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load_points(table, columns=("y", "x"))
    assert data.columns == ("y", "x") and data.labels is None
    np.testing.assert_allclose(data.points, POINTS[:, ::-1], rtol=1e-15)


def test_columns_that_are_not_numeric_are_ignored_aloud(table):
    with pytest.warns(UserWarning, match=r"table.csv: columns that are not numeric are ignored: place$"):
        data = load_points(table)
    assert data.columns == ("x", "y", "side", "number") and data.points.shape == (12, 4)


def test_the_label_is_no_coordinate(table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load_points(table, label="place")
    assert data.columns == ("x", "y", "side", "number")
    assert data.labels == tuple(f"place {i % 3}" for i in range(12))
    data = load_points(table, columns=["x", "y"], label="side")
    assert data.columns == ("x", "y") and data.labels == (0, 1) * 6


def test_a_label_that_looks_like_a_missing_value_is_a_label(tmp_path):
    (tmp_path / "t.csv").write_text("x,c\n1,NA\n2,\n3,b\n")
    assert load_points(tmp_path / "t.csv", label="c").labels == ("NA", "", "b")


def test_a_picture_is_a_density(tmp_path):
    # All of the light is in the upper right quarter, and pixels are squares.
    image = np.zeros((4, 8), np.uint8)
    image[:2, 4:] = 255
    Image.fromarray(image).save(tmp_path / "p.png")
    data = load_points(tmp_path / "p.png")
    assert data.columns == ("x", "y") and len(data.points) > 1000
    assert np.all((data.points >= [0.5, 0.25]) & (data.points <= [1, 0.5]))
    np.testing.assert_array_equal(data.points, load_points(tmp_path / "p.png").points)


def test_airports():
    data = airports()
    assert data.points.shape == (3376, 2) and data.columns == ("longitude", "latitude") and data.labels is None
    with_state = airports(label="state")
    assert len(with_state.labels) == 3376 and "AK" in with_state.labels
    np.testing.assert_array_equal(with_state.points, data.points)


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*nothing.npy"):
        load_points(tmp_path / "nothing.npy")
    with pytest.raises(FileNotFoundError, match="no file"):
        load_points(tmp_path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".png"])
@pytest.mark.parametrize("content", [b"", b"\x00\x93NUMPY nonsense\xff\xfe\n", b"PK\x03\x04 a truncated archive"])
def test_files_that_are_something_else(tmp_path, suffix, content):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"bad|column"):
        load_points(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".png"])
def test_truncated_files(tmp_path, suffix):
    path = tmp_path / f"cut{suffix}"
    if suffix == ".png":
        noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
        Image.fromarray(noise).save(path)
    else:
        (np.save if suffix == ".npy" else np.savez)(path, POINTS)
    whole = path.read_bytes()
    for kept in (len(whole) // 3, 2 * len(whole) // 3):
        path.write_bytes(whole[:kept])
        with pytest.raises(ValueError, match=rf"cut{suffix} cannot be read as a"):
            load_points(path)


def test_a_flipped_byte_in_an_archive(tmp_path):
    path = tmp_path / "flip.npz"
    np.savez(path, points=POINTS)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"flip.npz cannot be read as a NumPy file"):
        load_points(path)


def test_pickles_are_not_opened(tmp_path):
    np.save(tmp_path / "p.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"p.npy cannot be read as a NumPy file"):
        load_points(tmp_path / "p.npy")


def test_endings_and_options_that_do_not_fit(tmp_path, table):
    (tmp_path / "a.txt").write_text("1 2\n")
    with pytest.raises(ValueError, match=r"a.txt: unknown ending '.txt'; known are .npy"):
        load_points(tmp_path / "a.txt")
    np.save(tmp_path / "a.npy", POINTS)
    with pytest.raises(ValueError, match=r"columns are chosen by name in tables .* a.npy is none"):
        load_points(tmp_path / "a.npy", columns=["x"])
    with pytest.raises(ValueError, match=r"a.npy holds no array 'c'; it holds \['points'\]"):
        load_points(tmp_path / "a.npy", label="c")
    Image.fromarray(np.full((2, 2), 9, np.uint8)).save(tmp_path / "p.png")
    with pytest.raises(ValueError, match=r"p.png is a picture, which has no label 'c'"):
        load_points(tmp_path / "p.png", label="c")


def test_unknown_and_unusable_columns(tmp_path, table):
    with pytest.raises(ValueError, match=r"table.csv has no column 'z'; it has x, y, place, side, number"):
        load_points(table, columns=["x", "z"])
    with pytest.raises(ValueError, match=r"table.csv has no column 'z'; it has x"):
        load_points(table, label="z")
    with pytest.raises(ValueError, match=r"table.csv: column 'place' is not numeric"):
        load_points(table, columns=["x", "place"])
    (tmp_path / "words.csv").write_text("a,b\none,two\n")
    with pytest.raises(ValueError, match=r"words.csv has no numeric column; it has a, b"):
        load_points(tmp_path / "words.csv")
    with pytest.raises(ValueError, match=r"words.csv has no numeric column"):
        load_points(tmp_path / "words.csv", label="a")


def test_arrays_that_are_no_points(tmp_path):
    cases = {
        "scalar": (np.float64(3), ValueError, "shape"),
        "cube": (np.zeros((3, 3, 3)), ValueError, "shape"),
        "empty": (np.zeros((0, 2)), ValueError, "empty"),
        "words": (np.array(["a", "b"]), TypeError, "numbers"),
        "complex": (np.zeros((3, 2)) + 1j, TypeError, "real"),
        "nan": (np.array([[1.0, 2.0], [np.nan, 0.0]]), ValueError, "finite; 1 of 2 rows"),
    }
    for name, (array, error, message) in cases.items():
        np.save(tmp_path / f"{name}.npy", array)
        with pytest.raises(error, match=rf"the points of {name}.npy .*{message}"):
            load_points(tmp_path / f"{name}.npy")
    (tmp_path / "gaps.csv").write_text("x,y\n1,2\n,3\n")
    with pytest.raises(ValueError, match=r"the points of gaps.csv must be finite; 1 of 2 rows"):
        load_points(tmp_path / "gaps.csv")
    np.savez(tmp_path / "several.npz", a=POINTS, b=POINTS)
    with pytest.raises(ValueError, match=r"several.npz holds \['a', 'b'\]; store the points under the name 'points'"):
        load_points(tmp_path / "several.npz")
    np.savez(tmp_path / "short.npz", points=POINTS, kind=np.arange(5))
    with pytest.raises(ValueError, match=r"short.npz holds 5 labels for 12 points"):
        load_points(tmp_path / "short.npz", label="kind")
