"""Lighthouse over the search page of a library of 48 pictures or more: `tests/bench/lighthouse.py LIBRARY [FORM]`.

FORM is `mobile` (a slow phone on a slow line, Lighthouse's default) or `desktop`. Needs npx, which fetches Lighthouse,
and Chromium. Prints the scores and the figures behind them; exit status 1 where one is below what is promised.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

LIGHTHOUSE = "lighthouse@13.5.0"
LEAST = {"performance": 95, "accessibility": 100, "best-practices": 95}
FIGURES = (
    "first-contentful-paint",
    "largest-contentful-paint",
    "total-blocking-time",
    "cumulative-layout-shift",
    "speed-index",
    "total-byte-weight",
)
MOST_SHIFT = 0.02


def main(library: Path, form: str) -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [Path(sys.executable).with_name("snapseek"), "serve", "--data", library, "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            return measured(f"http://127.0.0.1:{port}", form)
        finally:
            server.terminate()


def measured(base: str, form: str) -> int:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            page = urllib.request.urlopen(f"{base}/", timeout=30).read().decode()
            break
        except OSError:
            time.sleep(0.2)
    shown = page.count('class="hit ')
    assert shown >= 48, f"the page shows {shown} pictures, 48 are wanted"
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--preset=desktop"] if form == "desktop" else []
        flags = f"--headless=new --no-sandbox --user-data-dir={folder}/profile"
        subprocess.run(
            [str(shutil.which("npx")), "--yes", LIGHTHOUSE, f"{base}/", "--output=json", f"--output-path={report}",
             "--quiet", f"--only-categories={','.join(LEAST)}", f"--chrome-flags={flags}", *options],
            check=True, env={**os.environ, "CHROME_PATH": "/usr/bin/chromium"},
        )  # fmt: skip
        result = json.loads(report.read_text(encoding="utf-8"))
    scores = {name: round(100 * result["categories"][name]["score"]) for name in LEAST}
    figures = {name: result["audits"][name]["numericValue"] for name in FIGURES}
    print(json.dumps({"form": form, "pictures": shown, "scores": scores, "figures": figures}, indent=2))
    for audit in result["audits"].values():
        if audit.get("score") is not None and audit["score"] < 0.9:
            print(f"  {audit['id']}: {audit['title']} {audit.get('displayValue', '')}", file=sys.stderr)
    good = all(scores[name] >= least for name, least in LEAST.items())
    return 0 if good and figures["cumulative-layout-shift"] < MOST_SHIFT else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "mobile"))
