"""The images of a library in OpenSearch: changing whole documents, and what the catalogue reads of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from search.catalog.rows import Edit, FileRow
from search.opensearch import rewriting
from search.opensearch.client import Client
from search.opensearch.files import FileKey
from search.opensearch.rewriting import Held, Source, pages, rewrite
from search.opensearch.schema import vector_field
from search.opensearch.state import State
from search.opensearch.stored import VECTORS, edit_of, files_of, source_of
from search.types import EmbeddingSpace, ImageId, Matrix, Ordinals

EVERY: Mapping[str, Any] = {"match_all": {}}
NUMBERS = 10_000
"""Documents of one answer where only numbers are asked for, or names in one question."""
WHOLE = 1_000
"""Documents of one answer where all of them, or their vectors, are asked for."""


def is_id(text: str) -> bool:
    """Return whether a text can be the id of an image at all; what people type need not be asked for."""
    return re.fullmatch("[0-9a-f]{32}", text) is not None


@dataclass(slots=True)
class Turn:
    """What is to become of one image. It may be done twice, and after or before that of another writer."""

    said: Source | None = None
    """What models say of it, from `stored.said_by_models`; None leaves it as it is."""
    gained: dict[FileKey, FileRow] = field(default_factory=dict)
    lost: set[FileKey] = field(default_factory=set)
    edit: Callable[[Edit], Edit | None] | None = None
    ordinal: int | None = None
    """The one it has in another catalogue; otherwise it keeps its own, or gets the next."""
    anew: bool = False
    """Whether the files and vectors that it has here are forgotten."""


class Images:
    """The index of a library's images."""

    def __init__(self, client: Client, index: str, state: State) -> None:
        self.index = index
        self._client = client
        self._state = state
        self._least = 0
        """No ordinal below is given out by this process; 0 until it has looked what there is."""

    # Changing

    def change(self, turns: Mapping[ImageId, Turn]) -> dict[str, Held]:
        """Change images and return what is there then. Those without a file go, and their edits are kept.

        Visible to the next search.
        """

        def changed(old: Mapping[str, Source | None]) -> Mapping[str, Source | None]:
            # Read after the images: what is not there any more has left its edit behind by now.
            fresh = [ImageId(id) for id, source in old.items() if source is None and turns[ImageId(id)].said]
            edits, ordinals = self._state.edits(fresh), self._ordinals_for(fresh, turns)
            new: dict[str, Source | None] = {}
            for id in map(ImageId, old):
                ordinal = (old[id] or {"ordinal": ordinals.get(id)})["ordinal"]
                known = edit_of(source) if (source := old[id]) else edits.get(id)
                new[id] = self._after(id, old[id], turns[id], turns[id].ordinal or ordinal, known)
            self._state.keep_edits(_leaving(old, new))
            return new

        return rewrite(self._client, self.index, turns, changed, refresh=True)

    def _ordinals_for(self, fresh: Sequence[ImageId], turns: Mapping[ImageId, Turn]) -> dict[ImageId, int]:
        """Return new ordinals for those of the images that nobody has taken out."""
        hidden = self._state.hidden(fresh)
        waiting = [id for id in fresh if id not in hidden]
        given = {id: ordinal for id in waiting if (ordinal := turns[id].ordinal) is not None}
        waiting = [id for id in waiting if id not in given]
        if waiting and not self._least:
            # The counter may be older than the images: a snapshot does not hold all indices at one moment.
            self._least = self._highest() + 1
        first = self._state.give_out(len(waiting), least=self._least) if waiting else 0
        return {**given, **{id: first + place for place, id in enumerate(waiting)}}

    def _after(
        self, id: ImageId, source: Source | None, turn: Turn, ordinal: int | None, edit: Edit | None
    ) -> Source | None:
        """Return an image's document after its turn; None if it has no file then, or was none and stays so."""
        said = turn.said or source
        if said is None or ordinal is None:
            return None
        files = (
            {} if turn.anew or source is None else {FileKey(root, file.path): file for root, file in files_of(source)}
        )
        files = {key: file for key, file in {**files, **turn.gained}.items() if key not in turn.lost}
        if not files:
            return None
        if turn.edit:
            edit = turn.edit(edit or Edit())
        vectors = (
            {} if turn.anew or source is None else {key: source[key] for key in source if key.startswith("vector_")}
        )
        listed = [(key.root, files[key]) for key in sorted(files, key=self._place)]
        return source_of(id, ordinal, {**vectors, **said}, listed, edit)

    def _highest(self) -> int:
        """Return the highest ordinal that an image has."""
        body = {"size": 0, "aggs": {"highest": {"max": {"field": "ordinal"}}}}
        answer = rewriting.search(self._client, self.index, body)
        return int(answer["aggregations"]["highest"]["value"] or 0)

    def _place(self, key: FileKey) -> tuple[int, bytes]:
        """Return what the files of an image are sorted by: roots as they came, then paths."""
        return self._state.note_roots([key.root]).index(key.root), os.fsencode(key.path)

    # Reading as it is now, by id

    def read(self, ids: Iterable[ImageId], fields: Sequence[str] | bool = True) -> dict[ImageId, Source]:
        """Return the documents of those images that are there, all or some of their fields."""
        found = rewriting.read(self._client, self.index, filter(is_id, ids), fields)
        return {ImageId(id): held.source for id, held in found.items() if held.source is not None}

    # Reading what can be searched

    def by_ordinal(self, ordinals: Sequence[int], fields: Sequence[str]) -> Iterator[Source]:
        """Yield some fields of the images that are there, by ordinal."""
        for start in range(0, len(ordinals), WHOLE):
            some = [int(ordinal) for ordinal in ordinals[start : start + WHOLE]]
            body = {"query": _any_of("ordinal", some), "size": len(some), "sort": ["ordinal"], "_source": list(fields)}
            for hit in rewriting.search(self._client, self.index, body)["hits"]["hits"]:
                yield hit["_source"]

    def above(self, ordinal: int, limit: int) -> list[Source]:
        """Return the whole documents of the images with the lowest ordinals above one."""
        found: list[Source] = []
        while len(found) < limit:
            size = min(WHOLE, limit - len(found))
            query = {"range": {"ordinal": {"gt": ordinal}}}
            body = {"query": query, "size": size, "sort": ["ordinal"], "_source": ["id", "ordinal", *_KEPT]}
            hits = rewriting.search(self._client, self.index, body)["hits"]["hits"]
            found += [hit["_source"] for hit in hits]
            if len(hits) < size:
                break
            ordinal = found[-1]["ordinal"]
        return found

    def ordinals(self, query: Mapping[str, Any] = EVERY) -> BitMap:
        """Return the ordinals of all images that a query finds."""
        everything = BitMap()
        for page in pages(self._client, self.index, query, by=["ordinal"], size=NUMBERS, _source=False):
            everything.update(hit["sort"][0] for hit in page)
        return everything

    def owners(self, ordinals: Sequence[int]) -> dict[int, ImageId]:
        """Return the images that have the ordinals."""
        return {int(ordinal): ImageId(id) for ordinal, id in self._columns("ordinal", ordinals, ["ordinal", "id"])}

    def models(self, ids: Iterable[ImageId]) -> dict[ImageId, tuple[int, str]]:
        """Return the ordinal and the models of those images that are there."""
        found = self._columns("id", list(ids), ["id", "ordinal", "models"])
        return {ImageId(id): (int(ordinal), models) for id, ordinal, models in found}

    def phashes(self, ordinals: Sequence[int]) -> tuple[Ordinals, NDArray[np.uint64]]:
        return _hashes(self._columns("ordinal", [int(ordinal) for ordinal in ordinals], ["ordinal", "phash"]))

    def all_phashes(self, query: Mapping[str, Any] = EVERY) -> tuple[Ordinals, NDArray[np.uint64]]:
        """Return the perceptual hashes of all images that a query finds, a page at a time."""
        columns = {"_source": False, "docvalue_fields": ["phash"]}
        found = pages(self._client, self.index, query, by=["ordinal"], size=NUMBERS, **columns)
        return _hashes((hit["sort"][0], hit["fields"]["phash"][0]) for page in found for hit in page)

    def near_phashes(self, phash: int, most: int) -> tuple[Ordinals, NDArray[np.uint64]]:
        parameters = {"hash": int(np.uint64(phash).view(np.int64)), "most": most}
        script = {"source": _DISTANCE, "params": parameters}
        return self.all_phashes({"bool": {"filter": [{"script": {"script": script}}]}})

    def embeddings(self, space: EmbeddingSpace, ordinals: Sequence[int] | None) -> Iterator[tuple[Ordinals, Matrix]]:
        """Yield vectors of a space in chunks, by ordinal: of the images named, or of all."""
        column = vector_field(space)
        wanted = ["ordinal", column]
        if ordinals is None:
            having = {"exists": {"field": column}}
            for page in pages(self._client, self.index, having, by=["ordinal"], size=WHOLE, _source=wanted):
                yield _matrix([hit["_source"] for hit in page], column)
            return
        found = [source for source in self.by_ordinal(ordinals, wanted) if column in source]
        if found:
            found.sort(key=lambda source: int(source["ordinal"]))
            yield _matrix(found, column)

    def without_vector(self, space: EmbeddingSpace) -> Iterator[ImageId]:
        for page in pages(self._client, self.index, _without(space), by=["id"], size=NUMBERS, _source=False):
            yield from (ImageId(hit["_id"]) for hit in page)

    def count_without_vector(self, space: EmbeddingSpace) -> int:
        return rewriting.count(self._client, self.index, _without(space))

    def count(self) -> int:
        return rewriting.count(self._client, self.index, EVERY)

    def files(self) -> Iterator[dict[ImageId, list[tuple[Path, FileRow]]]]:
        """Yield the files of all images, by image, a page at a time."""
        for page in pages(self._client, self.index, EVERY, by=["ordinal"], size=WHOLE, _source=["record.files"]):
            yield {ImageId(hit["_id"]): files_of(hit["_source"]) for hit in page}

    def edits(self) -> Iterator[tuple[ImageId, Edit]]:
        """Yield what people decided of the images that are there."""
        for page in pages(self._client, self.index, EVERY, by=["ordinal"], size=NUMBERS, _source=["record.edit"]):
            for hit in page:
                edit = edit_of({"record": {}, **hit["_source"]})
                if edit is not None:
                    yield ImageId(hit["_id"]), edit

    def _columns(self, by: str, values: Sequence[Any], names: Sequence[str]) -> Iterator[list[Any]]:
        """Yield values of fields that are kept in columns, which is far cheaper than reading documents."""
        for start in range(0, len(values), NUMBERS):
            some = values[start : start + NUMBERS]
            body = {"query": _any_of(by, some), "size": len(some), "_source": False, "docvalue_fields": list(names)}
            for hit in rewriting.search(self._client, self.index, body)["hits"]["hits"]:
                yield [hit["fields"][name][0] for name in names]


_KEPT = ("phash", "models", "record", VECTORS)
_DISTANCE = "Long.bitCount(doc['phash'].value ^ params.hash) <= params.most"


def _hashes(found: Iterable[Sequence[int]]) -> tuple[Ordinals, NDArray[np.uint64]]:
    """Return (ordinal, signed hash) as two columns, by ordinal."""
    rows = np.array(sorted((int(ordinal), int(phash)) for ordinal, phash in found), np.int64).reshape(-1, 2)
    return rows[:, 0].astype(np.uint32), np.ascontiguousarray(rows[:, 1]).view(np.uint64)


def _any_of(field: str, values: Sequence[Any]) -> dict[str, Any]:
    return {"bool": {"filter": [{"terms": {field: list(values)}}]}}


def _without(space: EmbeddingSpace) -> dict[str, Any]:
    return {"bool": {"must_not": [{"exists": {"field": vector_field(space)}}]}}


def _matrix(sources: Sequence[Source], column: str) -> tuple[Ordinals, Matrix]:
    ordinals = np.array([source["ordinal"] for source in sources], np.uint32)
    return ordinals, np.array([source[column] for source in sources], np.float32)


def _leaving(old: Mapping[str, Source | None], new: Mapping[str, Source | None]) -> dict[ImageId, Edit]:
    """Return the edits of the images that go."""
    going = {id: edit_of(source) for id, source in old.items() if source is not None and new[id] is None}
    return {ImageId(id): edit for id, edit in going.items() if edit is not None}
