"""Pages out of templates: language and theme of the person, what every page shows, fragments for HTMX."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from ui.addresses import at
from ui.backend import LibraryTeller
from ui.language import LANGUAGES, Words, language_of, words_of
from ui.parts import ErrorView, Link

STATIC = Path(__file__).with_name("static")
MODULES = ("page.js", "dropzone.js", "combobox.js")
"""Scripts of every page of a library."""
MODULES_OUTSIDE = ("page.js",)
"""Of pages before somebody is let in, which have no search form."""
SEARCH_MODULES = ("steps.js", "facets.js", "scroll.js", "viewer.js", "boxes.js", "part.js")
THEMES = ("light", "dark")
COOKIE = "snapseek_session"
"""What a browser has instead of a key, once somebody signed in."""
NAVIGATION = (
    ("nav.search", "/", "search"),
    ("nav.for-you", "/recommendations", "search"),
    ("nav.saved", "/saved", "search"),
    ("nav.insights", "/insights", "search"),
    ("nav.map", "/map", "search"),
    ("nav.look", "/look", "search"),
    ("nav.duplicates", "/duplicates", "search"),
    ("nav.imports", "/import", "write"),
    ("nav.moderation", "/moderation", "moderate"),
)


@functools.cache
def static(name: str) -> str:
    """Return the address of a static file, which changes with its content, so that browsers may keep it for good."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


templates = Environment(
    loader=PackageLoader("ui"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
templates.globals["static"] = static
templates.globals["at"] = at


class Static(StaticFiles):
    """The static files. Under an address that names its content, a file is good for ever."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if b"v=" in scope["query_string"] and response.status_code == 200:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


class Visitor(Protocol):
    """Who asks, as the application found out."""

    @property
    def name(self) -> str: ...
    @property
    def scopes(self) -> Collection[str]: ...


@dataclass(frozen=True, slots=True)
class PageView:
    """What every page shows around its content."""

    language: str
    languages: Mapping[str, str]
    theme: str
    """``light``, ``dark`` or empty: as the system has it."""
    here: str
    inside: bool
    """Whether it is a page of a library, not one before somebody is let in."""
    visitor: str
    """Who signed in here; empty where nobody did."""
    may_write: bool
    nav: tuple[Link, ...]
    """The pages that who asks may see."""
    modules: tuple[str, ...]
    has_results: bool
    """Whether the search form finds a list to fill on this page."""


def words_for(request: Request) -> Words:
    """Return the texts in the language of who asks."""
    chosen = request.cookies.get("language", "")
    return words_of(language_of(chosen, request.headers.get("accept-language", "")))


def is_fragment(request: Request) -> bool:
    """Return whether only the inner part of a page is asked for."""
    return "HX-Request" in request.headers and "HX-History-Restore-Request" not in request.headers


def page(
    request: Request,
    backend: LibraryTeller | None,
    template: str,
    view: object,
    *,
    fragment: str = "",
    modules: tuple[str, ...] = (),
    status: int = 200,
    pushed: str = "",
) -> Response:
    """Return a page, or where HTMX asks its ``fragment``, a template of its own; ``pushed``: the address to show.

    Without a ``backend``, nothing of a library is on it: what a page shows before somebody is let in.
    """
    inner = bool(fragment) and is_fragment(request)
    headers = {"Vary": "HX-Request, Accept-Language, Cookie", "Cache-Control": "no-store"}
    if inner and pushed:
        headers["HX-Push-Url"] = pushed
    words = words_for(request)
    content = templates.get_template(fragment if inner else template).render(
        view=view,
        t=words,
        page=page_view(request, words, modules, inside=backend is not None, has_results=template == "search.html"),
        library=None if backend is None or (inner and fragment != "_results.html") else backend.library(),
        box=getattr(view, "box", ""),
        fragment=inner,
    )
    return HTMLResponse(content, status, headers)


def page_view(request: Request, words: Words, modules: tuple[str, ...], *, inside: bool, has_results: bool) -> PageView:
    path = request.url.path
    visitor: Visitor | None = getattr(request.state, "caller", None)
    may = frozenset(visitor.scopes) if visitor else frozenset()
    theme = request.cookies.get("theme", "")
    return PageView(
        language=words.language,
        languages=LANGUAGES,
        theme=theme if theme in THEMES else "",
        here=here_of(request),
        inside=inside,
        visitor=visitor.name if visitor and COOKIE in request.cookies else "",
        may_write="write" in may,
        nav=tuple(Link(words(key), at(url), at(url) == path) for key, url, scope in NAVIGATION if scope in may),
        modules=(*MODULES, *modules) if inside else MODULES_OUTSIDE,
        has_results=has_results,
    )


def here_of(request: Request) -> str:
    """Return the address that was asked for, without the host."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def error_page(request: Request, backend: LibraryTeller | None, error: ErrorView, status: int) -> Response:
    """Return an error as a page: the same title and detail as the problem document."""
    return page(request, backend, "error.html", error, status=status)


def local_path(address: str, *, otherwise: str = "/") -> str:
    """Return an address of ours to go back to: a path, never another host's."""
    local = address.startswith("/") and not address.startswith("//") and "\\" not in address and address.isprintable()
    return address if local else at(otherwise)
