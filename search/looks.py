"""What pictures look like, small: whether one is another in another size, crop or colour, and which part it shows."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, WebPImagePlugin

from search.types import ImageId

THUMBNAIL_SIDE = 512
"""Long side of the thumbnails that indexing makes."""

Grey = NDArray[np.float32]

SIDE = 48
"""Long side in pixels of what is compared: fine enough to place a crop within 2 %, and a tenth of a millisecond."""
LEAST_PART = 0.6
"""The smallest part of a picture's width and height that is found as a crop of it."""
COARSE, FINE = 0.05, 0.0125
"""Steps in which parts are tried: first all, then around the best."""
WHOLE_MARGIN = 0.01
"""How much better a part must fit than the whole."""
REMEMBERED = 10_000
"""Looks that are kept at hand, of 7 kB each."""
LEAST_CONTRAST = 2.0
"""Standard deviation of grey levels, of 255, below which a picture is flat, and like nothing or everything."""


@dataclass(frozen=True, slots=True)
class Look:
    """A picture reduced to what is compared."""

    grey: Grey
    """Long side `SIDE`, 0 to 255."""
    chroma: float
    """Mean distance of the colours from grey, 0 to 255: under 2 for a black-and-white picture, however compressed."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """How one picture lies in another one."""

    agreement: float
    """Correlation of the grey levels where they overlap, -1 to 1."""
    width: float = 1.0
    """Which part of the other's width it shows, and of its height; 1 and 1 for the whole."""
    height: float = 1.0
    inside: bool = True
    """False where it is the other way round: the other lies in this one, and the parts are of this one."""

    @property
    def area(self) -> float:
        return self.width * self.height


Looks = Callable[[ImageId], Look | None]
"""Finds the look of an image; None where nothing is left to look at."""


def look_of(image: Image.Image) -> Look:
    """Return the look of an upright RGB picture."""
    scale = SIDE / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    pixels = np.asarray(image.resize(size, Image.Resampling.BOX), dtype=np.float32)
    grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    return Look(grey, float((pixels.max(axis=2) - pixels.min(axis=2)).mean()))


def overlap(one: Look, other: Look) -> Overlap:
    """Return how the one lies in the other or the other in it, upright, at the best of all places and scales."""
    inside, around = _within(one, other), _within(other, one)
    if around.agreement > inside.agreement:
        return Overlap(around.agreement, around.width, around.height, inside=False)
    return inside


def _within(inner: Look, outer: Look) -> Overlap:
    """Return where ``inner`` lies in ``outer``. The whole is preferred to a part that fits hardly better."""
    source, field = Image.fromarray(inner.grey), outer.grey.astype(np.float64)
    tried = {part: _at_scale(source, field, part) for part in np.arange(1.0, LEAST_PART - 1e-9, -COARSE)}
    best = max(tried, key=lambda part: tried[part].agreement)
    for part in best + FINE * np.array([-3, -2, -1, 1, 2, 3]):
        if LEAST_PART <= part <= 1.0:
            tried[part] = _at_scale(source, field, part)
    found, whole = max(tried.values(), key=lambda overlap: overlap.agreement), tried[1.0]
    return whole if whole.agreement > found.agreement - WHOLE_MARGIN else found


def _at_scale(source: Image.Image, field: NDArray[np.float64], part: float) -> Overlap:
    """Return the best place of a picture as large as ``part`` of the largest that the field can hold."""
    rows, columns = field.shape
    fit = part * min(rows / source.height, columns / source.width)
    width, height = (max(2, round(side * fit)) for side in source.size)
    if width > columns or height > rows:
        return Overlap(-1.0)
    template = np.asarray(source.resize((width, height), Image.Resampling.BOX), dtype=np.float64)
    return Overlap(float(_correlations(template, field).max()), width / columns, height / rows)


def _correlations(template: NDArray[np.float64], field: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the correlation of a template with each window of a field that has its shape; 0 where one is flat."""
    shape, count = template.shape, template.size
    rows, columns = field.shape[0] - shape[0] + 1, field.shape[1] - shape[1] + 1
    centred = template - template.mean()
    spectrum = np.fft.rfft2(field) * np.conj(np.fft.rfft2(centred, field.shape))
    products = np.fft.irfft2(spectrum, field.shape)[:rows, :columns]
    spread = _sums(field**2, shape) - _sums(field, shape) ** 2 / count
    least = count * LEAST_CONTRAST**2
    own = (centred**2).sum()
    known = (spread > least) & (own > least)
    return np.asarray(np.where(known, products / np.sqrt(np.maximum(spread, least) * max(own, least)), 0.0))


def _sums(field: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the sum over each window, by differences of a table of sums."""
    table = np.pad(field, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    high, wide = shape
    return np.asarray(table[high:, wide:] - table[:-high, wide:] - table[high:, :-wide] + table[:-high, :-wide])


def thumbnail_path(folder: Path, id: ImageId, side: int = THUMBNAIL_SIDE) -> Path:
    """Return where the thumbnail of an image is kept, if it was made."""
    return folder / id[:2] / f"{id}-{side}.webp"


def looks_in(folder: Path) -> Looks:
    """Return what looks at the thumbnails of a library, and remembers some thousand of them."""

    @functools.lru_cache(maxsize=REMEMBERED)
    def look(id: ImageId) -> Look:
        with Image.open(
            io.BytesIO(thumbnail_path(folder, id).read_bytes()), formats=[WebPImagePlugin.WebPImageFile.format]
        ) as image:
            return look_of(image.convert("RGB"))

    def look_or_none(id: ImageId) -> Look | None:
        try:
            return look(id)
        except OSError:  # not made yet, or removed: a cache may be
            return None

    return look_or_none


def no_looks(_id: ImageId) -> None:
    """Find nothing to look at."""
