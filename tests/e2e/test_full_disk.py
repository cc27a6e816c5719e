"""A disk that is really full: a small file system of its own, which only root can have."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from libraries import index, quick_profile
from pictures import a_picture, encoded, save
from processes import wait_for
from starlette.testclient import TestClient
from workers import working

from api.app import create_app
from api.cli import main
from search.config import Config, load_config
from search.services import open_services
from search.verify import verify_library

ROOM_MB = 24


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM_MB}m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs to mount a file system (root)")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def config(disk: Path, tmp_path: Path) -> Config:
    for number in range(4):
        save(tmp_path / "photos" / f"{number}.png", a_picture(number))
    index(disk / "library", tmp_path / "photos", profile=quick_profile(tmp_path))
    return load_config(data=disk / "library", min_free_bytes=0, max_upload_bytes=2**20)


def filled(disk: Path) -> Path:
    """Fill a disk to its last block, and return what is in the way."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            return ballast


def is_sound(config: Config) -> bool:
    with open_services(config) as services:
        return verify_library(config, services.catalog, repair=False) == ([], 0)


def test_a_run_on_a_full_disk_ends_with_a_reason_and_the_next_one_goes_on(
    config: Config, disk: Path, tmp_path: Path
) -> None:
    for number in range(10, 40):
        save(tmp_path / "photos" / f"{number}.png", a_picture(number, (400, 300)))
    ballast = filled(disk)
    result = CliRunner().invoke(main, ["index", str(tmp_path / "photos"), "--data", str(config.data)])
    assert result.exit_code == 2, result.output
    assert "disk is full" in result.stderr or "No space left" in result.stderr
    assert result.exception is None or isinstance(result.exception, SystemExit)
    ballast.unlink()
    assert is_sound(config)
    report = index(config.data, tmp_path / "photos")
    assert report.indexed + report.unchanged == 34
    assert is_sound(config)


def test_a_server_on_a_full_disk_refuses_uploads_and_goes_on_with_searches(config: Config, disk: Path) -> None:
    pictures = {number: encoded(a_picture(number, (400, 300)), "PNG") for number in (50, 51)}

    def send(client: TestClient, number: int) -> int:
        answer = client.post("/v1/images", files={"file": (f"{number}.png", pictures[number])})
        return answer.status_code

    with open_services(config) as services, TestClient(create_app(services), base_url="http://127.0.0.1") as client:
        ballast = filled(disk)
        assert send(client, 50) == 507
        answer = client.get("/v1/search", params={"q": "a picture", "cutoff": "none", "facets": "color"})
        assert answer.status_code == 200
        assert answer.json()["total"] == 4
        (hit, *_) = answer.json()["hits"]
        refused = client.patch(f"/v1/images/{hit['id']}", json={"caption": "words " * 150})
        assert refused.status_code in (200, 503, 507)
        assert client.get("/healthz").status_code == 200
        ballast.unlink()
        assert send(client, 51) == 202
        with working(config):
            wait_for("the picture to be found", lambda: client.get("/v1/search").json()["total"] == 5, 60)
    assert not list((config.data / "uploads" / ".incoming").iterdir())
    assert is_sound(config)


def test_a_backup_for_which_there_is_no_room_leaves_nothing(config: Config, disk: Path) -> None:
    filled(disk)
    before = sorted(disk.iterdir())
    result = CliRunner().invoke(main, ["backup", str(disk / "kept.tar"), "--data", str(config.data)])
    assert result.exit_code == 2
    assert "disk is full" in result.stderr
    assert sorted(disk.iterdir()) == before
