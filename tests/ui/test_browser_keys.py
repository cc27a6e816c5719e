"""A server that asks for keys, in a real browser: signing in, looking round, signing out."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import violations
from libraries import a_library
from playwright.sync_api import Browser, Page, expect

from api.auth import Scope
from api.key_store import KeyStore

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of `snapseek serve` with a key for searching, and the key."""
    data = a_library(tmp_path_factory.mktemp("keyed")).data
    with closing(KeyStore(data)) as store:
        key, _ = store.create("Anna", {Scope.SEARCH})
    with socket.create_server(("127.0.0.1", 0)) as free:
        base = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = [str(Path(sys.executable).with_name("snapseek")), "serve", "--data", str(data), "--workers", "0"]
    with subprocess.Popen([*command, "--port", base.rpartition(":")[2]], stderr=subprocess.DEVNULL) as server:
        until = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{base}/healthz").close()
                break
            except OSError:
                assert server.poll() is None
                assert time.monotonic() < until
                time.sleep(0.1)
        yield base, key
        server.terminate()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_who_has_a_key_signs_in_looks_round_and_signs_out(
    browser: Browser, served: tuple[str, str], axe: str, scripts: bool
) -> None:
    base, key = served
    context = browser.new_context(base_url=base, java_script_enabled=scripts, locale="en-GB")
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto("/?q=cat")
    expect(page.get_by_role("heading")).to_have_text("Sign in")
    if scripts:
        assert violations(page, axe) == []
    page.get_by_label("API key").fill("a guess")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not known here")

    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{base}/?q=cat")
    _expect_pictures(page)
    (cookie,) = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    assert key not in cookie["value"]
    page.locator("details[data-menu] summary").first.click()
    expect(page.get_by_role("link", name="Moderation")).to_have_count(0)

    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{base}/sign-in")
    page.goto("/?q=cat")
    expect(page.get_by_role("heading")).to_have_text("Sign in")
    assert problems == []
    context.close()


def _expect_pictures(page: Page) -> None:
    picture = page.locator("#results img").first
    expect(picture).to_be_visible()
    assert page.request.get(picture.get_attribute("src") or "").ok, "pictures are let through by the cookie"
