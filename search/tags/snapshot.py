"""The projection of the embedded tag store on disk: a large library is opened without reading its rows.

A snapshot belongs to one state of the store's file, which holds its name; any other is passed over. So neither a crash
while it is written, nor a file that was put back from a copy, can be answered by a snapshot of something else.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from search.mapped_files import Damaged, locked, read_sections, read_state, write_sections, write_state
from search.tags.fulltext import Kept
from search.tags.projection import COLUMNS, NUMBERS, PLACES, Projection, Value

FORMAT = 1

logger = logging.getLogger(__name__)


def write(folder: Path, name: str, projection: Projection, words: Mapping[str, Kept], changed: BitMap) -> None:
    """Write a projection and scores of words, which know nothing of the images that ``changed``.

    What was there before stays until it is whole.
    """
    with locked(folder):
        sections = {**_sections(projection), **_sections_of(words, changed)}
        write_state(
            folder, {"format": FORMAT, "name": name, "projection": write_sections(folder, "projection", sections)}
        )


def read(folder: Path, name: str) -> tuple[Projection, dict[str, Kept]] | None:
    """Return what was written under a name, its arrays mapped; None where that is not there."""
    state = read_state(folder)
    if state is None or (state.get("format"), state["name"]) != (FORMAT, name):
        return None
    try:
        sections = read_sections(folder, state["projection"])
        return _projection(sections), _words(sections)
    except (Damaged, OSError, ValueError, KeyError) as error:
        logger.warning("the snapshot in %s is damaged (%s); the tags are read one by one", folder, error)
        return None


def _sections(projection: Projection) -> dict[str, NDArray[Any]]:
    sets = {value: projection.bitmaps[value].serialize() for value in sorted(projection.bitmaps)}
    return {
        "alive": np.frombuffer(projection.alive.serialize(), np.uint8),
        "values": np.frombuffer(json.dumps(list(projection.values.values())).encode(), np.uint8),
        "bitmaps": np.frombuffer(b"".join(sets.values()), np.uint8),
        "bitmap of": np.fromiter(sets, np.int64, len(sets)),
        "bitmap bytes": np.fromiter(map(len, sets.values()), np.int64, len(sets)),
        **{name: projection.columns[name].filled() for name in (*NUMBERS, *PLACES, *COLUMNS)},
    }


def _sections_of(words: Mapping[str, Kept], changed: BitMap) -> dict[str, NDArray[Any]]:
    return {
        "words": np.frombuffer(json.dumps(list(words)).encode(), np.uint8),
        "changed": np.frombuffer(changed.serialize(), np.uint8),
        "word lengths": np.array([len(kept.ordinals) for kept in words.values()], np.int64),
        "word ordinals": np.concatenate([np.empty(0, np.uint32), *(kept.ordinals for kept in words.values())]),
        "word scores": np.concatenate([np.empty(0, np.float32), *(kept.scores for kept in words.values())]),
    }


def _words(sections: Mapping[str, NDArray[Any]]) -> dict[str, Kept]:
    words, changed = json.loads(sections["words"].tobytes()), BitMap.deserialize(sections["changed"].tobytes())
    ends = np.cumsum(sections["word lengths"])[:-1]
    ordinals, scores = np.split(sections["word ordinals"], ends), np.split(sections["word scores"], ends)
    return {word: Kept(ordinals[place], scores[place], changed) for place, word in enumerate(words)}


def _projection(sections: Mapping[str, NDArray[Any]]) -> Projection:
    projection = Projection()
    projection.add_values([Value(*row) for row in json.loads(sections["values"].tobytes())])
    projection.alive = BitMap.deserialize(sections["alive"].tobytes())
    ends = np.cumsum(sections["bitmap bytes"])
    starts = ends - sections["bitmap bytes"]
    packed = sections["bitmaps"].tobytes()
    for value, start, end in zip(sections["bitmap of"].tolist(), starts.tolist(), ends.tolist(), strict=True):
        projection.bitmaps[value] = BitMap.deserialize(packed[start:end])
    for name, column in projection.columns.items():
        column.over(sections[name])
    return projection
