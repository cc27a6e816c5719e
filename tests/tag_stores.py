"""How tests open each kind of tag store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from search.config import load_config
from search.opensearch.client import connect
from search.opensearch.tag_store import OpenSearchTagStore
from search.tags.sqlite_store import SqliteTagStore


def open_embedded(folder: Path) -> SqliteTagStore:
    return SqliteTagStore(folder / "tags.sqlite")


def open_opensearch(url: str, prefix: str, **options: Any) -> OpenSearchTagStore:
    """Open a store in OpenSearch, with options as `opensearch_shards` given without their first word."""
    given = {f"opensearch_{name}": value for name, value in options.items()}
    config = load_config(opensearch_url=url, opensearch_prefix=prefix, **given)
    return OpenSearchTagStore(config, connect(config))
