"""Hold catalogue, projections and files against each other, and mend what can be made again."""

from __future__ import annotations

import numpy as np

from search.catalog.protocol import Catalog
from search.catalog.rows import Problem
from search.config import Config
from search.projections import TAGS_FILE, VECTORS_FILE, Projections
from search.types import Filter


def verify_library(config: Config, catalog: Catalog, *, repair: bool) -> tuple[list[Problem], int]:
    """Return what is wrong, and how many projections were rebuilt.

    With ``repair`` a projection that does not agree with the catalogue is made again from it, and is no problem then.
    A missing or changed file is reported only: the next `snapseek index` of its folder deals with it.
    """
    problems = catalog.check()
    repaired = 0
    for problem in _projections(config, catalog):
        if repair:
            repaired += 1
        else:
            problems.append(problem)
    if repaired:
        _rebuild(config, catalog)
    return problems + _files(catalog), repaired


def _projections(config: Config, catalog: Catalog) -> list[Problem]:
    space = catalog.active_space()
    if space is None:
        return []
    projections = Projections(catalog, space, ann_from=config.exact_limit)
    try:
        wanted = set(catalog.ordinals())
        problems = []
        tagged = set(projections.tags.match(Filter()))
        if tagged != wanted:
            problems.append(Problem(f"{len(tagged ^ wanted)} images differ from the catalogue", TAGS_FILE))
        wrong = 0
        for ordinals, vectors in catalog.embeddings(space):
            for ordinal, vector in zip(ordinals, vectors, strict=True):
                cosine = projections.vectors.scores(vector, np.array([ordinal], np.uint32))[0]
                wrong += not abs(cosine - 1) < 0.01
        if wrong or len(projections.vectors) != len(wanted):
            problems.append(Problem(f"{wrong} vectors differ from the catalogue", VECTORS_FILE))
        return problems
    finally:
        projections.close()


def _rebuild(config: Config, catalog: Catalog) -> None:
    for file in (TAGS_FILE, f"{TAGS_FILE}-wal", f"{TAGS_FILE}-shm", VECTORS_FILE):
        (catalog.data / file).unlink(missing_ok=True)
    space = catalog.active_space()
    if space is not None:
        projections = Projections(catalog, space, ann_from=config.exact_limit)
        projections.save()
        projections.close()


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
