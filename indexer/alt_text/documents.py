"""Documents on disk: which are looked at, where their pictures are, and how a text gets into them."""

from __future__ import annotations

import html
import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from indexer.alt_text.deciding import Proposal
from indexer.alt_text.html_pictures import TEMPLATE, html_pictures, language
from indexer.alt_text.markdown_pictures import MARKS, markdown_pictures
from indexer.alt_text.pictures import DRAFT, DRAFT_ATTRIBUTE, Edit, Picture, Syntax
from search.errors import ConfigError

HTML = (".html", ".htm", ".xhtml")
MARKDOWN = (".md", ".markdown")
MDX = (".mdx",)
SUFFIXES = HTML + MARKDOWN + MDX
PASSED_OVER = frozenset(("node_modules", "__pycache__", "venv", "site-packages"))
"""Folders, beside hidden ones, whose documents are others'."""
_SPECIAL = re.compile(r"([\\`*_\[\]<>&|~{}])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_CHARSET = re.compile(rb"<(?:meta|\?xml)[^>]*?(?:charset|encoding)\s*=\s*[\"']?\s*([\w:.-]+)", re.IGNORECASE)
_HEAD = 4096
"""Bytes at the start of a page in which it says what it is written in; browsers look at 1024."""


@dataclass(frozen=True)
class Document:
    path: Path
    source: bytes
    pictures: tuple[Picture, ...]
    language: str = ""
    """As `<html lang>` says it; "" where nothing does."""
    is_utf8: bool = True
    """False: the page says that it is in another encoding, and all in it is in both."""

    @cached_property
    def _lines(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer(rb"\n", self.source))]

    def place(self, at: int) -> tuple[int, int]:
        """Return line and column of a byte, from 1; columns are characters."""
        line = bisect_right(self._lines, at)
        return line, len(self.source[self._lines[line - 1] : at].decode("utf-8", "replace").lstrip("\ufeff")) + 1


def documents(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the documents at or below paths, each once, in order. Raises ConfigError for a path that is not there."""
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise ConfigError(f"there is no file or folder {path}")
        for found in [path] if path.is_file() else _below(path):
            if found not in seen:
                seen.add(found)
                yield found


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in PASSED_OVER)
        yield from (Path(place, name) for name in sorted(names) if name.lower().endswith(SUFFIXES))


def read(path: Path) -> Document:
    """Read a document. Raises ValueError with the reason for one that cannot be read as text of a known kind."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"neither HTML nor Markdown: {', '.join(SUFFIXES)}")
    try:
        source = path.read_bytes()
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror or error}") from error
    return parsed(path, source)


def parsed(path: Path, source: bytes) -> Document:
    """Return the document that is in some bytes. Raises ValueError where they are no text in UTF-8."""
    try:
        source.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("it is not in UTF-8") from error
    suffix = path.suffix.lower()
    if suffix not in HTML:
        return Document(path, source, tuple(markdown_pictures(source, mdx=suffix in MDX)))
    said = _CHARSET.search(source[:_HEAD])
    is_utf8 = said is None or said[1].lower() in (b"utf-8", b"utf8")
    if not (is_utf8 or source.isascii()):
        raise ValueError("it says that it is not in UTF-8")
    return Document(path, source, tuple(html_pictures(source)), language(source), is_utf8)


def locate(document: Document, picture: Picture, root: Path) -> Path | str:
    """Return the file of a picture, or the reason why there is none to look at; ``root``: where `/` is."""
    source = picture.source.strip()
    if not source or TEMPLATE.search(source):
        return "the picture's address is made by a template" if source else "where the picture is cannot be told"
    try:
        parts = urlsplit(source)
        if parts.scheme or parts.netloc:
            kind = "is inside the document" if parts.scheme == "data" else "is on another server"
            return f"the picture {kind}, and is not looked at"
        relative = unquote(parts.path)
        if "\0" in relative:
            return "the picture's address cannot be read"
        place = root / relative.lstrip("/") if relative.startswith("/") else document.path.parent / relative
        return place if place.is_file() else f"there is no file {relative}"
    except ValueError:
        return "the picture's address cannot be read"
    except OSError as error:
        return f"the picture cannot be read: {error.strerror or error}"


def edits(document: Document, picture: Picture, proposal: Proposal) -> list[Edit]:
    """Return what has to change so that a picture has the proposed text, marked where it is a draft."""
    start, end = picture.alt_start, picture.alt_end
    plain = on_a_line(proposal.text)
    if picture.syntax in (Syntax.HTML, Syntax.JSX):
        mark = "" if proposal.is_approved else f' {DRAFT_ATTRIBUTE}="{DRAFT}"'
        # What was read in a picture shall not be a command of a template.
        quoted = html.escape(plain).replace("{", "&#123;")
        text = f'{"" if end > start else " "}alt="{quoted}"{mark}'
        return [Edit(start, end, text.encode("utf-8" if document.is_utf8 else "ascii", "xmlcharrefreplace"))]
    text = _SPECIAL.sub(r"\\\1", plain)
    if picture.label is not None:
        text = f"![{text}][{picture.label}]"
    changes = [Edit(start, end, text.encode())] if end > start or text else []
    if not proposal.is_approved:
        changes.append(Edit(picture.end, picture.end, b" " + MARKS[picture.syntax]))
    return changes


def on_a_line(text: str) -> str:
    """Return a text without control characters, lines and spaces run together."""
    return " ".join(_CONTROL.sub(" ", text).split())


def edited(source: bytes, changes: Sequence[Edit]) -> bytes:
    """Return a document with changes, of which no two may touch the same bytes."""
    parts, at = [], 0
    for change in sorted(changes, key=lambda one: (one.start, one.end)):
        parts += [source[at : change.start], change.new]
        at = change.end
    return b"".join([*parts, source[at:]])
