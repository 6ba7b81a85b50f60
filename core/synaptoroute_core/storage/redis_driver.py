"""The driver of Redis, or the command that installs it."""

from __future__ import annotations

from synaptoroute_core.errors import missing_extra

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ModuleNotFoundError as error:
    raise missing_extra("redis", error) from None

__all__ = ["NoBackoff", "Retry", "redis"]
