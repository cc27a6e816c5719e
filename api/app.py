"""The web application over one open library: routers, error handlers, security headers."""

from __future__ import annotations

import importlib.metadata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import nan
from typing import Any

from fastapi import Depends, FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import auth, errors
from api.deps import Context, needs, only_shown
from api.metrics import Metrics, MetricsMiddleware
from api.pages import LibraryPages
from api.routes import facets, health, images, jobs, moderation, search, similar
from api.schemas import Problem
from indexer.lookup import PictureLookup
from indexer.media import Media
from indexer.pool import DecodePool
from indexer.work_queue import open_queue
from search.config import Config
from search.errors import Unavailable
from search.services import Services
from ui.rendering import Static
from ui.routes import make_moderating_router, make_router, make_writing_router

PROBLEM_RESPONSE = {
    "description": "What is wrong, as a problem document",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
LOOPBACK_HOSTS = ["localhost", "127.0.0.1", "[::1]"]

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = {
    b"content-security-policy": PAGE_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}


def create_app(services: Services) -> FastAPI:
    """Return the application for one open library. Closing the app closes the decoding processes, not the library."""
    config = services.config
    pool = DecodePool(config, workers=1)
    context = Context(
        services=services,
        lookup=PictureLookup(pool, lambda: services.profile, max_bytes=config.max_upload_bytes),
        media=Media(config.data, services.catalog, pool),
        keys=auth.parse_keys(config.api_keys),
        queue=open_queue(config),
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        context.media.close()
        pool.close()
        context.queue.close()

    app = with_routes(lifespan=lifespan)
    app.state.context = context
    app.state.metrics = Metrics(lambda: _images(services))
    backend = LibraryPages(context)
    errors.install(app, backend)
    shown = Depends(only_shown)
    app.include_router(make_router(backend), dependencies=[needs(auth.Scope.SEARCH), shown], include_in_schema=False)
    app.include_router(
        make_writing_router(backend), dependencies=[needs(auth.Scope.WRITE), shown], include_in_schema=False
    )
    app.include_router(
        make_moderating_router(backend), dependencies=[needs(auth.Scope.MODERATE)], include_in_schema=False
    )
    app.mount("/static", Static(), name="static")
    app.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=6)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts(config), www_redirect=False)
    app.add_middleware(MetricsMiddleware, metrics=app.state.metrics)
    return app


def with_routes(**options: Any) -> FastAPI:
    """Return an application with the routes of the HTTP API, which is all that its description needs."""
    app = DescribedAPI(
        title="Snapseek",
        version=importlib.metadata.version("snapseek"),
        description="Semantic image search over one library.",
        docs_url=None,  # ours is a page without scripts of others: ui/api_docs.py
        redoc_url=None,
        **options,
    )
    app.include_router(health.router)
    app.include_router(jobs.router)
    for module in (search, images, similar, facets):
        app.include_router(module.router, dependencies=[needs(auth.Scope.SEARCH)])
    app.include_router(moderation.router, dependencies=[needs(auth.Scope.MODERATE)])
    return app


def _images(services: Services) -> float:
    try:
        return len(services.tags)
    except Unavailable:
        return nan


class DescribedAPI(FastAPI):
    """An application whose description says that every error is a problem document."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, responses=dict.fromkeys(("4XX", "503"), PROBLEM_RESPONSE))

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        return document


def allowed_hosts(config: Config) -> list[str]:
    """Return the Host headers to answer: without this check any page could read a loopback server by DNS rebinding."""
    named = [name.strip() for name in config.allowed_hosts.split(",") if name.strip()]
    if auth.is_loopback(config.host):
        return [*LOOPBACK_HOSTS, *named]
    return named or ["*"]  # an API key is required there, which a rebound page does not have


class SecurityHeaders:
    """Sets the headers that every answer carries, unless the handler set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                present = {name.lower() for name, _ in headers}
                for name, value in HEADERS.items():
                    if name not in present:
                        headers.append((name, value))
            await send(message)

        await self._app(scope, receive, add if scope["type"] == "http" else send)
