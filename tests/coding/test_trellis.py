"""Open places of a lattice: a line and back, and no place that is not open."""

import math

import numpy as np
import pytest

from jaxgen.coding import CodeError, Trellis

LATTICES = [
    ((1,), 2),
    ((5,), 3),
    ((700,), 7),
    ((1, 1), 2),
    ((40, 7), 4),
    ((300, 40), 7),
    ((9, 9, 9), 5),
    ((2, 1, 30), 6),
]


def open_places(trellis, share, seed):
    """A walk along the scan that takes some of what is open: by the rules of the machine, block by block."""
    rng, found = np.random.default_rng(seed), []
    for block in np.ndindex(*trellis.blocks):
        state, low = 0, [starts[b] for starts, b in zip(trellis.starts, block, strict=True)]
        high = [starts[b + 1] for starts, b in zip(trellis.starts, block, strict=True)]
        for place in np.ndindex(*(np.array(high) - low)):
            step = np.ravel_multi_index(place, trellis.size)
            target = trellis.targets[step, state]
            if target >= 0 and rng.random() < share:
                found.append(np.array(low) + place)
                state = target
    return np.array(sorted(map(tuple, found)), np.int64).reshape(-1, len(trellis.resolution))


@pytest.mark.parametrize(("resolution", "memory"), LATTICES)
def test_a_line_and_back(resolution, memory):
    trellis = Trellis(resolution, memory)
    for share in (1.0, 0.5, 0.1):
        places = open_places(trellis, share, 0)
        if not len(places):
            continue
        positions, length = trellis.positions(places)
        assert np.all(np.diff(positions) > 0) and positions[-1] < length <= math.prod(resolution)
        np.testing.assert_array_equal(trellis.places(positions, length), places)
        with pytest.raises(CodeError, match="open places"):
            trellis.places(positions, length + 1)


@pytest.mark.parametrize("memory", range(2, 8))
def test_half_of_the_places_are_open_and_each_leads_elsewhere(memory):
    targets = Trellis((8,), memory).targets[:4]
    for state in range(1 << memory):
        (open_,) = np.nonzero(targets[:, state] >= 0)
        assert open_.tolist() in ([0, 2], [1, 3])
        assert targets[open_[0], state] != targets[open_[1], state]
    # Every state is reached from two.
    assert np.all(np.bincount(targets[targets >= 0]) == 2)


def test_what_is_not_open_is_refused():
    with pytest.raises(ValueError, match="does not open"):
        Trellis((8,), 2).positions(np.array([[1]]))
    with pytest.raises(ValueError, match="memory"):
        Trellis((8,), 1)
    with pytest.raises(ValueError, match="axes"):
        Trellis((8,) * 4, 2)
    with pytest.raises(ValueError, match="places"):
        Trellis((1 << 12, 1 << 12), 2)
