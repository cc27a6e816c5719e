"""Hold every family's adapter against its library: python tests/bench/model_families.py [--write FILE] [--json]

The models are small and random, of the libraries' real classes (`tests/tiny_models.py`); PP-OCR runs with its weights.
The table goes to stdout, or with --write between the lines `<!-- families -->` and `<!-- /families -->` of a file.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

with contextlib.redirect_stdout(sys.stderr):
    import references

from indexer.families import families  # noqa: E402

COLUMNS = {
    "task": "task",
    "name": "family",
    "model": "example",
    "size": "size",
    "adapter": "adapter",
    "measured": "against its library, on small random weights of the real classes",
    "licence": "licence",
    "note": "note",
}
FIRST, LAST = "<!-- families -->", "<!-- /families -->"


def measured() -> list[dict[str, Any]]:
    """Return the families in their order, each with what was measured; what libraries print goes to stderr."""
    rows = []
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        pictures = references.some_pictures(Path(folder, "photos"))
        for family in families():
            found = references.FAMILIES[family.name](Path(folder), pictures)
            rows.append({**family.as_dict(), "measured": str(found), "within limits": not found.too_much})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    def cell(row: dict[str, Any], column: str) -> str:
        text = str(row[column])
        return f"`{text}`" if text and column in ("model", "adapter") else text

    lines = [[*COLUMNS.values()], ["---"] * len(COLUMNS), *([cell(row, column) for column in COLUMNS] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(path: Path, text: str) -> None:
    """Put a text between the two marks of a file. Raises ValueError for one without them."""
    before, first, rest = path.read_text(encoding="utf-8").partition(FIRST)
    _, last, after = rest.partition(LAST)
    if not first or not last:
        raise ValueError(f"{path} has no lines {FIRST} and {LAST}")
    path.write_text(f"{before}{FIRST}\n{text}\n{LAST}{after}", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = measured()
    print(json.dumps(rows, indent=2, ensure_ascii=False) if args.json else table(rows))
    if args.write:
        write(args.write, table(rows))
    return 0 if all(row["within limits"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
