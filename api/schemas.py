"""Request and response models of the HTTP API; the command line prints the same ones. `from_domain` joins the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import Scope
from api.key_store import StoredKey
from search import filters
from search.config import RATE
from search.duplicates import DuplicateGroups
from search.jobs import ItemState, Job, JobState
from search.moderation import VERDICTS, Policy, ReviewState
from search.recommend.events import LONGEST_NAME, Event, EventType, Kept
from search.recommend.recommender import Reason, ReasonKind, Recommendations, Recommended
from search.review import ReviewPage
from search.shuffle import MAX_SEED
from search.types import (
    Decision,
    Facet,
    Filter,
    Hit,
    ImageId,
    ImageRecord,
    Mode,
    Query,
    SearchResults,
    Shot,
    Sort,
    Tag,
    TagKind,
    Verdict,
    Weights,
)
from ui.addresses import at

ImageIdText = Field(pattern=r"^[0-9a-f]{32}$")


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TagOut(Model):
    kind: TagKind
    label: str
    confidence: float
    source: str
    box: tuple[float, float, float, float] | None = Field(
        None, description="x, y, width, height as fractions of the upright image"
    )

    @classmethod
    def from_domain(cls, tag: Tag) -> TagOut:
        box = tag.box
        return cls(
            kind=tag.kind,
            label=tag.label,
            confidence=round(tag.confidence, 4),
            source=tag.source,
            box=None if box is None else (box.x, box.y, box.width, box.height),
        )


class Links(Model):
    self: str
    file: str
    thumbnail: str
    similar: str

    @classmethod
    def of(cls, id: ImageId) -> Links:
        base = at(f"/v1/images/{id}")
        return cls(self=base, file=f"{base}/file", thumbnail=f"{base}/thumbnail?size=512", similar=f"{base}/similar")


class LocationOut(Model):
    latitude: float
    longitude: float


class ShotOut(Model):
    lens: str | None
    exposure_s: float | None
    aperture: float | None = Field(description="The f-number")
    iso: int | None
    focal_length_mm: float | None

    @classmethod
    def of(cls, shot: Shot) -> ShotOut:
        return cls(**asdict(shot))


class ImageOut(Model):
    """The whole record of one image."""

    id: str
    files: list[str]
    width: int
    height: int
    mime_type: str
    bytes: int
    orientation: str
    indexed_at: datetime
    taken_at: datetime | None
    camera: str | None
    shot: ShotOut | None = Field(description="How the camera was set, as EXIF tells it")
    location: LocationOut | None
    caption: str | None
    caption_source: str | None
    alt_text: str | None
    tags: list[TagOut]
    verdict: Verdict | None = Field(description="What a moderator decided last")
    links: Links

    @classmethod
    def from_domain(cls, record: ImageRecord) -> ImageOut:
        place = record.location
        return cls(
            id=record.id,
            files=list(record.files),
            width=record.width,
            height=record.height,
            mime_type=record.mime_type,
            bytes=record.bytes,
            orientation=record.orientation,
            indexed_at=record.indexed_at,
            taken_at=record.taken_at,
            camera=record.camera,
            shot=None if record.shot is None else ShotOut.of(record.shot),
            location=None if place is None else LocationOut(latitude=place.latitude, longitude=place.longitude),
            caption=record.caption,
            caption_source=record.caption_source,
            alt_text=record.alt_text,
            tags=[TagOut.from_domain(tag) for tag in record.tags],
            verdict=record.verdict,
            links=Links.of(record.id),
        )


class DecisionOut(Model):
    """What a moderator decided."""

    verdict: Verdict
    by: str = Field(description="The name of the key, or who ran the command")
    at: datetime
    note: str

    @classmethod
    def from_domain(cls, decision: Decision) -> DecisionOut:
        return cls(verdict=decision.verdict, by=decision.by, at=decision.at, note=decision.note)


class ReviewOut(Model):
    """An image in the review queue."""

    id: str
    state: ReviewState | None = Field(description="Null for an image that nothing is said against")
    hidden: bool = Field(description="Whether only moderators see it")
    reasons: list[TagOut] = Field(description="The categories that reach their threshold")
    decisions: list[DecisionOut] = Field(description="Who decided what, when; the last one holds")
    files: list[str]
    width: int
    height: int
    caption: str | None
    alt_text: str | None
    links: Links

    @classmethod
    def from_domain(cls, record: ImageRecord, policy: Policy) -> ReviewOut:
        return cls(
            id=record.id,
            state=policy.state(record),
            hidden=policy.hides(record),
            reasons=[TagOut.from_domain(tag) for tag in policy.reasons(record)],
            decisions=[DecisionOut.from_domain(decision) for decision in record.decisions],
            files=list(record.files),
            width=record.width,
            height=record.height,
            caption=record.caption,
            alt_text=record.alt_text,
            links=Links.of(record.id),
        )


class QueueOut(Model):
    """A page of the review queue."""

    state: ReviewState
    total: int = Field(description="Images in this state")
    images: list[ReviewOut] = Field(description="The last indexed first")
    next: str | None = Field(description="Cursor of the next page")

    @classmethod
    def from_domain(cls, page: ReviewPage, state: ReviewState, policy: Policy) -> QueueOut:
        images = [ReviewOut.from_domain(record, policy) for record in page.images]
        return cls(state=state, total=page.total, images=images, next=None if page.after is None else str(page.after))


class DecisionIn(Model):
    decision: Literal["approve", "reject"]
    note: str = Field("", max_length=2_000, description="Why, for the log")

    @property
    def verdict(self) -> Verdict:
        return VERDICTS[self.decision]


class HitOut(Model):
    id: str
    score: float
    similarity: float | None = Field(description="Cosine of the embeddings, -1 to 1")
    relevance: float | None = Field(description="Calibrated to 0–1")
    keyword: float | None = Field(description="BM25, 0 upward")
    why: list[str]
    parts: dict[str, float] = Field(
        description="What the score is the sum of: `text`, `image`, `keyword`, `tags`; `not` takes away"
    )
    differences: list[str] = Field(description="Of a near-duplicate: in what it differs, as `format: PNG, not JPEG`")
    files: list[str]
    width: int
    height: int
    taken_at: datetime | None
    caption: str | None
    caption_source: str | None
    alt_text: str | None
    tags: list[TagOut]
    links: Links

    @classmethod
    def from_domain(cls, hit: Hit) -> HitOut:
        record = hit.image
        return cls(
            id=record.id,
            score=hit.score,
            similarity=hit.similarity,
            relevance=hit.relevance,
            keyword=hit.keyword,
            why=list(hit.why),
            parts=dict(hit.parts),
            differences=list(hit.differences),
            files=list(record.files),
            width=record.width,
            height=record.height,
            taken_at=record.taken_at,
            caption=record.caption,
            caption_source=record.caption_source,
            alt_text=record.alt_text,
            tags=[TagOut.from_domain(tag) for tag in record.tags],
            links=Links.of(record.id),
        )


class ReasonOut(Model):
    """Why an image is recommended."""

    kind: ReasonKind
    image: str | None = Field(description="What the user liked or viewed")
    labels: list[str] = Field(description="What the two have in common")
    persons: int = Field(description="How many like it, where that is the reason")

    @classmethod
    def from_domain(cls, reason: Reason) -> ReasonOut:
        return cls(kind=reason.kind, image=reason.image, labels=list(reason.labels), persons=reason.persons)


class RecommendedOut(HitOut):
    parts: dict[str, float] = Field(
        description="What the score is the sum of: `content`, `labels`, `others`; or `popular`, `new`"
    )
    because: list[ReasonOut] = Field(description="The strongest first; `why` says the same in words")

    @classmethod
    def of(cls, found: Recommended) -> RecommendedOut:
        because = [ReasonOut.from_domain(reason) for reason in found.reasons]
        return cls(**HitOut.from_domain(found.hit).model_dump(), because=because)


class BasisOut(Model):
    """What recommendations were made from."""

    liked: int
    viewed: int
    hidden: int
    interests: int = Field(description="Groups of what the user likes; 0: nothing is known of them yet")
    persons: int = Field(description="Persons of the library whose events count")
    method: Literal["", "co-occurrence", "factorisation"] = Field(description="How the likes of others are used")


class RecommendationsOut(Model):
    took_ms: float
    user: str
    hits: list[RecommendedOut]
    basis: BasisOut

    @classmethod
    def from_domain(cls, user: str, found: Recommendations) -> RecommendationsOut:
        hits = [RecommendedOut.of(one) for one in found.shown]
        return cls(took_ms=round(found.took_ms, 2), user=user, hits=hits, basis=BasisOut(**asdict(found.basis)))


class EventIn(Model):
    user: str = Field("", max_length=LONGEST_NAME, description="Empty: whoever holds the key")
    image: str = ImageIdText
    type: EventType


class NotedOut(Model):
    user: str
    image: str
    type: EventType
    at: datetime


class EventOut(Model):
    image: str
    type: EventType
    at: datetime = Field(description="Since when; of a view, the last time")
    times: int

    @classmethod
    def from_domain(cls, event: Event) -> EventOut:
        return cls(image=event.image, type=event.type, at=event.at, times=event.times)


class EventsOut(Model):
    """All that is kept of a user."""

    user: str
    events: list[EventOut] = Field(description="The latest first")

    @classmethod
    def from_domain(cls, user: str, kept: Kept) -> EventsOut:
        return cls(user=user, events=[EventOut.from_domain(event) for event in kept])


class ErasedOut(Model):
    user: str
    erased: int = Field(description="Entries that were kept")


class VersionOut(Model):
    """One of several images that are one picture."""

    id: str
    files: list[str]
    width: int
    height: int
    mime_type: str
    bytes: int
    differences: list[str] = Field(description="In what it differs from the first of its group")
    links: Links

    @classmethod
    def from_domain(cls, record: ImageRecord, differences: Sequence[str]) -> VersionOut:
        return cls(
            id=record.id,
            files=list(record.files),
            width=record.width,
            height=record.height,
            mime_type=record.mime_type,
            bytes=record.bytes,
            differences=list(differences),
            links=Links.of(record.id),
        )


class GroupOut(Model):
    images: list[VersionOut] = Field(description="The largest first")


class DuplicatesOut(Model):
    took_ms: float
    total: int = Field(description="Groups in the library; a few may turn out to be none when they are looked at")
    groups: list[GroupOut]
    next: str | None

    @classmethod
    def from_domain(cls, page: DuplicateGroups) -> DuplicatesOut:
        groups = [
            GroupOut(images=list(map(VersionOut.from_domain, group.images, group.differences))) for group in page.groups
        ]
        return cls(took_ms=round(page.took_ms, 2), total=page.total, groups=groups, next=page.next)


class FacetValueOut(Model):
    value: str
    count: int
    selected: bool


class PlanOut(Model):
    route: str
    candidates: int
    allowed: int


FacetsOut = dict[str, list[FacetValueOut]]


def facets_out(facets: list[Facet] | tuple[Facet, ...]) -> FacetsOut:
    return {
        facet.name: [FacetValueOut(value=v.value, count=v.count, selected=v.selected) for v in facet.values]
        for facet in facets
    }


class RangeOut(Model):
    min: int
    max: int


class SuggestedFilterOut(Model):
    """A filter that words of the text stand for, to be offered and not applied."""

    filter: str = Field(description="As it stands in a filter expression: `scene:beach`")
    words: str = Field(description="The words of the text that it stands for")
    rest: str = Field(description="The text without them")
    count: int = Field(description="Images that match it and the filter of the query")


class SearchOut(Model):
    took_ms: float
    total: int
    total_is_exact: bool
    space: str | None
    cutoff: float | None = Field(description="The least relevance of a hit; null where nothing was cut off")
    hits: list[HitOut]
    facets: FacetsOut
    ranges: dict[str, RangeOut] = Field(description="The ends of number fields, by field; without those none has")
    suggested_filters: list[SuggestedFilterOut] = Field(
        description="What the words could be narrowed by, the most useful first; on the first page only"
    )
    next: str | None = Field(description="Cursor of the next page")
    plan: PlanOut

    @classmethod
    def from_domain(cls, results: SearchResults) -> SearchOut:
        return cls(
            took_ms=round(results.took_ms, 2),
            total=results.total,
            total_is_exact=results.total_is_exact,
            space=None if results.space is None else f"{results.space.name}-{results.space.fingerprint[:12]}",
            cutoff=results.cutoff,
            hits=[HitOut.from_domain(hit) for hit in results.hits],
            facets=facets_out(tuple(results.facets)),
            ranges={range.field: RangeOut(min=range.least, max=range.most) for range in results.ranges},
            suggested_filters=[
                SuggestedFilterOut(filter=str(one.term), words=one.words, rest=one.rest, count=one.count)
                for one in results.suggested
            ],
            next=results.next,
            plan=PlanOut(route=results.plan.route, candidates=results.plan.candidates, allowed=results.plan.allowed),
        )


class LookUpIn(Model):
    """A picture on the web to look up."""

    url: str = Field(max_length=2_000, description="As https://…; fetched only where the option `url_lookup` is on")
    box: str = Field("", max_length=200, description="A part of it: `x,y,width,height` as fractions, upright")


class WeightsIn(Model):
    text: float = 1.0
    image: float = 1.0
    keyword: float = 0.3


class SearchIn(Model):
    """A query of any composition: texts, pictures and a vector, wanted and unwanted, under one filter."""

    text: list[str] = []
    not_text: list[str] = []
    images: list[str] = []
    not_images: list[str] = []
    vector: list[float] | None = Field(None, max_length=8192)
    space: str | None = Field(None, max_length=100, description="Of `vector`, by its fingerprint: another is refused")
    filter: str = ""
    weights: WeightsIn = WeightsIn()
    k: int = 24
    cursor: str | None = None
    facets: list[str] = []
    all: list[str] = Field([], description="Facets that are counted within their own selection: all values must hold")
    ranges: list[str] = Field([], description="Number fields whose ends are wanted: people, year, width, height")
    sort: Sort = Sort.RELEVANCE
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="Of `random`; without one, every search has its own")
    mode: Mode = Mode.BLEND
    cutoff: Literal["auto", "none"] | float = "auto"

    def to_domain(self) -> Query:
        return Query(
            texts=tuple(self.text),
            not_texts=tuple(self.not_text),
            images=tuple(map(ImageId, self.images)),
            not_images=tuple(map(ImageId, self.not_images)),
            vector=None if self.vector is None else tuple(self.vector),
            filter=filters.parse(self.filter) if self.filter else Filter(),
            weights=Weights(self.weights.text, self.weights.image, self.weights.keyword),
            k=self.k,
            cursor=self.cursor,
            facets=tuple(self.facets),
            conjunctive=tuple(self.all),
            ranges=tuple(self.ranges),
            sort=self.sort,
            seed=self.seed,
            mode=self.mode,
            cutoff=self.cutoff,
        )


class TagIn(Model):
    kind: TagKind = TagKind.USER
    label: str = Field(min_length=1, max_length=100)


class TagChanges(Model):
    add: list[TagIn] = Field([], max_length=100)
    remove: list[TagIn] = Field([], max_length=100)


class ImagePatch(Model):
    """What a person says of an image; it overrules the models, also in later runs."""

    tags: TagChanges = TagChanges()
    caption: str | None = Field(None, max_length=2_000)
    alt_text: str | None = Field(None, max_length=2_000)


class Suggestion(Model):
    text: str = Field(description="What to put into the search box")
    kind: str = Field(description="`field`, or the kind of the label")
    label: str
    count: int | None = Field(description="Images that carry the label")


class SuggestOut(Model):
    suggestions: list[Suggestion]


class Problem(BaseModel):
    """RFC 9457 problem document."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    position: int | None = None


class SentImage(Model):
    """What became of a picture that was sent."""

    name: str = Field(description="The file's name, as it was sent")
    id: ImageId = ImageIdText
    status: Literal["queued", "running", "done", "known", "rejected"] = Field(
        description="`known`: the library had it already; `rejected`: see `reason`"
    )
    reason: str | None = None


class Accepted(Model):
    """The answer to an upload: the pictures are kept, and indexed soon."""

    job: str
    images: list[SentImage]

    @classmethod
    def from_domain(cls, job: Job) -> Accepted:
        return cls(job=job.id, images=_sent_images(job))


class RejectedOut(Model):
    name: str
    reason: str


class JobOut(Model):
    """How far a job is."""

    id: str
    state: JobState
    done: int = Field(description="Pictures of it that are in the library")
    total: int
    queued: int
    running: int
    rejected: list[RejectedOut]
    created_at: datetime
    finished_at: datetime | None
    images: list[SentImage] | None = Field(None, description="Every picture of it; not in lists and events")

    @classmethod
    def from_domain(cls, job: Job, *, items: bool = True) -> JobOut:
        return cls(
            id=job.id,
            state=job.state,
            done=job.done,
            total=job.total,
            queued=job.counts.get(ItemState.QUEUED, 0),
            running=job.counts.get(ItemState.RUNNING, 0),
            rejected=[RejectedOut(name=one.path, reason=one.reason) for one in job.rejected],
            created_at=job.created_at,
            finished_at=job.finished_at,
            images=_sent_images(job) if items else None,
        )


class JobsOut(Model):
    """The latest jobs, the newest first; ``queued`` and ``running`` are pictures, of all jobs."""

    queued: int
    running: int
    jobs: list[JobOut]

    @classmethod
    def from_domain(cls, jobs: Sequence[Job], counts: Mapping[ItemState, int]) -> JobsOut:
        return cls(
            queued=counts[ItemState.QUEUED],
            running=counts[ItemState.RUNNING],
            jobs=[JobOut.from_domain(job, items=False) for job in jobs],
        )


def _sent_images(job: Job) -> list[SentImage]:
    return [SentImage(name=item.name, id=item.id, status=item.state.value, reason=item.reason) for item in job.items]


class LibraryOut(Model):
    name: str
    url: str = Field(description="What every path of the library begins with")


class LibrariesOut(Model):
    libraries: list[LibraryOut]


_PRINTED = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
"""Something to be seen, and no control characters."""


class KeyIn(Model):
    """A key to be made."""

    name: str = Field(
        min_length=1, max_length=100, pattern=_PRINTED, description="Whose it is, or what for; stands in lists and logs"
    )
    scopes: list[Scope] = Field(min_length=1, description="What it may do; none of them includes another")
    libraries: list[str] | None = Field(None, min_length=1, max_length=1_000, description="Null: all, also later ones")
    rate: str = Field(
        "",
        pattern=rf"^({RATE.pattern}|off)?$",
        description="Requests, as `100/minute`, or `off`; empty: the server's usual rate",
    )
    expires_at: AwareDatetime | None = None


class RotationIn(Model):
    grace_s: int = Field(86_400, ge=0, le=30 * 86_400, description="So long the secret before opens too. Seconds")


class KeyOut(Model):
    """What is known of a key; not the key."""

    id: str
    name: str
    scopes: list[Scope]
    libraries: list[str] | None
    rate: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute")
    revoked_at: datetime | None
    old_until: datetime | None = Field(description="Until when the secret before the last rotation opens too")

    @classmethod
    def from_domain(cls, key: StoredKey) -> KeyOut:
        return cls(
            id=key.id,
            name=key.name,
            scopes=sorted(key.scopes),
            libraries=None if key.libraries is None else sorted(key.libraries),
            rate=key.rate,
            created_at=key.created_at,
            created_by=key.created_by,
            expires_at=key.expires_at,
            last_used_at=key.last_used_at,
            revoked_at=key.revoked_at,
            old_until=key.old_until,
        )


class NewKeyOut(KeyOut):
    key: str = Field(description="The key itself, told this once")

    @classmethod
    def of(cls, key: StoredKey, secret: str) -> NewKeyOut:
        return cls(**KeyOut.from_domain(key).model_dump(), key=secret)


class KeysOut(Model):
    keys: list[KeyOut]
