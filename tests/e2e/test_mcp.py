"""`snapseek mcp` as a client sees it: the package's own, over stdin and stdout of a process."""

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner
from libraries import index, photos
from mcp import Client, StdioServerParameters
from PIL import Image

from api.cli import main
from search import open_library
from search.config import Config

PAGE = Path(__file__).parents[2] / "docs" / "mcp.md"
SNAPSEEK = str(Path(sys.executable).with_name("snapseek"))

Talk = Callable[[Client], Coroutine[Any, Any, None]]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("mcp")
    chosen = photos(folder / "photos")
    index(folder / "library", chosen / "pets", chosen / "rocket.jpg", chosen / "coins.png")
    return Config(data=folder / "library")


@asynccontextmanager
async def served(config: Config, *options: str) -> AsyncIterator[Client]:
    arguments = ["mcp", "--data", str(config.data), *options]
    async with Client(StdioServerParameters(command=SNAPSEEK, args=arguments)) as client:
        yield client


def talk(config: Config, what: Talk, *options: str) -> None:
    async def session() -> None:
        async with served(config, *options) as client:
            await what(client)

    anyio.run(session)


def said(result: Any) -> str:
    return " ".join(part.text for part in result.content if part.type == "text")


def pictures(result: Any) -> list[Image.Image]:
    return [
        Image.open(io.BytesIO(base64.b64decode(part.data)))
        for part in result.content
        if part.type == "image" and part.mime_type == "image/webp"
    ]


def test_a_client_searches_looks_is_told_what_is_wrong_and_cannot_write(config: Config) -> None:
    async def reads(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"search", "similar", "show"}
        assert all(tool.annotations.read_only_hint and tool.output_schema for tool in tools.values())

        found = await client.call_tool("search", {"text": "a cat", "k": 4, "thumbnails": 2})
        listed = found.structured_content["pictures"]
        assert listed[0]["files"] == ["chelsea.png"]
        assert "object:cat" in listed[0]["tags"]
        assert listed[0]["why"]
        assert json.loads(found.content[0].text) == found.structured_content
        assert [max(image.size) for image in pictures(found)] == [256] * min(2, len(listed))

        record = await client.call_tool("show", {"picture": listed[0]["id"]})
        assert record.structured_content["files"] == ["chelsea.png"]
        assert max(pictures(record)[0].size) <= 512

        near = await client.call_tool("similar", {"picture": listed[0]["id"], "k": 2, "thumbnails": 0})
        assert len(near.structured_content["pictures"]) == 2
        assert listed[0]["id"] not in {one["id"] for one in near.structured_content["pictures"]}
        assert pictures(near) == []

        nothing = await client.call_tool("search", {"filter": "object:zebra"})
        assert nothing.structured_content == {"total": 0, "total_is_exact": True, "pictures": []}
        for tool, arguments, reason in (
            ("search", {"filter": "animal:dog"}, "animal"),
            ("search", {"text": "a cat", "k": 5000}, "50"),
            ("show", {"picture": "0" * 32}, "there is no image"),
            ("tag", {"picture": listed[0]["id"], "add": ["Rex"]}, "tag"),
        ):
            wrong = await client.call_tool(tool, arguments)
            assert wrong.is_error
            assert reason in said(wrong)

    talk(config, reads)


def test_with_write_a_client_tags_as_a_person_does(config: Config, tmp_path: Path) -> None:
    copied = Config(data=tmp_path / "library")
    shutil.copytree(config.data, copied.data)

    async def writes(client: Client) -> None:
        id = (await client.call_tool("search", {"text": "a cat"})).structured_content["pictures"][0]["id"]
        change = {"picture": id, "add": ["Chelsea"], "remove": ["object:cat"], "alt_text": "Chelsea looks up"}
        after = await client.call_tool("tag", change)
        tags = {(tag["kind"], tag["label"], tag["source"]) for tag in after.structured_content["tags"]}
        assert ("user", "Chelsea", "person") in tags
        assert not any(label == "cat" and kind == "object" for kind, label, _ in tags)
        found = await client.call_tool("search", {"filter": "user:Chelsea"})
        assert [one["id"] for one in found.structured_content["pictures"]] == [id]
        refused = await client.call_tool("tag", {"picture": id, "add": ["x" * 101]})
        assert refused.is_error

    talk(copied, writes, "--write")
    with open_library(copied.data) as library:
        assert library.show(library.search(filter="user:Chelsea").hits[0].image.id).alt_text == "Chelsea looks up"


def test_the_example_of_the_page_runs_as_it_stands_there(config: Config, tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    shutil.copytree(config.data, tmp_path / "snapseek-data")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("chelsea.png")
    assert second == "['image/webp']"


def test_no_library_is_an_error_on_stderr(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["mcp", "--data", str(tmp_path / "none")])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "there is no library" in done.stderr
