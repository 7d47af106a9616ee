"""The same leaves with other masses, as training finds them (theory, section 12)."""

from functools import singledispatch

import numpy as np

from .._checks import Numbers, nonnegative_weights
from ._abstract import AbstractMeasure
from ._abstract_grid import AbstractGridMeasure
from ._grid import GridMeasure
from ._leaves import AbstractLeafMeasure, LeafMeasure
from ._record import Record
from ._rounding import MAX_QUANTA, round_masses
from ._tree import TreeMeasure


def reweighed(measure: AbstractMeasure, masses: Numbers, quanta: int | object = MAX_QUANTA) -> AbstractMeasure:
    """The law on the leaves of a measure with other masses, in quanta; leaves left without a quantum are dropped.

    Its record has what rounding cost; nothing that was proven of the earlier masses is kept.

    **Arguments:** `masses`: `(m,)`, nonnegative, in the order of the leaves, normalized here; `quanta`: K.

    **Raises:** `ValueError` for masses of the wrong shape, not finite, negative, or zero for a whole label, and quanta
    below 1, below the number of labels, or above 2**24; `TypeError` for a measure of a kind that is not known.

    **Example:**

        >>> import jaxgen as jg
        >>> from jaxgen.measures import reweighed
        >>> tree = jg.TreeMeasure.from_samples([0.0, 1.0, 3.0], bits=200)
        >>> reweighed(tree, [0.5, 0.3, 0.2], quanta=4).counts.tolist()
        [2, 1, 1]
    """
    weights = nonnegative_weights(masses, "masses", measure.size)
    if np.any(np.add.reduceat(weights, measure.label_offsets[:-1]) <= 0):
        raise ValueError("masses must not be zero for a whole label")
    return _reweighed(measure, weights, quanta)


@singledispatch
def _reweighed(measure: AbstractMeasure, masses: np.ndarray, quanta: int | object) -> AbstractMeasure:
    raise TypeError(f"a {type(measure).__name__} has no form with other masses")


@_reweighed.register
def _(measure: AbstractGridMeasure, masses: np.ndarray, quanta: int | object) -> AbstractMeasure:
    box = measure.low, measure.high, measure.resolution
    return GridMeasure(measure.cells, masses, *box, measure.labels, measure.vocabulary).quantize(quanta)


@_reweighed.register
def _(measure: AbstractLeafMeasure, masses: np.ndarray, quanta: int | object) -> AbstractMeasure:
    boxes = measure.low_corners, measure.sides
    return LeafMeasure(*boxes, masses, measure.labels, measure.vocabulary).quantize(quanta)


@_reweighed.register
def _(measure: TreeMeasure, masses: np.ndarray, quanta: int | object) -> AbstractMeasure:
    sides = np.asarray(measure.sides)
    rounded = round_masses(masses, measure._host_centers(), measure.label_offsets, quanta, sides)
    return measure._with(rounded.counts > 0, counts=rounded.counts, record=rounded.record(Record(), unchanged=True))
