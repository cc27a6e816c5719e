"""What several contracts are held to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from search.catalog.protocol import Catalog
from search.catalog.sqlite_catalog import SqliteCatalog
from search.config import load_config
from search.opensearch.catalog import OpenSearchCatalog


@pytest.fixture(params=["sqlite", "opensearch"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    if request.param == "sqlite":
        with SqliteCatalog(tmp_path, create=True) as catalog:
            yield catalog
        return
    url, prefix = request.getfixturevalue("opensearch_url"), request.getfixturevalue("prefix")
    config = load_config(data=tmp_path, store="opensearch-knn", opensearch_url=url, opensearch_prefix=prefix)
    with OpenSearchCatalog(config, create=True) as catalog:
        yield catalog
