"""Reads fail soon, writes wait; what an answer means, by a server that misbehaves and by a real one."""

import importlib
import logging
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fake_opensearch import FakeOpenSearch, Fault

from search.errors import ConfigError, SnapseekError, Unavailable
from search.opensearch import bulk
from search.opensearch.circuit import Circuit, ConnectionError, ConnectionTimeout
from search.opensearch.client import NotFoundError, RequestError, WriteRefused

ANSWER = {"_shards": {"failed": 0}, "timed_out": False, "hits": {"hits": []}}
OK = Fault(answer=ANSWER)


def documents(*ids: str) -> list[dict]:
    return [{"_index": "i", "_id": id, "_source": {"n": 1}} for id in ids]


# Writes


def test_what_was_written_comes_back_in_order(fake, client_of) -> None:
    items = client_of(fake.url).bulk(documents("b", "a", "c"), refresh="wait_for")
    assert [item["_id"] for item in items] == ["b", "a", "c"]
    assert fake.asked[-1].path == "/_bulk?refresh=wait_for"


def test_only_the_documents_that_were_turned_away_are_sent_again(fake, client_of) -> None:
    turned_away = (429, "rejected_execution_exception")
    fake.faults += [Fault(items={"a": turned_away, "c": turned_away}), Fault(items={"c": turned_away})]
    items = client_of(fake.url).bulk(documents("a", "b", "c", "d"))
    assert fake.written == [["a", "b", "c", "d"], ["a", "c"], ["c"]]
    assert [(item["_id"], item["status"]) for item in items] == [("a", 201), ("b", 201), ("c", 201), ("d", 201)]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_request_that_was_turned_away_is_sent_again(fake, client_of, status: int) -> None:
    fake.faults += [Fault(status)] * 3
    client_of(fake.url).bulk(documents("a"))
    assert fake.written[-1] == ["a"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(403, "cluster_block_exception"),
        Fault(items={"a": (403, "cluster_block_exception"), "b": (429, "cluster_block_exception")}),
    ],
    ids=["request", "items"],
)
def test_writes_wait_for_disk_and_say_so_once(fake, client_of, caplog, fault: Fault) -> None:
    fake.faults += [fault] * 5
    with caplog.at_level(logging.INFO, "search"):
        client_of(fake.url).bulk(documents("a", "b"))
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "because of cluster_block_exception" in caplog.text
    assert fake.written == [["a", "b"]] * 6


def test_a_write_that_hangs_is_sent_again(fake, client_of) -> None:
    fake.faults.append(Fault(hang=True))
    client_of(fake.url, timeout_s=0.05).bulk(documents("a"))
    assert fake.written == [["a"], ["a"]]


def test_writes_wait_for_a_server_that_starts_late(client_of) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    client = client_of(f"http://127.0.0.1:{port}", write_wait_s=30)
    with ThreadPoolExecutor(1) as pool:
        items = pool.submit(client.bulk, documents("a"))
        time.sleep(0.3)
        late = FakeOpenSearch(port)
        try:
            assert [item["status"] for item in items.result()] == [201]
        finally:
            late.close()


def test_writes_give_up_when_the_wait_is_over(fake, client_of) -> None:
    fake.faults += [Fault(503)] * 1000
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"took no writes for 0\.3 s: 2 of 2 documents: 503 because of"):
        client_of(fake.url, write_wait_s=0.3).bulk(documents("a", "b"))
    assert 0.3 <= time.monotonic() - began < 2


def test_documents_that_are_refused_are_named_and_not_sent_again(fake, client_of) -> None:
    refused = (400, "mapper_parsing_exception")
    fake.faults.append(Fault(items={"b": refused, "d": refused, "a": (429, "x")}))
    with pytest.raises(WriteRefused, match=r"refused 2 documents \(b, d\) of i: because of mapper_parsing"):
        client_of(fake.url).bulk(documents("a", "b", "c", "d"))
    assert len(fake.written) == 1


def test_conflicts_are_the_callers(fake, client_of) -> None:
    fake.faults.append(Fault(items={"b": (409, "version_conflict_engine_exception")}))
    assert [item["status"] for item in client_of(fake.url).bulk(documents("a", "b"))] == [201, 409]


def test_a_proxy_that_takes_little_at_once_gets_little_at_once(fake, client_of) -> None:
    fake.faults += [Fault(413, answer="<html>"), Fault(413, answer="<html>")]
    items = client_of(fake.url).bulk(documents(*"abcdefgh"))
    assert [item["_id"] for item in items] == [*"abcdefgh"]
    assert [len(ids) for ids in fake.written] == [8, 4, 2, 2, 2, 2]


def test_one_document_too_large_for_a_proxy_fails(fake, client_of) -> None:
    fake.faults.append(Fault(413, answer="<html>"))
    with pytest.raises(SnapseekError, match="failed: 413"):
        client_of(fake.url).bulk(documents("a"))


def test_chunks_are_bounded_in_number_and_bytes() -> None:
    assert [len(chunk) for chunk in bulk.chunks(documents(*map(str, range(1100))))] == [500, 500, 100]
    large = [{"_index": "i", "_id": str(n), "_source": {"text": "é" * 2**20}} for n in range(5)]
    sizes = [sum(len(lines.encode()) for lines in chunk) for chunk in bulk.chunks(large)]
    assert len(sizes) == 3
    assert max(sizes) <= bulk.CHUNK_BYTES


def test_one_action_above_the_bound_is_a_chunk_of_its_own() -> None:
    huge = {"_index": "i", "_id": "x", "_source": {"text": "x" * bulk.CHUNK_BYTES}}
    assert [len(chunk) for chunk in bulk.chunks([*documents("a"), huge, *documents("b")])] == [1, 1, 1]


# Reads


def test_a_search_that_is_whole_is_returned(fake, client_of) -> None:
    fake.faults.append(OK)
    assert client_of(fake.url).search("i", {"size": 0}, preference="x") == ANSWER
    assert fake.asked[-1].path.startswith("/i/_search?allow_partial_search_results=false&preference=x")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(429, "rejected_execution_exception"), "cannot answer now: 429 because of rejected"),
        (Fault(503), "cannot answer now: 503"),
        (Fault(504), "cannot answer now: 504"),
        (Fault(500, "search_phase_execution_exception"), "cannot answer now: 500"),
        (Fault(403, "cluster_block_exception"), "cannot answer now: 403"),
        (Fault(answer=ANSWER | {"_shards": {"failed": 2}}), "without 2 of its shards"),
        (
            Fault(answer=ANSWER | {"_shards": {"failed": 1, "failures": [{"reason": {"reason": "no node"}}]}}),
            "without 1 of its shards: no node",
        ),
        (Fault(answer=ANSWER | {"timed_out": True}), "ran out of time"),
    ],
)
def test_a_search_that_is_not_whole_is_unavailable(fake, client_of, fault: Fault, says: str) -> None:
    fake.faults += [fault] * 2
    with pytest.raises(Unavailable, match=says):
        client_of(fake.url).search("i", {})


def test_a_part_is_returned_to_who_looks_at_it(fake, client_of) -> None:
    part = ANSWER | {"_shards": {"failed": 1}, "timed_out": True}
    fake.faults.append(Fault(answer=part))
    assert client_of(fake.url).search("i", {}, allow_partial=True) == part


def test_one_failure_of_several_searches_fails_them_all(fake, client_of) -> None:
    missing = {"status": 404, "error": {"type": "index_not_found_exception", "reason": "no such index"}}
    fake.faults += [Fault(answer={"responses": [ANSWER, missing]}), Fault(answer={"responses": [ANSWER, ANSWER]})]
    client = client_of(fake.url)
    with pytest.raises(NotFoundError):
        client.msearch([("i", {}), ("j", {})])
    assert client.msearch([("i", {}), ("j", {})]) == [ANSWER, ANSWER]
    assert client.msearch([]) == []


@pytest.mark.parametrize(("status", "kind"), [(400, RequestError), (404, NotFoundError)])
def test_what_is_about_the_request_stays_as_it_is(fake, client_of, status: int, kind: type[Exception]) -> None:
    fake.faults.append(Fault(status))
    with pytest.raises(kind):
        client_of(fake.url).call(lambda raw: raw.count(index="i"))


def test_any_other_failure_is_one_of_ours(fake, client_of) -> None:
    fake.faults.append(Fault(500, "null_pointer_exception"))
    with pytest.raises(SnapseekError, match="failed: 500 because of null_pointer_exception"):
        client_of(fake.url).search("i", {})


def test_a_user_who_is_refused_is_named_and_the_password_is_not(fake, client_of) -> None:
    word = "s3cret-word"
    fake.faults.append(Fault(403, "security_exception"))
    with pytest.raises(ConfigError, match="refused the user ann: 403 because of security") as caught:
        client_of(fake.url, user="ann", password=word).search("i", {})
    assert word not in str(caught.value)


def test_a_node_that_hangs_is_left_for_another(fake, client_of) -> None:
    other = FakeOpenSearch()
    try:
        fake.faults += [Fault(hang=True)] * 5
        other.faults += [OK] * 5
        client = client_of(f"{fake.url},{other.url}", timeout_s=0.2)
        for _ in range(5):
            assert client.search("i", {}) == ANSWER
        assert sum(asked.path.startswith("/i/_search") for asked in fake.asked) == 1
    finally:
        other.close()


def test_a_node_that_is_down_is_left_for_another(fake, client_of) -> None:
    fake.faults += [OK] * 5
    client = client_of(f"http://127.0.0.1:1,{fake.url}")
    for _ in range(5):
        assert client.search("i", {}) == ANSWER


def test_a_server_that_is_away_is_named_and_then_not_waited_for(client_of) -> None:
    client = client_of("http://127.0.0.1:1")
    with pytest.raises(Unavailable, match=r"OpenSearch at http://127.0.0.1:1 cannot be reached: .*refused"):
        client.search("i", {})


def test_a_server_that_hangs_ties_up_only_one_thread(fake, client_of) -> None:
    client = client_of(fake.url, timeout_s=0.3)
    fake.faults.append(OK)
    client.search("i", {})
    fake.faults += [Fault(hang=True)] * 10
    for _ in range(2):
        with pytest.raises(Unavailable, match="timed out"):
            client.search("i", {})
    began = time.monotonic()
    for _ in range(50):
        with pytest.raises(Unavailable, match="timed out"):
            client.search("i", {})
    assert time.monotonic() - began < 0.2


# The circuit


def test_one_timeout_does_not_stop_the_others_and_two_do() -> None:
    circuit = Circuit(10)
    circuit.failed(ConnectionTimeout("TIMEOUT", "slow", OSError()))
    circuit.enter()
    circuit.answered()
    circuit.failed(ConnectionTimeout("TIMEOUT", "slow", OSError()))
    circuit.enter()
    circuit.failed(ConnectionTimeout("TIMEOUT", "slow", OSError()))
    with pytest.raises(ConnectionTimeout):
        circuit.enter()


def test_after_a_pause_one_tries_and_its_answer_closes_the_circuit(monkeypatch) -> None:
    now = 100.0
    monkeypatch.setattr("search.opensearch.circuit.time.monotonic", lambda: now)
    circuit = Circuit(10)
    circuit.failed(ConnectionError("N/A", "refused", OSError()))
    with pytest.raises(ConnectionError):
        circuit.enter()
    now += 1.1
    circuit.enter()
    with pytest.raises(ConnectionError):
        circuit.enter()  # the first still tries
    circuit.answered()
    circuit.enter()
    circuit.enter()


# Who is there


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"version": {"number": "8.19.0"}}, "no OpenSearch"),
        ({"version": {"number": "2.16.0", "distribution": "opensearch"}}, "is 2.16.0; Snapseek needs 2.17 or later"),
        ({"hello": "world"}, "no OpenSearch"),
        ([1], "no OpenSearch"),
        ("<html>It works!</html>", "no OpenSearch"),
    ],
)
def test_what_is_no_opensearch_or_too_old_is_said_at_first_use(fake, client_of, answer, says: str) -> None:
    fake.version = answer
    client = client_of(fake.url)
    for use in (lambda: client.search("i", {}), lambda: client.bulk(documents("a"))):
        with pytest.raises(ConfigError, match=says):
            use()


@pytest.mark.parametrize("number", ["2.17.0", "2.19.1", "3.5.0", "10.0.0-SNAPSHOT"])
def test_a_version_that_does_is_asked_for_once(fake, client_of, number: str) -> None:
    fake.version = {"version": {"number": number, "distribution": "opensearch"}}
    client = client_of(fake.url)
    client.bulk(documents("a"))
    client.bulk(documents("a"))
    assert [asked.path for asked in fake.asked] == ["/", "/_bulk?refresh=false", "/_bulk?refresh=false"]


def test_a_server_that_is_away_at_first_is_known_later(fake, client_of) -> None:
    fake.version = ANSWER
    client = client_of(fake.url)
    with pytest.raises(ConfigError):
        client.search("i", {})
    fake.version = {"version": {"distribution": "opensearch", "number": "3.5.0"}}
    fake.faults.append(OK)
    assert client.search("i", {}) == ANSWER


def test_without_the_library_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "opensearchpy", None)
    monkeypatch.delitem(sys.modules, "search.opensearch.client")
    with pytest.raises(ConfigError, match=r"pip install 'snapseek\[opensearch\]'"):
        importlib.import_module("search.opensearch.client")


# A real server


def test_a_real_server_takes_returns_and_refuses(opensearch_url, prefix, client_of) -> None:
    client = client_of(opensearch_url)
    index = f"{prefix}-a"
    items = client.bulk([{"_index": index, "_id": str(n), "_source": {"n": n}} for n in range(1200)], refresh=True)
    assert [item["_id"] for item in items] == [str(n) for n in range(1200)]
    assert client.search(index, {"query": {"range": {"n": {"lt": 5}}}})["hits"]["total"]["value"] == 5
    first, second = client.msearch([(index, {"query": {"term": {"n": n}}}) for n in (7, -1)])
    assert [hit["_id"] for hit in first["hits"]["hits"]] == ["7"]
    assert not second["hits"]["hits"]

    at_once = [
        {"_index": index, "_id": "0", "_source": {}, "if_seq_no": 99_999, "if_primary_term": 1},
        {"_op_type": "update", "_index": index, "_id": "none", "doc": {"n": 1}},
        {"_op_type": "delete", "_index": index, "_id": "none"},
        {"_op_type": "update", "_index": index, "_id": "1", "doc": {"n": 2}},
    ]
    assert [item["status"] for item in client.bulk(at_once)] == [409, 404, 404, 200]
    with pytest.raises(WriteRefused, match=r"refused 1 documents \(x\) of .*failed to parse field \[n\]"):
        client.bulk([{"_index": index, "_id": "x", "_source": {"n": "many"}}])
    with pytest.raises(NotFoundError):
        client.search(f"{prefix}-none", {})
    with pytest.raises(RequestError):
        client.msearch([(index, {"query": {"zork": {}}})])


def test_a_real_block_is_waited_for(opensearch_url, prefix, client_of) -> None:
    client = client_of(opensearch_url)
    index = f"{prefix}-a"
    client.bulk([{"_index": index, "_id": "a", "_source": {}}])

    def block(value: bool | None) -> None:
        client.raw.indices.put_settings(index=index, body={"index.blocks.read_only_allow_delete": value})

    block(True)
    lifting = threading.Timer(0.5, block, [None])
    lifting.start()
    began = time.monotonic()
    assert [item["status"] for item in client.bulk([{"_index": index, "_id": "b", "_source": {}}])] == [201]
    assert time.monotonic() - began > 0.4
    lifting.join()


def test_a_shard_that_fails_is_no_answer(opensearch_url, prefix, client_of) -> None:
    client = client_of(opensearch_url)
    index = f"{prefix}-a"
    client.bulk([{"_index": index, "_id": "a", "_source": {"n": 1}}], refresh=True)
    other = f"{prefix}-b"
    client.bulk([{"_index": other, "_id": "a", "_source": {"n": "text"}}], refresh=True)
    # The sum of a text field: one of the two indices cannot.
    body = {"aggs": {"sum": {"sum": {"field": "n"}}}}
    with pytest.raises((Unavailable, RequestError)):
        client.search(f"{index},{other}", body)
    assert client.search(f"{index},{other}", body, allow_partial=True)["_shards"]["failed"] == 1
