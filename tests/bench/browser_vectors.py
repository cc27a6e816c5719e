"""The vectors that a browser makes against the library's: `tests/bench/browser_vectors.py PHOTOS [--count 50]`.

Needs Chromium, and npm or the archive of the runtime (--runtime). Says the least and mean cosine, the time for a
picture and what has to be loaded.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from libraries import index
from looking import looked
from playwright.sync_api import Page, sync_playwright
from processes import serving

from indexer.browser.export import export
from indexer.decode import Limits, decode_file
from search.config import load_config
from search.encoders.lite import LiteEncoder

LEAST = 0.995


def cosines(page: Page, photos: list[Path]) -> list[tuple[float, float]]:
    """Return the cosine to the library's vector, and the milliseconds, of each photo."""
    encoder, limits = LiteEncoder(), Limits(10**9, 10**9)
    rows = []
    for photo in photos:
        ours = encoder.encode_images([decode_file(str(photo), encoder.side, limits).image()])[0]
        theirs = looked(page, photo.read_bytes())
        assert "error" not in theirs, theirs
        rows.append((float(np.asarray(theirs["vector"], np.float32) @ ours), theirs["milliseconds"]))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--runtime", type=Path)
    given = parser.parse_args()
    photos = sorted(path for path in given.photos.rglob("*") if path.suffix in (".jpg", ".png"))[: given.count]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        data = Path(folder) / "library"
        (Path(folder) / "nothing").mkdir()
        index(data, Path(folder) / "nothing", profile="lite")
        sizes = export(load_config(data=data), given.runtime)
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        with serving(data, Path(folder) / "log", workers=0) as server:
            page = chromium.new_page()
            page.goto(f"{server.url}/look")
            rows = cosines(page, photos)
        chromium.close()
    least = min(cosine for cosine, _ in rows)
    print(
        json.dumps(
            {
                "photos": len(rows),
                "least_cosine": round(least, 5),
                "mean_cosine": round(statistics.mean(cosine for cosine, _ in rows), 5),
                "median_ms": round(statistics.median(milliseconds for _, milliseconds in rows)),
                "megabytes": {name: round(size / 1e6, 1) for name, size in sizes.items()},
            },
            indent=2,
        )
    )
    return 0 if least >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
