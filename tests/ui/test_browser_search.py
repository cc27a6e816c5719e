"""The search page in a real browser: the box, chips, suggestions, facets, and the list as one scrolls."""

import re
from pathlib import Path

import pytest
from conftest import PHONE, Open, on_desk_and_phone, show_filters
from libraries import photos
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def hits(page: Page) -> int:
    return page.locator(".found .hit").count()


def total(page: Page) -> int:
    return int("".join(filter(str.isdigit, page.locator(".summary").inner_text())))


def chips(page: Page) -> list[str]:
    return [title.strip() for title in page.locator(".chip-title").all_inner_texts()]


@on_desk_and_phone
def test_typing_words_shows_what_matches_without_a_new_page(browse: Open, width: int) -> None:
    page = browse(width=width)
    every = total(page)
    page.evaluate("window.same = true")
    page.fill("#q", "a cat -object:dog")
    page.press("#q", "Enter")
    expect(page.locator(".summary")).not_to_contain_text(str(every))
    assert page.evaluate("window.same") is True
    assert "q=a+cat" in page.url
    assert "filter=-object%3Adog" in page.url
    assert page.input_value("#q") == "a cat"
    expect(page).to_have_title(re.compile("^a cat"))
    assert chips(page) == ["“a cat”", "not object:dog"]
    page.go_back()
    expect(page.locator(".summary")).to_contain_text(str(every))


@on_desk_and_phone
def test_suggestions_are_taken_by_the_keyboard(browse: Open, width: int) -> None:
    page = browse(width=width)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type("ca")
    expect(page.locator("#suggestions [role=option]").first).to_be_visible()
    assert page.get_attribute("#q", "aria-expanded") == "true"
    page.keyboard.press("ArrowDown")
    chosen = page.locator("#suggestions [aria-selected=true]")
    assert page.get_attribute("#q", "aria-activedescendant") == chosen.get_attribute("id")
    while chosen.locator(".value").inner_text() != "cat":
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_have_count(1)
    assert chips(page)[0].endswith(":cat")
    expect(page.locator("#suggestions")).to_be_hidden()


@on_desk_and_phone
def test_suggestions_are_taken_by_the_mouse_and_lead_from_a_field_to_its_values(browse: Open, width: int) -> None:
    page = browse(width=width)
    page.fill("#q", "orient")
    page.locator("#suggestions [role=option]", has_text="orientation:").click()
    assert page.input_value("#q") == "orientation:"
    page.locator("#suggestions [role=option]", has_text="landscape").click()
    expect(page.locator(".chip")).to_have_count(1)
    assert chips(page) == ["orientation:landscape"]


@on_desk_and_phone
def test_past_searches_are_suggested_and_escape_closes(browse: Open, width: int) -> None:
    page = browse(width=width)
    page.fill("#q", "a purple cup")
    page.press("#q", "Enter")
    expect(page.locator(".chip-title")).to_have_text("“a purple cup”")
    page.fill("#q", "a p")
    past = page.locator("#suggestions [role=option]", has_text="a purple cup")
    expect(past).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#suggestions")).to_be_hidden()
    assert page.input_value("#q") == "a p"


@pytest.mark.parametrize("how", ["chosen", "dropped", "pasted"])
@on_desk_and_phone
def test_a_picture_is_looked_up_however_it_is_given_beside_words_and_filters(
    browse: Open, tmp_path: Path, how: str, width: int
) -> None:
    page = browse("/?filter=-object:dog", width=width)
    cat = photos(tmp_path / "photos") / "pets" / "chelsea.png"
    page.fill("#q", "sleepy")
    if how == "chosen":
        page.set_input_files("input[type=file]", cat)
    else:
        page.evaluate(GIVE, [how, list(cat.read_bytes())])
    page.wait_for_url("**like=**", timeout=90_000)
    assert chips(page) == ["“sleepy”", "your picture, which is not kept", "not object:dog"]
    assert "cat" in page.locator(".hit .caption").first.inner_text().lower()


GIVE = """([how, bytes]) => {
  const carried = new DataTransfer();
  carried.items.add(new File([new Uint8Array(bytes)], "cat.png", {type: "image/png"}));
  document.body.dispatchEvent(how === "dropped"
    ? new DragEvent("drop", {dataTransfer: carried, bubbles: true, cancelable: true})
    : new ClipboardEvent("paste", {clipboardData: carried, bubbles: true, cancelable: true}));
}"""


@on_desk_and_phone
def test_parts_of_a_search_are_weighted_negated_and_removed(browse: Open, width: int) -> None:
    page = browse("/?filter=object:cat", width=width)
    id = page.locator(".hit a").first.get_attribute("href").split("/")[2].split("?")[0]
    page.goto(f"/?q=coffee&like={id}")
    before = page.locator(".hit a").evaluate_all("links => links.slice(0, 9).map(link => link.pathname)")
    words = page.locator(".chip").first
    words.locator("summary").click()
    words.get_by_role("link", name="× 2").click()
    page.wait_for_url("**weight=2**")
    after = page.locator(".hit a").evaluate_all("links => links.slice(0, 9).map(link => link.pathname)")
    assert before != after
    page.get_by_role("link", name="Leave out “coffee”").click()
    page.wait_for_url("**not=coffee**")
    expect(page.locator(".chip.negated")).to_have_count(1)
    page.locator(".chip").first.get_by_role("link", name="Leave out").click()
    page.wait_for_url("**unlike=**")
    expect(page.locator(".chip.negated")).to_have_count(2)
    page.get_by_role("link", name="Clear all").click()
    expect(page.locator(".chip")).to_have_count(0)
    assert page.url.endswith("/")


@on_desk_and_phone
def test_a_facet_narrows_and_its_chip_takes_it_back(browse: Open, width: int) -> None:
    page = browse(width=width)
    every = total(page)
    if width == PHONE:
        expect(page.locator("#v-orientation-landscape")).to_be_hidden()
        page.click(".drawer > summary")
    value = page.locator("#v-orientation-landscape")
    count = int(value.locator(".count").inner_text().split()[0])
    value.click()
    expect(page.locator(".summary")).to_contain_text(str(count))
    assert 0 < count < every
    if width == PHONE:
        expect(page.locator(".drawer-close")).to_contain_text(str(count))
        page.click(".drawer > summary")
    page.locator(".chip").get_by_role("link", name="Remove").click()
    expect(page.locator(".summary")).to_contain_text(str(every))


@on_desk_and_phone
def test_values_are_left_out_and_joined_by_or_and_by_and(browse: Open, width: int) -> None:
    page = browse(width=width)
    show_filters(page)
    page.click("#v-color-black")
    expect(page.locator(".chip")).to_have_count(1)
    page.click("#v-color-grey")
    expect(page.locator(".chip-title")).to_have_text("color:black|grey")
    some = total(page)
    page.get_by_role("link", name="all", exact=True).click()
    expect(page.locator(".chip")).to_have_count(2)
    assert total(page) < some
    page.locator("#v-color-white").hover()
    page.get_by_role("link", name="Leave out white").click()
    expect(page.locator(".chip.negated")).to_have_count(1)


@on_desk_and_phone
def test_years_are_dragged_over_the_bars(browse: Open, width: int) -> None:
    page = browse(width=width)
    show_filters(page)
    bars = page.locator("[data-histogram]")
    bars.scroll_into_view_if_needed()
    box = bars.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.35, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.65, box["y"] + 20, steps=4)
    page.mouse.up()
    page.wait_for_url("**year%3A2017..2020**")
    expect(page.locator(".chip-title")).to_have_text("year:2017..2020")
    assert page.locator("[data-histogram] .within").count() == 4


@on_desk_and_phone
def test_the_slider_says_from_which_confidence_on_tags_count(browse: Open, width: int) -> None:
    page = browse("/?filter=object:person", width=width)
    before = total(page)
    show_filters(page)
    page.focus("#least")
    for _ in range(19):
        page.keyboard.press("ArrowRight")
    page.wait_for_url("**confidence%3A%3E%3D0.95**")
    assert page.get_attribute("#least", "aria-valuetext") == "at least 95 %"
    assert total(page) < before


@on_desk_and_phone
def test_scenes_are_grouped_and_a_group_stays_open(browse: Open, width: int) -> None:
    page = browse(width=width)
    show_filters(page)
    group = page.locator(".facet-scene .group").first
    group.locator("summary").click()
    group.locator(".turn").first.click()
    expect(page.locator(".chip")).to_have_count(1)
    assert chips(page)[0].startswith("scene:")
    assert page.locator(".facet-scene .values .turn[aria-current]").is_visible()


@on_desk_and_phone
def test_more_pictures_come_as_one_scrolls_and_each_page_has_an_address(browse: Open, width: int) -> None:
    page = browse("/?sort=oldest", width=width)
    assert hits(page) == 48
    for _ in range(60):
        page.mouse.wheel(0, 700)
        page.wait_for_timeout(40)
        if hits(page) == total(page):
            break
    expect(page.locator(".found .hit")).to_have_count(total(page))
    page.mouse.wheel(0, 20_000)
    page.wait_for_url("**cursor=**")
    last = page.locator(".found .hit a").last.get_attribute("href")
    page.reload()
    assert page.locator(".found .hit a").last.get_attribute("href") == last
    page.get_by_role("link", name="From the first picture on").click()
    page.wait_for_url(lambda url: "cursor" not in url)


@on_desk_and_phone
def test_nothing_moves_while_pictures_arrive(browse: Open, width: int) -> None:
    page = browse(width=width)
    shift = page.evaluate(
        """() => new Promise((done) => {
          let sum = 0;
          new PerformanceObserver((list) => list.getEntries().forEach((entry) => { sum += entry.value; }))
            .observe({type: "layout-shift", buffered: true});
          setTimeout(() => done(sum), 1200);
        })"""
    )
    assert shift < 0.02


def test_the_first_page_is_light(browse: Open, base_url: str) -> None:
    page = browse("about:blank")
    sizes: dict[str, int] = {}
    page.on(
        "requestfinished",
        lambda request: sizes.update(
            {request.url: sum(request.sizes()[part] for part in ("responseBodySize", "responseHeadersSize"))}
            if request.resource_type != "image" or "/static/" in request.url
            else {}
        ),
    )
    page.goto(f"{base_url}/")
    page.wait_for_load_state("networkidle")
    assert len(sizes) > 5
    assert sum(sizes.values()) <= 120_000, sizes


@pytest.mark.parametrize("path", ["/", "/?q=a+cat", "/?q=qwx+zzrt+plomb", "/docs", "/duplicates", "/?q=people:x"])
@pytest.mark.parametrize("width", [320, PHONE, 1280])
def test_nothing_is_wider_than_the_screen(browse: Open, path: str, width: int) -> None:
    page = browse(path, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@on_desk_and_phone
def test_language_and_colours_are_chosen_and_kept(browse: Open, width: int) -> None:
    page = browse("/?q=a+cat", locale="de-DE", width=width)
    assert page.get_attribute("html", "lang") == "de"
    expect(page.locator(".search > button")).to_have_text("Suchen")
    page.click(".menu > summary")
    page.get_by_role("button", name="English").click()
    expect(page.locator(".search > button")).to_have_text("Search")
    assert page.url.endswith("/?q=a+cat")
    page.click(".menu > summary")
    page.get_by_role("button", name="dark").click()
    assert page.get_attribute("html", "data-theme") == "dark"
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    page.click(".menu > summary")
    page.get_by_role("button", name="as the system").click()
    assert page.get_attribute("html", "data-theme") is None


@on_desk_and_phone
def test_search_and_facets_work_without_javascript(browse: Open, tmp_path: Path, width: int) -> None:
    page = browse(scripts=False, width=width)
    show_filters(page)
    page.click("#v-orientation-landscape")
    page.wait_for_url("**filter=**")
    show_filters(page)
    page.fill("[name=width_to]", "999")
    page.press("[name=width_to]", "Enter")
    page.wait_for_url("**width_to=999**")
    page.fill("#q", "a cat")
    page.press("#q", "Enter")
    page.wait_for_url("**q=a+cat**")
    assert len(chips(page)) == 3
    page.locator(".chip").first.get_by_role("link", name="Leave out").click()
    page.wait_for_url("**not=a+cat**")
    page.click(".search > button")
    page.goto("/?filter=object:cat")
    show_filters(page)
    page.locator("#least").fill("90")
    page.locator(".least button").click()
    page.wait_for_url("**least=90**")
    assert any("confidence:" in chip for chip in chips(page))
    cat = photos(tmp_path / "photos") / "pets" / "chelsea.png"
    page.set_input_files("input[type=file]", cat)
    page.click("[data-dropzone-submit]")
    page.wait_for_url("**like=**", timeout=90_000)
    assert hits(page) > 0


def test_on_a_phone_without_javascript_the_filters_are_folded(browse: Open) -> None:
    page = browse(width=PHONE, scripts=False)
    expect(page.locator("#v-orientation-landscape")).to_be_hidden()
    page.click(".drawer > summary")
    expect(page.locator("#v-orientation-landscape")).to_be_visible()


@on_desk_and_phone
def test_the_keyboard_alone_gets_from_the_box_to_a_picture_and_back(browse: Open, width: int) -> None:
    page = browse("/?q=a+cat", width=width)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.large"):
            break
    focused = page.evaluate("document.activeElement.pathname")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("#viewer .image h1")).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.wait_for_url(lambda url: focused not in url)
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    expect(page.locator(":focus")).to_have_attribute("data-large", re.compile("thumbnail"))
    assert page.evaluate("document.activeElement.pathname") != focused
    assert "/?q=a+cat" in page.url
