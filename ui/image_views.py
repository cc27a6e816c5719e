"""The view model of one image: what was found in it, by whom, and what is known of its files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from search import filters
from search.boxes import box_text
from search.recommend.events import EventType
from search.types import DEFAULT_CONFIDENCE, PERSON, Filter, Hit, ImageId, ImageRecord, Shot, Tag, TagKind
from search.written import SOURCES
from ui.addresses import at
from ui.language import Words
from ui.parts import HitView, described, hit_views, name_of, ratio_of, size_text, thumbnail
from ui.state import Like, SearchState
from ui.taste_views import TasteView, taste_view

COMPOSED = "composed"
KIND_ORDER = (
    TagKind.USER,
    TagKind.OBJECT,
    TagKind.SCENE,
    TagKind.ATTRIBUTE,
    TagKind.STYLE,
    TagKind.COLOR,
    TagKind.COMPOUND,
    TagKind.CLASS,
    TagKind.SEGMENT,
    TagKind.TEXT,
    TagKind.MODERATION,
)
KINDS_TO_ADD = (TagKind.USER, TagKind.OBJECT, TagKind.SCENE, TagKind.ATTRIBUTE, TagKind.STYLE, TagKind.COLOR)
"""That a person may say of an image."""


@dataclass(frozen=True, slots=True)
class TagView:
    kind: str
    label: str
    confidence: str
    source: str
    search_url: str
    box: tuple[float, float, float, float] | None
    like_url: str
    """Where pictures are that look like what is in the box."""
    number: int
    matched: bool
    """Whether the search that led here asked for it."""


@dataclass(frozen=True, slots=True)
class TagGroup:
    title: str
    sources: str
    """Who said them: "by yolo11s and a person"."""
    mixed: bool
    """Whether each tag has to tell its own source."""
    tags: tuple[TagView, ...]
    more: tuple[TagView, ...]
    """Those that the models are less sure of than a filter asks for by default."""


@dataclass(frozen=True, slots=True)
class LabelView:
    """A label that a person may take away."""

    kind: str
    kind_title: str
    label: str


@dataclass(frozen=True, slots=True)
class ImageView:
    title: str
    id: ImageId
    url: str
    picture: str
    file: str
    width: int
    height: int
    ratio: int
    """Width to height in tenths."""
    wide: int
    """How wide it is shown at most, in hundreds of pixels: no more than twice what it has."""
    alt: str
    caption: str
    caption_source: str
    alt_text: str
    groups: tuple[TagGroup, ...]
    boxes: tuple[TagView, ...]
    labels: tuple[LabelView, ...]
    kinds: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    files: tuple[str, ...]
    why: tuple[str, ...]
    similar: tuple[HitView, ...]
    copies: tuple[HitView, ...]
    similar_url: str
    asked: tuple[tuple[str, str], ...]
    """The search that led here, for forms that come back."""
    taste: TasteView
    said: str = ""
    """What was done just now."""


def image_view(
    words: Words,
    image: ImageRecord,
    similar: Sequence[Hit],
    copies: Sequence[Hit] = (),
    *,
    matched: Collection[tuple[TagKind, str]] = (),
    why: Sequence[str] = (),
    asked: SearchState | None = None,
    stance: EventType | None = None,
    said: str = "",
) -> ImageView:
    """Return an image; ``matched``: the labels that were asked for; ``why``: what else it was found by."""
    tags = [_tag_view(words, image, number, (tag.kind, tag.label) in matched) for number, tag in enumerate(image.tags)]
    counted = {view.number for view, tag in zip(tags, image.tags, strict=True) if _counts(tag)}
    labels = dict.fromkeys((tag.kind, tag.label) for tag in image.tags if _counts(tag))
    return ImageView(
        title=image.caption or name_of(image),
        id=image.id,
        url=at(f"/images/{image.id}"),
        picture=thumbnail(image.id, 1024),
        file=at(f"/v1/images/{image.id}/file"),
        width=image.width,
        height=image.height,
        ratio=ratio_of(image),
        wide=min(10, max(1, image.width // 50)),
        alt=described(words, image),
        caption=image.caption or "",
        caption_source=_caption_source(words, image),
        alt_text=image.alt_text or "",
        groups=tuple(_groups(words, image.tags, tags, counted)),
        boxes=tuple(view for view in tags if view.box and view.number in counted),
        labels=tuple(LabelView(kind, words(f"kind.{kind}"), label) for kind, label in labels),
        kinds=tuple((kind.value, words(f"kind.{kind}")) for kind in KINDS_TO_ADD),
        facts=tuple(facts(words, image)),
        files=image.files,
        why=tuple(why),
        similar=hit_views(words, similar),
        copies=hit_views(words, copies),
        similar_url=SearchState(likes=(Like(image.id),)).url(),
        asked=tuple(asked.params().items()) if asked else (),
        taste=taste_view(image.id, stance),
        said=said,
    )


def _caption_source(words: Words, image: ImageRecord) -> str:
    if not image.caption:
        return ""
    match image.caption_source:
        case "composed":
            return words("image.caption-composed")
        case source if source == PERSON or source in SOURCES:
            return words("image.caption-person")
    return words("image.caption-by", source=image.caption_source or "")


def _counts(tag: Tag) -> bool:
    return tag.confidence >= DEFAULT_CONFIDENCE[tag.kind]


def _tag_view(words: Words, image: ImageRecord, number: int, matched: bool) -> TagView:
    tag = image.tags[number]
    expression = filters.with_value(Filter(), tag.kind.value, tag.label) if tag.kind is not TagKind.TEXT else Filter()
    box = tag.box
    return TagView(
        kind=tag.kind.value,
        label=tag.label,
        confidence=f"{tag.confidence:.0%}",
        source=words("image.a-person") if tag.source == PERSON else tag.source,
        search_url=SearchState(filter=expression).url(),
        box=None if box is None else (box.x, box.y, box.width, box.height),
        like_url="" if box is None else SearchState(likes=(Like(image.id, box_text(box)),)).url(),
        number=number,
        matched=matched,
    )


def _groups(
    words: Words, tags: Sequence[Tag], views: Sequence[TagView], counted: Collection[int]
) -> Iterable[TagGroup]:
    for kind in KIND_ORDER:
        of_kind = [view for view, tag in zip(views, tags, strict=True) if tag.kind is kind]
        if of_kind:
            sure = tuple(view for view in of_kind if view.number in counted)
            rest = tuple(view for view in of_kind if view.number not in counted)
            sources = list(dict.fromkeys(view.source for view in of_kind))
            by = words("image.by", sources=words("format.and").join(sources))
            yield TagGroup(words(f"kind.{kind}"), by, len(sources) > 1, sure, rest)


def facts(words: Words, image: ImageRecord) -> Iterable[tuple[str, str]]:
    size = words("image.size-is", width=str(image.width), height=str(image.height), bytes=size_text(words, image.bytes))
    yield words("image.size"), size
    yield words("image.format"), image.mime_type.removeprefix("image/").upper()
    if image.taken_at:
        yield words("image.taken"), f"{words.date(image.taken_at)}, {image.taken_at:%H:%M}"
    if image.camera:
        yield words("image.camera"), image.camera
    if image.shot:
        if image.shot.lens:
            yield words("image.lens"), image.shot.lens
        if setting := ", ".join(_setting(words, image.shot)):
            yield words("image.setting"), setting
    if image.location:
        yield words("image.place"), f"{image.location.latitude:.5f}, {image.location.longitude:.5f}"
    yield words("image.indexed"), words.date(image.indexed_at)


def _setting(words: Words, shot: Shot) -> Iterable[str]:
    """Say how a camera was set as photographers do: 50 mm, f/2.8, 1/250 s, ISO 200."""
    if shot.focal_length_mm:
        yield f"{_short(words, shot.focal_length_mm)} mm"
    if shot.aperture:
        yield f"f/{_short(words, shot.aperture)}"
    if shot.exposure_s:
        by_second = 1 / shot.exposure_s
        # From about a third of a second on, cameras count in tenths.
        yield f"1/{round(by_second)} s" if by_second > 3 else f"{_short(words, shot.exposure_s)} s"
    if shot.iso:
        yield f"ISO {shot.iso}"


def _short(words: Words, number: float) -> str:
    """Return a number with one digit after the point, or none where that says nothing."""
    return words.decimal(number, 0 if round(number, 1).is_integer() else 1)
