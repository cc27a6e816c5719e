"""What jobs promise: nothing accepted is lost, no picture is two workers' at once, and none is tried for ever."""

import time
from datetime import UTC, datetime

import pytest
from catalogs import an_id

from search.catalog.protocol import Catalog
from search.catalog.sqlite_catalog import SqliteCatalog
from search.errors import NotFound, QueueFull
from search.jobs import MOST_TRIES, Claimed, Item, ItemKey, ItemState, Job, Jobs, JobState, Outcome

DONE = Outcome(ItemState.DONE)


@pytest.fixture
def jobs(catalog: Catalog) -> Jobs:
    return catalog.jobs


def an_item(number: int, **changes: object) -> Item:
    return Item(**{"name": f"{number}.jpg", "id": an_id(number), "path": f"{number}/a.jpg", **changes})


def a_job(*numbers: int, id: str = "1", sender: str = "", **changes: object) -> Job:
    items = tuple(an_item(number, **changes) for number in numbers)
    return Job(id * 32, datetime.now(UTC), sender, items=items)


def add(jobs: Jobs, *made: Job) -> None:
    for job in made:
        jobs.add(job, most_open=100)


def numbers(claimed: list[Claimed]) -> list[int]:
    return [int(one.item.id, 16) for one in claimed]


def test_a_job_is_given_back_as_it_was_added(jobs: Jobs) -> None:
    rejected = an_item(2, state=ItemState.REJECTED, reason="no picture")
    job = Job("a" * 32, datetime(2026, 5, 1, tzinfo=UTC), "Ann", items=(an_item(1), rejected))
    add(jobs, job)
    found = jobs.get(job.id)
    assert (found.id, found.created_at, found.sender, tuple(found.items)) == (
        job.id, job.created_at, "Ann", job.items,
    )  # fmt: skip
    assert (found.state, found.done, found.total, found.finished_at) == (JobState.QUEUED, 0, 2, None)
    assert [(one.path, one.reason) for one in found.rejected] == [("2.jpg", "no picture")]
    with pytest.raises(NotFound, match="no job"):
        jobs.get("b" * 32)


def test_a_job_is_done_when_all_its_pictures_are(jobs: Jobs) -> None:
    add(jobs, a_job(1, 2))
    first, second = jobs.claim("w", 5, lease_s=60)
    assert jobs.get("1" * 32).state is JobState.RUNNING
    jobs.finish("w", {first.key: DONE})
    assert (jobs.get("1" * 32).state, jobs.open_items()) == (JobState.RUNNING, 1)
    jobs.finish("w", {second.key: Outcome(ItemState.REJECTED, "broken")})
    job = jobs.get("1" * 32)
    assert (job.state, job.done, job.total, [one.reason for one in job.rejected]) == (JobState.DONE, 1, 2, ["broken"])
    assert job.finished_at is not None
    assert jobs.open_items() == 0


def test_a_job_of_which_nothing_came_failed_and_one_that_was_known_is_done_at_once(jobs: Jobs) -> None:
    add(jobs, a_job(1, state=ItemState.REJECTED, reason="x"), a_job(2, id="2", state=ItemState.KNOWN))
    assert (jobs.get("1" * 32).state, jobs.get("2" * 32).state) == (JobState.FAILED, JobState.DONE)
    assert jobs.get("2" * 32).finished_at is not None
    assert jobs.claim("w", 5, lease_s=60) == []


def test_the_latest_jobs_come_first_those_of_a_sender_by_themselves(jobs: Jobs) -> None:
    add(jobs, a_job(1, sender="Ann"), a_job(2, id="2", sender="Bob"), a_job(3, id="3", sender="Ann"))
    assert [job.id[0] for job in jobs.latest(2)] == ["3", "2"]
    assert [job.id[0] for job in jobs.latest(5, sender="Ann")] == ["3", "1"]
    assert [job.total for job in jobs.latest(5)] == [1, 1, 1]


def test_items_go_to_one_worker_in_the_order_they_came(jobs: Jobs) -> None:
    add(jobs, a_job(1, 2, 3), a_job(4, 5, id="2"))
    assert numbers(jobs.claim("a", 2, lease_s=60)) == [1, 2]
    assert numbers(jobs.claim("b", 2, lease_s=60)) == [3, 4]
    assert numbers(jobs.claim("a", 9, lease_s=60)) == [5]
    assert jobs.holders() == {"a", "b"}
    assert jobs.open_counts() == {ItemState.QUEUED: 0, ItemState.RUNNING: 5}


def test_a_picture_that_a_worker_is_at_is_no_second_ones(jobs: Jobs) -> None:
    add(jobs, a_job(1), a_job(1, 2, id="2"))
    assert numbers(jobs.claim("a", 1, lease_s=60)) == [1]
    assert numbers(jobs.claim("b", 9, lease_s=60)) == [2]


def test_more_pictures_than_allowed_are_not_let_in(jobs: Jobs) -> None:
    jobs.add(a_job(1, 2), most_open=3)
    with pytest.raises(QueueFull, match="2 pictures wait to be indexed, and at most 3 may"):
        jobs.add(a_job(3, 4, id="2"), most_open=3)
    with pytest.raises(NotFound):
        jobs.get("2" * 32)
    jobs.add(a_job(3, id="3"), most_open=3)
    jobs.add(a_job(4, id="4", state=ItemState.KNOWN), most_open=3)  # that waits for nothing


def test_what_a_dead_worker_had_is_tried_by_itself_and_at_last_set_aside(jobs: Jobs) -> None:
    add(jobs, a_job(1, 2))
    assert len(jobs.claim("w", 9, lease_s=60)) == 2
    assert jobs.give_back("w", reason="its worker died") == 2
    tried = []
    while claimed := jobs.claim("w", 9, lease_s=60):
        (one,) = claimed  # alone
        tried.append(int(one.item.id, 16))
        if tried[-1] == 1:
            jobs.give_back("w", reason="its worker died")
        else:
            jobs.finish("w", {one.key: DONE})
    assert sorted(tried) == [1] * (MOST_TRIES - 1) + [2]
    (rejected,) = jobs.get("1" * 32).rejected
    assert rejected.path == "1.jpg"
    assert rejected.reason == f"set aside after {MOST_TRIES} tries: its worker died"
    assert jobs.get("1" * 32).state is JobState.DONE


def test_what_a_worker_gives_back_itself_was_not_tried(jobs: Jobs) -> None:
    add(jobs, a_job(1, 2))
    jobs.claim("w", 9, lease_s=60)
    assert jobs.give_back("w") == 2
    assert numbers(jobs.claim("w", 9, lease_s=60)) == [1, 2]


def test_a_lease_that_ended_is_given_back_unless_it_is_renewed(jobs: Jobs) -> None:
    add(jobs, a_job(1), a_job(2, id="2"))
    jobs.claim("lost", 1, lease_s=0.01)
    jobs.claim("alive", 1, lease_s=0.01)
    jobs.renew("alive", lease_s=60)
    time.sleep(0.05)
    assert jobs.give_back_expired() == 1
    assert numbers(jobs.claim("other", 9, lease_s=60)) == [1]
    jobs.finish("lost", {ItemKey("1" * 32, 0): DONE})  # too late
    assert jobs.get("1" * 32).items[0].state is ItemState.RUNNING


def test_a_cancelled_picture_is_no_workers_any_more(jobs: Jobs) -> None:
    add(jobs, a_job(1, 2))
    jobs.claim("w", 1, lease_s=60)
    jobs.cancel(an_id(1))
    jobs.finish("w", {ItemKey("1" * 32, 0): DONE})
    job = jobs.get("1" * 32)
    assert [item.state for item in job.items] == [ItemState.REJECTED, ItemState.QUEUED]
    assert jobs.paths() == {"2/a.jpg"}


def test_jobs_are_no_change_of_the_library(catalog: Catalog) -> None:
    if isinstance(catalog, SqliteCatalog):
        before = catalog.change
        add(catalog.jobs, a_job(1))
        (claimed,) = catalog.jobs.claim("w", 1, lease_s=60)
        catalog.jobs.finish("w", {claimed.key: DONE})
        assert catalog.change == before
    assert catalog.check() == []
