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

from search.tags.projection import COLUMNS, NUMBERS, PLACES, Projection, Value
from search.vectors.files import Damaged, locked, read_sections, read_state, write_sections, write_state

logger = logging.getLogger(__name__)


def write(folder: Path, name: str, projection: Projection) -> None:
    """Write a projection; what was there before stays until it is whole."""
    with locked(folder):
        write_state(folder, {"name": name, "projection": write_sections(folder, "projection", _sections(projection))})


def read(folder: Path, name: str) -> Projection | None:
    """Return the projection that was written under a name, its arrays mapped; None where that is not there."""
    state = read_state(folder)
    if state is None or state["name"] != name:
        return None
    try:
        sections, _ = read_sections(folder, state["projection"])
        return _projection(sections)
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
