"""Open a library: the one place where back-ends are chosen and put together."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from search.calibration import Calibration
from search.catalog.opening import open_catalog
from search.catalog.protocol import Catalog
from search.config import Config
from search.encoders.opening import open_encoder
from search.engine import SearchEngine
from search.errors import ConfigError, ModelUnavailable, NotFound, SnapseekError, SpaceMismatch, Unavailable
from search.looks import looks_in
from search.moderation import policy_of
from search.profile_file import read_profile
from search.protocols import Encoder, TagStore
from search.recommend.events import EventType
from search.recommend.keeper import CrowdKeeper
from search.recommend.recommender import Recommender
from search.stores import Stores, open_stores, sizes
from search.types import ImageId

log = logging.getLogger(__name__)

PAUSE_S = 1.0
"""What a server could not do is not tried again for so long, however many requests come."""
LONGEST_S = 2.0
"""So long a request waits for another one that brings in the latest changes."""

Answer = TypeVar("Answer")
Observe = Callable[[str, float], None]
"""Is told how many seconds a part of a search took."""


@dataclass(frozen=True, slots=True)
class _Open:
    """What belongs to one profile; replaced as a whole when the library changes to another."""

    profile: str
    encoder: Encoder
    stores: Stores
    engine: SearchEngine
    recommender: Recommender
    calibration: Calibration | None


class Services:
    """An open library and what answers over it.

    Where a server that holds a part of it is away, it is opened once that is back; until then all but `catalog` and
    `config` raise Unavailable.
    """

    def __init__(self, config: Config, catalog: Catalog) -> None:
        self.config = config
        self.catalog = catalog
        self.policy = policy_of(config)
        self.crowd = CrowdKeeper(catalog.events)
        self.behind: str | None = None
        """Why the latest changes are not to be found yet; None when they are."""
        self.observe: Observe = lambda _stage, _seconds: None
        self._lock = threading.Lock()
        self._all: list[_Open] = []
        self._complete: Stores | None = None
        self._opening = _Pause()
        self._catching_up = _Pause()

    @property
    def profile(self) -> str:
        return self._opened.profile

    @property
    def encoder(self) -> Encoder:
        return self._opened.encoder

    @property
    def engine(self) -> SearchEngine:
        return self._opened.engine

    @property
    def recommender(self) -> Recommender:
        return self._opened.recommender

    @property
    def tags(self) -> TagStore:
        return self._opened.stores.tags

    @property
    def _opened(self) -> _Open:
        if not self._all:
            self._reopen()
        return self._all[-1]

    def _observed(self, stage: str, seconds: float) -> None:
        self.observe(stage, seconds)  # whoever listens may come after the engine was made

    def refresh(self) -> None:
        """Catch up with what was written meanwhile, by this process or another, a change of models included.

        Where that cannot be done now, because a server takes no writes, what was there before answers: `behind` says
        why. Raises Unavailable where nothing was there before.
        """
        if not self._is_current(self._opened):
            self._reopen()
        stores = self._opened.stores
        try:
            self._catching_up.attempt(lambda: self._catch_up(stores))
        except Unavailable:
            if self._complete is not stores:
                raise

    def _catch_up(self, stores: Stores) -> None:
        try:
            stores.catch_up()
        except Unavailable as error:
            if self._complete is stores and self.behind is None:
                log.warning("answering without the latest changes: %s", error)
            self.behind = str(error)
            raise
        self._complete, self.behind = stores, None

    def expect_shown(self, id: ImageId) -> None:
        """Raise NotFound for an image that is not there, or that only moderators are to see."""
        if self.policy.hides(self.catalog.record(id)):
            raise NotFound(f"there is no image {id} in this library")

    def noted(self) -> None:
        """Catch up with what was just written, if that is possible now: it is kept in the catalogue anyway."""
        try:
            self.refresh()
        except Unavailable as error:
            log.warning("written, but not to be found yet: %s", error)

    def _is_current(self, opened: _Open) -> bool:
        return (
            self.catalog.active_space() == opened.encoder.space
            and self.catalog.profile == opened.profile
            and self.catalog.calibration() == opened.calibration
        )

    def _reopen(self) -> None:
        with self._lock:
            if self._all and self._is_current(self._all[-1]):
                return
            try:
                opened = self._opening.attempt(lambda: _open(self.config, self.catalog, self.crowd, self._observed))
            except SnapseekError:
                if not self._all:
                    raise
                log.exception("the library has other models now, which cannot be opened here; answering as before")
                return
            self._all.append(opened)  # queries that run may still use the one before

    def note_event(self, person: str, image: ImageId, type: EventType, at: datetime | None = None) -> None:
        """Keep what a person did with an image. Raises NotFound for an image that is not there, or is hidden."""
        self.expect_shown(image)
        kept_for = timedelta(days=self.config.views_kept_days)
        self.catalog.events.note(person, image, type, at or datetime.now(UTC), kept_for=kept_for)
        self.crowd.note()

    def erase_events(self, person: str) -> int:
        """Forget a person and what was learnt from them, and return how many entries were kept of them."""
        erased = self.catalog.events.erase(person)
        self.crowd.forget()
        return erased

    def close(self) -> None:
        self.crowd.close()
        for opened in self._all:
            opened.stores.close()


class _Pause:
    """Attempts at what needs a server, one at a time: those that waited for one that failed fail as it did."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failed: tuple[float, str] | None = None

    def attempt(self, function: Callable[[], Answer]) -> Answer:
        """Return what a function returns. Raises Unavailable as it does, and again for a second without calling it.

        Raises it also where another attempt takes longer than who asks should wait.
        """
        if not self._lock.acquire(timeout=LONGEST_S):
            raise Unavailable("the latest changes are being brought in")
        try:
            if self._failed is not None and time.monotonic() < self._failed[0]:
                raise Unavailable(self._failed[1])
            try:
                answer = function()
            except (ModelUnavailable, SpaceMismatch):
                raise
            except Unavailable as error:
                self._failed = time.monotonic() + PAUSE_S, str(error)
                raise
            self._failed = None
            return answer
        finally:
            self._lock.release()


@contextmanager
def open_services(config: Config, *, wait_for_server: bool = False) -> Iterator[Services]:
    """Open a library for searching.

    Raises ConfigError where there is none, SpaceMismatch when today's encoder is not the one that made its vectors,
    ModelUnavailable where its weights are missing, Unavailable where a server is away: but not the last of these
    with ``wait_for_server``, for whoever answers queries until it is back.
    """
    config = config.model_copy(update={"opensearch_write_wait_s": 0})  # whoever asks must not wait for a write
    with open_catalog(config, wait_for_server=wait_for_server) as catalog:
        services = Services(config, catalog)
        try:
            try:
                services.refresh()
            except (SpaceMismatch, ConfigError):
                raise
            except Unavailable as error:
                if not wait_for_server or isinstance(error, ModelUnavailable):
                    raise
                log.warning("%s; answering 503 until it is back", error)
            yield services
        finally:
            services.close()


def _open(config: Config, catalog: Catalog, crowd: CrowdKeeper, observe: Observe) -> _Open:
    profile, space = catalog.profile, catalog.active_space()
    if profile is None or space is None:
        raise ConfigError(f"nothing is indexed in {_where(config)} yet; run `snapseek index PATH` first")
    encoder = open_encoder(read_profile(profile))
    if encoder.space != space:
        raise SpaceMismatch(
            f"the library's vectors were made by other models ({space.name}-{space.fingerprint[:12]}) than those of"
            " today; run `snapseek index` without a path, which brings them up to date"
        )
    stores = open_stores(config, catalog, space)
    calibration = catalog.calibration()
    engine = SearchEngine(
        records=catalog,
        tags=stores.tags,
        finder=stores.finder,
        encoder=encoder,
        cutoff=config.cutoff,
        calibration=calibration,
        looks=looks_in(config.data / "thumbnails"),
        observe=observe,
    )
    recommender = Recommender(
        records=catalog, tags=stores.tags, finder=stores.finder, space=space, events=catalog.events, crowd=crowd
    )
    return _Open(profile, encoder, stores, engine, recommender, calibration)


def _where(config: Config) -> str:
    if config.is_in_cluster:
        return f"the library {config.opensearch_prefix} of {config.opensearch_url}"
    return str(config.data)


def library_status(config: Config, catalog: Catalog) -> dict[str, Any]:
    """Return what `snapseek status` prints."""
    space = catalog.active_space()
    return {
        **catalog.counts(),
        "space": None if space is None else {"name": space.name, "dim": space.dim, "fingerprint": space.fingerprint},
        "profile": catalog.profile or catalog.coming_profile,
        "store": config.store,
        "bytes": {
            "catalog": sum(catalog.sizes().values()),
            **sizes(config),
            "thumbnails": _size(config.data / "thumbnails", "*/*"),
        },
        "queue": {state.value: count for state, count in catalog.jobs.open_counts().items()},
    }


def _size(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(pattern))
