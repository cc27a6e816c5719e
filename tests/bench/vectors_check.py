"""Fail on a regression of the vector index: python tests/bench/vectors_check.py [--keep]

Absolute times say more of the hour than of the code, so only *ratios* are held against docs/performance.json: of each
lookup to a sum by NumPy in the same rounds, and of what the plan takes to the best lookup there is; and those
of the processor's time, not the clock's, which on a busy machine tells of waiting. Recall and
memory do not depend on the machine and have bounds. ``--keep`` writes today's ratios there.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parents[1]), str(ROOT)]

import numpy as np  # noqa: E402
from bench.vectors import opened, say, warmed, ways_of  # noqa: E402
from bench.vectors_data import VectorData, recall  # noqa: E402

from search.bitmaps import bitmap_of  # noqa: E402

KEPT = ROOT / "docs" / "performance.json"
ROWS = 200_000
FILTERS = ("all", "random-50", "near-50", "random-10", "near-10", "random-1", "near-1", "random-0.1")
QUERIES = 60
ROUNDS = 3
YARD_ROWS = 10_000
SLOWER = 1.6
"""A ratio that grew by this factor is a regression; the same code moved by a tenth on a busy machine."""
WRONG_PLAN = 2.0
"""The plan may take so many times what the best lookup takes."""
LEAST_RECALL = 0.99
MOST_BYTES = 105
"""Of a vector; a million of them take 96, for a rotation and the centres of the cells are shared by more."""


def measured(data: VectorData, work: Path) -> tuple[dict[str, float], list[str]]:
    """Return the ratios by name, and what is wrong whatever the machine."""
    wrong = []
    ratios: dict[str, float] = {}
    rng = np.random.default_rng(0)
    yard = data.rows(work)[:YARD_ROWS].astype(np.float32)
    made = opened(data, work)[1]
    bytes_a_row = made["own_bytes_a_row"] + made["mapped_bytes_a_row"]
    if bytes_a_row > MOST_BYTES:
        wrong.append(f"an index takes {bytes_a_row:.0f} bytes a vector, {MOST_BYTES} are allowed")
    index = warmed(data, work)
    for filtered in data.filtered(FILTERS, QUERIES, work):
        allowed = None if len(filtered.places) == data.count else bitmap_of(filtered.places)
        ways = ways_of(index, len(filtered.places))
        took: dict[str, list[float]] = {way: [] for way in (*ways, "yard")}
        found: dict[str, list[np.ndarray]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for query in filtered.queries:
                began = time.process_time()
                yard.sum()
                took["yard"].append(time.process_time() - began)
                for way in rng.permutation(list(ways)):  # none is always the one that finds the cache cold
                    ask = ways[way]
                    began = time.process_time()
                    answer = ask(query, allowed)
                    took[way].append(time.process_time() - began)
                    found[way].append(answer)
        medians = {way: float(np.median(times)) for way, times in took.items()}
        for way in ways:
            ratios[f"{filtered.name}: {way} / sum by NumPy"] = medians[way] / medians["yard"]
            right = recall(found[way][:QUERIES], filtered.nearest)
            if right < LEAST_RECALL:
                wrong.append(f"{filtered.name}: recall by {way} is {right:.4f}, below {LEAST_RECALL}")
        best = min(medians[way] for way in ways if way != "plan")
        if medians["plan"] > WRONG_PLAN * best:
            wrong.append(
                f"{filtered.name}: the plan takes {medians['plan'] / best:.1f} times what the best lookup does"
            )
        say(f"{filtered.name}: " + ", ".join(f"{way} {1000 * one:.2f} ms" for way, one in medians.items()))
    return ratios, wrong


def grown(ratios: dict[str, float], kept: dict[str, float]) -> list[str]:
    """Return what takes much more than it did, beside the same yardstick, or is no longer measured."""
    missing = [f"{name} is not measured any more; run with --keep" for name in kept if name not in ratios]
    return missing + [
        f"{name} is {ratios[name]:.2f}, {ratios[name] / before:.1f} times what it was"
        for name, before in kept.items()
        if name in ratios and ratios[name] > SLOWER * before
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--work", type=Path, help="folder that is kept; else all is made anew")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        work = options.work or Path(made)
        work.mkdir(parents=True, exist_ok=True)
        ratios, wrong = measured(VectorData(options.rows), work)
    kept: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    if options.keep:
        kept["vectors"] = {"rows": options.rows, "ratios": {name: round(one, 3) for name, one in ratios.items()}}
        KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    elif kept["vectors"]["rows"] == options.rows:
        wrong += grown(ratios, kept["vectors"]["ratios"])
    for one in wrong:
        print(one)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
