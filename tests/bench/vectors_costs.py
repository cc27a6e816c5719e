"""Fit what the ways to look up vectors cost: python tests/bench/vectors_costs.py [--rows N] [--write] [--json FILE]

Every lookup is timed over filters of many sizes, all of them taking turns, and the costs of each (of a query, and of
a row that it touches) are fitted to the medians by least squares of the relative error. ``--write`` puts the constants
into `search/planner.py` and the table into docs/adr/0013.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parents[1]), str(ROOT)]

import numpy as np  # noqa: E402
from bench.vectors import opened, options_of, reporting, say, with_costs  # noqa: E402
from bench.vectors_data import VectorData  # noqa: E402
from pyroaring import BitMap  # noqa: E402

from search.bitmaps import bitmap_of  # noqa: E402
from search.planner import Costs, Lookup, cheapest  # noqa: E402

SIZES = (500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 125_000, 250_000, 500_000)
MOST = {Lookup.EXACT: 64_000, Lookup.GATHER: 500_000, Lookup.CELLS: 10**9}
ROUNDS = 25
PLANNER, ADR = ROOT / "search" / "planner.py", ROOT / "docs" / "adr" / "0013-codes-in-cells.md"


def timed(data: VectorData, work: Path) -> list[dict[str, Any]]:
    """Return the median of each lookup over each number of allowed rows, in microseconds."""
    indexes = {one: opened(data, work, with_costs(one))[0] for one in Lookup}
    (asked,) = data.filtered(["all"], ROUNDS, work)
    shuffled = np.random.default_rng(3).permutation(data.count)
    found = []
    for allowed in [*(size for size in SIZES if size <= data.count // 2), data.count]:
        within: BitMap | None = None if allowed == data.count else bitmap_of(shuffled[:allowed])
        taken = {one: index for one, index in indexes.items() if allowed <= MOST[one]}
        took: dict[Lookup, list[float]] = {one: [] for one in taken}
        for query in asked.queries:
            for one, index in taken.items():
                began = time.perf_counter()
                index.search(query[None], 10, allowed=within)
                took[one].append((time.perf_counter() - began) * 1e6)
        scanned = indexes[Lookup.CELLS].scanned(allowed)
        for one in taken:
            median = float(np.median(took[one]))
            row = {"lookup": str(one), "allowed": allowed, "scanned": round(scanned), "masked": within is not None}
            found.append({**row, "microseconds": round(median, 1)})
            say(f"{found[-1]}")
    return found


def fitted(found: Sequence[dict[str, Any]]) -> Costs:
    """Return the costs that come nearest to what was timed; none of them is below nothing."""
    values: dict[str, float] = {}
    for one in Lookup:
        rows = [row for row in found if row["lookup"] == one]
        touched = [row["scanned"] if one is Lookup.CELLS else row["allowed"] for row in rows]
        columns = [np.ones(len(rows)), np.array(touched, float)]
        names = [str(one), f"{one}_row"]
        if one is Lookup.CELLS:
            columns.append(np.array([row["allowed"] * row["masked"] for row in rows], float))
            names.append("mask_row")
        took = np.array([row["microseconds"] for row in rows])
        values |= dict(zip(names, _not_negative(np.stack(columns, axis=1), took), strict=True))
    return Costs(**values)


def _not_negative(columns: np.ndarray, took: np.ndarray) -> list[float]:
    """Return the weights of the columns that fit best, without those that would be negative."""
    kept = list(range(columns.shape[1]))
    while True:
        weights = np.linalg.lstsq(columns[:, kept] / took[:, None], np.ones(len(took)), rcond=None)[0]
        if (weights >= 0).all():
            return [float(weights[kept.index(place)]) if place in kept else 0.0 for place in range(columns.shape[1])]
        kept.pop(int(np.argmin(weights)))


def table(found: Sequence[dict[str, Any]], costs: Costs) -> str:
    """Return the figures as Markdown: what each lookup took, what the costs say, and which one they choose."""
    lines = ["| allowed | " + " | ".join(f"`{one}`, µs: timed / by costs" for one in Lookup) + " | chosen |"]
    lines.append("|---" * (2 + len(Lookup)) + "|")
    for allowed in dict.fromkeys(row["allowed"] for row in found):
        cells, scanned, masked = [], 0.0, True
        for one in Lookup:
            rows = [row for row in found if (row["allowed"], row["lookup"]) == (allowed, one)]
            if not rows:
                cells.append("–")
                continue
            scanned, masked = rows[0]["scanned"], rows[0]["masked"]
            said = costs.of(one, allowed=allowed, scanned=scanned, masked=masked)
            cells.append(f"{rows[0]['microseconds']:,.0f} / {said:,.0f}")
        chosen = cheapest(allowed=allowed, scanned=scanned, masked=masked, coded=True, costs=costs)
        lines.append(f"| {allowed:,} | " + " | ".join(cells) + f" | `{chosen}` |")
    return "\n".join(lines)


def written(text: str, costs: Costs) -> str:
    """Return the source of the planner with other constants."""
    said = "".join(f"    {one.name}={getattr(costs, one.name):.3g},\n" for one in fields(Costs))
    changed, count = re.subn(r"COSTS = Costs\(\n.*?\n\)", f"COSTS = Costs(\n{said})", text, flags=re.DOTALL)
    assert count == 1
    return changed


def between(text: str, name: str, content: str) -> str:
    """Return a page with other content between the marks of that name."""
    pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    changed, count = re.subn(pattern, lambda found: found[1] + content + "\n" + found[2], text, flags=re.DOTALL)
    assert count == 1, name
    return changed


def main() -> None:
    parser = options_of(__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    data = VectorData(options.rows, options.dim)
    with reporting(options) as report:
        report["rows"], report["timed"] = data.count, timed(data, options.work)
        costs = fitted(report["timed"])
        report["costs"] = {one.name: getattr(costs, one.name) for one in fields(Costs)}
    if options.write:
        PLANNER.write_text(written(PLANNER.read_text(), costs))
        here = report["machine"]
        about = f"{data.count:,} rows, {here['cores']} cores of {here['processor']}, load {here['load']}:"
        ADR.write_text(between(ADR.read_text(), "costs", f"{about}\n\n{table(report['timed'], costs)}"))


if __name__ == "__main__":
    main()
