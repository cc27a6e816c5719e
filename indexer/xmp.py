"""XMP packets: what people's photo programs write about a picture, as RDF in XML (ISO 16684-1).

Document types, and so entities of any kind, are refused: no packet has them, attacks do.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from xml.etree import ElementTree

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from search.written import XMP, Text, Written

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DC = "http://purl.org/dc/elements/1.1/"
LIGHTROOM = "http://ns.adobe.com/lightroom/1.0/"
DIGIKAM = "http://www.digikam.org/ns/1.0/"
IPTC_CORE = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
TIFF = "http://ns.adobe.com/tiff/1.0/"
XAP = "http://ns.adobe.com/xap/1.0/"
OURS = "urn:snapseek:xmp:1#"
"""Of what `snapseek xmp export` notes in a sidecar."""

SUBJECT = f"{{{DC}}}subject"
HIERARCHIES = {f"{{{LIGHTROOM}}}hierarchicalSubject": "|", f"{{{DIGIKAM}}}TagsList": "/"}
"""Properties that hold keywords with their levels, and what parts these."""
DESCRIPTION, TITLE = f"{{{DC}}}description", f"{{{DC}}}title"
IMAGE_DESCRIPTION = f"{{{TIFF}}}ImageDescription"
ALT_TEXT = f"{{{IPTC_CORE}}}AltTextAccessibility"
RATING = f"{{{XAP}}}Rating"
OF_MODELS = f"{{{OURS}}}OfModels"
"""The keywords that models said and we wrote: they are no people's, and are ours to take back."""
REFUSED = f"{{{OURS}}}Refused"
"""Those of them that somebody deleted elsewhere: they are not written again."""
OUR_TEXTS = {DESCRIPTION: f"{{{OURS}}}Description", ALT_TEXT: f"{{{OURS}}}AltText"}
"""Where we note what we wrote as these texts, so that a newer one may take its place."""
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"

MOST_BYTES = 8 * 2**20
MOST_KEYWORDS = 500
LONGEST_KEYWORD, LONGEST_TEXT = 100, 5_000
"""Characters. Longer keywords are passed over, longer texts cut."""


class Unreadable(Exception):
    """Metadata that cannot be read; the text says why."""


class _Builder(ElementTree.TreeBuilder):
    """Keeps comments, processing instructions, and the prefixes of namespaces."""

    def __init__(self, prefixes: dict[str, str]) -> None:
        super().__init__(insert_comments=True, insert_pis=True)
        self._prefixes = prefixes

    def start_ns(self, prefix: str, uri: str) -> None:
        self._prefixes.setdefault(uri, prefix or "")


def parsed(data: bytes, prefixes: dict[str, str] | None = None) -> ElementTree.Element:
    """Return the XML of a packet or sidecar, and put its namespaces with their prefixes into ``prefixes``.

    Comments and processing instructions are kept. Raises Unreadable.
    """
    if len(data) > MOST_BYTES:
        raise Unreadable(f"it has more than {MOST_BYTES:,} bytes")
    parser = DefusedXMLParser(target=_Builder({} if prefixes is None else prefixes), forbid_dtd=True)
    try:
        parser.feed(_unpadded(data))
        root: ElementTree.Element = parser.close()
    except DefusedXmlException as error:
        raise Unreadable("it has a document type or entities, which XMP has not") from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # of encodings: the latter two
        raise Unreadable(f"no well-formed XML: {error}") from error
    return root


def _unpadded(data: bytes) -> bytes:
    """Return a packet without the padding that some programs leave around it."""
    if not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.strip(b"\0 \r\n\t")
    while data.endswith(b"\0\0"):
        data = data[:-2]
    return data


def rdf_of(root: ElementTree.Element) -> ElementTree.Element:
    """Return the element that holds all properties. Raises Unreadable."""
    rdf = root if root.tag == f"{{{RDF}}}RDF" else root.find(f".//{{{RDF}}}RDF")
    if rdf is None:
        raise Unreadable("it holds no XMP: there is no rdf:RDF in it")
    return rdf


def descriptions(root: ElementTree.Element) -> list[ElementTree.Element]:
    """Return the elements whose attributes and children are properties of the picture. Raises Unreadable."""
    return rdf_of(root).findall(f"{{{RDF}}}Description")


def values(root: ElementTree.Element, name: str) -> list[str]:
    """Return the values of a property, of a text in several languages the default one first."""
    found: list[str] = []
    for description in descriptions(root):
        if name in description.attrib:
            found.append(description.attrib[name])
        for element in description.findall(name):
            found += _values_of(element)
    return found


def items(element: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Yield the entries of a property that is a list."""
    for kind in ("Bag", "Seq", "Alt"):
        for container in element.findall(f"{{{RDF}}}{kind}"):
            yield from container.findall(f"{{{RDF}}}li")


def _values_of(element: ElementTree.Element) -> list[str]:
    listed = sorted(items(element), key=lambda item: item.get(XML_LANG, "x-default") != "x-default")
    return [item.text or "" for item in listed] if listed else [element.text or ""]


def read(data: bytes) -> Written:
    """Return what people wrote in a packet or sidecar. Raises Unreadable."""
    root = parsed(data)
    ours = {tidy(word).casefold() for word in values(root, OF_MODELS)}
    keywords: dict[str, None] = {}
    for name, separator in HIERARCHIES.items():
        for path in values(root, name):
            for word in _of_path(path, separator, ours):
                keywords[word] = None
    for word in values(root, SUBJECT):
        if tidy(word).casefold() not in ours:
            keywords[tidy(word)] = None
    return Written(
        as_keywords(keywords, XMP),
        as_text(_first(root, DESCRIPTION) or _first(root, IMAGE_DESCRIPTION), _first(root, TITLE), XMP),
        as_text(_first(root, ALT_TEXT), "", XMP),
        stars(_first(root, RATING), XMP),
    )


def _of_path(path: str, separator: str, ours: set[str]) -> list[str]:
    levels = [level for level in map(tidy, path.split(separator)) if level]
    whole = "/".join(levels)
    if whole.casefold() in ours:
        return []
    return [*levels, whole] if len(levels) > 1 else levels


def _first(root: ElementTree.Element, name: str) -> str:
    return next(filter(None, map(tidy, values(root, name))), "")


def tidy(text: str) -> str:
    """Return a text on one line, composed (NFC), without control characters and what is no character at all."""
    kept = "".join(" " if unicodedata.category(c) == "Cc" else c for c in text if not "\ud800" <= c <= "\udfff")
    return unicodedata.normalize("NFC", " ".join(kept.split()))


def as_keywords(words: dict[str, None] | list[str], source: str) -> tuple[Text, ...]:
    """Return distinct keywords; two that differ in case only are one."""
    distinct: dict[str, Text] = {}
    for word in words:
        if 0 < len(word) <= LONGEST_KEYWORD and len(distinct) < MOST_KEYWORDS:
            distinct.setdefault(word.casefold(), Text(word, source))
    return tuple(distinct.values())


def as_text(description: str, title: str, source: str) -> Text | None:
    """Return a description, after its title where that says something else."""
    if title and title.casefold() not in description.casefold():
        stop = "" if re.search(r"\W$", title) else "."
        description = f"{title}{stop} {description}" if description else title
    return Text(description[:LONGEST_TEXT], source) if description else None


def stars(rating: str, source: str) -> Text | None:
    """Return a rating of one to five as a tag; nought is none, and less is a rejected picture of some programs."""
    try:
        count = round(float(rating))
    except (ValueError, OverflowError):
        return None
    return Text(f"{count} star{'s' if count > 1 else ''}", source) if 1 <= count <= 5 else None
