"""Proven bounds on the distance between the law of a generator and its measure."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import ArrayLike

from ..measures import Bound


@dataclasses.dataclass(frozen=True)
class Certificate:
    """A proven bound on the Wasserstein distance between the law of a generator and a measure.

    `w1` and `w2` bound W_1 and W_2 for the Euclidean norm, in the units of the data; `parts` names what they are made
    of, as pairs `(w1, w2)`, `rule` says how the parts combine, and `about` which measure is meant. The part "float" is
    what the floats that come out, of the type that the certificate was asked for, are off from what is meant; where
    nothing is proven about them (some networks) it is absent, and `rule` says so.

    **Example:**

        >>> import jaxgen as jg
        >>> certificate = jg.PeanoGenerator(jg.GridMeasure.from_histogram([[1, 2], [0, 1]]), 0).certificate()
        >>> round(certificate.w1, 4), round(certificate.w2, 4), certificate.parts["rounding"]
        (0.125, 0.1443, (0.0, 0.0))
    """

    w1: float
    w2: float
    parts: Mapping[str, Bound]
    rule: str = ""
    about: str = "the measure that the generator was built from"


CHANGED = "the measure as it stands: its arrays were changed since it was made, and nothing is proven about the earlier"


def combined(
    filling: Bound,
    rounding: Bound | None,
    ramps: Bound | None,
    centred: bool,
    unchanged: bool,
    floats: Bound | None = None,
) -> Certificate:
    """The bound on the whole way from the law to the measure it was built from.

    Let X follow the law, Y the quantized measure, and Z the measure it was rounded from; rounding moves whole leaves,
    so Z = Y + (a shift that depends on the leaf alone, where leaves are of one size). Given the finest cell, X and Y
    have the same mean (`centred`) and do not depend on the shift: E<X - Y, Y - Z> = 0, and the squares add. Where the
    means differ, and for first moments, the triangle inequality holds. All of it holds label by label.

    `rounding` is `None` where nothing is known any more; `ramps` where the kernel is meant and not the network;
    `unchanged` says whether the arrays are those that the measure was made with. `floats` is what computing in floats
    adds to both, by the triangle inequality; `None` where nothing is proven about it.
    """
    parts = {"filling": filling, "rounding": rounding or (0.0, 0.0)}
    together = math.hypot if centred else lambda a, b: a + b
    w2 = together(filling[1], parts["rounding"][1])
    w1 = min(filling[0] + parts["rounding"][0], w2)
    rule = "w2 = sqrt(filling^2 + rounding^2), w1 = min(filling + rounding, w2)" if centred else "the parts are added"
    if ramps is not None:
        parts["ramps"] = ramps
        w1, w2, rule = w1 + ramps[0], w2 + ramps[1], rule + "; ramps are added to both"
    w1, w2, rule = with_floats(w1, w2, rule, parts, floats)
    return Certificate(w1, w2, parts, rule, *(() if unchanged else (CHANGED,)))


def with_floats(
    w1: float, w2: float, rule: str, parts: dict[str, Bound], floats: Bound | None
) -> tuple[float, float, str]:
    """The bounds and the rule with the part `float`, which joins the parts where it is known."""
    if floats is None:
        return w1, w2, rule + "; in exact arithmetic: what floats add is not known"
    parts["float"] = floats
    return w1 + floats[0], w2 + floats[1], rule + "; float is added to both"


def ramp_cost(wrong: float, sides: ArrayLike) -> Bound:
    """What maps into a box with these sides that differ on u of measure `wrong` add to W_1 and W_2 (section 3)."""
    diameter = float(np.linalg.norm(np.asarray(sides, np.float64)))
    wrong = min(wrong, 1.0)
    return wrong * diameter, math.sqrt(wrong) * diameter
