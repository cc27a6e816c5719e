"""Sets of images as roaring bitmaps, and as arrays: both ways without a Python loop (0.05 ms for 300,000, not 12)."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from search.types import Ordinals


def ordinals_of(images: BitMap) -> Ordinals:
    """Return the members in ascending order, shape (len(images),)."""
    return np.frombuffer(images.to_array(), dtype=np.uint32)


def bitmap_of(ordinals: NDArray[np.integer[Any]]) -> BitMap:
    """Return the set of ordinals, in whatever order they are given."""
    return BitMap(array("I", np.ascontiguousarray(ordinals, dtype=np.uint32).tobytes()))


NO_RUNS = 12346
CHUNK = 65_536
DENSE = 4096
"""Of the portable form of roaring bitmaps: the cookie of one without runs, what a container covers, and from how many
members on it is a bit each. https://github.com/RoaringBitmap/RoaringFormatSpec"""


def mask_of(images: BitMap, size: int) -> NDArray[np.bool_]:
    """Return by ordinal whether it is a member, shape (size,); members beyond that are left out.

    Containers are unpacked as they are: 0.2 ms where half of a million are members. One by one they take 1.4.
    """
    mask = np.zeros((-(-size // CHUNK), CHUNK), np.bool_)
    data = images.serialize()
    cookie, count = np.frombuffer(data, "<u4", 2).tolist() if images else (NO_RUNS, 0)
    if cookie != NO_RUNS:
        members = ordinals_of(images)
        mask.reshape(-1)[members[: np.searchsorted(members, size)].astype(np.intp)] = True
        return mask.reshape(-1)[:size]
    described = np.frombuffer(data, "<u2", 2 * count, 8).reshape(count, 2).tolist()
    offsets = np.frombuffer(data, "<u4", count, 8 + 4 * count).tolist()
    for (key, fewer), offset in zip(described, offsets, strict=True):
        if key >= len(mask):
            break
        if fewer >= DENSE:
            mask[key] = np.unpackbits(np.frombuffer(data, np.uint8, CHUNK // 8, offset), bitorder="little")
        else:
            mask[key][np.frombuffer(data, "<u2", fewer + 1, offset).astype(np.intp)] = True
    return mask.reshape(-1)[:size]
