"""Hold catalogue, stores and files against each other, and mend what can be made again."""

from __future__ import annotations

from search.catalog.protocol import Catalog
from search.catalog.rows import Problem
from search.config import Config
from search.stores import open_stores


def verify_library(config: Config, catalog: Catalog, *, repair: bool) -> tuple[list[Problem], int]:
    """Return what is wrong, and how many stores were rebuilt.

    With ``repair`` a store that does not agree with the catalogue is made again from it, and is no problem then.
    A missing or changed file is reported only: the next `snapseek index` of its folder deals with it.
    """
    found = _stores(config, catalog, repair=repair)
    problems = catalog.check() + ([] if repair else found) + _files(catalog)
    return problems, len(found) if repair else 0


def _stores(config: Config, catalog: Catalog, *, repair: bool) -> list[Problem]:
    space = catalog.active_space()
    if space is None:
        return []
    stores = open_stores(config, catalog, space)
    try:
        stores.catch_up()
        problems = stores.check()
        if problems and repair:
            stores.rebuild()
            stores.save()
        return problems
    finally:
        stores.close()


def _files(catalog: Catalog) -> list[Problem]:
    problems = []
    for root in catalog.roots():
        for path, known in catalog.known_files(root).items():
            if known.ordinal is None:
                continue
            try:
                size = (root.path / path).stat().st_size
            except OSError:
                problems.append(
                    Problem("the file is not there; run `snapseek index` on its folder", str(root.path / path))
                )
                continue
            if size != known.size:
                problems.append(Problem("the file was changed; run `snapseek index`", str(root.path / path)))
    return problems
