"""Weights from the Hugging Face hub: fetched once by `snapseek models pull`, found and checked without a network after.

They lie in the hub's own cache (`HF_HOME`), where the file of each content is named by its hash, so that what was
fetched can be checked at any time, and weights that other programs fetched are found as well.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from search.errors import ConfigError, ModelUnavailable, Unavailable
from search.profile_file import ModelSpec, ProfileChoice

SMALL_FILES = ["*.json", "*.txt", "*.model", "*.jinja"]
WEIGHT_FILES = {"open_clip": ["open_clip_model*.safetensors"], "transformers": ["model*.safetensors"]}
"""Safetensors only: a pickle is a program, and is not run. Ultralytics knows no other format than its own `.pt`."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of the hub, or one file of it."""

    name: str
    file: str | None
    revision: str
    library: str

    @property
    def patterns(self) -> list[str]:
        """Return the files that are needed."""
        return [self.file] if self.file else SMALL_FILES + WEIGHT_FILES[self.library]

    @property
    def unwanted(self) -> list[str]:
        """Return what is not needed of all that fits: what lies in folders below the repository's own."""
        return [] if self.file else ["*/*"]


def repository(spec: ModelSpec, model: str | None = None) -> Repository:
    """Return the repository that a model's name means. Raises ConfigError for one that means none."""
    name = spec.model if model is None else model
    parts = name.split("/")
    if len(parts) < 2 or not all(parts):
        raise ConfigError(
            f"{name!r} is neither a repository of the hub (owner/name or owner/name/file) nor a path that is there"
        )
    library = "open_clip" if model is not None else spec.library
    file = "/".join(parts[2:]) or None
    if library == "ultralytics" and file is None:
        raise ConfigError(f"{name!r} must name a file for Ultralytics, as Ultralytics/YOLO11/yolo11s.pt")
    if library != "ultralytics" and file is not None:
        raise ConfigError(f"{name!r} must name a repository, owner/name, for {library}")
    return Repository("/".join(parts[:2]), file, spec.revision, library)


def locate(choice: ProfileChoice, spec: ModelSpec, *, task: str, model: str | None = None) -> Path:
    """Return the local folder, or file, of a task's model. Never asks the network.

    Raises ModelUnavailable that names the model, where it was looked for, and what helps.
    """
    name = spec.model if model is None else model
    local = choice.local(name)
    if local is not None:
        if not local.exists():
            raise ModelUnavailable(f"the model of [{task}] is missing: there is no {local}")
        return local
    wanted = repository(spec, model)
    found = find(wanted)
    if found is None:
        raise ModelUnavailable(
            f"the weights of [{task}], {name} (revision {spec.revision}), are not in {cache_folder()}; run"
            f" `snapseek models pull {choice.name}` to fetch them, or index with `--profile lite`, which needs none"
        )
    return found


def find(wanted: Repository) -> Path | None:
    """Return the folder, or file, of a repository in the cache, if everything needed of it is there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(
            snapshot_download(
                wanted.name,
                revision=wanted.revision,
                allow_patterns=wanted.patterns,
                ignore_patterns=wanted.unwanted,
                local_files_only=True,
            )
        )
    except (LocalEntryNotFoundError, ValueError):
        return None
    if wanted.file is not None:
        return folder / wanted.file if (folder / wanted.file).is_file() else None
    return folder if _is_whole(folder, WEIGHT_FILES[wanted.library]) else None


def _is_whole(folder: Path, patterns: list[str]) -> bool:
    """Tell whether all weights are there: the shards that an index lists, or a single file."""
    for index in folder.glob("*.safetensors.index.json"):
        shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        return all((folder / shard).is_file() for shard in shards)
    return any(fnmatch(file.name, pattern) for file in folder.iterdir() for pattern in patterns)


def pull(wanted: Repository) -> Path:
    """Fetch what is needed of a repository, check it, and return its folder, or file.

    Raises Unavailable when the hub cannot be reached, ModelUnavailable when it has no such thing or sent another.
    """
    import httpx2  # what the hub's client is made of
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        folder = Path(
            snapshot_download(
                wanted.name,
                revision=wanted.revision,
                allow_patterns=wanted.patterns,
                ignore_patterns=wanted.unwanted,
            )
        )
    except OfflineModeIsEnabled as error:
        raise Unavailable("HF_HUB_OFFLINE is set, so nothing is fetched; unset it to fetch models") from error
    except (LocalEntryNotFoundError, httpx2.TransportError) as error:
        raise Unavailable(f"the hub cannot be reached to fetch {wanted.name}: {error}") from error
    except (HfHubHTTPError, OSError) as error:  # a file of another size than announced, or no room for it
        raise ModelUnavailable(f"{wanted.name} (revision {wanted.revision}) cannot be fetched: {error}") from error
    false = [path.name for path in sorted(folder.rglob("*")) if not is_true(path)]
    if false:
        raise ModelUnavailable(
            f"{', '.join(false)} of {wanted.name} is not what the hub said it would be, and was removed; fetch it again"
        )
    found = find(wanted)
    if found is None:
        raise ModelUnavailable(f"{wanted.name} has no weights that are taken here: {', '.join(wanted.patterns)}")
    return found


def is_true(path: Path) -> bool:
    """Hold a cached file against the hash that the hub gave for it; remove a false one."""
    named = _announced(path)
    if not named:
        return True
    with path.open("rb") as file:
        if len(named) == 64:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        else:  # small files have git's hash
            content = file.read()
            found = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    if found == named:
        return True
    for place in (path.resolve(), path.parent / path.readlink(), path):
        place.unlink(missing_ok=True)
    return False


def _announced(path: Path) -> str:
    """Return the hash that the hub gave for a file, which is its name among the cache's blobs; "" outside the cache.

    A blob may itself be a link, to a file that several repositories share, whose name is a hash of another kind.
    """
    blob = path.readlink() if path.is_symlink() else path
    return blob.name if blob.parent.name == "blobs" and len(blob.name) in (40, 64) else ""


def commit_of(path: Path) -> str:
    """Return the commit that a folder, or file, of the cache is of."""
    below = path.parts[::-1]
    return below[below.index("snapshots") - 1]


def cache_folder() -> Path:
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of the files directly in a folder."""
    files = [path] if path.is_file() else [file for file in path.iterdir() if file.is_file()]
    return sum(file.stat().st_size for file in files)


def content_hash(path: Path) -> str:
    """Return a SHA-256 over a model: its file, or configuration, vocabulary and weights of its folder."""
    if path.is_file():
        return _file_hash(path, path.stat().st_size, path.stat().st_mtime_ns)
    kinds = (".json", ".txt", ".model", ".safetensors")
    names = sorted(file.name for file in path.iterdir() if file.suffix in kinds)
    parts = [
        f"{name} {_file_hash(path / name, (path / name).stat().st_size, (path / name).stat().st_mtime_ns)}"
        for name in names
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@functools.lru_cache(maxsize=1024)
def _file_hash(path: Path, _size: int, _mtime_ns: int) -> str:
    named = _announced(path)
    if len(named) == 64:
        return named  # the cache names files by their hash; `pull` checked it
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
