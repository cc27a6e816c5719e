"""What an index run would read, and what its cloud services would cost: nothing is sent, and nothing written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from indexer.cloud.ledger import MICRO
from indexer.model_store import choose_profile
from indexer.profiles import Profile, open_profile
from indexer.scan import Found, scan
from search.catalog.opening import open_catalog
from search.catalog.protocol import Catalog
from search.catalog.rows import WHOLE, KnownFile
from search.config import Config
from search.errors import ConfigError
from search.profile_file import stored_name


@dataclass(slots=True)
class Bill:
    """What one service would be asked. Amounts in ``currency``, the most that it may be."""

    service: str
    pictures: int = 0
    cost: float = 0.0


@dataclass(slots=True)
class Foreseen:
    profile: str
    pictures: int = 0
    """Files that would be read: copies among them count, though they cost nothing."""
    bills: list[Bill] = field(default_factory=list)
    currency: str = ""
    prices_as_of: str = ""
    budget: float = 0.0
    spent: float = 0.0

    @property
    def cost(self) -> float:
        return sum(bill.cost for bill in self.bills)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "cost": round(self.cost, 6)}

    def summary(self) -> str:
        told = f"{self.pictures} pictures would be read with profile {self.profile}"
        if not self.bills:
            return f"{told}; none would be sent anywhere"
        asked = ", ".join(f"{bill.pictures} sent to {bill.service}" for bill in self.bills)
        return (
            f"{told}; {asked}, for up to {self.cost:.2f} {self.currency} (prices of {self.prices_as_of});"
            f" {self.spent:.2f} of {self.budget:.2f} {self.currency} are spent"
        )


def foresee(config: Config, paths: Sequence[Path]) -> Foreseen:
    """Return what `index_paths` would do with these paths. Raises ConfigError for a path that is not there."""
    for path in paths:
        if not path.exists():
            raise ConfigError(f"there is no file or folder {path}")
    try:
        with open_catalog(config) as catalog:
            name = catalog.coming_profile or catalog.profile or ""
            return _foreseen(config, paths, stored_name(config.profile) if config.profile != "auto" else name, catalog)
    except ConfigError:
        if not paths:
            raise
    chosen = choose_profile(config)[0] if config.profile == "auto" else stored_name(config.profile)
    return _foreseen(config, paths, chosen, None)


def _foreseen(config: Config, paths: Sequence[Path], name: str, catalog: Catalog | None) -> Foreseen:
    profile = open_profile(name)
    known = {} if catalog is None else _known(catalog)
    fresh, ordinals = 0, set()
    for path, found in _files(config, paths, known):
        file = known.get(path)
        if file is None or (file.size, file.mtime_ns) != (found.size, found.mtime_ns):
            fresh += 1
        elif file.ordinal is not None:
            ordinals.add(file.ordinal)
    missing = [] if catalog is None else list(_missing(catalog, profile, ordinals))
    foreseen = Foreseen(profile.name, fresh + len(missing))
    for asker in profile.askers:
        wanted = [[task for task in asker.tasks if task in tasks] for tasks in missing]
        costs = [asker.price(asker.tasks)] * fresh + [asker.price(tasks) for tasks in wanted if tasks]
        foreseen.bills.append(Bill(asker.service.name, len(costs), sum(costs) / MICRO))
    for asker in profile.askers[:1]:  # all have the profile's one budget
        options = asker.options
        foreseen.currency, foreseen.budget = options.currency, options.budget
        foreseen.prices_as_of = options.prices_as_of.isoformat()
        foreseen.spent = asker.ledger.spent() / MICRO if asker.ledger.path.exists() else 0.0
    return foreseen


def _known(catalog: Catalog) -> dict[Path, KnownFile]:
    return {root.path / path: file for root in catalog.roots() for path, file in catalog.known_files(root).items()}


def _files(config: Config, paths: Sequence[Path], known: dict[Path, KnownFile]) -> Iterator[tuple[Path, Found]]:
    """Yield the files of the paths; those that the library knows, where there are none."""
    skip = frozenset({Path(os.path.abspath(config.data))})
    for path in map(Path, map(os.path.abspath, paths)):
        folder, within = (path, WHOLE) if path.is_dir() else (path.parent, PurePosixPath(path.name))
        for found in scan(folder, within, skip=skip):
            if isinstance(found, Found):
                yield folder / found.path, found
    if not paths:
        for place, file in known.items():
            yield place, Found(str(place), file.size, file.mtime_ns, 0)


def _missing(catalog: Catalog, profile: Profile, ordinals: set[int]) -> Iterator[set[str]]:
    """Yield, for each image that the library has and that is not finished, the tasks that would be done anew."""
    records = catalog.records(sorted(ordinals))
    said = catalog.said([record.id for record in records], profile.encoder.space)
    for record in records:
        done = said[record.id].done if record.id in said else {}
        if tasks := {task for task, model in profile.tasks.items() if done.get(task) != model}:
            yield tasks
