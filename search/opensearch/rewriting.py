"""Reading documents as they are now, changing them so that no change of another writer is lost, and going over all."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from search.errors import Unavailable
from search.opensearch.client import Client, NotFoundError
from search.opensearch.faults import reason, reason_of

Source = dict[str, Any]

READ = 500
"""Documents of one request: with vectors of 768 dimensions some 8 MB."""

TRIES = 12
FIRST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 2.0
KEPT = "5m"
"""How long a point in time outlives its last page; broken-off runs leave theirs that long."""


@dataclass(frozen=True, slots=True)
class Held:
    """A document as it was read or written, and its version (``_seq_no``, ``_primary_term``); neither if it is not."""

    source: Source | None
    version: tuple[int, int] | None


NOTHING = Held(None, None)


def read(client: Client, index: str, ids: Iterable[str], fields: Sequence[str] | bool = True) -> dict[str, Held]:
    """Return documents by id as they are now, whether they can be searched yet or not; all or some of their fields."""
    wanted = list(dict.fromkeys(ids))
    found: dict[str, Held] = {}
    for start in range(0, len(wanted), READ):
        for doc in _read_some(client, index, wanted[start : start + READ], fields):
            if "error" in doc:
                raise Unavailable(f"documents of {index} cannot be read: {reason_of(doc['error'])}")
            version = (doc["_seq_no"], doc["_primary_term"]) if doc["found"] else None
            found[doc["_id"]] = Held(doc.get("_source", {}), version) if doc["found"] else NOTHING
    return found


def _read_some(client: Client, index: str, ids: Sequence[str], fields: Sequence[str] | bool) -> list[dict[str, Any]]:
    docs = [{"_id": id, "_source": fields} for id in ids]
    answer = client.call(lambda raw: raw.mget(index=index, body={"docs": docs}))
    found: list[dict[str, Any]] = answer["docs"]
    return found


Change = Callable[[Mapping[str, Source | None]], Mapping[str, Source | None]]
"""From documents to what they are to be; None where there is none. Called again for those that changed meanwhile."""


def rewrite(
    client: Client, index: str, ids: Iterable[str], change: Change, *, refresh: bool = False
) -> dict[str, Held]:
    """Read, change and write documents, each under the condition that nobody else wrote it in between.

    Those that somebody did write are read and changed again, so ``change`` has to allow that. Returns what is there
    then. Raises Unavailable when others do not let it come to an end.
    """
    left = list(dict.fromkeys(ids))
    done: dict[str, Held] = {}
    for attempt in range(TRIES):
        if attempt:
            time.sleep(random.uniform(0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt)))  # noqa: S311 (no secret)
        old = read(client, index, left)
        new = change({id: old[id].source for id in left})
        done.update((id, old[id]) for id in left if new[id] == old[id].source)
        changed = [id for id in left if id not in done]
        written = write(client, index, {id: (new[id], old[id].version) for id in changed}, refresh=refresh)
        done.update(written)
        left = [id for id in changed if id not in written]
        if not left:
            return done
    raise Unavailable(f"{len(left)} documents of {index} are changed by others all the time: try again")


def write(
    client: Client,
    index: str,
    documents: Mapping[str, tuple[Source | None, tuple[int, int] | None]],
    *,
    refresh: bool = False,
) -> dict[str, Held]:
    """Write documents that still have the version named (None: that are not there), and return those that had it.

    A document that is to be None is deleted.
    """
    actions = [_action(index, id, source, version) for id, (source, version) in documents.items()]
    items = client.bulk(actions, refresh=refresh)
    return {
        id: NOTHING if source is None else Held(source, (item["_seq_no"], item["_primary_term"]))
        for (id, (source, _)), item in zip(documents.items(), items, strict=True)
        if item["status"] != 409
    }


def _action(index: str, id: str, source: Source | None, version: tuple[int, int] | None) -> dict[str, Any]:
    action: dict[str, Any] = {"_index": index, "_id": id, "_op_type": "delete" if source is None else "index"}
    if source is not None:
        action["_source"] = source
    if version is not None:
        return {**action, "if_seq_no": version[0], "if_primary_term": version[1]}
    return action if source is None else {**action, "_op_type": "create"}


def pages(
    client: Client, index: str, query: Mapping[str, Any], *, by: Sequence[str], size: int, **body: Any
) -> Iterator[list[dict[str, Any]]]:
    """Yield all hits of a query as of now, in pages by fields whose values no two of them share."""
    with point_in_time(client, index) as point:
        last: list[Any] | None = None
        while True:
            page = {
                "pit": {"id": point, "keep_alive": KEPT},
                "query": query,
                "size": size,
                "sort": [{field: "asc"} for field in by],
                "track_total_hits": False,
                **({"search_after": last} if last else {}),
                **body,
            }
            hits = search(client, "", page)["hits"]["hits"]  # the point in time names the index
            if hits:
                yield hits
            if len(hits) < size:
                return
            last = hits[-1]["sort"]


@contextmanager
def point_in_time(client: Client, index: str) -> Iterator[str]:
    """Give the id of an index as it is now, for all pages of what is read."""
    with _there():
        answer = client.call(lambda raw: raw.create_pit(index=index, params={"keep_alive": KEPT}))
    try:
        yield answer["pit_id"]
    finally:
        with suppress(Unavailable, NotFoundError):  # it ends by itself
            client.call(lambda raw: raw.delete_pit(body={"pit_id": [answer["pit_id"]]}))


def search(client: Client, index: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Search. Raises Unavailable where the index is gone, too: it was there when the library was opened."""
    with _there():
        return client.search(index, body)


@contextmanager
def _there() -> Iterator[None]:
    try:
        yield
    except NotFoundError as error:
        raise Unavailable(f"the library is not in OpenSearch any more: {reason(error)}") from error


def count(client: Client, index: str, query: Mapping[str, Any]) -> int:
    """Return how many documents match, of those that can be searched."""
    body = {"query": query, "size": 0, "track_total_hits": True}
    return int(search(client, index, body)["hits"]["total"]["value"])
