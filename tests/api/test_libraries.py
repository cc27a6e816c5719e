"""Several libraries on one server: a key sees its own, and of the others nothing, in whatever it asks."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from libraries import a_library, index
from pictures import encoded
from PIL import Image
from starlette.testclient import TestClient

from api.app import create_app, create_shared_app
from api.auth import Scope
from api.key_store import KeyStore
from indexer.samples import sample_photos
from search.config import load_config
from search.services import Services, open_services

ALL = frozenset(Scope)
OPENAPI = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text(encoding="utf-8"))
OPERATIONS = [(method.upper(), path) for path, methods in OPENAPI["paths"].items() for method in methods]
PAGES = (
    *("/", "/saved", "/insights", "/map", "/map.json", "/duplicates", "/import", "/moderation", "/jobs", "/jobs/{id}"),
    *("/images/{id}", "/suggest?q=c", "/facet?facet=object", "/export.json", "/export.csv", "/docs", "/openapi.json"),
    *("/?like={id}", "/part?id={id}&x=0&y=0&width=50&height=50", "/recommendations"),
)
THEIRS = "chelsea.png"
PNG = encoded(Image.new("RGB", (64, 64), "red"), "PNG")


@dataclass
class Shared:
    """A server of the libraries `one` and `two`, and what lies in the first."""

    client: TestClient
    store: KeyStore
    keys: dict[str, str]
    ids: list[str]
    job: str


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Services]]:
    folder = tmp_path_factory.mktemp("two")
    first = a_library(folder / "one")
    (folder / "photos").mkdir()
    for photo in sample_photos():
        if photo.name in ("coffee.png", "rocket.jpg"):
            shutil.copy(photo, folder / "photos" / photo.name)
    index(folder / "two", folder / "photos")
    with ExitStack() as stack:
        configs = {"one": first, "two": load_config(data=folder / "two")}
        yield {name: stack.enter_context(open_services(config)) for name, config in configs.items()}


@pytest.fixture(scope="module")
def shared(opened: dict[str, Services], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("server")
    config = load_config(data=folder, host="0.0.0.0", rate_limit="off")
    app = create_shared_app(config, opened)
    with closing(KeyStore(folder)) as store, TestClient(app, base_url="http://photos.example") as client:
        keys = {name: store.create(name, ALL, libraries=[name])[0] for name in opened}
        keys["all"] = store.create("all", ALL)[0]
        headers = {"Authorization": f"Bearer {keys['one']}"}
        hits = client.get("/libraries/one/v1/search", params={"k": 50}, headers=headers).json()["hits"]
        ours = {hit["id"] for hit in client.get("/libraries/two/v1/search", headers=bearer(keys["two"])).json()["hits"]}
        sent = client.post("/libraries/one/v1/images", files={"file": ("theirs.png", PNG)}, headers=headers).json()
        theirs = [hit["id"] for hit in hits if hit["id"] not in ours]
        assert len(theirs) >= 10
        yield Shared(client, store, keys, theirs, sent["job"])


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def filled(path: str, shared: Shared) -> str:
    return path.replace("{id}", shared.job if "jobs" in path else shared.ids[0])


@pytest.mark.parametrize(("method", "path"), [*OPERATIONS, *(("GET", page) for page in PAGES)])
def test_no_operation_of_a_library_is_there_for_a_key_of_another(shared: Shared, method: str, path: str) -> None:
    ours = f"/libraries/one{filled(path, shared)}"
    there = shared.client.request(method, ours, headers=bearer(shared.keys["two"]))
    nowhere = shared.client.request(method, ours.replace("one", "none", 1), headers=bearer(shared.keys["two"]))
    assert there.status_code == 404
    assert there.content == nowhere.content, "a library of others cannot be told from one that is none"
    assert shared.client.request(method, ours).status_code == 401
    assert shared.client.request(method, ours.replace("one", "none", 1)).status_code == 401


@pytest.mark.parametrize(("method", "path"), [*OPERATIONS, *(("GET", page) for page in PAGES)])
def test_no_operation_of_ones_own_library_tells_of_another(
    shared: Shared, opened: dict[str, Services], method: str, path: str
) -> None:
    bodies = {
        "/v1/search": {"images": [shared.ids[0]]},
        "/v1/images/{id}": {"caption": "mine"},
        "/v1/moderation/{id}": {"decision": "reject"},
    }
    sent = {"json": bodies[path]} if method in ("POST", "PATCH") and path in bodies else {}
    if path in ("/v1/similar", "/v1/images"):
        sent = {"files": {"file": ("p.png", PNG)}} if method == "POST" else {}
    at = f"/libraries/two{filled(path, shared)}"
    answer = shared.client.request(method, at, headers=bearer(shared.keys["two"]), follow_redirects=False, **sent)
    if "{id}" in path and "?" not in path:
        assert answer.status_code == 404, answer.text
    told = answer.text.replace(filled(path, shared), "")  # what was asked is no news
    for asked in (f"there is no image {shared.ids[0]} in this library", f"there is no job {shared.job}"):
        told = told.replace(asked, "")
    for id in shared.ids[1:] + ([] if "like=" in path or "part" in path else shared.ids[:1]):
        assert id not in told
    for secret in (THEIRS, "theirs.png", shared.job):
        assert secret not in told
    record = opened["one"].catalog.record(shared.ids[0])  # type: ignore[arg-type]
    assert record.caption != "mine"
    assert record.verdict is None


def test_each_key_is_told_its_libraries(shared: Shared) -> None:
    for name, seen in (("one", ["one"]), ("two", ["two"]), ("all", ["one", "two"])):
        answer = shared.client.get("/v1/libraries", headers=bearer(shared.keys[name])).json()
        assert [library["name"] for library in answer["libraries"]] == seen
    assert shared.client.get("/v1/libraries").status_code == 401


def test_the_page_leads_to_the_libraries_of_who_asks(shared: Shared) -> None:
    page = {"accept": "text/html"}
    one = shared.client.get("/", headers={**bearer(shared.keys["one"]), **page}, follow_redirects=False)
    assert one.headers["location"] == "/libraries/one/"
    both = shared.client.get("/", headers={**bearer(shared.keys["all"]), **page}).text
    assert re.findall(r'href="(/libraries/[^"]*)"', both) == ["/libraries/one/", "/libraries/two/"]


@pytest.mark.parametrize("page", [page for page in PAGES if "json" not in page and "jobs/" not in page])
def test_every_address_on_a_page_is_of_its_library(shared: Shared, page: str) -> None:
    headers = {**bearer(shared.keys["one"]), "accept": "text/html"}
    shown = shared.client.get(f"/libraries/one{filled(page, shared)}", headers=headers)
    assert shown.status_code == 200
    addresses = re.findall(r'(?:href|src|action|hx-get|hx-post|data-map|data-page)="([^"]*)"', shown.text)
    addresses += [
        one.strip().split(" ")[0] for many in re.findall(r'srcset="([^"]*)"', shown.text) for one in many.split(",")
    ]
    outside = [a for a in addresses if not a.startswith(("/libraries/one/", "/static/", "#", "?"))]
    assert outside == ["/sign-out"] * len(outside)
    assert page in ("/export.csv", "/suggest?q=c", "/facet?facet=object") or 'data-root="/libraries/one"' in shown.text


def test_links_in_answers_lead_back_to_their_library(shared: Shared) -> None:
    headers = bearer(shared.keys["one"])
    hit = shared.client.get("/libraries/one/v1/search", params={"q": "a cat"}, headers=headers).json()["hits"][0]
    for link in hit["links"].values():
        assert link.startswith("/libraries/one/v1/images/")
        assert shared.client.get(link, headers=headers).status_code == 200
    sent = shared.client.post("/libraries/one/v1/images", files={"file": ("p.png", PNG)}, headers=headers)
    assert sent.headers["location"].startswith("/libraries/one/v1/jobs/")


def test_metrics_are_of_one_library(shared: Shared) -> None:
    one = shared.client.get("/libraries/one/metrics", headers=bearer(shared.keys["one"])).text
    two = shared.client.get("/libraries/two/metrics", headers=bearer(shared.keys["two"])).text
    assert "snapseek_images 12.0" in one
    assert "snapseek_images 2.0" in two
    assert shared.client.get("/metrics", headers=bearer(shared.keys["all"])).status_code == 404


def test_an_admin_of_a_library_makes_keys_of_that_only(shared: Shared) -> None:
    headers = bearer(shared.keys["two"])

    def make(libraries: list[str] | None) -> int:
        wanted = {"name": "more", "scopes": ["search"], "libraries": libraries}
        return shared.client.post("/v1/keys", json=wanted, headers=headers).status_code

    assert [make(libraries) for libraries in (["two"], ["one"], ["one", "two"], None)] == [201, 403, 403, 403]
    listed = shared.client.get("/v1/keys", headers=headers).json()["keys"]
    assert {tuple(key["libraries"]) for key in listed} == {("two",)}
    theirs = next(key for key in shared.store.all() if key.name == "one")
    assert shared.client.delete(f"/v1/keys/{theirs.id}", headers=headers).status_code == 404
    assert shared.client.post(f"/v1/keys/{theirs.id}/rotate", headers=headers).status_code == 404
    everything = bearer(shared.keys["all"])
    assert (
        shared.client.post(
            "/v1/keys", json={"name": "x", "scopes": ["search"], "libraries": ["none"]}, headers=everything
        ).status_code
        == 422
    )


def test_readiness_names_no_library(shared: Shared) -> None:
    assert shared.client.get("/healthz").json() == {"status": "ok"}
    assert shared.client.get("/readyz").json() == {"status": "ready", "libraries": 2}


def test_a_key_of_one_library_finds_nothing_on_a_server_of_a_single_one(
    opened: dict[str, Services], tmp_path: Path
) -> None:
    """Its folder may have been the first of several once: what a key was for is not widened."""
    services = opened["one"]
    with closing(KeyStore(services.config.data)) as store:
        secret, _ = store.create("one", ALL, libraries=["one"])
        with TestClient(create_app(services), base_url="http://127.0.0.1") as client:
            for path in ("/v1/search", f"/v1/images/{'0' * 32}", "/", "/metrics", "/v1/jobs", "/v1/moderation"):
                assert client.get(path, headers=bearer(secret)).status_code == 404, path
    (services.config.data / "keys.sqlite").unlink()
