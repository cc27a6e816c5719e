"""Everything of a library that cannot be made again, in one file: taken while others write, restored whole or not at
all.

What is in it: the catalogue, with vectors, tags, jobs and what people said; the pictures that were sent; the options;
and the keys, where they are asked for. What is not: the vectors' and tags' files and thumbnails, which come by
themselves, and the pictures of folders that were indexed, which are not the library's.

The file is a tar, so that other programs can read it. Its last member, ``manifest.json``, has the SHA-256 of all
others: a backup without it was cut off.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from indexer import uploads
from search.catalog.migrations import refuse_foreign
from search.catalog.sqlite_catalog import FILE as CATALOGUE
from search.config import CONFIG_FILE, KEYS_FILE, Config
from search.errors import ConfigError, StorageFull
from search.mapped_files import flush_folder
from search.transactions import copied, is_full

FORMAT = 1
MANIFEST = "manifest.json"
MANIFEST_BYTES = 2**30
_UPLOAD = re.compile(rf"{uploads.FOLDER}/[0-9a-f]{{2}}/[0-9a-f]{{32}}/[^/\0]{{1,255}}")
_BLOCK = 2**20


@dataclass(frozen=True, slots=True)
class Kept:
    """What a backup has."""

    images: int
    uploads: int
    bytes: int
    missing: tuple[str, ...]
    """Pictures that were sent and whose files were not there."""
    made_at: str


def back_up(config: Config, target: Path, *, keys: bool = False) -> Kept:
    """Write a backup of a library, as it is at one moment; whoever indexes, uploads or searches goes on meanwhile.

    The file appears under its name when it is whole. Raises ConfigError where there is no library, where the library is
    in OpenSearch as a whole or the file is there already; StorageFull.
    """
    if config.is_in_cluster:
        raise ConfigError("all of this library is in OpenSearch: take a snapshot there (docs/operations.md)")
    catalogue = config.data / CATALOGUE
    if not catalogue.is_file():
        raise ConfigError(f"there is no library at {config.data}")
    refuse_foreign(catalogue)
    if target.exists():
        raise ConfigError(f"{target} is there already; it was left as it is")
    with (
        _told(target),
        tempfile.TemporaryDirectory(prefix=".snapseek-backup-", dir=target.absolute().parent) as folder,
    ):
        making = Path(folder) / "backup.tar"
        copy = Path(folder) / CATALOGUE
        copied(catalogue, copy)
        images, sent = _contents(copy)
        with making.open("xb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            writing = _Writing(archive)
            writing.add(CATALOGUE, copy)
            copy.unlink()
            if (config.data / CONFIG_FILE).is_file():
                writing.add(CONFIG_FILE, config.data / CONFIG_FILE)
            if keys and (config.data / KEYS_FILE).is_file():
                copied(config.data / KEYS_FILE, copy)
                writing.add(KEYS_FILE, copy)
            # After the catalogue: what came in since is not missed, and what is named there is never older than it.
            missing = tuple(path for path in sent if not writing.add_if_there(f"{uploads.FOLDER}/{path}", config.data))
            made_at = datetime.now(UTC).isoformat(timespec="seconds")
            writing.finish(
                {
                    "format": FORMAT,
                    "snapseek": importlib.metadata.version("snapseek"),
                    "made_at": made_at,
                    "images": images,
                    "missing": missing,
                }
            )
        _flush(making)
        _named(making, target)
    flush_folder(target.absolute().parent)
    return Kept(images, len(sent) - len(missing), target.stat().st_size, missing, made_at)


def restore(source: Path, data: Path) -> Kept:
    """Make a library of a backup, in a folder that is not there yet, or empty: whole, or not at all.

    Raises ConfigError for what is no backup, or a damaged one, and where there is something already; StorageFull.
    """
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise ConfigError(f"{data} is not empty: restore into a new folder; it was left as it is")
    parent = data.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=".snapseek-restore-", dir=parent))
    try:
        with _told(source):
            manifest, size = _unpacked(source, making)
            _check(making / CATALOGUE)
            if data.exists():
                data.rmdir()
            os.rename(making, data)
            flush_folder(parent)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    sent = sum(name.startswith(f"{uploads.FOLDER}/") for name in manifest["files"])
    return Kept(manifest["images"], sent, size, tuple(manifest["missing"]), manifest["made_at"])


class _Writing:
    """Adds files to a backup, and notes what they hold."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._files: dict[str, str] = {}

    def add(self, name: str, path: Path) -> None:
        with path.open("rb") as file:
            read = _Digesting(file)
            self._write(name, read, os.fstat(file.fileno()).st_size)
        self._files[name] = read.digest.hexdigest()

    def add_if_there(self, name: str, folder: Path) -> bool:
        try:
            self.add(name, folder / name)
        except FileNotFoundError:
            return False
        return True

    def finish(self, about: dict[str, Any]) -> None:
        text = json.dumps({**about, "files": self._files}, indent=1).encode()
        self._write(MANIFEST, io.BytesIO(text), len(text))

    def _write(self, name: str, file: io.BytesIO | _Digesting, size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size = size
        member.mode = 0o600
        self._archive.addfile(member, file)


class _Digesting:
    """A file whose contents are digested as they are read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


def _contents(catalogue: Path) -> tuple[int, list[str]]:
    """Return how many images a catalogue has, and which files below the folder of uploads it names."""
    with closing(sqlite3.connect(catalogue)) as connection:
        (images,) = connection.execute("SELECT count(*) FROM image").fetchone()
        of_images = connection.execute(
            "SELECT file.path FROM file JOIN root ON root.id = file.root WHERE root.path = ?",
            (uploads.FOLDER.encode(),),
        )
        paths = {os.fsdecode(path) for (path,) in of_images}
        waiting = connection.execute("SELECT path FROM item WHERE state IN ('queued', 'running')")
        paths.update(path for (path,) in waiting)
    return images, sorted(paths)


def _unpacked(source: Path, folder: Path) -> tuple[dict[str, Any], int]:
    """Write the files of a backup into a folder, and return its manifest, which they agree with, and its size."""
    found: dict[str, str] = {}
    manifest: dict[str, Any] | None = None
    try:
        with source.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                if manifest is not None or not member.isreg() or member.name in found:
                    raise ConfigError(f"{source} is no backup of Snapseek: it has {member.name!r} where nothing may be")
                content = archive.extractfile(member)
                assert content is not None  # noqa: S101 (of a regular file there always is)
                if member.name == MANIFEST and member.size <= MANIFEST_BYTES:
                    manifest = json.loads(content.read())
                elif member.name in (CATALOGUE, CONFIG_FILE, KEYS_FILE) or _is_upload(member.name):
                    found[member.name] = _written(content, folder / member.name)
                else:
                    raise ConfigError(f"{source} is no backup of Snapseek: it has {member.name!r}")
            size = file.tell()
    except (tarfile.TarError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source} is no backup of Snapseek, or damaged: {error}") from error
    if manifest is None or CATALOGUE not in found:
        raise ConfigError(f"{source} ends before it is whole: it was cut off")
    if manifest.get("format") != FORMAT:
        raise ConfigError(f"{source} was made by another Snapseek (format {manifest.get('format')}): update")
    wrong = sorted({name for name, digest in manifest["files"].items() if found.get(name) != digest})
    if wrong or len(found) != len(manifest["files"]):
        raise ConfigError(f"{source} is damaged: {', '.join(wrong[:3]) or 'it has files that its list does not name'}")
    return manifest, size


def _is_upload(name: str) -> bool:
    return bool(_UPLOAD.fullmatch(name)) and name.rpartition("/")[2] not in (".", "..")


def _written(content: IO[bytes], path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        while block := content.read(_BLOCK):
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _check(catalogue: Path) -> None:
    refuse_foreign(catalogue)
    with closing(sqlite3.connect(catalogue)) as connection:
        (sound,) = connection.execute("PRAGMA quick_check").fetchone()
    if sound != "ok":
        raise ConfigError(f"the catalogue in the backup is damaged: {sound}")


@contextmanager
def _told(where: Path) -> Iterator[None]:
    """Raise what users can act on in place of what the system says."""
    try:
        with uploads.storing():
            yield
    except sqlite3.OperationalError as error:
        if is_full(error, where.absolute().parent):
            raise StorageFull("the disk is full: nothing was written; make room and try again") from error
        raise ConfigError(f"{where}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise ConfigError(f"the catalogue is damaged: {error}") from error
    except OSError as error:
        raise ConfigError(f"{error.filename or where}: {error.strerror}") from error


def _named(making: Path, target: Path) -> None:
    """Give a file its name. A link does not replace what came there meanwhile, but not every disk has links."""
    try:
        os.link(making, target)
    except FileExistsError:
        raise
    except OSError:
        os.rename(making, target)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
