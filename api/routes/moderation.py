"""The review queue: what is flagged, what people decided of it, and who."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import CallerDep, ImageIdDep, ServicesDep
from api.schemas import DecisionIn, QueueOut, ReviewOut
from search.errors import InvalidQuery
from search.limits import MAX_K
from search.moderation import ReviewState
from search.review import review_page
from search.types import Decision

router = APIRouter(tags=["moderation"])


@router.get("/v1/moderation")
def queue(
    services: ServicesDep,
    state: ReviewState = ReviewState.FLAGGED,
    k: Annotated[int, Query(ge=1, le=MAX_K, description="Images a page")] = 24,
    cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
) -> QueueOut:
    """List the images that wait for a decision, or those that have one."""
    after = parse_cursor(cursor)
    page = review_page(services.catalog, services.policy, state, after=after, k=k)
    return QueueOut.from_domain(page, state, services.policy)


@router.get("/v1/moderation/{id}")
def review(services: ServicesDep, id: ImageIdDep) -> ReviewOut:
    """Return why an image is flagged, and who decided what of it, when."""
    return ReviewOut.from_domain(services.catalog.record(id), services.policy)


@router.post("/v1/moderation/{id}")
def decide(services: ServicesDep, id: ImageIdDep, caller: CallerDep, body: DecisionIn) -> ReviewOut:
    """Approve or reject an image, whatever was decided before. What is rejected is found by nobody from now on."""
    decision = Decision(body.verdict, caller.name, datetime.now(UTC), body.note)
    record = services.catalog.decide(id, decision)
    services.noted()
    return ReviewOut.from_domain(record, services.policy)


def parse_cursor(cursor: str | None) -> int | None:
    """Return the place that a page's ``next`` stands for. Raises InvalidQuery for any other text."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= 10):
        raise InvalidQuery("the cursor is not one that an answer gave as `next`")
    return min(int(cursor), 2**32 - 1)
