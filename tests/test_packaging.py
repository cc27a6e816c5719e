"""The distribution: what lies in the wheel, what the lock pins, what must not be in the repository."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("indexer", "search", "api", "ui")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True, encoding="utf-8"
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_our_import_names_belong_to_no_other_distribution() -> None:
    owners = packages_distributions()
    for name in OURS:
        assert set(owners.get(name, [])) <= {"snapseek"}, name


def test_the_wheel_holds_all_that_is_needed_at_run_time(tmp_path: Path) -> None:
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = set(zipfile.ZipFile(wheel).namelist())
    needed = [
        path for name in OURS for path in (ROOT / name).rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    assert {path.relative_to(ROOT).as_posix() for path in needed} <= names
    assert not any(name.startswith("tests/") for name in names)


def test_templates_are_found_as_a_resource() -> None:
    assert (files("ui") / "templates" / "search.html").is_file()


def test_importing_the_core_loads_no_heavy_library() -> None:
    code = "import sys, search, search.types, search.config, api.cli; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, encoding="utf-8"
    )
    assert not {"torch", "faiss", "openvino", "tokenizers", "PIL", "fastapi"} & set(done.stdout.split())


def test_no_library_keeps_statistics_of_its_user(tmp_path: Path) -> None:
    # OpenVINO wrote an identifier and a count of days to a home folder, and would have sent them.
    code = """
import sys
from indexer.browser import nets
from indexer.taggers import packaged_moderation
from indexer.profiles import open_profile
open_profile("lite").encoder.encode_texts(["a dog"])
print([name for name in sys.modules if name.startswith("openvino_telemetry") and sys.modules[name] is not None])
"""
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "XDG_CACHE_HOME"}}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        encoding="utf-8",
        check=False,
        env={**environment, "HOME": str(tmp_path)},
    )
    assert done.stdout == "[]\n", done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [".cache"]
    assert [path.name for path in (tmp_path / ".cache").iterdir()] == ["snapseek"]


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-core.lock", "requirements-bench.lock"])
def test_the_lock_pins_everything_with_hashes_and_names_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert "index-url" not in text
    for requirement in re.split(r"\n(?=\S)", text.strip()):
        assert re.match(r"[\w.-]+==\S+", requirement), requirement[:60]
        assert "--hash=sha256:" in requirement, requirement[:60]


def test_the_lock_fits_the_project() -> None:
    locks = (ROOT / lock for lock in ("requirements.lock", "requirements-bench.lock"))
    pinned = {
        name for lock in locks for name in re.findall(r"^([\w.-]+)==", lock.read_text(encoding="utf-8"), re.MULTILINE)
    }
    wanted = list(PROJECT["project"]["dependencies"])
    for extra in PROJECT["project"]["optional-dependencies"].values():
        wanted += extra
    wanted += [entry for group in PROJECT["dependency-groups"].values() for entry in group if isinstance(entry, str)]
    missing = {re.split(r"[<>=\[ ]", name)[0].lower().replace("_", "-") for name in wanted} - pinned
    assert not missing, f"run `make lock`: {missing}"


def test_no_large_file_and_no_absolute_path_is_tracked() -> None:
    for path in tracked():
        assert path.stat().st_size < 2_200_000, path
        if path.suffix in {".py", ".md", ".toml", ".yml", ".html", ".js", ".css"} or path.name in {"Makefile", "run"}:
            assert str(Path.home()) + "/" not in path.read_text(encoding="utf-8"), path
            assert str(ROOT) + "/" not in path.read_text(encoding="utf-8"), path


def test_no_lock_that_names_hosts_is_tracked() -> None:
    assert not {path.name for path in tracked()} & {"uv.lock", "package-lock.json", "poetry.lock"}
