"""The trained networks of a comparison."""

import dataclasses

from ..training import Fitted


@dataclasses.dataclass(frozen=True)
class Trained:
    """A network that was trained, under its name in the report."""

    name: str
    fitted: Fitted


def sources(count: int) -> str:
    """The number of sources, in words."""
    return "1 source" if count == 1 else f"{count} sources"
