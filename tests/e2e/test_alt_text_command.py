"""`snapseek alt-text` as it is called: over real photos, in a hook, and as the action's script."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from alt_pages import write_pages
from click.testing import CliRunner
from libraries import a_library, photos

from api.cli import main
from search import open_library

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "alt-text.md"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    photos(tmp_path / "site")
    (tmp_path / "site" / "index.html").write_text(
        '<html lang="en"><body>\n<img src="pets/chelsea.png">\n<img alt="Our rocket" src="rocket.jpg">\n',
        encoding="utf-8",
    )
    return tmp_path / "site"


def run(*args: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["alt-text", *map(str, args)])
    return done.exit_code, done.stdout


def test_the_example_of_the_page_runs_as_it_stands_there(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(site.parent)
    (example,) = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    calls = [shlex.split(line, comments=True) for line in example.splitlines()]
    assert {tuple(call[:2]) for call in calls} == {("snapseek", "alt-text")}
    told = [run(*call[2:]) for call in calls]
    assert [status for status, _ in told] == [1, 0, 0, 0]
    assert re.match(r"site/index.html:2:1: error: .* \[missing-alt\]; proposed: “.*cat.*” \(informative\)", told[0][1])
    log = json.loads(Path("alt-text.sarif").read_text(encoding="utf-8"))
    (result,) = log["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "site/index.html"
    assert "[draft-alt]" in told[3][1]
    page = (site / "index.html").read_text(encoding="utf-8")
    assert re.search(r'<img src="pets/chelsea.png" alt="[^"]*cat[^"]*" data-alt-draft="snapseek">', page, re.IGNORECASE)
    assert '<img alt="Our rocket" src="rocket.jpg">' in page


def test_pages_with_every_case_are_decided_as_they_should_be(site: Path, tmp_path: Path) -> None:
    pages = write_pages(tmp_path / "pages", [site / "pets" / "chelsea.png"], 3)
    status, told = run(tmp_path / "pages", "--write", "--json", "--root", tmp_path / "pages")
    report = json.loads(told)
    assert status == 0
    assert report["pictures"] == sum(len(page.cases) for page in pages)
    wanted = sum(case.writes for page in pages for case in page.cases)
    assert sum(one["written"] for one in report["findings"]) == wanted


def test_what_a_person_wrote_in_a_library_comes_first(tmp_path: Path) -> None:
    config = a_library(tmp_path)
    with open_library(config.data) as library:
        library.tag(tmp_path / "photos" / "pets" / "chelsea.png", alt_text="Chelsea, asleep")
    page = tmp_path / "photos" / "a.md"
    page.write_text("![](pets/chelsea.png)", encoding="utf-8")
    assert run(page, "--write", "--data", config.data)[0] == 0
    assert page.read_text(encoding="utf-8") == "![Chelsea, asleep](pets/chelsea.png)"


def test_a_wrong_call_says_so(site: Path) -> None:
    assert run(site, "--check", "--write")[0] == 2
    assert run(site / "nothing")[0] == 2
    assert run(site, "--profile", "nonsense")[0] == 2
    (site / "a.txt").write_text("a", encoding="utf-8")
    assert run(site / "a.txt")[0] == 1


def test_the_hook_finds_what_is_missing(tmp_path: Path) -> None:
    """As `language: system`, for the package is installed here; who uses it has an environment made for it."""
    hooks = ROOT / ".pre-commit-hooks.yaml"
    subprocess.run([sys.executable, "-m", "pre_commit", "validate-manifest", hooks], check=True)
    (hook,) = yaml.safe_load(hooks.read_text(encoding="utf-8"))
    here = {**hook, "language": "system", "entry": f"{Path(sys.executable).parent}/{hook['entry']}"}
    del here["additional_dependencies"]
    (tmp_path / "a.md").write_text("![](https://example.org/a.jpg)\n", encoding="utf-8")
    (tmp_path / "a.py").write_text("", encoding="utf-8")
    config = {"repos": [{"repo": "local", "hooks": [here]}]}
    (tmp_path / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    environment = {**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "home"), "GIT_CONFIG_GLOBAL": os.devnull}
    for command in (["git", "init", "-q"], ["git", "add", "."]):
        subprocess.run(command, cwd=tmp_path, check=True, env=environment)
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "run", "--all-files"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "a.md:1:1: error: there is no alternative text [missing-alt]" in done.stdout


def test_the_action_is_valid_and_its_script_runs(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("<img src='https://example.org/a.jpg'>", encoding="utf-8")
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions", ROOT / "action.yml"]
    subprocess.run(check, check=True, capture_output=True)
    step = action["runs"]["steps"][-1]
    inputs = {**{name: given["default"] for name, given in action["inputs"].items()}, "paths": "site/index.html site"}
    given = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda m: inputs[m[1]], value)
        for name, value in step["env"].items()
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shell = [str(shutil.which("bash")), "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(
        shell, cwd=site.parent, env={**os.environ, **given, "PATH": path}, capture_output=True, text=True, check=False,
        encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stdout.count("[missing-alt]") == 1
    assert (site.parent / "alt-text.sarif").exists()
