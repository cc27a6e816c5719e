"""Words to images by BM25 over the full-text table."""

from __future__ import annotations

import sqlite3

from pyroaring import BitMap

from search.tags.postings import WEIGHTS
from search.words import telling_words

_BM25 = f"bm25(words, {', '.join(map(str, WEIGHTS.values()))})"


def search(connection: sqlite3.Connection, text: str, allowed: BitMap | None, k: int) -> list[tuple[int, float]]:
    """Return the k best images, best first, with positive scores; ties by ordinal. Text without a word finds none."""
    query = " OR ".join(f'"{word}"' for word in telling_words(text))
    if not query or k < 1:
        return []
    best_first = f"SELECT rowid, -{_BM25} AS score FROM words WHERE words MATCH ? ORDER BY score DESC, rowid"
    found: list[tuple[int, float]] = []
    for ordinal, score in connection.execute(best_first, (query,)):
        if allowed is None or ordinal in allowed:
            found.append((ordinal, score))
            if len(found) == k:
                break
    return found
