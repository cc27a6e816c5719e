"""Events and recommendations over HTTP, and the example of their page as it stands there."""

import re
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.auth import Scope
from api.key_store import KeyStore
from search.config import Config
from search.services import Services, open_services

PAGE = Path(__file__).parents[2] / "docs" / "recommendations.md"


@pytest.fixture(scope="module")
def own(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A copy of the library that all tests read, to write to."""
    data = tmp_path_factory.mktemp("taste") / "snapseek-data"
    shutil.copytree(config.data, data)
    return config.model_copy(update={"data": data})


@pytest.fixture(scope="module")
def services(own: Config) -> Iterator[Services]:
    with open_services(own) as services:
        yield services


@pytest.fixture(scope="module")
def client(services: Services) -> Iterator[TestClient]:
    with TestClient(create_app(services), base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture(autouse=True)
def nobody(services: Services) -> None:
    """Forget everybody before each test."""
    for person, _ in list(services.catalog.events.everyone()):
        services.erase_events(person)


def note(client: TestClient, user: str, image: str, type: str = "like", **options: object) -> int:
    return client.post("/v1/events", json={"user": user, "image": image, "type": type}, **options).status_code


def recommended(client: TestClient, user: str, **params: object) -> dict:
    answer = client.get("/v1/recommendations", params={"user": user, "k": 50, **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(found: dict) -> list[str]:
    return [hit["id"] for hit in found["hits"]]


def named(client: TestClient) -> dict[str, str]:
    """Return the ids of the library's images by the last part of a path."""
    hits = client.get("/v1/search", params={"k": 50}).json()["hits"]
    return {Path(path).stem: hit["id"] for hit in hits for path in hit["files"]}


def test_who_did_nothing_yet_is_shown_everything_that_is_new_no_two_alike_at_first(client: TestClient) -> None:
    found = recommended(client, "ann")
    assert sorted(ids(found)) == sorted(named(client).values())
    assert {hit["because"][0]["kind"] for hit in found["hits"]} == {"new"}
    assert found["basis"] == {"liked": 0, "viewed": 0, "hidden": 0, "interests": 0, "persons": 0, "method": ""}


def test_what_is_like_something_liked_comes_first_and_says_so(client: TestClient) -> None:
    images = named(client)
    assert note(client, "ann", images["grass"]) == 201
    found = recommended(client, "ann")
    best = found["hits"][0]
    textures = {images["brick"], images["gravel"]}
    assert best["id"] in textures, "the other textures are nearest"
    assert best["because"][0]["kind"] == "liked"
    assert best["because"][0]["image"] == images["grass"]
    assert best["why"][0].startswith(f"because you liked {images['grass']}")
    assert best["score"] == pytest.approx(sum(best["parts"].values()), abs=1e-5)
    assert images["grass"] not in ids(found)
    assert len(set(ids(found))) == len(ids(found)) == len(images) - 1
    assert found["basis"]["interests"] == 1


def test_several_interests_are_all_there_and_views_count_too(client: TestClient) -> None:
    images = named(client)
    for name in ("grass", "astronaut"):
        note(client, "ann", images[name])
    first = recommended(client, "ann", k=4)["hits"]
    sources = [hit["because"][0]["image"] for hit in first]
    assert {images["grass"], images["astronaut"]} <= set(sources)
    assert images["camera"] in [hit["id"] for hit in first], "the other person"
    note(client, "bea", images["chelsea"], "view")
    viewed = recommended(client, "bea", k=1)["hits"][0]
    assert viewed["because"][0] | {"labels": []} == {
        "kind": "viewed", "image": images["chelsea"], "labels": [], "persons": 0,
    }  # fmt: skip


def test_hidden_images_are_not_shown_until_that_is_taken_back(client: TestClient) -> None:
    images = named(client)
    note(client, "ann", images["grass"])
    best = ids(recommended(client, "ann"))[0]
    note(client, "ann", best, "hide")
    found = recommended(client, "ann")
    assert best not in ids(found)
    assert (found["basis"]["liked"], found["basis"]["hidden"]) == (1, 1)
    note(client, "ann", best, "unlike")
    assert best in ids(recommended(client, "ann"))


def test_filters_hold_for_every_image(client: TestClient) -> None:
    images = named(client)
    note(client, "ann", images["grass"])
    matching = {hit["id"] for hit in client.get("/v1/search", params={"filter": "width:<=512", "k": 50}).json()["hits"]}
    assert 1 < len(matching) < len(images)
    assert set(ids(recommended(client, "ann", filter="width:<=512"))) == matching - {images["grass"]}
    assert set(ids(recommended(client, "nobody", filter="width:<=512"))) == matching
    assert ids(recommended(client, "ann", filter="object:unicorn")) == []
    broken = client.get("/v1/recommendations", params={"filter": "object:"})
    assert (broken.status_code, broken.json()["position"]) == (422, 7)


def test_what_persons_with_the_same_likes_like_comes_in_once_two_do(client: TestClient) -> None:
    images = named(client)
    for user in ("bob", "cy"):
        for name in ("rocket", "coins"):
            note(client, user, images[name])
    note(client, "bob", images["page"])
    note(client, "ann", images["rocket"])
    found = recommended(client, "ann")
    by_id = {hit["id"]: hit for hit in found["hits"]}
    assert by_id[images["coins"]]["parts"]["others"] > 0
    assert {"kind": "others", "image": images["rocket"], "labels": [], "persons": 0} in by_id[images["coins"]][
        "because"
    ]
    assert "others" not in by_id[images["page"]]["parts"], "one person's like is not shown to another"
    assert (found["basis"]["persons"], found["basis"]["method"]) == (3, "co-occurrence")
    popular = {hit["id"]: hit["because"][0] for hit in recommended(client, "zoe")["hits"]}
    assert popular[images["rocket"]]["kind"] == "popular"
    assert popular[images["rocket"]]["persons"] == 3
    assert popular[images["page"]]["kind"] == "new"
    assert ids(recommended(client, "zoe"))[0] in (images["rocket"], images["coins"])


def test_everything_of_a_person_is_exported_and_erased_by_one_call_each(client: TestClient) -> None:
    images = named(client)
    for type in ("view", "view", "like"):
        note(client, "ann", images["rocket"], type)
    note(client, "bob", images["rocket"])
    kept = client.get("/v1/events", params={"user": "ann"}).json()
    assert kept["user"] == "ann"
    assert {(event["image"], event["type"], event["times"]) for event in kept["events"]} == {
        (images["rocket"], "view", 2),
        (images["rocket"], "like", 1),
    }
    assert recommended(client, "zoe")["basis"]["persons"] == 2
    assert client.delete("/v1/events", params={"user": "ann"}).json() == {"user": "ann", "erased": 2}
    assert client.get("/v1/events", params={"user": "ann"}).json()["events"] == []
    assert recommended(client, "zoe")["basis"]["persons"] == 1, "what was learnt from them is gone as well"
    assert recommended(client, "ann")["basis"]["liked"] == 0


def test_rejected_images_are_shown_to_nobody_and_say_nothing(client: TestClient, services: Services) -> None:
    images = named(client)
    for user in ("ann", "bob", "cy"):
        note(client, user, images["rocket"])
        note(client, user, images["coins"])
    client.post(f"/v1/moderation/{images['rocket']}", json={"decision": "reject"})
    try:
        assert note(client, "ann", images["rocket"]) == 404
        for user in ("ann", "zoe"):
            found = client.get("/v1/recommendations", params={"user": user, "k": 50}).text
            assert images["rocket"] not in found, "neither as an answer nor as a reason"
    finally:
        client.post(f"/v1/moderation/{images['rocket']}", json={"decision": "approve"})


@pytest.mark.parametrize(
    "body",
    [
        {"user": "ann", "type": "like"},
        {"user": "ann", "image": "0" * 31, "type": "like"},
        {"user": "ann", "image": "0" * 32, "type": "love"},
        {"user": "x" * 101, "image": "0" * 32, "type": "like"},
        {"user": "a\x00", "image": "0" * 32, "type": "like"},
        {"user": 7, "image": "0" * 32, "type": "like"},
        {"user": "ann", "image": "0" * 32, "type": "like", "at": "1999-01-01"},
        "like",
    ],
)
def test_what_is_no_event_is_refused(client: TestClient, body: object) -> None:
    answer = client.post("/v1/events", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_image_that_is_not_there_is_not_found(client: TestClient) -> None:
    assert note(client, "ann", "0" * 32) == 404
    assert client.get("/v1/events", params={"user": "ann"}).json()["events"] == []
    for params in ({"k": 0}, {"k": 201}, {"user": "x" * 101}, {"user": "a\x07"}):
        assert client.get("/v1/recommendations", params=params).status_code == 422


# Whose events they are


@contextmanager
def serving(services: Services) -> Iterator[tuple[TestClient, KeyStore]]:
    """The server as it is once there are keys."""
    with (
        closing(KeyStore(services.config.data)) as store,
        TestClient(create_app(services), base_url="http://127.0.0.1") as client,
    ):
        yield client, store
    (services.config.data / "keys.sqlite").unlink()


def test_a_key_has_users_of_its_own_and_sees_no_others(client: TestClient, services: Services) -> None:
    rocket = named(client)["rocket"]
    with serving(services) as (guarded, store):
        made = {
            "ann": store.create("Ann", {Scope.SEARCH}),
            "app": store.create("App", {Scope.SEARCH, Scope.WRITE}),
            "other": store.create("Other", {Scope.SEARCH, Scope.WRITE}),
            "root": store.create("Root", {Scope.SEARCH, Scope.ADMIN}),
        }
        as_ = {name: {"headers": {"Authorization": f"Bearer {key}"}} for name, (key, _) in made.items()}
        app_id, ann_id = made["app"][1].id, made["ann"][1].id

        def kept(who: str, user: str, **params: str) -> int:
            answer = guarded.get("/v1/events", params={"user": user, **params}, **as_[who])
            return len(answer.json()["events"]) if answer.status_code == 200 else -answer.status_code

        assert note(guarded, "", rocket) == 401
        assert note(guarded, "", rocket, **as_["ann"]) == 201
        assert note(guarded, ann_id, rocket, "view", **as_["ann"]) == 201, "a key's id names whoever holds it"
        assert note(guarded, "carl", rocket, **as_["ann"]) == 403
        assert note(guarded, "carl", rocket, **as_["app"]) == 201
        assert [kept("ann", ""), kept("ann", ann_id), kept("ann", "carl")] == [2, 2, -403]
        assert [kept("app", ""), kept("app", "carl"), kept("app", ann_id)] == [0, 1, 0]
        assert [kept("other", "carl"), kept("other", "carl", key=app_id)] == [0, -403]
        assert guarded.get("/v1/recommendations", params={"user": "carl"}, **as_["ann"]).status_code == 403
        gone = guarded.delete("/v1/events", params={"user": "carl", "key": app_id}, **as_["ann"])
        assert (gone.status_code, kept("app", "carl")) == (403, 1)

        assert kept("root", "carl", key=app_id) == 1, "a request of a person whose key is lost"
        assert guarded.delete("/v1/events", params={"user": "carl", "key": app_id}, **as_["root"]).json()["erased"] == 1
        assert guarded.delete("/v1/events", params={"key": ann_id}, **as_["root"]).json()["erased"] == 2
        assert guarded.delete("/v1/events", params={"key": "a/b"}, **as_["root"]).status_code == 422
        assert [kept("app", "carl"), kept("ann", "")] == [0, 0]


def test_another_sites_page_notes_nothing(client: TestClient) -> None:
    rocket = named(client)["rocket"]
    foreign = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert note(client, "", rocket, headers=foreign) == 403
    assert client.delete("/v1/events", headers=foreign).status_code == 403


def test_the_example_of_the_page_runs_as_it_stands_there(own: Config, tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    shutil.copytree(own.data, tmp_path / "snapseek-data")
    told: list[str] = []
    here = {"print": lambda *words: told.append(" ".join(map(str, words)))}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        exec(compile(example, str(PAGE), "exec"), here)  # noqa: S102 (our own page)
    assert told
