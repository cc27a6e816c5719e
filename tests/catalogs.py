"""Catalogues for tests: images and files that are easily made, a library that has one of everything."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from search.calibration import Calibration, Curve
from search.catalog.protocol import Catalog
from search.catalog.rows import Batch, FileRow, NewImage, Root
from search.recommend.events import EventType
from search.saved import SavedSearch, with_search
from search.types import Box, Decision, EmbeddingSpace, ImageId, Location, Shot, Tag, TagKind, Vector, Verdict
from search.written import Text, Written

SPACE = EmbeddingSpace("test", 8, "f" * 32)
OTHER = EmbeddingSpace("other", 4, "0" * 32)
DOG = Tag(TagKind.OBJECT, "dog", 0.9, "detector", Box(0.1, 0.2, 0.3, 0.4))

WRITTEN = Written(
    (Text("Places", "xmp"), Text("Oslo", "iptc")),
    Text("Written", "xmp"), Text("For the blind", "xmp"), Text("4 stars", "photoprism")
)  # fmt: skip
REJECTED = Decision(Verdict.REJECTED, "Ann", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "a note")
APPROVED = Decision(Verdict.APPROVED, "Bob", datetime(2026, 1, 3, tzinfo=UTC))


def an_id(number: int) -> ImageId:
    return ImageId(f"{number:032x}")


def an_image(number: int = 1, **changes: object) -> NewImage:
    vector = np.zeros(8, np.float32)
    vector[number % 8] = 1
    values: dict = {
        "id": an_id(number), "width": 640, "height": 480, "mime_type": "image/jpeg", "bytes": 1234, "phash": 2**63 + 5,
        "models": "models-1", "vector": vector, "tags": {"objects": (DOG,)},
    }  # fmt: skip
    return NewImage(**{**values, **changes})


def a_file(path: str = "a.jpg", inode: int = 1) -> FileRow:
    return FileRow(path, 1234, 5, inode)


def write(catalog: Catalog, root: Root, *numbers: int, **changes: object) -> None:
    """Write images, each with one file that is named by its number."""
    images = [an_image(number, **changes) for number in numbers]
    catalog.write(root, Batch(SPACE, images, [(a_file(f"{int(i.id, 16)}.jpg"), i.id) for i in images]))


def a_lived_in_library(catalog: Catalog) -> None:
    """Fill a catalogue with one of everything, half way to other models."""
    photos, more = catalog.root(Path("/photos")), catalog.root(Path("/more") / os.fsdecode(b"caf\xe9"))
    dawn = Tag(TagKind.ATTRIBUTE, "sunrise or sunset", 0.7, "zero-shot")
    details = {
        "tags": {"objects": (DOG, DOG), "attributes": (dawn,)}, "done": {"objects": "1", "attributes": "2"},
        "taken_at": datetime(2024, 5, 17, 18, 30, 1, 250), "camera": "Canon", "location": Location(-33.5, 151.25),
        "shot": Shot(iso=200),
        "caption": "A dog", "caption_source": "composed",
    }  # fmt: skip
    write(catalog, photos, 1, **details)
    write(catalog, photos, 2, 3, 4, 5)
    catalog.activate("lite", SPACE)
    catalog.change_saved_searches(lambda known: with_search(known, SavedSearch("Dogs", "q=dog&filter=color%3Ared")))
    catalog.note_calibration(Calibration(Curve(-0.25, 0.1), Curve(-0.3, 0.05)))
    catalog.note_profile("clip")
    again = an_image(2, models="models-2", vector=np.array([0, 0, 0.6, 0.8], np.float32))
    name = os.fsdecode(b"caf\xe9.jpg")
    catalog.write(photos, Batch(OTHER, [again], [(a_file("2.jpg"), again.id)]))
    rejected = [(a_file("bad.jpg", 2**63 - 1), "broken"), (a_file("out.jpg"), None)]
    told = replace(a_file(name), sidecars='[["caf.xmp",1,2]]', written=WRITTEN)
    catalog.write(
        more, Batch(SPACE, files=[(told, an_id(1)), (replace(told, path="5.jpg"), an_id(5))], rejected=rejected)
    )
    catalog.edit(an_id(1), add=[(TagKind.USER, "Rex")], remove=[(TagKind.OBJECT, "dog")], caption="Rex", alt_text="R")
    catalog.edit(an_id(3), alt_text="Three")
    catalog.decide(an_id(5), REJECTED)
    catalog.decide(an_id(3), APPROVED)
    for number, type in ((1, EventType.LIKE), (1, EventType.VIEW), (4, EventType.HIDE)):
        catalog.events.note("local/Ann", an_id(number), type, APPROVED.at, kept_for=timedelta(days=365))
    catalog.remove_files(photos, ["3.jpg"])
    catalog.delete(an_id(4))


def all_that_is_told(catalog: Catalog) -> dict[str, object]:
    """Return what every method that reads answers."""
    ids = [an_id(number) for number in range(7)]
    everything = catalog.ordinals()
    hashes = catalog.phashes(np.array(everything, np.uint32))
    records = catalog.records(list(everything))
    return {
        "profile": (catalog.profile, catalog.coming_profile, catalog.active_space()),
        "calibration": catalog.calibration(),
        "decided": {verdict: catalog.decided(verdict) for verdict in Verdict},
        "missing": (catalog.missing_in(SPACE), catalog.missing_in(OTHER)),
        "counts": catalog.counts(),
        "files": {str(root.path): catalog.known_files(root) for root in catalog.roots()},
        "rejected": catalog.rejected(),
        "places": {record.id: catalog.locate(record.id) for record in records},
        "hidden": catalog.hidden(ids),
        "models": catalog.models_of(ids),
        "said": {
            (space.name, id): (dict(said.done), dict(said.tags), said.caption, listed(said.vector))
            for space in (SPACE, OTHER)
            for id, said in catalog.said(ids, space).items()
        },
        "records": records,
        "vectors": [
            [(ordinals.tolist(), vectors.tolist()) for ordinals, vectors in catalog.embeddings(space)]
            for space in (SPACE, OTHER)
        ],
        "hashes": [part.tolist() for part in hashes],
        "problems": catalog.check(),
        "remains": catalog.remains(),
    }


def listed(vector: Vector | None) -> list[float] | None:
    return None if vector is None else vector.tolist()


def take_over(source: Catalog, target: Catalog, *, limit: int) -> None:
    target.store_remains(source.remains())
    last = 0
    while images := source.stored_images(last, limit):
        target.store_images(images)
        last = images[-1].ordinal
