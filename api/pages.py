"""What the pages ask for, answered from the open library."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import BinaryIO

from fastapi import Request, Response

from api.deps import Context, get_caller
from api.map_keeper import MapKeeper
from api.persons import person_of
from api.routes import jobs as sending
from api.uploads import RecentPictures
from indexer.browser.files import found
from indexer.ingest import take_out
from search import saved
from search.duplicates import DuplicateGroups
from search.engine import Picture
from search.errors import Unavailable
from search.jobs import Job
from search.limits import check_vector
from search.mapping import LibraryMap
from search.moderation import ReviewState
from search.recommend.events import EventType, stance
from search.recommend.recommender import Recommendations
from search.review import ReviewPage, review_page
from search.saved import SavedSearch
from search.types import (
    Box,
    Decision,
    Facet,
    Filter,
    ImageId,
    ImageRecord,
    Query,
    SearchResults,
    SimilarBy,
    Tag,
    Vector,
    Verdict,
)
from ui.backend import Labels, Library


class LibraryPages:
    """Satisfies `ui.backend.PageBackend`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = context.services
        self._recent = RecentPictures()
        self._map = MapKeeper(context.services)

    def close(self) -> None:
        """Wait for what is done in the background."""
        self._map.close()

    def library(self) -> Library | None:
        try:
            return Library(len(self._services.tags), self._services.profile, behind=self._services.behind is not None)
        except Unavailable:
            return None

    def search(self, query: Query) -> SearchResults:
        self._services.refresh()
        return self._services.engine.search(query)

    def facets(self, names: Sequence[str], filter: Filter, *, size: int, prefix: str = "") -> Sequence[Facet]:
        self._services.refresh()
        return self._services.tags.facets(names, filter, within=None, size=size, prefix=prefix)

    def counts(self, filters: Sequence[Filter]) -> Sequence[int]:
        return self._services.tags.counts(filters)

    def map(self) -> tuple[LibraryMap | None, bool]:
        self._services.refresh()
        return self._map.current()

    def labels(self, prefix: str, *, k: int) -> Sequence[tuple[str, str, int]]:
        return self._services.tags.labels(prefix, k=k)

    def vector(self, id: ImageId) -> Vector:
        return self._services.engine.embedding(id)

    def record(self, id: ImageId) -> ImageRecord:
        return self._context.told(self._services.catalog.record(id))

    def similar(self, id: ImageId, *, by: SimilarBy, filter: Filter, k: int) -> SearchResults:
        self._services.refresh()
        return self._services.engine.similar(id, by=by, filter=filter, k=k)

    def part(self, id: ImageId, box: Box) -> Picture:
        return self._context.part(id, box)

    def duplicates(self, *, cursor: str | None, k: int) -> DuplicateGroups:
        self._services.refresh()
        return self._services.engine.duplicate_groups(cursor=cursor, k=k)

    def remember(self, upload: BinaryIO) -> str:
        return self._recent.keep(self._context.lookup.picture(upload))

    def remember_vector(self, vector: Sequence[float], space: str) -> str:
        self._services.engine.expect_space(space)
        check_vector(vector)
        return self._recent.keep(Picture(self._services.engine.given(vector), 0))

    def for_browsers(self) -> int:
        files = found(self._services.config.data, self._services.encoder.space) or {}
        return sum(path.stat().st_size for path in files.values())

    def remembered(self, token: str) -> Picture | None:
        return self._recent.get(token)

    async def accept(self, request: Request) -> str:
        return (await sending.upload(self._context, request, Response())).job

    def jobs(self, limit: int) -> Sequence[Job]:
        return self._services.catalog.jobs.latest(limit)

    def job(self, id: str) -> Job:
        return self._services.catalog.jobs.get(id)

    def reviews(self, state: ReviewState, *, after: int | None, k: int) -> ReviewPage:
        return review_page(self._services.catalog, self._services.policy, state, after=after, k=k)

    def reasons(self, record: ImageRecord) -> Sequence[Tag]:
        return self._services.policy.reasons(record)

    def decide(self, request: Request, id: ImageId, verdict: Verdict, note: str) -> ImageRecord:
        decision = Decision(verdict, get_caller(request).name, datetime.now(UTC), note)
        record = self._services.catalog.decide(id, decision)
        self._services.noted()
        return record

    def recommendations(self, request: Request, *, k: int) -> Recommendations:
        self._services.refresh()
        return self._services.recommender.recommend(_person(request), filter=Filter(), k=k)

    def stance(self, request: Request, id: ImageId) -> EventType | None:
        return stance(self._services.catalog.events.of(_person(request)), id)

    def note(self, request: Request, id: ImageId, type: EventType) -> None:
        self._services.note_event(_person(request), id, type)

    def erase_events(self, request: Request) -> int:
        return self._services.erase_events(_person(request))

    def saved(self) -> Sequence[SavedSearch]:
        return self._services.catalog.saved_searches()

    def save(self, search: SavedSearch) -> None:
        self._services.catalog.change_saved_searches(lambda known: saved.with_search(known, search))

    def forget(self, name: str) -> None:
        self._services.catalog.change_saved_searches(lambda known: saved.without_search(known, name))

    def edit(self, id: ImageId, *, add: Labels, remove: Labels, caption: str | None, alt_text: str | None) -> None:
        self._services.catalog.edit(id, add=add, remove=remove, caption=caption, alt_text=alt_text)
        self._services.noted()

    def remove(self, ids: Sequence[ImageId]) -> None:
        for id in ids:
            take_out(self._services.catalog, self._context.uploads, id)
            self._context.media.forget(id)
        self._services.noted()


def _person(request: Request) -> str:
    return person_of(get_caller(request), "")
