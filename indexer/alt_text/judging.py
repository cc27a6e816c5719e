"""What is wrong with the text of a picture, as far as that can be told without looking at it.

After the alt decision tree of the W3C: https://www.w3.org/WAI/tutorials/images/decision-tree/
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from indexer.alt_text.pictures import Picture, Syntax

LONGEST = 150
"""Characters; screen readers read on without a pause, and a longer text belongs beside the picture."""

_NAMES = (
    r"image|images|img|photo|photograph|picture|pic|graphic|icon|thumbnail|thumb|banner|untitled|placeholder|spacer|alt"
    r"|alt text|alternative text|description|todo|tbd|fixme|n/?a|null|undefined|none|screenshot|bild|foto|grafik|imagen"
    r"|figure|fig|abbildung|default|example|sample|test|hero"
)
_GENERIC = re.compile(rf"(?:an? |the |my |insert |your )?(?:{_NAMES})(?: here)?[\s_#.-]*\d*\.?")
_FILE = re.compile(r"\S.*\.(?:jpe?g|png|gif|webp|svg|avif|bmp|tiff?|heic|ico)")
_CAMERA = re.compile(
    r"(?:dscn?|dscf|img|imag|pxl|p|pict|mvi|sam|gopr|whatsapp image|screen ?shot|bildschirmfoto)"
    r"[\s_-]*\d[\d\s_.:apmt-]*"
)
_HASH = re.compile(r"[0-9a-f]{12,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{5,}")
_PREFIX = re.compile(
    r"(?:an? |the )?(?:image|photo|photograph|picture|pic|graphic|screenshot|illustration) (?:of|showing) "
    r"|(?:bild|foto) (?:von|mit) ",
    re.IGNORECASE,
)


class Rule(StrEnum):
    """What can be wrong, by the name that reports give it."""

    MISSING = "missing-alt"
    USELESS = "useless-alt"
    NO_NAME = "link-without-text"
    LONG = "long-alt"
    PREFIX = "image-of"
    REPEATED = "repeated-alt"
    DRAFT = "draft-alt"

    @property
    def is_error(self) -> bool:
        """Whether somebody who cannot see the page is left without something."""
        return self in (Rule.MISSING, Rule.USELESS, Rule.NO_NAME)


TOLD = {
    Rule.MISSING: "there is no alternative text",
    Rule.USELESS: "the alternative text says nothing of the picture",
    Rule.NO_NAME: "the link or button is this picture alone, and nothing says what it does",
    Rule.LONG: f"the alternative text has more than {LONGEST} characters",
    Rule.PREFIX: "that it is a picture is told anyway: begin with what is on it",
    Rule.REPEATED: "the alternative text repeats what stands beside the picture",
    Rule.DRAFT: "the alternative text is a draft by a machine: check it, then take its mark away",
}


@dataclass(frozen=True, slots=True)
class Judgement:
    rule: Rule
    told: str


def judge(picture: Picture) -> Judgement | None:
    """Return what is wrong with a picture's text; None where nothing is, or where it cannot be told."""
    if picture.is_dynamic or picture.is_named:
        return None
    if picture.is_draft:
        return _found(Rule.DRAFT)
    if picture.alt is None or not picture.alt.strip():
        return _without(picture)
    return _with(picture, picture.alt)


def _without(picture: Picture) -> Judgement | None:
    is_needed = picture.link is not None and not picture.link.words
    if picture.alt is not None:
        return _found(Rule.NO_NAME) if is_needed else None
    # Markdown cannot say that none is needed, but beside the words of a link none is.
    is_markdown = picture.syntax in (Syntax.MARKDOWN, Syntax.MDX)
    if is_markdown and not is_needed and (picture.link or picture.is_decorative):
        return None
    return _found(Rule.MISSING)


def _with(picture: Picture, alt: str) -> Judgement | None:
    rule = None
    if is_useless(alt, picture.source):
        rule = Rule.USELESS
    elif len(alt) > LONGEST:
        rule = Rule.LONG
    elif _PREFIX.match(alt):
        rule = Rule.PREFIX
    elif is_same(alt, picture.nearby) or (picture.link is not None and is_same(alt, picture.link.words)):
        rule = Rule.REPEATED
    return None if rule is None else _found(rule, f" ({len(alt)})" if rule is Rule.LONG else "")


def is_useless(alt: str, source: str = "") -> bool:
    """Return whether a text is a file's name, a word for any picture, a number or a sign."""
    text = " ".join(alt.split()).casefold()
    if not any(unicodedata.category(one)[0] in "LN" or unicodedata.category(one) == "So" for one in text):
        return True
    name = PurePosixPath(unquote(urlsplit(source).path)).name.casefold() if source else ""
    stem = name.rpartition(".")[0] or name
    if name and text in (name, stem, source.casefold()) and not _is_spoken(alt):
        return True
    return any(pattern.fullmatch(text) for pattern in (_GENERIC, _FILE, _CAMERA, _HASH))


def _is_spoken(alt: str) -> bool:
    """Return whether a text may be a person's although it is the file's name: `Eiffel Tower` of eiffel tower.jpg."""
    return " " in alt.strip() or alt[:1].isupper()


def is_same(one: str, other: str) -> bool:
    """Return whether two texts say the same, their case and signs left aside."""
    first, second = (re.sub(r"\W+", " ", text).strip().casefold() for text in (one, other))
    return bool(first) and first == second


def without_prefix(text: str) -> str:
    """Return a text without "a photo of" at its beginning."""
    rest = _PREFIX.sub("", text, count=1) if _PREFIX.match(text) else text
    return rest[:1].upper() + rest[1:]


def shortened(text: str) -> str:
    """Return a text of at most `LONGEST` characters, cut between words."""
    text = " ".join(text.split())
    if len(text) <= LONGEST:
        return text
    return text[: LONGEST + 1].rpartition(" ")[0].rstrip(",;:-– ") or text[:LONGEST]


def _found(rule: Rule, more: str = "") -> Judgement:
    return Judgement(rule, TOLD[rule] + more)
