"""Events in the state index of a library in OpenSearch: all of a person in one document, changed on condition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from search.opensearch.client import Client
from search.opensearch.rewriting import Source, pages, read, rewrite, search
from search.recommend.events import MOST_PERSONS, EventType, Kept, after, of_json, to_json
from search.types import ImageId

KIND = "person"


class OpenSearchEvents:
    """Satisfies `search.recommend.events.Events`. Has no state, so threads share it."""

    def __init__(self, client: Client, index: str) -> None:
        self._client = client
        self._index = index

    def note(self, person: str, image: ImageId, type: EventType, at: datetime, *, kept_for: timedelta) -> None:
        id, is_new = _id(person), False

        def changed(old: Mapping[str, Source | None]) -> Mapping[str, Source | None]:
            nonlocal is_new
            is_new = old[id] is None
            kept = after(_kept(old[id]), image, type, at, kept_for=kept_for)
            return {id: _document(person, kept) if kept else None}

        rewrite(self._client, self._index, [id], changed)
        if is_new:
            self._forget_old()

    def _forget_old(self) -> None:
        self._refresh()
        newest_first = {"query": {"term": {"kind": KIND}}, "sort": [{"key": "desc"}], "_source": False}
        body = {**newest_first, "from": MOST_PERSONS, "size": 100}
        hits = search(self._client, self._index, body)["hits"]["hits"]
        self._client.bulk({"_op_type": "delete", "_index": self._index, "_id": hit["_id"]} for hit in hits)

    def of(self, person: str) -> Kept:
        id = _id(person)
        return _kept(read(self._client, self._index, [id])[id].source)

    def erase(self, person: str) -> int:
        id, count = _id(person), 0

        def gone(old: Mapping[str, Source | None]) -> Mapping[str, Source | None]:
            nonlocal count
            count = len(_kept(old[id]))
            return {id: None}

        rewrite(self._client, self._index, [id], gone, refresh=True)
        return count

    def everyone(self) -> Iterator[tuple[str, Kept]]:
        self._refresh()
        for page in pages(self._client, self._index, {"term": {"kind": KIND}}, by=["key"], size=100):
            for hit in page:
                yield hit["_source"]["body"]["person"], _kept(hit["_source"])

    def restore(self, everyone: Mapping[str, Kept]) -> None:
        old = [_id(person) for person, _ in self.everyone() if person not in everyone]
        self._client.bulk({"_op_type": "delete", "_index": self._index, "_id": id} for id in old)
        self._client.bulk(
            {"_index": self._index, "_id": _id(person), "_source": _document(person, kept)}
            for person, kept in everyone.items()
        )

    def _refresh(self) -> None:
        self._client.call(lambda raw: raw.indices.refresh(index=self._index))


def _id(person: str) -> str:
    return f"{KIND}:{person}"


def _document(person: str, kept: Kept) -> Source:
    body = {"person": person, "events": to_json(kept)}
    return {"kind": KIND, "key": f"{KIND}:{kept[0].at.isoformat()}:{person}", "body": body}


def _kept(source: Source | None) -> Kept:
    return () if source is None else of_json(source["body"]["events"])
