"""What a library is besides images and files: its profile, spaces and folders, the next ordinal, people's decisions.

Each is a document of the state index, read as it is now; what every request asks for is kept for a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from search import saved
from search.calibration import Calibration
from search.catalog.rows import Edit, Migrating
from search.errors import ConfigError
from search.opensearch.client import Client, ConflictError
from search.opensearch.rewriting import Source, pages, read, rewrite
from search.opensearch.stored import edit_from_json, edit_to_json, path_to_text, text_to_path
from search.saved import SavedSearch
from search.types import EmbeddingSpace, ImageId

META = "meta"
COUNTER = "counter:ordinal"
MIGRATION = "migration"
KEPT_S = 1.0
LAST_ORDINAL = 2**31 - 1
"""Of the mapping's integers."""

GIVE_OUT = """
long next = ctx._source.body.next;
if (next < params.least) { next = params.least; }
ctx._source.body.next = next + params.count;
"""


@dataclass(frozen=True, slots=True)
class Meta:
    """What the library is. Spaces and roots are in the order in which they came."""

    profile: str | None = None
    coming_profile: str | None = None
    space: EmbeddingSpace | None = None
    """The one that is searched."""
    calibration: Calibration | None = None
    """Of that one, fitted on this library."""
    spaces: tuple[EmbeddingSpace, ...] = ()
    """Those whose vectors count."""
    roots: tuple[Path, ...] = ()
    """A root's number is its place here, from 1: none is ever taken away."""
    saved: tuple[SavedSearch, ...] = ()

    @property
    def searched_first(self) -> list[EmbeddingSpace]:
        return sorted(self.spaces, key=lambda space: space != self.space)


class State:
    """The state index of a library."""

    def __init__(self, client: Client, index: str) -> None:
        self.index = index
        self._client = client
        self._kept: tuple[float, Meta] | None = None

    def meta(self) -> Meta:
        """Return what the library is, or was a second ago if another process changes it."""
        kept = self._kept
        if kept is None or kept[0] < time.monotonic():
            until = time.monotonic() + KEPT_S
            kept = self._kept = until, _meta(read(self._client, self.index, [META])[META].source)
        return kept[1]

    def change(self, change: Callable[[Meta], Meta]) -> Meta:
        """Change what the library is, and return it."""

        def changed(old: Mapping[str, Source | None]) -> Mapping[str, Source | None]:
            return {META: _document("meta", META, _meta_to_json(change(_meta(old[META]))))}

        meta = _meta(rewrite(self._client, self.index, [META], changed)[META].source)
        self._kept = time.monotonic() + KEPT_S, meta
        return meta

    def note_space(self, space: EmbeddingSpace) -> bool:
        """Note that vectors of a space count, and return whether that is new."""
        if space in self.meta().spaces:
            return False
        self.change(lambda meta: replace(meta, spaces=_with(meta.spaces, space)))
        return True

    def note_roots(self, paths: Iterable[Path]) -> tuple[Path, ...]:
        """Note that folders were indexed, and return all that were."""
        wanted = list(paths)
        roots = self.meta().roots
        if set(wanted) <= set(roots):
            return roots
        return self.change(lambda meta: replace(meta, roots=tuple(dict.fromkeys((*meta.roots, *wanted))))).roots

    def give_out(self, count: int, *, least: int = 1) -> int:
        """Return the first of ``count`` ordinals in a row, none below ``least``, that nobody ever got or will get.

        The cluster itself counts up, in one step. What is then not used, because the caller is killed, is a gap.
        """
        body = {
            "script": {"source": GIVE_OUT, "params": {"count": count, "least": least}},
            "upsert": _document("counter", COUNTER, {"next": least + count}),
            "_source": True,
        }
        while True:
            try:
                answer = self._client.call(
                    lambda raw: raw.update(index=self.index, id=COUNTER, body=body, params={"retry_on_conflict": 20})
                )
                break
            except ConflictError:
                continue  # one of them always gets through
        following = int(answer["get"]["_source"]["body"]["next"])
        if following - 1 > LAST_ORDINAL:
            raise ConfigError(f"this library has given out all of its {LAST_ORDINAL} numbers")
        return following - count

    def migration(self) -> Migrating | None:
        source = read(self._client, self.index, [MIGRATION])[MIGRATION].source
        return None if source is None or source["body"] is None else Migrating(**source["body"])

    def note_migration(self, migrating: Migrating | None) -> None:
        noted = None if migrating is None else asdict(migrating)
        source = _document("migration", MIGRATION, noted)
        self._client.bulk([{"_index": self.index, "_id": MIGRATION, "_source": source}])

    # What people decided, by the image's id

    def edits(self, ids: Iterable[ImageId]) -> dict[ImageId, Edit]:
        """Return the edits of images that went; that of one that is there stands in its document."""
        found = self._read("edit", ids)
        return {id: edit_from_json(body) for id, body in found.items()}

    def keep_edits(self, edits: Mapping[ImageId, Edit]) -> None:
        """Keep edits for when their images return."""
        self._write("edit", {id: edit_to_json(edit) for id, edit in edits.items()})

    def hidden(self, ids: Iterable[ImageId]) -> set[ImageId]:
        return set(self._read("hidden", ids))

    def hide(self, ids: Iterable[ImageId]) -> None:
        self._write("hidden", {id: {} for id in ids})

    def restore(self, ids: Iterable[ImageId]) -> None:
        self._forget("hidden", ids)

    def forget_edits(self, ids: Iterable[ImageId]) -> None:
        self._forget("edit", ids)

    def all_edits(self) -> Iterator[tuple[ImageId, Edit]]:
        for id, body in self._all("edit"):
            yield id, edit_from_json(body)

    def all_hidden(self) -> Iterator[ImageId]:
        for id, _ in self._all("hidden"):
            yield id

    def _read(self, kind: str, ids: Iterable[ImageId]) -> dict[ImageId, Any]:
        keys = {f"{kind}:{id}": id for id in ids}
        found = read(self._client, self.index, keys)
        return {keys[key]: held.source["body"] for key, held in found.items() if held.source is not None}

    def _write(self, kind: str, bodies: Mapping[ImageId, Any]) -> None:
        self._client.bulk(
            {"_index": self.index, "_id": key, "_source": _document(kind, key, body)}
            for key, body in ((f"{kind}:{id}", body) for id, body in bodies.items())
        )

    def _forget(self, kind: str, ids: Iterable[ImageId]) -> None:
        self._client.bulk({"_op_type": "delete", "_index": self.index, "_id": f"{kind}:{id}"} for id in ids)

    def _all(self, kind: str) -> Iterator[tuple[ImageId, Any]]:
        self._client.call(lambda raw: raw.indices.refresh(index=self.index))  # nobody else searches here
        for page in pages(self._client, self.index, {"term": {"kind": kind}}, by=["key"], size=1000):
            for hit in page:
                yield ImageId(hit["_id"].removeprefix(f"{kind}:")), hit["_source"]["body"]


def _document(kind: str, key: str, body: Any) -> Source:
    return {"kind": kind, "key": key, "body": body}


def _with(spaces: tuple[EmbeddingSpace, ...], space: EmbeddingSpace) -> tuple[EmbeddingSpace, ...]:
    return spaces if space in spaces else (*spaces, space)


def _meta(source: Source | None) -> Meta:
    if source is None:
        return Meta()
    body = source["body"]
    return Meta(
        profile=body["profile"],
        coming_profile=body["coming_profile"],
        space=EmbeddingSpace(*body["space"]) if body["space"] else None,
        calibration=Calibration.of(body["calibration"]) if body.get("calibration") else None,
        spaces=tuple(EmbeddingSpace(*space) for space in body["spaces"]),
        roots=tuple(Path(text_to_path(root)) for root in body["roots"]),
        saved=saved.of_json(body.get("saved", ())),
    )


def _meta_to_json(meta: Meta) -> dict[str, Any]:
    def space_to_json(space: EmbeddingSpace) -> list[Any]:
        return [space.name, space.dim, space.fingerprint]

    return {
        "profile": meta.profile,
        "coming_profile": meta.coming_profile,
        "space": space_to_json(meta.space) if meta.space else None,
        "calibration": meta.calibration.numbers() if meta.calibration else None,
        "spaces": [space_to_json(space) for space in meta.spaces],
        "roots": [path_to_text(str(root)) for root in meta.roots],
        "saved": saved.to_json(meta.saved),
    }
