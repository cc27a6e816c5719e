"""One picture: large over the list, corrected by a person, searched by a part of it; and its copies."""

import re

import pytest
from conftest import PHONE, Open, on_desk_and_phone
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def opened(page: Page) -> None:
    page.locator(".found .hit a").first.click()
    expect(page.locator("#viewer .image h1")).to_be_visible()


def touched(page: Page, way: int) -> None:
    """Move a finger over the picture, left or right."""
    page.evaluate(
        """(way) => {
          const frame = document.querySelector("#viewer [data-frame]");
          const at = (x) => [new Touch({identifier: 1, target: frame, clientX: x, clientY: 200})];
          const send = (type, x) => frame.dispatchEvent(new TouchEvent(type, {
            touches: type === "touchend" ? [] : at(x), changedTouches: at(x), bubbles: true}));
          send("touchstart", 200);
          send("touchend", 200 + way * 120);
        }""",
        way,
    )


def test_a_swipe_goes_through_the_list_and_back_closes(browse: Open) -> None:
    page = browse("/?q=a+cat", width=PHONE)
    opened(page)
    first = page.url
    touched(page, -1)
    expect(page.locator("[data-viewer-place]")).to_contain_text("2 of")
    expect(page).not_to_have_url(first)
    touched(page, 1)
    expect(page).to_have_url(first)
    page.go_back()
    expect(page.locator("#viewer")).to_be_hidden()
    expect(page).to_have_url(re.compile(r"/\?q=a\+cat$"))


@on_desk_and_phone
def test_tags_light_their_boxes_and_what_matched_is_told(browse: Open, width: int) -> None:
    page = browse("/?q=a+cat", width=width)
    opened(page)
    expect(page.locator(".why-matched")).to_contain_text("object:cat")
    assert page.locator("#viewer rect.matched").count() >= 1
    tag = page.locator("#viewer .tag a[data-box]").first
    tag.focus()
    number = tag.get_attribute("data-box")
    expect(page.locator(f"#viewer rect[data-box='{number}']")).to_have_class(re.compile("lit"))
    picture, box = page.locator("#viewer .frame img").bounding_box(), page.locator("#viewer rect").first.bounding_box()
    assert picture["x"] - 4 <= box["x"]
    assert box["x"] + box["width"] <= picture["x"] + picture["width"] + 4


@on_desk_and_phone
def test_a_person_corrects_tags_and_texts_in_the_large_view(browse: Open, width: int) -> None:
    page = browse("/?filter=object:cat", width=width)
    opened(page)
    page.click("#viewer .edit summary")
    page.fill("#viewer [name=caption]", "Chelsea on her blanket")
    page.fill("#viewer [name=alt_text]", "A cat looks up")
    page.fill("#viewer [name=add]", "Chelsea, moggy")
    page.click("#viewer .edit button")
    expect(page.locator("#viewer .said")).to_be_visible()
    expect(page.locator("#viewer .image h1")).to_have_text("Chelsea on her blanket")
    expect(page.locator("#viewer .tags")).to_contain_text("moggy")
    page.goto("/?filter=user:moggy")
    expect(page.locator(".hit")).to_have_count(1)
    assert page.locator(".hit img").get_attribute("alt") == "A cat looks up"
    opened(page)
    page.click("#viewer .edit summary")
    page.locator("#viewer .take label", has_text="moggy").locator("input").check()
    page.click("#viewer .edit button")
    expect(page.locator("#viewer .tags")).not_to_contain_text("moggy")


@on_desk_and_phone
def test_a_part_is_drawn_and_searched_by(browse: Open, width: int) -> None:
    page = browse("/?filter=object:cat", width=width)
    opened(page)
    page.click("#viewer .part summary")
    frame = page.locator("#viewer [data-frame]")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.1)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.7, steps=5)
    page.mouse.up()
    assert float(page.input_value("#viewer [name=width]")) == pytest.approx(60, abs=2)
    page.click("#viewer .part button")
    page.wait_for_url("**like=**", timeout=90_000)
    assert re.search(r"%400\.(19|2)\d*%2C0\.(09|1)", page.url)
    expect(page.locator(".chip-title")).to_contain_text("a part of")
    assert page.locator(".found .hit").count() > 0


@on_desk_and_phone
def test_a_picture_is_corrected_and_searched_by_a_part_without_javascript(browse: Open, width: int) -> None:
    page = browse("/?filter=path:%22*coins*%22", scripts=False, width=width)
    page.locator(".hit a").first.click()
    page.wait_for_url("**/images/**")
    page.click(".edit summary")
    page.fill("[name=add]", "money")
    page.click(".edit button")
    page.wait_for_url("**said=saved")
    expect(page.locator(".tags")).to_contain_text("money")
    page.click(".part summary")
    page.fill("[name=x]", "10")
    page.click(".part button")
    page.wait_for_url("**like=**", timeout=90_000)
    expect(page.locator(".chip-title")).to_contain_text("a part of")


@on_desk_and_phone
def test_copies_are_compared_and_one_is_removed(browse: Open, width: int) -> None:
    page = browse("/duplicates", width=width)
    groups = page.locator(".versions").count()
    assert groups >= 1
    group = page.locator(".versions", has_text="chelsea-small" if width == PHONE else "coffee-small")
    assert group.locator("input[name=id]:checked").count() == group.locator("li").count() - 1
    group.get_by_role("button").click()
    expect(page.locator(".said")).to_contain_text("taken out of the library")
    expect(page.locator(".versions")).to_have_count(groups - 1)


@on_desk_and_phone
def test_a_search_is_saved_suggested_and_forgotten(browse: Open, width: int) -> None:
    page = browse("/?q=a+cat&filter=-object:dog", width=width)
    page.click(".actions > summary")
    page.fill(".save [name=name]", "Cats alone")
    page.click(".save button")
    page.wait_for_url("**/saved")
    page.goto("/")
    page.fill("#q", "cats al")
    page.locator("#suggestions [role=option]", has_text="Cats alone").click()
    expect(page.locator(".chip")).to_have_count(2)
    page.goto("/saved")
    page.locator(".saved li", has_text="Cats alone").get_by_role("button").click()
    expect(page.locator(".saved li")).to_have_count(0)


@on_desk_and_phone
def test_charts_lead_into_the_search(browse: Open, width: int) -> None:
    page = browse("/insights", scripts=False, width=width)
    bar = page.locator(".chart-year a").last
    count = bar.locator(".count").inner_text().split()[0]
    bar.click()
    expect(page.locator(".summary")).to_contain_text(count)


@on_desk_and_phone
def test_the_map_is_zoomed_by_keys_and_leads_to_pictures(browse: Open, width: int) -> None:
    page = browse("/map", width=width)
    expect(page.locator("[data-map][data-ready]")).to_be_visible(timeout=30_000)
    page.focus(".map canvas")
    before = page.locator(".map canvas").screenshot()
    for key in ("+", "+", "ArrowLeft", "ArrowDown"):
        page.keyboard.press(key)
    page.wait_for_timeout(200)
    assert page.locator(".map canvas").screenshot() != before
    page.keyboard.press("0")
    box = page.locator(".map canvas").bounding_box()
    for step in range(3, 17):
        page.mouse.click(box["x"] + box["width"] * step / 20, box["y"] + box["height"] * step / 20)
        if page.locator("[data-map-card]").is_visible():
            break
    page.click("[data-map-like]")
    page.wait_for_url("**like=**")
    assert page.locator(".found .hit").count() > 0


@on_desk_and_phone
def test_without_javascript_the_map_is_a_list_of_its_parts(browse: Open, width: int) -> None:
    page = browse("/map", scripts=False, width=width)
    for _ in range(60):
        if page.locator(".regions a").count():
            break
        page.wait_for_timeout(500)
        page.goto("/map")
    page.locator(".regions a").first.click()
    page.wait_for_url("**like=**")
