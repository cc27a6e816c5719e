"""Move a library to another store, without running a model. What it moves from is left as it is.

Where the catalogue itself moves, its images are copied in the order of their ordinals, and a mark in the target says
how far that is and of which state of the source; a run that was stopped goes on there, unless the source has changed.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from search.catalog.opening import open_catalog
from search.catalog.protocol import Catalog
from search.catalog.rows import Migrating
from search.config import Config
from search.errors import ConfigError, Conflict
from search.stores import open_stores
from search.types import EmbeddingSpace, Filter

CHUNK = 500


class Progress(Protocol):
    """Whoever watches."""

    def found(self, more: int) -> None: ...
    def done(self, count: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Migration:
    """What a migration did; ``counts`` are of both sides, which agree."""

    source: str
    target: str
    copied: int
    """Images whose records were copied in this run."""
    counts: dict[str, int]


def migrate(config: Config, to: str, *, replace: bool, progress: Progress) -> Migration:
    """Fill another store with the library.

    Raises ConfigError where the target holds a library already and ``replace`` does not say to overwrite it, Conflict
    when the library is changed meanwhile, or when the counts do not agree at the end.
    """
    if to == config.store:
        raise ConfigError(f"the library is in {to} already (option store)")
    target_config = Config.model_validate({**dict(config), "store": to})
    with ExitStack() as stack:
        source = stack.enter_context(open_catalog(config))
        space = source.active_space()
        if space is None:
            raise ConfigError("nothing is indexed yet, so there is nothing to move")
        stack.enter_context(source.write_lock())
        copied, target = 0, source
        if config.is_in_cluster != target_config.is_in_cluster:
            target = stack.enter_context(open_catalog(target_config, create=True))
            copied = _copy(source, target, replace=replace, progress=progress)
        counts = _complete(config, target_config, source, target, space)
        if target is not source:
            target.note_migration(None)
        return Migration(config.store, to, copied, counts)


def _copy(source: Catalog, target: Catalog, *, replace: bool, progress: Progress) -> int:
    """Make the target equal to the source, going on from where a run over the same state was stopped."""
    state = source.version()
    mark = target.migration()
    if mark is None and target.counts()["images"] and not replace:
        raise ConfigError("there is a library already where this one is to go; --replace overwrites it")
    after = mark.after if mark is not None and mark.source == state else 0
    target.note_migration(Migrating(state, after))
    progress.found(_left(source, after))
    copied = 0
    target.store_remains(source.remains())
    while images := source.stored_images(after, CHUNK):
        target.store_images(images)
        after = images[-1].ordinal
        target.note_migration(Migrating(state, after))
        copied += len(images)
        progress.done(len(images))
    target.drop_images(target.ordinals() - source.ordinals())
    if source.version() != state:
        raise Conflict("the library was changed while it was copied; run the same command again")
    return copied


def _left(source: Catalog, after: int) -> int:
    ordinals = source.ordinals()
    return len(ordinals) - (ordinals.rank(after) if after else 0)


def _complete(
    config: Config, target_config: Config, source: Catalog, target: Catalog, space: EmbeddingSpace
) -> dict[str, int]:
    """Bring the target's stores up to date, and return the counts of both sides once they agree."""
    counted = []
    for side, catalog in ((config, source), (target_config, target)):
        stores = open_stores(side, catalog, space)
        try:
            stores.catch_up()
            stores.save()
            counted.append(
                {**catalog.counts(), "without vector": catalog.missing_in(space), "tagged": stores.tags.count(Filter())}
            )
        finally:
            stores.close()
    before, after = counted
    if before != after:
        raise Conflict(f"the counts differ: {before} there, {after} here; run the same command again")
    return after
