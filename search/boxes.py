"""A box as it is written: ``x,y,width,height`` as fractions of the upright picture."""

from __future__ import annotations

import math

from search.errors import InvalidQuery
from search.types import Box

SHAPE = "box must be x,y,width,height as fractions of the picture, 0–1"


def parse_box(text: str) -> Box:
    """Return the box that a text stands for. Raises InvalidQuery for one that does not lie in the picture."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InvalidQuery(f"{SHAPE}; got {text!r}") from error
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise InvalidQuery(f"{SHAPE}; got {text!r}")
    if numbers[2] <= 0 or numbers[3] <= 0:
        raise InvalidQuery(f"the box must have a width and a height, got {text!r}")
    try:
        return Box(*numbers)
    except ValueError as error:
        raise InvalidQuery(
            f"the box must lie inside the picture: x + width and y + height up to 1; got {text!r}"
        ) from error


def corners(left: float, top: float, right: float, bottom: float) -> Box:
    """Return a box from fractions of its corners, cut to the picture."""
    left, top, right, bottom = (min(1.0, max(0.0, value)) for value in (left, top, right, bottom))
    return Box(left, top, max(0.0, right - left), max(0.0, bottom - top))


def box_text(box: Box) -> str:
    """Return a box as text that `parse_box` reads; to a thousandth of the picture, never beyond its edge."""
    left, top = math.floor(box.x * 1000), math.floor(box.y * 1000)
    right, bottom = (min(1000, math.ceil(end * 1000 - 1e-6)) for end in (box.x + box.width, box.y + box.height))
    return ",".join(
        f"{number / 1000:g}" for number in (max(0, left), max(0, top), right - max(0, left), bottom - max(0, top))
    )
