import html
import re
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from libraries import HOSTILE_NAME, PLACES, index, photos
from PIL import ExifTags, Image
from starlette.testclient import TestClient

from api.app import create_app
from search.config import load_config
from search.services import open_services


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


def facet_link(text: str, facet: str, value: str) -> str:
    links = re.findall(rf'<a class="turn" id="v-{facet}-{value}" href="([^"]+)"', text)
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
    assert "good match" in text or "strong match" in text
    assert 1 <= len(pictures(found)) < len(PLACES)


def test_a_facet_is_a_link_that_turns_a_value_on_and_off(client: TestClient) -> None:
    found, text = page(client)
    on = facet_link(text, "object", "cat")
    found, text = page(client, on)
    assert len(pictures(found)) == 1
    assert "Remove object:cat" in text
    found, _ = page(client, facet_link(text, "object", "cat"))
    assert len(pictures(found)) == len(PLACES)


def test_every_count_of_a_facet_is_the_number_of_pictures_behind_it(client: TestClient) -> None:
    _, text = page(client)
    values = re.findall(r'<a class="turn"[^>]*href="([^"]+)"(?:(?!</a>).)*?<span class="count">(\d+)', text, re.DOTALL)
    assert len(values) > 20
    for url, count in values:
        found, _ = page(client, html.unescape(url))
        assert len(pictures(found)) == int(count), url


def submitted(found: Page, text: str, label: str, **typed: str) -> str:
    """Return the address that a browser opens when the form of that label is sent as it is, with what is typed."""
    form = text.split(f'aria-label="{label}"')[1].split("</form>", maxsplit=1)[0]
    fields = {a["name"]: a.get("value") or "" for a in Page(form).all("input")}
    assert typed.keys() <= fields.keys()
    (action,) = (a["action"] for a in found.all("form") if a.get("aria-label") == label)
    return f"{action}?{urlencode({**fields, **typed})}"


def values_of(text: str, facet: str) -> dict[str, int]:
    section = text.split(f'id="facet-{facet}"')[1].split("</section>", maxsplit=1)[0]
    found = re.findall(rf'id="v-{facet}-([^"]+)"(?:(?!</a>).)*<span class="count">(\d+)', section, re.DOTALL)
    return {value: int(count) for value, count in found}


def test_a_range_is_a_form_that_keeps_the_rest_of_the_search(client: TestClient) -> None:
    sizes = [hit["width"] for hit in client.get("/v1/search", params={"k": 200}).json()["hits"]]
    found, text = page(client, "/?filter=-object:dog&sort=oldest")
    assert any(a.get("placeholder") == str(max(sizes)) for a in found.all("input", name="width_to"))
    found, text = page(client, submitted(found, text, "Size in pixels from and to", width_from="500", width_to="600"))
    assert "Remove width:500..600" in text
    assert "Remove not object:dog" in text
    assert len(pictures(found)) == sum(500 <= width <= 600 for width in sizes)
    assert found.all("input", name="width_from")[0]["value"] == "500"
    found, text = page(client, submitted(found, text, "Size in pixels from and to", width_from="", width_to=""))
    assert "width:" not in text.split('class="chips"')[1].split("</ul>")[0]
    answer = client.get("/?people_from=1", headers={"HX-Request": "true"})
    assert answer.headers["HX-Push-Url"] == "/?filter=people%3A%3E%3D1"
    assert page(client, "/?people_from=some", 422)[1].count("whole numbers") == 1


def test_a_value_takes_the_place_of_a_range(client: TestClient) -> None:
    _, text = page(client, "/?filter=people:%3E%3D1")
    assert "Remove people:&gt;=1" in text
    found, _ = page(client, facet_link(text, "people", "0"))
    assert len(pictures(found)) == values_of(text, "people")["0"]


def test_values_that_must_all_hold_are_turned_on_besides_each_other(client: TestClient) -> None:
    found, text = page(client, "/?filter=color:black")
    total = len(pictures(found))
    (every,) = re.findall(r'<a id="mode-color-2" href="([^"]+)"', text)
    found, text = page(client, html.unescape(every))
    assert len(pictures(found)) == total
    counted = values_of(text, "color")
    assert counted["black"] == total
    other = next(value for value in counted if value != "black")
    found, text = page(client, facet_link(text, "color", other))
    assert len(pictures(found)) == counted[other]
    assert "Remove color:black" in text
    assert f"Remove color:{other}" in text
    (some,) = re.findall(r'<a id="mode-color-1" href="([^"]+)"', text)
    found, text = page(client, html.unescape(some))
    assert f"Remove color:black|{other}" in text
    assert len(pictures(found)) >= total


def test_values_of_a_long_facet_are_found_by_typing_with_and_without_javascript(client: TestClient) -> None:
    found, text = page(client, "/?filter=-object:dog")
    every = client.get("/v1/facets", params={"facet": "class", "filter": "-object:dog"}).json()["class"]
    first = every[-1]["value"][0]
    wanted = {v["value"]: v["count"] for v in every if any(w.startswith(first) for w in v["value"].split())}
    url = submitted(found, text, "Values of Looks like", prefix=first.upper())
    _, whole = page(client, url)
    listed = whole.split('id="values-class"')[1].split("</ul>")[0]
    fragment = client.get(url.replace("/?", "/facet?"), headers={"HX-Request": "true"}).text
    for shown in (listed, fragment):
        assert set(re.findall(r'class="value">([^<]+)<', shown)) == set(wanted)
        assert "filter=-object%3Adog+class%3A" in shown
    assert "<html" not in fragment
    assert "No value starts like that" in client.get("/facet?facet=color&prefix=<b>").text
    assert client.get("/facet?facet=nonsense").status_code == 422


def test_a_facet_that_cannot_narrow_is_not_shown(client: TestClient) -> None:
    assert 'id="facet-orientation"' in page(client)[1]
    one, text = page(client, "/?filter=object:cat")
    assert len(pictures(one)) == 1
    assert 'id="facet-orientation"' not in text
    assert 'id="facet-object"' in text
    assert "width_from" not in text
    assert 'id="facet-orientation"' in page(client, "/?filter=object:cat+orientation:landscape")[1]


def test_a_shuffled_page_keeps_its_order_and_a_new_shuffle_has_another(client: TestClient) -> None:
    _, text = page(client)
    urls = [html.unescape(url) for url in re.findall(r'<a href="([^"]+)"[^>]*>Shuffled</a>', text)]
    assert len(urls) == 1
    assert "seed=" in urls[0]
    assert pictures(page(client, urls[0])[0]) == pictures(page(client, urls[0])[0])
    orders = {tuple(pictures(page(client, f"/?sort=random&seed={seed}")[0])) for seed in range(3)}
    assert len(orders) == 3


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
    assert "HX-Request" in answer.headers["Vary"]
    assert 'data-box="two cats"' in answer.text
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
    assert pictures(found)[0] == pictures(first)[0].split("?")[0]
    assert "your picture, which is not kept" in text
    narrowed, _ = page(client, facet_link(text, "orientation", "square"))
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


def test_words_are_offered_as_filters_by_a_link_that_takes_them_out(client: TestClient) -> None:
    found, text = page(client, "/?q=a+cat&sort=newest")
    assert "Narrow to" in text
    (link,) = [one["href"] for one in found.all("a") if "cat" in one.get("title", "") and "place" in one["title"]]
    state = parse_qs(urlsplit(link).query)
    assert state == {"filter": ["object:cat"], "sort": ["newest"]}
    _, narrowed = page(client, link)
    assert "Narrow to" not in narrowed


@pytest.mark.parametrize("shown", [True, False])
def test_places_are_told_only_where_the_options_let_them(tmp_path, shown: bool) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 30.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)})
    Image.new("RGB", (64, 48), "teal").save(folder / "there.jpg", exif=exif)
    index(tmp_path / "library", folder)
    options = load_config(data=tmp_path / "library", show_places=shown)
    with open_services(options) as services, TestClient(create_app(services), base_url="http://127.0.0.1") as client:
        (hit,) = client.get("/v1/search").json()["hits"]
        assert ("52.50000, 13.40000" in page(client, f"/images/{hit['id']}")[1]) is shown
        assert (client.get(f"/v1/images/{hit['id']}").json()["location"] is not None) is shown


@pytest.mark.parametrize(("language", "setting"), [("en", "50 mm, f/2.8, 1/250 s, ISO 200"), ("de", "f/2,8")])
def test_how_the_camera_was_set_is_told_as_photographers_say_it(tmp_path, language: str, setting: str) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    exif = Image.Exif()
    told = {
        "LensModel": HOSTILE_NAME,
        "ExposureTime": 0.004,
        "FNumber": 2.8,
        "ISOSpeedRatings": 200,
        "FocalLength": 50.0,
    }
    exif.get_ifd(ExifTags.IFD.Exif).update({ExifTags.Base[name]: value for name, value in told.items()})
    Image.new("RGB", (64, 48), "teal").save(folder / "set.jpg", exif=exif)
    index(tmp_path / "library", folder)
    options = load_config(data=tmp_path / "library")
    with open_services(options) as services, TestClient(create_app(services), base_url="http://127.0.0.1") as client:
        (hit,) = client.get("/v1/search").json()["hits"]
        shot = client.get(f"/v1/images/{hit['id']}").json()["shot"]
        assert shot == {
            "lens": HOSTILE_NAME, "exposure_s": 0.004, "aperture": 2.8, "iso": 200, "focal_length_mm": 50.0
        }  # fmt: skip
        client.cookies.set("language", language)
        _, text = page(client, f"/images/{hit['id']}")
        assert setting in text
        assert HOSTILE_NAME not in text
