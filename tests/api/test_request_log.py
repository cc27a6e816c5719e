"""Ids of requests, lines in the log, and answers to what nobody foresaw."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from libraries import index
from pictures import a_picture, save
from processes import serving
from starlette.testclient import TestClient

from api.app import create_app
from search import logs
from search.config import load_config
from search.services import open_services

HEADER = "X-Request-Id"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    save(tmp_path / "photos" / "a.png", a_picture(1))
    index(tmp_path / "library", tmp_path / "photos")
    with open_services(load_config(data=tmp_path / "library")) as services:
        app = create_app(services)

        @app.get("/v1/unforeseen")
        def unforeseen() -> None:
            raise RuntimeError("nobody thought of this")

        with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
            yield client


def test_every_answer_has_an_id_its_own_or_the_senders(client: TestClient) -> None:
    made = {client.get("/healthz").headers[HEADER] for _ in range(3)}
    assert len(made) == 3
    assert client.get("/v1/search", headers={HEADER: "gate-1_2.3"}).headers[HEADER] == "gate-1_2.3"
    for unfit in ("short", "x" * 65, "two words", "a\tb-c-d-e-f", "é" * 9):
        headers = {HEADER.encode(): unfit.encode()}
        assert len(client.get("/healthz", headers=headers).headers[HEADER]) == 32
    assert HEADER in client.get("/nowhere").headers
    assert HEADER in client.get("/healthz", headers={"Host": "elsewhere.example"}).headers


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_what_nobody_foresaw_is_answered_as_all_else(
    client: TestClient, caplog: pytest.LogCaptureFixture, accept: str
) -> None:
    answer = client.get("/v1/unforeseen", headers={HEADER: "the-one-that-fails", "Accept": accept})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers[HEADER] == "the-one-that-fails"
    assert "nobody thought" not in answer.text
    assert "(request the-one-that-fails)" in answer.json()["detail"]
    assert "nobody thought of this" in caplog.text
    assert client.get("/healthz").status_code == 200


def test_json_logs_say_what_was_answered_and_nothing_of_who_asked(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.png", a_picture(1))
    index(tmp_path / "library", tmp_path / "photos")
    with serving(tmp_path / "library", tmp_path / "log", "--workers", "0", log_format="json") as server:
        server.client.get("/v1/search", params={"q": "my secret birthday"}, headers={HEADER: "one-search"})
        server.client.get("/v1/images/" + "0" * 32)
        server.client.get("/nowhere/secret")
        assert server.stop() == 0
    lines = [line for line in (tmp_path / "log").read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    said = [json.loads(line) for line in lines]
    answered = {(one["route"], one["status"]): one for one in said if one["logger"] == logs.REQUESTS}
    search = answered["/v1/search", 200]
    assert (search["method"], search["level"], search["request_id"]) == ("GET", "INFO", "one-search")
    assert search["ms"] > 0
    assert search["bytes"] > 0
    assert search["time"][:2] == "20"
    assert answered["/v1/images/{id}", 404]["request_id"]
    assert answered[None, 404]
    text = "\n".join(lines)
    for hidden in ("secret", "127.0.0.1", "0" * 32):
        assert hidden not in text


def test_text_logs_have_warnings_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:]
    try:
        logs.set_up(load_config(data=tmp_path))
        logging.getLogger(logs.REQUESTS).info("answered")
        logging.getLogger("search").warning("the disk is slow")
        assert capsys.readouterr().err == "WARNING search: the disk is slow\n"
    finally:
        logging.basicConfig(handlers=before, force=True)
