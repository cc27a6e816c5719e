"""Pictures in batches of one size, so that none is padded because of another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from PIL import Image


def by_size(images: Sequence[Image.Image], most: int) -> Iterator[list[int]]:
    """Yield the places of pictures of one size each, at most ``most`` together."""
    groups: dict[tuple[int, int], list[int]] = {}
    for place, image in enumerate(images):
        groups.setdefault(image.size, []).append(place)
    for places in groups.values():
        for start in range(0, len(places), most):
            yield places[start : start + most]
