"""The pages. Each works without JavaScript; HTMX asks for the same addresses and gets their inner part."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from ui.backend import PageBackend
from ui.image_pages import add_image_changes, add_image_pages
from ui.import_pages import add_import_pages
from ui.library_pages import add_library_changes, add_library_pages
from ui.look_pages import add_look_pages
from ui.moderation_pages import add_moderation_pages
from ui.search_pages import add_search_pages
from ui.taste_pages import add_taste_pages


def make_router(backend: PageBackend) -> APIRouter:
    """Return the routes of the pages that only read, but for what a person says of their own taste."""
    router = APIRouter(default_response_class=HTMLResponse)
    add_search_pages(router, backend)
    add_image_pages(router, backend)
    add_library_pages(router, backend)
    add_taste_pages(router, backend)
    add_look_pages(router, backend)
    return router


def make_writing_router(backend: PageBackend) -> APIRouter:
    """Return the routes of what people change, for who may write."""
    router = APIRouter(default_response_class=HTMLResponse)
    add_image_changes(router, backend)
    add_library_changes(router, backend)
    add_import_pages(router, backend)
    return router


def make_moderating_router(backend: PageBackend) -> APIRouter:
    """Return the routes of the review queue, for who may moderate."""
    router = APIRouter(default_response_class=HTMLResponse)
    add_moderation_pages(router, backend)
    return router
