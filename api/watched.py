"""What became of each request, told to who counts and to who logs."""

from __future__ import annotations

import time
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request was answered; 500 where it was not."""

    status: int
    seconds: float
    """To the end of the answer."""
    bytes: int


class Watched:
    """Middleware that tells `answered` of each request, whatever happens."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def answered(self, scope: Scope, answer: Answer) -> None:
        """Take note; ``scope`` has by now what the router found."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
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
            self.answered(scope, Answer(status, time.perf_counter() - started, sent))


def route_of(scope: Scope) -> str | None:
    """Return the pattern of the route that answered, never the path, which has no end of values."""
    return getattr(scope.get("route"), "path", None)
