"""Ask every operation of the HTTP API what its description allows, and what it does not, alone and in sequences.

    python tests/bench/api_cases.py                  # some 2,500 cases
    python tests/bench/api_cases.py --examples 100

Schemathesis makes the cases from the server's own OpenAPI document and looks at each answer: no 5xx; statuses, types,
headers and bodies as described; what the document forbids refused; what was deleted gone. One of its checks is left
out: that all that fits the document is taken. Filters, cursors and boxes are languages of their own, which a schema
does not hold, so an answer of 422 is right for most texts.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from libraries import index
from pictures import a_picture, save
from processes import serving

PROFILE = '[embedding]\nlibrary = "lite"\n[objects]\nlibrary = "lite"\n'
LEFT_OUT = "positive_data_acceptance"


def api_cases(
    folder: Path, examples: int, seed: int = 1, phases: str = "coverage,fuzzing,stateful"
) -> dict[str, object]:
    """Return how many cases were tried on a small library, and what was found, as text; empty where nothing was."""
    (folder / "profile.toml").write_text(PROFILE, encoding="utf-8")
    for number in range(6):
        save(folder / "photos" / f"{number}.jpg", a_picture(number, (320, 200)))
    index(folder / "library", folder / "photos", profile=str(folder / "profile.toml"))
    with serving(folder / "library", folder / "log", "--workers", "1", rate_limit="off") as server:
        command = [
            str(Path(sys.executable).with_name("schemathesis")), "run", f"{server.url}/openapi.json", "--no-color",
            "--phases", phases, "--max-examples", str(examples), "--seed", str(seed),
            "--continue-on-failure", "--exclude-checks", LEFT_OUT, "--suppress-health-check", "all",
            "--warnings", "off", "--request-timeout", "60",
        ]  # fmt: skip
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNDEFAULTENCODING"}
        done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False, env=environment)
        lives = server.runs and server.client.get("/readyz").status_code == 200
    said = done.stdout + done.stderr
    counted = re.search(r"([\d,]+) generated", said)
    operations = re.search(r"Tested: (\d+)", said)
    log = (folder / "log").read_text(encoding="utf-8")
    return {
        "cases": int(counted[1].replace(",", "")) if counted else 0,
        "operations": int(operations[1]) if operations else 0,
        "problems": "" if done.returncode == 0 else said,
        "server lives": lives,
        "unforeseen errors": log.count("Traceback"),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=20, help="of each operation, beside those of each parameter")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = api_cases(Path(folder), options.examples, options.seed)
    print(report.pop("problems"))
    print(json.dumps(report, indent=2))
    return 0 if report["server lives"] and not report["unforeseen errors"] and report["cases"] else 1


if __name__ == "__main__":
    sys.exit(main())
