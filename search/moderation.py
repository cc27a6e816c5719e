"""When an image is flagged, and whether it is shown: thresholds by category, and a person's last word. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from search.types import DEFAULT_CONFIDENCE, ImageRecord, Tag, TagKind, Verdict
from search.words import fold

if TYPE_CHECKING:
    from search.config import Config

THRESHOLDS: Mapping[str, float] = MappingProxyType({"adult": 0.7})
"""Chosen by how often harmless photos reach it (docs/moderation.md). For any other category see `Policy`."""


VERDICTS: Mapping[str, Verdict] = MappingProxyType({"approve": Verdict.APPROVED, "reject": Verdict.REJECTED})
"""By what a moderator says."""


class ReviewState(StrEnum):
    """Where an image stands in the review queue."""

    FLAGGED = "flagged"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Policy:
    """From which confidence a category is flagged, by its folded name, and whether flagged images are hidden."""

    thresholds: Mapping[str, float]
    other: float = DEFAULT_CONFIDENCE[TagKind.MODERATION]
    """For categories that have no threshold of their own."""
    hide_flagged: bool = False

    def threshold(self, label: str) -> float:
        return self.thresholds.get(fold(label), self.other)

    def reasons(self, record: ImageRecord) -> tuple[Tag, ...]:
        """Return the tags that flag an image, whatever was decided of it."""
        return tuple(
            tag for tag in record.tags if tag.kind is TagKind.MODERATION and tag.confidence >= self.threshold(tag.label)
        )

    def state(self, record: ImageRecord) -> ReviewState | None:
        """Return where an image stands; None for one that nothing is said against."""
        if record.verdict is not None:
            return ReviewState(record.verdict.value)
        return ReviewState.FLAGGED if self.reasons(record) else None

    def hides(self, record: ImageRecord) -> bool:
        """Return whether nobody but moderators is to see an image."""
        state = self.state(record) if self.hide_flagged else record.verdict
        return state == Verdict.REJECTED or (self.hide_flagged and state is ReviewState.FLAGGED)

    @property
    def key(self) -> str:
        """What tells this policy from others that hide other images."""
        if not self.hide_flagged:
            return ""
        return json.dumps([self.other, sorted(self.thresholds.items())], ensure_ascii=False)


DEFAULT_POLICY = Policy(THRESHOLDS)


def policy_of(config: Config) -> Policy:
    """Return the policy that the options name."""
    own = {fold(label): least for label, least in config.moderation_thresholds.items()}
    return Policy({**THRESHOLDS, **own}, hide_flagged=config.moderation_hide_flagged)
