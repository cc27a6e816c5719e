"""Jobs in the state index of a library in OpenSearch: each is one document, changed under the condition that nobody
else changed it meanwhile. How many pictures wait is counted before a job is added, so several servers that take
pictures at the same moment may let in a little more than allowed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from search.errors import NotFound
from search.jobs import (
    CANCELLED,
    EXPIRED,
    KEPT_JOBS,
    OPEN,
    Claimed,
    Item,
    ItemKey,
    ItemState,
    Job,
    Outcome,
    expect_room,
    set_aside,
)
from search.opensearch.client import Client
from search.opensearch.rewriting import Source, pages, read, rewrite, search
from search.types import ImageId

ACTIVE, ENDED = "job", "job-ended"
"""The kinds of their documents."""
Body = dict[str, Any]


class OpenSearchJobs:
    """Satisfies `search.jobs.Jobs`. Has no state, so threads share it."""

    def __init__(self, client: Client, index: str) -> None:
        self._client = client
        self._index = index

    def add(self, job: Job, *, most_open: int) -> None:
        new = sum(item.state in OPEN for item in job.items)
        expect_room(self.open_items() if new else 0, new, most_open)
        body = {
            "id": job.id,
            "created_at": job.created_at.isoformat(),
            "sender": job.sender,
            "finished_at": None,
            "items": [
                {
                    "name": item.name,
                    "id": item.id,
                    "path": item.path,
                    "state": item.state.value,
                    "reason": item.reason,
                    "tries": item.tries,
                }
                for item in job.items
            ],
        }
        document = _document(body)
        rewrite(self._client, self._index, [_key(job.id)], lambda _: {_key(job.id): document}, refresh=True)
        self._forget_old()

    def _forget_old(self) -> None:
        found = self._search({"term": {"kind": ENDED}}, size=100, fields=False, start=KEPT_JOBS)
        self._client.bulk({"_op_type": "delete", "_index": self._index, "_id": hit["_id"]} for hit in found)

    def get(self, id: str) -> Job:
        source = read(self._client, self._index, [_key(id)])[_key(id)].source
        if source is None:
            raise NotFound(f"there is no job {id}")
        return _job(source["body"], all_items=True)

    def latest(self, limit: int, *, sender: str | None = None) -> list[Job]:
        self._refresh()
        jobs: list[Job] = []
        start = 0
        while len(jobs) < limit:
            found = self._search({"terms": {"kind": [ACTIVE, ENDED]}}, size=limit, fields=True, start=start)
            bodies = [hit["_source"]["body"] for hit in found]
            jobs += [_job(body, all_items=False) for body in bodies if sender is None or body["sender"] == sender]
            if len(found) < limit:
                break
            start += limit
        return jobs[:limit]

    def _search(self, query: Source, *, size: int, fields: Any, start: int = 0) -> list[Any]:
        body = {"query": query, "size": size, "from": start, "sort": [{"key": "desc"}], "_source": fields}
        hits: list[Any] = search(self._client, self._index, body)["hits"]["hits"]
        return hits

    def open_items(self) -> int:
        return sum(self.open_counts().values())

    def open_counts(self) -> dict[ItemState, int]:
        total = dict.fromkeys(OPEN, 0)
        for body in self._active(["body.counts"]):
            for state in OPEN:
                total[state] += body["counts"].get(state.value, 0)
        return total

    def _active(self, fields: Any = True) -> Iterator[Body]:
        """Yield what jobs that have not ended hold, the oldest first."""
        self._refresh()
        for page in pages(self._client, self._index, {"term": {"kind": ACTIVE}}, by=["key"], size=100, _source=fields):
            for hit in page:
                yield hit["_source"]["body"]

    def _refresh(self) -> None:
        self._client.call(lambda raw: raw.indices.refresh(index=self._index))

    def claim(self, worker: str, most: int, *, lease_s: float) -> list[Claimed]:
        known = list(self._active())
        active = [body for body in known if body["counts"].get(ItemState.QUEUED.value)]
        busy = {item["id"] for body in known for item in body["items"] if _is(item, ItemState.RUNNING)}
        for tried, limit in ((False, most), (True, 1)):
            taken: list[Claimed] = []
            for body in active:
                if len(taken) < limit:
                    taken += self._claim(body["id"], worker, limit - len(taken), busy, tried, time.time() + lease_s)
            if taken:
                return taken
        return []

    def _claim(self, job: str, worker: str, most: int, busy: set[str], tried: bool, until: float) -> list[Claimed]:
        taken: list[Claimed] = []

        def take(body: Body) -> None:
            taken.clear()
            for number, item in enumerate(body["items"]):
                free = _is(item, ItemState.QUEUED) and item["id"] not in busy and bool(item["tries"]) == tried
                if free and len(taken) < most:
                    taken.append(Claimed(ItemKey(job, number), _item(item)))
                    item |= {"state": ItemState.RUNNING.value, "tries": item["tries"] + 1}
                    item |= {"worker": worker, "lease": until}

        self._change([job], take)
        return taken

    def _change(self, jobs: list[str], change: Callable[[Body], None]) -> None:
        """Change the bodies of jobs in place, again where somebody else was faster."""

        def changed(old: Mapping[str, Source | None]) -> Mapping[str, Source | None]:
            new: dict[str, Source | None] = {}
            for key, source in old.items():
                new[key] = source
                if source is not None:
                    body = {**source["body"], "items": [dict(item) for item in source["body"]["items"]]}
                    change(body)
                    new[key] = _document(body)
            return new

        rewrite(self._client, self._index, [_key(job) for job in jobs], changed, refresh=True)

    def _change_held(self, held: Callable[[Body], bool], change: Callable[[Body], None]) -> int:
        """Change the items that `held` is true of, and return how many there were."""
        found = {body["id"]: sum(map(held, body["items"])) for body in self._active()}

        def change_items(body: Body) -> None:
            for item in filter(held, body["items"]):
                change(item)

        jobs = [job for job, count in found.items() if count]
        if jobs:
            self._change(jobs, change_items)
        return sum(found.values())

    def renew(self, worker: str, *, lease_s: float) -> None:
        until = time.time() + lease_s
        self._change_held(lambda item: _held_by(item, worker), lambda item: item.update(lease=until))

    def finish(self, worker: str, outcomes: Mapping[ItemKey, Outcome]) -> None:
        def finish(body: Body) -> None:
            for number, item in enumerate(body["items"]):
                outcome = outcomes.get(ItemKey(body["id"], number))
                if outcome is not None and _held_by(item, worker):
                    _set(item, outcome)

        self._change(list({key.job for key in outcomes}), finish)

    def give_back(self, worker: str, *, reason: str | None = None) -> int:
        return self._give_back(lambda item: _held_by(item, worker), reason)

    def give_back_expired(self) -> int:
        now = time.time()
        return self._give_back(lambda item: _is(item, ItemState.RUNNING) and item["lease"] < now, EXPIRED)

    def _give_back(self, held: Callable[[Body], bool], reason: str | None) -> int:
        def give_back(item: Body) -> None:
            _set(item, Outcome(ItemState.QUEUED) if reason is None else set_aside(item["tries"], reason))
            item["tries"] -= reason is None

        return self._change_held(held, give_back)

    def holders(self) -> set[str]:
        running = (item for body in self._active() for item in body["items"] if _is(item, ItemState.RUNNING))
        return {item["worker"] for item in running}

    def paths(self) -> set[str]:
        return {item["path"] for body in self._active() for item in body["items"] if ItemState(item["state"]) in OPEN}

    def cancel(self, id: ImageId) -> None:
        self._change_held(
            lambda item: item["id"] == id and ItemState(item["state"]) in OPEN,
            lambda item: _set(item, Outcome(ItemState.REJECTED, CANCELLED)),
        )


def _key(job: str) -> str:
    return f"job:{job}"


def _document(body: Body) -> Source:
    counts = dict(Counter(item["state"] for item in body["items"]))
    active = any(counts.get(state.value) for state in OPEN)
    finished = None if active else body["finished_at"] or datetime.now(UTC).isoformat()
    key = f"job:{body['created_at']}:{body['id']}"
    kind = ACTIVE if active else ENDED
    return {"kind": kind, "key": key, "body": {**body, "counts": counts, "finished_at": finished}}


def _is(item: Body, state: ItemState) -> bool:
    return bool(item["state"] == state.value)


def _held_by(item: Body, worker: str) -> bool:
    return _is(item, ItemState.RUNNING) and bool(item["worker"] == worker)


def _set(item: Body, outcome: Outcome) -> None:
    item.update(state=outcome.state.value, reason=outcome.reason, worker=None, lease=None)


def _item(item: Body) -> Item:
    return Item(
        item["name"], ImageId(item["id"]), item["path"], ItemState(item["state"]), item["reason"], item["tries"]
    )


def _job(body: Body, *, all_items: bool) -> Job:
    items = [_item(item) for item in body["items"]]
    return Job(
        id=body["id"],
        created_at=datetime.fromisoformat(body["created_at"]),
        sender=body["sender"],
        finished_at=datetime.fromisoformat(body["finished_at"]) if body["finished_at"] else None,
        items=items if all_items else [item for item in items if item.state is ItemState.REJECTED],
        counts={ItemState(state): count for state, count in body["counts"].items()},
    )
