"""Requests counted and timed by route, for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Metrics:
    """The counters of one app, in a registry of its own, so that apps in one process do not mix."""

    def __init__(self, images: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "snapseek_requests_total", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "snapseek_request_seconds", "Time to the end of an answer", ["route"], registry=self.registry
        )
        Gauge("snapseek_images", "Images in the library", registry=self.registry).set_function(images)


class MetricsMiddleware:
    """Counts and times requests by the route's pattern, never by the path, which has no end of values."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.requests.labels(scope["method"], route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - started)
