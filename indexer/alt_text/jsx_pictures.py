"""Pictures in the JSX of an MDX document: `<img>` and components that are called after pictures."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from indexer.alt_text.html_pictures import is_decorative, source_of
from indexer.alt_text.pictures import DRAFT_ATTRIBUTE, Link, Picture, Syntax, spoken

_TAG = re.compile(rb"<(/?)([A-Za-z][\w.:-]*)")
_NAME = re.compile(rb"\s*([A-Za-z_:][\w:.-]*)")
_PICTURES = re.compile(r"(?:.*\.)?(?:img|\w*(?:Image|Img|Picture))$")
_LINKS = re.compile(r"(?:.*\.)?(?:a|button|\w*(?:Link|Button))$")
VOID = frozenset(("img", "br", "hr", "input", "source", "area", "meta", "link", "wbr", "col", "embed", "track"))
IMPORT = re.compile(r"^import\s+(\w+)\s+from\s+[\"']([^\"']+)[\"']", re.MULTILINE)
REQUIRED = re.compile(r"(?:require|useBaseUrl|withBase)\(\s*[\"']([^\"']+)[\"']\s*\)")
"""How generators of sites have the address of a picture made."""


@dataclass(slots=True)
class _Attribute:
    value: str | None
    """None for an expression, or for an attribute without a value."""
    expression: str
    start: int
    end: int


@dataclass(slots=True)
class _Element:
    name: str
    attributes: dict[str, _Attribute]
    first: int
    """Of the pieces of text that are in it."""
    last: int | None
    link: _Element | None
    """The nearest link or button, itself or around."""
    is_hidden: bool
    """From readers, or within what is."""
    words: str | None = None
    """Of a link, once somebody asked."""


def jsx_pictures(source: bytes) -> Iterator[Picture]:
    """Yield the pictures of a document in which code and comments were blanked, in their order."""
    imports = dict(IMPORT.findall(source.decode("utf-8", "replace")))
    found: list[tuple[Picture, _Element | None]] = []
    texts: list[str] = []
    open_elements: list[_Element] = []
    open_names: Counter[str] = Counter()
    at = 0
    while match := _TAG.search(source, at):
        texts.append(source[at : match.start()].decode("utf-8", "replace"))
        name = match[2].decode()
        tag = _read(source, match.end())
        if tag is None:
            at = match.end()
            continue
        attributes, end, is_closed, after_name = tag
        at = end
        around = open_elements[-1] if open_elements else None
        if match[1]:
            while open_names[name]:
                closed = open_elements.pop()
                closed.last = len(texts)
                open_names[closed.name] -= 1
                if closed.name == name:
                    break
        elif _PICTURES.match(name) and ("src" in attributes or name == "img"):
            found.append((_picture(match.start(), end, attributes, imports, after_name), around))
        elif not is_closed and name not in VOID:
            element = _Element(name, attributes, len(texts), None, None, _said(attributes, "aria-hidden") == "true")
            element.link = element if _LINKS.match(name) else around.link if around else None
            element.is_hidden |= around is not None and around.is_hidden
            open_elements.append(element)
            open_names[name] += 1
    texts.append(source[at:].decode("utf-8", "replace"))
    for picture, around in found:
        yield picture if around is None else _within(picture, around, texts)


def _within(picture: Picture, around: _Element, texts: list[str]) -> Picture:
    if around.is_hidden:
        return replace(picture, is_decorative=True)
    link = around.link
    if link is None:
        return picture
    if link.words is None:
        said = [_said(link.attributes, key) for key in ("aria-label", "aria-labelledby", "title")]
        link.words = spoken(html.unescape(" ".join([*texts[link.first : link.last], *said])))
    return replace(picture, link=Link(_said(link.attributes, "href") or _said(link.attributes, "to"), link.words))


def _said(attributes: dict[str, _Attribute], name: str) -> str:
    found = attributes.get(name)
    if found is None:
        return ""
    return found.value if found.value is not None else found.expression


def _picture(
    start: int, end: int, attributes: dict[str, _Attribute], imports: dict[str, str], after_name: int
) -> Picture:
    alt = attributes.get("alt")
    place = (alt.start, alt.end) if alt else (after_name, after_name)
    values = {name: one.value for name, one in attributes.items()}
    source = source_of(values)
    if not source and (given := attributes.get("src")) is not None:
        required = REQUIRED.match(given.expression)
        source = required[1] if required else imports.get(given.expression.split(".")[0], "")
    for name, one in attributes.items():  # width={1}
        if one.value is None and one.expression.isdigit():
            values[name] = one.expression
    return Picture(
        Syntax.JSX,
        start,
        end,
        source=source,
        alt=None if alt is None else (alt.value or ""),
        alt_start=place[0],
        alt_end=place[1],
        is_dynamic=bool(alt is not None and alt.expression) or "..." in attributes,
        is_decorative=is_decorative(values),
        is_named="aria-label" in attributes or "aria-labelledby" in attributes,
        is_draft=DRAFT_ATTRIBUTE in attributes,
    )


def _read(source: bytes, at: int) -> tuple[dict[str, _Attribute], int, bool, int] | None:
    """Read attributes up to the end of a tag: they, the end, whether it closes itself, and the end of `src`, or of the
    name. None where the tag does not end."""
    attributes: dict[str, _Attribute] = {}
    after = at
    while at < len(source):
        rest = source[at : at + 2]
        if rest[:1].isspace():
            at += 1
        elif rest == b"/>":
            return attributes, at + 2, True, after
        elif rest[:1] == b">":
            return attributes, at + 1, False, after
        elif rest[:1] == b"{":
            end = _braced(source, at)
            if end is None:
                return None
            attributes["..."] = _Attribute(None, source[at + 1 : end - 1].decode("utf-8", "replace"), at, end)
            at = end
        elif match := _NAME.match(source, at):
            read = _attribute(source, match)
            if read is None:
                return None
            attributes.setdefault(match[1].decode(), read)
            at = read.end
            if match[1] == b"src":
                after = at
        else:
            return None
    return None


def _attribute(source: bytes, match: re.Match[bytes]) -> _Attribute | None:
    """Read one attribute, of which ``match`` is the name; None where it does not end."""
    start, at = match.start(1), match.end()
    if source[at : at + 1] != b"=":
        return _Attribute(None, "", start, at)
    quote = source[at + 1 : at + 2]
    if quote == b"{":
        end = _braced(source, at + 1)
        return (
            None if end is None else _expressed(source[at + 2 : end - 1].decode("utf-8", "replace").strip(), start, end)
        )
    end = source.find(quote, at + 2) if quote in (b'"', b"'") else -1
    if end < 0:
        return None
    return _Attribute(html.unescape(source[at + 2 : end].decode("utf-8", "replace")), "", start, end + 1)


def _expressed(inner: str, start: int, end: int) -> _Attribute:
    """Return an attribute of an expression; that of a plain string has a value."""
    if len(inner) > 1 and inner[0] == inner[-1] and inner[0] in "\"'`" and "${" not in inner:
        return _Attribute(inner[1:-1], "", start, end)
    return _Attribute(None, inner, start, end)


def _braced(source: bytes, at: int) -> int | None:
    """Return the end of what is in braces, strings in it left alone; None where it does not end."""
    depth, quote = 0, b""
    while at < len(source):
        one = source[at : at + 1]
        if quote:
            if one == b"\\":
                at += 1
            elif one == quote:
                quote = b""
        elif one in (b'"', b"'", b"`"):
            quote = one
        elif one == b"{":
            depth += 1
        elif one == b"}":
            depth -= 1
            if not depth:
                return at + 1
        at += 1
    return None
