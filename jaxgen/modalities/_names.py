"""Words for labels."""

import csv
import importlib.resources

# By the codes of us_airports.csv; CQ is its code for the Northern Mariana Islands.
_STATES = importlib.resources.files("jaxgen").joinpath("modalities/us_states.csv").read_text(encoding="utf-8")
STATES: dict[str, str] = dict(csv.reader(_STATES.splitlines()))

# Topics of the Zen of Python: label, description, and how many of its lines, in order.
ZEN_TOPICS: tuple[tuple[str, str, int], ...] = (
    ("beauty", "a line about beauty and ugliness", 1),
    ("simplicity", "a line about simplicity, clarity and complexity", 6),
    ("rules", "a line about rules, special cases and purity", 2),
    ("errors", "a line about errors and silence", 2),
    ("choice", "a line about choice, ambiguity and the one obvious way", 3),
    ("time", "a line about time, now and never", 2),
    ("ideas", "a line about ideas and how to explain them", 3),
)
