"""The pages before a library: signing in with a key, signing out, and which libraries there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from search.errors import Unauthorized
from ui.parts import Link
from ui.rendering import COOKIE, local_path, page


class Door(Protocol):
    lasts_s: int
    """How long a session lasts, at most."""

    def sign_in(self, request: Request, key: str) -> str:
        """Return the token of a new session of who has a key. Raises Unauthorized for a wrong one."""
        ...

    def sign_out(self, request: Request) -> None:
        """End the session that a request belongs to."""
        ...


@dataclass(frozen=True, slots=True)
class SignInView:
    back: str
    wrong: bool


def make_door_router(door: Door) -> APIRouter:
    """Return the routes that are open to everybody."""
    router = APIRouter(default_response_class=HTMLResponse)

    @router.get("/sign-in")
    def ask(request: Request, back: str = "/") -> Response:
        return _form(request, SignInView(local_path(back), wrong=False))

    @router.post("/sign-in")
    def sign_in(
        request: Request, key: Annotated[str, Form(max_length=500)], back: Annotated[str, Form()] = "/"
    ) -> Response:
        try:
            token = door.sign_in(request, key.strip())
        except Unauthorized:
            return _form(request, SignInView(local_path(back), wrong=True), status=401)
        response = RedirectResponse(local_path(back), status_code=303)
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, token, door.lasts_s, samesite="lax", httponly=True, secure=secure)
        return response

    @router.post("/sign-out")
    def sign_out(request: Request) -> Response:
        door.sign_out(request)
        response = RedirectResponse("/sign-in", status_code=303)
        response.delete_cookie(COOKIE)
        # What the browser keeps of pictures and pages is not for who comes next.
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    return router


def sign_in_page(request: Request, headers: Mapping[str, str], *, back: str) -> Response:
    """Return the form in place of a page that wants a key."""
    response = _form(request, SignInView(local_path(back), wrong=False), status=401)
    response.headers.update(headers)
    if "HX-Request" in request.headers:
        response.headers["HX-Refresh"] = "true"  # the session ended while the page was open
    return response


def libraries_page(request: Request, names: Sequence[str]) -> Response:
    """Return the page that leads to the libraries of who asks; to the only one at once."""
    if len(names) == 1:
        return RedirectResponse(f"/libraries/{names[0]}/", status_code=303)
    view = tuple(Link(name, f"/libraries/{name}/") for name in names)
    return page(request, None, "libraries.html", view)


def _form(request: Request, view: SignInView, *, status: int = 200) -> Response:
    return page(request, None, "sign_in.html", view, status=status)
