"""Words to images by BM25 over the full-text table."""

from __future__ import annotations

import sqlite3

from pyroaring import BitMap

from search.words import words

# A label that counts and a caption say what is in the picture; a file name or an unsure label only hints at it.
WEIGHTS = {"caption": 4.0, "alt_text": 5.0, "labels": 4.0, "unsure": 0.5, "ocr": 2.0, "path": 1.0}

MAX_WORDS = 64

_STOP_WORDS = """
a an and are as at be but by for from has have he her his i in into is it its my of on or our she that the their them
there these they this to was we were which while who with you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())

_BM25 = f"bm25(words, {', '.join(map(str, WEIGHTS.values()))})"


def search(connection: sqlite3.Connection, text: str, allowed: BitMap | None, k: int) -> list[tuple[int, float]]:
    """Return the k best images, best first, with positive scores; ties by ordinal. Text without a word finds none."""
    query = _query(text)
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


def _query(text: str) -> str:
    """Return an FTS5 query for any of the words; stop words count only where there is nothing else."""
    asked = list(dict.fromkeys(words(text)))
    telling = [word for word in asked if word not in STOP_WORDS] or asked
    return " OR ".join(f'"{word}"' for word in telling[:MAX_WORDS])
