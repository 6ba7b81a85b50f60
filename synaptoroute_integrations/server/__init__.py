"""The HTTP service: the router for agents in any language, and for routers that many programs share.

``synaptoroute serve --db routes.sqlite`` starts it, and so does
``uvicorn 'synaptoroute_integrations.server:create_app' --factory`` with ``SYNAPTOROUTE_DB`` set.
Needs the extra ``server``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synaptoroute_core.errors import missing_extra

if TYPE_CHECKING:
    from synaptoroute_integrations.server.app import create_app
    from synaptoroute_integrations.server.settings import ServerSettings

__all__ = ["ServerSettings", "create_app"]


def __getattr__(name: str) -> object:
    """The public names, imported when they are asked for: the settings need no web framework."""
    if name == "ServerSettings":
        from synaptoroute_integrations.server.settings import ServerSettings

        return ServerSettings
    if name == "create_app":
        try:
            from synaptoroute_integrations.server.app import create_app
        except ModuleNotFoundError as error:
            raise missing_extra("server", error) from error
        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
