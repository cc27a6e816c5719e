"""The view models of the review queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from search.moderation import ReviewState
from search.review import ReviewPage
from search.types import ImageRecord, Tag, Verdict
from ui.addresses import at
from ui.language import Words
from ui.parts import Link, described, name_of, thumbnail

Reasons = Callable[[ImageRecord], Sequence[Tag]]


@dataclass(frozen=True, slots=True)
class ReviewView:
    id: str
    url: str
    thumbnail: str
    width: int
    height: int
    alt: str
    name: str
    reasons: tuple[str, ...]
    decided: tuple[str, ...]
    """Who decided what, when, the latest first."""
    verdict: str
    """``approved``, ``rejected`` or empty: what holds now."""
    back_url: str


@dataclass(frozen=True, slots=True)
class QueueView:
    title: str
    states: tuple[Link, ...]
    reviews: tuple[ReviewView, ...]
    next_url: str


def queue_view(words: Words, found: ReviewPage, state: ReviewState, reasons: Reasons, *, here_url: str) -> QueueView:
    onward = urlencode({"state": state.value, "after": found.after})
    return QueueView(
        title=words(f"moderation.{state}", count=found.total),
        states=tuple(
            Link(words(f"moderation.state-{one}"), at(f"/moderation?state={one}"), one is state) for one in ReviewState
        ),
        reviews=tuple(review_view(words, image, reasons(image), back_url=here_url) for image in found.images),
        next_url="" if found.after is None else at(f"/moderation?{onward}"),
    )


def review_view(words: Words, image: ImageRecord, reasons: Sequence[Tag], *, back_url: str) -> ReviewView:
    decided = [
        words(
            "moderation.decided",
            verdict=words(f"moderation.verdict-{one.verdict}"),
            by=one.by,
            day=words.date(one.at),
            note=f": {one.note}" if one.note else "",
        )
        for one in reversed(image.decisions)
    ]
    return ReviewView(
        id=image.id,
        url=at(f"/images/{image.id}"),
        thumbnail=thumbnail(image.id, 512),
        width=image.width,
        height=image.height,
        alt=described(words, image),
        name=name_of(image),
        reasons=tuple(f"{tag.label} {tag.confidence:.0%}, {tag.source}" for tag in reasons),
        decided=tuple(decided),
        verdict=Verdict(image.verdict).value if image.verdict else "",
        back_url=back_url,
    )
