"""Evaluate a library, or the profile on a folder: read the truth, index where that is asked, measure, report."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from indexer.lookup import PictureLookup
from indexer.pipeline import Progress, index_paths
from indexer.pool import DecodePool
from indexer.quality.measure import MEASURES, Library
from indexer.quality.results import PictureSet, Report, named
from indexer.quality.truth import Truth, read_truth
from search.config import Config, load_config
from search.errors import ConfigError
from search.services import open_services
from search.types import ImageRecord

RECORDS_READ = 1_000


def evaluate(
    config: Config | None,
    folder: Path,
    *,
    profile: str | None = None,
    only: Sequence[str] = (),
    most: int = 3_000,
    progress: Progress,
) -> Report:
    """Return how well the pictures in a folder are found and described, by what is said of them there.

    They are asked for in the library of ``config``; without one, each set of them is indexed into a library of its own,
    which is deleted at the end. ``only`` names what to measure, ``most`` bounds the questions of each measure. Raises
    ConfigError for a name that is no measure, where nothing is said of any picture, or the library has none of them.
    """
    for name in only:
        if name not in MEASURES:
            raise ConfigError(f"there is no measure {name!r}; there are {', '.join(MEASURES)}")
    chosen = [name for name in MEASURES if not only or name in only]
    report: Report | None = None
    for truth in read_truth(folder):
        with _library(config, truth, profile, progress) as (library, profile_name):
            space = library.engine.space
            if report is None:
                report = Report(profile_name, f"{space.name}-{space.fingerprint[:12]}")
            known = truth.within(library.records)
            if not known.pictures:
                continue
            missing = len(truth.pictures) - len(known.pictures)
            report.sets.append(
                PictureSet(truth.name, len(known.pictures), known.digest, missing, len(library.records), most)
            )
            for name in chosen:
                progress.say(f"{truth.name}: {name}")
                measured = MEASURES[name](library, known, most)
                report.figures += named(truth.name, measured.figures)
                report.comparisons += named(truth.name, measured.comparisons)
                report.labels += named(truth.name, measured.labels)
    if report is None or not report.sets:
        raise ConfigError(f"the library has none of the pictures that are described in {folder}")
    return report


@contextmanager
def _library(
    config: Config | None, truth: Truth, profile: str | None, progress: Progress
) -> Iterator[tuple[Library, str]]:
    if config is not None:
        with _opened(config, progress) as opened:
            yield opened
        return
    with tempfile.TemporaryDirectory(prefix="snapseek-eval-") as scratch:
        own = load_config(data=Path(scratch) / "library", store="embedded", profile=profile)
        index_paths(own, [_linked(truth, Path(scratch) / "pictures")], progress=progress)
        with _opened(own, progress) as opened:
            yield opened


def _linked(truth: Truth, folder: Path) -> Path:
    """Return a folder of links to the pictures, which are thus indexed without any others that lie beside them."""
    folder.mkdir()
    for path in truth.pictures.values():
        # A scene's folder says what is in it, as do two files of one name in two folders: neither may tell the search.
        link = folder / path.name
        while link.is_symlink():
            link = link.with_stem(f"{link.stem}_")
        link.symlink_to(path.absolute())
    return folder


@contextmanager
def _opened(config: Config, progress: Progress) -> Iterator[tuple[Library, str]]:
    with open_services(config) as services, DecodePool(config, workers=1) as pool:
        records: list[ImageRecord] = []
        ordinals = list(services.catalog.ordinals())
        for start in range(0, len(ordinals), RECORDS_READ):
            records += services.catalog.records(ordinals[start : start + RECORDS_READ])
        lookup = PictureLookup(pool, lambda: services.profile, max_bytes=config.max_file_bytes)
        by_id = {record.id: record for record in records}
        yield Library(services.engine, by_id, lookup, asked=lambda: progress.done(1)), services.profile
