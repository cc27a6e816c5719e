"""A real server over real photos, and a real browser in front of it."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from libraries import a_library
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
)
Browser = webdriver.Chrome
Open = Callable[..., Browser]


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `snapseek serve` over the photos of `libraries`."""
    folder = tmp_path_factory.mktemp("served")
    data = a_library(folder).data
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


@pytest.fixture
def browse(base_url: str, tmp_path: Path) -> Iterator[Open]:
    """Open a page in a browser of some width; at the end, nothing may have been reported on its console."""
    opened: list[Browser] = []

    def open_page(path: str = "/", *, width: int = 1280, scripts: bool = True) -> Browser:
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for flag in (*FLAGS.split(), f"--user-data-dir={tmp_path / str(len(opened))}"):
            options.add_argument(flag)
        if not scripts:
            options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
        browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        opened.append(browser)
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(base_url + path)
        return browser

    yield open_page
    problems = [entry["message"] for browser in opened for entry in browser.get_log("browser")]
    for browser in opened:
        browser.quit()
    assert problems == []
