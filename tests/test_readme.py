"""The Python of the README runs, word for word."""

import pathlib
import re

README = pathlib.Path(__file__).parent.parent / "README.md"


def test_the_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names: dict = {"__name__": "readme"}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    assert len(blocks) == 2 and names["x"].shape == (10_000, 2)
    # Its comment: a file of 1 KiB at most.
    assert (tmp_path / "airports.jaxgen").stat().st_size <= 1024
