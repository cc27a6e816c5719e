"""Arrays on disk, of vectors and of tags: mapped when they are opened, and never half written.

A folder holds ``state.json``, which names the files that belong together, and those files: the rows, which are only
appended to, the cells, which are made anew now and then, and the rest, which is written anew each time. What is not
named in ``state.json`` is not there: it is replaced last, in one step, and a crash before that leaves what was. Files
are told by a digest over their size and parts of them, so that opening gigabytes takes no time; that each row is right
is what `snapseek verify` looks at.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

FORMAT = 2
STATE = "state.json"
LOCK = "lock"
WHOLE_BYTES = 4 * 2**20
"""Files up to this are digested as a whole."""
PARTS, PART_BYTES = 64, 65_536

Sections = dict[str, NDArray[Any]]


class Damaged(Exception):
    """What is on disk is not what `state.json` says."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the one process that writes."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read_state(folder: Path) -> dict[str, Any] | None:
    """Return what ``state.json`` says; None where there is none, or none that is as it was written."""
    try:
        kept = json.loads((folder / STATE).read_bytes())
        state: dict[str, Any] = kept["state"]
        return state if (kept["format"], kept["digest"]) == (FORMAT, _digest_of(state)) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Replace ``state.json`` in one step, then delete the files that it does not name."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix="new-", delete=False) as file:
        file.write(json.dumps({"format": FORMAT, "digest": _digest_of(state), "state": state}).encode())
        _flush(file)
    os.replace(file.name, folder / STATE)
    with contextlib.suppress(OSError):  # not everywhere can a folder be flushed
        flush_folder(folder)
    named = {STATE, LOCK, *(part["file"] for part in state.values() if isinstance(part, dict) and "file" in part)}
    for path in folder.iterdir():
        if path.name not in named and path.is_file():
            path.unlink(missing_ok=True)  # who has it mapped keeps it


def write_sections(folder: Path, kind: str, sections: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Write arrays one behind the other into a new file; return what `read_sections` needs to find them again."""
    name = f"{kind}-{uuid.uuid4().hex[:12]}.bin"
    found, offset = [], 0
    with (folder / name).open("wb") as file:
        for key, array in sections.items():
            data = np.ascontiguousarray(array)
            file.write(data.data if data.size else b"")
            found.append({"name": key, "dtype": data.dtype.str, "shape": list(data.shape), "offset": offset})
            offset += data.nbytes
            file.write(b"\0" * (-offset % 8))
            offset += -offset % 8
        _flush(file)
    return {"file": name, "bytes": offset, "digest": digest(folder / name, offset), "sections": found}


def read_sections(folder: Path, entry: Mapping[str, Any]) -> Sections:
    """Return the arrays of a file, mapped. Raises Damaged where it is not what it was."""
    path = checked(folder, entry)
    data = np.memmap(path, np.uint8, "r") if entry["bytes"] else np.empty(0, np.uint8)
    arrays: Sections = {}
    for one in entry["sections"]:
        dtype, shape = np.dtype(one["dtype"]), tuple(one["shape"])
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        arrays[one["name"]] = np.asarray(data[one["offset"] : one["offset"] + size]).view(dtype).reshape(shape)
    return arrays


def append_rows(folder: Path, name: str | None, start: int, blocks: Iterator[NDArray[np.float16]]) -> dict[str, Any]:
    """Write rows into a file behind ``start`` bytes, or into a new file; return the entry for ``state.json``."""
    name = name or f"rows-{uuid.uuid4().hex[:12]}.f16"
    with (folder / name).open("r+b" if start else "wb") as file:
        file.seek(start)
        for block in blocks:
            file.write(np.ascontiguousarray(block).data)
        end = file.tell()
        _flush(file)
    return {"file": name, "bytes": end, "digest": digest(folder / name, end)}


def map_rows(folder: Path, entry: Mapping[str, Any], dim: int) -> NDArray[np.float16]:
    """Return the rows of a file, mapped. Raises Damaged where it is not what it was."""
    path = checked(folder, entry)
    if not entry["bytes"]:
        return np.empty((0, dim), np.float16)
    return np.asarray(np.memmap(path, np.float16, "r", shape=(entry["bytes"] // (2 * dim), dim)))


def checked(folder: Path, entry: Mapping[str, Any]) -> Path:
    """Return the path of a file. Raises Damaged where it is not what it was, FileNotFoundError where it is gone."""
    path = folder / Path(str(entry["file"])).name
    if digest(path, entry["bytes"]) != entry["digest"]:
        raise Damaged(path.name)
    return path


def digest(path: Path, size: int) -> str:
    """Return a digest of the first ``size`` bytes of a file: of all, or of parts from its beginning to its end."""
    seen = hashlib.blake2b(str(size).encode(), digest_size=16)
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < size:
            return "too short"
        if size <= WHOLE_BYTES:
            seen.update(file.read(size))
        else:
            for start in np.linspace(0, size - PART_BYTES, PARTS, dtype=np.int64).tolist():
                file.seek(start)
                seen.update(file.read(PART_BYTES))
    return seen.hexdigest()


def flush_folder(folder: Path) -> None:
    """Put on the disk which files a folder has. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest_of(state: Mapping[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(state, sort_keys=True).encode(), digest_size=16).hexdigest()


def _flush(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
