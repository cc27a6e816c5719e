"""A picture in a document, whatever the document is written in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

DRAFT = "snapseek"
"""Who wrote a draft: the value of its mark."""
DRAFT_ATTRIBUTE = "data-alt-draft"


class Syntax(StrEnum):
    HTML = "html"
    MARKDOWN = "markdown"
    MDX = "mdx"
    """A picture in Markdown's own form within MDX, where a comment is another."""
    JSX = "jsx"


@dataclass(frozen=True, slots=True)
class Edit:
    """Bytes ``start`` to ``end`` of a file become ``new``."""

    start: int
    end: int
    new: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """What a picture does when it is clicked: a link, a button, or a part of an image map."""

    target: str
    """Address, as it is written; "" where it is no link."""
    words: str
    """All else that tells what it does: its other text, its label, its title."""
    hint: str = ""
    """Of a button or a part of a map that has no name but its picture's: what its other attributes say."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Places are in bytes of the file."""

    syntax: Syntax
    start: int
    end: int
    source: str
    """Where the picture is, as written, character references resolved; "" where that cannot be told."""
    alt: str | None
    """None where there is no attribute."""
    alt_start: int
    """What a new text replaces; both ends are alike where there is nothing yet."""
    alt_end: int
    is_dynamic: bool = False
    """The text is made by a template or a script."""
    is_decorative: bool = False
    """The author said so: by a role, `aria-hidden`, or a size of one pixel."""
    is_named: bool = False
    """It has its name from `aria-label` or `aria-labelledby`."""
    is_draft: bool = False
    link: Link | None = None
    nearby: str = ""
    """The text that says what it is: a caption below it."""
    label: str | None = None
    """Of a reference in Markdown that is named by its text alone, which must stay when the text changes."""


def spoken(words: str) -> str:
    """Return words on one line; "" for signs alone, such as an arrow, which say nothing."""
    words = " ".join(words.split())
    return words if any(one.isalnum() for one in words) else ""
