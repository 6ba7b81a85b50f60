"""A router elsewhere, behind HTTP, with the methods of one that is here. Needs the extra ``client``.

:class:`RemoteRouter` stands wherever the adapters take a router.
"""

from synaptoroute_core.errors import missing_extra

try:
    import httpx  # noqa: F401  # to say what is missing before a module of ours fails on it
except ModuleNotFoundError as error:
    raise missing_extra("client", error) from error

from synaptoroute_integrations.remote.problems import RemoteError
from synaptoroute_integrations.remote.router import RemoteRouter

__all__ = ["RemoteError", "RemoteRouter"]
