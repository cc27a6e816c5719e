"""Compound tags, as `dog at beach`: an object in a setting, from tags that are there already."""

from __future__ import annotations

from collections.abc import Sequence

from indexer.settings import setting_of
from search.types import DEFAULT_CONFIDENCE, Tag, TagKind

SOURCE = "compounds"


def compounds(tags: Sequence[Tag]) -> list[Tag]:
    """Return `object at setting` for each object that counts by default; the confidence is the product of both."""
    found = setting_of(tags)
    if found is None:
        return []
    setting, certainty = found
    objects: dict[str, float] = {}
    for tag in tags:
        if tag.kind is TagKind.OBJECT and tag.confidence >= DEFAULT_CONFIDENCE[TagKind.OBJECT]:
            objects[tag.label] = max(tag.confidence, objects.get(tag.label, 0.0))
    made = [
        Tag(TagKind.COMPOUND, f"{label} at {setting.label}", certainty * confidence, SOURCE)
        for label, confidence in objects.items()
    ]
    return sorted(made, key=lambda tag: -tag.confidence)
