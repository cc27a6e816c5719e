"""One spelling for comparing: labels and paths without case, texts as words without case and accents."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# Scripts written without spaces: each ideograph and kana is a word of its own, so that a part of a run is found.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")

MAX_WORDS = 64

_STOP_WORDS = """
a an and are as at be but by for from has have he her his i in into is it its my of on or our she that the their them
there these they this to was we were which while who with you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def writable(text: str) -> str:
    """Return the text with ``?`` for lone surrogates, which stand in file names that are not UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def caseless(text: str) -> str:
    """Return the text so that equal strings mean equal whatever their case; spaces stay as they are."""
    return unicodedata.normalize("NFC", writable(text).casefold())


@lru_cache(maxsize=65_536)  # the same labels again and again
def fold(label: str) -> str:
    """Return a label as labels are compared: without case, with single spaces."""
    return " ".join(caseless(label).split())


def words(text: str) -> list[str]:
    """Return the words of a text in order, without case and accents; punctuation and underscores part them."""
    # Twice: taking a sign like "℡" apart can bring capitals, and folding case can bring composed letters.
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return _WORD.findall("".join(c for c in letters if not unicodedata.combining(c)))


def contains_phrase(text: str, phrase: str) -> bool:
    """Return whether the words of ``phrase`` stand in ``text`` side by side, in this order."""
    return f" {' '.join(words(phrase))} " in f" {' '.join(words(text))} "


def telling_words(text: str) -> list[str]:
    """Return the words to look for, any of which may match; stop words only where there is nothing else."""
    asked = list(dict.fromkeys(words(text)))
    return ([word for word in asked if word not in STOP_WORDS] or asked)[:MAX_WORDS]
