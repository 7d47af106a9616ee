"""Writes the figures about speed into the README, from a file of results: `python -m benchmarks.readme [--check]`."""

import argparse
import json
import pathlib

from tabulate import tabulate

README = pathlib.Path(__file__).parents[1] / "README.md"
RESULTS = pathlib.Path(__file__).with_name("results") / "cpu.json"
BEGIN, END = "<!-- speed: written by python -m benchmarks.readme -->", "<!-- /speed -->"


# What was aimed at: (topic, words in the name, words in the peer, the largest ratio), and what stands in the way.
AIMS = [
    (
        "sampling", ("d = 2",), "uniform numbers", 1.5,
        "A leaf is found by gathers from tables, which wait for memory where there are many leaves: start, count and "
        "box of a leaf in one row would be one wait instead of three. Folds are computed word by word, twice.",
    ),
    (
        "sampling", ("d = 3", "d = 4"), "uniform numbers", 1.0,
        "At d = 4 a sample has three words, of which the last decides only what is below 2^-31 of a finest cell.",
    ),
    ("sampling", ("",), "searchsorted", 1.0, "Folds cost as much as a search among few cells."),
    ("sampling", ("",), "numpy choice", 0.2, "What is left of `choice` without its search are the uniform numbers."),
    ("sampling", ("",), "categorical", 0.2, ""),
    ("flows", ("",), "flow", 1 / 30, "An autoregressive flow of two coordinates is a small network a layer."),
    ("training", ("",), "the same divergence", 1.02, "Progress and checks are counted in, a few hundred steps in all."),
    ("files", ("encode",), "lzma", 1.0, ""),
]  # fmt: skip
COLUMNS = {
    "uniform numbers": "d uniform numbers",
    "searchsorted": "`searchsorted` + uniforms",
    "numpy": "NumPy's `choice`",
    "categorical": "`jax.random.categorical`",
}


def figures() -> str:
    """The section, from the results on a CPU."""
    found = json.loads(RESULTS.read_text())
    topics, versions = found["topics"], found["versions"]
    used = ", ".join(f"{name} {version}" for name, version in versions.items() if name != "jaxgen")
    others = [row for topic, rows in topics.items() if topic != "sampling" for row in rows if "ratio" in row]
    return "\n\n".join(
        [
            f"Measured on {found['date']} on {found['cores']} cores ({found['processor']}, {used}); only a CPU was "
            "measured. Ratios of two things timed in turn, medians of 7 rounds, below 1 where jaxgen is faster; 2^20 "
            "samples of 2^20 quanta (2^16 against `categorical`). The floor is the time in which the numbers that any "
            "method must write are copied and the random words that it must draw are drawn.",
            sampling(topics["sampling"]),
            "Everything else:",
            github(
                [[row["name"], row["against"], f"{row['ratio']:.3g}", over_floor(row)] for row in others],
                ["what", "against", "ratio", "over its floor"],
            ),
            "What was aimed at, and the worst that was seen:",
            "\n".join(aims(topics)),
            "How times grow over decades, as slopes on logarithmic axes:",
            github(
                [[row["name"], row["expected"], f"{row['slope']:.2f}"] for row in topics["growth"]],
                ["what", "expected", "slope"],
            ),
            "The first call, with all that is compiled, and the first of another measure whose sizes are padded to the "
            "same:",
            github(
                [[row["name"], f"{row['first_s']:.1f}", f"{row['next_s']:.2f}"] for row in topics["first_call"]],
                ["sampler", "first call, s", "next, s"],
            ),
        ]
    )


def sampling(rows: list) -> str:
    """A line a sampler, a column a peer."""
    lines: dict[str, list[str]] = {}
    for row in rows:
        line = lines.setdefault(row["name"], [f"{row['ns']:.0f}", over_floor(row), *[""] * len(COLUMNS)])
        line[2 + next(i for i, word in enumerate(COLUMNS) if word in row["against"])] = short(row["ratio"])
    return github(
        [[name, *line] for name, line in lines.items()],
        ["sampler", "ns a sample", "over its floor", *[f"against {peer}" for peer in COLUMNS.values()]],
    )


def aims(topics: dict) -> list[str]:
    """A line for each aim: how many rows are within it, the worst of them, and why, where it is not reached."""
    lines = []
    for topic, names, against, most, why in AIMS:
        rows = [
            row
            for row in topics.get(topic, [])
            if against in row["against"] and any(n in row["name"] for n in names) and "independent" not in row["name"]
        ]
        if rows:
            worst, within = max(rows, key=lambda row: row["ratio"]), sum(row["ratio"] <= most for row in rows)
            where = " or ".join(filter(None, names))
            text = f"* {topic}{', ' + where if where else ''}, against {against}: at most {most:.3g}; {within} of "
            text += f"{len(rows)} rows are, the worst is {short(worst['ratio'])} ({worst['name']})."
            lines.append(text if within == len(rows) else f"{text} {why}".rstrip())
    return lines


def short(ratio: float) -> str:
    """Two digits behind the point, or as many as say something."""
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}"


def over_floor(row: dict) -> str:
    """How many times its floor a row takes, where it has one."""
    return f"{row['over_floor']:.2g}" if "over_floor" in row else ""


def github(rows: list, heads: list) -> str:
    """A table of text as it is."""
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


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
