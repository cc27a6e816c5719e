"""Pictures that are sent to be kept: taken in at once, indexed by workers, followed as jobs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from api.auth import Scope
from api.deps import Context, ContextDep, needs
from api.receiving import receive
from api.schemas import Accepted, JobOut, JobsOut
from indexer import ingest
from indexer.uploads import Received, Refused, Uploads
from indexer.work_queue import FIRST, UPLOADS
from search.errors import Unavailable
from search.jobs import Job, JobState, expect_room
from ui.addresses import at

log = logging.getLogger(__name__)

router = APIRouter(tags=["jobs"], dependencies=[needs(Scope.WRITE)])

LOOK_S = 0.25
LONGEST_S = 3_600.0
"""So long events are sent; a client that wants more connects again, as browsers do by themselves."""
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                            "description": "Pictures to keep, each in a field of this name with its file name",
                        }
                    },
                }
            }
        },
    }
}

JobIdDep = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="The `job` that an upload was answered with")]


@router.post("/v1/images", status_code=202, openapi_extra=BODY)
async def upload(context: ContextDep, request: Request, response: Response) -> Accepted:
    """Keep pictures: they are on the disk when this answers, and found once a worker has indexed them.

    Each is `queued`, `known` (the library has it) or `rejected`. Where too many wait, the answer is 429.
    """
    uploads = await run_in_threadpool(_ready, context)
    most = context.services.config.max_upload_files
    content_type = request.headers.get("content-type", "")
    sent = await receive(content_type, request.stream(), uploads.receive, most=most)
    job = await run_in_threadpool(_accept, context, uploads, sent)
    response.headers["Location"] = at(f"/v1/jobs/{job.id}")
    return Accepted.from_domain(job)


def _ready(context: Context) -> Uploads:
    """Return where to put pictures. Raises QueueFull before they are sent where none may wait."""
    expect_room(context.services.catalog.jobs.open_items(), 1, context.services.config.max_queue)
    return context.uploads


def _accept(context: Context, uploads: Uploads, sent: list[Received | Refused]) -> Job:
    config = context.services.config
    job = ingest.accept(context.services.catalog, uploads, sent, most_open=config.max_queue)
    try:
        for _ in range(0, job.total, config.batch_size):
            context.queue.put({"kind": UPLOADS}, priority=FIRST)
    except Unavailable as error:
        log.warning("workers will find the job by themselves, later: %s", error)
    return job


@router.get("/v1/jobs")
def jobs(
    context: ContextDep, limit: Annotated[int, Query(ge=1, le=200, description="How many, the newest first")] = 50
) -> JobsOut:
    """List the latest jobs, and how many pictures wait in all."""
    known = context.services.catalog.jobs
    return JobsOut.from_domain(known.latest(limit), known.open_counts())


@router.get("/v1/jobs/{id}")
def job(context: ContextDep, id: JobIdDep) -> JobOut:
    """Return how far a job is, and what became of each of its pictures."""
    return JobOut.from_domain(context.services.catalog.jobs.get(id))


def _known_job(context: ContextDep, id: JobIdDep) -> Job:
    return context.services.catalog.jobs.get(id)


@router.get("/v1/jobs/{id}/events", response_class=EventSourceResponse)
async def events(
    context: ContextDep, request: Request, first: Annotated[Job, Depends(_known_job)]
) -> AsyncIterator[ServerSentEvent]:
    """Tell of a job's progress as it happens: `progress` events with the job, and `end` when all of it is done."""
    until = time.monotonic() + LONGEST_S
    told = None
    job = first
    while time.monotonic() < until and not await request.is_disconnected():
        body = JobOut.from_domain(job, items=False)
        ended = job.state in (JobState.DONE, JobState.FAILED)
        if body != told or ended:
            yield ServerSentEvent(data=body, event="end" if ended else "progress", retry=1_000)
            told = body
        if ended:
            return
        await asyncio.sleep(LOOK_S)
        job = await run_in_threadpool(context.services.catalog.jobs.get, first.id)
