"""The comparison runs on any data of at least 20 points."""

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings, strategies as st

from jaxgen.comparison import PRESETS, compare

LEAN = {"preset": "lean", "steps": 2, "widths": (4,), "sources": 128, "splits": 2, "progress": False}


@pytest.fixture(autouse=True, scope="module")
def lean():
    fewer = {"budgets": (4096,), "precisions": (4,), "curve_folds": (1,), "integrals": (64,)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "lean", dataclasses.replace(PRESETS["quick"], curve_levels=(1,), **fewer))
        yield


@st.composite
def data(draw):
    """Points, and a label each or none: repeated points, constant axes, a rare label, all sizes even and odd."""
    n = draw(st.sampled_from([20, 21, 33, 333, 2001]) | st.integers(20, 2001))
    d = draw(st.sampled_from([1, 2, 70]) | st.integers(1, 70))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    points = rng.normal(size=(n, d)) * 10.0 ** draw(st.integers(-3, 3))
    points = points[rng.integers(max(1, n // draw(st.sampled_from([1, 3, n]))), size=n)]  # in the last case all alike
    points[:, : draw(st.integers(0, d))] = 1.5
    labels = draw(st.sampled_from([None, "two", "rare"]))
    return points, None if labels is None else np.arange(n) % 2 if labels == "two" else (np.arange(n) == 7).astype(int)


def everything_ran(points, labels):
    report = compare(points, labels=labels, **LEAN)
    assert not [entry.failed for entry in report.entries if entry.failed]
    assert all(np.isfinite([entry.near, *entry.unseen]).all() for entry in report.entries)
    left_out = len(points) - len(report.train) - len(report.test)
    assert left_out == 0 or (left_out == 1 and labels is not None)


@pytest.mark.slow
@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@example((np.random.default_rng(0).normal(size=(333, 2)), None))
@example((np.random.default_rng(0).normal(size=(20, 70)), None))
@given(data())
def test_any_data(example):
    everything_ran(*example)
