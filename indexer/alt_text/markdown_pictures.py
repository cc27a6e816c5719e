"""Pictures in Markdown and MDX, found with their places: by tree-sitter's grammar of CommonMark and GitHub's tables."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping

import tree_sitter
import tree_sitter_markdown

from indexer.alt_text.html_pictures import html_pictures
from indexer.alt_text.jsx_pictures import jsx_pictures
from indexer.alt_text.pictures import Link, Picture, Syntax

_BLOCKS = tree_sitter.Parser(tree_sitter.Language(tree_sitter_markdown.language()))
_INLINE = tree_sitter.Parser(tree_sitter.Language(tree_sitter_markdown.inline_language()))
_CODE = ("fenced_code_block", "indented_code_block", "minus_metadata", "plus_metadata", "code_span", "uri_autolink")
_COMMENT = re.compile(rb"<!--.*?-->|\{/\*.*?\*/\}", re.DOTALL)
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
MARKS = {Syntax.MARKDOWN: b"<!-- alt draft: snapseek -->", Syntax.MDX: b"{/* alt draft: snapseek */}"}
"""What stands behind a picture whose text is a draft."""
DECORATIVE = (b"<!-- decorative -->", b"{/* decorative */}")
"""What an author puts behind a picture without a text, to say that it needs none."""


def markdown_pictures(source: bytes, *, mdx: bool) -> Iterator[Picture]:
    """Yield pictures in Markdown's own form and in HTML or JSX, in their order."""
    syntax = Syntax.MDX if mdx else Syntax.MARKDOWN
    root = _BLOCKS.parse(source).root_node
    blanked = bytearray(source)
    for start, end in _code(root):
        blanked[start:end] = b" " * (end - start)
    targets = _targets(root)
    found = [one for part in _inlines(root) for one in _in_part(source, part, targets, syntax, blanked)]
    for match in _COMMENT.finditer(blanked):
        blanked[match.start() : match.end()] = b" " * (match.end() - match.start())
    found += jsx_pictures(bytes(blanked)) if mdx else html_pictures(bytes(blanked))
    yield from sorted(found, key=lambda one: one.start)


def _in_part(
    source: bytes, part: tree_sitter.Node, targets: Mapping[str, str], syntax: Syntax, blanked: bytearray
) -> Iterator[Picture]:
    """Yield the pictures of one paragraph, heading or cell, and blank its code in ``blanked``."""
    # What a list or a quotation puts before each line is no part of the text.
    text = bytearray(source[part.start_byte : part.end_byte])
    for child in part.children:
        if child.type == "block_continuation":
            text[child.start_byte - part.start_byte : child.end_byte - part.start_byte] = b" " * (
                child.end_byte - child.start_byte
            )
    tree = _INLINE.parse(bytes(text)).root_node
    for start, end in _code(tree):
        blanked[part.start_byte + start : part.start_byte + end] = b" " * (end - start)
    for node in _all(tree, "image"):
        yield _picture(bytes(text), node, part.start_byte, targets, syntax)


def _picture(text: bytes, node: tree_sitter.Node, base: int, targets: Mapping[str, str], syntax: Syntax) -> Picture:
    description = _child(node, "image_description")
    said = "" if description is None else _plain(_of(text, description))
    start, end = (node.start_byte + 2,) * 2 if description is None else (description.start_byte, description.end_byte)
    target, label = _child(node, "link_destination"), _child(node, "link_label")
    named_by_text = None
    if target is not None:
        address = _plain(_of(text, target)).strip("<>")
    elif label is not None:
        address = targets.get(_key(_of(text, label)), "")
    else:
        named_by_text = said
        address = targets.get(_key(f"[{said}]"), "")
        start, end = node.start_byte, node.end_byte  # the text is the name too, so all of it is written anew
    behind = text[node.end_byte :].lstrip(b" ")
    return Picture(
        syntax,
        base + node.start_byte,
        base + node.end_byte,
        source=address,
        alt=said or None,
        alt_start=base + start,
        alt_end=base + end,
        is_dynamic="{{" in said or "{%" in said,
        is_decorative=not said and behind.startswith(DECORATIVE),
        is_draft=behind.startswith(tuple(MARKS.values())),
        link=_link(text, node),
        label=named_by_text,
    )


def _link(text: bytes, node: tree_sitter.Node) -> Link | None:
    around = node.parent
    while around is not None and around.type not in ("inline_link", "full_reference_link"):
        around = around.parent
    if around is None:
        return None
    target, words = _child(around, "link_destination"), _child(around, "link_text")
    title = _child(around, "link_title")
    said = b""
    if words is not None:
        said = text[words.start_byte : node.start_byte] + b" " + text[node.end_byte : words.end_byte]
        for mark in MARKS.values():
            said = said.replace(mark, b"")
    parts = [_plain(said.decode("utf-8", "replace")), "" if title is None else _of(text, title).strip("\"'()")]
    return Link("" if target is None else _of(text, target), " ".join(" ".join(parts).split()))


def _targets(root: tree_sitter.Node) -> dict[str, str]:
    """Return the addresses of references by name; the first of a name counts."""
    found: dict[str, str] = {}
    for node in _all(root, "link_reference_definition"):
        label, target = _child(node, "link_label"), _child(node, "link_destination")
        if label is not None and target is not None:
            found.setdefault(
                _key((label.text or b"").decode("utf-8", "replace")),
                _plain((target.text or b"").decode("utf-8", "replace")).strip("<>"),
            )
    return found


def _key(label: str) -> str:
    return " ".join(label.strip("[]").casefold().split())


def _code(node: tree_sitter.Node) -> Iterator[tuple[int, int]]:
    for kind in _CODE:
        for one in _all(node, kind):
            yield one.start_byte, one.end_byte


def _inlines(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    for kind in ("inline", "pipe_table_cell"):
        yield from _all(node, kind)


def _all(node: tree_sitter.Node, kind: str) -> Iterator[tree_sitter.Node]:
    if node.type == kind:
        yield node
    for child in node.children:
        yield from _all(child, kind)


def _child(node: tree_sitter.Node, kind: str) -> tree_sitter.Node | None:
    return next((child for child in node.children if child.type == kind), None)


def _of(text: bytes, node: tree_sitter.Node) -> str:
    return text[node.start_byte : node.end_byte].decode("utf-8", "replace")


def _plain(text: str) -> str:
    """Return a text without the escapes of Markdown, on one line."""
    return " ".join(html.unescape(_ESCAPED.sub(r"\1", text)).split())
