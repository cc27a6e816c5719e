import html
import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from libraries import HOSTILE_NAME, PLACES, photos
from starlette.testclient import TestClient


class Page(HTMLParser):
    """The elements of a page, as (name, attributes)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [a for name, a in self.elements if name == tag and all(a.get(k) == v for k, v in wanted.items())]


def page(client: TestClient, url: str = "/", status: int = 200, **headers: str) -> tuple[Page, str]:
    answer = client.get(url, headers={"Accept": "text/html", **headers})
    assert answer.status_code == status, answer.text
    return Page(answer.text), answer.text


def pictures(found: Page) -> list[str]:
    return [a["href"] for a in found.all("a") if "data-large" in a]


def facet_link(found: Page, text: str, value: str) -> str:
    links = re.findall(
        rf'<a href="([^"]+)"[^>]*>\s*(?:<span class="swatch[^>]*></span>)?\s*<span class="value">{value}<', text
    )
    return html.unescape(links[0])


def test_the_first_page_shows_every_picture_and_the_facets(client: TestClient) -> None:
    found, text = page(client)
    assert len(pictures(found)) == len(PLACES)
    assert f"{len(PLACES)} pictures" in text
    assert 'id="facet-object"' in text
    assert found.all("input", name="q")


def test_a_search_shows_what_matches_and_why(client: TestClient) -> None:
    found, text = page(client, "/?q=a+cat")
    assert "object:cat" in text
    assert found.all("input", id="q")[0]["value"] == "a cat"
    assert 1 <= len(pictures(found)) < len(PLACES)


def test_a_facet_is_a_link_that_turns_a_value_on_and_off(client: TestClient) -> None:
    found, text = page(client)
    on = facet_link(found, text, "cat")
    found, text = page(client, on)
    assert len(pictures(found)) == 1
    assert "Remove </span>object:cat" in text
    found, _ = page(client, facet_link(found, text, "cat"))
    assert len(pictures(found)) == len(PLACES)


def test_every_count_of_a_facet_is_the_number_of_pictures_behind_it(client: TestClient) -> None:
    _, text = page(client)
    values = re.findall(r'<a href="([^"]+)"(?:(?!</a>).)*?<span class="count">(\d+)', text, re.DOTALL)
    assert len(values) > 20
    for url, count in values:
        found, _ = page(client, html.unescape(url))
        assert len(pictures(found)) == int(count), url


def test_what_is_not_there_is_said_and_the_nearest_are_offered(client: TestClient) -> None:
    _, text = page(client, "/?q=qwx+zzrt+plomb")
    assert "No good match" in text
    (anyway,) = re.findall(r'href="([^"]+)">Show the nearest', text)
    found, _ = page(client, html.unescape(anyway))
    assert len(pictures(found)) == len(PLACES)


def test_a_term_that_does_not_parse_is_shown_with_its_place_and_the_box_keeps_it(client: TestClient) -> None:
    found, text = page(client, "/?q=dog+people:%3E%3Dx", 422)
    assert found.all("input", id="q")[0]["value"] == "dog people:>=x"
    assert re.search(r"dog people:&gt;=x\n {13}\^", text)


def test_the_mark_stands_under_the_expression_that_is_wrong(client: TestClient) -> None:
    _, text = page(client, "/?q=a+cat&filter=scene:", 422)
    assert "scene:\n      ^" in text


def test_the_search_form_carries_the_filter_along(client: TestClient) -> None:
    found, _ = page(client, "/?q=cat&filter=-object:dog&sort=newest")
    carried = {field["name"]: field["value"] for field in found.all("input", type="hidden", form="search-form")}
    assert carried == {"filter": "-object:dog", "sort": "newest"}
    assert found.all("form", id="search-form")


def test_htmx_gets_the_inner_part_and_the_address_to_show(client: TestClient) -> None:
    answer = client.get("/?q=two+cats+object:cat", headers={"HX-Request": "true"})
    assert "<html" not in answer.text
    assert answer.headers["HX-Push-Url"] == "/?q=two+cats&filter=object%3Acat"
    assert answer.headers["Vary"] == "HX-Request"
    assert 'hx-swap-oob="true"' in answer.text
    whole = client.get("/", headers={"HX-Request": "true", "HX-History-Restore-Request": "true"})
    assert "<html" in whole.text


def test_the_image_page_shows_boxes_tags_files_and_similar_pictures(client: TestClient) -> None:
    found, _ = page(client, "/?filter=object:cat")
    found, text = page(client, pictures(found)[0])
    assert "pets/chelsea.png" in text
    assert "451 × 300" in text
    box = found.all("rect")[0]
    assert all(0 <= float(box[side]) <= 1 for side in ("x", "y", "width", "height"))
    assert found.all("a", **{"data-box": box["data-box"]})
    assert len(pictures(found)) == 8
    assert "by ssd-mobilenet-v2" in text


def test_the_image_page_says_who_said_what(own_client: TestClient) -> None:
    (hit,) = own_client.get("/v1/search", params={"filter": 'path:"pets/*"'}).json()["hits"]
    own_client.patch(f"/v1/images/{hit['id']}", json={"tags": {"add": [{"kind": "object", "label": "whiskers"}]}})
    shown = re.sub(r"<[^>]*>", " ", page(own_client, f"/images/{hit['id']}")[1])
    assert "Caption put together from the tags" in shown
    assert "by efficientnet-lite3" in shown
    assert "by ssd-mobilenet-v2 and a person" in " ".join(shown.split())
    assert re.search(r"whiskers\s+100%, a person", shown)
    assert hit["caption_source"] == "composed"
    assert {tag["source"] for tag in hit["tags"]} >= {"ssd-mobilenet-v2", "places365-zero-shot", "oklab-palette"}


def test_a_picture_can_be_searched_by_without_javascript(client: TestClient, tmp_path) -> None:
    cat = (photos(tmp_path) / "pets" / "chelsea.png").read_bytes()
    answer = client.post("/similar", files={"file": ("cat.png", cat)}, follow_redirects=False)
    assert answer.status_code == 303
    url = answer.headers["location"]
    found, text = page(client, url)
    first, _ = page(client, "/?filter=object:cat")
    assert pictures(found)[0] == pictures(first)[0]
    assert "your picture, which is not kept" in text
    narrowed, _ = page(client, facet_link(found, text, "square"))
    assert 0 < len(pictures(narrowed)) < len(PLACES)


def test_a_picture_that_is_no_longer_remembered_is_asked_for_again(client: TestClient) -> None:
    _, text = page(client, "/?like=expired-token", 422)
    assert "choose it once more" in text


def test_an_upload_that_is_no_picture_gets_a_page_with_the_reason(client: TestClient) -> None:
    answer = client.post("/similar", files={"file": ("x.jpg", b"no picture")}, headers={"Accept": "text/html"})
    assert answer.status_code == 415
    assert "not a picture" in answer.text
    assert "<html" in answer.text


def test_what_is_not_there_is_a_page(client: TestClient) -> None:
    for url in (f"/images/{'0' * 32}", "/images/zzz", "/nowhere"):
        _, text = page(client, url, 404)
        assert "Not Found" in text


def test_hostile_text_is_shown_and_never_run(client: TestClient) -> None:
    found, text = page(client, '/?q=<script>alert(1)</script>&filter=path:"*coffee*"')
    assert "<script>alert" not in text
    found, _ = page(client, '/?filter=path:"*coffee*"')
    found, text = page(client, pictures(found)[0])
    assert HOSTILE_NAME not in text
    assert html.escape(HOSTILE_NAME, quote=False).replace("'", "&#39;") in text


@pytest.mark.parametrize("url", ["/", "/?q=a+cat", "/docs", "/?q=people:x"])
def test_pages_need_nothing_from_elsewhere_and_hold_no_inline_code(client: TestClient, url: str) -> None:
    answer = client.get(url, headers={"Accept": "text/html"})
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    for tag, attributes in Page(answer.text).elements:
        assert "style" not in attributes, tag
        assert not any(name.startswith("on") for name in attributes), tag
        for name in ("src", "href", "action"):
            assert not urlsplit(attributes.get(name) or "").netloc, (tag, attributes)
        if tag == "script":
            assert attributes.get("src", "").startswith("/static/")


def test_the_static_files_are_there(client: TestClient) -> None:
    found, _ = page(client)
    for attributes in [*found.all("script"), *found.all("link")]:
        url = attributes.get("src") or attributes["href"]
        assert client.get(url).status_code == 200, url


def test_every_picture_has_an_alternative_and_a_size(client: TestClient) -> None:
    found, _ = page(client, "/?q=a+cat")
    for image in found.all("img"):
        assert "alt" in image
        assert "height" in image


def test_the_api_is_described_on_a_page(client: TestClient) -> None:
    _, text = page(client, "/docs")
    assert "GET /v1/search" in text
    assert "POST /v1/similar" in text
