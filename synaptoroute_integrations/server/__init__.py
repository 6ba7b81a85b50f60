"""The HTTP service: the router for agents in any language, and for routers that many programs share.

``synaptoroute serve --db routes.sqlite`` (or a URL) starts it, and so does
``uvicorn 'synaptoroute_integrations.server:create_app' --factory`` with ``SYNAPTOROUTE_DB`` set.
Needs the extra ``server``.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from synaptoroute_core.errors import missing_extra

if TYPE_CHECKING:
    from synaptoroute_integrations.server.app import create_app
    from synaptoroute_integrations.server.settings import ServerSettings

# Looked for, not imported: what only makes keys or settings need not wait for it.
try:
    for _needed in ("fastapi", "httptools", "prometheus_client", "uvicorn"):
        if find_spec(_needed) is None:
            raise ModuleNotFoundError(f"No module named {_needed!r}", name=_needed)
except ModuleNotFoundError as error:
    raise missing_extra("server", error) from error

__all__ = ["ServerSettings", "create_app"]


def __getattr__(name: str) -> object:
    """The public names, imported when they are asked for: the settings need no web framework."""
    if name == "ServerSettings":
        from synaptoroute_integrations.server.settings import ServerSettings

        return ServerSettings
    if name == "create_app":
        from synaptoroute_integrations.server.app import create_app

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
