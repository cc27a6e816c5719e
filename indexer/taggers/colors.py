"""Dominant colours, named, by the share of the picture that they cover."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.types import Matrix, Tag, TagKind

PALETTE: dict[str, tuple[tuple[int, int, int], ...]] = {
    "red": ((200, 30, 35), (150, 20, 25), (230, 60, 60)),
    "orange": ((240, 130, 30), (220, 100, 20)),
    "yellow": ((245, 215, 50), (220, 190, 40), (250, 235, 120)),
    "green": ((50, 140, 50), (30, 80, 35), (120, 170, 70), (85, 105, 45), (140, 200, 130)),
    "teal": ((30, 140, 140), (20, 90, 95), (100, 190, 185)),
    "blue": ((40, 90, 200), (25, 45, 110), (90, 150, 225), (150, 195, 240)),
    "purple": ((120, 50, 160), (75, 35, 95), (160, 120, 205)),
    "pink": ((240, 120, 170), (250, 185, 205), (215, 60, 130)),
    "brown": ((120, 75, 40), (80, 50, 30), (150, 105, 70)),
    "beige": ((225, 205, 170), (200, 175, 140)),
    "black": ((15, 15, 15), (35, 35, 38)),
    "grey": ((128, 128, 128), (80, 80, 82), (175, 175, 177)),
    "white": ((250, 250, 250), (225, 225, 225)),
}
"""Examples of each name, in sRGB: a name covers a region that no single point is the middle of."""

SIDE = 48
LEAST_SHARE = 0.08


class ColorTagger:
    """Names the colours that cover at least 8 % of a picture; the confidence is the share of the area.

    A pixel takes the name of the nearest example in OKLab (Ottosson, "A perceptual color space for image
    processing", 2020), where equal distances look equally different.
    """

    source = "oklab-palette"
    kinds = frozenset({TagKind.COLOR})
    fingerprint = f"{source} 1"
    side = SIDE

    def __init__(self) -> None:
        self._names = list(PALETTE)
        examples = [(i, rgb) for i, name in enumerate(self._names) for rgb in PALETTE[name]]
        self._name_of = np.array([i for i, _ in examples])
        self._examples = oklab(np.array([rgb for _, rgb in examples], np.uint8))
        self._half_squares = (self._examples**2).sum(axis=1) / 2

    def tag(self, images: Sequence[Image.Image], vectors: Matrix) -> list[list[Tag]]:  # noqa: ARG002
        return [self._tags(image) for image in images]

    def _tags(self, image: Image.Image) -> list[Tag]:
        pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX)).reshape(-1, 3)
        # The nearest x has the greatest x·p − |x|²/2: an eighth of the time that all distances take.
        nearness = oklab(pixels) @ self._examples.T - self._half_squares
        names = self._name_of[nearness.argmax(axis=1)]
        shares = np.bincount(names, minlength=len(self._names)) / len(pixels)
        order = np.argsort(-shares, kind="stable")
        return [
            Tag(TagKind.COLOR, self._names[i], float(shares[i]), self.source) for i in order if shares[i] >= LEAST_SHARE
        ]


_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def oklab(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return sRGB bytes, shape (n, 3), as OKLab: lightness 0–1, a and b about −0.4 to 0.4."""
    value = rgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ _TO_LMS.T) @ _TO_LAB.T)
