"""What a server of several libraries answers besides each of them: which there are, and whether all can answer.

A library that is none of the caller's is one that is not there, in every answer.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth import expect_key, expect_known
from api.schemas import LibrariesOut, LibraryOut
from search.errors import NotFound
from search.services import Services
from ui.door_pages import libraries_page

router = APIRouter()
pages = APIRouter(default_response_class=HTMLResponse)


@router.get("/v1/libraries", tags=["libraries"])
def libraries(request: Request) -> LibrariesOut:
    """List the libraries of who asks."""
    return LibrariesOut(libraries=[LibraryOut(name=name, url=f"/libraries/{name}") for name in _seen(request)])


@router.get("/healthz", tags=["health"])
def healthz() -> dict[str, str]:
    """Answer while the process lives."""
    return {"status": "ok"}


@router.get("/readyz", tags=["health"])
def readyz(request: Request) -> dict[str, str | int]:
    """Answer once queries can be answered in every library."""
    for services in _all(request).values():
        services.refresh()
        services.encoder.encode_texts(["ready"])
    return {"status": "ready", "libraries": len(_all(request))}


@pages.get("/")
def home(request: Request) -> Response:
    return libraries_page(request, _seen(request))


class OnlyFor:
    """A library's application for who may see it; for anybody else, and without an application, nothing is there."""

    def __init__(self, name: str | None, app: ASGIApp | None) -> None:
        self._name = name
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        expect_known(scope["state"]["caller"], self._name)
        if self._app is None:
            raise NotFound("there is no such library")
        await self._app(scope, receive, send)


def _all(request: Request) -> Mapping[str, Services]:
    found: Mapping[str, Services] = request.app.state.libraries
    return found


def _seen(request: Request) -> list[str]:
    caller = expect_key(request.state.caller)
    return [name for name in _all(request) if caller.sees(name)]
