"""The view models of jobs: what was sent together, and what became of each picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search.jobs import OPEN, Item, ItemState, Job, JobState
from ui.addresses import at
from ui.language import Words

MOST_ITEMS = 1_000
"""Pictures of a job that its page lists; those that were rejected come first."""


@dataclass(frozen=True, slots=True)
class ItemView:
    name: str
    state: str
    title: str
    reason: str
    url: str
    """Of the picture's page, once it is in the library."""


@dataclass(frozen=True, slots=True)
class JobView:
    id: str
    url: str
    title: str
    state: str
    done: int
    total: int
    summary: str
    rejected: str
    items: tuple[ItemView, ...] = ()
    ended: bool = True
    left_out: str = ""
    """How many pictures are not listed."""


def job_views(words: Words, jobs: Sequence[Job]) -> tuple[JobView, ...]:
    return tuple(_view(words, job) for job in jobs)


def job_view(words: Words, job: Job) -> JobView:
    """Return a job with its pictures."""
    ordered = sorted(job.items, key=lambda item: item.state is not ItemState.REJECTED)
    items = tuple(_item_view(words, item) for item in ordered[:MOST_ITEMS])
    more = len(ordered) - len(items)
    return _view(words, job, items, words("jobs.left-out", count=more) if more else "")


def _view(words: Words, job: Job, items: tuple[ItemView, ...] = (), left_out: str = "") -> JobView:
    rejected = job.counts.get(ItemState.REJECTED, 0)
    return JobView(
        id=job.id,
        url=at(f"/jobs/{job.id}"),
        title=words("jobs.of", day=words.date(job.created_at), time=f"{job.created_at:%H:%M}"),
        state=words(f"jobs.{job.state}"),
        done=job.done + rejected,
        total=job.total,
        summary=words("jobs.summary", done=job.done, count=job.total),
        rejected=words("jobs.count-rejected", count=rejected) if rejected else "",
        items=items,
        ended=job.state in (JobState.DONE, JobState.FAILED),
        left_out=left_out,
    )


def _item_view(words: Words, item: Item) -> ItemView:
    here = item.state in (ItemState.DONE, ItemState.KNOWN)
    return ItemView(
        item.name,
        "open" if item.state in OPEN else item.state.value,
        words(f"item.{item.state}"),
        item.reason or "",
        at(f"/images/{item.id}") if here else "",
    )
