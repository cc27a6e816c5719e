"""Open a library: the one place where back-ends are chosen and put together."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.catalog.sqlite_catalog import FILE, Catalog
from search.config import Config
from search.encoders.opening import open_encoder
from search.engine import SearchEngine
from search.errors import ConfigError, SnapseekError, SpaceMismatch
from search.profile_file import read_profile
from search.projections import TAGS_FILE, VECTORS_FILE, Projections
from search.protocols import Encoder, TagStore, VectorIndex

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Open:
    """What belongs to one profile; replaced as a whole when the library changes to another."""

    profile: str
    encoder: Encoder
    projections: Projections
    engine: SearchEngine


class Services:
    """An open library and what answers over it."""

    def __init__(self, config: Config, catalog: Catalog) -> None:
        self.config = config
        self.catalog = catalog
        self._lock = threading.Lock()
        self._open = _open(config, catalog)
        self._all = [self._open]

    @property
    def profile(self) -> str:
        return self._open.profile

    @property
    def encoder(self) -> Encoder:
        return self._open.encoder

    @property
    def engine(self) -> SearchEngine:
        return self._open.engine

    @property
    def tags(self) -> TagStore:
        return self._open.projections.tags

    @property
    def vectors(self) -> VectorIndex:
        return self._open.projections.vectors

    def refresh(self) -> None:
        """Catch up with what was written meanwhile, by this process or another, a change of models included."""
        if not self._is_current():
            self._reopen()
        self._open.projections.catch_up()

    def _is_current(self) -> bool:
        return self.catalog.active_space() == self._open.encoder.space and self.catalog.profile == self._open.profile

    def _reopen(self) -> None:
        with self._lock:
            if self._is_current():
                return
            try:
                self._open = _open(self.config, self.catalog)
            except SnapseekError:
                log.exception("the library has other models now, which cannot be opened here; answering as before")
                return
            self._all.append(self._open)  # queries that run may still use the one before

    def close(self) -> None:
        for opened in self._all:
            opened.projections.close()


@contextmanager
def open_services(config: Config) -> Iterator[Services]:
    """Open a library for searching.

    Raises ConfigError where there is none, SpaceMismatch when today's encoder is not the one that made its vectors,
    ModelUnavailable where its weights are missing.
    """
    with Catalog(config.data) as catalog:
        services = Services(config, catalog)
        try:
            yield services
        finally:
            services.close()


def _open(config: Config, catalog: Catalog) -> _Open:
    space = catalog.active_space()
    if catalog.profile is None or space is None:
        raise ConfigError(f"nothing is indexed in {config.data} yet; run `snapseek index PATH` first")
    encoder = open_encoder(read_profile(catalog.profile))
    if encoder.space != space:
        raise SpaceMismatch(
            f"the library's vectors were made by other models ({space.name}-{space.fingerprint[:12]}) than those of"
            " today; run `snapseek index` without a path, which brings them up to date"
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
    return _Open(catalog.profile, encoder, projections, engine)


def library_status(config: Config, catalog: Catalog) -> dict[str, Any]:
    """Return what `snapseek status` prints."""
    space = catalog.active_space()
    return {
        **catalog.counts(),
        "space": None if space is None else {"name": space.name, "dim": space.dim, "fingerprint": space.fingerprint},
        "profile": catalog.profile or catalog.coming_profile,
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
