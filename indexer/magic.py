"""What a file is by its bytes, whatever its name or its sender say."""

from __future__ import annotations

from importlib.util import find_spec

HEIF = find_spec("pillow_heif") is not None
"""Whether the package is here that reads HEIC."""

HEAD = 512
"""Bytes from the start that `suffix_of` looks at."""
TAIL = 66 * 1024
"""Bytes from the end that `refuse_two_in_one` looks at: a ZIP's last record and the longest comment behind it."""

_PREFIXES = (
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tif"),
    (b"MM\0*", "tif"),
    (b"II+\0", "tif"),
    (b"MM\0+", "tif"),
    (b"BM", "bmp"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "j2k"),
)
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"mif1", b"msf1", b"hevc", b"heim", b"heis"))
_OTHERS = (
    ((b"<svg", b"<?xml", b"<!DOCTYPE svg"), "SVG is a vector format, which is not supported"),
    ((b"8BPS",), "a Photoshop document, not a picture"),
    ((b"\xc5\xd0\xd3\xc6",), "a document, not a picture"),
    ((b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",), "an OLE file (FPX, Office), not a picture"),
    ((b"PK\x03\x04", b"PK\x05\x06"), "a ZIP archive, not a picture"),
    ((b"Rar!", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b", b"BZh", b"\xfd7zXZ"), "an archive, not a picture"),
    ((b"%PDF-", b"%!PS"), "a document, not a picture"),
    ((b"<!DOCTYPE html", b"<html", b"<script"), "a web page, not a picture"),
    ((b"\x7fELF", b"MZ", b"#!"), "a program, not a picture"),
)


def suffix_of(head: bytes) -> str | None:
    """Return the usual suffix of the picture format that a file's first bytes tell; None where it is none of ours."""
    for prefix, suffix in _PREFIXES:
        if head.startswith(prefix):
            return suffix
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(len(head), _box_size(head)), 4))}
        if brands & {b"avif", b"avis"}:
            return "avif"
        if HEIF and brands & _HEIF_BRANDS:
            return "heic"
    return None


def _box_size(head: bytes) -> int:
    return int.from_bytes(head[:4], "big")


def why_refused(head: bytes) -> str:
    """Say what a file is that `suffix_of` does not know."""
    if not head:
        return "the file is empty"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for prefixes, reason in _OTHERS:
        if start[: max(map(len, prefixes))].lower().startswith(tuple(p.lower() for p in prefixes)):
            return reason
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return "HEIC needs one more package: pip install 'snapseek[heif]'"
    return "not a picture in a supported format"


def why_two_in_one(head: bytes, tail: bytes) -> str | None:
    """Return why a picture that is something else as well is refused, or None.

    Readers of PDF accept its mark within the first kilobyte, those of ZIP look for their record at the end.
    """
    if b"%PDF-" in head:
        return "a picture that is a PDF document as well"
    # A web page is looked for behind the picture's end only: metadata may speak of HTML.
    for start, end in ((b"\xff\xd8\xff", b"\xff\xd9"), (b"\x89PNG", b"IEND")):
        behind = tail[tail.rfind(end) :] if head.startswith(start) and end in tail else b""
        if any(mark in behind.lower() for mark in (b"<script", b"<html", b"<!doctype html", b"<svg")):
            return "a picture with a web page behind it"
    at = tail.rfind(b"PK\x05\x06")
    if at >= 0 and len(tail) - at >= 22 and len(tail) - at - 22 == int.from_bytes(tail[at + 20 : at + 22], "little"):
        return "a picture with a ZIP archive behind it"
    return None
