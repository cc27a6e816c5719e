"""A worker: takes pictures that were sent, indexes them as an index run would, and says what became of each."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from indexer.liveness import Life, give_back_of_the_dead
from indexer.media import Media
from indexer.metering import Meter
from indexer.pool import DecodePool
from indexer.profiles import Profile, open_profile
from indexer.report import IndexReport
from indexer.scan import Found
from indexer.uploads import Uploads
from indexer.work_queue import WAIT_S, WorkQueue, open_queue
from indexer.writing import BatchWriter, Read, outcome
from search.catalog.opening import open_catalog
from search.catalog.protocol import Catalog
from search.config import Config
from search.errors import Conflict, Unavailable
from search.jobs import Claimed, ItemKey, ItemState, Outcome

log = logging.getLogger(__name__)

LOOK_S = 2.0
"""So often an idle worker looks for work that no message told of, and for workers that died."""
AT_ONCE = 8
"""Pictures that are claimed together: enough to share what a batch costs, few enough that progress is seen."""
SWEEP_S = 3_600.0
PAUSE_S = 2.0
"""After a server was away, before the next attempt."""


class Worker:
    """One process that indexes what was sent to one library."""

    def __init__(self, config: Config, catalog: Catalog, queue: WorkQueue, pool: DecodePool, life: Life) -> None:
        self._config = config
        self._catalog = catalog
        self._jobs = catalog.jobs
        self._queue = queue
        self._pool = pool
        self._life = life
        self._uploads = Uploads(config.data, max_bytes=config.max_upload_bytes)
        self._media = Media(config.data, catalog, pool)
        self._meter = Meter(config.data)
        self._profile: Profile | None = None

    def run(self, stopping: threading.Event) -> None:
        """Work until told to stop; what was begun is finished first."""
        looked = swept = float("-inf")
        while not stopping.is_set():
            try:
                if time.monotonic() - swept > SWEEP_S:
                    self._uploads.sweep(self._wanted())
                    swept = time.monotonic()
                if time.monotonic() - looked > LOOK_S:
                    give_back_of_the_dead(self._config.data, self._jobs)
                    told, looked = True, time.monotonic()
                else:
                    told = self._queue.take() is not None
                if told:
                    while self.step() and not stopping.is_set():
                        pass
                elif not self._queue.waits:
                    stopping.wait(WAIT_S)
            except Unavailable as error:
                log.warning("%s; trying again", error)
                stopping.wait(PAUSE_S)

    def step(self) -> int:
        """Index some of what waits, and return how many pictures that were."""
        claimed = self._jobs.claim(self._life.name, min(AT_ONCE, self._config.batch_size), lease_s=self._life.lease_s)
        if claimed:
            with self._life.busy(len(claimed)):
                self._jobs.finish(self._life.name, self._index(claimed))
        return len(claimed)

    def _index(self, claimed: Sequence[Claimed]) -> dict[ItemKey, Outcome]:
        for _ in range(3):
            profile = self._opened_profile()
            try:
                reasons = self._write(profile, {one.item.path for one in claimed})
                break
            except Conflict as error:
                log.info("%s; doing it again with the library's new models", error)
                self._profile = None
        else:
            raise Unavailable("the library changes its models all the time")
        return {one.key: _outcome(reasons.get(one.item.path)) for one in claimed}

    def _write(self, profile: Profile, paths: set[str]) -> Mapping[str, str]:
        root = self._catalog.root(self._uploads.folder)
        reasons: dict[str, str] = {}
        waiting = []
        for path in sorted(paths):
            try:
                status = (root.path / path).stat()
            except OSError:
                reasons[path] = "its file is not there any more"
                continue
            found = Found(path, status.st_size, status.st_mtime_ns, status.st_ino)
            waiting.append((found, self._pool.submit_file(str(root.path / path), profile.decode_side)))
        read = [Read(found, outcome(self._pool, future, self._meter)) for found, future in waiting]
        report = IndexReport(profile.name, profile.encoder.space)
        writer = BatchWriter(self._catalog, profile, root, self._media, report, self._meter, asked_for=True)
        reasons |= writer.write(read)
        # What cannot be indexed is of no use to anybody: the reason stays with the job, the file goes.
        rejected = [path for path in reasons if path in paths]
        self._catalog.remove_files(root, rejected)
        for path in rejected:
            self._uploads.forget(path)
        return reasons

    def _opened_profile(self) -> Profile:
        name = self._catalog.coming_profile or self._catalog.profile
        if name is None:
            raise Unavailable("the library has no models yet: run `snapseek index` once")
        if self._profile is None or self._profile.name != name:
            self._profile = open_profile(name)
        return self._profile

    def _wanted(self) -> set[str]:
        root = self._catalog.root(self._uploads.folder)
        known = {path for path, file in self._catalog.known_files(root).items() if file.ordinal is not None}
        return known | self._jobs.paths()


def _outcome(reason: str | None) -> Outcome:
    return Outcome(ItemState.DONE) if reason is None else Outcome(ItemState.REJECTED, reason)


def work(config: Config, stopping: threading.Event, *, ready: Callable[[], None] = lambda: None) -> None:
    """Be a worker of a library until told to stop. Raises ConfigError where there is no library."""
    decoders = config.decoders or max(1, (os.cpu_count() or 1) // max(1, config.workers))
    with (
        open_catalog(config) as catalog,
        DecodePool(config, workers=decoders) as pool,
        Life(config, catalog.jobs, stopping) as life,
    ):
        queue = open_queue(config)
        ready()
        try:
            Worker(config, catalog, queue, pool, life).run(stopping)
        finally:
            queue.close()
