"""Bring keywords, a caption and an alt text into an XMP sidecar, and leave all else in it as it is.

What is there was written by people or by other programs and stays. Only what we wrote is changed or taken back: a
property of our own notes it (`xmp.OF_MODELS`, `xmp.OUR_TEXTS`). A keyword of ours that somebody deleted is noted, too,
and not written again; where somebody puts it back, it is a person's. Namespace prefixes, comments and
the order of things are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from indexer import xmp
from indexer.xmp import HIERARCHIES, OF_MODELS, OUR_TEXTS, RDF, REFUSED, SUBJECT, XML_LANG, Unreadable, tidy, values

Keyword = tuple[str, ...]
"""From its highest level down; most have one."""

_EMPTY = (
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description rdf:about=""/></rdf:RDF>'
    "</x:xmpmeta>"
).encode()
_HEAD = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_TAIL = '\n<?xpacket end="w"?>\n'
_AROUND = r"(?:\s|<\?.*?\?>|<!--.*?-->)*"
_PREFIXES = {
    xmp.DC: "dc",
    xmp.LIGHTROOM: "lr",
    xmp.DIGIKAM: "digiKam",
    xmp.IPTC_CORE: "Iptc4xmpCore",
    xmp.OURS: "snapseek",
    "adobe:ns:meta/": "x",
    RDF: "rdf",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a sidecar is to say."""

    people: tuple[Keyword, ...] = ()
    """What people said here."""
    elsewhere: tuple[Keyword, ...] = ()
    """What people wrote in the file, or in another sidecar: it is said again only where this sidecar has no keywords,
    for some programs look at the file's own no longer once there is a sidecar."""
    models: tuple[str, ...] = ()
    caption: str | None = None
    alt_text: str | None = None


@dataclass(frozen=True, slots=True)
class Edited:
    """A sidecar as it is to be, or None where it is so already."""

    data: bytes | None
    """It may differ in nothing but our note: a person says now what only models did."""
    added: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()


def edited(data: bytes | None, wanted: Wanted) -> Edited:
    """Return a sidecar that says what is wanted; ``data`` is that which is there. Raises Unreadable."""
    prefixes: dict[str, str] = {}
    root = xmp.parsed(data or _EMPTY, prefixes)
    if not xmp.descriptions(root):
        xmp.rdf_of(root).append(Element(f"{{{RDF}}}Description", {f"{{{RDF}}}about": ""}))
    added, withdrawn, noted = _bring_keywords(root, wanted)
    for name, text in ((xmp.DESCRIPTION, wanted.caption), (xmp.ALT_TEXT, wanted.alt_text)):
        if text and _bring_text(root, name, text):
            added.append(text)
    if not (added or withdrawn or noted):
        return Edited(None)
    if data is None:
        ElementTree.indent(root, " ")
    return Edited(_written(root, data, prefixes), tuple(added), tuple(withdrawn))


def _bring_keywords(root: Element, wanted: Wanted) -> tuple[list[str], list[str], bool]:
    """Change the lists of keywords, and return what was added, what was withdrawn, and whether our note changed."""
    noted = {_key(word): word for word in values(root, OF_MODELS)}
    there = _present(root)
    people = [*wanted.people, *(() if there.keys() - noted.keys() else wanted.elsewhere)]
    new = [keyword for keyword in dict.fromkeys(people) if _key("/".join(keyword)) not in there]
    said = {_key("/".join(keyword)) for keyword in people}
    models = {_key(label): label for label in wanted.models if _key(label) not in said}
    refused = {_key(word): word for word in values(root, REFUSED)} | noted
    refused = {key: word for key, word in refused.items() if key not in there and key not in said}
    ours = [label for key, label in models.items() if key not in there and key not in refused]
    gone = [word for key, word in noted.items() if key in there and key not in models and key not in said]
    kept = [word for key, word in noted.items() if key in there and key not in said and word not in gone]

    _take_out(root, {_key(word) for word in gone})
    # Flat ones first: lists that are made anew below take over what stands there.
    _add(root, SUBJECT, [keyword[-1] for keyword in new] + ours)
    hierarchies = [name for name in HIERARCHIES if values(root, name)]
    if not hierarchies and any(len(keyword) > 1 for keyword in new):
        _make_hierarchies(root, new, ours)
    for name in hierarchies:
        separator = HIERARCHIES[name]
        _add(root, name, [separator.join(keyword) for keyword in new] + ours)
    is_noted_anew = _set_note(root, OF_MODELS, [*kept, *ours]) | _set_note(root, REFUSED, list(refused.values()))
    return ["/".join(keyword) for keyword in new] + ours, gone, is_noted_anew


def _make_hierarchies(root: Element, new: list[Keyword], ours: list[str]) -> None:
    """Make both lists: programs that read one of them read no flat ones, so each has all keywords."""
    leaves = {_key(keyword[-1]) for keyword in new if len(keyword) > 1}
    flat = [word for word in values(root, SUBJECT) if _key(word) not in leaves]
    paths = [keyword for keyword in new if len(keyword) > 1]
    for name, separator in HIERARCHIES.items():
        _add(root, name, [separator.join(keyword) for keyword in paths] + list(dict.fromkeys([*flat, *ours])))


def _present(root: Element) -> dict[str, None]:
    """Return what stands in any list of keywords, levels by themselves and whole paths, folded."""
    found = dict.fromkeys(map(_key, values(root, SUBJECT)))
    for name, separator in HIERARCHIES.items():
        for path in values(root, name):
            levels = [level for level in map(tidy, path.split(separator)) if level]
            found |= dict.fromkeys(map(_key, [*levels, "/".join(levels)]))
    found.pop("", None)
    return found


def _take_out(root: Element, gone: set[str]) -> None:
    for name in (SUBJECT, *HIERARCHIES):
        for _, element in _elements(root, name):
            for container in element:
                for item in list(container):
                    if _key(item.text or "") in gone:
                        container.remove(item)


def _set_note(root: Element, name: str, words: list[str]) -> bool:
    """Set one of our own lists, and return whether it changed."""
    if values(root, name) == words:
        return False
    for description, element in list(_elements(root, name)):
        description.remove(element)
    _add(root, name, words)
    return True


def _add(root: Element, name: str, words: Iterable[str]) -> None:
    """Add words to a list, those that are not in it."""
    known = set(map(_key, values(root, name)))
    missing = [word for word in dict.fromkeys(words) if _key(word) not in known]
    if not missing:
        return
    container = _container(root, name, "Bag")
    for word in missing:
        SubElement(container, f"{{{RDF}}}li").text = word


def _container(root: Element, name: str, kind: str) -> Element:
    """Return the list of a property, made where there is none."""
    for _, element in _elements(root, name):
        for container in element:
            if container.tag in {f"{{{RDF}}}{one}" for one in ("Bag", "Seq", "Alt")}:
                return container
    return SubElement(SubElement(xmp.descriptions(root)[0], name), f"{{{RDF}}}{kind}")


def _bring_text(root: Element, name: str, text: str) -> bool:
    """Set a text that is not there, or that we wrote, and return whether it changed."""
    note = OUR_TEXTS[name]
    before, noted = ([tidy(one) for one in values(root, which)] for which in (name, note))
    if tidy(text) in before[:1] or (any(before) and before[0] not in noted):
        return False
    container = _container(root, name, "Alt")
    default = next((item for item in container if item.get(XML_LANG) == "x-default"), None)
    if default is None:
        default = Element(f"{{{RDF}}}li", {XML_LANG: "x-default"})
        container.insert(0, default)
    default.text = text
    for description, element in list(_elements(root, note)):
        description.remove(element)
    SubElement(xmp.descriptions(root)[0], note).text = text
    return True


def _elements(root: Element, name: str) -> Iterator[tuple[Element, Element]]:
    for description in xmp.descriptions(root):
        for element in description.findall(name):
            yield description, element


def _key(word: str) -> str:
    return tidy(word).casefold()


def _written(root: Element, before: bytes | None, prefixes: dict[str, str]) -> bytes:
    """Return the XML, in the prefixes that were used, between what stood before and behind it."""
    for uri, prefix in {**_PREFIXES, **prefixes}.items():
        if not re.fullmatch(r"ns\d+|xml|", prefix):  # the module's own names
            ElementTree.register_namespace(prefix, uri)
    try:
        body = ElementTree.tostring(root, encoding="unicode")
    except RecursionError as error:
        raise Unreadable("its elements are nested too deeply") from error
    head, tail = _HEAD, _TAIL
    if before is not None:
        try:
            text = before.decode()
        except UnicodeDecodeError:
            text = ""
        around = re.match(f"({_AROUND})<.*>({_AROUND})$", text, re.DOTALL)
        if around and not re.search(r"encoding\s*=\s*[\"'](?!utf-?8)", around[1], re.IGNORECASE):
            head, tail = around[1], around[2]
    return (head + body + tail).encode()
