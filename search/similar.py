"""Likeness by shared tags: which of a picture's tags say what it is like."""

from __future__ import annotations

from collections.abc import Iterable

from search.types import DEFAULT_CONFIDENCE, Tag, TagKind

TAG_KINDS = (TagKind.OBJECT, TagKind.SCENE, TagKind.ATTRIBUTE, TagKind.STYLE, TagKind.COLOR, TagKind.USER)


def telling_labels(described: Iterable[Tag]) -> dict[tuple[TagKind, str], float]:
    """Return the labels that say what a picture is like, each with its best confidence."""
    best: dict[tuple[TagKind, str], float] = {}
    for tag in described:
        if tag.kind in TAG_KINDS and tag.confidence >= DEFAULT_CONFIDENCE[tag.kind]:
            key = tag.kind, tag.label.casefold()
            best[key] = max(tag.confidence, best.get(key, 0.0))
    return best
