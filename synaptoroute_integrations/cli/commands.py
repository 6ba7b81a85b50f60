"""The list of commands. Importing a command's module registers it; the order is that of ``--help``."""

from synaptoroute_integrations.cli import demo, routing, editing, listing, fitting, evaluating  # noqa: F401, I001
from synaptoroute_integrations.cli import auditing, suggesting, bulk_routing, serving  # noqa: F401
from synaptoroute_integrations.cli.app import app

__all__ = ["app"]
