"""Pictures that are sent: kept before they are acknowledged, indexed by a worker, found afterwards."""

import io
import json
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from libraries import a_library, index
from pictures import a_picture, encoded
from PIL import Image
from starlette.testclient import TestClient
from workers import working

from api.app import create_app
from search.config import Config, load_config
from search.services import open_services

NO_FILE = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--b--\r\n'
PACKET = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag><rdf:li>Rex</rdf:li></rdf:Bag></dc:subject>
</rdf:Description></rdf:RDF>"""
JPEG = encoded(a_picture(), "JPEG")


@contextmanager
def serving(config: Config) -> Iterator[TestClient]:
    with open_services(config) as services, TestClient(create_app(services), base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def config(own: Config) -> Config:
    return own


@pytest.fixture
def client(config: Config) -> Iterator[TestClient]:
    with serving(config) as client:
        yield client


def pictures(*colours: str) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [
        ("file", (f"{colour}.png", encoded(Image.new("RGB", (96, 64), colour), "PNG"), "image/png"))
        for colour in colours
    ]


def ended(client: TestClient, job: str) -> dict:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        found = client.get(f"/v1/jobs/{job}").json()
        if found["state"] in ("done", "failed"):
            return found
        time.sleep(0.1)
    raise AssertionError(found)


def stored(config: Config) -> list[str]:
    folder = config.data / "uploads"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_pictures_are_answered_at_once_and_found_when_a_worker_was_there(client: TestClient, config: Config) -> None:
    told = ("file", ("told.jpg", encoded(a_picture(5), xmp=PACKET), "image/jpeg"))
    answer = client.post("/v1/images", files=[*pictures("red", "blue"), told])
    assert answer.status_code == 202
    sent = answer.json()
    assert {one["name"]: one["status"] for one in sent["images"]} == dict.fromkeys(
        ("red.png", "blue.png", "told.jpg"), "queued"
    )
    assert answer.headers["location"] == f"/v1/jobs/{sent['job']}"
    waiting = client.get(f"/v1/jobs/{sent['job']}").json()
    assert (waiting["state"], waiting["done"], waiting["total"]) == ("queued", 0, 3)
    with working(config):
        done = ended(client, sent["job"])
    assert (done["state"], done["done"], done["rejected"]) == ("done", 3, [])
    for one in sent["images"]:
        record = client.get(f"/v1/images/{one['id']}").json()
        assert record["files"][0].endswith(one["name"])
        assert client.get(record["links"]["thumbnail"]).status_code == 200
    assert client.get("/v1/search", params={"filter": "color:red", "k": 200}).json()["total"] >= 1
    (hit,) = client.get("/v1/search", params={"filter": "user:Rex source:xmp"}).json()["hits"]
    assert hit["files"][0].endswith("told.jpg")
    (listed,) = client.get("/v1/jobs").json()["jobs"]
    assert listed["id"] == sent["job"]
    metrics = client.get("/metrics").text
    for stage in ("decode", "models", "write"):
        assert f'snapseek_ingest_pictures_total{{stage="{stage}"}} {12 + 3:.1f}' in metrics  # the run's and the job's
        assert f'snapseek_ingest_seconds_total{{stage="{stage}"}}' in metrics


def test_what_is_sent_is_found_counted_and_taken_out_in_every_store(in_store: Config) -> None:
    half = ("file", ("half.jpg", JPEG[: len(JPEG) // 2], "image/jpeg"))
    with serving(in_store) as client, working(in_store, 2):
        before = client.get("/v1/search", params={"facets": "color"}).json()["total"]
        sent = client.post("/v1/images", files=[*pictures("red", "blue"), half]).json()
        done = ended(client, sent["job"])
        assert (done["done"], [one["name"] for one in done["rejected"]]) == (2, ["half.jpg"])
        ids = {one["name"]: one["id"] for one in sent["images"]}
        found = client.get("/v1/search", params={"filter": "color:red", "k": 200, "facets": "color"}).json()
        assert ids["red.png"] in [hit["id"] for hit in found["hits"]]
        like = client.get(f"/v1/images/{ids['red.png']}/similar", params={"k": 200}).json()
        assert ids["blue.png"] in [hit["id"] for hit in like["hits"]]
        assert client.get("/v1/search").json()["total"] == before + 2
        assert client.delete(f"/v1/images/{ids['red.png']}").status_code == 204
        assert client.get("/v1/search").json()["total"] == before + 1
        assert [path.endswith("blue.png") for path in stored(in_store)] == [True]
        again = client.post("/v1/images", files=pictures("blue")).json()
        assert [one["status"] for one in again["images"]] == ["known"]


def test_an_empty_library_takes_uploads(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    index(tmp_path / "library", tmp_path / "nothing")
    config = load_config(data=tmp_path / "library")
    with serving(config) as client, working(config):
        ended(client, client.post("/v1/images", files=pictures("red")).json()["job"])
        assert client.get("/v1/search", params={"filter": "color:red"}).json()["total"] == 1


def test_what_is_no_picture_is_refused_with_its_reason_and_not_kept(client: TestClient, config: Config) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.txt", "a")
    bad = {
        "svg.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "zip.jpg": archive.getvalue(),
        "two.jpg": JPEG + archive.getvalue(),
        "pdf.gif": b"GIF89a%PDF-1.7" + b"\0" * 50,
        "page.jpg": b"<html><script>alert(1)</script>",
        "empty.jpg": b"",
        "random.jpg": bytes(range(256)),
    }
    files = [("file", (name, data, "image/jpeg")) for name, data in bad.items()]
    sent = client.post("/v1/images", files=[*files, *pictures("green")]).json()
    reasons = {one["name"]: one["reason"] for one in sent["images"] if one["status"] == "rejected"}
    assert set(reasons) == set(bad)
    assert "SVG" in reasons["svg.png"]
    assert "ZIP archive" in reasons["zip.jpg"]
    assert "ZIP archive behind" in reasons["two.jpg"]
    assert "PDF" in reasons["pdf.gif"]
    assert [path.rpartition("/")[2] for path in stored(config)] == ["green.png"]
    assert len(client.get(f"/v1/jobs/{sent['job']}").json()["rejected"]) == len(bad)


def test_a_broken_picture_is_rejected_by_the_worker_and_its_file_goes(client: TestClient, config: Config) -> None:
    sent = client.post("/v1/images", files=[("file", ("half.jpg", JPEG[: len(JPEG) // 2], "image/jpeg"))]).json()
    with working(config):
        done = ended(client, sent["job"])
    assert done["state"] == "failed"
    assert done["rejected"][0]["name"] == "half.jpg"
    assert stored(config) == []
    assert 'snapseek_ingest_rejected_total{reason="DamagedImage"} 1.0' in client.get("/metrics").text


def test_a_name_is_no_path(client: TestClient, config: Config) -> None:
    for name in ("../../../etc/passwd.jpg", "/etc/x.jpg", "..\\..\\x.jpg", "a/\0b.jpg", "." * 300, "é" * 300 + ".jpg"):
        data = encoded(a_picture(sum(name.encode())), "PNG")
        answer = client.post("/v1/images", files=[("file", (name, data, "image/png"))])
        assert answer.status_code == 202, answer.text
    for path in stored(config):
        shard, id, name = path.split("/")
        assert shard == id[:2]
        assert not name.startswith(".")
        assert name.endswith(".png")
        assert len(name.encode()) < 110
    assert {path.name for path in config.data.parent.iterdir()} == {"library", "photos"}


def test_a_picture_that_is_known_is_not_indexed_again(client: TestClient, config: Config) -> None:
    photo = config.data.parent / "photos" / "rocket.jpg"
    sent = client.post("/v1/images", files=[("file", ("again.jpg", photo.read_bytes(), "image/jpeg"))]).json()
    assert sent["images"][0]["status"] == "known"
    job = client.get(f"/v1/jobs/{sent['job']}").json()
    assert (job["state"], job["done"]) == ("done", 1)
    photo.unlink()
    index(config.data, config.data.parent / "photos")
    assert client.get(f"/v1/images/{sent['images'][0]['id']}").json()["files"][0].endswith("again.jpg")


def test_too_many_waiting_pictures_are_answered_429(tmp_path: Path) -> None:
    a_library(tmp_path)
    config = load_config(data=tmp_path / "library", max_queue=2)
    with serving(config) as client:
        assert client.post("/v1/images", files=pictures("red")).status_code == 202
        answer = client.post("/v1/images", files=pictures("blue", "green"))
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(stored(config)) == 1
        assert client.post("/v1/images", files=pictures("blue")).status_code == 202
        assert client.post("/v1/images", files=pictures("black")).status_code == 429
        with working(config):
            until = time.monotonic() + 60
            while client.get("/v1/jobs").json()["queued"] and time.monotonic() < until:
                time.sleep(0.1)
        assert client.post("/v1/images", files=pictures("black")).status_code == 202


def test_a_picture_too_large_is_refused_and_the_others_are_kept(tmp_path: Path) -> None:
    a_library(tmp_path)
    config = load_config(data=tmp_path / "library", max_upload_bytes=20_000, max_upload_files=3)
    with serving(config) as client:
        large = ("file", ("large.jpg", JPEG[:4] + b"\0" * 200_000, "image/jpeg"))
        images = client.post("/v1/images", files=[large, *pictures("red")]).json()["images"]
        assert [one["status"] for one in images] == ["rejected", "queued"]
        assert images[0]["reason"] == "the file has more than 20,000 bytes"
        assert client.post("/v1/images", files=pictures("red", "blue", "green", "black")).status_code == 413
        assert len(stored(config)) == 1


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("", b"", 415),
        ("multipart/form-data", b"x", 422),
        ("multipart/form-data; boundary=b", b"", 422),
        ("multipart/form-data; boundary=b", b"--b\r\nnonsense", 422),
        ("multipart/form-data; boundary=b", NO_FILE, 422),
        ("multipart/form-data; boundary=" + "b" * 500, b"x", 422),
    ],
)
def test_a_body_that_is_no_upload_is_refused(
    client: TestClient, config: Config, content_type: str, body: bytes, status: int
) -> None:
    answer = client.post("/v1/images", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert stored(config) == []


def test_a_body_that_breaks_off_leaves_nothing(client: TestClient, config: Config) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    whole = head + JPEG + b"\r\n" + head + JPEG[:50]
    answer = client.post("/v1/images", content=whole, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert answer.status_code == 422
    assert "too early" in answer.json()["detail"]
    assert stored(config) == []


def test_a_deleted_upload_is_gone_for_good_until_it_is_sent_again(client: TestClient, config: Config) -> None:
    sent = client.post("/v1/images", files=pictures("red")).json()
    id = sent["images"][0]["id"]
    with working(config):
        ended(client, sent["job"])
        assert client.delete(f"/v1/images/{id}").status_code == 204
        assert client.get(f"/v1/images/{id}").status_code == 404
        assert stored(config) == []
        index(config.data)
        assert client.get(f"/v1/images/{id}").status_code == 404
        again = client.post("/v1/images", files=pictures("red")).json()
        assert again["images"][0]["status"] == "queued"
        ended(client, again["job"])
        assert client.get(f"/v1/images/{id}").status_code == 200


def test_progress_is_told_as_it_happens(client: TestClient, config: Config) -> None:
    sent = client.post("/v1/images", files=pictures("red", "blue")).json()
    with working(config), client.stream("GET", f"/v1/jobs/{sent['job']}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
    order = ["queued", "running", "done"]  # a worker may be quicker than who asks
    assert [one["state"] for one in told] == sorted((one["state"] for one in told), key=order.index)
    assert [one["done"] for one in told] == sorted(one["done"] for one in told)
    assert {one["total"] for one in told} == {2}
    assert (told[-1]["state"], told[-1]["done"]) == ("done", 2)
    assert client.get(f"/v1/jobs/{'0' * 32}/events").status_code == 404


def test_jobs_outlive_the_server(config: Config) -> None:
    with serving(config) as client:
        job = client.post("/v1/images", files=pictures("red")).json()["job"]
    with serving(config) as client, working(config):
        assert ended(client, job)["done"] == 1
