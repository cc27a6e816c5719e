"""What the processes of a library say while they work: lines for people, or JSON for what collects them."""

from __future__ import annotations

import logging
import sys

from asgi_correlation_id import CorrelationIdFilter
from pythonjsonlogger.json import JsonFormatter

from search.config import Config

TEXT = "%(levelname)s %(name)s: %(message)s"
FIELDS = {"asctime": "time", "levelname": "level", "name": "logger", "correlation_id": "request_id"}
REQUESTS = "snapseek.requests"
"""The logger of answered requests: a line each, but only in JSON."""


def set_up(config: Config) -> None:
    """Have this process log as the options say, to standard error. What was set up before is replaced."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(CorrelationIdFilter())
    is_json = config.log_format == "json"
    if is_json:
        formatter = JsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(correlation_id)s %(message)s",
            rename_fields=FIELDS,
            datefmt="%Y-%m-%dT%H:%M:%S%z",
        )
        handler.setFormatter(formatter)
    else:
        handler.setFormatter(logging.Formatter(TEXT))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger(REQUESTS).setLevel(logging.INFO if is_json else logging.WARNING)
