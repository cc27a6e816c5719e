"""Pages by a test client, and pages of a real server in a real browser: Playwright's library with Debian's Chromium."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from libraries import a_large_library, a_library
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from starlette.testclient import TestClient

from api.app import create_app
from search.config import Config
from search.services import open_services

AXE = "axe-core@4.14.1"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PHONE, DESK = 390, 1440
on_desk_and_phone = pytest.mark.parametrize("width", [DESK, PHONE])
Open = Callable[..., Page]
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return a_library(tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="session")
def client(config: Config) -> Iterator[TestClient]:
    """A client of one library that tests only read."""
    with open_services(config) as services, TestClient(create_app(services), base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def own_client(tmp_path: Path) -> Iterator[TestClient]:
    """A client of a library of the test's own, to write to."""
    config = a_library(tmp_path)
    with open_services(config) as services, TestClient(create_app(services), base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture(scope="session")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `snapseek serve` over a library of more than one page."""
    data = a_large_library(tmp_path_factory.mktemp("served")).data
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("snapseek")), "serve", "--data", str(data), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        base = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{base}/readyz").close()
                break
            except OSError:
                assert server.poll() is None
                assert time.monotonic() < until
                time.sleep(0.1)
        yield base
        server.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for a module: the library's loop would be in the way of other tests of this process."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def browse(browser: Browser, base_url: str) -> Iterator[Open]:
    """Open a page in a window of some width; at the end, nothing may have been reported on its console."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def open_page(
        path: str = "/", *, width: int = DESK, scripts: bool = True, scheme: str = "light", **options: Any
    ) -> Page:
        context = browser.new_context(
            base_url=base_url,
            viewport={"width": width, "height": 844 if width < 600 else 900},
            java_script_enabled=scripts,
            color_scheme=scheme,
            has_touch=width < 600,
            locale=options.pop("locale", "en-GB"),
            **options,
        )
        context.set_default_timeout(90_000)  # the first picture loads models, on a busy machine slowly
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: _ours(request.url, base_url, problems))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    # Chromium reports each answer that is an error; which ones may come, the tests say themselves.
    assert [text for text in problems if "status of 4" not in text] == []


def show_filters(page: Page) -> None:
    """Open the drawer that the filters are in on a phone."""
    if page.locator(".drawer > summary").is_visible():
        page.click(".drawer > summary")


def _ours(url: str, base_url: str, problems: list[str]) -> None:
    if not url.startswith((base_url, "data:", "blob:")):
        problems.append(f"asked another host: {url}")


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, as npm has it."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm (Debian: npm), which fetches axe-core")
    folder = tmp_path_factory.mktemp("axe")
    done = subprocess.run(
        [npm, "pack", AXE, "--silent"], cwd=folder, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as packed:
        source = packed.extractfile("package/axe.min.js")
        assert source is not None
        return source.read().decode()


@pytest.fixture
def snapped(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """Keep a picture of a page where `--screenshots DIR` says so."""
    folder = request.config.getoption("--screenshots")

    def snap(page: Page, name: str) -> None:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=str(Path(folder) / f"{name}.png"))

    return snap


WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OF_COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules among these that look at colours."""


def violations(page: Page, axe: str, only: list[str] = WCAG) -> list[str]:
    """Return what axe-core finds against WCAG 2.2 AA, or against some rules only, with the elements."""
    page.evaluate(f"window.axe || {axe}")
    result = page.evaluate(f"axe.run(document, {{runOnly: {json.dumps(only)}}})")
    return [
        f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes']]}" for one in result["violations"]
    ]
