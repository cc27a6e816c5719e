"""Hold the vector index against others: python tests/bench/vectors_peers.py [--rows N] [--peers a,b] [--json FILE]

Each peer has a process of its own, in which it and we answer the same query by turns, so each row of the table has our
time of the same minutes beside it. A peer is built the way its documents show, with one boolean for each filter, and
asked with a quick setting and one that is meant to find the right ones. Filters are given as the peer likes them best.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import numpy as np  # noqa: E402
from bench.vectors import asking, machine, options_of, say, warmed  # noqa: E402
from bench.vectors_data import Filtered, Rows, VectorData, recall  # noqa: E402

from search.bitmaps import bitmap_of  # noqa: E402

K = 10
LEAST_QUERIES = 10
MOST_FETCHED = 20_000
"""usearch takes no filter: so many neighbours are fetched, and no more."""

Ask = Callable[[np.ndarray, Filtered], Any]


@dataclass
class Library:
    """What a peer is built of."""

    rows: Rows
    filters: list[Filtered]
    folder: Path

    def __post_init__(self) -> None:
        self.masks = {one.name: np.isin(np.arange(len(self.rows)), one.places) for one in self.narrow}

    @property
    def narrow(self) -> list[Filtered]:
        return [one for one in self.filters if len(one.places) < len(self.rows)]

    def chunks(self, size: int) -> Iterator[tuple[int, np.ndarray]]:
        for start in range(0, len(self.rows), size):
            yield start, self.rows[start : start + size].astype(np.float32)


Peer = Callable[[Library], dict[str, Ask]]
"""Builds in the folder what is not there, and returns how it is asked, by setting."""


class CannotAnswer(Exception):
    """A peer has no way to answer a question; its row says why."""


def hnswlib(library: Library) -> dict[str, Ask]:
    import hnswlib as module

    index, path = module.Index("ip", library.rows.shape[1]), library.folder / "index"
    if path.exists():
        index.load_index(str(path))
    else:
        index.init_index(len(library.rows), M=16, ef_construction=100)
        for start, rows in library.chunks(20_000):
            index.add_items(rows, np.arange(start, start + len(rows)))
        index.save_index(str(path))
    index.set_num_threads(1)

    def at(ef: int) -> Ask:
        def ask(query: np.ndarray, filtered: Filtered) -> Any:
            index.set_ef(ef)
            mask = library.masks.get(filtered.name)
            allows = None if mask is None else lambda row: mask.item(row)  # noqa: PLW0108 (takes no built-in)
            return index.knn_query(query, k=K, filter=allows)[0][0]

        return ask

    return {f"ef {ef}": at(ef) for ef in (64, 200, 800)}


def usearch(library: Library) -> dict[str, Ask]:
    from usearch.index import Index

    path = library.folder / "index"
    index = Index(ndim=library.rows.shape[1], metric="ip", dtype="f16", connectivity=16, expansion_add=100)
    if path.exists():
        index.load(str(path))
    else:
        for start, rows in library.chunks(50_000):
            index.add(np.arange(start, start + len(rows)), rows)
        index.save(str(path))

    def at(ef: int) -> Ask:
        def ask(query: np.ndarray, filtered: Filtered) -> Any:
            index.expansion_search = ef
            mask = library.masks.get(filtered.name)
            if mask is None:
                return index.search(query, K).keys
            wanted = 2 * K * len(library.rows) // len(filtered.places) + K
            if wanted > MOST_FETCHED:
                raise CannotAnswer("takes no filter, and would have to fetch too many")
            keys = index.search(query, wanted).keys
            return keys[mask[keys]][:K]

        return ask

    return {f"f16, over-fetch, ef {ef}": at(ef) for ef in (64, 800)}


def lancedb(library: Library, kind: str, settings: list[dict[str, int]]) -> dict[str, Ask]:
    import lancedb as module
    import pyarrow as pa

    dim = library.rows.shape[1]
    fields = [("id", pa.int64()), ("vector", pa.list_(pa.float32(), dim))]
    names = {one.name: f"f{place}" for place, one in enumerate(library.narrow)}
    schema = pa.schema(fields + [(column, pa.bool_()) for column in names.values()])

    def batches() -> Iterator[Any]:
        for start, rows in library.chunks(50_000):
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), dim)
            marks = [pa.array(library.masks[name][start : start + len(rows)]) for name in names]
            numbers = pa.array(np.arange(start, start + len(rows)))
            yield pa.RecordBatch.from_arrays([numbers, vectors, *marks], schema=schema)

    database = module.connect(str(library.folder))
    if "rows" in database.list_tables().tables:
        table = database.open_table("rows")
    else:
        table = database.create_table("rows", batches(), schema=schema)
        count = len(library.rows)
        how = {"num_partitions": max(64, count // 4096), "num_sub_vectors": dim // 8}
        if kind == "IVF_HNSW_SQ":
            how = {"num_partitions": max(1, count // 200_000), "m": 16, "ef_construction": 100}
        table.create_index(metric="dot", index_type=kind, vector_column_name="vector", **how)
        for column in names.values():
            table.create_scalar_index(column, index_type="BITMAP")

    def at(setting: dict[str, int]) -> Ask:
        def ask(query: np.ndarray, filtered: Filtered) -> Any:
            search = table.search(query).distance_type("dot").limit(K).select(["id", "_distance"])
            search = search.nprobes(setting["nprobes"]).refine_factor(setting["refine"])
            if "ef" in setting:
                search = search.ef(setting["ef"])
            if filtered.name in names:
                search = search.where(f"{names[filtered.name]} = true", prefilter=True)
            return search.to_arrow()["id"].to_numpy()

        return ask

    told = {f"{kind}, " + ", ".join(f"{name} {value}" for name, value in one.items()): one for one in settings}
    return {name: at(setting) for name, setting in told.items()}


def lancedb_pq(library: Library) -> dict[str, Ask]:
    return lancedb(library, "IVF_PQ", [{"nprobes": 20, "refine": 20}, {"nprobes": 100, "refine": 100}])


def lancedb_hnsw(library: Library) -> dict[str, Ask]:
    settings = [{"nprobes": 8, "ef": 100, "refine": 1}, {"nprobes": 8, "ef": 300, "refine": 3}]
    return lancedb(library, "IVF_HNSW_SQ", settings)


def chroma(library: Library) -> dict[str, Ask]:
    import chromadb

    client = chromadb.PersistentClient(str(library.folder), chromadb.Settings(anonymized_telemetry=False))
    how: Any = {"hnsw": {"space": "ip", "max_neighbors": 16, "ef_construction": 100, "ef_search": 200}}
    rows = client.get_or_create_collection("rows", configuration=how)
    if rows.count() < len(library.rows):
        for start, vectors in library.chunks(5_000):
            numbers = range(start, start + len(vectors))
            marks: list[Any] = [
                {"n": row, **{name: True for name, mask in library.masks.items() if mask[row]}} for row in numbers
            ]
            rows.add(ids=[str(row) for row in numbers], embeddings=vectors, metadatas=marks)

    def ask(query: np.ndarray, filtered: Filtered) -> Any:
        where: Any = {filtered.name: True} if filtered.name in library.masks else None
        found = rows.query(query_embeddings=[query], n_results=K, where=where, include=[])
        return np.array([int(row) for row in found["ids"][0]])

    return {"HNSW, ef 200": ask}


def sqlite_vec(library: Library) -> dict[str, Ask]:
    import sqlite_vec as extension

    try:
        import pysqlite3 as sqlite3
    except ImportError:
        import sqlite3
    path = library.folder / "rows.sqlite"
    fresh = not path.exists()
    database = sqlite3.connect(str(path))
    database.enable_load_extension(True)
    extension.load(database)
    database.execute("pragma mmap_size = 8000000000")
    names = {one.name: f"f{place}" for place, one in enumerate(library.narrow)}
    if fresh:
        marks = "".join(f", {column} boolean" for column in names.values())
        dim = library.rows.shape[1]
        database.execute(
            f"create virtual table v using vec0(id integer primary key, e float[{dim}] distance_metric=cosine{marks})"
        )
        spaces = ",".join("?" * (2 + len(names)))
        for start, rows in library.chunks(20_000):
            masks = [library.masks[name] for name in names]
            database.executemany(
                f"insert into v values ({spaces})",
                (
                    (start + at, row.tobytes(), *(bool(mask[start + at]) for mask in masks))
                    for at, row in enumerate(rows)
                ),
            )
        database.commit()

    def ask(query: np.ndarray, filtered: Filtered) -> Any:
        where = f" and {names[filtered.name]} = true" if filtered.name in names else ""
        found = database.execute(f"select id from v where e match ? and k = {K}{where}", (query.tobytes(),))
        return np.array([row[0] for row in found])

    return {"scan": ask}


def opensearch(library: Library) -> dict[str, Ask]:
    from opensearchpy import OpenSearch, helpers

    url = os.environ.get("SNAPSEEK_OPENSEARCH_URL", "http://127.0.0.1:9200")
    client = OpenSearch(url, timeout=600)
    index = f"bench-vectors-{len(library.rows)}"
    if not client.indices.exists(index=index):
        method = {"name": "hnsw", "engine": "lucene", "space_type": "innerproduct"}
        method["parameters"] = {"m": 16, "ef_construction": 100}  # type: ignore[assignment]
        vector = {"type": "knn_vector", "dimension": library.rows.shape[1], "method": method}
        settings = {"index": {"knn": True, "number_of_replicas": 0, "refresh_interval": "-1"}}
        mappings = {"_source": {"enabled": False}, "properties": {"v": vector, "f": {"type": "keyword"}}}
        client.indices.create(index=index, body={"settings": settings, "mappings": mappings})

        def documents() -> Iterator[dict[str, Any]]:
            for start, rows in library.chunks(5_000):
                for at, row in enumerate(rows, start):
                    marks = [name for name, mask in library.masks.items() if mask[at]]
                    yield {"_index": index, "_id": str(at), "v": row.tolist(), "f": marks}

        for _ in helpers.streaming_bulk(client, documents(), chunk_size=1000):
            pass
        client.indices.refresh(index=index)
        client.indices.forcemerge(index=index, max_num_segments=1)

    def at(ef: int) -> Ask:
        def ask(query: np.ndarray, filtered: Filtered) -> Any:
            near: dict[str, Any] = {"vector": query.tolist(), "k": ef}
            if filtered.name in library.masks:
                near["filter"] = {"term": {"f": filtered.name}}
            body = {"query": {"knn": {"v": near}}, "size": K, "_source": False}
            found = client.search(index=index, body=body)
            return np.array([int(hit["_id"]) for hit in found["hits"]["hits"]])

        return ask

    return {f"Lucene HNSW, k {ef}": at(ef) for ef in (100, 1000)}


SERVERS = ("OpenSearch",)
"""Peers whose work is not in the time of this process."""
PEERS: dict[str, Peer] = {
    "hnswlib": hnswlib,
    "usearch": usearch,
    "LanceDB IVF_PQ": lancedb_pq,
    "LanceDB IVF_HNSW_SQ": lancedb_hnsw,
    "sqlite-vec": sqlite_vec,
    "Chroma": chroma,
    "OpenSearch": opensearch,
}


def measured(name: str, data: VectorData, work: Path, filters: list[Filtered], budget_s: float) -> dict[str, Any]:
    """Return how a peer did beside us under each filter."""
    return measured_by(name, PEERS[name], data, work, filters, budget_s)


def measured_by(
    name: str, peer: Peer, data: VectorData, work: Path, filters: list[Filtered], budget_s: float
) -> dict[str, Any]:
    folder = work / f"peer-{name.replace(' ', '-')}-{data.count}"
    folder.mkdir(exist_ok=True)
    library = Library(data.rows(work), filters, folder)
    notes = folder / "made.json"
    began = time.perf_counter()
    settings = peer(library)
    if not notes.exists():
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        made = {"build_s": round(time.perf_counter() - began, 1), "disk_mb": size // 2**20}
        notes.write_text(json.dumps({**made, "load": round(os.getloadavg()[0], 1)}), encoding="utf-8")
    say(f"{name} is there")
    us = asking(warmed(data, work))
    found: list[dict[str, Any]] = []
    for filtered, (setting, ask) in itertools.product(filters, settings.items()):
        one = {"filter": filtered.name, "setting": setting}
        try:
            found.append({**one, **_beside(filtered, ask, us, data.count, budget_s)})
        except CannotAnswer as error:
            found.append({**one, "error": str(error)})
        say(f"{name}: {found[-1]}")
    return {"peer": name, **json.loads(notes.read_text(encoding="utf-8")), "found": found}


def _beside(filtered: Filtered, ask: Ask, us: Any, total: int, budget_s: float) -> dict[str, Any]:
    allowed = None if len(filtered.places) == total else bitmap_of(filtered.places)
    took: list[tuple[float, float, float, float]] = []
    theirs, ours = [], []
    ask(filtered.queries[-1], filtered)
    us(filtered.queries[-1], allowed)
    until = time.perf_counter() + budget_s
    for query in filtered.queries:
        began, spent = time.perf_counter(), time.process_time()
        theirs.append(np.asarray(ask(query, filtered)))
        between, spent_between = time.perf_counter(), time.process_time()
        ours.append(us(query, allowed))
        ended, spent_ended = time.perf_counter(), time.process_time()
        took.append((between - began, ended - between, spent_between - spent, spent_ended - spent_between))
        if time.perf_counter() > until and len(took) >= LEAST_QUERIES:
            break
    milliseconds = np.array(took) * 1000
    p50, our_p50, cpu, our_cpu = np.median(milliseconds, axis=0)
    p99, our_p99, *_ = np.percentile(milliseconds, 99, axis=0)
    nearest = filtered.nearest[: len(took)]
    times = {"p50": p50, "p99": p99, "cpu": cpu, "our_p50": our_p50, "our_p99": our_p99, "our_cpu": our_cpu}
    return {
        **{name: round(float(one), 3) for name, one in times.items()},
        "recall": round(recall(theirs, nearest), 4),
        "our_recall": round(recall(ours, nearest), 4),
        "queries": len(took),
    }


def main() -> None:
    parser = options_of(__doc__.split("\n")[0], rows=200_000)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--budget", type=float, default=5.0, help="seconds a filter and setting, at most")
    parser.add_argument("--alone", action="store_true", help="measure the one peer here, not in a process of its own")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    data = VectorData(options.rows, options.dim)
    names = options.peers.split(",")
    if options.alone:
        filters = data.filtered(options.filters.split(","), options.queries, options.work)
        print(json.dumps(measured(names[0], data, options.work, filters, options.budget)))
        return
    report: dict[str, Any] = {"machine": machine(), "rows": data.count, "peers": []}
    for name in names:
        with tempfile.TemporaryFile("w+", encoding="utf-8") as out:
            command = [sys.executable, __file__, "--alone", "--peers", name, "--work", str(options.work)]
            command += ["--rows", str(options.rows), "--dim", str(options.dim), "--queries", str(options.queries)]
            command += ["--filters", options.filters, "--budget", str(options.budget)]
            done = subprocess.run(command, stdout=out, check=False)
            out.seek(0)
            lines = out.read().splitlines()
        with contextlib.suppress(IndexError):
            report["peers"].append(json.loads(lines[-1]) if not done.returncode else {"peer": name, "error": "failed"})
        report["machine"]["load_after"] = round(os.getloadavg()[0], 1)
        if options.json:
            Path(options.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if not options.json:
        print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
