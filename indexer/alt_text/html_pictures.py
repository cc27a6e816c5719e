"""Pictures in HTML, found with their places: by tree-sitter, which keeps what is broken readable."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import tree_sitter
import tree_sitter_html

from indexer.alt_text.pictures import DRAFT_ATTRIBUTE, Link, Picture, Syntax

_PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_html.language()))
TAGS = ("start_tag", "self_closing_tag")
TEMPLATE = re.compile(r"\{\{|\{%|\$\{|<%|<\?|\{#")
"""Marks of template languages."""
DECORATIVE_ROLES = frozenset(("presentation", "none"))
SPACER = frozenset(("0", "1", "1px", "0px"))


@dataclass(frozen=True, slots=True)
class _Attribute:
    value: str | None
    start: int
    end: int


def html_pictures(source: bytes) -> Iterator[Picture]:
    """Yield `img`, `input type=image` and `area` elements, in their order."""
    for tag in _tags(_PARSER.parse(source).root_node):
        name = _name(tag)
        if name not in ("img", "input", "area"):
            continue
        attributes = _attributes(tag)
        kind = (_value(attributes, "type") or "").lower()
        if (name == "input" and kind != "image") or (name == "area" and "href" not in attributes):
            continue
        yield _picture(tag, name, attributes)


def language(source: bytes) -> str:
    """Return what `<html lang>` says, in lower case; "" where it says nothing."""
    for tag in _tags(_PARSER.parse(source).root_node):
        if _name(tag) == "html":
            return (_value(_attributes(tag), "lang") or "").lower()
    return ""


def _picture(tag: tree_sitter.Node, name: str, attributes: Mapping[str, _Attribute]) -> Picture:
    alt = attributes.get("alt")
    if alt is None:
        before = attributes.get("src") or next(reversed(list(attributes.values())), None)
        at = before.end if before else tag.children[1].end_byte
        start = end = at
    else:
        start, end = alt.start, alt.end
    value = None if alt is None else (alt.value or "")
    return Picture(
        Syntax.HTML,
        tag.start_byte,
        tag.end_byte,
        source=source_of({key: one.value for key, one in attributes.items()}),
        alt=value,
        alt_start=start,
        alt_end=end,
        is_dynamic=bool(TEMPLATE.search(value or ""))
        or any(key.startswith((":alt", "v-bind:alt", "[alt]", "{")) for key in attributes),
        is_decorative=is_decorative({key: one.value for key, one in attributes.items()}),
        is_named=bool(_value(attributes, "aria-label") or _value(attributes, "aria-labelledby")),
        is_draft=DRAFT_ATTRIBUTE in attributes,
        link=_link(tag, name, attributes),
        nearby=_caption(tag),
    )


def source_of(attributes: Mapping[str, str | None]) -> str:
    """Return where a picture is: `src`, or the first candidate of `srcset`."""
    if source := attributes.get("src") or attributes.get("data-src"):
        return source
    first = (attributes.get("srcset") or "").split(",")[0].split()
    return first[0] if first else ""


def is_decorative(attributes: Mapping[str, str | None]) -> bool:
    if (attributes.get("role") or "").lower() in DECORATIVE_ROLES or attributes.get("aria-hidden") == "true":
        return True
    return attributes.get("width") in SPACER or attributes.get("height") in SPACER


def _link(tag: tree_sitter.Node, name: str, attributes: Mapping[str, _Attribute]) -> Link | None:
    if name == "area":
        return Link(_value(attributes, "href") or "", "", _value(attributes, "title") or "")
    if name == "input":
        return Link("", "", _value(attributes, "title") or _value(attributes, "value") or "Submit")
    around = _ancestor(tag, ("a", "button"))
    if around is None:
        return None
    opening = _attributes(around.children[0])
    if _name(around.children[0]) == "a" and "href" not in opening:
        return None
    said = [_value(opening, key) or "" for key in ("aria-label", "title")]
    others = [
        _value(_attributes(other), "alt") or ""
        for other in _tags(around)
        if other.start_byte != tag.start_byte and _name(other) == "img"
    ]
    return Link(_value(opening, "href") or "", " ".join(filter(None, [_text(around), *said, *others])))


def _caption(tag: tree_sitter.Node) -> str:
    figure = _ancestor(tag, ("figure",))
    if figure is None:
        return ""
    captions = [one.parent for one in _tags(figure) if _name(one) == "figcaption"]
    return _text(captions[0]) if captions and captions[0] is not None else ""


def _ancestor(node: tree_sitter.Node, names: tuple[str, ...]) -> tree_sitter.Node | None:
    around = node.parent
    while around is not None:
        if around.type == "element" and _name(around.children[0]) in names and node.start_byte > around.start_byte:
            return around
        around = around.parent
    return None


def _tags(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    if node.type in TAGS:
        yield node
    for child in node.children:
        yield from _tags(child)


def _text(node: tree_sitter.Node) -> str:
    """Return the words of an element; not those of what can be told by its tags only."""

    def parts(one: tree_sitter.Node) -> Iterator[str]:
        if one.type in ("text", "entity"):
            yield (one.text or b"").decode("utf-8", "replace")
        for child in one.children:
            yield from parts(child)

    return " ".join(html.unescape(" ".join(parts(node))).split())


def _name(tag: tree_sitter.Node) -> str:
    named = tag.children[1] if len(tag.children) > 1 else None
    return (
        (named.text or b"").decode("utf-8", "replace").lower() if named is not None and named.type == "tag_name" else ""
    )


def _attributes(tag: tree_sitter.Node) -> dict[str, _Attribute]:
    """Return attributes by name, the first of each as browsers take it."""
    found: dict[str, _Attribute] = {}
    for node in tag.children:
        if node.type != "attribute":
            continue
        name = (node.children[0].text or b"").decode("utf-8", "replace").lower()
        value = None
        if len(node.children) > 2:
            raw = (node.children[2].text or b"").decode("utf-8", "replace")
            value = html.unescape(raw[1:-1] if raw[:1] in "\"'" and raw[:1] == raw[-1:] and len(raw) > 1 else raw)
        found.setdefault(name, _Attribute(value, node.start_byte, node.end_byte))
    return found


def _value(attributes: Mapping[str, _Attribute], name: str) -> str | None:
    found = attributes.get(name)
    return None if found is None else found.value
