"""The command as people and scripts run it: documents, exit statuses, messages."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from libraries import a_library, photos
from pictures import save
from PIL import Image

from search.config import Config

COMMAND = str(Path(sys.executable).with_name("snapseek"))


def run(*args: object, status: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [COMMAND, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
        encoding="utf-8",
    )
    assert done.returncode == status, done.stderr
    return done


def document(*args: object, status: int = 0) -> dict:
    return json.loads(run(*args, "--json", status=status).stdout)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return a_library(tmp_path_factory.mktemp("cli"))


def test_index_prints_its_document_and_names_rejected_files(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.jpg")
    (tmp_path / "photos" / "bad.jpg").write_text("no picture", encoding="utf-8")
    report = document("index", tmp_path / "photos", "--data", tmp_path / "library", status=1)
    assert report["indexed"] == 1
    assert report["rejected"] == [{"path": "bad.jpg", "reason": report["rejected"][0]["reason"]}]
    assert report["profile"] == "lite"
    assert report["space"]["dim"] == 384
    assert {"unchanged", "duplicates", "removed", "seconds", "images_per_second"} <= report.keys()


def test_search_prints_the_body_of_the_http_api(config: Config) -> None:
    body = document("search", "a cat -object:dog", "--data", config.data, "-k", 2, "--facets", "object")
    assert body["hits"][0]["files"] == ["pets/chelsea.png"]
    assert body["facets"]["object"]
    assert body["total_is_exact"]


def test_search_prints_lines_for_people(config: Config) -> None:
    assert "pets/chelsea.png" in run("search", "a cat", "--data", config.data).stdout
    assert "no good match" in run("search", "qwx zzrt plomb", "--data", config.data).stdout


def test_similar_takes_an_id_a_path_of_the_library_and_any_file(config: Config, tmp_path: Path) -> None:
    cat = config.data.parent / "photos" / "pets" / "chelsea.png"
    id = document("show", cat, "--data", config.data)["id"]
    by_id = document("similar", id, "--data", config.data, "-k", 3)
    assert by_id["hits"] == document("similar", cat, "--data", config.data, "-k", 3)["hits"]
    assert id not in [hit["id"] for hit in by_id["hits"]]
    elsewhere = tmp_path / "elsewhere.png"
    elsewhere.write_bytes(cat.read_bytes())
    found = document("similar", elsewhere, "--by", "duplicate", "--data", config.data)
    assert [hit["id"] for hit in found["hits"]] == [id]
    assert found["hits"][0]["differences"][0] == "bytes: the same"


def test_a_part_of_a_picture_is_looked_for(config: Config, tmp_path: Path) -> None:
    cat = config.data.parent / "photos" / "pets" / "chelsea.png"
    elsewhere = tmp_path / "elsewhere.png"
    elsewhere.write_bytes(cat.read_bytes())
    of_library, of_file = (
        document("similar", path, "--box", "0.2,0.1,0.5,0.6", "--data", config.data, "-k", 12)["hits"]
        for path in (cat, elsewhere)
    )
    assert of_library == of_file[1:], "the picture itself is left out where it is known which one it is"
    assert "inside the picture" in run("similar", cat, "--box", "1,1,1,1", "--data", config.data, status=2).stderr


def test_duplicates_are_listed_in_groups(config: Config, tmp_path: Path) -> None:
    assert document("duplicates", "--data", config.data)["groups"] == []
    with Image.open(photos(tmp_path / "photos") / "rocket.jpg") as rocket:
        rocket.resize((rocket.width // 2, rocket.height // 2)).save(tmp_path / "photos" / "small.png")
    document("index", tmp_path / "photos", "--data", tmp_path / "library")
    (group,) = document("duplicates", "--data", tmp_path / "library")["groups"]
    assert [image["files"] for image in group["images"]] == [["rocket.jpg"], ["small.png"]]
    lines = run("duplicates", "--data", tmp_path / "library").stdout.splitlines()
    assert lines[0].startswith("rocket.jpg")
    assert lines[1].startswith("  small.png")
    assert "format: PNG, not JPEG" in lines[1]


def test_status_verify_and_models(config: Config) -> None:
    status = document("status", "--data", config.data)
    assert (status["images"], status["files"], status["rejected"], status["store"]) == (12, 12, 0, "embedded")
    assert all(size > 0 for size in status["bytes"].values())
    assert document("verify", "--data", config.data) == {"ok": True, "problems": [], "repaired": 0}
    assert all(card["present"] and card["licence"] for card in document("models", "list", "lite")["models"])


def test_rm_takes_an_image_out(tmp_path: Path) -> None:
    config = a_library(tmp_path)
    photo = tmp_path / "photos" / "coins.png"
    assert len(document("rm", photo, "--data", config.data)["removed"]) == 1
    assert document("status", "--data", config.data)["images"] == 11
    assert photo.exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("index", "/no/such/folder"), "no file or folder"),
        (("search", "a cat"), "no library"),
        (("status",), "no library"),
        (("index", "{photos}", "--profile", "magic"), "no profile"),
    ],
)
def test_a_call_that_is_wrong_says_why_and_changes_nothing(tmp_path: Path, args: tuple[str, ...], says: str) -> None:
    photos(tmp_path / "photos")
    filled = [arg.format(photos=tmp_path / "photos") for arg in args]
    done = run(*filled, "--data", tmp_path / "library", "--json", status=2)
    assert says in done.stderr
    assert says in json.loads(done.stdout)["error"]["detail"]


def test_bad_filters_ids_and_configuration_end_with_status_2(config: Config) -> None:
    assert "expected a value" in run("search", "--filter", "object:", "--data", config.data, status=2).stderr
    assert "no image" in run("show", "0" * 32, "--data", config.data, status=2).stderr
    assert "neither an image" in run("similar", "/no/such.jpg", "--data", config.data, status=2).stderr
    assert "batch_size" in run("status", "--data", config.data, status=2, SNAPSEEK_BATCH_SIZE="0").stderr
    elsewhere = run("serve", "--data", config.data, "--host", "192.0.2.1", status=2, SNAPSEEK_API_KEYS=a_key())
    assert "serve on" in elsewhere.stderr
    assert "API key" in run("serve", "--data", config.data, "--host", "0.0.0.0", status=2).stderr


def a_key() -> str:
    return json.loads(run("keys", "new", "--json").stdout)["entry"]


def test_a_file_that_is_no_library_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_text("my notes, which are no database of any kind" * 10, encoding="utf-8")
    before = (tmp_path / "catalog.sqlite").read_bytes()
    assert "catalogue" in run("status", "--data", tmp_path, status=2).stderr
    assert (tmp_path / "catalog.sqlite").read_bytes() == before


def test_a_port_in_use_is_said(config: Config) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("serve", "--data", config.data, "--port", taken.getsockname()[1], status=2)
    assert "try --port" in done.stderr


def test_options_come_from_the_file_the_environment_and_flags_in_that_order(config: Config, tmp_path: Path) -> None:
    data = tmp_path / "library"
    data.mkdir()
    (data / "snapseek.toml").write_text('batch_size = "many"', encoding="utf-8")
    assert "batch_size" in run("status", "--data", data, status=2).stderr
    assert "no library" in run("status", "--data", data, status=2, SNAPSEEK_BATCH_SIZE="4").stderr
    (data / "snapseek.toml").write_text("nonsense = 1", encoding="utf-8")
    assert "nonsense" in run("status", "--data", data, status=2).stderr


def test_the_demo_indexes_its_samples_and_serves_them(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [COMMAND, "demo", "--data", str(tmp_path / "demo"), "--port", str(port)], stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 100
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/?q=a+cat") as answer:
                    page = answer.read().decode()
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.2)
    finally:
        process.send_signal(signal.SIGINT)
    assert "chelsea" in page or "object:cat" in page
    assert process.wait(20) in (0, 130)


def test_an_interrupted_run_says_so_and_can_be_gone_on_with(tmp_path: Path) -> None:
    for number in range(200):
        save(tmp_path / "photos" / f"{number}.jpg")
    process = subprocess.Popen(
        [COMMAND, "index", str(tmp_path / "photos"), "--data", str(tmp_path / "library")],
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "SNAPSEEK_BATCH_SIZE": "4"},
        encoding="utf-8",
    )
    until = time.monotonic() + 60
    while not list((tmp_path / "library" / "thumbnails").glob("*/*")) and time.monotonic() < until:
        time.sleep(0.05)  # until the first batch, so that all its processes are at work
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    if process.returncode:  # else it was done before the signal came
        assert process.returncode == 130
        assert "go on" in errors
        assert "Traceback" not in errors
    document("index", tmp_path / "photos", "--data", tmp_path / "library")
    assert document("verify", "--data", tmp_path / "library")["ok"]
