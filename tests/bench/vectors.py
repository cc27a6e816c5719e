"""Measure the vector index alone: python tests/bench/vectors.py [--rows N] [--work FOLDER] [--json FILE]

Every way to look up answers the same query before the next one, so what else the machine does is in all columns alike:
read ratios, not milliseconds. "plan" is what the index chooses by itself. Rows, exact answers and the index are kept in
the folder, and made if they are not there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import numpy as np  # noqa: E402
from bench.vectors_data import FILTERS, Filtered, VectorData, recall  # noqa: E402
from pyroaring import BitMap  # noqa: E402

from search.bitmaps import bitmap_of  # noqa: E402
from search.planner import COSTS, Costs, Lookup  # noqa: E402
from search.types import EmbeddingSpace  # noqa: E402
from search.vectors.faiss_index import FaissIndex  # noqa: E402

EXACT_UPTO = 110_000
"""More rows are not compared one by one here: it takes long, and nobody would."""
GATHER_UPTO = 510_000
SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Timed:
    """How one way to look up did under one filter. Milliseconds."""

    filter: str
    way: str
    p50: float
    p99: float
    cpu: float
    """Median of the processor's time in all threads."""
    recall: float
    queries: int


def space_of(data: VectorData) -> EmbeddingSpace:
    return EmbeddingSpace("synthetic", data.dim, "5e" * 32)


def say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def machine() -> dict[str, Any]:
    """Return what the figures were taken on."""
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [
            line.split(":", 1)[1]
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if "model name" in line
        ]
        processor = names[0].strip() if names else processor
    return {
        "processor": processor,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
    }


def with_costs(only: Lookup) -> Costs:
    """Return costs by which one lookup is always the cheapest."""
    never = {f"{one}": 1e12 for one in Lookup if one is not only}
    return Costs(**{**asdict(COSTS), **dict.fromkeys((str(only), f"{only}_row", "mask_row", "test_row"), 0.0), **never})


def index_folder(data: VectorData, work: Path) -> Path:
    return work / f"index-{data.count}-{data.dim}"


def opened(data: VectorData, work: Path, costs: Costs = COSTS) -> tuple[FaissIndex, dict[str, Any]]:
    """Return the index over all rows and how long it took to make it (kept from when it was made) and to open it."""
    kept = index_folder(data, work)
    notes = kept / "made.json"
    if not notes.exists():
        say(f"making an index of {data.count:,} rows")
        index = FaissIndex(space_of(data), folder=work)
        adding = 0.0
        for start, rows in data.source(work):
            began = time.perf_counter()
            index.add(np.arange(start, start + len(rows), dtype=np.uint32), rows.astype(np.float32))
            adding += time.perf_counter() - began
        began = time.perf_counter()
        index.save(kept, 1)
        made = {"added_s": round(adding, 1), "saved_s": round(time.perf_counter() - began, 1)}
        made["most_bytes_own"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        # A name that the index does not know is deleted by it at the next save, as it should be.
        notes.write_text(json.dumps(made), encoding="utf-8")
        del index
    made = json.loads(notes.read_text(encoding="utf-8"))
    index = FaissIndex(space_of(data), costs=costs, folder=work)
    began = time.perf_counter()
    assert index.load(kept) == 1
    made["opened_s"] = round(time.perf_counter() - began, 3)
    return index, made | memory(index, kept)


def memory(index: FaissIndex, folder: Path) -> dict[str, float]:
    """Return the bytes that an index takes for a vector beside its rows: of its own, and in mapped files.

    Added up, not measured: what libraries keep for themselves is more than a small index has.
    """
    state = index._state
    own = state.row_of.nbytes + len(state.alive.serialize()) + sum(one.codes.nbytes for one in state.segments)
    mapped = sum(path.stat().st_size for path in folder.glob("*.bin"))
    return {"own_bytes_a_row": round(own / len(index), 1), "mapped_bytes_a_row": round(mapped / len(index), 1)}


Ask = Callable[[np.ndarray, BitMap | None], np.ndarray]


def asking(index: FaissIndex, k: int = 10, costs: Costs = COSTS) -> Ask:
    def ask(query: np.ndarray, allowed: BitMap | None) -> np.ndarray:
        index._costs = costs  # so that all ways have the same files mapped, and none of them is the colder
        return index.search(query[None], k, allowed=allowed)[0][0]

    return ask


def timed(filtered: Filtered, ways: dict[str, Ask], total: int, queries: int | None = None) -> Iterator[Timed]:
    """Yield how each way did, all asked the same before the next query."""
    allowed = None if len(filtered.places) == total else bitmap_of(filtered.places)
    took: dict[str, list[float]] = {way: [] for way in ways}
    spent: dict[str, list[float]] = {way: [] for way in ways}
    found: dict[str, list[np.ndarray]] = {way: [] for way in ways}
    count = min(queries or len(filtered.queries), len(filtered.queries))
    rng = np.random.default_rng(0)
    for ask in ways.values():
        ask(filtered.queries[-1], allowed)
    for query in filtered.queries[:count]:
        for way in rng.permutation(list(ways)):  # none is always the one that finds the cache cold
            began, worked = time.perf_counter(), time.process_time()
            answer = ways[way](query, allowed)
            spent[way].append((time.process_time() - worked) * 1000)
            took[way].append((time.perf_counter() - began) * 1000)
            found[way].append(answer)
    for way in ways:
        p50, p99 = np.percentile(took[way], (50, 99))
        right = recall(found[way], filtered.nearest[:count])
        times = (round(float(one), 3) for one in (p50, p99, np.median(spent[way])))
        yield Timed(filtered.name, way, *times, round(right, 4), count)


def ways_of(index: FaissIndex, count: int) -> dict[str, Ask]:
    """Return each way to look up so many rows."""
    known = {Lookup.EXACT: EXACT_UPTO, Lookup.GATHER: GATHER_UPTO, Lookup.CELLS: len(index)}
    ways = {str(one): asking(index, costs=with_costs(one)) for one, upto in known.items() if count <= upto}
    return {"plan": asking(index), **ways}


def warmed(data: VectorData, work: Path) -> FaissIndex:
    """Return the index as it is after some searches, when what is mapped has been touched."""
    index = opened(data, work)[0]
    rows = index._state.rows
    for _, block in rows.blocks(65_536):
        block[:: max(1, 2048 // data.dim), 0].sum(dtype=np.float32)  # a number of each page
    for query in rows.take(np.arange(0, data.count, data.count // 50)).astype(np.float32):
        index.search(query[None], 10)
    return index


def by_filter(data: VectorData, work: Path, names: Sequence[str], queries: int) -> list[Timed]:
    found: list[Timed] = []
    index = warmed(data, work)
    for filtered in data.filtered(names, queries, work):
        for one in timed(filtered, ways_of(index, len(filtered.places)), data.count):
            say(f"{one}")
            found.append(one)
    return found


def changing(data: VectorData, work: Path) -> list[dict[str, Any]]:
    """Return what adding and deleting takes, and what it does to recall, of rows of another distribution too."""
    index = warmed(data, work)
    (everything,) = data.filtered(["all"], 50, work)
    rows = data.rows(work)
    found = []

    def look(what: str, seconds: float) -> None:
        alive = index.search(everything.queries, 10)
        exact = index.search(everything.queries, 10, exact=True)
        right = recall([one[0] for one in alive], np.array([one[0] for one in exact]))
        began = time.perf_counter()
        for query in everything.queries:
            index.search(query[None], 10)
        took = (time.perf_counter() - began) * 1000 / len(everything.queries)
        found.append({"what": what, "seconds": round(seconds, 3), "recall": round(right, 4), "ms": round(took, 2)})
        say(f"{found[-1]}")

    look("as made", 0.0)
    steps: list[tuple[str, Callable[[], Any]]] = []
    hundredth, tenth = data.count // 100, data.count // 10
    fresh = np.arange(data.count, data.count + 1000, dtype=np.uint32)
    other = data.shifted(hundredth).astype(np.float32)
    steps.append(("1,000 added", lambda: index.add(fresh, rows[:1000].astype(np.float32))))
    steps.append(
        (
            "1 % of another distribution added",
            lambda: index.add(np.arange(data.count + 1000, data.count + 1000 + hundredth, dtype=np.uint32), other),
        )
    )
    steps.append(
        (
            "10 % deleted at random",
            lambda: index.remove(bitmap_of(np.random.default_rng(1).permutation(data.count)[:tenth])),
        )
    )
    steps.append(
        (
            "1 % replaced",
            lambda: index.add(
                np.arange(hundredth, dtype=np.uint32), rows[tenth : tenth + hundredth].astype(np.float32)
            ),
        )
    )
    for what, do in steps:
        began = time.perf_counter()
        do()
        look(what, time.perf_counter() - began)
    return found


def together(data: VectorData, work: Path, clients: Sequence[int] = (1, 2, 8)) -> list[dict[str, Any]]:
    """Return how many searches a second several clients get, and what an index run beside them changes.

    A search is one of all filters at random. The run adds a batch of 32, as one does, ten times a second.
    """
    filters = data.filtered(FILTERS, 200, work)
    asked = [
        (query, None if len(one.places) == data.count else bitmap_of(one.places))
        for one in filters
        for query in one.queries[:20]
    ]
    found = []
    for count, adding in [(count, False) for count in clients] + [(max(clients), True)]:
        took = _clients(warmed(data, work), asked, count, data.count if adding else None)
        p50, p99 = np.percentile(took, (50, 99))
        one = {"clients": count, "adding": adding, "a_second": round(len(took) / SECONDS)}
        found.append({**one, "p50": round(float(p50), 2), "p99": round(float(p99), 2)})
        say(f"{found[-1]}")
    return found


def _clients(
    index: FaissIndex, asked: Sequence[tuple[np.ndarray, BitMap | None]], count: int, adds_from: int | None
) -> list[float]:
    took: list[float] = []
    until = time.perf_counter() + SECONDS

    def client(number: int) -> None:
        rng = np.random.default_rng(number)
        while time.perf_counter() < until:
            query, allowed = asked[rng.integers(len(asked))]
            began = time.perf_counter()
            index.search(query[None], 10, allowed=allowed)
            took.append((time.perf_counter() - began) * 1000)

    def add() -> None:
        first = adds_from or 0
        while time.perf_counter() < until:
            index.add(np.arange(first, first + 32, dtype=np.uint32), np.array([query for query, _ in asked[:32]]))
            first += 32
            time.sleep(0.1)

    workers = [threading.Thread(target=client, args=(number,)) for number in range(count)]
    workers += [] if adds_from is None else [threading.Thread(target=add)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return took


@contextmanager
def reporting(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Print what was found as JSON, or keep it in the file that was asked for."""
    report: dict[str, Any] = {"machine": machine()}
    yield report
    report["machine"]["load_after"] = round(os.getloadavg()[0], 1)
    text = json.dumps(report, indent=1, default=asdict)
    if options.json:
        Path(options.json).write_text(text + "\n", encoding="utf-8")
    else:
        print(text)


def options_of(about: str, rows: int = 1_000_000) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--rows", type=int, default=rows)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--filters", default=",".join(FILTERS))
    parser.add_argument("--work", type=Path, default=Path("bench-work"), help="folder that is kept")
    parser.add_argument("--json", help="file for the figures")
    return parser


def main() -> None:
    parser = options_of(__doc__.split("\n")[0])
    parser.add_argument("--parts", default="lookups,changes,clients")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    data = VectorData(options.rows, options.dim)
    with reporting(options) as report:
        report["rows"], report["index"] = data.count, opened(data, options.work)[1]
        say(f"{report['index']}")
        if "lookups" in options.parts:
            report["lookups"] = by_filter(data, options.work, options.filters.split(","), options.queries)
        if "changes" in options.parts:
            report["changes"] = changing(data, options.work)
        if "clients" in options.parts:
            report["clients"] = together(data, options.work)


if __name__ == "__main__":
    main()
