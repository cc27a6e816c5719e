"""Which files for browsers a library has, and whether they make the vectors that it is searched by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from search.types import EmbeddingSpace

FOLDER = "browser"
MANIFEST = "manifest.json"


def found(library: Path, space: EmbeddingSpace) -> Mapping[str, Path] | None:
    """Return the files by name; None where there are none for this space."""
    folder = library / FOLDER
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if manifest.get("space") != space.fingerprint:
        return None
    return {name: folder / name for name in (MANIFEST, *manifest["files"])}
