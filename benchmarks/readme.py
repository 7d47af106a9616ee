"""Writes the figures about speed into the README, from a file of results: `python -m benchmarks.readme [--check]`."""

import argparse
import json
import pathlib

from tabulate import tabulate

README = pathlib.Path(__file__).parents[1] / "README.md"
RESULTS = pathlib.Path(__file__).with_name("results") / "cpu.json"
BEGIN, END = "<!-- speed: written by python -m benchmarks.readme -->", "<!-- /speed -->"


def figures() -> str:
    """The section, from the results on a CPU."""
    found = json.loads(RESULTS.read_text())
    rows: dict[str, list[str]] = {}
    for row in found["topics"]["sampling"]:
        cells = rows.setdefault(row["name"], [f"{row['ns']:.0f}", "", "", ""])
        column = 1 + next(
            i for i, word in enumerate(("uniform numbers", "searchsorted", "numpy")) if word in row["against"]
        )
        cells[column] = f"{row['ratio']:.2f}"
    table = [[name, *cells] for name, cells in rows.items()]
    heads = [
        "sampler",
        "ns a sample",
        "against d uniform numbers",
        "against `searchsorted` + uniforms",
        "against NumPy's `choice`",
    ]
    first = [[row["name"], f"{row['first_s']:.1f}", f"{row['next_s']:.2f}"] for row in found["topics"]["first_call"]]
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items() if name != "jaxgen")
    return (
        f"Measured on {found['date']} on {found['cores']} cores ({found['processor']}, {versions}); only a CPU was "
        "measured. Ratios of two things timed in turn, medians of 7 rounds, below 1 where jaxgen is faster; 2^20 "
        f"samples of 2^20 quanta.\n\n{tabulate(table, heads, tablefmt='github', disable_numparse=True)}\n\n"
        "The first call, with all that is compiled, and the first of another measure whose sizes are padded to the "
        f"same:\n\n{tabulate(first, ['sampler', 'first call, s', 'next, s'], tablefmt='github', disable_numparse=True)}"
    )


def written(text: str) -> str:
    """The README with the section as the results have it."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{figures()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, and fail where they differ")
    new = written(README.read_text())
    if not parser.parse_args().check:
        README.write_text(new)
    elif new != README.read_text():
        raise SystemExit("the README has other figures than benchmarks/results: run python -m benchmarks.readme")
