"""Liking, hiding and the page of recommendations, without JavaScript, in both languages."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from search.config import Config
from search.services import open_services

HTML = {"Accept": "text/html", "Accept-Language": "en"}


@pytest.fixture(scope="module")
def client(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client of a copy of the library that all tests read."""
    data = tmp_path_factory.mktemp("taste") / "library"
    shutil.copytree(config.data, data)
    own = config.model_copy(update={"data": data})
    with open_services(own) as services, TestClient(create_app(services), base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture(autouse=True)
def nobody(client: TestClient) -> None:
    client.cookies.clear()
    client.delete("/v1/events")


def page(client: TestClient, url: str = "/recommendations", **headers: str) -> str:
    answer = client.get(url, headers={**HTML, **headers})
    assert answer.status_code == 200, answer.text
    return answer.text


def shown(text: str) -> list[str]:
    return re.findall(r'<a href="/images/([0-9a-f]{32})[^"]*" data-large', text)


def named(client: TestClient) -> dict[str, str]:
    hits = client.get("/v1/search", params={"k": 50}).json()["hits"]
    return {Path(path).stem: hit["id"] for hit in hits for path in hit["files"]}


def pressed(text: str) -> list[str]:
    """Return what the buttons that are pressed would send."""
    return re.findall(r'name="type" value="([a-z]+)" aria-pressed="true"', text)


def test_a_button_of_a_picture_is_pressed_and_let_go_by_a_form(client: TestClient) -> None:
    image = f"/images/{named(client)['grass']}"
    text = page(client, image)
    assert f'action="{image}/taste"' in text
    assert pressed(text) == []
    for sent, then in (("like", ["unlike"]), ("hide", ["unlike"]), ("unlike", [])):
        answer = client.post(f"{image}/taste", data={"type": sent}, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, image)
        assert pressed(page(client, image)) == then
    part = client.post(f"{image}/taste", data={"type": "like"}, headers={"HX-Request": "true", **HTML})
    assert part.text.startswith("<form")
    assert pressed(part.text) == ["unlike"]
    assert client.post(f"{image}/taste", data={"type": "love"}, headers=HTML).status_code == 422
    assert client.post(f"/images/{'0' * 32}/taste", data={"type": "like"}, headers=HTML).status_code == 404


def test_the_page_shows_what_goes_with_a_like_and_why_in_both_languages(client: TestClient) -> None:
    images = named(client)
    first = page(client)
    assert "Say of some pictures that you like them" in first
    assert sorted(shown(first)) == sorted(images.values())
    client.post(f"/images/{images['grass']}/taste", data={"type": "like"})
    text = page(client)
    assert shown(text)[0] in (images["brick"], images["gravel"])
    assert images["grass"] not in shown(text)
    assert "because you like: " in text
    assert "Liked: 1 · looked at: 0 · not for me: 0" in text
    german = page(client, **{"Accept-Language": "de"})
    assert "weil dir gefällt: " in german
    assert "Für dich" in german
    assert re.search(r'<li><a href="/recommendations" aria-current="page">For you</a>', text), "it is in the menu"


def test_what_is_looked_at_is_remembered_only_by_who_says_so(client: TestClient) -> None:
    image = named(client)["rocket"]
    page(client, f"/images/{image}")
    assert client.get("/v1/events").json()["events"] == []
    answer = client.post("/recommendations/views", data={"learn": "on"}, follow_redirects=False)
    assert "HttpOnly" in answer.headers["set-cookie"]
    page(client, f"/images/{image}")
    (event,) = client.get("/v1/events").json()["events"]
    assert (event["image"], event["type"]) == (image, "view")
    assert "Liked: 0 · looked at: 1" in page(client)
    client.post("/recommendations/views", data={"learn": "off"})
    page(client, f"/images/{image}")
    assert client.get("/v1/events").json()["events"][0]["times"] == 1


def test_everything_is_forgotten_by_one_button(client: TestClient) -> None:
    images = named(client)
    for name in ("rocket", "coins"):
        client.post(f"/images/{images[name]}/taste", data={"type": "hide"})
    text = page(client)
    assert not {images["rocket"], images["coins"]} & set(shown(text))
    assert 'href="/v1/events" download' in text
    after = client.post("/recommendations/erase", headers=HTML)
    assert "2 entries were forgotten." in after.text
    assert sorted(shown(after.text)) == sorted(images.values())
    assert 'action="/recommendations/erase"' not in after.text, "there is nothing left to forget"
