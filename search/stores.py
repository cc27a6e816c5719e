"""Where a library's tags and vectors live, and what finds candidates in them: chosen by the option ``store``."""

from __future__ import annotations

from typing import Protocol

from search.candidates import Finder
from search.catalog.protocol import Catalog
from search.catalog.rows import Problem
from search.config import Config
from search.protocols import TagStore
from search.types import EmbeddingSpace


class Stores(Protocol):
    """What the engine searches in."""

    @property
    def tags(self) -> TagStore: ...

    @property
    def finder(self) -> Finder: ...

    def catch_up(self) -> None:
        """Take in what was written to the catalogue, by whomever. Raises Unavailable where a server is away."""
        ...

    def check(self) -> list[Problem]:
        """Return where they do not agree with the catalogue."""
        ...

    def rebuild(self) -> None:
        """Make them again from the catalogue; queries go on meanwhile."""
        ...

    def save(self) -> None:
        """Keep what the next start would else have to make again."""
        ...

    def close(self) -> None: ...


def open_stores(config: Config, catalog: Catalog, space: EmbeddingSpace) -> Stores:
    """Return the stores over a catalogue; `catch_up` makes them complete."""
    if config.is_in_cluster:
        from search.opensearch.stores import ClusterStores

        return ClusterStores(config, space)
    from search.catalog.sqlite_catalog import SqliteCatalog
    from search.projections import Projections

    assert isinstance(catalog, SqliteCatalog)  # noqa: S101 (`open_catalog` chooses by the same option)
    return Projections(catalog, config, space)


def sizes(config: Config) -> dict[str, int]:
    """Return the bytes that each store takes beside the catalogue."""
    if config.is_in_cluster:
        return {}
    from search import projections

    return projections.sizes(config)
