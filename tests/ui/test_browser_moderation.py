"""People review what is flagged: with the mouse, by keys, and without scripts."""

import pytest
from conftest import PHONE, Open, on_desk_and_phone
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def flagged(page: Page, *names: str) -> list[str]:
    """Flag the pictures of those files as a person would, and return their ids."""
    ids = []
    for name in names:
        (hit,) = page.request.get("/v1/search", params={"filter": f'path:"*{name}"', "k": "1"}).json()["hits"][:1]
        tag = {"kind": "moderation", "label": "violence"}
        assert page.request.patch(f"/v1/images/{hit['id']}", data={"tags": {"add": [tag]}}).ok
        ids.append(hit["id"])
    return ids


@on_desk_and_phone
def test_what_is_rejected_is_found_by_nobody_until_it_is_approved(browse: Open, width: int) -> None:
    page = browse(width=width)
    name = f"rocket-{2 if width == PHONE else 1}.jpg"
    (id,) = flagged(page, name)
    page.goto("/moderation")
    review = page.locator(f"#review-{id}")
    expect(review).to_contain_text("violence 100%")
    expect(review.locator("img")).to_be_hidden()
    review.locator("summary").click()
    expect(review.locator("img")).to_be_visible()
    review.get_by_label("Note").fill("a launch")
    review.get_by_role("button", name="Reject").click()
    expect(page.locator(f"#review-{id}.rejected")).to_contain_text("a launch")
    assert not page.request.get("/v1/search", params={"filter": f'path:"*{name}"'}).json()["hits"]
    page.get_by_role("link", name="Rejected").click()
    page.locator(f"#review-{id}").get_by_role("button", name="Approve").click()
    expect(page.locator(f"#review-{id}.approved")).to_be_visible()
    assert page.request.get("/v1/search", params={"filter": f'path:"*{name}"'}).json()["hits"]


@on_desk_and_phone
def test_the_queue_is_worked_through_by_keys(browse: Open, width: int) -> None:
    page = browse(width=width)
    ids = flagged(page, f"coins-{2 if width == PHONE else 1}.jpg", f"page-{2 if width == PHONE else 1}.jpg")
    page.goto("/moderation")
    page.locator(f"#review-{ids[0]} summary").focus()
    page.keyboard.press("a")
    expect(page.locator(f"#review-{ids[0]}.approved")).to_be_visible()
    assert page.evaluate("document.activeElement.closest('.review')?.id") != f"review-{ids[0]}"
    page.locator(f"#review-{ids[1]} summary").focus()
    page.keyboard.press("a")
    expect(page.locator(f"#review-{ids[1]}.approved")).to_be_visible()


@on_desk_and_phone
def test_the_queue_works_without_javascript(browse: Open, width: int) -> None:
    page = browse(scripts=False, width=width)
    (id,) = flagged(page, f"brick-{2 if width == PHONE else 1}.jpg")
    page.goto("/moderation")
    page.locator(f"#review-{id}").get_by_role("button", name="Approve").click()
    page.wait_for_url("**/moderation?state=flagged")
    expect(page.locator(f"#review-{id}")).to_have_count(0)
    page.get_by_role("link", name="Approved").click()
    expect(page.locator(f"#review-{id}")).to_contain_text("approved by")
