"""A picture that is looked at in the browser: as the library would, and without leaving it."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import DESK, PHONE
from libraries import a_library
from looking import looked
from playwright.sync_api import Browser, Page, expect
from processes import Server, serving
from starlette.testclient import TestClient

from api.app import create_app
from api.cli import main
from indexer.browser.export import export
from indexer.browser.files import FOLDER, MANIFEST
from indexer.decode import Limits, decode_file
from search.config import Config
from search.encoders.lite import LiteEncoder
from search.errors import ConfigError
from search.services import open_services

PAGE = Path(__file__).parents[2] / "docs" / "browser.md"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Config:
    if shutil.which("npm") is None:
        pytest.skip("needs npm (Debian: npm), which fetches the runtime")
    config = a_library(tmp_path_factory.mktemp("look"))
    (example,) = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (call,) = [shlex.split(line, comments=True) for line in example.splitlines()]
    done = CliRunner().invoke(main, call[1:], env={"SNAPSEEK_DATA": str(config.data)})
    assert done.exit_code == 0, done.output
    return config


@pytest.fixture(scope="module")
def server(exported: Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(exported.data, tmp_path_factory.mktemp("log") / "log", workers=0) as server:
        yield server


def photo(config: Config, name: str) -> Path:
    return config.data.with_name("photos") / name


def opened(browser: Browser, server: Server, width: int = DESK) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 844})
    page.set_default_timeout(90_000)
    page.goto(f"{server.url}/look")
    return page


@pytest.mark.browser
def test_a_browser_makes_the_vectors_of_the_library(browser: Browser, server: Server, exported: Config) -> None:
    encoder = LiteEncoder()
    page = opened(browser, server)
    for name in ("pets/chelsea.png", "rocket.jpg", "people/astronaut.png", "motorcycle_left.png", "coins.png"):
        path = photo(exported, name)
        ours = encoder.encode_images([decode_file(str(path), encoder.side, Limits(10**9, 10**9)).image()])[0]
        theirs = looked(page, path.read_bytes())
        assert "error" not in theirs, theirs
        assert theirs["space"] == encoder.space.fingerprint
        assert float(np.asarray(theirs["vector"], np.float32) @ ours) >= 0.99, name
    broken = looked(page, b"no picture")
    assert "error" in broken
    page.context.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [DESK, PHONE])
def test_a_picture_is_searched_by_and_does_not_leave_the_browser(
    browser: Browser, server: Server, exported: Config, width: int
) -> None:
    page = opened(browser, server, width)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.post_data or "") if request.method == "POST" else None)
    page.set_input_files("[data-look] input[type=file]", photo(exported, "pets/chelsea.png"))
    expect(page.locator("[data-look-objects] li").first).to_contain_text("cat")
    expect(page.locator("[data-look-status]")).to_contain_text("on this device")
    assert page.locator(".look-picture .boxes rect").count() >= 1
    assert sent == []
    page.set_input_files("[data-look] input[type=file]", [{"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"no"}])
    expect(page.locator("[data-look-status]")).to_contain_text("did not work")
    expect(page.locator("[data-look] button")).to_be_disabled()
    page.set_input_files("[data-look] input[type=file]", photo(exported, "pets/chelsea.png"))
    page.locator("[data-look] button").click()
    expect(page.locator(".hit").first).to_be_visible()
    assert "like=" in page.url
    (body,) = sent
    assert body.startswith('{"vector":[')
    assert len(body) < 20_000
    page.context.close()


def test_a_vector_of_another_space_is_refused(exported: Config) -> None:
    with (
        open_services(exported) as services,
        TestClient(create_app(services), base_url="http://127.0.0.1") as client,
    ):
        space = services.encoder.space
        vector = [1.0] + [0.0] * (space.dim - 1)
        for told in (space.fingerprint, f"{space.name}-{space.fingerprint[:12]}"):
            assert client.post("/v1/search", json={"vector": vector, "space": told}).status_code == 200
        for path in ("/v1/search", "/look"):
            assert client.post(path, json={"vector": vector, "space": "0" * 32}).status_code == 422
            assert client.post(path, json={"vector": vector[1:], "space": space.fingerprint}).status_code == 422
            assert client.post(path, json={"vector": [0.0] * space.dim, "space": space.fingerprint}).status_code == 422
        assert client.get("/browser/manifest.json").json()["space"] == space.fingerprint
        worker = client.get("/browser/look-worker.js")
        assert "'wasm-unsafe-eval'" in worker.headers["content-security-policy"]
        assert "wasm-unsafe-eval" not in client.get("/look").headers["content-security-policy"]
        assert client.get("/browser/..%2fcatalog.sqlite").status_code == 404
        assert client.get("/browser/catalog.sqlite").status_code == 404


def test_without_files_that_fit_the_page_says_what_to_run(client: TestClient, exported: Config, tmp_path: Path) -> None:
    page = client.get("/look").text
    assert "snapseek models browser" in page
    assert "data-look" not in page
    assert client.get("/browser/manifest.json").status_code == 404
    shutil.copytree(exported.data, tmp_path / "library")
    manifest = tmp_path / "library" / FOLDER / MANIFEST
    manifest.write_text(manifest.read_text(encoding="utf-8").replace('"space": "', '"space": "0'), encoding="utf-8")
    config = exported.model_copy(update={"data": tmp_path / "library"})
    with open_services(config) as services, TestClient(create_app(services), base_url="http://127.0.0.1") as other:
        assert "snapseek models browser" in other.get("/look").text


def test_a_runtime_that_is_not_the_one_that_was_checked_is_refused(exported: Config, tmp_path: Path) -> None:
    (tmp_path / "runtime.tgz").write_bytes(b"something else")
    with pytest.raises(ConfigError, match="is not onnxruntime-web"):
        export(exported, tmp_path / "runtime.tgz")
    assert (exported.data / FOLDER / MANIFEST).exists()
