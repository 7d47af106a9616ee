"""The command `jaxgen` and what all its commands share: errors in one line."""

import sys
import warnings
from typing import Any

import click

from .. import __version__
from ._build import build_command
from ._compare import compare_command
from ._distance import distance_command
from ._inspect import inspect_command
from ._options import INTERRUPTED
from ._prompt import prompt_command
from ._sample import sample_command


class _Group(click.Group):
    """Errors of the library become one line on stderr; Ctrl-C exits with 130."""

    def main(self, *args: Any, **options: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = lambda message, *_, **__: click.echo(f"note: {message}", err=True)
                return super().main(*args, **{**options, "standalone_mode": False})
        except click.exceptions.Exit as stop:
            sys.exit(stop.exit_code)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted", err=True)
            sys.exit(INTERRUPTED)
        except (ValueError, TypeError, OSError, ImportError) as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(2)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="jaxgen")
def main() -> None:
    """Explicit generative networks: one uniform number to any law, with proven error and known bits.
    \f
    Errors are one line on stderr and exit with 2, Ctrl-C with 130.

    **Example:**

        >>> from click.testing import CliRunner
        >>> from jaxgen.cli import main
        >>> CliRunner().invoke(main, ["inspect", "no such file"]).exit_code
        2
    """


for _command in (compare_command, build_command, inspect_command, sample_command, distance_command, prompt_command):
    main.add_command(_command)

# A command is no function, and doctest would not find its example.
__test__ = {"main": main.__doc__}
