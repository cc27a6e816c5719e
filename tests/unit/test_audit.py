import importlib.util
import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "audit"


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_loader("audit", SourceFileLoader("audit", str(SCRIPT)))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def a_package(*vulnerabilities: str) -> dict:
    known = [{"id": id, "fix_versions": ["1.1"]} for id in vulnerabilities]
    return {"name": "example", "version": "1.0", "vulns": known}


SKIPPED = {"name": "other", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("report", "status"),
    [
        ([a_package()], 0),
        ([a_package(), SKIPPED], 0),
        ([a_package("CVE-1")], 1),
        ([SKIPPED, a_package(), a_package("CVE-1", "CVE-2")], 1),
        ([SKIPPED], 75),
        ([], 75),
    ],
)
def test_only_a_known_vulnerability_fails(audit: ModuleType, report: list[dict], status: int) -> None:
    assert audit.told(report) == status


def test_what_is_vulnerable_is_named_with_what_mends_it(audit: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    audit.told([a_package("CVE-1"), SKIPPED])
    assert "example 1.0: CVE-1, mended in 1.1" in capsys.readouterr().out


def test_where_nobody_can_be_asked_that_is_said_and_no_failure(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"example==1.0 --hash=sha256:{'0' * 64}\n", encoding="utf-8")
    nobody = {**os.environ, "HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(lock)],
        env={**nobody, "https_proxy": "http://127.0.0.1:9", "no_proxy": "", "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        encoding="utf-8",
    )
    assert done.returncode == 75, done.stderr
    assert "not audited" in done.stdout
