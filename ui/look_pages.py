"""Looking at a picture in the browser, without uploading it."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from ui.backend import PageBackend
from ui.rendering import page
from ui.state import Like, SearchState


@dataclass(frozen=True, slots=True)
class LookView:
    megabytes: float
    """Of what the browser has to load, once; 0 where this library has nothing for browsers."""


class Looked(BaseModel):
    """What a browser made of a picture."""

    vector: list[float] = Field(max_length=8192)
    space: str = Field(max_length=64)


def add_look_pages(router: APIRouter, backend: PageBackend) -> None:
    @router.get("/look")
    def look(request: Request) -> Response:
        view = LookView(backend.for_browsers() / 1e6)
        return page(request, backend, "look.html", view, modules=("look.js",) if view.megabytes else ())

    @router.post("/look")
    def looked(given: Looked) -> Response:
        """Return the address of what is like a vector. Raises InvalidQuery for one of another space."""
        token = backend.remember_vector(given.vector, given.space)
        return JSONResponse({"url": SearchState(likes=(Like(token),)).url()})
