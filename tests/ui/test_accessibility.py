"""Every page and state against WCAG 2.2 AA by axe-core, dark and light, on a desk and on a phone; pictures of them."""

from collections.abc import Callable

import pytest
from conftest import DESK, OF_COLOURS, PHONE, Open, violations
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def a_picture(page: Page) -> str:
    return str(page.locator(".hit a").first.get_attribute("href")).split("?")[0].removeprefix("/images/")


def suggested(page: Page) -> None:
    page.fill("#q", "ca")
    expect(page.locator("#suggestions [role=option]").first).to_be_visible()
    page.keyboard.press("ArrowDown")


def weighted(page: Page) -> None:
    page.goto(f"/?q=coffee&like={a_picture(page)}&not=rain&filter=-object:dog")
    page.locator(".weights summary").first.click()


def unfolded(page: Page) -> None:
    for name in (".drawer > summary", ".facet-scene .group summary", ".facet-year .more summary"):
        if page.locator(name).first.is_visible():
            page.locator(name).first.click()


def viewed(page: Page) -> None:
    page.locator(".hit a").first.click()
    expect(page.locator("#viewer .image h1")).to_be_visible()


def corrected(page: Page) -> None:
    page.goto(f"/images/{a_picture(page)}?q=cat")
    for summary in page.locator(".image details > summary").all():
        summary.click()


def menu(page: Page) -> None:
    page.click(".menu > summary")


def shared(page: Page) -> None:
    page.click(".actions > summary")


def mapped(page: Page) -> None:
    expect(page.locator("[data-map][data-ready]")).to_be_visible(timeout=30_000)
    page.focus(".map canvas")
    page.keyboard.press("Enter")


def imported(page: Page) -> None:
    page.set_input_files(".import input[name=file]", [{"name": "a.png", "mimeType": "image/png", "buffer": b"none"}])
    expect(page.locator(".item.rejected")).to_be_visible(timeout=60_000)


def reviewed(page: Page) -> None:
    tag = {"kind": "moderation", "label": "adult"}
    assert page.request.patch(f"/v1/images/{a_picture(page)}", data={"tags": {"add": [tag]}}).ok
    page.goto("/moderation")
    page.locator(".review summary").first.click()


STATES: dict[str, tuple[str, Callable[[Page], None] | None]] = {
    "all": ("/", None),
    "found": ("/?q=a+cat", None),
    "later-page": ("/?sort=oldest", lambda page: page.goto(str(page.locator("#more a").get_attribute("href")))),
    "nothing": ("/?q=qwx+zzrt+plomb", None),
    "wrong": ("/?q=people:x", None),
    "suggested": ("/", suggested),
    "composed": ("/?filter=object:cat", weighted),
    "filters": ("/?filter=color:black", unfolded),
    "menu": ("/", menu),
    "shared": ("/?q=a+cat", shared),
    "viewer": ("/?q=a+cat", viewed),
    "image": ("/?filter=object:cat", corrected),
    "missing": (f"/images/{'0' * 32}", None),
    "duplicates": ("/duplicates", None),
    "for-you": ("/recommendations", None),
    "saved": ("/saved", None),
    "import": ("/import", imported),
    "jobs": ("/jobs", None),
    "moderation": ("/", reviewed),
    "insights": ("/insights", None),
    "map": ("/map", mapped),
    "docs": ("/docs", None),
    "look": ("/look", None),
}


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_no_page_or_state_has_a_barrier(
    browse: Open, axe: str, snapped: Callable[[Page, str], None], width: int
) -> None:
    page = browse(width=width, scheme="light", reduced_motion="reduce")
    found = {}
    for name, (path, act) in STATES.items():
        page.emulate_media(color_scheme="light")
        page.goto(path)
        if act:
            act(page)
        page.evaluate("scrollTo(0, 0)")
        snapped(page, f"{name}-{width}-light")
        found[name] = violations(page, axe)
        # Dark differs in nothing but its colours.
        page.emulate_media(color_scheme="dark")
        snapped(page, f"{name}-{width}-dark")
        found[f"{name}, dark"] = violations(page, axe, OF_COLOURS)
    assert "\n".join(f"{name}: {barrier}" for name, barriers in found.items() for barrier in barriers) == ""
