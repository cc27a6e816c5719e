"""Pages out of templates: language and theme of the person, what every page shows, fragments for HTMX."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from search.errors import Forbidden
from ui.backend import PageBackend
from ui.language import LANGUAGES, Words, language_of, words_of
from ui.parts import ErrorView, Link

STATIC = Path(__file__).with_name("static")
MODULES = ("page.js", "dropzone.js", "combobox.js")
"""Scripts of every page."""
SEARCH_MODULES = ("facets.js", "scroll.js", "viewer.js", "boxes.js", "part.js")
THEMES = ("light", "dark")
NAVIGATION = (
    ("nav.search", "/"),
    ("nav.saved", "/saved"),
    ("nav.insights", "/insights"),
    ("nav.map", "/map"),
    ("nav.duplicates", "/duplicates"),
    ("nav.imports", "/import"),
    ("nav.moderation", "/moderation"),
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


class Static(StaticFiles):
    """The static files. Under an address that names its content, a file is good for ever."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if b"v=" in scope["query_string"] and response.status_code == 200:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


@dataclass(frozen=True, slots=True)
class PageView:
    """What every page shows around its content."""

    language: str
    languages: Mapping[str, str]
    theme: str
    """``light``, ``dark`` or empty: as the system has it."""
    here: str
    nav: tuple[Link, ...]
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
    backend: PageBackend,
    template: str,
    view: object,
    *,
    fragment: str = "",
    modules: tuple[str, ...] = (),
    status: int = 200,
    pushed: str = "",
) -> Response:
    """Return a page, or where HTMX asks its ``fragment``, a template of its own; ``pushed``: the address to show."""
    inner = bool(fragment) and is_fragment(request)
    headers = {"Vary": "HX-Request, Accept-Language, Cookie", "Cache-Control": "no-store"}
    if inner and pushed:
        headers["HX-Push-Url"] = pushed
    words = words_for(request)
    content = templates.get_template(fragment if inner else template).render(
        view=view,
        t=words,
        page=page_view(request, words, modules, has_results=template == "search.html"),
        library=None if inner and fragment != "_results.html" else backend.library(),
        box=getattr(view, "box", ""),
        fragment=inner,
    )
    return HTMLResponse(content, status, headers)


def page_view(request: Request, words: Words, modules: tuple[str, ...], *, has_results: bool) -> PageView:
    path = request.url.path
    theme = request.cookies.get("theme", "")
    return PageView(
        language=words.language,
        languages=LANGUAGES,
        theme=theme if theme in THEMES else "",
        here=path + (f"?{request.url.query}" if request.url.query else ""),
        nav=tuple(Link(words(key), url, url == path) for key, url in NAVIGATION),
        modules=(*MODULES, *modules),
        has_results=has_results,
    )


def error_page(request: Request, backend: PageBackend, error: ErrorView, status: int) -> Response:
    """Return an error as a page: the same title and detail as the problem document."""
    return page(request, backend, "error.html", error, status=status)


def local_path(address: str) -> str:
    """Return an address of ours to go back to: a path, never another host's."""
    return address if address.startswith("/") and not address.startswith(("//", "/\\")) else "/"


def same_origin(request: Request) -> None:
    """Refuse a form that another site sent: a browser adds to every request what it knows of the person here."""
    if request.method in ("GET", "HEAD"):
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    foreign = site not in ("same-origin", "none") if site else origin not in (None, str(request.base_url).rstrip("/"))
    if foreign:
        raise Forbidden("this form was sent by another site")
