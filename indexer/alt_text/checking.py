"""Looks through documents: what is wrong with the texts of their pictures, what might be said, and writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from indexer.alt_text.deciding import Proposal, Seen, decide, decide_unseen
from indexer.alt_text.documents import Document, documents, edited, edits, locate, on_a_line, parsed, read
from indexer.alt_text.judging import Rule, judge
from indexer.alt_text.pictures import Edit, Picture
from search.types import Rejected
from search.whole_files import write_whole

See = Callable[[Path], Seen | str]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a picture's text."""

    path: Path
    line: int
    column: int
    rule: Rule
    told: str
    source: str
    proposal: Proposal | None = None
    reason: str = ""
    """Why nothing is proposed, or why it is not written."""
    is_written: bool = False

    def __str__(self) -> str:
        """Return a line in the form that compilers have made usual."""
        level = "error" if self.rule.is_error else "warning"
        parts = [f"{self.path}:{self.line}:{self.column}: {level}: {self.told} [{self.rule}]"]
        if self.proposal is not None:
            text = f"“{self.proposal.text}”" if self.proposal.text else "an empty text"
            parts.append(f"{'written' if self.is_written else 'proposed'}: {text} ({self.proposal.purpose})")
        parts += [one for one in (self.reason, self.proposal.remark if self.proposal else "") if one]
        # An address or a picture's text may hold anything, but is no second line, which CI might take for a command.
        return on_a_line("; ".join(parts))

    def as_dict(self) -> dict[str, Any]:
        proposal = self.proposal
        return {
            "path": str(self.path),
            "line": self.line,
            "column": self.column,
            "rule": str(self.rule),
            "level": "error" if self.rule.is_error else "warning",
            "message": self.told,
            "picture": self.source,
            "proposal": None
            if proposal is None
            else {
                "text": proposal.text,
                "purpose": str(proposal.purpose),
                "confidence": round(proposal.confidence, 3),
                "remark": proposal.remark or None,
            },
            "reason": self.reason or None,
            "written": self.is_written,
        }


@dataclass(slots=True)
class Report:
    documents: int = 0
    pictures: int = 0
    findings: list[Finding] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Return whether no picture lacks a text, as far as all documents could be read."""
        return not self.rejected and all(one.is_written or not one.rule.is_error for one in self.findings)

    def summary(self) -> str:
        """Return one line for people."""
        errors = sum(one.rule.is_error for one in self.findings)
        written = sum(one.is_written for one in self.findings)
        return (
            f"{self.pictures} pictures in {self.documents} documents: {errors} without a useful text, {written} of them"
            f" written; {len(self.findings) - errors} more to look at"
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "documents": self.documents,
            "pictures": self.pictures,
            "findings": [one.as_dict() for one in self.findings],
            "rejected": [{"path": one.path, "reason": one.reason} for one in self.rejected],
        }


def look_through(paths: Sequence[Path], see: See, *, root: Path, least: float, write: bool = False) -> Report:
    """Look through all documents at or below paths; with ``write``, put into them what is proposed.

    ``least``: how sure a proposal must be, 0–1. Only pictures without a useful text are looked at.
    Raises ConfigError for a path that is not there.
    """
    report = Report()
    for path in documents(paths):
        try:
            document = read(path)
        except ValueError as error:
            report.rejected.append(Rejected(str(path), str(error)))
            continue
        report.documents += 1
        report.pictures += len(document.pictures)
        found = [_finding(document, picture, see, root, least) for picture in document.pictures]
        if write:
            found, reason = _written(document, found)
            report.rejected += [Rejected(str(path), reason)] if reason else []
        report.findings += [one for one in found if one is not None]
    return report


def _written(document: Document, found: Sequence[Finding | None]) -> tuple[list[Finding | None], str]:
    """Write what is proposed into a document. Return the findings as they are then, and why it was not written."""
    chosen = [
        replace(one, is_written=one.proposal is not None and not one.reason and one.rule.is_error) if one else None
        for one in found
    ]
    changes: list[Edit] = []
    texts = [picture.alt or "" for picture in document.pictures]
    for at, (picture, one) in enumerate(zip(document.pictures, chosen, strict=True)):
        if one is not None and one.is_written and one.proposal is not None:
            changes += edits(document, picture, one.proposal)
            texts[at] = on_a_line(one.proposal.text)
    if not changes:
        return chosen, ""
    source = edited(document.source, changes)
    # Whatever was odd about the document: it reads as it did, but for these texts, or it is left alone.
    if [one.alt or "" for one in parsed(document.path, source).pictures] != texts:
        return list(found), "it is too odd to be written to: a text would not be where it should"
    try:
        if document.path.read_bytes() != document.source:
            return list(found), "it was changed meanwhile, and is not written"
        path = document.path.resolve()  # a link stays a link
        write_whole(path, source, mode=path.stat().st_mode & 0o7777)
    except OSError as error:
        return list(found), f"it cannot be written: {error.strerror or error}"
    return chosen, ""


def _finding(document: Document, picture: Picture, see: See, root: Path, least: float) -> Finding | None:
    judgement = judge(picture)
    if judgement is None:
        return None
    line, column = document.place(picture.start)
    finding = Finding(document.path, line, column, judgement.rule, judgement.told, picture.source)
    if not judgement.rule.is_error:
        return finding
    proposal, reason = _proposal(document, picture, see, root)
    if proposal is not None and proposal.confidence < least:
        reason = f"not sure enough: {proposal.confidence:.2f}"
    elif proposal is not None and proposal.is_english and not _is_english(document.language):
        reason = f"the page's language is {document.language}, the models' is English"
    return replace(finding, proposal=proposal, reason=reason)


def _proposal(document: Document, picture: Picture, see: See, root: Path) -> tuple[Proposal | None, str]:
    if (unseen := decide_unseen(picture)) is not None:
        return unseen, ""
    place = locate(document, picture, root)
    if isinstance(place, str):
        return None, place
    seen = see(place)
    if isinstance(seen, str):
        return None, seen
    proposal = decide(picture, seen)
    return proposal, "" if proposal is not None else "nothing in the picture is certain enough to be said"


def _is_english(language: str) -> bool:
    return not language or language.split("-", maxsplit=1)[0] == "en"
