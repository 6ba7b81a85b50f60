"""The application that commands register with, and what becomes of their errors."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from synaptoroute_integrations.cli.options import NO_VALUE

ABSTAINED = 1
BAD_INPUT = 2
FAILED = 3
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
NOT_READ = 141  # 128 + SIGPIPE

EPILOG = (
    "Exit codes: 0 done (route: every text matched) · 1 route abstained on a text, audit found something, "
    "fit or calibrate changed nothing · 2 bad input or usage · 3 the store or the model failed, or an extra is missing"
)


def exit_code_of(error: Exception) -> int:
    """The exit code for an error of the engine."""
    from synaptoroute_core import ConfigurationError, InvalidTextError, RouteExistsError, RouteNotFoundError

    mistakes = ConfigurationError, InvalidTextError, RouteExistsError, RouteNotFoundError
    return BAD_INPUT if isinstance(error, mistakes) else FAILED


class Commands(TyperGroup):
    """Runs a command and turns what goes wrong into one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            _discard_output()
            raise typer.Exit(NOT_READ) from None
        except Exception as error:
            if not _is_explained(error):
                raise
            from synaptoroute_integrations.cli.output import show_error

            show_error(str(error))
            raise typer.Exit(exit_code_of(error)) from None


def _is_explained(error: Exception) -> bool:
    """Whether its message is all that there is to say: it is the engine's, or says how to install an extra."""
    from synaptoroute_core import SynaptoRouteError

    return isinstance(error, SynaptoRouteError) or (isinstance(error, ImportError) and "pip install" in str(error))


def _discard_output() -> None:
    """Let what is still buffered go nowhere, or Python complains about the closed pipe at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EPILOG,
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001  # called by Typer with the option's value
    if wanted:
        from importlib.metadata import version

        print(f"synaptoroute-integrations {version('synaptoroute-integrations')}")
        raise typer.Exit


@app.callback()
def synaptoroute(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", metavar=NO_VALUE, callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Route texts locally, in milliseconds, and abstain when unsure.

    Start with `synaptoroute demo`: it needs no file, no key and no network.
    """
