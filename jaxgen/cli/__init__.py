"""The command line: a thin face on the library."""

from ._main import main as main
