"""Words to images by BM25 over the full-text table.

SQLite scores about a million images a second, and a common word stands at a third of a library. So what a word that
many images hold scores is kept: BM25 of several words is the sum of theirs. What has changed since is asked for anew;
how many images there are and how long their texts, which the kept scores know too, may be off by `OUTDATED`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from search.bitmaps import mask_of, ordinals_of
from search.tags.postings import WEIGHTS
from search.types import Ordinals, Scores
from search.words import telling_words

_BM25 = f"bm25(words, {', '.join(map(str, WEIGHTS.values()))})"

KEPT_FROM = 500
"""Images that hold a word at least, for its scores to be kept."""
KEPT_ROWS = 30_000_000
"""Scores that are kept in all, at eight bytes; words that were not asked for longest go first."""
STEMS = 100_000
"""Words whose stems are remembered."""
OUTDATED = 0.05
"""Share of all images that may have been written, and by which those with a word may have become more or fewer, before
its scores are all asked for anew."""
RUNS, GAP = 32, 256
"""Changed images are asked for in so many runs of ordinals at most, which may hold gaps of that length."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The images that hold a word, ascending, and the BM25 of each."""

    ordinals: Ordinals
    scores: Scores
    changed: BitMap
    """Images that were written since; what is said of them here does not count."""
    at_first: int = 0
    """How many images held the word when all scores were asked for, if some were asked for since."""
    since: int = 0
    """How many were written between then and the last time that some were."""


class WordScores:
    """Safe for threads. `note` must hear of every change before a search that is to see it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._changes = 0
        self._unchanged = BitMap()
        """What has changed since the last change, one and the same for all words that are kept until the next."""
        self._stems: dict[str, str] = {}

    def forget(self) -> None:
        with self._lock:
            self._kept.clear()
            self._changes += 1

    def note(self, ordinals: BitMap) -> None:
        """Note that images were written or deleted."""
        if not ordinals:
            return
        with self._lock:
            self._changes += 1
            # Words that were kept at one time share what has changed since, and go on to: there may be thousands.
            with_these = {
                id(one): one | ordinals for one in {id(k.changed): k.changed for k in self._kept.values()}.values()
            }
            for word, kept in self._kept.items():
                self._kept[word] = replace(kept, changed=with_these[id(kept.changed)])
            self._unchanged = BitMap()

    def restore(self, words: Mapping[str, Kept]) -> None:
        """Take in what was kept by another process."""
        with self._lock:
            self._kept = OrderedDict(words)

    def search(
        self, connection: sqlite3.Connection, text: str, allowed: BitMap | None, k: int
    ) -> tuple[Ordinals, Scores]:
        """Return the k best images, best first, with positive scores; ties by ordinal.

        Text without a word finds none. ``connection`` must be of the thread that calls.
        """
        found = [self._of(connection, word) for word in telling_words(text)] if k > 0 else []
        found = [(ordinals, scores) for ordinals, scores in found if len(ordinals)]
        if not found:
            return np.empty(0, np.uint32), np.empty(0, np.float32)
        return _best(*_summed(found, allowed, k), k)

    def _of(self, connection: sqlite3.Connection, word: str) -> tuple[Ordinals, Scores]:
        """Return the images that hold a word, ascending, and the BM25 of each."""
        stem = self._stem(connection, word)
        with self._lock:
            kept, changes = self._kept.get(stem), self._changes
            if kept is not None:
                self._kept.move_to_end(stem)
            unchanged = self._unchanged
        if kept is not None:
            if not kept.changed:
                return kept.ordinals, kept.scores
            mended = _mended(connection, word, kept, unchanged)
            if mended is not None:
                self._keep(stem, mended, changes)
                return mended.ordinals, mended.scores
        ordinals, scores = asked(connection, word)
        if len(ordinals) >= KEPT_FROM:
            self._keep(stem, Kept(ordinals, scores, unchanged), changes)
        return ordinals, scores

    def _stem(self, connection: sqlite3.Connection, word: str) -> str:
        if word not in self._stems:
            if len(self._stems) >= STEMS:
                self._stems = {}
            self._stems[word] = stem_of(connection, word)
        return self._stems[word]

    def _keep(self, stem: str, kept: Kept, changes: int) -> None:
        with self._lock:
            if changes != self._changes:  # written to meanwhile: it may not hold that
                return
            self._kept[stem] = kept
            self._kept.move_to_end(stem)
            rows = sum(len(one.ordinals) for one in self._kept.values())
            while rows > KEPT_ROWS and len(self._kept) > 1:
                rows -= len(self._kept.popitem(last=False)[1].ordinals)


def asked(connection: sqlite3.Connection, word: str, first: int = 0, last: int = 2**62) -> tuple[Ordinals, Scores]:
    """Return the images among some that hold a word, ascending, and the BM25 of each, from the table."""
    rows = connection.execute(
        f"SELECT rowid, -{_BM25} FROM words WHERE words MATCH ? AND rowid BETWEEN ? AND ?", (f'"{word}"', first, last)
    ).fetchall()
    if not rows:
        return np.empty(0, np.uint32), np.empty(0, np.float32)
    ordinals, scores = zip(*rows, strict=True)
    return np.array(ordinals, np.uint32), np.array(scores, np.float32)


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables, of this connection alone, that tell stems and how many images hold them."""
    for table in (
        "held USING fts5vocab('main', 'words', 'row')",
        "stemmed USING fts5 (word, tokenize = 'porter unicode61')",
        "stem USING fts5vocab('temp', 'stemmed', 'row')",
    ):
        connection.execute(f"CREATE VIRTUAL TABLE IF NOT EXISTS temp.{table}")


def stem_of(connection: sqlite3.Connection, word: str) -> str:
    """Return what the table looks for when it is asked for a word."""
    prepare(connection)
    connection.execute("INSERT INTO temp.stemmed VALUES (?)", (word,))
    stems = connection.execute("SELECT term FROM temp.stem").fetchall()
    connection.execute("DELETE FROM temp.stemmed")
    return " ".join(sorted(stem for (stem,) in stems))


def common(connection: sqlite3.Connection, images: int) -> Iterator[tuple[str, Kept]]:
    """Yield the words that are worth keeping for the next start: held by many images, and not by nearly all.

    A stem that is no stem of itself is left out: it cannot be asked for.
    """
    stems = connection.execute(
        "SELECT term, doc FROM temp.held WHERE doc >= ? AND doc <= ? ORDER BY doc DESC", (KEPT_FROM, images // 2)
    ).fetchall()
    rows = 0
    for stem, count in stems:
        rows += count
        if rows > KEPT_ROWS:
            return
        ordinals, scores = asked(connection, stem)
        if len(ordinals) == count:
            yield stem, Kept(ordinals, scores, BitMap())


def _summed(found: Sequence[tuple[Ordinals, Scores]], allowed: BitMap | None, k: int) -> tuple[Ordinals, Scores]:
    """Return images with the sum of their scores, in any order: all that may be among the k best.

    Rare words come first, which score most. Once k images have more than all words that are left can add, only what
    those add to images that may still be among the best is looked up (MaxScore: Turtle and Flood, 1995).
    """
    images = max(int(ordinals[-1]) for ordinals, _ in found) + 1
    if allowed is not None:
        found = _within(found, allowed, images)
    found = sorted(found, key=lambda one: -float(one[1].max()))
    most = [float(scores.max()) for _, scores in found]
    sums = np.zeros(images, np.float32)
    passed: list[NDArray[np.intp]] = []
    least = 0.0
    for number, (ordinals, scores) in enumerate(found):
        if sum(len(some) for some, _ in found[number:]) > sum(map(len, passed)):
            more = sum(most[number:]) * (1 + 1e-5)
            least = max(least, _least(sums, passed[-1:], k))
            if least > more:
                among, so_far = _from(sums, passed, least - more)
                return among, _with_the_rest(among, so_far, found[number:])
        passed.append(ordinals.astype(np.intp))
        np.add.at(sums, passed[-1], scores)
    return _from(sums, passed, _least(sums, passed, k))


def _within(found: Sequence[tuple[Ordinals, Scores]], allowed: BitMap, images: int) -> list[tuple[Ordinals, Scores]]:
    mask = mask_of(allowed, images)
    # By numbers: NumPy picks by them twice as fast as by a mask.
    kept = [(np.flatnonzero(mask.take(ordinals)), ordinals, scores) for ordinals, scores in found]
    return [(ordinals.take(some), scores.take(some)) for some, ordinals, scores in kept if len(some)]


def _least(sums: Scores, lists: Sequence[NDArray[np.intp]], k: int) -> float:
    """Return a score that k images of some lists have at least, or 0.

    All sums are not looked through for that: the lists are shorter.
    """
    found = 0.0
    for some in lists:
        if len(some) >= k:
            values = sums[some]
            found = max(found, float(np.partition(values, len(values) - k)[len(values) - k]))
    return found


def _from(sums: Scores, lists: Sequence[NDArray[np.intp]], least: float) -> tuple[Ordinals, Scores]:
    """Return the images of some lists with such a sum at least, each once. The sums are spent by that."""
    parts = [(np.empty(0, np.intp), np.empty(0, np.float32))]
    for some in lists:
        values = sums[some]
        here = (values >= least) & (values > 0)
        parts.append((some[here], values[here]))
        sums[some[here]] = 0
    return np.concatenate([one for one, _ in parts]).astype(np.uint32), np.concatenate([one for _, one in parts])


def _with_the_rest(among: Ordinals, sums: Scores, rest: Sequence[tuple[Ordinals, Scores]]) -> Scores:
    for ordinals, scores in rest:
        at = np.minimum(np.searchsorted(ordinals, among), len(ordinals) - 1)
        sums += np.where(ordinals[at] == among, scores[at], np.float32(0))
    return sums


def _mended(connection: sqlite3.Connection, word: str, kept: Kept, unchanged: BitMap) -> Kept | None:
    """Return what is kept of a word with the images that were written since as they are now, or None.

    None where that is no less work than to ask for all, or where the scores that stay are of too different a library:
    how long its texts are on average, and above all how many images hold the word.
    """
    changed, runs = ordinals_of(kept.changed), _runs(kept.changed)
    images = max(int(kept.ordinals[-1]), int(changed[-1])) + 1
    since = kept.since + len(changed)
    if len(runs) > RUNS or since > OUTDATED * images:
        return None
    at = np.searchsorted(kept.ordinals, changed)
    at = at[kept.ordinals[np.minimum(at, len(kept.ordinals) - 1)] == changed]
    ordinals, scores = np.delete(kept.ordinals, at), np.delete(kept.scores, at)
    parts = [asked(connection, word, first, last) for first, last in runs]
    found, theirs = (np.concatenate(some) for some in zip(*parts, strict=True))
    new = np.isin(found, changed, assume_unique=True)
    place = np.searchsorted(ordinals, found[new])
    ordinals, scores = np.insert(ordinals, place, found[new]), np.insert(scores, place, theirs[new])
    at_first = kept.at_first or len(kept.ordinals)
    if abs(len(ordinals) - at_first) > OUTDATED * at_first or not len(ordinals):
        return None
    return Kept(ordinals, scores, unchanged, at_first, since)


def _runs(changed: BitMap) -> list[tuple[int, int]]:
    """Return the first and last of each run of ordinals, those with small gaps together."""
    ordinals = ordinals_of(changed).astype(np.int64)
    breaks = np.flatnonzero(np.diff(ordinals) > GAP)
    firsts = ordinals[np.concatenate([[0], breaks + 1])]
    lasts = ordinals[np.concatenate([breaks, [len(ordinals) - 1]])]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def _best(ordinals: Ordinals, scores: Scores, k: int) -> tuple[Ordinals, Scores]:
    if k < len(scores):
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        above = np.flatnonzero(scores > least)
        equal = np.flatnonzero(scores == least)
        lowest = np.argpartition(ordinals[equal], k - len(above) - 1)[: k - len(above)]
        first: NDArray[np.intp] = np.concatenate([above, equal[lowest]])
        ordinals, scores = ordinals[first], scores[first]
    order = np.lexsort((ordinals, -scores))
    return ordinals[order], scores[order]
