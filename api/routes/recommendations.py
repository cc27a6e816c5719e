"""What persons liked, viewed and hid, and what is recommended to them for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import CallerDep, ServicesDep
from api.persons import person_of
from api.schemas import ErasedOut, EventIn, EventsOut, NotedOut, RecommendationsOut
from search import filters
from search.limits import MAX_K
from search.types import Filter, ImageId

router = APIRouter(tags=["recommendations"])

User = Annotated[str, Query(description="Whose; empty: of whoever holds the key. Another one needs the scope `write`")]
Key = Annotated[str, Query(description="For an admin: the id of the key whose user it is")]


@router.post("/v1/events", status_code=201)
def note(services: ServicesDep, caller: CallerDep, body: EventIn) -> NotedOut:
    """Keep that a user viewed, likes or hides an image; `unlike` takes a like or a hide back."""
    person, at = person_of(caller, body.user), datetime.now(UTC)
    services.note_event(person, ImageId(body.image), body.type, at)
    return NotedOut(user=body.user, image=body.image, type=body.type, at=at)


@router.get("/v1/events")
def events(services: ServicesDep, caller: CallerDep, user: User = "", key: Key = "") -> EventsOut:
    """Return all that is kept of a user, the latest first."""
    return EventsOut.from_domain(user, services.catalog.events.of(person_of(caller, user, key)))


@router.delete("/v1/events")
def erase(services: ServicesDep, caller: CallerDep, user: User = "", key: Key = "") -> ErasedOut:
    """Forget all that is kept of a user, for good, and what was learnt from it."""
    return ErasedOut(user=user, erased=services.erase_events(person_of(caller, user, key)))


@router.get("/v1/recommendations")
def recommend(
    services: ServicesDep,
    caller: CallerDep,
    user: User = "",
    k: Annotated[int, Query(ge=1, le=MAX_K, description="How many images")] = 24,
    filter_: Annotated[str, Query(alias="filter", description="Filter expression")] = "",
) -> RecommendationsOut:
    """Return images that a user may like and has not liked, viewed or hidden, with the reason for each."""
    wanted = filters.parse(filter_) if filter_ else Filter()
    found = services.recommender.recommend(person_of(caller, user), filter=wanted, k=k)
    return RecommendationsOut.from_domain(user, found)
