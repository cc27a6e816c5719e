"""Inputs to trace, calibrate and check a tower with, where no pictures of the user's are at hand."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

TEXTS = tuple(
    f"a photo of {thing} in {place}"
    for thing in ("a dog", "two people", "red cars")
    for place in ("snow", "a street", "the kitchen")
)


def dead_leaves(count: int, seed: int, *, width: int = 320, height: int = 240) -> list[Image.Image]:
    """Return pictures of opaque discs of all sizes, one over the other: their statistics are those of photos.

    Radii follow r⁻³, which makes the picture's spectrum scale as nature's does (Lee, Mumford and Huang, IJCV 2001);
    such pictures can stand in for photos (Baradad et al., NeurIPS 2021).
    """
    rng = np.random.default_rng(seed)
    return [_leaves(rng, width, height) for _ in range(count)]


def _leaves(rng: np.random.Generator, width: int, height: int, discs: int = 600) -> Image.Image:
    least, most = 2.0, height / 2
    # The inverse of the distribution function of r⁻³ between the two.
    radii = (least**-2 - rng.random(discs) * (least**-2 - most**-2)) ** -0.5
    base, spread = rng.uniform(0, 255, 3), rng.uniform(10, 110)
    colours = np.clip(rng.normal(base, spread, (discs, 3)), 0, 255).astype(int)
    centres = rng.random((discs, 2)) * (width, height)
    picture = Image.new("RGB", (width, height), tuple(base.astype(int)))
    draw = ImageDraw.Draw(picture)
    for (x, y), radius, colour in zip(centres, radii, colours, strict=True):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(colour))
    return picture.convert("L").convert("RGB") if rng.random() < 0.1 else picture
