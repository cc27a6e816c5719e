"""What people wrote in a picture's file or in a sidecar beside it: keywords, a caption, an alt text, stars. No I/O."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from search.types import Tag, TagKind

XMP, IPTC, PHOTOPRISM = "xmp", "iptc", "photoprism"
SOURCES = frozenset((XMP, IPTC, PHOTOPRISM))
"""Sources of such tags and captions: where it was written. What a person said in Snapseek has another one."""

UNREAD = "?"
"""In place of what tells whether sidecars changed: they were not looked at yet, nor was what the file itself holds."""


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Written:
    """What was written about one file."""

    keywords: tuple[Text, ...] = ()
    """Of a hierarchy each level by itself, and the whole as `Places/Europe/Paris`."""
    caption: Text | None = None
    alt_text: Text | None = None
    stars: Text | None = None
    """As a tag: `4 stars`."""

    def __bool__(self) -> bool:
        return self != Written()


def merged(sidecars: Sequence[Written], embedded: Sequence[Written]) -> Written:
    """Return what holds of several sources: what sidecars say goes before what is in the file.

    Keywords are those of all sidecars, or, where these have none, all that are in the file; of the rest each is the
    first that there is.
    """
    return replace(together([*sidecars, *embedded]), keywords=_keywords(sidecars) or _keywords(embedded))


def together(written: Sequence[Written]) -> Written:
    """Return what was written about any of an image's files, which are copies of each other."""
    if len(written) == 1:
        return written[0]
    return Written(
        _keywords(written),
        next((one.caption for one in written if one.caption), None),
        next((one.alt_text for one in written if one.alt_text), None),
        next((one.stars for one in written if one.stars), None),
    )


def tags(written: Written) -> tuple[Tag, ...]:
    said = (*written.keywords, *([written.stars] if written.stars else []))
    return tuple(Tag(TagKind.USER, word.text, 1.0, word.source) for word in said)


def to_text(written: Written | None) -> str | None:
    """Return it as JSON; None for nothing."""
    if not written:
        return None
    fields = {
        "keywords": [[word.text, word.source] for word in written.keywords],
        "caption": _pair(written.caption),
        "alt_text": _pair(written.alt_text),
        "stars": _pair(written.stars),
    }
    return json.dumps({name: value for name, value in fields.items() if value}, ensure_ascii=False)


def of_text(text: str | None) -> Written | None:
    if text is None:
        return None
    fields = json.loads(text)
    single = {name: Text(*fields[name]) for name in ("caption", "alt_text", "stars") if name in fields}
    return Written(tuple(Text(*pair) for pair in fields.get("keywords", ())), **single)


def _pair(text: Text | None) -> list[str] | None:
    return None if text is None else [text.text, text.source]


def _keywords(written: Sequence[Written]) -> tuple[Text, ...]:
    """Return the distinct keywords of all; of those that differ in case only, the first."""
    words = [word for one in written for word in one.keywords]
    return tuple({word.text.casefold(): word for word in reversed(words)}.values())[::-1]
