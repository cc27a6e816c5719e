"""Every error as an RFC 9457 problem document: the one table from exceptions to statuses."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus

from asgi_correlation_id import correlation_id
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.schemas import Problem
from search import errors
from ui.backend import LibraryTeller
from ui.door_pages import sign_in_page
from ui.parts import ErrorView
from ui.rendering import error_page, here_of

log = logging.getLogger(__name__)

Respond = Callable[[Request, Exception], Response]

STATUS: dict[type[errors.SnapseekError], HTTPStatus] = {
    errors.InvalidQuery: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Unauthorized: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.UnsupportedImage: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.UnsupportedMedia: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.ImageTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.QueueFull: HTTPStatus.TOO_MANY_REQUESTS,
    errors.RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    errors.StorageFull: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ConfigError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.SnapseekError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""Looked up along the class's bases, the nearest first."""


def problem_of(error: Exception) -> tuple[Problem, dict[str, str]]:
    """Return the problem document of an exception and the headers that go with it."""
    if isinstance(error, RequestValidationError):
        return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, _validation(error)), {}
    if isinstance(error, HTTPException):
        return _problem(HTTPStatus(error.status_code), str(error.detail)), dict(error.headers or {})
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), HTTPStatus.INTERNAL_SERVER_ERROR)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, errors.Unavailable):
        log.error("unexpected error", exc_info=error)
        return _problem(status, f"something went wrong here; the server's log has the details{_under()}"), {}
    problem = _problem(status, str(error))
    if isinstance(error, errors.InvalidQuery):
        problem.position = error.position
    headers = {}
    if isinstance(error, (errors.Unavailable, errors.QueueFull, errors.RateLimited)):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="Snapseek"'
    return problem, headers


def install(app: FastAPI, backend: LibraryTeller | None) -> Respond:
    """Make every error of the app answer as a problem document, or as a page where a page was asked for.

    Returns what makes these answers, for who stands before the app.
    """

    def respond(request: Request, error: Exception) -> Response:
        problem, headers = problem_of(error)
        if problem.status == HTTPStatus.METHOD_NOT_ALLOWED:  # the router names the methods of one handler only
            path = getattr(request.scope.get("route"), "path", None)
            headers["Allow"] = ", ".join(method.upper() for method in app.openapi()["paths"].get(path, ("get",)))
        if _wants_page(request):
            if isinstance(error, errors.Unauthorized):
                return sign_in_page(request, headers, back=here_of(request))
            page = error_page(request, backend, ErrorView(problem.title, problem.detail), problem.status)
            page.headers.update(headers)
            return page
        return JSONResponse(
            problem.model_dump(exclude_none=True), problem.status, headers, media_type="application/problem+json"
        )

    for kind in (errors.SnapseekError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, respond)
    app.add_middleware(LastResort, respond=respond)
    return respond


class LastResort:
    """Answers for what nobody foresaw, within what every answer carries: the framework would do so outside of it."""

    def __init__(self, app: ASGIApp, respond: Respond) -> None:
        self._app = app
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = False

        async def watch(message: Message) -> None:
            nonlocal began
            began = began or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:
            if began:  # cut off is all that it can be, and the server does that
                raise
            await self._respond(Request(scope, receive), error)(scope, receive, send)


def _under() -> str:
    """Say where to look in the log."""
    id = correlation_id.get()
    return "" if id is None else f" (request {id})"


def _wants_page(request: Request) -> bool:
    api = (
        request.scope["path"]
        .removeprefix(request.scope.get("root_path", ""))
        .startswith(("/v1/", "/healthz", "/readyz", "/metrics", "/openapi.json"))
    )
    return not api and "text/html" in request.headers.get("accept", "")


def _problem(status: HTTPStatus, detail: str) -> Problem:
    return Problem(title=status.phrase, status=status, detail=detail)


def _validation(error: RequestValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in e['loc'][1:]) or e['loc'][0]}: {e['msg']}" for e in error.errors()
    )
