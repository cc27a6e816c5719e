"""The library API, and the example of its page as it stands there."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from libraries import a_library

from search import Library, open_library
from search.config import Config
from search.errors import ConfigError, InvalidQuery, NotFound

PAGE = Path(__file__).parents[2] / "docs" / "library.md"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return a_library(tmp_path_factory.mktemp("library_api"))


@pytest.fixture(scope="module")
def library(config: Config) -> Iterator[Library]:
    with open_library(config.data) as opened:
        yield opened


def test_the_example_of_the_page_runs_as_it_stands_there(config: Config, tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    shutil.copytree(config.data, tmp_path / "snapseek-data")
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("pets/chelsea.png")
    assert lines[-1] == "Rex, a ginger cat, looks up"


def test_a_person_s_tags_overrule_and_are_found(library: Library) -> None:
    id = library.search("a cat").hits[0].image.id
    record = library.tag(id, add=["ratio: 3:4", "scene:sofa"], remove=["object:cat"], caption="Chelsea")
    tags = {(str(tag.kind), tag.label) for tag in record.tags}
    assert {("user", "ratio: 3:4"), ("scene", "sofa")} <= tags
    assert ("object", "cat") not in tags
    assert library.show(id).caption == "Chelsea"
    assert [hit.image.id for hit in library.search(filter="scene:sofa").hits] == [id]


def test_bad_input_is_named_and_changes_nothing(library: Library) -> None:
    id = library.search("a rocket").hits[0].image.id
    before = library.show(id)
    for label in ("", "  ", "object:", "x" * 101):
        with pytest.raises(InvalidQuery, match="a label has"):
            library.tag(id, add=["fine", label])
    with pytest.raises(InvalidQuery, match="sort must be"):
        library.search("a cat", sort="best")
    with pytest.raises(InvalidQuery, match="by must be"):
        library.similar(id, by="smell")
    with pytest.raises(InvalidQuery):
        library.search(filter="object:")
    with pytest.raises(NotFound):
        library.show("0" * 32)
    assert library.show(id) == before


def test_no_library_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError), open_library(tmp_path / "none"):
        pass
