import pytest

from jaxgen import modalities


@pytest.fixture(scope="session")
def examples():
    """Every example, built once."""
    return {name: modalities.example(name) for name in modalities.DATA_SETS}


@pytest.fixture(scope="session")
def data_sets():
    return {name: make() for name, make in modalities.DATA_SETS.items()}
