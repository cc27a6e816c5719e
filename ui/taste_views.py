"""The view models of what a person likes, and of what is recommended to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from search.recommend.events import EventType
from search.recommend.recommender import Reason, Recommendations
from search.types import ImageId
from ui.addresses import at
from ui.language import Words
from ui.parts import HitView, hit_view


@dataclass(frozen=True, slots=True)
class TasteView:
    """What a person said of an image."""

    url: str
    liked: bool
    hidden: bool


@dataclass(frozen=True, slots=True)
class RecommendationsView:
    about: str
    hits: tuple[HitView, ...]
    kept: str
    has_events: bool
    learns: bool
    """Whether views are kept too."""
    said: str


def taste_view(id: ImageId, stance: EventType | None) -> TasteView:
    return TasteView(at(f"/images/{id}"), stance is EventType.LIKE, stance is EventType.HIDE)


def recommendations_view(
    words: Words, found: Recommendations, names: Mapping[ImageId, str], *, learns: bool, said: str
) -> RecommendationsView:
    """Return the page; ``names``: what the images are called that reasons name."""
    basis = found.basis
    hits = []
    for one in found.shown:
        reasons = [_reason_text(words, reason, names) for reason in one.reasons]
        hits.append(replace(hit_view(words, one.hit), why=" · ".join(filter(None, reasons))))
    return RecommendationsView(
        about=words("taste.about") if basis.interests else words("taste.nothing-known"),
        hits=tuple(hits),
        kept=words("taste.kept", liked=basis.liked, viewed=basis.viewed, hidden=basis.hidden),
        has_events=bool(basis.liked or basis.viewed or basis.hidden),
        learns=learns,
        said=said,
    )


def _reason_text(words: Words, reason: Reason, names: Mapping[ImageId, str]) -> str:
    name = names.get(reason.image) if reason.image else ""
    return "" if name is None else words(f"reason.{reason.kind}", name=name, count=reason.persons)
