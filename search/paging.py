"""Pages of a ranking that is made anew for each: what was shown is known by name, not by its place or score. Pure.

What an image scores depends on the library: a word's weight in BM25 on how many images have it, relevance on what the
library is like. So while it is written to, images move past any place or score that a page could have ended at. The
images that were shown are left out instead, and all others come sooner or later.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from search.cursor import Position
from search.types import Ordinals

WINDOW = 3_000
"""Shown images that a cursor names: 62 pages of 48, in 3,500 to 5,800 characters; an address has room for 8,000."""


def remaining(ranked: Ordinals, position: Position) -> NDArray[np.intp]:
    """Return the places, in a ranking of now, of the images that were not shown up to ``position``; best first.

    Where more were shown than it names, the others are those that rank above the middle one of the named: for one to be
    repeated or passed over, half a `WINDOW` of images has to change places with it.
    """
    shown = np.isin(ranked, position.seen)
    if position.shown > len(position.seen):
        named = np.flatnonzero(shown)
        shown[: named[len(named) // 2] if len(named) else position.shown] = True
    return np.flatnonzero(~shown)


def onward(ranked: Ordinals, position: Position, page: Ordinals) -> Position:
    """Return the position after a page was shown too."""
    seen = np.union1d(position.seen, page)
    gone = np.setdiff1d(seen, ranked)  # named as long as there is room: they could come back
    latest = np.concatenate([gone, ranked[np.isin(ranked, seen)]])[-WINDOW:]
    return Position(position.seed, None, np.sort(latest).astype(np.uint32), position.shown + len(page))
