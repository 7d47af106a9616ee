import jax
import pytest

# Tests compile hundreds of small programs and run each once or twice: not worth XLA's full effort.
jax.config.update("jax_disable_most_optimizations", True)


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
