"""Say whether the servers answer that some tests need, and how to start them.

Usage::

    python scripts/services.py
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import psycopg
import redis

POSTGRES = os.environ.get("SYNAPTOROUTE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test")
REDIS = os.environ.get("SYNAPTOROUTE_TEST_REDIS", "redis://127.0.0.1:6379/0")
WAIT_S = 2

HELP = {
    "PostgreSQL": """
  With Docker:
    docker run --rm -d -p 127.0.0.1:5432:5432 -e POSTGRES_HOST_AUTH_METHOD=trust -e POSTGRES_DB=test postgres:17
  On Debian and Ubuntu:
    sudo apt-get install postgresql
    sudo -u postgres createuser --createdb "$USER" && createdb test
    export SYNAPTOROUTE_TEST_POSTGRES='postgresql:///test?host=/var/run/postgresql'
  Somewhere else: put its URL in SYNAPTOROUTE_TEST_POSTGRES. Tests use schemas of their own, and drop them.
""",
    "Redis": """
  With Docker:
    docker run --rm -d -p 127.0.0.1:6379:6379 redis:8
  On Debian and Ubuntu:
    sudo apt-get install redis-server
  Somewhere else: put its URL in SYNAPTOROUTE_TEST_REDIS. Tests use keys of their own, and delete them.
""",
}


def ask_postgres() -> str:
    """The server's version.

    Raises:
        psycopg.Error: It does not answer.
    """
    with psycopg.connect(POSTGRES, connect_timeout=WAIT_S) as connection:
        return str(connection.info.parameter_status("server_version"))


def ask_redis() -> str:
    """The server's version.

    Raises:
        redis.RedisError: It does not answer.
    """
    with redis.Redis.from_url(REDIS, socket_connect_timeout=WAIT_S) as client:
        return str(client.info("server")["redis_version"])


def main() -> int:
    """Ask both; 1 if one of them does not answer."""
    questions: dict[str, Callable[[], str]] = {"PostgreSQL": ask_postgres, "Redis": ask_redis}
    silent = 0
    for name, ask in questions.items():
        try:
            print(f"{name} answers: version {ask()}")
        except (psycopg.Error, redis.RedisError) as error:
            silent = 1
            print(f"{name} does not answer: {' '.join(str(error).split())}\n{HELP[name]}")
    return silent


if __name__ == "__main__":
    sys.exit(main())
