"""Pictures in HTML, found with their places: by tree-sitter, which keeps what is broken readable."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

import tree_sitter
import tree_sitter_html

from indexer.alt_text.pictures import DRAFT_ATTRIBUTE, Link, Picture, Syntax, spoken

_PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_html.language()))
TAGS = ("start_tag", "self_closing_tag")
TEMPLATE = re.compile(r"\{\{|\{%|\$\{|<%|<\?|\{#")
"""Marks of template languages."""
DECORATIVE_ROLES = frozenset(("presentation", "none"))
SPACER = frozenset(("0", "1", "1px", "0px"))
TEXT_ONLY = frozenset(("textarea", "title", "xmp", "iframe"))
"""Elements in which a browser reads no tags."""
BY_SCRIPT = ("{", "<", "%", ":alt", "v-bind", "[alt]", "x-bind:alt", "ng-attr-alt")
"""How names of attributes begin that a template or a script makes, or that may make the text."""


@dataclass(frozen=True, slots=True)
class _Attribute:
    value: str | None
    start: int
    end: int


@dataclass(frozen=True)
class _Around:
    """An element around a picture that says something of it."""

    name: str
    depth: int
    node: tree_sitter.Node
    attributes: Mapping[str, _Attribute] = field(repr=False)

    @cached_property
    def words(self) -> str:
        return _text(self.node)

    @cached_property
    def texts_of_pictures(self) -> list[tuple[int, str]]:
        """Place and text of each picture in it that has one."""
        tags = ((tag.start_byte, _attributes(tag)) for tag in _tags(self.node) if _name(tag) == "img")
        return [(start, text) for start, attributes in tags if (text := _value(attributes, "alt"))]

    @cached_property
    def caption(self) -> str:
        """What the first caption in it says."""
        captions = (tag.parent for tag in _tags(self.node) if _name(tag) == "figcaption")
        first = next(captions, None)
        return "" if first is None else _text(first)


def html_pictures(source: bytes) -> Iterator[Picture]:
    """Yield `img`, `input type=image` and `area` elements, in their order."""
    around: list[_Around] = []
    for tag, depth in _tags_with_depth(_PARSER.parse(source).root_node):
        while around and around[-1].depth >= depth:
            around.pop()
        name = _name(tag)
        attributes = _attributes(tag)
        if name in ("img", "input", "area"):
            kind = (_value(attributes, "type") or "").lower()
            is_picture = kind == "image" if name == "input" else name == "img" or "href" in attributes
            if is_picture and not any(one.name in TEXT_ONLY for one in around):
                yield _picture(tag, name, attributes, around)
            continue
        is_telling = name in ("a", "button", "figure", *TEXT_ONLY) or _is_hidden(attributes)
        if is_telling and (element := tag.parent) is not None and element.type == "element":
            around.append(_Around(name, depth, element, attributes))


def language(source: bytes) -> str:
    """Return what `<html lang>` says, in lower case; "" where it says nothing."""
    for tag in _tags(_PARSER.parse(source).root_node):
        if _name(tag) == "html":
            return (_value(_attributes(tag), "lang") or "").lower()
    return ""


def _picture(tag: tree_sitter.Node, name: str, attributes: Mapping[str, _Attribute], around: list[_Around]) -> Picture:
    alt = attributes.get("alt")
    if alt is None:
        before = attributes.get("src") or next(reversed(list(attributes.values())), None)
        at = before.end if before else tag.children[1].end_byte
        start = end = at
    else:
        start, end = alt.start, alt.end
    value = None if alt is None else (alt.value or "")
    values = {key: one.value for key, one in attributes.items()}
    is_hidden = any(_is_hidden(one.attributes) for one in around)
    figure = next((one for one in reversed(around) if one.name == "figure"), None)
    return Picture(
        Syntax.HTML,
        tag.start_byte,
        tag.end_byte,
        source=source_of(values),
        alt=value,
        alt_start=start,
        alt_end=end,
        is_dynamic=bool(TEMPLATE.search(value or "")) or _is_by_script(tag, attributes),
        is_decorative=is_hidden or is_decorative(values),
        is_named=bool(_value(attributes, "aria-label") or _value(attributes, "aria-labelledby")),
        is_draft=DRAFT_ATTRIBUTE in attributes,
        # Nobody comes to a link that is hidden from readers.
        link=None if is_hidden else _link(tag, name, attributes, around),
        nearby="" if figure is None else figure.caption,
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


def _is_by_script(tag: tree_sitter.Node, attributes: Mapping[str, _Attribute]) -> bool:
    """Return whether something between the attributes may make the text."""
    others = b" ".join(node.text or b"" for node in tag.children if node.type != "attribute")
    return any(key.startswith(BY_SCRIPT) for key in attributes) or bool(
        TEMPLATE.search(others.decode("utf-8", "replace"))
    )


def _is_hidden(attributes: Mapping[str, _Attribute]) -> bool:
    return _value(attributes, "aria-hidden") == "true"


def _link(tag: tree_sitter.Node, name: str, attributes: Mapping[str, _Attribute], around: list[_Around]) -> Link | None:
    if name == "area":
        return Link(_value(attributes, "href") or "", "", _value(attributes, "title") or "")
    if name == "input":
        return Link("", "", _value(attributes, "title") or _value(attributes, "value") or "Submit")
    link = next((one for one in reversed(around) if one.name in ("a", "button")), None)
    if link is None or (link.name == "a" and "href" not in link.attributes):
        return None
    said = [_value(link.attributes, key) or "" for key in ("aria-label", "aria-labelledby", "title")]
    others = [text for at, text in islice(link.texts_of_pictures, 4) if at != tag.start_byte]
    return Link(_value(link.attributes, "href") or "", spoken(" ".join([link.words, *said, *others])))


def _tags_with_depth(node: tree_sitter.Node) -> Iterator[tuple[tree_sitter.Node, int]]:
    """Yield opening tags in their order, each with the depth of its element; no matter how deep they are."""
    for one, depth in _walk(node):
        if one.type in TAGS:
            yield one, depth - 1


def _tags(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    return (tag for tag, _ in _tags_with_depth(node))


def _walk(node: tree_sitter.Node) -> Iterator[tuple[tree_sitter.Node, int]]:
    """Yield a node and all below it in their order, with their depths."""
    cursor, depth = node.walk(), 0
    while True:
        if cursor.node is not None:
            yield cursor.node, depth
        if cursor.goto_first_child():
            depth += 1
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return
            depth -= 1


def _text(node: tree_sitter.Node) -> str:
    """Return the words of an element; not those of what can be told by its tags only."""
    parts = ((one.text or b"").decode("utf-8", "replace") for one, _ in _walk(node) if one.type in ("text", "entity"))
    return " ".join(html.unescape(" ".join(parts)).split())


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
