import collections

import jax
import pytest

# Tests compile hundreds of small programs and run each once or twice: not worth XLA's full effort.
jax.config.update("jax_disable_most_optimizations", True)


# Examples of docstrings that take several seconds: run by `.ci/run`, as the long sweeps are.
_LONG_EXAMPLES = {
    "jaxgen.comparison._compare.compare",
    "jaxgen.measures._cell_counts.CellCounts",
    "jaxgen.rate._quantize.quantize",
    "jaxgen.rate._worth.worth",
    "jaxgen.training._fit.fit",
    "jaxgen.training._rounded.fit_rounded",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks as `slow` the long examples, and of a test marked `sweep(n)` all cases after the first n."""
    seen = collections.Counter()
    for item in items:
        sweep = item.get_closest_marker("sweep")
        if sweep is not None:
            seen[item.originalname, item.path] += 1
        if item.name in _LONG_EXAMPLES or (sweep and seen[item.originalname, item.path] > sweep.args[0]):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """Each compiled program holds maps of memory, of which a process has 65,530: a suite in one process needs more."""
    yield
    jax.clear_caches()


@pytest.fixture(params=["float32", "float64"])
def precision(request):
    """Run a test in the default precision and under x64; the value is the name of the float type."""
    with jax.enable_x64(request.param == "float64"):
        yield request.param


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield
