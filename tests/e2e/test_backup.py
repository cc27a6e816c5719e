"""Backups of libraries that are written to meanwhile; restored whole, or not at all."""

import io
import json
import shutil
import sqlite3
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from catalogs import SPACE, an_id, an_image
from click.testing import CliRunner
from libraries import index, quick_profile
from pictures import a_picture, encoded, save
from processes import wait_for
from starlette.testclient import TestClient
from workers import working

from api.app import create_app
from api.auth import Scope
from api.cli import main
from api.key_store import KeyStore
from indexer.backup import MANIFEST, back_up, restore
from indexer.media import Media
from indexer.pool import DecodePool
from search.catalog.protocol import Catalog
from search.catalog.rows import Batch, FileRow
from search.catalog.sqlite_catalog import FILE, SqliteCatalog
from search.config import Config, load_config
from search.errors import ConfigError
from search.services import open_services
from search.types import ImageId
from search.verify import verify_library


def upload(client: TestClient, number: int) -> str:
    answer = client.post("/v1/images", files={"file": (f"{number}.png", encoded(a_picture(number), "PNG"))})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job"])


def indexed(config: Config, finished: Callable[[], bool]) -> None:
    """Have a worker until something is so."""
    with working(config):
        wait_for("a worker", finished, 120)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A library of a folder, of an upload that was indexed and one that waits, with options and a key."""
    folder = tmp_path_factory.mktemp("made")
    data, profile = folder / "library", quick_profile(folder)
    for number in range(3):
        save(folder / "photos" / f"{number}.png", a_picture(number))
    index(data, folder / "photos", profile=profile)
    (data / "snapseek.toml").write_text(f'profile = "{profile}"\n', encoding="utf-8")
    config = load_config(data=data)
    with open_services(config) as services, TestClient(create_app(services), base_url="http://127.0.0.1") as client:
        job = upload(client, 10)
        indexed(config, lambda: services.catalog.jobs.get(job).finished_at is not None)
        upload(client, 11)
        (hit, *_) = client.get("/v1/search").json()["hits"]
        assert client.patch(f"/v1/images/{hit['id']}", json={"caption": "Anna's own words"}).status_code == 200
    with closing(KeyStore(data)) as keys:
        keys.create("Anna", {Scope.SEARCH})
    return config


def ids(catalog: Catalog) -> list[ImageId]:
    return [record.id for record in catalog.records(catalog.ordinals().to_array())]


@pytest.fixture
def kept(made: Config, tmp_path: Path) -> Path:
    back_up(made, tmp_path / "kept.tar")
    return tmp_path / "kept.tar"


def test_what_is_restored_is_the_library_with_its_uploads_and_what_waited(made: Config, tmp_path: Path) -> None:
    done = back_up(made, tmp_path / "kept.tar")
    assert (done.images, done.uploads, done.missing) == (4, 2, ())
    assert restore(tmp_path / "kept.tar", tmp_path / "new" / "library").images == 4
    config = load_config(data=tmp_path / "new" / "library")
    assert config.profile == made.profile
    with open_services(config) as services:
        assert len(services.tags) == 4
        captions = [services.catalog.record(id).caption for id in ids(services.catalog)]
        assert captions.count("Anna's own words") == 1
        indexed(config, lambda: services.catalog.counts()["images"] == 5)
        assert verify_library(config, services.catalog, repair=False) == ([], 0)
        with DecodePool(config, workers=1) as pool, closing(Media(config.data, services.catalog, pool)) as media:
            for id in ids(services.catalog):
                path, _ = media.original(id)
                assert path.is_relative_to(config.data / "uploads") == (path.name in ("10.png", "11.png"))
    assert not (config.data / "keys.sqlite").exists()


def test_keys_are_taken_along_where_that_is_asked_for(made: Config, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["backup", str(tmp_path / "k.tar"), "--data", str(made.data), "--keys", "--json"])
    assert json.loads(result.stdout)["images"] == 4
    result = CliRunner().invoke(main, ["restore", str(tmp_path / "k.tar"), "--data", str(tmp_path / "library")])
    assert "4 images, as they were at 2" in result.stdout
    with closing(KeyStore(tmp_path / "library")) as keys:
        assert [key.name for key in keys.all()] == ["Anna"]


def test_a_backup_while_others_write_is_the_library_at_one_moment(tmp_path: Path) -> None:
    with SqliteCatalog(tmp_path / "library", create=True) as catalog:
        root = catalog.root(tmp_path / "photos")
        ended = threading.Event()

        def write() -> None:
            number = 0
            while not ended.is_set():
                batch = [an_image(number + n) for n in range(1, 9)]
                files = [(FileRow(f"{image.id}.jpg", 1, 1, 1), image.id) for image in batch]
                catalog.write(root, Batch(SPACE, batch, files))
                number += 8

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for number in range(5):
                before = catalog.counts()["images"]
                back_up(load_config(data=tmp_path / "library"), tmp_path / f"{number}.tar")
                after = catalog.counts()["images"]
                copy = restore(tmp_path / f"{number}.tar", tmp_path / f"copy{number}")
                assert before <= copy.images <= after
                assert copy.images % 8 == 0
                with SqliteCatalog(tmp_path / f"copy{number}") as other:
                    assert other.counts() == {"images": copy.images, "files": copy.images, "rejected": 0}
        finally:
            ended.set()
            writer.join()
        assert catalog.counts()["images"] > 0
        assert an_id(1) in set(ids(catalog))


def members(kept: Path) -> dict[str, bytes]:
    with tarfile.open(kept) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def repacked(target: Path, files: dict[str, bytes], *, kind: bytes = tarfile.REGTYPE, named: str = "") -> None:
    with tarfile.open(target, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
            if named and name == FILE:
                more = tarfile.TarInfo(named)
                more.type, more.linkname = kind, "/etc/passwd"
                archive.addfile(more)


@pytest.mark.parametrize("name", [FILE, "snapseek.toml", "uploads"])
def test_a_byte_that_changed_is_noticed(kept: Path, tmp_path: Path, name: str) -> None:
    files = members(kept)
    name = next(one for one in files if one.startswith(name))
    files[name] = files[name][:-1] + bytes([files[name][-1] ^ 1])
    repacked(tmp_path / "changed.tar", files)
    with pytest.raises(ConfigError, match="is damaged"):
        restore(tmp_path / "changed.tar", tmp_path / "library")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["changed.tar", "kept.tar"]


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.99])
def test_a_backup_that_was_cut_off_is_refused(kept: Path, tmp_path: Path, part: float) -> None:
    content = kept.read_bytes()
    kept.write_bytes(content[: int(content.index(MANIFEST.encode()) * part)])
    with pytest.raises(ConfigError, match=r"cut off|damaged"):
        restore(kept, tmp_path / "library")
    assert not (tmp_path / "library").exists()


@pytest.mark.parametrize(
    ("named", "kind"),
    [
        ("../outside", tarfile.REGTYPE),
        ("/outside", tarfile.REGTYPE),
        ("uploads/aa/../../outside", tarfile.REGTYPE),
        (f"uploads/aa/{'a' * 32}/..", tarfile.REGTYPE),
        ("uploads/passwd", tarfile.SYMTYPE),
        ("uploads/passwd", tarfile.LNKTYPE),
        ("uploads/pipe", tarfile.FIFOTYPE),
        ("write.lock", tarfile.REGTYPE),
        (FILE, tarfile.REGTYPE),
    ],
)
def test_a_backup_writes_nothing_anywhere_else(kept: Path, tmp_path: Path, named: str, kind: bytes) -> None:
    repacked(tmp_path / "hostile.tar", members(kept), kind=kind, named=named)
    with pytest.raises(ConfigError, match="is no backup of Snapseek"):
        restore(tmp_path / "hostile.tar", tmp_path / "library")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["hostile.tar", "kept.tar"]


def test_what_is_there_already_stays(made: Config, kept: Path, tmp_path: Path) -> None:
    before = kept.read_bytes()
    with pytest.raises(ConfigError, match="is there already"):
        back_up(made, kept)
    assert kept.read_bytes() == before
    (tmp_path / "library").mkdir()
    restore(kept, tmp_path / "library")  # an empty folder will do
    with pytest.raises(ConfigError, match="is not empty"):
        restore(kept, tmp_path / "library")


def test_what_is_no_library_and_no_backup_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no library"):
        back_up(load_config(data=tmp_path / "none"), tmp_path / "kept.tar")
    (tmp_path / "foreign").mkdir()
    with closing(sqlite3.connect(tmp_path / "foreign" / FILE)) as other:
        other.execute("CREATE TABLE song (title)")
    with pytest.raises(ConfigError, match="no catalogue of Snapseek"):
        back_up(load_config(data=tmp_path / "foreign"), tmp_path / "kept.tar")
    for source in ("photo.jpg", "none"):
        save(tmp_path / "photo.jpg")
        with pytest.raises(ConfigError):
            restore(tmp_path / source, tmp_path / "library")
    assert not (tmp_path / "kept.tar").exists()
    assert not (tmp_path / "library").exists()


def test_an_upload_whose_file_is_gone_is_named(made: Config, tmp_path: Path) -> None:
    shutil.copytree(made.data, tmp_path / "library")
    (lost,) = (tmp_path / "library" / "uploads").glob("*/*/10.png")
    lost.unlink()
    result = CliRunner().invoke(main, ["backup", str(tmp_path / "kept.tar"), "--data", str(tmp_path / "library")])
    assert result.exit_code == 1
    assert "10.png: it was sent, but its file is gone" in result.stderr
    assert restore(tmp_path / "kept.tar", tmp_path / "new").missing == (
        lost.relative_to(tmp_path / "library" / "uploads").as_posix(),
    )
