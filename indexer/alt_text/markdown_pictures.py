"""Pictures in Markdown and MDX, found with their places: by tree-sitter's grammar of CommonMark and GitHub's tables."""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

import tree_sitter
import tree_sitter_markdown

from indexer.alt_text.html_pictures import html_pictures
from indexer.alt_text.jsx_pictures import jsx_pictures
from indexer.alt_text.pictures import Link, Picture, Syntax, spoken

_BLOCKS = tree_sitter.Parser(tree_sitter.Language(tree_sitter_markdown.language()))
_INLINE = tree_sitter.Parser(tree_sitter.Language(tree_sitter_markdown.inline_language()))
_CODE = frozenset((
    "fenced_code_block", "indented_code_block", "minus_metadata", "plus_metadata", "code_span", "uri_autolink",
))  # fmt: skip
_PARTS = frozenset(("inline", "pipe_table_cell", "link_reference_definition"))
"""What is read for pictures. What a footnote says is taken for a definition by the grammar."""
_MDX_PARTS = _PARTS | {"html_block", "indented_code_block"}
"""In MDX an indented text is a text, and so is what stands in an element."""
_COMMENT = re.compile(rb"<!--.*?-->|\{/\*.*?\*/\}", re.DOTALL)
_DEFINITION = re.compile(r"^[ \t>]*\[(?!\^)((?:[^\[\]\\\n]|\\.)+)\]:[ \t]*\n?[ \t]*(<[^<>\n]*>|\S+)", re.MULTILINE)
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_TAG = re.compile(rb"<[^<>]*>")
_ATTRIBUTES = re.compile(rb"\{[^{}\n]*\}")
"""What belongs to a picture in some Markdowns: `![](a.jpg){.wide}`."""
MARKS = {Syntax.MARKDOWN: b"<!-- alt draft: snapseek -->", Syntax.MDX: b"{/* alt draft: snapseek */}"}
"""What stands behind a picture whose text is a draft."""
DECORATIVE = (b"<!-- decorative -->", b"{/* decorative */}")
"""What an author puts behind a picture without a text, to say that it needs none."""


@dataclass(slots=True)
class _Reading:
    """A document while it is read."""

    source: bytes
    syntax: Syntax
    targets: Mapping[str, str]
    """Addresses by the names of references."""
    blanked: bytearray
    """The document without code."""
    pictures: list[Picture] = field(default_factory=list)
    links: list[tuple[int, int, Link]] = field(default_factory=list)
    """Places of links in Markdown's own form."""


def markdown_pictures(source: bytes, *, mdx: bool) -> Iterator[Picture]:
    """Yield pictures in Markdown's own form and in HTML or JSX, in their order."""
    code = _CODE - {"indented_code_block"} if mdx else _CODE
    shown = source
    if mdx:  # the grammar knows no comments of MDX
        bare = _without(source, _BLOCKS.parse(source).root_node, code)
        shown = bytes(_blank(bytearray(source), [match.span() for match in _COMMENT.finditer(bare)]))
    root = _BLOCKS.parse(shown).root_node
    blanked = _without(shown, root, code)
    reading = _Reading(source, Syntax.MDX if mdx else Syntax.MARKDOWN, _targets(bytes(blanked)), blanked)
    for part in _all(root, _MDX_PARTS if mdx else _PARTS):
        _read_part(reading, shown, part, code)
    _blank(blanked, [match.span() for match in _COMMENT.finditer(blanked)])
    others = jsx_pictures(bytes(blanked)) if mdx else html_pictures(bytes(blanked))
    reading.pictures += [_linked(one, reading.links) for one in others]
    yield from sorted(reading.pictures, key=lambda one: one.start)


def _read_part(reading: _Reading, shown: bytes, part: tree_sitter.Node, code: Collection[str]) -> None:
    """Read one paragraph, heading or cell for its pictures and links, and blank its code."""
    # What a list or a quotation puts before each line is no part of the text.
    base = part.start_byte
    inside = [child for child in part.children if child.type == "block_continuation"]
    if part.type == "link_reference_definition":
        if not shown.startswith(b"[^", base):
            return
        base += len(part.children[0].text or b"")
        inside = []
    text = bytearray(shown[base : part.end_byte])
    _blank(text, [(child.start_byte - base, child.end_byte - base) for child in inside])
    tree = _INLINE.parse(bytes(text)).root_node
    _blank(reading.blanked, [(base + one.start_byte, base + one.end_byte) for one in _all(tree, code)])
    for node in _all(tree, ("image",)):
        reading.pictures.append(_picture(reading, bytes(text), node, base))
    for node in _all(tree, ("inline_link", "full_reference_link")):
        reading.links.append((base + node.start_byte, base + node.end_byte, _link(reading, bytes(text), node, None)))


def _picture(reading: _Reading, text: bytes, node: tree_sitter.Node, base: int) -> Picture:
    description = _child(node, "image_description")
    said = "" if description is None else _plain(_of(text, description))
    start, end = (node.start_byte + 2,) * 2 if description is None else (description.start_byte, description.end_byte)
    target, label = _child(node, "link_destination"), _child(node, "link_label")
    named_by_text = None
    if target is not None:
        address = _plain(_of(text, target)).strip("<>")
    elif label is not None:
        address = reading.targets.get(_key(_of(text, label)), "")
    else:
        named_by_text = said
        address = reading.targets.get(_key(f"[{said}]"), "")
        start, end = node.start_byte, node.end_byte  # the text is the name too, so all of it is written anew
    whole = base + node.end_byte
    if reading.syntax is Syntax.MARKDOWN and (own := _ATTRIBUTES.match(reading.source, whole)):
        whole = own.end()
    behind = reading.source[whole : whole + 80].lstrip(b" ")
    return Picture(
        reading.syntax,
        base + node.start_byte,
        whole,
        source=address,
        alt=said or None,
        alt_start=base + start,
        alt_end=base + end,
        is_dynamic="{{" in said or "{%" in said,
        is_decorative=not said and behind.startswith(DECORATIVE),
        is_draft=behind.startswith(tuple(MARKS.values())),
        link=_link_around(reading, text, node),
        label=named_by_text,
    )


def _link_around(reading: _Reading, text: bytes, node: tree_sitter.Node) -> Link | None:
    around = node.parent
    while around is not None and around.type not in ("inline_link", "full_reference_link"):
        around = around.parent
    return None if around is None else _link(reading, text, around, node)


def _link(reading: _Reading, text: bytes, link: tree_sitter.Node, but: tree_sitter.Node | None) -> Link:
    """Return what a link does; its words are those beside a picture, ``but``, and beside tags."""
    target, words, label = (_child(link, kind) for kind in ("link_destination", "link_text", "link_label"))
    title = _child(link, "link_title")
    said = b""
    if words is not None:
        left, right = (but.start_byte, but.end_byte) if but is not None else (words.start_byte, words.start_byte)
        said = text[words.start_byte : left] + b" " + text[right : words.end_byte]
        for mark in MARKS.values():
            said = said.replace(mark, b"")
        said = _TAG.sub(b" ", said)
    address = "" if target is None else _of(text, target)
    if target is None and label is not None:
        address = reading.targets.get(_key(_of(text, label)), "")
    parts = [_plain(said.decode("utf-8", "replace")), "" if title is None else _of(text, title).strip("\"'()")]
    return Link(address, spoken(" ".join(parts)))


def _linked(picture: Picture, links: list[tuple[int, int, Link]]) -> Picture:
    """Return a picture in HTML with the link in Markdown that is around it."""
    if picture.link is not None:
        return picture
    before = bisect_left(links, picture.start, key=lambda one: one[0]) - 1
    is_within = before >= 0 and picture.end < links[before][1]
    return replace(picture, link=links[before][2]) if is_within else picture


def _targets(source: bytes) -> dict[str, str]:
    """Return the addresses of references by name; the first of a name counts.

    Not by the grammar, which takes several below each other for a text.
    """
    found: dict[str, str] = {}
    for match in _DEFINITION.finditer(source.decode("utf-8", "replace").replace("\r\n", "\n")):
        found.setdefault(_key(match[1]), _plain(match[2]).strip("<>"))
    return found


def _key(label: str) -> str:
    return " ".join(label.strip("[]").casefold().split())


def _without(source: bytes, root: tree_sitter.Node, kinds: Collection[str]) -> bytearray:
    """Return a document with spaces for all nodes of some kinds."""
    return _blank(bytearray(source), [(one.start_byte, one.end_byte) for one in _all(root, kinds)])


def _blank(text: bytearray, places: list[tuple[int, int]]) -> bytearray:
    """Put spaces in some places, lines left as they are."""
    for start, end in places:
        text[start:end] = re.sub(rb"[^\r\n]", b" ", text[start:end])
    return text


def _all(node: tree_sitter.Node, kinds: Collection[str]) -> Iterator[tree_sitter.Node]:
    """Yield the nodes of some kinds in their order, but none that is within another; no matter how deep they are."""
    cursor = node.walk()
    while True:
        is_found = cursor.node is not None and cursor.node.type in kinds
        if is_found and cursor.node is not None:
            yield cursor.node
        if not is_found and cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return


def _child(node: tree_sitter.Node, kind: str) -> tree_sitter.Node | None:
    return next((child for child in node.children if child.type == kind), None)


def _of(text: bytes, node: tree_sitter.Node) -> str:
    return text[node.start_byte : node.end_byte].decode("utf-8", "replace")


def _plain(text: str) -> str:
    """Return a text without the escapes of Markdown, on one line."""
    return " ".join(html.unescape(_ESCAPED.sub(r"\1", text)).split())
