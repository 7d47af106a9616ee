"""Prompts on the command line: words in, a file out."""

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from jaxgen.cli import main
from jaxgen.coding import save
from jaxgen.modalities import example


def prompt(*arguments):
    return CliRunner().invoke(main, ["prompt", *map(str, arguments)])


def test_a_picture(tmp_path):
    out = tmp_path / "seven.png"
    result = prompt("handwritten seven", "-n", 4, "-o", out, "--seed", 3)
    assert result.exit_code == 0, result.output
    assert "100.0%  seven  (handwritten digit seven)" in result.output
    assert "4 samples, each from one number of" in result.output
    first = out.read_bytes()
    assert Image.open(out).size == (130, 130)
    prompt("handwritten seven", "-n", 4, "-o", out, "--seed", 3)
    assert out.read_bytes() == first
    prompt("handwritten seven", "-n", 4, "-o", out, "--seed", 4)
    assert out.read_bytes() != first


def test_text_and_maps(tmp_path):
    result = prompt("errors", "--modality", "text", "-n", 3, "-o", tmp_path / "a.txt")
    assert result.exit_code == 0, result.output
    assert len((tmp_path / "a.txt").read_text(encoding="utf-8").splitlines()) == 3
    result = prompt("Alaska and Hawaii", "--modality", "map", "-n", 50, "-o", tmp_path / "a.csv")
    assert "50.0%  AK  (Alaska)" in result.output
    rows = np.loadtxt(tmp_path / "a.csv", delimiter=",", skiprows=1)
    assert rows.shape == (50, 2) and np.all(rows[:, 0] < -125)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["perpetuum mobile", "-o", "a.txt"], "error: nothing in the prompt"),
        (["", "-o", "a.txt"], "error: prompt is empty"),
        (["beauty", "-o", "a.wav"], "error: path must end in .txt"),
        (["beauty", "-o", "nowhere/a.txt"], "does not exist"),
        (["beauty", "-o", "a.txt", "-n", "0"], "Invalid value for '-n'"),
        (["beauty", "-o", "a.txt", "--modality", "smell"], "Invalid value for '--modality'"),
        (["beauty"], "Missing option '-o'"),
    ],
)
def test_it_refuses_in_one_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = prompt("--modality", "text", *arguments)
    assert result.exit_code == 2 and message in result.output and "Traceback" not in result.output
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_saved_generator(tmp_path):
    zen = example("text")
    save(tmp_path / "zen.jaxgen", zen)
    result = prompt("beauty", "--file", tmp_path / "zen.jaxgen", "-n", 1, "-o", tmp_path / "a.txt")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "a.txt").read_text() == "Beautiful is better than ugly.\n"
    save(tmp_path / "plain.jaxgen", zen.generator)
    result = prompt("beauty", "--file", tmp_path / "plain.jaxgen", "-o", tmp_path / "b.txt")
    assert result.exit_code == 2 and "takes no prompts in words" in result.output
