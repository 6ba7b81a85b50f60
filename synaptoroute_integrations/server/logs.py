"""Lines of the log: for people, or JSON for machines. Whatever a line holds, it stays one line."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

from synaptoroute_core.text import replace_surrogates
from synaptoroute_integrations.escaping import visible
from synaptoroute_integrations.server.settings import ServerSettings

LOGGERS = ("synaptoroute_core", "synaptoroute_integrations", "uvicorn")


class JsonFormatter(logging.Formatter):
    """A JSON object for each record."""

    def format(self, record: logging.LogRecord) -> str:
        """The record on one line."""
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return replace_surrogates(json.dumps(line, default=str))


class TextFormatter(logging.Formatter):
    """A line for each record; an exception follows, each of its lines indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The record on one line."""
        fields = getattr(record, "fields", {})
        more = [f"{name}={fields[name]}" for name in ("ms", "key", "request_id") if fields.get(name) is not None]
        line = visible(" ".join([f"{_time(record)} {record.levelname:<7} {record.getMessage()}", *more]))
        if not record.exc_info:
            return line
        trace = self.formatException(record.exc_info).splitlines()
        return "\n".join([line, *(f"    {visible(each)}" for each in trace)])


def configure_logging(settings: ServerSettings) -> None:
    """Send the service's log to standard error. For the process that serves, not for programs that import this."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(settings.log_level.upper())
    # One line for each start and stop of a process is said by this package in better words.
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.getLogger("uvicorn").level))


def cause_of(error: BaseException) -> str:
    """What went wrong and where, without the words of the error: they may be those of a client's text."""
    while error.__cause__ is not None:
        error = error.__cause__
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + place


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
