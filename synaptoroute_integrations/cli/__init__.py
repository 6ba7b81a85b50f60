"""The command ``synaptoroute``.

Exit codes, for scripts:

====  =====================================================================================
0     done; for ``route``: every text was sent to a route
1     ``route``: at least one text was not, because the router abstained; ``audit``: something was
      found that is as severe as ``--fail-on``; ``fit``, ``calibrate``: nothing was changed, because
      nothing better was found, nothing could be promised, or the routes changed meanwhile
2     the input or the call is not right: a file, a text, a name, an option
3     the store or the model failed, or an extra is not installed
130   interrupted (Ctrl-C)
141   whoever read the output stopped reading
====  =====================================================================================

Where several apply, as when ``route`` gets many texts, the highest of 0 to 3 is given.

With ``--json``, standard output carries JSON lines and nothing else; errors go to standard error.

A command is one module with one function: decorate it with ``@app.command()``, and name the module in
:mod:`synaptoroute_integrations.cli.commands`. Command modules import the engine inside their
functions, so that ``--help`` need not wait for it.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit."""
    import io
    import sys

    from synaptoroute_integrations.cli.commands import app

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A character that the terminal's encoding lacks is no reason to fail.
            stream.reconfigure(errors="replace")
    app(prog_name="synaptoroute")
