"""Settings of one call: from ``config["configurable"]``, or bound as arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import ConfigurableFieldSpec, RunnableConfig

from synaptoroute_core import ConfigurationError, RouteOptions
from synaptoroute_core.errors import shorten

OPTIONS = {"threshold": "threshold", "margin": "min_margin", "allowed": "allowed"}
"""Names of the settings, and what the engine calls them."""

SPECS = (
    ConfigurableFieldSpec(
        id="threshold",
        annotation=float | None,
        name="Threshold",
        description="Least score, -1 to 1, in the place of the router's and of every route's own.",
        default=None,
    ),
    ConfigurableFieldSpec(
        id="margin",
        annotation=float | None,
        name="Margin",
        description="Least lead over the second best route, 0 to 2.",
        default=None,
    ),
    ConfigurableFieldSpec(
        id="allowed",
        annotation=list[str] | None,
        name="Allowed",
        description="Names of the routes to choose from.",
        default=None,
    ),
)


def options_of(config: RunnableConfig, arguments: Mapping[str, Any]) -> RouteOptions | None:
    """The engine's options for one call; None = all as the router has it.

    Args:
        config: Its configuration.
        arguments: What was bound or given by name; goes before the configuration.

    Raises:
        ConfigurationError: A value is not valid, or an argument is none of the settings.
    """
    for name in arguments:
        if name not in OPTIONS:
            raise ConfigurationError(f"{shorten(name)} is no setting of a call: there are {', '.join(OPTIONS)}")
    configurable = config.get("configurable") or {}
    settings = {
        option: value
        for name, option in OPTIONS.items()
        if (value := arguments.get(name, configurable.get(name))) is not None
    }
    return RouteOptions(**settings) if settings else None
