"""Fit what the ways to look up vectors cost: python tests/bench/vectors_costs.py [--rows N] [--write] [--json FILE]

Every lookup is timed over filters of many sizes, all of them taking turns, and the costs of each (of a query, and of
a row that it touches) are fitted to the medians by least squares of the relative error. What is
timed is the processor's time of all threads: on a busy machine the clock tells of waiting. ``--write`` puts the
constants into `search/planner.py` and the table into docs/adr/0013.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parents[1]), str(ROOT)]

import numpy as np  # noqa: E402
from bench.vectors import asking, options_of, reporting, say, warmed, with_costs  # noqa: E402
from bench.vectors_data import VectorData  # noqa: E402
from pyroaring import BitMap  # noqa: E402

from search.bitmaps import bitmap_of  # noqa: E402
from search.planner import Costs, Lookup, Task, cheapest  # noqa: E402

SIZES = (500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 125_000, 250_000, 500_000)
EXACT_UPTO = 64_000
CELLS_FROM = 0.05
"""Under a narrower filter nobody would look through the cells."""
SMALLER = 5
"""The second library is so many times smaller, so that what a query costs can be told from what a row does."""
ROUNDS = 25
PLANNER, ADR = ROOT / "search" / "planner.py", ROOT / "docs" / "adr" / "0013-codes-in-cells.md"


@dataclass(frozen=True, slots=True)
class Timing:
    """What a lookup took of the processor, in microseconds."""

    lookup: Lookup
    rows: int
    task: Task
    microseconds: float


def timed(data: VectorData, work: Path) -> list[Timing]:
    """Return what each lookup takes over each number of allowed rows."""
    index = warmed(data, work)
    look = {one: asking(index, costs=with_costs(one)) for one in Lookup}
    (asked,) = data.filtered(["all"], ROUNDS, work)
    shuffled = np.random.default_rng(3).permutation(data.count)
    found = []
    rng = np.random.default_rng(0)
    for allowed in [*(size for size in SIZES if size <= data.count // 2), data.count]:
        within: BitMap | None = None if allowed == data.count else bitmap_of(shuffled[:allowed])
        ways = [Lookup.EXACT] if allowed <= EXACT_UPTO else []
        ways += [Lookup.GATHER] if within is not None else []
        ways += [Lookup.CELLS] if allowed >= CELLS_FROM * data.count else []
        took: dict[Lookup, list[float]] = {one: [] for one in ways}
        for query in asked.queries:
            for place in rng.permutation(len(ways)):  # none is always the one that finds the cache cold
                one = ways[place]
                began = time.process_time()
                look[one](query, within)
                took[one].append((time.process_time() - began) * 1e6)
        task = index.task(allowed)
        found += [Timing(one, data.count, task, round(float(np.median(took[one])), 1)) for one in ways]
        say(
            f"{data.count:,}, {allowed:,} allowed: "
            + ", ".join(f"{one} {np.median(took[one]):,.0f} µs" for one in ways)
        )
    return found


def fitted(found: Sequence[Timing]) -> Costs:
    """Return the costs that come nearest to what was timed; none of them is below nothing."""
    values: dict[str, float] = {}
    touches: dict[Lookup, dict[str, Callable[[Task], float]]] = {
        Lookup.EXACT: {"exact": lambda task: 1, "exact_row": lambda task: task.allowed},
        Lookup.GATHER: {"gather": lambda task: 1, "gather_row": lambda task: task.allowed},
        Lookup.CELLS: {
            "cells": lambda task: 1,
            "cells_row": lambda task: task.estimated,
            "mask_row": lambda task: 0 if task.all else task.allowed,
            "test_row": lambda task: 0 if task.all else task.scanned,
        },
    }
    for one, columns in touches.items():
        timings = [timing for timing in found if timing.lookup is one]
        table = np.array([[touch(timing.task) for touch in columns.values()] for timing in timings], float)
        took = np.array([timing.microseconds for timing in timings])
        values |= dict(zip(columns, _not_negative(table, took), strict=True))
    return Costs(**values)


def _not_negative(columns: np.ndarray, took: np.ndarray) -> list[float]:
    """Return the weights of the columns that fit best, without those that would be negative."""
    kept = list(range(columns.shape[1]))
    while True:
        weights = np.linalg.lstsq(columns[:, kept] / took[:, None], np.ones(len(took)), rcond=None)[0]
        if (weights >= 0).all():
            return [float(weights[kept.index(place)]) if place in kept else 0.0 for place in range(columns.shape[1])]
        kept.pop(int(np.argmin(weights)))


def table(found: Sequence[Timing], costs: Costs) -> str:
    """Return the figures as Markdown: what each lookup took, what the costs say, and which one they choose."""
    lines = ["| rows | allowed | " + " | ".join(f"`{one}`" for one in Lookup) + " | chosen |"]
    lines.append("|---" * (3 + len(Lookup)) + "|")
    for rows, task in dict.fromkeys((timing.rows, timing.task) for timing in found):
        timings = {timing.lookup: timing.microseconds for timing in found if (timing.rows, timing.task) == (rows, task)}
        cells = [f"{timings[one]:,.0f} / {costs.of(one, task):,.0f}" if one in timings else "–" for one in Lookup]
        lines.append(f"| {rows:,} | {task.allowed:,} | " + " | ".join(cells) + f" | `{cheapest(task, costs)}` |")
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
    with reporting(options) as report:
        sizes = (options.rows, options.rows // SMALLER)
        found = [one for rows in sizes for one in timed(VectorData(rows, options.dim), options.work)]
        costs = fitted(found)
        report |= {"rows": options.rows, "timed": found, "costs": asdict(costs)}
    if options.write:
        PLANNER.write_text(written(PLANNER.read_text(encoding="utf-8"), costs), encoding="utf-8")
        here = report["machine"]
        about = f"Microseconds of the processor, timed / by the costs; {here['cores']} cores of {here['processor']}:"
        ADR.write_text(
            between(ADR.read_text(encoding="utf-8"), "costs", f"{about}\n\n{table(found, costs)}"), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
