"""A line for each answered request, with the id that its answer carries: neither who asked nor what for is in it."""

from __future__ import annotations

import logging
import re
import time

from asgi_correlation_id import CorrelationIdMiddleware
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search.logs import REQUESTS

HEADER = "X-Request-Id"
_SANE = re.compile(r"[A-Za-z0-9._-]{8,64}")

log = logging.getLogger(REQUESTS)


def install(app: Starlette) -> None:
    """Give every request an id, the sender's own where it looks like one, and log its answer. Added last: outermost."""
    app.add_middleware(RequestLog)
    # What fails to be an id is passed over without a word: it may be anything, and any number of times.
    logging.getLogger("asgi_correlation_id").setLevel(logging.ERROR)
    app.add_middleware(CorrelationIdMiddleware, header_name=HEADER, validator=lambda id: bool(_SANE.fullmatch(id)))


class RequestLog:
    """Logs the method, the route's pattern and not the path, the status, and the time to the end of the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not log.isEnabledFor(logging.INFO):
            await self._app(scope, receive, send)
            return
        started, status, sent = time.perf_counter(), 500, 0

        async def watch(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            route = scope.get("root_path", "") + getattr(scope.get("route"), "path", "")
            log.info(
                "answered",
                extra={
                    "method": scope["method"],
                    "route": route or None,
                    "status": status,
                    "ms": round((time.perf_counter() - started) * 1000, 1),
                    "bytes": sent,
                },
            )
