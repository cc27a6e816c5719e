"""Requests counted and timed by route, searches by stage, and what waits, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import nan
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Scope

from api.watched import Answer, Watched, route_of
from indexer.liveness import living
from indexer.metering import PICTURES, REJECTED, SECONDS, totals
from search.errors import Unavailable
from search.jobs import OPEN
from search.services import Services

Found = TypeVar("Found")
Otherwise = TypeVar("Otherwise")


_INGEST = {
    SECONDS: ("Time of a stage of ingest, in all", "stage"),
    PICTURES: ("Pictures that went through a stage of ingest", "stage"),
    REJECTED: ("Files that were rejected", "reason"),
}
STAGES_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """The counters of one app, in a registry of its own, so that apps in one process do not mix."""

    def __init__(self, services: Services) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "snapseek_requests_total", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "snapseek_request_seconds", "Time to the end of an answer", ["route"], registry=self.registry
        )
        self._stages = Histogram(
            "snapseek_search_stage_seconds",
            "Time of a part of a search",
            ["stage"],
            registry=self.registry,
            buckets=STAGES_S,
        )
        services.observe = lambda stage, seconds: self._stages.labels(stage).observe(seconds)
        self.registry.register(_Library(services))


class _Library(Collector):
    """What the library holds and what waits to be indexed, looked up when it is asked for."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        catalog = self._services.catalog
        rejected = _if_there(lambda: float(catalog.counts()["rejected"]), nan)
        yield GaugeMetricFamily("snapseek_images", "Images that are found", _if_there(self._found, nan))
        yield GaugeMetricFamily("snapseek_rejected_files", "Files that could not be indexed", rejected)
        queue = GaugeMetricFamily("snapseek_queue", "Uploaded pictures that wait or are worked on", labels=["state"])
        waiting = _if_there(catalog.jobs.open_counts, None)
        for state in OPEN:
            queue.add_metric([state.value], nan if waiting is None else waiting[state])
        yield queue
        yield GaugeMetricFamily("snapseek_workers", "Workers on this machine", living(self._services.config.data))
        yield from self._ingest()

    def _ingest(self) -> Iterator[Metric]:
        """Yield what workers and index runs of this machine counted, each in its process."""
        for what, numbers in totals(self._services.config.data).items():
            told, label = _INGEST[what]
            family = CounterMetricFamily(f"snapseek_ingest_{what}", told, labels=[label])
            for value, number in numbers.items():
                family.add_metric([value], number)
            yield family

    def _found(self) -> float:
        return len(self._services.tags)


def _if_there(ask: Callable[[], Found], otherwise: Otherwise) -> Found | Otherwise:
    """Return an answer, or what stands for none while a server is away: the other figures are asked for then most."""
    try:
        return ask()
    except Unavailable:
        return otherwise


class MetricsMiddleware(Watched):
    """Counts and times requests by their routes."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        super().__init__(app)
        self._metrics = metrics

    def answered(self, scope: Scope, answer: Answer) -> None:
        route = route_of(scope) or "none"
        self._metrics.requests.labels(scope["method"], route, str(answer.status)).inc()
        self._metrics.seconds.labels(route).observe(answer.seconds)
