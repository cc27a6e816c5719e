"""A line for each answered request, with the id that its answer carries: neither who asked nor what for is in it."""

from __future__ import annotations

import logging
import re

from asgi_correlation_id import CorrelationIdMiddleware
from starlette.applications import Starlette
from starlette.types import Scope

from api.watched import Answer, Watched, route_of
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


class RequestLog(Watched):
    """Logs the method, the route, the status, the time to the end of the answer, and its bytes."""

    def answered(self, scope: Scope, answer: Answer) -> None:
        route = scope.get("root_path", "") + (route_of(scope) or "")
        log.info(
            "answered",
            extra={
                "method": scope["method"],
                "route": route or None,
                "status": answer.status,
                "ms": round(answer.seconds * 1000, 1),
                "bytes": answer.bytes,
            },
        )
