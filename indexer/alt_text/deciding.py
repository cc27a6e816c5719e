"""What a picture is there for, and so what its text should say: the alt decision tree of the W3C.

https://www.w3.org/WAI/tutorials/images/decision-tree/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from indexer.alt_text.judging import is_same, is_useless, shortened, without_prefix
from indexer.alt_text.pictures import Picture

WORDS_OF_A_PAGE = 20
"""From so many words on, what is written in a picture is too much for its alternative text."""
TEXT_SHARE = 0.04
"""Of the picture that lines of text cover, from where on the picture is there for its text."""
FIGURES_OF_A_CHART = 8
"""From so many numbers on, a picture is a chart or a table."""
_FIGURE = re.compile(r"\d[\d.,:]*")
_WORD = re.compile(r"[^\W\d_]{2,}")
HOME = "Home"
PICTURES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".svg")
MIDDLE = 0.6
"""How sure a text is that was read from an address."""


class Purpose(StrEnum):
    """The leaves of the tree."""

    DECORATIVE = "decorative"
    FUNCTIONAL = "functional"
    TEXT = "text"
    COMPLEX = "complex"
    INFORMATIVE = "informative"


@dataclass(frozen=True, slots=True)
class Seen:
    """What models, or people in a library, say of a picture."""

    caption: str
    confidence: float
    lines: tuple[str, ...] = ()
    """Of text in the picture, from the top."""
    text_share: float = 0.0
    """Of the picture that those lines cover."""
    shows_things: bool = False
    """Objects were found in it: a photo, and what is written is on one of them, or was misread."""
    approved: str = ""
    """What a person wrote for this picture in a library."""


@dataclass(frozen=True, slots=True)
class Proposal:
    purpose: Purpose
    text: str
    confidence: float
    is_english: bool = True
    """The text is in the models' language, not in the picture's own or the page's."""
    is_approved: bool = False
    """A person wrote it: it is no draft."""
    remark: str = ""
    """What a person has to add or decide."""


def decide_unseen(picture: Picture) -> Proposal | None:
    """Return what can be said without looking at the picture."""
    link = picture.link
    if picture.is_decorative and (link is None or link.words):
        return Proposal(Purpose.DECORATIVE, "", 1.0, is_english=False, is_approved=True)
    if link is None:
        return None
    if link.words:
        return Proposal(Purpose.DECORATIVE, "", 1.0, is_english=False)
    if link.hint:
        return Proposal(Purpose.FUNCTIONAL, shortened(link.hint), MIDDLE, is_english=link.hint == "Submit")
    if words := destination(link.target):
        return Proposal(
            Purpose.FUNCTIONAL, words, MIDDLE, words == HOME, remark="read from the address: say where the link leads"
        )
    return None


def decide(picture: Picture, seen: Seen) -> Proposal | None:
    """Return what to say of a picture that was looked at; None where nothing is certain enough to be said at all."""
    if seen.approved:
        return Proposal(Purpose.INFORMATIVE, seen.approved, 1.0, is_english=False, is_approved=True)
    words = [word for line in seen.lines for word in _WORD.findall(line)]
    figures = sum(len(_FIGURE.findall(line)) for line in seen.lines)
    is_page = len(words) > WORDS_OF_A_PAGE or figures >= FIGURES_OF_A_CHART
    is_large = seen.text_share >= TEXT_SHARE and (is_page or not seen.shows_things)
    is_text = bool(words or is_page) and (is_large or not seen.caption)
    if is_text and not (is_page and picture.link is not None):
        return _read(picture, " ".join(seen.lines), is_page=is_page)
    if not seen.caption:
        return None
    if picture.link is not None:
        return _described(picture, seen, Purpose.FUNCTIONAL, "say what the link or button does, not what is seen")
    return _described(picture, seen, Purpose.INFORMATIVE, "")


def _read(picture: Picture, text: str, *, is_page: bool) -> Proposal:
    if is_page:
        begin = " ".join(text.split()[:8])
        return Proposal(
            Purpose.COMPLEX,
            shortened(f"Text, table or chart that begins: {begin}"),
            MIDDLE,
            remark="too much for an alternative text: tell it beside the picture as well",
        )
    return Proposal(Purpose.FUNCTIONAL if picture.link else Purpose.TEXT, shortened(text), 0.9, is_english=False)


def _described(picture: Picture, seen: Seen, purpose: Purpose, remark: str) -> Proposal:
    text = shortened(without_prefix(seen.caption))
    if purpose is Purpose.INFORMATIVE and is_same(text, picture.nearby):
        return Proposal(Purpose.DECORATIVE, "", seen.confidence, is_english=False, remark="its caption says it")
    return Proposal(purpose, text, seen.confidence, remark=remark)


def destination(target: str) -> str:
    """Return the words of an address: "Contact us" for /contact-us.html; "" where it has none."""
    try:
        parts = urlsplit(target.strip())
    except ValueError:
        return ""
    is_page = bool(target.strip()) and parts.scheme in ("", "http", "https") and not re.search(r"[{<]", target)
    if not is_page or parts.netloc:
        return parts.netloc.removeprefix("www.") if is_page else ""
    path = PurePosixPath(unquote(parts.path))
    if path.suffix.lower() in PICTURES:
        return ""  # the picture, larger
    name = path.parent.name if path.stem == "index" else path.stem
    if not name and parts.path:
        return HOME
    words = " ".join(re.split(r"[-_+\s]+", name)).strip()
    is_telling = _WORD.search(words) and not is_useless(words) and not re.search(r"\d{3,}", words)
    return words[:1].upper() + words[1:] if is_telling else ""
