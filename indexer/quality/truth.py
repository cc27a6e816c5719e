"""What people said of pictures, read from a folder: captions, objects and scenes to hold a library against."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from indexer.scan import PICTURES
from search.errors import ConfigError
from search.types import ImageId

CAPTIONS, LABELS, SCENES, SOURCES, ABSENT = "captions.json", "labels.json", "scenes.json", "sources.json", "absent.txt"

Said = TypeVar("Said")


@dataclass(frozen=True, slots=True)
class Objects:
    """The labels of the boxes that people drew, and of the crowds that they left without a box."""

    labels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Scene:
    """What counts as right for a picture of a scene, in plain spelling, and the closest of Places365; whether it is
    indoors, where that is known."""

    accepted: frozenset[str]
    closest: str
    indoor: bool | None


@dataclass(frozen=True, slots=True)
class Truth:
    """A set of pictures with what people said of them. A picture that was not described is still one to be found."""

    name: str
    pictures: Mapping[ImageId, Path]
    captions: Mapping[ImageId, tuple[str, ...]]
    objects: Mapping[ImageId, Objects]
    scenes: Mapping[ImageId, Scene]
    absent: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Return what tells whether two measurements were of the same pictures and the same words."""
        parts = [
            sorted(self.pictures),
            sorted((id, texts) for id, texts in self.captions.items()),
            sorted((id, sorted(one.labels)) for id, one in self.objects.items()),
            sorted((id, sorted(one.accepted)) for id, one in self.scenes.items()),
            self.absent,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def within(self, known: Iterable[ImageId]) -> Truth:
        """Return what is said of those pictures that are known."""
        some = set(known)
        return replace(
            self,
            pictures=_only(some, self.pictures),
            captions=_only(some, self.captions),
            objects=_only(some, self.objects),
            scenes=_only(some, self.scenes),
        )


def _only(some: Collection[ImageId], said: Mapping[ImageId, Said]) -> dict[ImageId, Said]:
    return {id: what for id, what in said.items() if id in some}


def read_truth(folder: Path) -> list[Truth]:
    """Return what is said of the pictures in a folder, or else in each of its subfolders.

    A folder has any of `captions.json` ({file: [captions]}), `labels.json` ({file: {"boxes": [[label, x, y, w, h], …],
    "crowd": [labels]}}) and `scenes.json` ({"scenes": {folder: {"places365": [names], "indoor": bool}}}). Where
    `sources.json` ({file: {"dataset": name}}) tells pictures of several data sets apart, each is a set of its own.
    `absent.txt` has questions that no picture answers, one a line; without it they are ours.
    Raises ConfigError where nothing is said of any picture.
    """
    absent = _absent(folder)
    described = [place for place in (folder, *sorted(folder.iterdir())) if place.is_dir() and _describes(place)]
    truths = [truth for place in described for truth in _read(place, absent)]
    if not truths:
        raise ConfigError(
            f"nothing is said of the pictures in {folder}: put a {CAPTIONS} there ({{file: [captions]}}), a {LABELS}"
            f' ({{file: {{"boxes": [[label, x, y, width, height], …]}}}}), or folders of scenes with a {SCENES}'
        )
    return truths


def _describes(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (CAPTIONS, LABELS, SCENES))


def _read(folder: Path, absent: tuple[str, ...]) -> list[Truth]:
    captions, labels, scenes = (_json(folder / name) for name in (CAPTIONS, LABELS, SCENES))
    sources = _json(folder / SOURCES)
    known = scenes.get("scenes", {})
    paths = {path for name in (*captions, *labels) if (path := folder / name).is_file()}
    paths |= {path for scene in known for path in (folder / scene).glob("*") if path.suffix[1:].lower() in PICTURES}
    of_set: dict[str, dict[ImageId, Path]] = {}
    for path in sorted(paths):
        dataset = sources.get(path.name, {}).get("dataset", "")
        of_set.setdefault(dataset, {}).setdefault(_id(path), path)
    try:
        return [
            Truth(
                name=", ".join(filter(None, (folder.name, dataset))),
                pictures=pictures,
                captions={id: texts for id, path in pictures.items() if (texts := _texts(captions, path, folder))},
                objects={id: _objects(labels[name]) for id, path in pictures.items() if (name := path.name) in labels},
                scenes={id: _scene(path, known) for id, path in pictures.items() if path.parent.name in known},
                absent=absent,
            )
            for dataset, pictures in of_set.items()
        ]
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ConfigError(
            f"what is said of the pictures in {folder} has not the form that it should: {error}"
        ) from error


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} must be a JSON object: {error}") from error
    if not isinstance(read, dict):
        raise ConfigError(f"{path} must be a JSON object, got a {type(read).__name__}")
    return read


def _id(path: Path) -> ImageId:
    return ImageId(hashlib.sha256(path.read_bytes()).hexdigest()[:32])


def _texts(captions: Mapping[str, Any], path: Path, folder: Path) -> tuple[str, ...]:
    given = captions.get(path.relative_to(folder).as_posix(), ())
    return tuple(" ".join(text.split()) for text in given if text.split())


def _objects(said: Mapping[str, Any]) -> Objects:
    return Objects(frozenset({box[0] for box in said.get("boxes", ())} | set(said.get("crowd", ()))))


def _scene(path: Path, known: Mapping[str, Any]) -> Scene:
    said = known[path.parent.name]
    accepted = [plain(name) for name in (*said.get("places365", ()), path.parent.name)]
    return Scene(frozenset(accepted), accepted[0], said.get("indoor"))


def plain(label: str) -> str:
    """Return a label of a scene as people write it: ``/a/airport_terminal`` is ``airport terminal``."""
    return " ".join(label.removeprefix("/").replace("_", " ").replace("/", " ").replace("-", " ").lower().split())


def _absent(folder: Path) -> tuple[str, ...]:
    own = folder / ABSENT
    text = own if own.is_file() else files("indexer").joinpath(f"data/{ABSENT}")
    lines = (line.strip() for line in text.read_text(encoding="utf-8").splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))
