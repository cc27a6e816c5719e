"""Boxes that are links to what looks like what is in them, what matched on the picture, and the page of copies."""

import re
from dataclasses import replace

import pytest
from helpers import an_image
from libraries import HOSTILE_NAME
from starlette.testclient import TestClient
from test_pages import Page, page, pictures

from search.boxes import box_text, parse_box
from search.duplicates import DuplicateGroups, Group
from search.types import Box, Shot
from ui.image_views import facts
from ui.language import words_of
from ui.library_views import duplicates_view
from ui.rendering import PageView, templates


def test_every_box_leads_to_what_looks_like_what_is_in_it(client: TestClient) -> None:
    found, _ = page(client, "/?q=object:cat")
    found, _ = page(client, pictures(found)[0])
    links = [a["href"] for a in found.all("a", **{"class": "like"})]
    assert len(links) >= len(found.all("rect")) >= 1
    found, text = page(client, str(links[0]))
    assert "a part of" in text
    assert len(pictures(found)) > 1
    assert any("@" in str(field["value"]) for field in found.all("input", name="like")), "the form carries the part"


@pytest.mark.parametrize("box", ["1,1,1,1", "x,y,z,1", "0,0,0.001,0.001"])
def test_a_part_that_is_none_is_told(client: TestClient, box: str) -> None:
    id = client.get("/v1/search").json()["hits"][0]["id"]
    _, text = page(client, f"/?like={id}@{box}", status=422)
    assert "box" in text or "is an id" in text


def matched(found: Page) -> tuple[int, int]:
    return len(found.all("rect", **{"class": "matched"})), len(found.all("li", **{"class": "tag matched"}))


@pytest.mark.parametrize("query", ["/?q=a+cat", "/?filter=object:cat"])
def test_the_page_of_a_result_shows_what_matched(client: TestClient, query: str) -> None:
    found, _ = page(client, query)
    url = pictures(found)[0]
    boxes, labels = matched(page(client, url)[0])
    assert boxes >= 1
    assert labels >= 1
    assert matched(page(client, url.split("?")[0])[0]) == (0, 0)
    assert matched(page(client, url.split("?")[0] + "?q=%22%3A&filter=:::")[0]) == (0, 0)


def test_a_library_without_copies_says_so(client: TestClient) -> None:
    _, text = page(client, "/duplicates")
    assert "No copies" in text
    page(client, "/duplicates?cursor=x", status=422)


def test_copies_stand_beside_each_other_with_their_differences() -> None:
    images = an_image(ordinal=1, files=[HOSTILE_NAME]), an_image(ordinal=2, files=["b.png"])
    groups = DuplicateGroups([Group(images, ((), ("colour: grey", "format: PNG, not JPEG")))], 30, "7", 1.0)
    around = PageView("en", {}, "", "/duplicates", True, "", True, (), (), has_results=False)
    view = duplicates_view(words_of("en"), groups, here_url="/duplicates")
    text = templates.get_template("duplicates.html").render(
        view=view, t=words_of("en"), page=around, library=None, box="", fragment=False
    )
    found = Page(text)
    assert "30 groups of copies" in text
    assert re.search(r"colour: grey<br>\s*format: PNG, not JPEG", text)
    assert HOSTILE_NAME not in text
    assert found.all("a", href="/duplicates?cursor=7")
    assert [box["value"] for box in found.all("input", name="id") if "checked" in box] == [images[1].id]


@pytest.mark.parametrize(
    "box", [Box(0, 0, 1, 1), Box(0.1234, 0.5678, 0.3, 0.2), Box(0.9999, 0.9999, 0.0001, 0.0001), Box(1e-7, 0, 0.5, 1)]
)
def test_a_box_as_text_holds_the_box(box: Box) -> None:
    read = parse_box(box_text(box))
    assert read.x <= box.x + 1e-6
    assert read.x + read.width >= box.x + box.width - 1e-6
    assert read.width <= box.width + 0.0021


@pytest.mark.parametrize(
    ("shot", "said"),
    [
        (Shot(exposure_s=1 / 3), "0.3 s"),
        (Shot(exposure_s=1 / 60, iso=12800), "1/60 s, ISO 12800"),
        (Shot(exposure_s=30.0, focal_length_mm=4.25), "4.2 mm, 30 s"),
        (Shot(aperture=11.0), "f/11"),
    ],
)
def test_how_a_camera_was_set_is_said_in_a_line(shot: Shot, said: str) -> None:
    assert said in dict(facts(words_of("en"), replace(an_image(camera="Canon"), shot=shot))).values()
