"""Whether the server lives, whether it can answer, and what it has been doing."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.deps import ServicesDep, get_known

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """Answer while the process lives."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz(services: ServicesDep) -> dict[str, str | int]:
    """Answer once queries can be answered: the library is open and the text encoder is loaded."""
    services.encoder.encode_texts(["ready"])
    return {"status": "ready", "images": len(services.tags)}


@router.get("/metrics", response_class=PlainTextResponse, dependencies=[Depends(get_known)])
def metrics(request: Request) -> Response:
    """Return counters in the Prometheus text format, to any key: they tell how much a library has and is used."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)
