"""Whether the server lives, whether it can answer, and what it has been doing."""

from __future__ import annotations

import shutil
from enum import StrEnum
from typing import Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.deps import ServicesDep, get_known
from api.schemas import Model
from indexer.liveness import living
from search.config import Config

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """Answer while the process lives."""
    return {"status": "ok"}


class Uploads(StrEnum):
    """Whether pictures that are sent now would be indexed."""

    OK = "ok"
    NO_WORKER = "no worker lives on this machine"
    DISK_FULL = "the disk is nearly full: they are refused"


class Ready(Model):
    status: Literal["ready"] = "ready"
    images: int
    uploads: Uploads


@router.get("/readyz")
def readyz(services: ServicesDep) -> Ready:
    """Answer once queries can be answered: the catalogue is read, the text encoder is loaded, the stores answer.

    What keeps uploads from being indexed is said, and is no reason to send nobody here: searching goes on.
    """
    services.catalog.active_space()
    services.encoder.encode_texts(["ready"])
    return Ready(images=len(services.tags), uploads=_uploads(services.config))


def _uploads(config: Config) -> Uploads:
    if shutil.disk_usage(config.data).free < config.min_free_bytes:
        return Uploads.DISK_FULL
    return Uploads.OK if living(config.data) else Uploads.NO_WORKER


@router.get("/metrics", response_class=PlainTextResponse, dependencies=[Depends(get_known)])
def metrics(request: Request) -> Response:
    """Return counters in the Prometheus text format, to any key: they tell how much a library has and is used."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)
