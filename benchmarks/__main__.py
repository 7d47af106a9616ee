"""Runs the suite: `python -m benchmarks [topics] [--size smoke]`, tables, and `benchmarks/results/<device>.json`."""

import argparse
import datetime
import importlib
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import platform

import jax
from tabulate import tabulate
from tqdm import tqdm

from .rows import Device, measured

TOPICS = ("sampling", "flows", "dimensions", "building", "files", "training", "distances", "growth", "first_call")
# A topic is a module with `rows(small)`, pairs that are timed here, or `table(small)`, records that it timed itself.
NEEDS = {"flows": "flowjax"}
RESULTS = pathlib.Path(__file__).with_name("results")


def main() -> None:
    """Times the topics and writes what they say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topics", nargs="*", help=f"some of {', '.join(TOPICS)}; all by default")
    parser.add_argument(
        "--size", choices=("smoke", "full"), default="full", help="smoke: seconds; says nothing of speed"
    )
    options = parser.parse_args()
    if unknown := set(options.topics) - set(TOPICS):
        parser.error(f"unknown topics: {', '.join(sorted(unknown))}")
    small, load = options.size == "smoke", os.getloadavg()[0]
    device, found = Device.measured(1 << (12 if small else 20)), {}
    for topic in options.topics or TOPICS:
        print(f"\n{topic}, on {jax.devices()[0].device_kind}", flush=True)
        if topic in NEEDS and importlib.util.find_spec(NEEDS[topic]) is None:
            print(f"left out: {NEEDS[topic]} is not installed", flush=True)
            continue
        found[topic] = timed(importlib.import_module(f".{topic}", __package__), small, device)
        print(tabulate(found[topic], headers="keys", floatfmt=".3g"), flush=True)
        if not small:
            print(f"written to {save(found, device, load)}", flush=True)


def timed(topic, small: bool, device: Device) -> list[dict]:
    """What a topic says, with a line for each row as it comes."""
    if not hasattr(topic, "rows"):
        return list(tqdm(topic.table(small), leave=False, disable=None))
    return [measured(row, device) for row in tqdm(topic.rows(small), leave=False, disable=None)]


def save(found: dict, device: Device, load: float) -> pathlib.Path:
    """The file of the device with the topics that were timed; what it says of the others is kept."""
    kind = jax.devices()[0].device_kind
    file = RESULTS / f"{''.join(c if c.isalnum() else '_' for c in kind)}.json"
    before = json.loads(file.read_text())["topics"] if file.exists() else {}
    head = {
        "device": kind,
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "date": datetime.date.today().isoformat(),
        "load": load,
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in ("jaxgen", "jax", "jaxlib", "numpy")},
        "copied_bytes_a_second": device.copied,
        "drawn_words_a_second": device.drawn,
    }
    RESULTS.mkdir(exist_ok=True)
    topics = {topic: (before | found)[topic] for topic in TOPICS if topic in before | found}
    file.write_text(json.dumps({**head, "topics": topics}, indent=1) + "\n")
    return file


if __name__ == "__main__":
    main()
