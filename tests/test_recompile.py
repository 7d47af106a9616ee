"""What is called eagerly is compiled once: a loop over `g(u)` costs neither seconds nor memory."""

import jax
import jax.monitoring
import jaxgen as jg
import numpy as np
import pytest

compilations = 0


def _count(name: str, *_, **__) -> None:
    global compilations
    compilations += "backend_compile" in name


jax.monitoring.register_event_duration_secs_listener(_count)


@pytest.fixture
def points():
    return np.random.default_rng(0).normal(size=(300, 2))


def _generators(points):
    measure = jg.GridMeasure.from_samples(points, 9)
    yield jg.PeanoGenerator(measure)
    yield jg.SawtoothGenerator(measure)
    yield jg.IndependentGenerator(measure)
    yield jg.CodebookGenerator(points[:20])
    yield jg.MLPGenerator(2, key=jax.random.key(0))


def test_a_loop_of_calls_compiles_nothing_new(points):
    for g in _generators(points):
        u = np.random.default_rng(1).uniform(size=(200, g.source_dim)).astype(np.float32)
        g(u[0])
        before = compilations
        for value in u:
            g(value)
        assert compilations == before, type(g).__name__


def test_a_gridded_condition_compiles_nothing_new(points):
    c = np.random.default_rng(2).uniform(size=len(points))
    g = jg.GriddedCondition.from_samples(c, points, condition_resolution=4, resolution=9)
    g(np.float32(0.5), np.float32(0.1))
    before = compilations
    for i in range(200):
        g(np.float32(i / 200), np.float32(0.3))
    assert compilations == before
