"""What an index run did."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from search.types import EmbeddingSpace, Rejected


@dataclass(slots=True)
class IndexReport:
    """Counts of one run: images for ``indexed``, files for all others."""

    profile: str
    space: EmbeddingSpace
    indexed: int = 0
    unchanged: int = 0
    duplicates: int = 0
    moved: int = 0
    removed: int = 0
    hidden: int = 0
    told_anew: int = 0
    """Files of which only the sidecars changed."""
    rejected: list[Rejected] = field(default_factory=list)
    unread: list[Rejected] = field(default_factory=list)
    """Sidecars, and metadata in files, that could not be read, and pictures that a cloud service refused.

    The pictures are indexed all the same.
    """
    seconds: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def finish(self) -> None:
        self.seconds = time.monotonic() - self.started

    @property
    def images_per_second(self) -> float:
        return self.indexed / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the document that `snapseek index --json` prints."""
        return {
            "indexed": self.indexed,
            "unchanged": self.unchanged,
            "duplicates": self.duplicates,
            "moved": self.moved,
            "removed": self.removed,
            "hidden": self.hidden,
            "told_anew": self.told_anew,
            "unread": [{"path": r.path, "reason": r.reason} for r in self.unread],
            "rejected": [{"path": r.path, "reason": r.reason} for r in self.rejected],
            "seconds": round(self.seconds, 2),
            "images_per_second": round(self.images_per_second, 2),
            "profile": self.profile,
            "space": {"name": self.space.name, "dim": self.space.dim, "fingerprint": self.space.fingerprint},
        }

    def summary(self) -> str:
        """Return one line for people; what did not happen is left out."""
        counts = {
            "unchanged": self.unchanged,
            "copies": self.duplicates,
            "told anew by sidecars": self.told_anew,
            "moved": self.moved,
            "removed": self.removed,
            "passed over, removed by you before": self.hidden,
            "rejected": len(self.rejected),
        }
        rest = "".join(f", {count} {name}" for name, count in counts.items() if count)
        rate = f" ({self.images_per_second:.1f} a second)" if self.indexed else ""
        return f"{self.indexed} images indexed in {self.seconds:.1f} s{rate}{rest}"


def summed(reports: Sequence[IndexReport]) -> IndexReport:
    """Return what runs did together: counts and times added up, what is unchanged or rejected as the last one says."""
    last = reports[-1]
    names = ("indexed", "duplicates", "told_anew", "moved", "removed")
    added = {name: sum(getattr(one, name) for one in reports) for name in names}
    return replace(last, **added, seconds=sum(one.seconds for one in reports))
