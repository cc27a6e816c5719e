"""Recommendations over each store: the same likes lead to the same pictures."""

from pathlib import Path

from starlette.testclient import TestClient

from api.app import create_app
from search.config import Config
from search.services import open_services


def test_likes_views_hiding_filters_and_erasure(in_store: Config) -> None:
    with open_services(in_store) as services, TestClient(create_app(services), base_url="http://127.0.0.1") as client:
        hits = client.get("/v1/search", params={"k": 50}).json()["hits"]
        named = {Path(path).stem: hit["id"] for hit in hits for path in hit["files"]}

        def note(user: str, image: str, type: str = "like") -> None:
            event = {"user": user, "image": named[image], "type": type}
            assert client.post("/v1/events", json=event).status_code == 201

        def recommended(user: str, **params: object) -> list[dict]:
            return client.get("/v1/recommendations", params={"user": user, "k": 50, **params}).json()["hits"]

        assert sorted(hit["id"] for hit in recommended("ann")) == sorted(named.values())
        note("ann", "grass")
        note("ann", "rocket", "hide")
        found = recommended("ann")
        assert found[0]["id"] in (named["brick"], named["gravel"])  # the other textures are nearest
        assert (found[0]["because"][0]["kind"], found[0]["because"][0]["image"]) == ("liked", named["grass"])
        assert {hit["id"] for hit in found} == set(named.values()) - {named["grass"], named["rocket"]}
        matching = client.get("/v1/search", params={"filter": "width:<=512", "k": 50}).json()["hits"]
        narrowed = {hit["id"] for hit in recommended("ann", filter="width:<=512")}
        assert narrowed == {hit["id"] for hit in matching} - {named["grass"], named["rocket"]}
        assert client.delete("/v1/events", params={"user": "ann"}).json()["erased"] == 2
        assert named["rocket"] in [hit["id"] for hit in recommended("ann")]
