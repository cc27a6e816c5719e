"""The web application over one open library: routers, error handlers, security headers."""

from __future__ import annotations

import importlib.metadata
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import auth, errors, request_log
from api.bodies import BodyLimit
from api.deps import Context, needs, only_shown
from api.fetching import PictureFetcher
from api.gate import Gate, GateMiddleware, Sessions
from api.metrics import Metrics, MetricsMiddleware
from api.pages import LibraryPages
from api.routes import browser, facets, health, images, jobs, keys, moderation, recommendations, search, shared, similar
from api.schemas import Problem
from indexer.lookup import PictureLookup
from indexer.media import Media
from indexer.pool import DecodePool
from indexer.work_queue import open_queue
from search.config import Config
from search.services import Services
from ui.addresses import set_root
from ui.door_pages import make_door_router
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
    b"cache-control": b"private",
    b"content-security-policy": PAGE_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}


def create_app(services: Services) -> FastAPI:
    """Return the application for one open library. Closing the app closes the decoding processes, not the library."""
    gate = Gate(services.config)
    app, respond = library_app(services)
    app.include_router(keys.router)
    add_door(app, gate, respond, services.config)
    app.add_middleware(MetricsMiddleware, metrics=app.state.metrics)
    return app


def create_shared_app(config: Config, libraries: Mapping[str, Services]) -> FastAPI:
    """Return the application for several open libraries, each below `/libraries/NAME`; ``config`` is the server's."""
    gate = Gate(config)
    inner = {name: library_app(services, name)[0] for name, services in libraries.items()}
    for app in inner.values():
        app.add_middleware(MetricsMiddleware, metrics=app.state.metrics)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:  # a mounted application is not told of the start by itself
            for app in inner.values():
                await stack.enter_async_context(app.router.lifespan_context(app))
            yield

    app = described(lifespan=lifespan)
    respond = errors.install(app, None)
    app.state.libraries = libraries
    app.include_router(shared.router)
    app.include_router(shared.pages, include_in_schema=False)
    app.include_router(keys.router)
    for name, mounted in inner.items():
        app.mount(f"/libraries/{name}", shared.OnlyFor(name, mounted))
    app.mount("/libraries", shared.OnlyFor(None, None))
    add_door(app, gate, respond, config)
    return app


def add_door(app: FastAPI, gate: Gate, respond: errors.Respond, config: Config) -> None:
    """Put before an application what is asked of every request, and what every answer carries."""
    app.include_router(make_door_router(Sessions(gate)), include_in_schema=False)
    app.mount("/static", Static(), name="static")
    app.state.gate = gate
    within = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with within(app) as state:
            yield state
        gate.close()

    app.router.lifespan_context = lifespan
    app.add_middleware(BodyLimit, config=config, respond=respond)
    app.add_middleware(GateMiddleware, gate=gate, respond=respond)
    app.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=6)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts(config), www_redirect=False)
    app.add_middleware(errors.LastResort, respond=respond)
    app.add_middleware(SecurityHeaders)
    request_log.install(app)


def library_app(services: Services, name: str | None = None) -> tuple[FastAPI, errors.Respond]:
    """Return what answers for one library, and what makes its errors; a ``name`` where a server has several."""
    config = services.config
    pool = DecodePool(config, workers=1)
    context = Context(
        services=services,
        lookup=PictureLookup(pool, lambda: services.profile, max_bytes=config.max_upload_bytes),
        media=Media(config.data, services.catalog, pool),
        queue=open_queue(config),
        fetcher=PictureFetcher(max_bytes=config.max_upload_bytes) if config.url_lookup else None,
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        backend.close()
        context.media.close()
        pool.close()
        context.queue.close()
        if context.fetcher is not None:
            context.fetcher.close()

    app = with_routes(lifespan=lifespan)
    app.add_middleware(KnowRoot)
    app.state.context = context
    app.state.library = name
    app.state.metrics = Metrics(services)
    backend = LibraryPages(context)
    respond = errors.install(app, backend)
    shown = Depends(only_shown)
    app.include_router(make_router(backend), dependencies=[needs(auth.Scope.SEARCH), shown], include_in_schema=False)
    app.include_router(
        make_writing_router(backend), dependencies=[needs(auth.Scope.WRITE), shown], include_in_schema=False
    )
    app.include_router(
        make_moderating_router(backend), dependencies=[needs(auth.Scope.MODERATE)], include_in_schema=False
    )
    return app, respond


def described(**options: Any) -> FastAPI:
    return DescribedAPI(
        title="Snapseek",
        version=importlib.metadata.version("snapseek"),
        description="Semantic image search over one library.",
        docs_url=None,  # ours is a page without scripts of others: ui/api_docs.py
        redoc_url=None,
        **options,
    )


def with_routes(**options: Any) -> FastAPI:
    """Return an application with the routes of one library, which its description needs."""
    app = described(**options)
    app.include_router(health.router)
    app.include_router(jobs.router)
    for module in (search, images, similar, facets, recommendations, browser):
        app.include_router(module.router, dependencies=[needs(auth.Scope.SEARCH)])
    app.include_router(moderation.router, dependencies=[needs(auth.Scope.MODERATE)])
    return app


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


class KnowRoot:
    """Tells what makes addresses where the library of a request begins."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        set_root(scope.get("root_path", ""))
        await self._app(scope, receive, send)


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
