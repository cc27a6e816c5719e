"""Alt text over pages with every case of the decision tree: `tests/bench/alt_text.py PHOTOS [--pages 30] [--json]`.

PHOTOS is a folder of photos. Says for how many pictures it was right whether to write, and what for, and whether the
files are byte for byte the same but for what was written.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from alt_pages import Page, write_pages

from indexer.alt_text.checking import Finding, look_through
from indexer.alt_text.documents import parsed, read
from indexer.alt_text.pictures import Syntax
from indexer.alt_text.seeing import seeing
from search.config import load_config

LEAST = 0.95


def measure(folder: Path, photos: list[Path], count: int) -> dict[str, Any]:
    pages = write_pages(folder, photos, count)
    before = {page.path: page.path.read_bytes() for page in pages}
    bare = {page.path: without_texts(page.path) for page in pages}
    began = time.monotonic()
    with seeing(load_config(data=folder / "none"), "lite", with_library=False) as seer:
        report = look_through([page.path for page in pages], seer.see, root=folder, least=0.5, write=True)
    seconds = time.monotonic() - began
    found = {(one.path, one.line, one.column): one for one in report.findings}
    right: Counter[str] = Counter()
    wrong = []
    for page in pages:
        for case, finding in paired(page, before[page.path], found):
            is_written = finding is not None and finding.is_written
            right["pictures"] += 1
            right["whether"] += is_written == case.writes
            if case.writes and finding is not None and finding.proposal is not None:
                right["purposes"] += 1
                right["purpose"] += str(finding.proposal.purpose) == case.purpose
                if str(finding.proposal.purpose) != case.purpose:
                    wrong.append(f"{page.path.name}: {case.name}: taken for {finding.proposal.purpose}: {finding}")
            if is_written != case.writes:
                wrong.append(f"{page.path.name}: {case.name}: {finding or 'nothing found'}")
    return {
        "pages": len(pages),
        "pictures": right["pictures"],
        "right_whether_to_write": round(right["whether"] / right["pictures"], 4),
        "right_purpose": round(right["purpose"] / max(1, right["purposes"]), 4),
        "otherwise_identical": all(without_texts(page.path) == bare[page.path] for page in pages),
        "seconds": round(seconds, 1),
        "wrong": wrong,
    }


def paired(page: Page, source: bytes, found: dict[Any, Finding]) -> list[tuple[Any, Finding | None]]:
    """Return each case of a page with what was found there."""
    document = parsed(page.path, source)
    assert len(document.pictures) == len(page.cases), (page.path, document.pictures, page.cases)
    places = [document.place(picture.start) for picture in document.pictures]
    return [(case, found.get((page.path, *place))) for case, place in zip(page.cases, places, strict=True)]


_ALT = re.compile(
    rb"""\s+(?:alt(?:=(?:"[^"]*"|'[^']*'|\{[^}]*\}|[^\s>"']+))?|data-alt-draft="snapseek")(?=[\s/>])""", re.I
)
_MARK = re.compile(rb" (?:<!-- alt draft: snapseek -->|\{/\* alt draft: snapseek \*/\})")


def without_texts(path: Path) -> bytes:
    """Return a document without the alternative texts of its pictures, and without marks of drafts."""
    document = read(path)
    source = document.source
    for picture in sorted(document.pictures, key=lambda one: -one.start):
        behind = source[picture.end :]
        if mark := _MARK.match(behind):
            behind = behind[mark.end() :]
        if picture.syntax in (Syntax.HTML, Syntax.JSX):
            kept = _ALT.sub(b"", source[picture.start : picture.end])
        elif picture.label is not None:
            kept = f"![][{picture.label}]".encode()
        elif re.fullmatch(rb"!\[[^\]]*\]\[[^\]]+\]", source[picture.start : picture.end], re.DOTALL):
            kept = b"![]" + source[source.rindex(b"[", picture.start, picture.end) : picture.end]
        else:
            kept = b"![" + source[picture.alt_end : picture.end]
        source = source[: picture.start] + kept + behind
    return source


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--pages", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    photos = sorted(path for path in given.photos.rglob("*") if path.suffix in (".jpg", ".png"))
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), photos, given.pages)
    if given.json:
        print(json.dumps(result, indent=2))
    else:
        for line in result.pop("wrong"):
            print(f"wrong: {line}")
        print("\n".join(f"{name:24} {value}" for name, value in result.items()))
    return 0 if result["right_whether_to_write"] >= LEAST and result["otherwise_identical"] else 1


if __name__ == "__main__":
    sys.exit(main())
