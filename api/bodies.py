"""How much a request may send: bounded while it comes in, before anything is made of it."""

from __future__ import annotations

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import Respond
from search.config import Config

MAX_BODY = 2**20
"""Of forms and JSON; a vector of 8,192 numbers needs a fifth of it."""
AROUND_A_PICTURE = 2**20
"""What stands around the picture in a multipart body."""
KEPT = ("/v1/images", "/import")
"""Many pictures, each bounded as it is written: `api/receiving.py`."""
SEARCHED_BY = ("/v1/similar", "/similar")


class BodyLimit:
    """Answers 413 to what is too long, at once where its length is told."""

    def __init__(self, app: ASGIApp, config: Config, respond: Respond) -> None:
        self._app = app
        self._picture = config.max_upload_bytes + AROUND_A_PICTURE
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        most = self._most(scope) if scope["type"] == "http" else None
        if most is None:
            await self._app(scope, receive, send)
            return
        error = HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"what is sent here may have {most:,} bytes")
        request = Request(scope)
        told = request.headers.get("content-length", "")
        if told.isdecimal() and int(told) > most:
            await self._respond(request, error)(scope, receive, send)
            return
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > most:
                raise error
            return message

        await self._app(scope, counted, send)

    def _most(self, scope: Scope) -> int | None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path in KEPT:
            return None
        return self._picture if path in SEARCHED_BY else MAX_BODY
