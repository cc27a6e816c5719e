"""View models that several pages share: links, hits, errors. All that a template may see is worded and formatted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from search.types import Hit, ImageId, ImageRecord
from ui.addresses import at
from ui.language import Words
from ui.state import SearchState

LEAST_RATIO, MOST_RATIO = 4, 32
"""Widths to heights that a list shows without cutting, in tenths; app.css has a class for each."""
STRENGTHS = ((0.85, "strong"), (0.5, "good"), (0.2, "weak"), (0.0, "far"))


@dataclass(frozen=True, slots=True)
class Link:
    title: str
    url: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class ErrorView:
    title: str
    detail: str
    marked: str = ""
    """The expression with a mark under the place that does not parse."""


@dataclass(frozen=True, slots=True)
class HitView:
    id: ImageId
    url: str
    thumbnails: str
    """As a ``srcset`` wants it: the browser takes the smallest that is large enough."""
    thumbnail: str
    large: str
    width: int
    height: int
    ratio: int
    """Width to height in tenths, as the list shows it."""
    alt: str
    caption: str
    why: str
    strength: str
    """Relevance in words, so that it is not told by a number alone."""
    band: str
    """The same as a word of the style sheet."""


def marked(expression: str, position: int | None) -> str:
    """Return an expression with a mark under a position; without one, nothing."""
    return "" if position is None else f"{expression}\n{' ' * position}^"


def hit_view(words: Words, hit: Hit, state: SearchState | None = None) -> HitView:
    """Return a hit; its page shows what matched of the ``state`` that found it."""
    image = hit.image
    asked = SearchState(text=state.text, filter=state.filter).params() if state else {}
    band = "" if hit.relevance is None else next(name for least, name in STRENGTHS if max(0, hit.relevance) >= least)
    return HitView(
        id=image.id,
        url=at(f"/images/{image.id}") + (f"?{urlencode(asked)}" if asked else ""),
        thumbnails=", ".join(f"{thumbnail(image.id, side)} {_shown_width(image, side)}w" for side in (256, 512, 1024)),
        thumbnail=thumbnail(image.id, 512),
        large=thumbnail(image.id, 1024),
        width=image.width,
        height=image.height,
        ratio=ratio_of(image),
        alt=described(words, image),
        caption=image.caption or "",
        why=" · ".join(hit.why),
        strength=words(f"strength.{band}") if band else "",
        band=band,
    )


def ratio_of(image: ImageRecord) -> int:
    """Return the width to the height in tenths, as far as the style sheet has a class for it."""
    return min(MOST_RATIO, max(LEAST_RATIO, round(10 * image.width / image.height)))


def thumbnail(id: ImageId, side: int) -> str:
    return at(f"/v1/images/{id}/thumbnail?size={side}")


def _shown_width(image: ImageRecord, side: int) -> int:
    """Return the width of a thumbnail whose long side has so many pixels."""
    return max(1, round(min(side, image.width) if image.width >= image.height else side * image.width / image.height))


def described(words: Words, image: ImageRecord) -> str:
    """Return what stands for a picture where it cannot be seen."""
    return image.alt_text or image.caption or words("image.unnamed", name=name_of(image))


def name_of(image: ImageRecord) -> str:
    return image.files[0] if image.files else image.id


def size_text(words: Words, count: int) -> str:
    """Return a number of bytes as people say it."""
    for unit, size in (("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{words.decimal(count / size)} {unit}"
    return words("format.bytes", count=count)


def hit_views(words: Words, hits: Sequence[Hit], state: SearchState | None = None) -> tuple[HitView, ...]:
    return tuple(hit_view(words, hit, state) for hit in hits)
