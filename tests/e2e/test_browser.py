"""The pages in a real browser."""

from pathlib import Path

import pytest
from libraries import PLACES, photos
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.browser


def shown(browser) -> list[WebElement]:
    return browser.find_elements(By.CSS_SELECTOR, ".hit a")


def waits(browser, condition) -> None:
    WebDriverWait(browser, 20, ignored_exceptions=[StaleElementReferenceException]).until(lambda _: condition())


def summary(browser) -> str:
    return browser.find_element(By.CSS_SELECTOR, ".summary").text


def test_typing_words_shows_what_matches_without_a_new_page(browse) -> None:
    browser = browse()
    assert len(shown(browser)) == len(PLACES)
    browser.execute_script("window.same = true")
    browser.find_element(By.ID, "q").send_keys("a cat -object:dog", Keys.ENTER)
    waits(browser, lambda: summary(browser) != f"{len(PLACES)} pictures")
    assert browser.execute_script("return window.same") is True
    assert "q=a+cat" in browser.current_url
    assert "filter=-object%3Adog" in browser.current_url
    assert browser.find_element(By.ID, "q").get_attribute("value") == "a cat"
    assert browser.title.startswith("a cat")
    browser.back()
    waits(browser, lambda: summary(browser) == f"{len(PLACES)} pictures")


def test_a_facet_narrows_and_its_chip_takes_it_back(browse) -> None:
    browser = browse()
    browser.find_element(By.CSS_SELECTOR, "section[aria-labelledby=facet-orientation] a").click()
    waits(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".chips .chip"))
    narrowed = len(shown(browser))
    assert 0 < narrowed < len(PLACES)
    browser.find_element(By.CSS_SELECTOR, ".chips .chip").click()
    waits(browser, lambda: len(shown(browser)) == len(PLACES))


def test_typing_in_a_long_facet_finds_its_values_and_keeps_the_page(browse) -> None:
    browser = browse("/?filter=-object:dog")
    section = browser.find_element(By.CSS_SELECTOR, "section[aria-labelledby=facet-color]")
    section.find_element(By.TAG_NAME, "summary").click()
    section.find_element(By.NAME, "prefix").send_keys("bl")

    def found() -> set[str]:
        return {value.text.split()[0] for value in section.find_elements(By.CSS_SELECTOR, "#values-color li")}

    waits(browser, lambda: found() and all(value.startswith("bl") for value in found()))
    assert "prefix" not in browser.current_url
    section.find_element(By.CSS_SELECTOR, "#values-color a").click()
    waits(browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, ".chips .chip")) == 2)
    assert "filter=-object%3Adog+color%3Abl" in browser.current_url


def test_a_range_narrows_without_a_new_page(browse) -> None:
    browser = browse()
    browser.execute_script("window.same = true")
    browser.find_element(By.NAME, "width_from").send_keys("500", Keys.ENTER)
    waits(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".chips .chip"))
    assert "filter=width%3A%3E%3D500" in browser.current_url
    assert browser.execute_script("return window.same") is True


def test_the_form_keeps_a_facet_that_was_chosen_before(browse) -> None:
    browser = browse("/?filter=orientation:landscape")
    browser.find_element(By.ID, "q").send_keys("a cat", Keys.ENTER)
    waits(browser, lambda: "q=a" in browser.current_url)
    assert "orientation%3Alandscape" in browser.current_url


def test_the_large_view_goes_through_the_list_by_keys_and_gives_the_focus_back(browse) -> None:
    browser = browse("/?q=a+cat&cutoff=none")
    first = shown(browser)[0]
    first.send_keys(Keys.ENTER)
    dialog = browser.find_element(By.CSS_SELECTOR, "dialog.lightbox")
    waits(browser, dialog.is_displayed)
    place = dialog.find_element(By.CSS_SELECTOR, ".place")
    assert place.text.startswith("1 of 12")
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert place.text.startswith("2 of 12")
    browser.switch_to.active_element.send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert place.text.startswith("12 of 12")
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    waits(browser, lambda: not dialog.is_displayed())
    assert browser.switch_to.active_element == shown(browser)[-1]


def test_the_large_view_leads_to_the_picture_s_page_where_tags_light_their_boxes(browse) -> None:
    browser = browse("/?filter=object:cat")
    shown(browser)[0].click()
    browser.find_element(By.CSS_SELECTOR, "dialog a.button").click()
    waits(browser, lambda: "/images/" in browser.current_url)
    tag = browser.find_element(By.CSS_SELECTOR, "a[data-box]")
    browser.execute_script("arguments[0].focus()", tag)
    box = browser.find_element(By.CSS_SELECTOR, f"rect[data-box='{tag.get_attribute('data-box')}']")
    assert "lit" in box.get_attribute("class")
    picture, drawn = browser.find_element(By.CSS_SELECTOR, ".frame img"), box.rect
    assert picture.rect["x"] - 3 <= drawn["x"]
    assert drawn["x"] + drawn["width"] <= picture.rect["x"] + picture.rect["width"] + 3


@pytest.mark.parametrize("how", ["chosen", "dropped", "pasted"])
def test_a_picture_is_looked_up_however_it_is_given(browse, tmp_path: Path, how: str) -> None:
    browser = browse()
    cat = photos(tmp_path / "photos") / "pets" / "chelsea.png"
    field = browser.find_element(By.CSS_SELECTOR, "input[type=file]")
    if how == "chosen":
        field.send_keys(str(cat))
    else:
        browser.execute_async_script(GIVE, how, list(cat.read_bytes()))
    waits(browser, lambda: "like=" in browser.current_url)
    waits(browser, lambda: shown(browser))
    assert "cat" in shown(browser)[0].text.lower()


GIVE = """
const [how, bytes, done] = arguments;
const carried = new DataTransfer();
carried.items.add(new File([new Uint8Array(bytes)], "cat.png", {type: "image/png"}));
const event = how === "dropped"
  ? new DragEvent("drop", {dataTransfer: carried, bubbles: true, cancelable: true})
  : new ClipboardEvent("paste", {clipboardData: carried, bubbles: true, cancelable: true});
document.body.dispatchEvent(event);
done();
"""


@pytest.mark.parametrize("path", ["/", "/?q=a+cat", "/?q=qwx+zzrt+plomb", "/docs"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_screen(browse, path: str, width: int) -> None:
    browser = browse(path, width=width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_on_a_phone_the_filters_are_folded_and_open_by_a_tap(browse) -> None:
    browser = browse(width=390)
    value = browser.find_element(By.CSS_SELECTOR, ".facets li a")
    waits(browser, lambda: not value.is_displayed())
    browser.find_element(By.CSS_SELECTOR, ".drawer > summary").click()
    waits(browser, value.is_displayed)


def test_nothing_moves_while_pictures_arrive(browse) -> None:
    browser = browse()
    shift = browser.execute_async_script(
        """
        const done = arguments[0];
        let sum = 0;
        new PerformanceObserver((list) => list.getEntries().forEach((entry) => { sum += entry.value; }))
          .observe({type: "layout-shift", buffered: true});
        setTimeout(() => done(sum), 1500);
        """
    )
    assert shift < 0.05


def test_everything_works_without_javascript(browse, tmp_path: Path) -> None:
    browser = browse(scripts=False)
    browser.find_element(By.XPATH, "//section[@aria-labelledby='facet-orientation']//a[span='landscape']").click()
    waits(browser, lambda: "filter=" in browser.current_url)
    browser.find_element(By.NAME, "width_to").send_keys("999", Keys.ENTER)
    waits(browser, lambda: "width_to=999" in browser.current_url)
    browser.find_element(By.ID, "q").send_keys("a cat", Keys.ENTER)
    waits(browser, lambda: "q=a+cat" in browser.current_url)
    assert len(browser.find_elements(By.CSS_SELECTOR, ".chips .chip")) == 2
    shown(browser)[0].click()
    waits(browser, lambda: "/images/" in browser.current_url)
    cat = photos(tmp_path / "photos") / "pets" / "chelsea.png"
    browser.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(cat))
    browser.find_element(By.CSS_SELECTOR, "[data-dropzone-submit]").click()
    waits(browser, lambda: "like=" in browser.current_url)
    assert shown(browser)


def test_the_keyboard_alone_gets_from_the_box_to_a_picture(browse) -> None:
    browser = browse()
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the pictures"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    for _ in range(200):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        if browser.switch_to.active_element.get_attribute("data-large"):
            break
    outline = browser.switch_to.active_element.value_of_css_property("outline-style")
    assert browser.switch_to.active_element.get_attribute("data-large")
    assert outline == "solid"
