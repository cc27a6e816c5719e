"""Write figures and charts of the vector index into docs/: python tests/bench/vectors_page.py FOLDER

The folder has what the other scripts wrote with ``--json``: ``vectors-ROWS.json`` and ``peers-ROWS.json``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parents[1]), str(ROOT)]

import numpy as np  # noqa: E402
from bench.charts import Axis, Line, chart  # noqa: E402
from bench.vectors_costs import between  # noqa: E402
from bench.vectors_data import FILTERS  # noqa: E402
from bench.vectors_peers import SERVERS  # noqa: E402

PAGE, CHARTS = ROOT / "docs" / "performance.md", ROOT / "docs" / "charts"
GOOD = 0.99
SHARES = Axis(
    "allowed by the filter", [(100, "100 %"), (50, "50"), (10, "10"), (1, "1"), (0.1, "0.1"), (0.01, "0.01 %")]
)
TIMES = Axis(
    "ms of the processor, median", [(0.01, "0.01"), (0.1, "0.1"), (1, "1"), (10, "10"), (100, "100"), (1000, "1000")]
)
Report = dict[str, Any]


def number(value: float) -> str:
    """Return a number with three digits that count, or all of a large one."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def share(name: str) -> float:
    return 100.0 if name == "all" else float(name.partition("-")[2])


def row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def head(cells: Sequence[str]) -> list[str]:
    return [row(cells), "|---" * len(cells) + "|"]


def told(one: Report | None, *, time: str = "p50", ratio: float | None = None) -> str:
    """Return recall and time of one cell; bold where recall is good."""
    if one is None or "error" in one:
        return "–" if one is None else "no"
    text = f"{one['recall']:.3f} / {number(one[time])}"
    text = f"**{text}**" if one["recall"] >= GOOD else text
    return text if ratio is None else f"{text} ({number(ratio)}×)"


def machine(report: Report) -> str:
    here = report["machine"]
    return (
        f"{here['cores']} cores of {here['processor']}, {here['memory_gib']} GiB, Python {here['python']}; load"
        f" {here['load']} at the beginning and {here['load_after']} at the end, the benchmark itself included."
    )


def lookups(report: Report) -> str:
    """Return the table of what each lookup did under each filter."""
    names = list(dict.fromkeys(one["filter"] for one in report["lookups"]))
    ways = ("plan", "exact", "gather", "cells")
    lines = head(["recall / processor's ms", *map(_named, names)])
    for way in ways:
        found = {one["filter"]: one for one in report["lookups"] if one["way"] == way}
        lines.append(
            row([f"**{way}**" if way == "plan" else way, *(told(found.get(name), time="cpu") for name in names)])
        )
    plan = {one["filter"]: one for one in report["lookups"] if one["way"] == "plan"}
    for time, what in (("p50", "median"), ("p99", "p99")):
        lines.append(row([f"plan by the clock, ms, {what}", *(number(plan[name][time]) for name in names)]))
    return "\n".join(lines)


def index(report: Report) -> str:
    made = report["index"]
    seconds, memory = made["added_s"] + made["saved_s"], made["most_bytes_own"] / 2**30
    bytes_ = made["mapped_bytes_a_row"] + made["own_bytes_a_row"]
    return (
        f"Made in {seconds:.0f} s ({made['added_s']:.0f} to encode, {made['saved_s']:.0f} to put into cells and write),"
        f" with {memory:.1f} GiB of memory at most, mapped files included. Opened in {made['opened_s']:.2f} s."
        f" {bytes_:.0f} bytes a vector beside the mapped rows."
    )


def changes(report: Report) -> str:
    lines = head(["", "took, s", "recall then", "ms then"])
    lines += [
        row([one["what"], f"{one['seconds']:.2f}", f"{one['recall']:.3f}", f"{number(one['ms'])}"])
        for one in report["changes"]
    ]
    return "\n".join(lines)


def clients(report: Report) -> str:
    lines = head(["clients", "searches a second", "p50, ms", "p99, ms"])
    for one in report["clients"]:
        name = f"{one['clients']}" + (" and an index run" if one["adding"] else "")
        lines.append(row([name, str(one["a_second"]), f"{number(one['p50'])}", f"{number(one['p99'])}"]))
    return "\n".join(lines)


def peers(report: Report) -> str:
    """Return the table of peers: behind each time, how many times ours it is."""
    found = [one for peer in report["peers"] for one in peer.get("found", [])]
    names = [name for name in FILTERS if any(one["filter"] == name for one in found)]
    lines = head(["recall / ms (× ours)", "built, s", *(_named(name) for name in names)])
    for peer in report["peers"]:
        what = ("p50", "our_p50") if peer["peer"] in SERVERS else ("cpu", "our_cpu")
        for setting in dict.fromkeys(one["setting"] for one in peer.get("found", [])):
            rows = {one["filter"]: one for one in peer["found"] if one["setting"] == setting}
            ratios = {name: one[what[0]] / one[what[1]] for name, one in rows.items() if "p50" in one}
            cells = [told(rows.get(name), ratio=ratios.get(name)) for name in names]
            lines.append(row([f"{peer['peer']}, {setting}", f"{peer['build_s']:.0f}", *cells]))
    ours = {name: [one for one in found if one["filter"] == name and "p50" in one] for name in names}
    medians = {
        name: {key: float(np.median([one[key] for one in some])) for key in ("our_recall", "our_p50")}
        for name, some in ours.items()
        if some
    }
    cells = [told({"recall": one["our_recall"], "p50": one["our_p50"]}) for one in medians.values()]
    lines.insert(2, row(["**ours**, median of all rows", "", *cells]))
    return "\n".join(lines)


def _named(name: str) -> str:
    return "all" if name == "all" else name.replace("-", " ") + " %"


def by_share(report: Report, compared: Report | None) -> dict[str, str]:
    """Return charts of time and of recall over how much the filter lets through."""
    lines: list[tuple[str, list[tuple[float, float, float]]]] = []
    for kind in ("random", "near"):
        plan = [
            one
            for one in report["lookups"]
            if one["way"] == "plan" and (one["filter"] == "all" or kind in one["filter"])
        ]
        lines.append((f"ours, {kind}", [(share(one["filter"]), one["cpu"], one["recall"]) for one in plan]))
    lines += best_of_peers(compared) if compared else []
    times = [Line(name, [(x, ms) for x, ms, _ in points], bold="ours" in name) for name, points in lines]
    right = [Line(name, [(x, found) for x, _, found in points], bold="ours" in name) for name, points in lines]
    count = f"{report['rows']:,}" + (
        f" (others: {compared['rows']:,})" if compared and compared["rows"] != report["rows"] else ""
    )
    recalls = Axis(
        "recall of ten",
        [(0.5, "0.5"), (0.6, "0.6"), (0.7, "0.7"), (0.8, "0.8"), (0.9, "0.9"), (1.0, "1")],
        logarithmic=False,
    )
    return {
        "vectors-time.svg": chart(f"Time of a search among {count} vectors", SHARES, TIMES, times),
        "vectors-recall.svg": chart(f"Recall among {count} vectors", SHARES, recalls, right),
    }


def best_of_peers(report: Report) -> list[tuple[str, list[tuple[float, float, float]]]]:
    """Return for each peer its setting that finds most, under random filters."""
    found = []
    for peer in report["peers"]:
        settings = list(dict.fromkeys(one["setting"] for one in peer.get("found", [])))
        if settings:
            chosen = [
                one
                for one in peer["found"]
                if one["setting"] == settings[-1] and "near" not in one["filter"] and "cpu" in one
            ]
            found.append((peer["peer"], [(share(one["filter"]), one["cpu"], one["recall"]) for one in chosen]))
    return found


def by_size(reports: Sequence[Report]) -> str:
    """Return a chart of time over the number of vectors."""
    ticks = [(10_000, "10 k"), (100_000, "100 k"), (1_000_000, "1 M"), (10_000_000, "10 M")]
    lines = []
    for name in ("all", "random-10", "random-1", "random-0.1"):
        points = [
            (report["rows"], one["cpu"])
            for report in reports
            for one in report["lookups"]
            if (one["filter"], one["way"]) == (name, "plan")
        ]
        lines.append(Line("all allowed" if name == "all" else f"{share(name):g} % allowed", points, bold=name == "all"))
    return chart("Time of a search over the size of a library", Axis("vectors", ticks), TIMES, lines)


def sizes(reports: Sequence[Report]) -> str:
    names = ("all", "random-10", "near-10", "random-1", "near-1")
    lines = head(
        [
            "recall / processor's ms",
            *map(_named, names),
            "built, s",
            "opened, s",
            "bytes a vector",
        ]
    )
    for report in reports:
        plan = {one["filter"]: one for one in report["lookups"] if one["way"] == "plan"}
        made = report["index"]
        bytes_ = f"{made['mapped_bytes_a_row'] + made['own_bytes_a_row']:.0f}"
        built = f"{made['added_s'] + made['saved_s']:.0f}"
        lines.append(
            row(
                [
                    f"{report['rows']:,}",
                    *(told(plan.get(name), time="cpu") for name in names),
                    built,
                    f"{made['opened_s']:.2f}",
                    bytes_,
                ]
            )
        )
    return "\n".join(lines)


def write(folder: Path, where: Path, charts: Path) -> None:
    """Write what the reports in a folder say between the marks of a page, and charts into another folder."""
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("vectors-*.json")]
    reports.sort(key=lambda report: report["rows"])
    compared = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("peers-*.json")]
    compared.sort(key=lambda report: report["rows"])
    whole = next(report for report in reports if "clients" in report)
    page = where.read_text(encoding="utf-8")
    page = between(page, "vectors: machine", machine(whole))
    page = between(page, "vectors: lookups", lookups(whole))
    page = between(page, "vectors: index", index(whole))
    page = between(page, "vectors: changes", changes(whole))
    page = between(page, "vectors: clients", clients(whole))
    page = between(page, "vectors: sizes", sizes(reports))
    parts = [f"{report['rows']:,} vectors. {machine(report)}\n\n{peers(report)}" for report in compared]
    page = between(page, "vectors: peers", "\n\n".join(parts))
    where.write_text(page, encoding="utf-8")
    charts.mkdir(exist_ok=True)
    for name, content in {
        **by_share(whole, compared[-1] if compared else None),
        "vectors-size.svg": by_size(reports),
    }.items():
        (charts / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]), PAGE, CHARTS)
