"""Servers that are away, killed, full, hanging: what clients then see, and that nothing acknowledged is lost.

Each fault happens to a real OpenSearch of the tests' own, and to a library of either kind at once. What a run did and
saw is written as a table: see `fault_log`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from fault_libraries import a_config, batches, catch_up, fill, pictures, write
from fault_log import FaultLog, lost_of
from opensearch_server import Cluster
from opensearchpy import OpenSearch
from serving import Answer, Clients, Run, Server, serving, wait_for

from search.catalog.opening import open_catalog
from search.catalog.protocol import Catalog
from search.config import Config
from search.opensearch import schema
from search.types import EmbeddingSpace
from search.verify import verify_library

pytestmark = pytest.mark.timeout(600)

STORES = ("opensearch", "opensearch-knn")
TIMEOUT_S = 2
"""The option opensearch_timeout_s of these libraries."""
LONGEST_S = 4 * TIMEOUT_S
"""No answer takes longer: two requests to a server that hangs, on a machine that may be busy with starting it."""
QUICK_S = 0.5
BACK_S = 90.0
"""A server that is there again is used again in this time: it opens its indices first."""
FEW = 20
MANY = 5000
"""Five parts of what a run brings to the server."""


@dataclass(frozen=True, slots=True)
class Library:
    config: Config
    catalog: Catalog
    """Open once in this process, for a whole test."""
    folder: Path

    @property
    def store(self) -> str:
        return self.config.store

    @property
    def space(self) -> EmbeddingSpace:
        space = self.catalog.active_space()
        assert space is not None
        return space

    def ids(self) -> list[str]:
        return [record.id for record in self.catalog.records(list(self.catalog.ordinals()))]

    def images(self) -> int:
        return self.catalog.counts()["images"]

    def searchable(self, raw: OpenSearch) -> int:
        """Return how many images the server shows to a search."""
        return int(raw.count(index=schema.images(schema.library(self.config)))["count"])

    def index(self, folder: Path) -> Run:
        return Run(self.config, self.folder / f"{self.store}-index.log", "index", str(folder))

    def is_sound(self) -> bool:
        """Return what `snapseek verify` would say."""
        problems, _ = verify_library(self.config, self.catalog, repair=False)
        return not problems


def libraries_on(cluster: Cluster, folder: Path, stack: ExitStack, **options: object) -> list[Library]:
    """Make a small library in each store."""
    made = []
    for store in STORES:
        config = a_config(store, cluster.url, folder / f"{store}-{time.monotonic_ns()}", **options)
        catalog = stack.enter_context(open_catalog(config, create=True))
        fill(config, catalog, FEW)
        made.append(Library(config, catalog, folder))
    return made


@pytest.fixture(scope="module")
def log() -> Iterator[FaultLog]:
    log = FaultLog()
    yield log
    log.publish()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of one node, which every test leaves up and well. It looks at its disk as often as it can."""
    options = tmp_path_factory.mktemp("node") / "options.yml"
    options.write_text("cluster.info.update.interval: 10s\n", encoding="utf-8")
    with Cluster(extra_yml=options) as cluster:
        yield cluster


@pytest.fixture
def raw(node: Cluster) -> Iterator[OpenSearch]:
    with OpenSearch(node.urls, timeout=60) as raw:
        yield raw


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def libraries(node: Cluster, tmp_path: Path, stack: ExitStack) -> list[Library]:
    return libraries_on(node, tmp_path, stack)


@dataclass(frozen=True, slots=True)
class Served:
    """A library that is served, and clients that keep asking for it."""

    library: Library
    server: Server
    clients: Clients

    @property
    def store(self) -> str:
        return self.library.store


def served(stack: ExitStack, library: Library) -> Served:
    """Serve a library to clients that ask by words and by a filter, all the time."""
    server = stack.enter_context(serving(library.config, library.folder / f"{library.store}.log"))
    assert server.search(q="a boat").status == 200  # the model is loaded now
    clients = Clients(
        lambda: server.search(q="a boat", filter="object:boat", cutoff="none"),
        lambda: server.search(filter="object:boat", facets="object"),
        pause_s=0.4,
    )
    return Served(library, server, stack.enter_context(clients))


def comes_back(server: Server) -> float:
    """Wait until a server answers everything, and return how many seconds that took."""

    def answers_all() -> bool:
        asked = (server.search(q="a boat"), server.get("/readyz"), server.get("/", accept="text/html", q="a boat"))
        return all(answer.status == 200 for answer in asked)

    return wait_for("an answer of 200", answers_all, BACK_S)


def answers_quickly(answers: list[Answer]) -> bool:
    """Return whether most of those that were to ask again were told so at once, not after a wait of their own."""
    waits = sorted(answer.seconds for answer in answers if answer.status == 503)
    return waits[len(waits) // 2] < QUICK_S


def is_away(server: Server) -> None:
    """Assert that a server without its OpenSearch lives and says everywhere when to ask again."""
    assert server.get("/healthz").status == 200
    for answer in (server.get("/readyz"), server.search(q="a boat"), server.search(filter="object:boat")):
        assert answer.status == 503
        assert answer.is_orderly
    page = server.get("/", accept="text/html", q="a boat")
    assert page.status == 503
    assert page.headers["content-type"].startswith("text/html")
    assert int(page.headers["retry-after"]) > 0


def test_a_node_is_killed_and_comes_back(
    node: Cluster, libraries: list[Library], log: FaultLog, stack: ExitStack
) -> None:
    all_served = [served(stack, library) for library in libraries]
    edited = {one.store: one.library.ids()[0] for one in all_served}
    time.sleep(1)
    node.kill()
    late = [stack.enter_context(serving(one.config, one.folder / f"{one.store}-late.log")) for one in libraries]
    for server in (*late, *(one.server for one in all_served)):
        is_away(server)
    writes = {one.store: one.server.add_tag(edited[one.store], "lighthouse") for one in all_served}
    time.sleep(2)
    for server in (*late, *(one.server for one in all_served)):
        is_away(server)
    node.start()
    for one, started_late in zip(all_served, late, strict=True):
        back_s = comes_back(one.server)
        late_back_s = comes_back(started_late)
        assert all(answer.is_orderly for answer in one.clients.answers)
        assert one.clients.longest_s < LONGEST_S
        assert answers_quickly(one.clients.answers)
        acknowledged = writes[one.store].status == 200
        assert writes[one.store].is_orderly
        assert one.server.total("user:lighthouse") == acknowledged
        assert started_late.total("object:boat") == one.server.total("object:boat") == FEW
        assert one.library.is_sound()
        log.note(
            "node killed under a running server, edited meanwhile, started again",
            one.store,
            f"{one.clients}; edit: {writes[one.store].status}; used again {back_s:.1f} s after it was up",
            lost_of(0, FEW + acknowledged),
        )
        log.note(
            "server started while the node is away",
            one.store,
            f"/healthz 200, all else 503 with Retry-After; 200 from {late_back_s:.1f} s after the node was up",
            lost_of(0, FEW),
        )


def test_a_node_is_killed_while_it_is_written_to(
    node: Cluster, raw: OpenSearch, libraries: list[Library], log: FaultLog, stack: ExitStack, tmp_path: Path
) -> None:
    in_parts, in_batches = libraries
    # To be brought to the server by the run, a part at a time.
    write(in_parts.catalog, in_parts.space, tmp_path / "many", MANY)
    few, several = pictures(tmp_path / "few", 2), pictures(tmp_path / "several", 16)
    batch_run = stack.enter_context(in_batches.index(several))
    wait_for("a first batch", lambda: in_batches.searchable(raw) > FEW, 60)
    batch_run.pause()
    part_run = stack.enter_context(in_parts.index(few))
    wait_for("a first part", lambda: in_parts.searchable(raw) > FEW, 60, pause_s=0.02)
    part_run.pause()  # or it ends while one looks
    acknowledged = {in_parts.store: in_parts.ids(), in_batches.store: in_batches.ids()}
    batch_run.resume()
    part_run.resume()
    node.kill()
    time.sleep(3)
    assert part_run.runs
    assert batch_run.runs
    node.start()
    for library, its_run, count in ((in_parts, part_run, FEW + MANY + 2), (in_batches, batch_run, FEW + 16)):
        report = its_run.finish()
        missing = set(acknowledged[library.store]) - set(library.ids())
        assert not missing
        assert library.images() == library.searchable(raw) == count
        assert library.is_sound()
        log.note(
            "node killed while `snapseek index` writes, started again",
            library.store,
            f"the run waited and ended well: {report['indexed']} images in {report['seconds']:.0f} s",
            lost_of(len(missing), len(acknowledged[library.store])),
        )


def test_a_disk_that_is_full_stops_writes_and_no_queries(
    raw: OpenSearch, libraries: list[Library], log: FaultLog, stack: ExitStack, tmp_path: Path
) -> None:
    all_served = [served(stack, library) for library in libraries]
    edited = {one.store: one.library.ids()[0] for one in all_served}
    folder = pictures(tmp_path / "new", 4)
    stack.callback(raw.cluster.put_settings, body={"persistent": dict.fromkeys(FULL)})
    raw.cluster.put_settings(body={"persistent": FULL})
    wait_for("the flood stage", lambda: all(is_blocked(raw, library) for library in libraries), 60)
    runs = [stack.enter_context(library.index(folder)) for library in libraries]
    writes = {one.store: one.server.add_tag(edited[one.store], "lighthouse") for one in all_served}
    time.sleep(10)
    assert all(one.runs for one in runs)
    assert [library.searchable(raw) for library in libraries] == [FEW, FEW]
    raw.cluster.put_settings(body={"persistent": EMPTY})
    wait_for("the end of the flood stage", lambda: not any(is_blocked(raw, library) for library in libraries), 90)
    for one, its_run in zip(all_served, runs, strict=True):
        report = its_run.finish()
        comes_back(one.server)
        assert all(answer.is_orderly for answer in one.clients.answers)
        assert one.clients.longest_s < LONGEST_S
        acknowledged = writes[one.store].status == 200
        assert writes[one.store].is_orderly
        assert one.server.total("user:lighthouse") == acknowledged
        assert one.library.images() == one.library.searchable(raw) == FEW + 4
        assert one.library.is_sound()
        log.note(
            "disk above the flood stage: indices read-only; then space again",
            one.store,
            f"{one.clients}; edit: {writes[one.store].status}; `snapseek index` waited and wrote its"
            f" {report['indexed']} images",
            lost_of(0, FEW + 4 + acknowledged),
        )


FULL = {
    "cluster.routing.allocation.disk.threshold_enabled": True,
    "cluster.routing.allocation.disk.watermark.low": "3pb",  # to be left free
    "cluster.routing.allocation.disk.watermark.high": "2pb",
    "cluster.routing.allocation.disk.watermark.flood_stage": "1pb",
}
"""Settings by which every disk is full."""
EMPTY = {**FULL, **dict.fromkeys((name for name in FULL if ".watermark." in name), "1b")}


def is_blocked(raw: OpenSearch, library: Library) -> bool:
    """Return whether an index of the library takes no writes, or the cluster no new index."""
    indices = raw.indices.get_settings(index=f"{schema.library(library.config)}-*", name="index.blocks.*")
    return bool(indices) or "create_index" in str(raw.cluster.get_settings(flat_settings=True))


def test_a_node_that_hangs_is_not_waited_for_twice(
    node: Cluster, libraries: list[Library], log: FaultLog, stack: ExitStack
) -> None:
    all_served = [served(stack, library) for library in libraries]
    edited = {one.store: one.library.ids()[0] for one in all_served}
    time.sleep(1)
    before = {one.store: len(one.clients.answers) for one in all_served}
    node.pause()
    try:
        time.sleep(1)
        writes = {one.store: one.server.add_tag(edited[one.store], "lighthouse") for one in all_served}
        time.sleep(8)
        for one in all_served:
            is_away(one.server)
    finally:
        node.resume()
    for one in all_served:
        back_s = comes_back(one.server)
        answers = one.clients.answers[before[one.store] :]
        assert all(answer.is_orderly for answer in answers)
        assert one.clients.longest_s < LONGEST_S
        assert answers_quickly(answers)
        acknowledged = writes[one.store].status == 200
        assert writes[one.store].is_orderly
        assert writes[one.store].seconds < LONGEST_S
        assert acknowledged <= one.server.total("user:lighthouse") <= 1
        assert one.library.is_sound()
        log.note(
            "node hangs for 9 s (SIGSTOP), then goes on",
            one.store,
            f"{one.clients}; edit: {writes[one.store].status} after"
            f" {writes[one.store].seconds:.1f} s; used again {back_s:.1f} s after",
            lost_of(0, FEW + acknowledged),
        )


class Writer:
    """Writes into a library, as a run of the pipeline and as people do, and remembers what was acknowledged."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._ids = itertools.cycle(served.library.ids())
        self._folder = served.library.folder / f"{served.store}-written"
        self.begun = self.acknowledged = FEW
        self.edits: list[str] = []
        """Labels that were acknowledged."""

    def write(self) -> Generator[Answer, None, None]:
        """Write images batch by batch; each waits until it is acknowledged."""
        library = self._served.library
        root = library.catalog.root(self._folder)
        for batch in batches(library.space, self._folder, 100_000, size=10):
            started = time.monotonic()
            self.begun += 10
            library.catalog.write(root, batch)
            catch_up(library.config, library.catalog, library.space)
            self.acknowledged += 10
            yield Answer(200, time.monotonic() - started)

    def edit(self) -> Answer:
        label = f"edit{time.monotonic_ns()}"
        answer = self._served.server.add_tag(next(self._ids), label)
        if answer.status == 200:
            self.edits.append(label)
        return answer

    def count(self) -> Answer:
        """Ask for all images; the answer has to be between what is acknowledged and what was begun."""
        least = self.acknowledged
        answer = self._served.server.search(filter="object:boat", k=1)
        if answer.status == 200:
            assert least <= answer.json["total"] <= self.begun
        return answer


@dataclass(frozen=True, slots=True)
class Written:
    """A library that is served and written to, by clients of either kind."""

    served: Served
    writer: Writer
    writes: Clients
    edits: Clients
    counts: Clients

    @property
    def all_clients(self) -> tuple[Clients, ...]:
        return self.served.clients, self.writes, self.edits, self.counts


def written(stack: ExitStack, library: Library) -> Written:
    one = served(stack, library)
    writer = Writer(one)
    writing = writer.write()
    stack.callback(writing.close)
    clients = [
        stack.enter_context(Clients(question, pause_s=0.5))
        for question in (lambda: next(writing), writer.edit, writer.count)
    ]
    return Written(one, writer, *clients)


def test_one_node_of_three_is_killed_under_queries_and_writes(
    nodes: Cluster, log: FaultLog, stack: ExitStack, tmp_path: Path
) -> None:
    raw = stack.enter_context(OpenSearch(nodes.urls, timeout=60))
    libraries = libraries_on(nodes, tmp_path, stack, opensearch_replicas=1, opensearch_shards=2)
    wait_until_green(raw)
    everything = [written(stack, library) for library in libraries]
    time.sleep(2)
    manager = int(raw.cat.cluster_manager(format="json")[0]["node"].removeprefix("node-"))
    nodes.kill(manager)
    went_on_s = wait_for_writes(everything)
    time.sleep(2)
    nodes.start()
    wait_until_green(raw)
    wait_for_writes(everything)
    for one in everything:
        for clients in one.all_clients:
            clients.stop()
    for one in everything:
        server, writer = one.served.server, one.writer
        for clients in one.all_clients:
            assert all(answer.is_orderly for answer in clients.answers)
        comes_back(server)
        assert server.total("object:boat") == one.served.library.images() == writer.acknowledged
        missing = [label for label in writer.edits if server.total(f"user:{label}") != 1]
        assert not missing
        assert one.served.library.is_sound()
        log.note(
            "one of three nodes, the elected manager, killed under queries and writes, started again",
            one.served.store,
            f"queries: {one.served.clients}; counts: {one.counts}; batches written: {one.writes};"
            f" edits: {one.edits}; writes went on {went_on_s:.0f} s after it was killed",
            lost_of(len(missing), writer.acknowledged + len(writer.edits)),
        )


def wait_for_writes(everything: list[Written]) -> float:
    """Wait until every writer has had two batches acknowledged, and return how many seconds that took."""
    before = [len(one.writes.answers) for one in everything]

    def went_on() -> bool:
        return all(len(one.writes.answers) >= count + 2 for one, count in zip(everything, before, strict=True))

    return wait_for("writes to go on", went_on, 180)


def wait_until_green(raw: OpenSearch) -> None:
    """Wait until every shard has all its copies: a node that is killed before may have the only one."""
    wait_for("green", lambda: raw.cluster.health()["status"] == "green", 180)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    """A cluster of three, which every test leaves up and whole."""
    with Cluster(3) as cluster:
        yield cluster
