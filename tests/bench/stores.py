"""Hold the stores against each other: python tests/bench/stores.py [--images N] [--stores a,b] [--json FILE]

A synthetic library is written into a catalogue and moved from there into each store, as `snapseek migrate` does. Then
each query is asked of every store before the next one, so what else the machine does meanwhile is in all columns alike:
read ratios, not milliseconds. What is timed is a whole answer, from a parsed query to hits with their records; texts
are not encoded, since that is the same everywhere. The tables go to stdout as Markdown, the figures to --json.

OpenSearch is asked at --url or SNAPSEEK_OPENSEARCH_URL, below a prefix of its own that is deleted at the end.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import numpy as np  # noqa: E402
from bench.synthetic_library import SPACE, PlantedEncoder, SyntheticLibrary, planted_filter  # noqa: E402

from search.catalog.opening import open_catalog  # noqa: E402
from search.catalog.sqlite_catalog import SqliteCatalog  # noqa: E402
from search.config import Config, load_config  # noqa: E402
from search.engine import SearchEngine  # noqa: E402
from search.migrate import migrate  # noqa: E402
from search.stores import open_stores  # noqa: E402
from search.types import Filter, ImageId, Matrix, Mode, Query, SearchResults, SimilarBy  # noqa: E402

STORES = ("embedded", "opensearch", "opensearch-knn")
FACETS = ("object", "scene", "color", "people", "year")
K = 24
K_RECALL = 10
NOTES = "loaded.json"
KEPT = ("catalog", "tags", "vectors", "OpenSearch", "segments")

Ask = Callable[[SearchEngine], SearchResults]


class Quiet:
    """Satisfies `search.migrate.Progress` and says nothing."""

    def found(self, more: int) -> None: ...
    def done(self, count: int) -> None: ...


class Requests(logging.Handler):
    """Counts the requests that opensearch-py logs, and adds up how long each kind of them took."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[tuple[str, float]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.args, tuple) and "request:" in str(record.msg):
            method, url, _, seconds = record.args
            self.seconds.append((f"{method} {str(url).rsplit('/', 1)[-1].partition('?')[0]}", float(str(seconds))))

    @contextmanager
    def listening(self) -> Iterator[None]:
        log = logging.getLogger("opensearch")
        level, propagates = log.level, log.propagate
        log.setLevel(logging.INFO)
        log.propagate = False
        log.addHandler(self)
        try:
            yield
        finally:
            log.removeHandler(self)
            log.propagate = propagates
            log.setLevel(level)


@dataclass(frozen=True, slots=True)
class Column:
    """A store with the options that it is measured at."""

    name: str
    engine: SearchEngine


def config_of(options: argparse.Namespace, data: Path, store: str, exact_limit: int | None = None) -> Config:
    """Return the options of a store. Tags and whole libraries in OpenSearch keep apart below one prefix."""
    return load_config(
        data=data,
        store=store,
        opensearch_url=options.url,
        opensearch_prefix=options.prefix,
        opensearch_timeout_s=60.0,
        exact_limit=exact_limit,
    )


# Filling the stores


def say(what: str) -> None:
    """Say on stderr what comes next, since it takes minutes."""
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def fill(options: argparse.Namespace, data: Path, library: SyntheticLibrary) -> dict[str, Any]:
    """Make the library and move it into each store; return how fast that was. What is there already stays, and how
    fast it came there is read from the folder."""
    notes = data / NOTES
    report: dict[str, Any] = json.loads(notes.read_text(encoding="utf-8")) if notes.exists() else {}
    with SqliteCatalog(data, create=True) as catalog:
        if catalog.counts()["images"] != library.images:
            say(f"writing {library.images:,} images")
            began = time.perf_counter()
            library.write_to(catalog)
            report["catalogue"] = _rate(library.images, began)
        if "embedded" not in report:
            began = time.perf_counter()
            stores = open_stores(config_of(options, data, "embedded"), catalog, SPACE)
            stores.catch_up()
            stores.save()
            stores.close()
            report["embedded"] = _rate(library.images, began)
    for store in options.stores:
        if store != "embedded" and not _is_filled(config_of(options, data, store), library.images):
            say(f"moving them to {store}")
            began = time.perf_counter()
            source = config_of(options, data, store).model_copy(update={"store": "embedded"})
            migrate(source, store, replace=True, progress=Quiet())
            report[store] = _rate(library.images, began)
    notes.write_text(json.dumps(report), encoding="utf-8")
    return report


def _is_filled(config: Config, images: int) -> bool:
    with open_catalog(config, create=True) as catalog:
        if catalog.counts()["images"] != images:
            return False
        stores = open_stores(config, catalog, SPACE)
        try:
            return bool(stores.tags.count(Filter()) == images)
        finally:
            stores.close()


def _rate(images: int, began: float) -> dict[str, float]:
    seconds = time.perf_counter() - began
    return {"seconds": round(seconds, 1), "images_per_second": round(images / seconds)}


def sizes(options: argparse.Namespace, data: Path) -> dict[str, dict[str, int]]:
    """Return the bytes that each store takes, flushed, and the segments that the images in OpenSearch are in."""
    files = {
        name: sum(path.stat().st_size for path in data.glob(f"{name}.*")) for name in ("catalog", "tags", "vectors")
    }
    report: dict[str, dict[str, int]] = {}
    for store in options.stores:
        if store == "embedded":
            report[store] = files
            continue
        size, segments = _indices(options, config_of(options, data, store))
        kept = {"catalog": files["catalog"], "vectors": files["vectors"]} if store == "opensearch" else {}
        report[store] = {**kept, "OpenSearch": size, "segments": segments}
    return report


def _indices(options: argparse.Namespace, config: Config) -> tuple[int, int]:
    from search.opensearch import schema
    from search.opensearch.client import connect

    client = connect(config)
    names = f"{schema.library(config)}-*"
    try:
        client.call(lambda raw: raw.indices.flush(index=names, params={"force": "true", "wait_if_ongoing": "true"}))
        if options.merge:
            client.call(
                lambda raw: raw.indices.forcemerge(index=names, max_num_segments=1, params={"request_timeout": 1800})
            )
        found = client.call(lambda raw: raw.indices.stats(index=names, metric="store,segments"))["indices"]
    finally:
        client.close()
    size = sum(int(stats["total"]["store"]["size_in_bytes"]) for stats in found.values())
    images = [stats for name, stats in found.items() if "-images-" in name]
    return size, sum(int(stats["total"]["segments"]["count"]) for stats in images)


def clean(options: argparse.Namespace, data: Path) -> None:
    """Delete everything that is in OpenSearch."""
    from search.opensearch import schema
    from search.opensearch.client import connect

    for store in set(options.stores) - {"embedded"}:
        config = config_of(options, data, store)
        client = connect(config)
        try:
            schema.delete_all(client, schema.library(config))
        finally:
            client.close()


# Asking


@contextmanager
def columns(options: argparse.Namespace, data: Path, encoder: PlantedEncoder) -> Iterator[list[Column]]:
    """Open every store, those with vectors of this process once for each limit of exact scans."""
    with ExitStack() as stack:
        found = []
        for store in options.stores:
            for limit in options.exact_limit if store != "opensearch-knn" else options.exact_limit[:1]:
                config = config_of(options, data, store, limit)
                catalog = stack.enter_context(open_catalog(config))
                stores = open_stores(config, catalog, SPACE)
                stack.callback(stores.close)
                stores.catch_up()
                engine = SearchEngine(
                    records=catalog, tags=stores.tags, finder=stores.finder, encoder=encoder, cutoff=config.cutoff
                )
                several = len(options.exact_limit) > 1 and store != "opensearch-knn"
                found.append(Column(f"{store}, scans to {limit:,}" if several else store, engine))
        yield found


def in_turns(asked: Sequence[Ask], among: Sequence[Column]) -> dict[str, list[tuple[float, SearchResults]]]:
    """Return the milliseconds and the answer of each question for each column; another begins with each question."""
    found: dict[str, list[tuple[float, SearchResults]]] = {column.name: [] for column in among}
    for turn, ask in enumerate(asked):
        for place in range(len(among)):
            column = among[(turn + place) % len(among)]
            began = time.perf_counter()
            answer = ask(column.engine)
            found[column.name].append(((time.perf_counter() - began) * 1000, answer))
    return found


def questions(library: SyntheticLibrary, count: int, seed: int) -> tuple[list[Any], dict[str, list[Ask]]]:
    """Return the texts that are used, and questions of each kind, none of them twice."""
    asked = library.asked(2 * count, seed=seed)
    filters = library.filters(asked, seed=seed)
    ids = [library.id(int(n)) for n in np.random.default_rng(seed).choice(library.images, count)]
    with_both = [
        Query(texts=(one.text,), filter=filter, facets=FACETS, k=K) for one, filter in zip(asked, filters, strict=True)
    ]
    return asked, {
        "filter, text, facets": [_search(query) for query in with_both[:count]],
        "text, facets": [_search(Query(texts=(one.text,), facets=FACETS, k=K)) for one in asked[count:]],
        "filter, facets (browse)": [_search(Query(filter=f, facets=FACETS, k=K)) for f in filters[count:]],
        "like a picture": [_alike(id) for id in ids],
    }


def _search(query: Query) -> Ask:
    return lambda engine: engine.search(query)


def _alike(id: ImageId) -> Ask:
    return lambda engine: engine.similar(id, by=SimilarBy.IMAGE, filter=Filter(), k=K)


def latency(kinds: Mapping[str, Sequence[Ask]], among: Sequence[Column], warm_up: int) -> list[dict[str, Any]]:
    rows = []
    for kind, asked in kinds.items():
        say(kind)
        in_turns(asked[:warm_up], among)
        answers = in_turns(asked[warm_up:], among)
        first = [answer for _, answer in answers[among[0].name]]
        for name, found in answers.items():
            rows.append(
                {
                    "question": kind,
                    "store": name,
                    "queries": len(found),
                    "routes": sorted({answer.plan.route for _, answer in found}),
                    "in common": _in_common(first, [answer for _, answer in found]),
                    **_percentiles([ms for ms, _ in found]),
                }
            )
    return rows


def _in_common(first: Sequence[SearchResults], found: Sequence[SearchResults]) -> float:
    """Return the share of the first store's hits that this one found as well."""
    theirs = [{hit.image.id for hit in answer.hits} for answer in first]
    ours = [{hit.image.id for hit in answer.hits} for answer in found]
    both = sum(len(some & others) for some, others in zip(theirs, ours, strict=True))
    return round(both / max(1, sum(map(len, theirs))), 4)


def requests(kinds: Mapping[str, Sequence[Ask]], among: Sequence[Column]) -> list[dict[str, Any]]:
    """Return how many requests to OpenSearch a question makes, and the milliseconds of each kind of them."""
    rows = []
    for kind, asked in kinds.items():
        for column in among:
            heard = Requests()
            with heard.listening():
                for ask in asked:
                    ask(column.engine)
            each: dict[str, list[float]] = {}
            for what, seconds in heard.seconds:
                each.setdefault(what, []).append(seconds)
            rows.append(
                {
                    "question": kind,
                    "store": column.name,
                    "requests": round(len(heard.seconds) / len(asked), 2),
                    "of each": {
                        what: {"count": round(len(s) / len(asked), 2), "ms": round(1000 * sum(s) / len(s), 1)}
                        for what, s in each.items()
                    },
                }
            )
    return rows


def recall(
    library: SyntheticLibrary, vectors: Matrix, asked: Mapping[str, Sequence[Any]], among: Sequence[Column]
) -> list[dict[str, Any]]:
    """Return recall@10 of the vector part against exact search, under each planted filter."""
    rows = []
    for label, texts in asked.items():
        say(label)
        filter = planted_filter(label) if label != EVERYTHING else Filter()
        numbers = library.planted.get(label, np.arange(library.images))
        exact = np.array([one.vector for one in texts]) @ vectors[numbers].T
        best = numbers[np.argsort(-exact, axis=1)[:, :K_RECALL]]
        wanted = [{library.id(int(number)) for number in row} for row in best]
        questions = [
            _search(Query(texts=(one.text,), filter=filter, k=K_RECALL, mode=Mode.VECTOR, cutoff="none"))
            for one in texts
        ]
        in_turns(questions[: len(questions) // 10], among)
        for name, found in in_turns(questions, among).items():
            hit = [
                len(right & {hit.image.id for hit in answer.hits}) / len(right)
                for right, (_, answer) in zip(wanted, found, strict=True)
            ]
            rows.append(
                {
                    "filter": label,
                    "store": name,
                    "recall": round(float(np.mean(hit)), 4),
                    "worst": round(min(hit), 2),
                    "routes": sorted({answer.plan.route for _, answer in found}),
                    **_percentiles([ms for ms, _ in found]),
                }
            )
    return rows


EVERYTHING = "no filter"


def recall_texts(library: SyntheticLibrary, count: int) -> dict[str, list[Any]]:
    """Return texts for each planted filter: half of those for near images are about them, half about anything."""
    found: dict[str, list[Any]] = {EVERYTHING: library.asked(count, seed=10)}
    for place, label in enumerate(library.planted, 11):
        some = library.asked(count, seed=place)
        if label.startswith("near-"):
            some[: count // 2] = library.asked(count // 2, seed=100 + place, about=library.about(label))
        found[label] = some
    return found


def _percentiles(ms: Sequence[float]) -> dict[str, float]:
    return {"p50": round(float(np.percentile(ms, 50)), 2), "p99": round(float(np.percentile(ms, 99)), 2)}


# Reporting


def tables(report: Mapping[str, Any]) -> str:
    names = list(dict.fromkeys(row["store"] for row in report["latency"]))
    parts = [
        _table([head, *names], _wide(report["latency"], "question", names, cell))
        for head, cell in (("question: p50 / p99 ms", _time), (f"hits in common with {names[0]}", _common))
    ]
    if report["requests"]:
        one = [name for name in names if not name.startswith("embedded")]
        parts.append(_table(["requests for a question", *one], _wide(report["requests"], "question", one, _requests)))
    parts.append(
        _table(["filter: recall@10, p50 ms, route", *names], _wide(report["recall"], "filter", names, _recall))
    )
    rows = [[store, *(f"{figure:,.0f}" for figure in found.values())] for store, found in report["load"].items()]
    parts.append(_table(["loading", "seconds", "images/s"], rows))
    parts.append(_table(["kept, MB", *KEPT], [[store, *_kept(found)] for store, found in report["sizes"].items()]))
    return "\n\n".join(parts)


def _wide(
    rows: Sequence[Mapping[str, Any]], key: str, names: Sequence[str], cell: Callable[[Mapping[str, Any]], str]
) -> list[list[str]]:
    lines: dict[str, dict[str, str]] = {}
    for row in rows:
        lines.setdefault(row[key], {})[row["store"]] = cell(row)
    return [[first, *(cells.get(name, "") for name in names)] for first, cells in lines.items()]


def _time(row: Mapping[str, Any]) -> str:
    return f"{row['p50']:.1f} / {row['p99']:.1f}"


def _requests(row: Mapping[str, Any]) -> str:
    each = ", ".join(f"{found['count']:g} {what} {found['ms']:g} ms" for what, found in row["of each"].items())
    return f"{row['requests']:g}: {each}" if each else "0"


def _recall(row: Mapping[str, Any]) -> str:
    return f"{row['recall']:.3f}, {row['p50']:.1f}, {' '.join(row['routes'])}"


def _common(row: Mapping[str, Any]) -> str:
    return f"{row['in common']:.3f}"


def _kept(found: Mapping[str, int]) -> list[str]:
    amounts = [f"{found[part] / 1e6:.1f}" if part in found else "" for part in KEPT[:-1]]
    return [*amounts, str(found.get("segments", ""))]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return the report of one run."""
    with ExitStack() as stack:
        data = options.data or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if not options.keep:
            stack.callback(clean, options, data)
        library = SyntheticLibrary(options.images)
        report: dict[str, Any] = {
            "images": options.images,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "load average before": os.getloadavg(),
            "load": fill(options, data, library),
            "sizes": sizes(options, data),
        }
        texts, kinds = questions(library, options.queries + options.warm_up, seed=1)
        extra_texts, for_counting = questions(library, 20, seed=2)
        planted = recall_texts(library, options.recall_queries)
        vectors = library.vectors()
        everything = [*texts, *extra_texts, *(one for some in planted.values() for one in some)]
        encoder = PlantedEncoder(everything, library.relevant(texts, vectors))
        among = stack.enter_context(columns(options, data, encoder))
        report["latency"] = latency(kinds, among, options.warm_up)
        report["requests"] = requests(for_counting, [c for c in among if not c.name.startswith("embedded")])
        report["recall"] = recall(library, vectors, planted, among)
        report["load average after"] = os.getloadavg()
    return report


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default_url = os.environ.get("SNAPSEEK_OPENSEARCH_URL", "http://127.0.0.1:9200")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--stores", type=lambda text: text.split(","), default=list(STORES))
    parser.add_argument("--exact-limit", type=lambda text: [int(part) for part in text.split(",")], default=[20_000])
    parser.add_argument("--queries", type=int, default=200, help="of each kind")
    parser.add_argument("--warm-up", type=int, default=60, help="queries of each kind before those")
    parser.add_argument("--recall-queries", type=int, default=100, help="for each filter")
    parser.add_argument("--url", default=default_url)
    parser.add_argument("--prefix", default=f"bench-{uuid.uuid4().hex[:8]}")
    parser.add_argument("--data", type=Path, help="folder of the library, kept; one that is filled is used as it is")
    parser.add_argument("--merge", action="store_true", help="merge the segments of each index into one before asking")
    parser.add_argument("--keep", action="store_true", help="leave the indices, for a later run with the same --prefix")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    unknown = set(options.stores) - set(STORES)
    if unknown:
        parser.error(f"there is no store {', '.join(sorted(unknown))}; there are {', '.join(STORES)}")
    return options


def main() -> None:
    options = options_of()
    report = measure(options)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(tables(report))


if __name__ == "__main__":
    main()
