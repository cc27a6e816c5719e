"""Open a library: the one place where back-ends are chosen and put together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.catalog.sqlite_catalog import FILE, Catalog
from search.config import Config
from search.encoders import adapter
from search.encoders.lite import LiteEncoder
from search.engine import SearchEngine
from search.errors import ConfigError, SpaceMismatch
from search.profile_file import read_profile
from search.projections import TAGS_FILE, VECTORS_FILE, Projections
from search.protocols import Encoder, TagStore, VectorIndex


@dataclass(frozen=True, slots=True)
class Services:
    """An open library and what answers over it."""

    config: Config
    catalog: Catalog
    profile: str
    encoder: Encoder
    projections: Projections
    engine: SearchEngine

    @property
    def tags(self) -> TagStore:
        return self.projections.tags

    @property
    def vectors(self) -> VectorIndex:
        return self.projections.vectors

    def refresh(self) -> None:
        """Catch up with what was written meanwhile, by this process or another."""
        self.projections.catch_up()


@contextmanager
def open_services(config: Config) -> Iterator[Services]:
    """Open a library for searching.

    Raises ConfigError where there is none, SpaceMismatch when today's encoder is not the one that made its vectors.
    """
    with Catalog(config.data) as catalog:
        space = catalog.active_space()
        if catalog.profile is None or space is None:
            raise ConfigError(f"nothing is indexed in {config.data} yet; run `snapseek index PATH` first")
        encoder = open_encoder(catalog.profile)
        if encoder.space != space:
            raise SpaceMismatch(
                f"the library's vectors were made by other models ({space.name}-{space.fingerprint[:12]}) than those of"
                " today; run `snapseek index` on your folders again, which brings them up to date"
            )
        projections = Projections(catalog, space, ann_from=config.exact_limit)
        engine = SearchEngine(
            records=catalog,
            tags=projections.tags,
            vectors=projections.vectors,
            encoder=encoder,
            cutoff=config.cutoff,
            exact_limit=config.exact_limit,
        )
        try:
            yield Services(config, catalog, catalog.profile, encoder, projections, engine)
        finally:
            projections.close()


def open_encoder(profile: str) -> Encoder:
    """Return the encoder of a profile, for texts: the nets for pictures load only when one is given."""
    return LiteEncoder(adapter=adapter.load(read_profile(profile).adapter_path))


def library_status(config: Config, catalog: Catalog) -> dict[str, Any]:
    """Return what `snapseek status` prints."""
    space = catalog.active_space()
    return {
        **catalog.counts(),
        "space": None if space is None else {"name": space.name, "dim": space.dim, "fingerprint": space.fingerprint},
        "profile": catalog.profile,
        "store": config.store,
        "bytes": {
            "catalog": _size(config.data, f"{FILE}*"),
            "tags": _size(config.data, f"{TAGS_FILE}*"),
            "vectors": _size(config.data, VECTORS_FILE),
            "thumbnails": _size(config.data / "thumbnails", "*/*.webp"),
        },
        "queue": {},
    }


def _size(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(pattern))
