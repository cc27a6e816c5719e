"""What is the tag store's own business in OpenSearch: pages, moving to new mappings, what is lost, what is too much."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from helpers import an_image
from opensearch_server import free_ports
from pyroaring import BitMap
from tag_stores import open_opensearch

from search.config import load_config
from search.errors import ConfigError, InvalidQuery, Unavailable
from search.filters import parse
from search.opensearch import aggregations, schema, tag_store
from search.opensearch.client import Client, connect
from search.opensearch.tag_store import OpenSearchTagStore
from search.types import Filter, Order, Place, Sort


@pytest.fixture
def store(opensearch_url: str, prefix: str) -> Iterator[OpenSearchTagStore]:
    opened = open_opensearch(opensearch_url, prefix)
    yield opened
    opened.close()


@pytest.fixture
def client(opensearch_url: str) -> Iterator[Client]:
    opened = connect(load_config(opensearch_url=opensearch_url))
    yield opened
    opened.close()


def test_answers_of_several_pages_are_whole_and_in_order(
    store: OpenSearchTagStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.upsert([an_image(ordinal=n, objects=["dog"], taken_at=f"2024-01-{n + 1:02}") for n in range(25)])
    monkeypatch.setattr(tag_store, "PAGE", 4)
    monkeypatch.setattr(schema, "MOST_HITS", 10)
    assert store.match(parse("object:dog")) == BitMap(range(25))
    assert store.match(parse("object:dog"), limit=8) == BitMap(range(8))
    assert store.match(parse("object:dog"), limit=9) == BitMap(range(9))
    assert store.among([parse("object:dog")], BitMap(range(3, 99, 2))) == BitMap(range(3, 25, 2))
    ordinals, keys = store.in_order(Order(Sort.OLDEST), Filter(), k=6)
    assert ordinals.tolist() == [0, 1, 2, 3, 4, 5]
    third = Place(int(keys[2]), 2)
    assert store.in_order(Order(Sort.OLDEST), Filter(), after=third, k=6)[0].tolist() == [3, 4, 5, 6, 7, 8]
    assert store.in_order(Order(Sort.OLDEST), Filter(), after=third, k=99)[0].tolist() == list(range(3, 25))
    assert store.delete(BitMap(range(20))) == 20
    assert store.match(Filter()) == BitMap(range(20, 25))


def test_a_selected_value_is_counted_and_spelt_however_many_are_commoner(
    store: OpenSearchTagStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregations, "MOST_VALUES", 2)
    common = [an_image(ordinal=n, objects=["cat", "bus"], colors=["red", "blue"]) for n in range(3)]
    store.upsert([*common, an_image(ordinal=3, objects=["Zebra", ("Yak", 0.3)], taken_at="2020-01-01")])
    for expression in ("object:ZEBRA|pink color:", "object:ZEBRA|pink confidence:>=0.4"):
        filter = parse(expression.removesuffix(" color:"))
        (facet,) = store.facets(["object"], filter, within=None, size=5)
        found = [(value.value, value.count, value.selected) for value in facet.values]
        assert found == [("bus", 3, False), ("cat", 3, False), ("Zebra", 1, True), ("pink", 0, True)]


def test_odd_and_endless_values_are_taken_and_found(store: OpenSearchTagStore) -> None:
    endless, word = "é🎂 " * 20_000, "x" * 50_000
    odd = an_image(
        ordinal=1,
        objects=[endless, "a\u241fb", "line\nbreak"],
        caption=f"{word} dog|9 {'many words ' * 10_000}",
        texts=[endless, "yes"],
        files=["a\udcff/" + "b" * 50_000 + ".jpg", "c\\d.jpg"],
    )
    store.upsert([odd, an_image(ordinal=2)])
    filters = [
        Filter(),
        parse('object:"a\u241fb"'),
        parse('object:"line break"'),
        parse("text:dog"),
        parse("text:yes confidence:>=0.5"),
        parse("path:a?/*"),
        parse('path:"c\\\\d.jpg"'),
    ]
    assert [1 in store.match(filter) for filter in filters] == [True] * len(filters)
    for text in (word, "dog", "many", "9"):
        assert store.search_text(text, filter=Filter(), k=5)[0].tolist() == [1], text
    assert store.labels("a\u241f", k=5) == []
    assert [label for _, label, _ in store.labels("a", k=5)] == ["a\u241fb"]
    assert store.labels("x" * 5_000, k=5) == []


def test_a_filter_that_is_too_much_is_the_askers_error(store: OpenSearchTagStore) -> None:
    store.upsert([an_image(ordinal=1, caption="w7", texts=["x", "w8 a"])])
    with pytest.raises(InvalidQuery, match="more of"):
        store.match(parse(f"path:*a{'?' * 40}"))
    words = [[f"w{60 * term + n}" for n in range(60)] for term in range(10)]
    assert store.match(parse(" ".join(f"-text:{'|'.join(some)}" for some in words[1:]))) == BitMap([1])
    assert store.match(parse(f"confidence:>0.2 text:{'|'.join(words[0])}")) == BitMap([1])
    phrases = [[f'"{word} a"' for word in some] for some in words[:6]]
    with pytest.raises(InvalidQuery, match=r"1,080 conditions.*takes 1,000"):
        store.match(parse(" ".join(f"text:{'|'.join(some)}" for some in phrases)))
    assert store.match(parse(" ".join(f"text:{'|'.join(some)}" for some in phrases[:1]))) == BitMap([1])


def test_what_was_noted_of_an_index_does_not_hold_for_a_later_one_of_its_name(
    store: OpenSearchTagStore, client: Client, prefix: str
) -> None:
    store.upsert([an_image(ordinal=1)], applied=9)
    assert store.applied == 9
    client.raw.indices.delete(index=f"{prefix}-images-*")
    with pytest.raises(Unavailable, match="lost the index"):
        store.match(Filter())
    assert (store.applied, len(store)) == (0, 0)


def test_an_index_of_an_older_version_gives_way_and_one_of_a_later_is_left_alone(
    store: OpenSearchTagStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.upsert([an_image(ordinal=1)], applied=9)
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    assert (store.applied, len(store)) == (0, 0)
    store.upsert([an_image(ordinal=1), an_image(ordinal=2)], applied=11)
    assert (store.applied, len(store)) == (11, 2)
    monkeypatch.setattr(schema, "VERSION", schema.VERSION - 1)
    with pytest.raises(ConfigError, match="later version"):
        store.upsert([an_image(ordinal=3)])
    assert len(store) == 2


def test_a_write_that_is_broken_off_is_not_noted_and_can_be_repeated(
    store: OpenSearchTagStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.upsert([an_image(ordinal=1)], applied=5)
    with monkeypatch.context() as patched:
        patched.setattr(Client, "bulk", broken_off(Client.bulk))
        with pytest.raises(Unavailable):
            store.upsert([an_image(ordinal=n) for n in range(2, 6)], applied=6)
    assert store.applied == 5
    store.upsert([an_image(ordinal=n) for n in range(2, 6)], applied=6)
    assert (store.applied, store.match(Filter())) == (6, BitMap(range(1, 6)))


def broken_off(bulk: Any) -> Any:
    def write_half(client: Client, actions: Iterable[dict[str, Any]], **options: Any) -> Any:
        given = list(actions)
        bulk(client, given[: len(given) // 2], **options)
        raise Unavailable("the cluster went away")

    return write_half


def test_a_rebuild_that_is_broken_off_leaves_what_was_there(store: OpenSearchTagStore) -> None:
    def records_that_break() -> Iterator[Any]:
        yield an_image(ordinal=2)
        raise RuntimeError("the catalogue is gone")

    store.upsert([an_image(ordinal=1)], applied=5)
    with pytest.raises(RuntimeError, match="gone"):
        store.rebuild(records_that_break(), applied=6)
    assert (store.match(Filter()), store.applied) == (BitMap([1]), 5)
    store.rebuild([an_image(ordinal=3)], applied=7)
    assert (store.match(Filter()), store.applied) == (BitMap([3]), 7)


def test_nothing_is_asked_before_the_first_use() -> None:
    url = f"http://127.0.0.1:{free_ports(1)}"
    store = open_opensearch(url, "never")
    with pytest.raises(Unavailable, match="cannot be reached"):
        store.match(Filter())
    store.close()
