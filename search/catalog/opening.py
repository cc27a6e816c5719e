"""Open the catalogue of a library, in whichever store the options name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from search.catalog.protocol import Catalog
from search.config import Config


@contextmanager
def open_catalog(config: Config, *, create: bool = False, wait_for_server: bool = False) -> Iterator[Catalog]:
    """Open a library's catalogue, or make one.

    Raises ConfigError where there is none, Unavailable where the server that has it is away: but not the latter with
    ``wait_for_server``, and then nothing is known of the library yet.
    """
    catalog: Catalog
    if config.is_in_cluster:
        from search.opensearch.catalog import OpenSearchCatalog

        catalog = OpenSearchCatalog(config, create=create, wait_for_server=wait_for_server)
    else:
        from search.catalog.sqlite_catalog import SqliteCatalog

        catalog = SqliteCatalog(config.data, create=create)
    try:
        yield catalog
    finally:
        catalog.close()
