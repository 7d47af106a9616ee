"""The stages of a long computation: what is under way, how long the rest will take, and an end at Ctrl-C."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

_Result = TypeVar("_Result")


class Stages:
    """Runs stages one after the other, and none from Ctrl-C on: what had been found by then is kept.

    A terminal shows a bar, in units of work; other outputs get a line a stage.

    - `total`: the work of all stages. `shown`: whether anything is.
    - `interrupted`: whether Ctrl-C was pressed.
    """

    def __init__(self, total: float | int, shown: bool):
        from tqdm import tqdm

        self.interrupted = False
        self._total, self._done, self._began = total, 0.0, time.perf_counter()
        self.terminal = shown and sys.stderr.isatty()
        self._lines = shown and not self.terminal
        form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
        self._bar = tqdm(total=total, disable=not self.terminal, bar_format=form, smoothing=0)

    def run(self, text: str, work: float | int, found: Callable[[], Iterable[_Result]]) -> list[_Result]:
        """What is found, as far as it goes."""
        kept: list[_Result] = []
        if self.interrupted:
            return kept
        self._bar.set_description(text)
        if self._lines:
            print(f"{self._clock()} {text}", file=sys.stderr, flush=True)
        try:
            for one in found():
                kept.append(one)
        except KeyboardInterrupt:
            self.interrupted = True
        self._done += work
        self._bar.update(work)
        return kept

    def close(self) -> None:
        """Ends the bar."""
        self._bar.set_description("interrupted" if self.interrupted else "done")
        self._bar.close()

    def _clock(self) -> str:
        """Seconds so far and, from the first stage on, those left at the rate of the work done."""
        seconds = time.perf_counter() - self._began
        left = f", {seconds * (self._total / self._done - 1):.0f} s left" if self._done else ""
        return f"[{seconds:.0f} s{left}]"


class Ahead(Generic[_Result]):
    """Work that threads do in its order, one for each processor, while what stands before it is waited for.

    Compilers and solvers, which take the time, let go of the interpreter. At the end of the `with` nothing more is
    begun, and `stop` tells what is under way to end.
    """

    def __init__(self, works: Mapping[str, Callable[[], Iterable[_Result]]], stop: threading.Event):
        self._stop, self._pool = stop, ThreadPoolExecutor(os.cpu_count() or 1)
        self._futures: dict[str, Future[list[_Result]]] = {
            name: self._pool.submit(lambda found=found: list(found())) for name, found in works.items()
        }

    def __enter__(self) -> "Ahead[_Result]":
        return self

    def __exit__(self, *_: object) -> None:
        if not all(future.done() for future in self._futures.values()):
            self._stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def found(self, name: str) -> list[_Result]:
        """What was found, once it is there. Raises what was raised."""
        return self._futures[name].result()
