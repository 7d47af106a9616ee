"""Proven bounds on the distance between the law of a generator and its measure."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import ArrayLike

from ..measures import Bound, added


@dataclasses.dataclass(frozen=True)
class Certificate:
    """A proven bound on the Wasserstein distance between the law of a generator and a measure.

    `w1` and `w2` bound W_1 and W_2 for the Euclidean norm, in the units of the data; `parts` names what they are made
    of, as pairs `(w1, w2)`, `rule` says how the parts combine, and `about` which measure is meant. The part "float" is
    what the floats that come out, of the type that the certificate was asked for, are off from what is meant; where
    nothing is proven about them (some networks) it is absent, and `rule` says so. `to_points` bounds W_1 and W_2 to the
    points that the measure was made from; `None` where there were none, or nothing is known of them.

    **Example:**

        >>> import jaxgen as jg
        >>> certificate = jg.PeanoGenerator(jg.GridMeasure.from_histogram([[1, 2], [0, 1]]), 0).certificate()
        >>> round(certificate.w1, 4), round(certificate.w2, 4), certificate.parts["rounding"]
        (0.125, 0.1443, (0.0, 0.0))
        >>> m = jg.GridMeasure.from_samples([0.0, 0.4, 1.0], resolution=2)  # at 1/4, 3/20, 1/4 from the centres
        >>> [round(w, 3) for w in m.generator().certificate().to_points]  # the mean square of these, and 1/48
        [0.265, 0.265]
    """

    w1: float
    w2: float
    parts: Mapping[str, Bound]
    rule: str = ""
    about: str = "the measure that the generator was built from"
    to_points: Bound | None = None


CHANGED = "the measure as it stands: its arrays were changed since it was made, and nothing is proven about the earlier"


def mixed(each: Sequence[Mapping[str, Bound | None]], weights: Sequence[float]) -> dict[str, Bound | None]:
    """The bounds, by name, for mixtures of laws: couple part by part. `None` where one of them is not known."""
    out: dict[str, Bound | None] = {}
    for name in each[0]:
        known = [bound for parts in each if (bound := parts[name]) is not None]
        out[name] = None
        if len(known) == len(each):
            first, second = np.asarray(known).T
            out[name] = float(np.dot(weights, first)), math.sqrt(np.dot(weights, second**2))
    return out


def combined(
    parts: Mapping[str, Bound | None], source: Mapping[str, Bound | None], centred: bool, unchanged: bool
) -> Certificate:
    """The bound on the whole way from the law to the measure it was built from, and to the points behind that.

    `parts` begins with what the construction costs, and what rounding did, `None` where nothing is known any more; all
    else is added to both bounds, by the triangle inequality. Of these, "float" is `None` where nothing is proven.

    Let X follow the law, Y the quantized measure, and Z the measure it was rounded from; rounding moves whole leaves,
    so Z = Y + (a shift that depends on the leaf alone, where leaves are of one size). Given the finest cell, X and Y
    have the same mean (`centred`) and do not depend on the shift: E<X - Y, Y - Z> = 0, and the squares add. Where the
    means differ, and for first moments, the triangle inequality holds. All of it holds label by label.

    `unchanged` says whether the arrays are those that the measure was made with.
    """
    known = {name: bound or (0.0, 0.0) for name, bound in parts.items() if bound or name != "float"}
    (name, path), (_, rounding), *others = known.items()
    w2 = math.hypot(path[1], rounding[1]) if centred else path[1] + rounding[1]
    w1 = min(path[0] + rounding[0], w2)
    rule = "the parts are added"
    if centred:
        rule = f"w2 = sqrt({name}^2 + rounding^2), w1 = min({name} + rounding, w2)"
    added = [sum(bound[p] for _, bound in others) for p in range(2)]
    rule += "".join(f"; {name} is added to both" for name, _ in others)
    if parts["float"] is None:
        rule += "; in exact arithmetic: what floats add is not known"
    near = _to_points(source, parts["rounding"])
    return Certificate(
        w1 + added[0],
        w2 + added[1],
        known,
        rule,
        *(() if unchanged else (CHANGED,)),
        to_points=None if near is None else (near[0] + added[0], near[1] + added[1]),
    )


def _to_points(source: Mapping[str, Bound | None], rounding: Bound | None) -> Bound | None:
    """From the law to the points that its measure was made from (theory, section 2).

    Let P be a point, in a leaf of centre z', and X follow the law in the leaf of centre z that rounding makes of it;
    given both leaves, X and P are independent. If X has the mean z and the variance V, `spread` squared,
    E|X - P|^2 = V + E|z - P|^2, and z - P = (z - z') + (z' - P). Where X has another mean, `moved` is what it is from a
    law that has. Or `law` bounds it, before any rounding; the smaller counts.
    """
    points, spread, moved, law = (source.get(name) for name in ("points", "spread", "moved", "law"))
    if rounding is None:
        return None
    known = [] if law is None else [added(law, rounding)]
    if points is not None and spread is not None and moved is not None:
        w1, w2 = added(points, rounding)
        w2 = math.hypot(w2, spread[1]) + moved[1]
        known.append((min(w1 + spread[0] + moved[0], w2), w2))
    return (min(w1 for w1, _ in known), min(w2 for _, w2 in known)) if known else None


def ramp_cost(wrong: float, sides: ArrayLike) -> Bound:
    """What maps into a box with these sides that differ on u of measure `wrong` add to W_1 and W_2 (section 3)."""
    diameter = float(np.linalg.norm(np.asarray(sides, np.float64)))
    wrong = min(wrong, 1.0)
    return wrong * diameter, math.sqrt(wrong) * diameter
