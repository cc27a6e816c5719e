"""The whole result of a search as a file, written page by page as it is sent."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from fastapi.responses import StreamingResponse

from search.limits import MAX_K
from search.types import DEFAULT_CONFIDENCE, Hit, Query, SearchResults

KINDS = ("json", "csv")
MOST = 50_000
"""Images in one file."""
COLUMNS = ("id", "file", "relevance", "width", "height", "taken_at", "caption", "alt_text", "tags")
# A spreadsheet reads a cell that begins so as a formula, and names and captions are other people's text.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Search = Callable[[Query], SearchResults]


def exported(kind: str, query: Query, search: Search) -> StreamingResponse:
    """Return the answer that holds every image a query finds, best first. What it cannot answer is raised here."""
    first = _page(query, search, None)
    hits = _hits(query, search, first)
    lines, mime = (_json(hits), "application/json") if kind == "json" else (_csv(hits), "text/csv; charset=utf-8")
    headers = {"Content-Disposition": f'attachment; filename="snapseek.{kind}"', "Cache-Control": "no-store"}
    return StreamingResponse(lines, media_type=mime, headers=headers)


def _page(query: Query, search: Search, cursor: str | None) -> SearchResults:
    return search(replace(query, k=MAX_K, facets=(), ranges=(), conjunctive=(), cursor=cursor))


def _hits(query: Query, search: Search, results: SearchResults) -> Iterator[Hit]:
    count = 0
    while True:
        yield from results.hits
        count += len(results.hits)
        if not results.next or count >= MOST:
            return
        results = _page(query, search, results.next)


def _row(hit: Hit) -> dict[str, Any]:
    image = hit.image
    labels = dict.fromkeys(
        f"{tag.kind}:{tag.label}" for tag in image.tags if tag.confidence >= DEFAULT_CONFIDENCE[tag.kind]
    )
    return {
        "id": image.id,
        "files": list(image.files),
        "relevance": None if hit.relevance is None else round(hit.relevance, 4),
        "width": image.width,
        "height": image.height,
        "taken_at": image.taken_at.isoformat() if image.taken_at else None,
        "caption": image.caption,
        "alt_text": image.alt_text,
        "tags": list(labels),
    }


def _json(hits: Iterator[Hit]) -> Iterator[str]:
    """Yield a JSON array, one image a line."""
    yield "["
    for number, hit in enumerate(hits):
        yield ("," if number else "") + "\n" + json.dumps(_row(hit), ensure_ascii=False)
    yield "\n]\n"


def _csv(hits: Iterator[Hit]) -> Iterator[str]:
    yield _line(COLUMNS)
    for hit in hits:
        row = _row(hit)
        row["file"] = "; ".join(row.pop("files"))
        row["tags"] = "; ".join(row["tags"])
        yield _line([_cell(row[name]) for name in COLUMNS])


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _line(cells: Any) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()
