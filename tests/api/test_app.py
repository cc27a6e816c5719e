import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.auth import Scope, new_key
from api.errors import STATUS
from search import errors
from search.config import Config
from search.mapping import draw_map
from search.services import open_services

OPENAPI = Path(__file__).parents[2] / "docs" / "openapi.json"


@pytest.fixture(scope="module")
def keyed(config: Config) -> Iterator[tuple[TestClient, str]]:
    """A client of a server with one key, for searching only."""
    key, entry = new_key(frozenset({Scope.SEARCH}))
    open_to_all = config.model_copy(update={"host": "0.0.0.0", "api_keys": entry})
    with open_services(open_to_all) as services, TestClient(create_app(services)) as client:
        yield client, key


def test_every_error_has_a_status() -> None:
    def leaves(kind: type) -> list[type]:
        return [kind, *(leaf for child in kind.__subclasses__() for leaf in leaves(child))]

    for kind in leaves(errors.SnapseekError):
        assert any(base in STATUS for base in kind.__mro__[:3]), kind


def test_health_and_metrics(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {
        "status": "ready", "images": 12, "uploads": "no worker lives on this machine"
    }  # fmt: skip
    client.get("/v1/search", params={"q": "a cat"})
    metrics = client.get("/metrics").text
    assert 'snapseek_requests_total{method="GET",route="/v1/search",status="200"}' in metrics
    assert "snapseek_images 12.0" in metrics
    for stage in ("encode", "candidates", "rank", "suggest", "hits", "facets"):
        assert f'snapseek_search_stage_seconds_count{{stage="{stage}"}}' in metrics
    assert 'snapseek_queue{state="queued"} 0.0' in metrics
    assert "snapseek_rejected_files 0.0" in metrics
    assert "snapseek_workers 0.0" in metrics


def test_readiness_tells_what_keeps_uploads_back_and_fails_when_nothing_can_be_answered(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = config.model_copy(update={"min_free_bytes": 2**62})
    with open_services(full) as services, TestClient(create_app(services), base_url="http://127.0.0.1") as client:
        assert client.get("/readyz").json()["uploads"] == "the disk is nearly full: they are refused"

        def away(*_: object) -> None:
            raise errors.Unavailable("it is away")

        for part in ("active_space", "counts"):
            with monkeypatch.context() as patch:
                patch.setattr(type(services.catalog), part, away)
                assert client.get("/readyz").status_code == (503 if part == "active_space" else 200)
                assert client.get("/healthz").status_code == 200
        with monkeypatch.context() as patch:
            patch.setattr(type(services.catalog), "counts", away)
            assert "snapseek_rejected_files NaN" in client.get("/metrics").text
        with monkeypatch.context() as patch:
            patch.setattr(type(services.encoder), "encode_texts", away)
            assert client.get("/readyz").status_code == 503


def test_a_map_that_is_drawn_when_the_server_stops_is_waited_for(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, drawn = threading.Event(), []

    def slow(records: Any, tags: Any, space: Any) -> Any:
        began.set()
        time.sleep(0.5)
        drawn.append(draw_map(records, tags, space))
        return drawn[0]

    monkeypatch.setattr("api.map_keeper.draw_map", slow)
    (config.data / "map.json").unlink(missing_ok=True)
    with open_services(config) as services:
        with TestClient(create_app(services), base_url="http://127.0.0.1") as client:
            client.get("/map")
            assert began.wait(30)
        assert drawn  # not after the library was closed, which ends the process


def test_a_route_that_is_not_there_is_a_problem_document(client: TestClient) -> None:
    answer = client.get("/v1/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.put("/v1/search").status_code == 405


def test_another_host_is_refused_so_that_no_page_can_rebind_its_name(client: TestClient) -> None:
    assert client.get("/v1/search", headers={"Host": "evil.example"}).status_code == 400


def test_the_openapi_description_is_the_committed_one(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    described["info"].pop("version")
    committed = json.loads(OPENAPI.read_text(encoding="utf-8"))
    committed["info"].pop("version")
    assert described == committed, "run `make openapi`"


def test_without_a_key_nothing_but_health_is_told(keyed: tuple[TestClient, str]) -> None:
    client, _ = keyed
    for path in ("/v1/search", "/v1/facets", "/", f"/v1/images/{'0' * 32}/file", "/docs", "/metrics", "/v1/keys"):
        answer = client.get(path)
        assert answer.status_code == 401, path
        assert "WWW-Authenticate" in answer.headers
    assert client.get("/healthz").status_code == 200


def test_a_key_opens_what_its_scope_says(keyed: tuple[TestClient, str]) -> None:
    client, key = keyed
    headers = {"Authorization": f"Bearer {key}"}
    assert client.get("/v1/search", headers=headers).status_code == 200
    assert client.get("/", auth=("me", key)).status_code == 200
    assert client.delete(f"/v1/images/{'0' * 32}", headers=headers).status_code == 403
    assert client.get("/v1/search", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_a_405_names_every_method_of_the_path(client: TestClient) -> None:
    answer = client.post(f"/v1/images/{'0' * 32}")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "PATCH", "DELETE"}
    assert answer.headers["content-type"] == "application/problem+json"


def test_every_operation_says_what_an_error_looks_like(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert list(operation["responses"]["4XX"]["content"]) == ["application/problem+json"], (method, path)
    assert document["components"]["schemas"]["Problem"]["required"] == ["title", "status", "detail"]


def test_an_answer_without_the_latest_changes_says_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    services = client.app.state.context.services  # type: ignore[attr-defined]
    assert "warning" not in client.get("/v1/facets").headers
    monkeypatch.setattr(services, "refresh", lambda: None)
    monkeypatch.setattr(services, "behind", "OpenSearch takes no writes")
    assert "not to be found yet" in client.get("/v1/search", params={"q": "cat"}).headers["warning"]
    assert "not to be found yet" in client.get("/", headers={"accept": "text/html"}).text
