"""The driver of PostgreSQL, or the command that installs it."""

from __future__ import annotations

from synaptoroute_core.errors import missing_extra

try:
    import psycopg
    from psycopg import conninfo, sql
except ModuleNotFoundError as error:
    raise missing_extra("postgres", error) from None

__all__ = ["conninfo", "psycopg", "sql"]
