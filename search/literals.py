"""Quoted text: what must stand in a picture's texts or file names word by word, and comes first where it does.

Between quotes, straight or curly, words stay together: ``"happy birthday" party`` looks for the phrase and, by meaning,
for all three words. What holds no phrase is found by meaning alone, after what does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from pyroaring import BitMap

from search.matching import ocr_text
from search.protocols import Records, TagStore
from search.types import Filter, ImageRecord, Op, Term
from search.words import caseless, contains_phrase, words

QUOTED = re.compile(r'(?<!\S)(?:"((?:[^"\\]|\\.)*)"|“([^”]*)”)(?!\S)', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_PIECE = re.compile(r"[^\W_]+")
MOST_PIECES = 6
"""Words of a phrase that file names are looked up by; all of them are then read."""
MOST_HELD = 10_000
"""Images that come first for one phrase; where more hold it, they hardly tell one from another."""
MOST_PATHS = 2_000
"""Images whose file names are read for one phrase."""


def parted(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the text without quotes around its phrases, and the phrases; a quote without a word in it is none."""
    phrases = dict.fromkeys(phrase for phrase in map(_inside, QUOTED.finditer(text)) if words(phrase))
    return QUOTED.sub(_inside, text).strip() if phrases else text, tuple(phrases)


def unquoted(text: str) -> str:
    """Return what of a text stands outside of quotes."""
    return QUOTED.sub(" ", text)


def phrases_of(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the quoted phrases of several texts, each once."""
    return tuple(dict.fromkeys(phrase for text in texts for phrase in parted(text)[1]))


def holding(phrase: str, tags: TagStore, records: Records, filter: Filter) -> BitMap:
    """Return the images that match a filter and hold a phrase in caption, alt text, OCR text or a file name."""
    return _found(tags, filter, Term("text", Op.EQ, (phrase,)), MOST_HELD) | _named(phrase, tags, records, filter)


def places(record: ImageRecord, phrase: str) -> Iterator[str]:
    """Yield where an image holds a phrase."""
    texts: Mapping[str, str] = {
        "caption": record.caption or "",
        "alt text": record.alt_text or "",
        "text in the picture": ocr_text(record),
    }
    yield from (name for name, text in texts.items() if contains_phrase(text, phrase))
    if any(contains_phrase(path, phrase) for path in record.files):
        yield "file name"


def _named(phrase: str, tags: TagStore, records: Records, filter: Filter) -> BitMap:
    """Return the images with a phrase in a path: globs find those that may have it, and each is then read."""
    pieces = _PIECE.findall(caseless(phrase))[:MOST_PIECES]
    if not pieces:
        return BitMap()
    candidates = _found(tags, filter, Term("path", Op.EQ, (f"*{'*'.join(pieces)}*",)), MOST_PATHS)
    read = records.records(list(candidates))
    return BitMap([one.ordinal for one in read if any(contains_phrase(path, phrase) for path in one.files)])


def _found(tags: TagStore, filter: Filter, term: Term, most: int) -> BitMap:
    return tags.match(Filter((*filter.terms, term)), limit=most)


def _inside(match: re.Match[str]) -> str:
    straight, curly = match.groups()
    return _ESCAPE.sub(r"\1", straight) if straight is not None else curly
