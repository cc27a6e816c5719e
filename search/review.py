"""The review queue: images by what was decided of them, or is to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyroaring import BitMap

from search.catalog.protocol import Catalog
from search.moderation import Policy, ReviewState
from search.types import ImageRecord, Verdict


@dataclass(frozen=True, slots=True)
class ReviewPage:
    """Some images of the queue, last indexed first. ``after`` is where the next page goes on; None at the end."""

    images: Sequence[ImageRecord]
    total: int
    after: int | None


def in_state(catalog: Catalog, policy: Policy, state: ReviewState) -> BitMap:
    """Return the images that stand so."""
    if state is ReviewState.FLAGGED:
        return catalog.flagged(policy) - catalog.decided(Verdict.APPROVED) - catalog.decided(Verdict.REJECTED)
    return catalog.decided(Verdict(state.value))


def hidden_images(catalog: Catalog, policy: Policy) -> BitMap:
    """Return the images that nobody but moderators is to see."""
    hidden = catalog.decided(Verdict.REJECTED)
    return hidden | in_state(catalog, policy, ReviewState.FLAGGED) if policy.hide_flagged else hidden


def review_page(catalog: Catalog, policy: Policy, state: ReviewState, *, after: int | None, k: int) -> ReviewPage:
    """Return the k images of a state that come after an ordinal, in descending order of those."""
    found = in_state(catalog, policy, state)
    before = found if after is None else found & BitMap(range(0, after))
    chosen = sorted(before[-k:], reverse=True)
    more = len(before) > len(chosen)
    return ReviewPage(catalog.records(chosen), len(found), chosen[-1] if more else None)
