"""Pictures grouped by their size, so that none is padded because of another."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image


def by_size(images: Sequence[Image.Image]) -> list[list[int]]:
    """Return the places of pictures, those of one size together."""
    groups: dict[tuple[int, int], list[int]] = {}
    for place, image in enumerate(images):
        groups.setdefault(image.size, []).append(place)
    return list(groups.values())
