"""Runs the suite: `python -m benchmarks [topics] [--size smoke]`, tables, and `benchmarks/results/<device>.json`."""

import argparse
import datetime
import importlib
import importlib.metadata
import json
import os
import pathlib
import platform
import sys

import jax
from tabulate import tabulate

from .first_call import table
from .rows import copy_rate, measured, normal

TOPICS = ("sampling", "dimensions", "building", "files", "distances")
RESULTS = pathlib.Path(__file__).with_name("results")


def main() -> None:
    """Times the topics and writes what they say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topics", nargs="*", help=f"some of {', '.join((*TOPICS, 'first_call'))}; all by default")
    parser.add_argument(
        "--size", choices=("smoke", "full"), default="full", help="smoke: seconds; says nothing of speed"
    )
    options = parser.parse_args()
    topics = options.topics or [*TOPICS, "first_call"]
    if unknown := set(topics) - {*TOPICS, "first_call"}:
        parser.error(f"unknown topics: {', '.join(sorted(unknown))}")
    small, device = options.size == "smoke", jax.devices()[0].device_kind
    unit, rate, found = normal(1 << (12 if small else 20)), copy_rate(1 << (20 if small else 26)), {}
    for topic in topics:
        print(f"\n{topic}, on {device}", flush=True)
        if topic == "first_call":
            found[topic] = [dict(zip(("name", "first_s", "next_s"), row, strict=True)) for row in table(small)]
        else:
            found[topic] = []
            for row in importlib.import_module(f".{topic}", __package__).rows(small):
                found[topic].append(measured(row, unit, rate))
                if not sys.stdout.isatty():
                    print(f"  {row.name}: {found[topic][-1]['ratio']:.2f} of {row.against}", flush=True)
        print(tabulate(found[topic], headers="keys", floatfmt=".3g"), flush=True)
    if not small:
        RESULTS.mkdir(exist_ok=True)
        name = "".join(c if c.isalnum() else "_" for c in device)
        file = RESULTS / f"{name}.json"
        before = json.loads(file.read_text())["topics"] if file.exists() else {}
        versions = {name: importlib.metadata.version(name) for name in ("jaxgen", "jax", "jaxlib", "numpy")}
        head = {
            "device": device,
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "date": datetime.date.today().isoformat(),
            "load": os.getloadavg()[0],
            "python": platform.python_version(),
            "versions": versions,
            "copy_bytes_a_second": rate,
        }
        file.write_text(json.dumps({**head, "topics": before | found}, indent=1) + "\n")
        print(f"\nwritten to {file}")


if __name__ == "__main__":
    main()
