"""What a person rejects is found by nobody, wherever he looks, in every store; what a person says outlives a run."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from libraries import Quiet, index
from starlette.testclient import TestClient

from api.app import create_app
from api.auth import Scope, new_key
from api.cli import main
from search.config import Config, load_config
from search.migrate import migrate
from search.services import open_services


@pytest.fixture
def client(in_store: Config) -> Iterator[TestClient]:
    yield from a_client(in_store)


def a_client(config: Config) -> Iterator[TestClient]:
    with open_services(config) as services, TestClient(create_app(services), base_url="http://127.0.0.1") as client:
        yield client


def id_of(client: TestClient, path: str = "pets/chelsea.png") -> str:
    hits = client.get("/v1/search", params={"filter": f'path:"{path}"'}).json()["hits"]
    return str(hits[0]["id"])


def decide(client: TestClient, id: str, decision: str, note: str = "", **options: object) -> dict:
    answer = client.post(f"/v1/moderation/{id}", json={"decision": decision, "note": note}, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def queue(client: TestClient, state: str, **params: object) -> dict:
    return client.get("/v1/moderation", params={"state": state, **params}).json()


def everything_found(client: TestClient, id: str, other: str) -> str:
    """Return all that a search can say, as one text; tags of the image are planted with a word of their own."""
    asked = [
        client.get("/v1/search"),
        client.get("/v1/search", params={"q": "a cat", "cutoff": "none", "k": 200, "facets": "object,user"}),
        client.get("/v1/search", params={"q": "zyzzyva", "mode": "keyword"}),
        client.get("/v1/search", params={"q": '"zyzzyva"'}),
        client.get("/v1/search", params={"filter": "user:zyzzyva"}),
        client.get("/v1/search", params={"filter": "-object:train", "k": 200, "sort": "random"}),
        client.get("/v1/search", params={"sort": "newest", "k": 200}),
        client.post("/v1/search", json={"images": [other], "k": 200, "cutoff": "none"}),
        client.post("/v1/search", json={"text": ["zyzzyva"], "k": 200, "cutoff": "none", "mode": "vector"}),
        client.get(f"/v1/images/{other}/similar", params={"k": 200}),
        client.get(f"/v1/images/{other}/similar", params={"by": "tags", "k": 200}),
        client.get(f"/v1/images/{other}/similar", params={"by": "both", "k": 200}),
        client.get("/v1/duplicates"),
        client.get("/v1/facets"),
        client.get("/v1/facets", params={"facet": "user", "prefix": "zy"}),
        client.get("/v1/suggest", params={"q": "zy"}),
        client.get("/", headers={"accept": "text/html"}),
        client.get("/map.json"),
        client.get("/map", headers={"accept": "text/html"}),
    ]
    assert {answer.status_code for answer in asked} == {200}
    return "".join(answer.text.replace("q=zyzzyva", "").replace('"zy"', "") for answer in asked)


def test_a_rejected_image_is_found_by_nobody_and_an_approved_one_by_all(client: TestClient) -> None:
    id, other = id_of(client), id_of(client, "textures/grass.png")
    client.patch(f"/v1/images/{id}", json={"tags": {"add": [{"label": "zyzzyva"}]}})
    before = client.get("/v1/search").json()["total"]
    found = everything_found(client, id, other)
    assert id in found
    assert "zyzzyva" in found

    body = decide(client, id, "reject", "not for here")
    assert (body["state"], body["hidden"]) == ("rejected", True)
    found = everything_found(client, id, other)
    assert id not in found
    assert "zyzzyva" not in found
    assert client.get("/v1/search").json()["total"] == before - 1
    assert client.get("/readyz").json()["images"] == before - 1
    assert client.post("/v1/search", json={"images": [id]}).status_code == 404
    assert [image["id"] for image in queue(client, "rejected")["images"]] == [id]
    page = client.get(f"/images/{id}", headers={"accept": "text/html"})
    assert page.status_code == 200, "who may moderate sees it"

    body = decide(client, id, "approve")
    assert [one["verdict"] for one in body["decisions"]] == ["rejected", "approved"]
    assert body["decisions"][0]["note"] == "not for here"
    assert body["decisions"][0]["at"] <= body["decisions"][1]["at"]
    assert client.get("/v1/search").json()["total"] == before
    assert id in everything_found(client, id, other)
    assert queue(client, "rejected")["images"] == []


def test_decisions_and_edits_outlive_a_run_and_a_move(in_store: Config, own: Config) -> None:
    for client in a_client(in_store):
        rejected, edited = id_of(client), id_of(client, "textures/grass.png")
        decide(client, rejected, "reject", "why")
        client.patch(f"/v1/images/{edited}", json={"caption": "Lawn", "tags": {"add": [{"label": "zyzzyva"}]}})
    photos = own.data.with_name("photos")
    (photos / "pets" / "chelsea.png").touch()
    index(
        in_store.data,
        photos,
        **{k: v for k, v in dict(in_store).items() if k.startswith(("opens", "store"))},
    )
    if in_store.store != "embedded":
        migrate(in_store, "embedded", replace=True, progress=Quiet())
        check_after(load_config(**{**dict(in_store), "store": "embedded"}), rejected, edited)
    check_after(in_store, rejected, edited)


def check_after(config: Config, rejected: str, edited: str) -> None:
    for client in a_client(config):
        assert rejected not in client.get("/v1/search", params={"k": 200}).text
        assert client.get(f"/v1/moderation/{rejected}").json()["decisions"][0]["note"] == "why"
        assert client.get(f"/v1/images/{edited}").json()["caption"] == "Lawn"
        assert client.get("/v1/search", params={"filter": "user:zyzzyva"}).json()["total"] == 1


@pytest.mark.parametrize("hide", [False, True])
def test_what_is_flagged_is_shown_unless_the_options_hide_it_until_it_is_approved(in_store: Config, hide: bool) -> None:
    config = load_config(**{**dict(in_store), "moderation_hide_flagged": hide, "moderation_thresholds": {"adult": 0.9}})
    for client in a_client(config):
        before = client.get("/v1/search").json()["total"]
        id, other = id_of(client), id_of(client, "textures/grass.png")
        flag = {"tags": {"add": [{"label": "zyzzyva"}, {"kind": "moderation", "label": "adult"}]}}
        client.patch(f"/v1/images/{id}", json=flag)
        listed = queue(client, "flagged")
        assert [image["id"] for image in listed["images"]] == [id]
        assert listed["images"][0]["reasons"][0]["label"] == "adult"
        assert listed["images"][0]["hidden"] is hide
        assert ("zyzzyva" not in everything_found(client, id, other)) is hide
        assert client.get("/v1/search").json()["total"] == before - hide
        decide(client, id, "approve")
        assert queue(client, "flagged")["total"] == 0
        assert id in everything_found(client, id, other)
    for client in a_client(in_store):  # the options changed back
        assert client.get("/v1/search").json()["total"] == before


def test_the_queue_is_paged(own: Config) -> None:
    for client in a_client(own):
        ids = [hit["id"] for hit in client.get("/v1/search", params={"k": 5}).json()["hits"]]
        for id in ids:
            decide(client, id, "approve", "fine")
        seen, cursor = [], None
        for _ in range(4):
            page = queue(client, "approved", k=2, **({"cursor": cursor} if cursor else {}))
            assert page["total"] == 5
            seen += [image["id"] for image in page["images"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert sorted(seen) == sorted(ids)
        assert client.get("/v1/moderation", params={"cursor": "x"}).status_code == 422
        assert client.get("/v1/moderation", params={"cursor": "9" * 10}).status_code == 200
        assert client.get("/v1/moderation", params={"state": "lost"}).status_code == 422
        assert client.post(f"/v1/moderation/{'0' * 32}", json={"decision": "approve"}).status_code == 404
        assert client.post(f"/v1/moderation/{ids[0]}", json={"decision": "perhaps"}).status_code == 422


def test_only_moderators_see_what_was_rejected_and_who_decided(own: Config) -> None:
    reader, reader_entry = new_key(frozenset({Scope.SEARCH}))
    moderator, moderator_entry = new_key(frozenset({Scope.SEARCH, Scope.MODERATE}))
    config = load_config(data=own.data, api_keys=f"{reader_entry},{moderator_entry}")
    reads, moderates = ({"Authorization": f"Bearer {key}"} for key in (reader, moderator))
    for client in a_client(config):
        hits = client.get("/v1/search", params={"filter": "path:pets/*"}, headers=reads).json()["hits"]
        id = hits[0]["id"]
        assert client.get("/v1/moderation", headers=reads).status_code == 403
        answer = client.post(f"/v1/moderation/{id}", json={"decision": "reject"}, headers=reads)
        assert answer.status_code == 403
        assert decide(client, id, "reject", headers=moderates)["decisions"][0]["by"].startswith("key ")
        places = ["", "/file", "/thumbnail", "/similar", "/similar?box=0,0,1,1"]
        for path in [*(f"/v1/images/{id}{place}" for place in places), f"/images/{id}"]:
            assert client.get(path, headers=reads).status_code == 404, path
        for path in [*(f"/v1/images/{id}{place}" for place in places[:4]), f"/images/{id}"]:
            assert client.get(path, headers=moderates).status_code == 200, path


def test_the_command_line_decides_too(own: Config) -> None:
    photo = own.data.with_name("photos") / "pets" / "chelsea.png"

    def run(*args: object) -> dict:
        done = CliRunner().invoke(main, ["moderation", *map(str, args), "--data", str(own.data), "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    assert run("list")["total"] == 0
    body = run("reject", photo, "--note", "no cats", "--by", "Ann")["images"][0]
    assert (body["state"], body["decisions"][0]["by"]) == ("rejected", "Ann")
    assert run("list", "--state", "rejected")["total"] == 1
    assert run("approve", body["id"])["images"][0]["state"] == "approved"
    plain = CliRunner().invoke(main, ["moderation", "list", "--state", "approved", "--data", str(own.data)])
    assert "rejected by Ann" in plain.output


def test_the_map_shows_no_rejected_image_also_while_it_is_drawn_anew(own: Config) -> None:
    def points(client: TestClient, *, with_id: str | None = None) -> str:
        until = time.monotonic() + 30
        while True:
            told = client.get("/map.json").text
            if with_id is None or with_id in told or time.monotonic() > until:
                return told
            time.sleep(0.1)

    for client in a_client(own):
        id = id_of(client)
        assert id in points(client, with_id=id)
        decide(client, id, "reject")
        for _ in range(20):  # the old map at first, then the new one
            assert id not in points(client)
            time.sleep(0.05)
        decide(client, id, "approve")
        assert id in points(client, with_id=id)
