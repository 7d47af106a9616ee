"""What may be said of which generator is better: at equal error, and on the same splits."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ._records import Entry, Halves

# A difference is said to be seen beyond so many standard errors; errors are equal within this share.
_SEEN, _EQUAL, _OPPONENT = 2.0, 1.02, 2.0
Cost = Callable[[Entry], float | int | None]


def bits(entry: Entry) -> float | int | None:
    """What a file of it takes."""
    return entry.bits


def weights(entry: Entry) -> float | int | None:
    """What a network has; a kernel has none."""
    return entry.connectivity


def side(entry: Entry) -> str:
    """Whom an entry stands for where costs are compared: all explicit kernels, all explicit networks, or its family."""
    return {"explicit": "explicit, exact", "network": "explicit, as networks"}.get(entry.kind, entry.family)


class Paired(NamedTuple):
    """The mean difference of two generators on the same splits, and its standard error; `nan` for a single split."""

    difference: float
    error: float

    @property
    def seen(self) -> bool:
        """Whether there is a difference, as far as these splits can tell."""
        return abs(self.difference) > _SEEN * self.error

    def __str__(self) -> str:
        return f"{abs(self.difference):.2g}" + ("" if math.isnan(self.error) else f" ± {self.error:.1g}")


def paired(a: Entry, b: Entry) -> Paired:
    """`a` less `b`, on the splits that both were made of.

    Halvings overlap, so that the variance of the mean of k of them is 1/k + 1 times that of one, and not 1/k (Nadeau
    and Bengio, 2003).
    """
    both = np.array(list(zip(a.unseen, b.unseen, strict=False)))
    each = both[:, 0] - both[:, 1]
    if len(each) < 2:
        return Paired(float(each.mean()), math.nan)
    return Paired(float(each.mean()), float(math.sqrt((1 / len(each) + 1) * each.var(ddof=1))))


def costs(entries: Sequence[Entry], cost: Cost) -> Iterator[tuple[float, dict[str, float | None]]]:
    """For the least error to its points that each side reaches: what each side pays for it, `None` if it cannot.

    The approximation of given points: every number is of the same first half.
    """
    known = [entry for entry in entries if entry.near is not None and cost(entry)]
    sides = list(dict.fromkeys(side(entry) for entry in known))
    best = {name: min(entry.near or 0.0 for entry in known if side(entry) == name) for name in sides}
    for target in sorted({_EQUAL * near for near in best.values()}):
        reached = [entry for entry in known if (entry.near or 0.0) <= target]
        yield (
            target,
            {
                name: min((float(cost(entry) or 0) for entry in reached if side(entry) == name), default=None)
                for name in sides
            },
        )


def sentences(entries: Sequence[Entry], halves: Halves) -> Iterator[str]:
    """What was won, by how much, and where another is better: each computed from the numbers that it speaks of."""
    judged = [entry for entry in entries if entry.near is not None and entry.unseen]
    own = [entry for entry in judged if entry.kind in ("explicit", "network")]
    others = [entry for entry in judged if entry not in own]
    if not own:
        return
    nearest = min(own, key=lambda entry: entry.near or 0.0)
    if not others:
        proven = "" if nearest.to_points is None else f", of which at most {nearest.to_points.w1:.3g} is proven"
        yield f"Nearest to its points is {nearest.name}, with W1 = {nearest.near:.3g}{proven}."
        guess = min(own, key=_held_out)
        yield (
            f"Nearest to the points that none has seen is {guess.name}, with W1 = {guess.held_out}; the halves of the "
            f"data are {halves.spread} apart."
        )
        return
    # What is far from the best of the others is no opponent.
    far = _OPPONENT * min(entry.near or 0.0 for entry in others)
    compared = list(_compared(own, [entry for entry in others if (entry.near or 0.0) <= far]))
    yield from _in_bits(own, compared)
    a, b = min(own, key=_held_out), min(others, key=_held_out)
    found = paired(a, b)
    if math.isnan(found.error):
        verdict = "on one split, which ranks nothing"
    elif found.seen:
        verdict = f"{a.name if found.difference < 0 else b.name} is nearer by {found}, on the same splits"
    else:
        verdict = f"no difference seen ({found} on the same splits)"
    yield (
        f"On points that none has seen, the best explicit one ({a.name}) is at W1 = {a.held_out}, the best of the "
        f"others ({b.name}) at {b.held_out}, where the halves of the data are {halves.spread} apart: {verdict}."
    )
    better = [text for _, text, ratio in compared if ratio < 1]
    if found.seen and found.difference > 0:
        better.append("points that none has seen")
    yield (
        "Another is better at " + "; ".join(better) + "."
        if better
        else "No other was better at bits, weights or time a sample for the same error to the given points."
    )


def _held_out(entry: Entry) -> float:
    return float(np.mean(entry.unseen))


def _compared(own: Sequence[Entry], others: Sequence[Entry]) -> Iterator[tuple[str, str, float]]:
    """What, a text, and how many times more the strongest of the others pays than the explicit ones, at its error."""
    for what, cost in (
        ("bits", bits), ("weights", weights), ("ns a sample", lambda entry: entry.nanoseconds_per_sample),
    ):  # fmt: skip
        found = []
        for other in others:
            paid = cost(other)
            reach = [entry for entry in own if (entry.near or 0.0) <= _EQUAL * (other.near or 0.0) and cost(entry)]
            if paid and reach:
                cheapest = min(reach, key=lambda entry: cost(entry) or 0)
                ratio = paid / (cost(cheapest) or 1)
                text = (
                    f"{what} at W1 = {other.near:.3g} to the given points ({other.name}: {paid:,.0f}; "
                    f"{cheapest.name}: {cost(cheapest):,.0f})"
                )
                found.append((what, text, ratio))
            elif paid:
                found.append((what, f"{what} at W1 = {other.near:.3g}, which no explicit one reaches", 0.0))
        if found:
            yield min(found, key=lambda each: each[2])


def _in_bits(own: Sequence[Entry], compared: Sequence[tuple[str, str, float]]) -> Iterator[str]:
    told = next(((text, ratio) for what, text, ratio in compared if what == "bits"), None)
    if told is None:
        nearest = min(own, key=lambda entry: entry.near or 0.0)
        yield f"Nearest to its points of the explicit ones is {nearest.name}, with W1 = {nearest.near:.3g}."
    elif told[1] == 0:
        yield f"Of the others the strongest is nearer to its points than any explicit one: {told[0]}."
    else:
        times = f"{told[1]:.1f} times fewer" if told[1] >= 1 else f"{1 / told[1]:.1f} times more"
        yield f"Against the strongest of the others, explicit generators take {times} {told[0]}."
