"""Which files beside a picture tell of it: XMP sidecars of photo programs, YAML sidecars of PhotoPrism. Only `stat`.

What a scan keeps of them is one text (`told`): name, size and time of each; where that is other than before, they are
read again. Names are relative to the picture's folder.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

XMP, YAML = ".xmp", ".yml"
SUFFIXES = (XMP, YAML)
PHOTOPRISM = ".photoprism"
"""Folder beside pictures that older PhotoPrism keeps its sidecars in."""

Status = Callable[[], os.stat_result]


class Sidecar(NamedTuple):
    name: str
    size: int
    mtime_ns: int


def is_sidecar(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def candidates(picture: str) -> tuple[str, ...]:
    """Return the names that sidecars of a picture have, the nearest first: `a.jpg.xmp` goes before `a.xmp`."""
    stem = os.path.splitext(picture)[0]
    names = tuple(name + suffix for suffix in SUFFIXES for name in (picture, stem))
    return *names, *(f"{PHOTOPRISM}/{name}{YAML}" for name in (picture, stem))


def listed(entries: Iterable[os.DirEntry[str]]) -> dict[str, tuple[str, Status]]:
    """Return the sidecars in a folder's listing by their name with a lower-case suffix: their own name, their status.

    Those in a `.photoprism` among the entries are there, too.
    """
    found: dict[str, tuple[str, Status]] = {}
    for entry in entries:
        name = entry.name
        if name[-4:].lower() in SUFFIXES:  # a call for each of a hundred thousand names would show
            found[_key(name)] = name, entry.stat
        elif name == PHOTOPRISM:
            try:
                with os.scandir(entry.path) as inner:
                    for one in inner:
                        if is_sidecar(one.name):
                            found[f"{PHOTOPRISM}/{_key(one.name)}"] = f"{PHOTOPRISM}/{one.name}", one.stat
            except OSError:
                continue
    return found


def beside(path: str) -> dict[str, tuple[str, Status]]:
    """Return what `listed` would of one picture's sidecars."""
    folder, picture = os.path.split(path)
    found: dict[str, tuple[str, Status]] = {}
    for key in candidates(picture):
        for name in (key, os.path.splitext(key)[0] + os.path.splitext(key)[1].upper()):
            whole = os.path.join(folder, name)
            if key not in found and os.path.exists(whole):
                found[key] = name, lambda whole=whole: os.stat(whole)  # type: ignore[misc]
    return found


def told(picture: str, there: Mapping[str, tuple[str, Status]]) -> str:
    """Return what tells whether the sidecars of a picture changed; empty where it has none."""
    if not there:
        return ""
    found = []
    for key in candidates(picture):
        if key in there:
            name, status = there[key]
            try:
                known = status()
            except OSError:
                continue
            if stat.S_ISREG(known.st_mode):
                found.append(Sidecar(name, known.st_size, known.st_mtime_ns))
    return json.dumps(found, separators=(",", ":")) if found else ""


def named(told: str) -> tuple[Sidecar, ...]:
    """Return the sidecars in such a text, the nearest first."""
    return tuple(Sidecar(*one) for one in json.loads(told)) if told else ()


def _key(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return stem + suffix.lower()
