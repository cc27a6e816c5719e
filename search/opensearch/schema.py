"""The indices of a library in OpenSearch: their names, mappings, versions, and moving from one index to the next.

A library is a prefix. ``PREFIX-images`` is an alias of the one index ``PREFIX-images-N`` that is searched and written
to; a new mapping means a new index, filled beside the old one and put in its place by moving the alias, in one step.
``PREFIX-files`` and ``PREFIX-state`` hold what the catalogue keeps besides images.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search.config import Config
from search.errors import ConfigError
from search.opensearch.client import Client
from search.types import EmbeddingSpace, TagKind

VERSION = 2
"""Of the mapping. A change of it, or of what `documents` writes, needs a new one: libraries then move to it."""

FIELDS = (
    *(kind.value for kind in TagKind if kind is not TagKind.TEXT),
    "source",
    "has",
    "orientation",
    "year",
)
"""The fields whose values are kept under ``value`` and ``shown``."""

TEXTS = ("caption", "alt_text", "ocr")

MOST_HITS = 100_000
"""That one search may return."""

LONGEST_WORD = 1_000
"""Characters of a word to search for; of longer ones these count."""
LONGEST_TOKEN = 2_000
"""Characters; longer ones are parted, for Lucene takes no term above 32,766 bytes. A word has room for its weight."""

K1 = 1.2
"""BM25's constant for how soon more of a word says no more; with Lucene's own 0.75 for lengths, as in SQLite's FTS5."""
FREQUENCY_UNIT = 2
"""How often a word of weight 1 is said to occur: frequencies are whole numbers, the least weight of a field is 0.5."""

_ANALYSIS = {
    # Texts come as words parted by spaces, read as every store reads them (search/words.py); only stemming is left.
    "tokenizer": {"spaces": {"type": "whitespace", "max_token_length": LONGEST_TOKEN}},
    "analyzer": {
        "exact": {"type": "custom", "tokenizer": "spaces"},
        "stemmed": {"type": "custom", "tokenizer": "spaces", "filter": ["porter_stem"]},
        "weighed": {"type": "custom", "tokenizer": "spaces", "filter": ["delimited_term_freq", "porter_stem"]},
    },
}
_SIMILARITY = {"weighed": {"type": "BM25", "k1": K1 * FREQUENCY_UNIT, "b": 0.75}}


def classical_bm25(version: str) -> float:
    """Return the factor from a score to the classical formula of BM25, by the version of the server.

    Lucene leaves out its factor, k1 + 1, since it changes no order; OpenSearch before 3 has it, for the k1 above.
    """
    left_in = 1 + K1 * FREQUENCY_UNIT if int(version.split(".", maxsplit=1)[0]) < 3 else 1
    return (1 + K1) / left_in


def library(config: Config) -> str:
    """Return what the names of a library begin with.

    The two ways to use OpenSearch keep apart, so that a library can be moved between them; no prefix has a dot.
    """
    return config.opensearch_prefix + (".knn" if config.is_in_cluster else "")


def images(prefix: str) -> str:
    """Return the alias of the images of a library."""
    return f"{prefix}-images"


def files(prefix: str) -> str:
    return f"{prefix}-files"


def state(prefix: str) -> str:
    return f"{prefix}-state"


def vector_field(space: EmbeddingSpace) -> str:
    """Return the field that holds the vectors of a space; those of two spaces are never in one field."""
    return f"vector_{space.fingerprint[:12]}"


def vector_mapping(space: EmbeddingSpace, engine: str) -> dict[str, Any]:
    """Return the mapping of a space's vectors: HNSW over unit vectors, in the engine that the options name.

    Source of the parameters: Malkov and Yashunin 2018; 16 and 100 are Lucene's own defaults.
    """
    method = {"name": "hnsw", "engine": engine, "space_type": "cosinesimil"}
    parameters = {"m": 16, "ef_construction": 100}
    return {"type": "knn_vector", "dimension": space.dim, "method": {**method, "parameters": parameters}}


def images_mapping() -> dict[str, Any]:
    """Return the mapping of images without vectors; an unknown field is an error, never a guess."""
    searched = {"type": "keyword", "doc_values": False}
    listed = {"type": "keyword", "index": False}
    phrases = {"type": "text", "analyzer": "exact", "norms": False}
    weighed = {"analyzer": "weighed", "search_analyzer": "stemmed", "similarity": "weighed", "index_options": "freqs"}
    return {
        "dynamic": "strict",
        "_meta": {"snapseek": VERSION},
        "properties": {
            "id": {"type": "keyword"},
            "ordinal": {"type": "integer"},
            "number": _strict(
                **{name: {"type": "integer"} for name in ("width", "height", "people", "year")}, taken={"type": "long"}
            ),
            "value": _strict(**dict.fromkeys(FIELDS, searched)),
            "shown": _strict(**dict.fromkeys(FIELDS, listed)),
            "tags": {
                "type": "nested",
                **_strict(
                    kind={"type": "keyword"},
                    label={"type": "keyword"},
                    shown=listed,
                    confidence={"type": "float"},
                    n={"type": "integer"},
                ),
            },
            "path": searched,
            "words": {"type": "text", **weighed},
            "texts": _strict(**dict.fromkeys(TEXTS, phrases)),
            "reading": listed,
            "completion": listed,
            "verdict": {"type": "keyword"},
            # Only where the catalogue is in OpenSearch too:
            "phash": {"type": "long"},
            "models": {"type": "keyword"},
            "record": {"type": "object", "enabled": False},
        },
    }


_WRITTEN = {name: {"type": "keyword", "index": False, "doc_values": False} for name in ("sidecars", "written")}
"""Opaque fields of files that libraries of an older version get when they are opened."""


def files_mapping() -> dict[str, Any]:
    """Return the mapping of files: one document for each path below a root."""
    return {
        "dynamic": "strict",
        "_meta": {"snapseek": VERSION},
        "properties": {
            "root": {"type": "keyword"},
            "path": {"type": "keyword"},
            "size": {"type": "long"},
            "mtime_ns": {"type": "long"},
            "inode": {"type": "keyword"},
            "image": {"type": "keyword"},
            "reason": {"type": "keyword", "index": False, "ignore_above": 8_000},
            **_WRITTEN,
        },
    }


def state_mapping() -> dict[str, Any]:
    """Return the mapping of all else: what kind of thing a document is can be asked for, its content is opaque."""
    return {
        "dynamic": "strict",
        "_meta": {"snapseek": VERSION},
        "properties": {
            "kind": {"type": "keyword"},
            "key": {"type": "keyword"},
            "body": {"type": "object", "enabled": False},
        },
    }


def _strict(**properties: Any) -> dict[str, Any]:
    return {"dynamic": "strict", "properties": properties}


def put_templates(client: Client, config: Config) -> None:
    """Write the templates that every index of the library is made by."""
    prefix = library(config)
    settings: dict[str, Any] = {
        "number_of_shards": config.opensearch_shards,
        "number_of_replicas": config.opensearch_replicas,
        "refresh_interval": -1,  # each write refreshes when it is complete
    }
    searched = {**settings, "knn": True, "analysis": _ANALYSIS, "similarity": _SIMILARITY}
    searched["max_result_window"] = MOST_HITS
    templates = {
        images(prefix): (f"{images(prefix)}-*", searched, images_mapping()),
        files(prefix): (files(prefix), settings, files_mapping()),
        state(prefix): (state(prefix), {**settings, "number_of_shards": 1}, state_mapping()),
    }
    with client.translated():
        for name, (pattern, values, mapping) in templates.items():
            body = {
                "index_patterns": [pattern],
                "priority": 500,
                "version": VERSION,
                "template": {"settings": {"index": values}, "mappings": mapping},
            }
            client.raw.indices.put_index_template(name=name, body=body)


def current_index(client: Client, prefix: str) -> str | None:
    """Return the index that the alias of the images points to, or None."""
    with client.translated():
        if not client.raw.indices.exists_alias(name=images(prefix)):
            return None
        (name,) = client.raw.indices.get_alias(name=images(prefix))
    return str(name)


def ensure_images(client: Client, config: Config) -> str:
    """Return the index of the images, made with its alias if there is none. Two processes may do so at once."""
    prefix = library(config)
    name = current_index(client, prefix)
    if name is None:
        put_templates(client, config)
        with client.translated():
            client.raw.indices.create(
                index=f"{images(prefix)}-1", body={"aliases": {images(prefix): {"is_write_index": True}}}, ignore=[400]
            )
        name = current_index(client, prefix)
        if name is None:
            raise ConfigError(
                f"the index {images(prefix)}-1 is there without its alias: a move was broken off; delete it"
            )
    return name


def ensure_index(client: Client, config: Config, name: str) -> None:
    """Make an index of its own name (files, state) if there is none."""
    with client.translated():
        if not client.raw.indices.exists(index=name):
            put_templates(client, config)
            client.raw.indices.create(index=name, ignore=[400])


def version_of(client: Client, index: str) -> int:
    """Return the version of the mapping that an index has; 0 for one that is none of ours."""
    with client.translated():
        (found,) = client.raw.indices.get_mapping(index=index).values()
    return int(found["mappings"].get("_meta", {}).get("snapseek", 0))


def expect_readable(client: Client, prefix: str) -> None:
    """Raise ConfigError for a library that a later version made."""
    version = version_of(client, images(prefix))
    if version > VERSION:
        raise ConfigError(
            f"the library with prefix {prefix} was made by a newer Snapseek (schema {version}, this one knows"
            f" {VERSION}): update"
        )


def upgrade(client: Client, config: Config) -> None:
    """Give the images of a library of an older version the fields that came since; their documents stay as they are.

    Raises ConfigError for a library that a later version made.
    """
    prefix = library(config)
    expect_readable(client, prefix)
    _upgrade_files(client, prefix)
    if version_of(client, images(prefix)) == VERSION:
        return
    put_templates(client, config)
    new = {"_meta": {"snapseek": VERSION}, "properties": {"verdict": images_mapping()["properties"]["verdict"]}}
    client.call(lambda raw: raw.indices.put_mapping(index=images(prefix), body=new))


def _upgrade_files(client: Client, prefix: str) -> None:
    """Give the files their newest fields, where the catalogue is in OpenSearch."""
    with client.translated():
        if not client.raw.indices.exists(index=files(prefix)):
            return
        (found,) = client.raw.indices.get_mapping(index=files(prefix)).values()
    if not _WRITTEN.keys() <= found["mappings"]["properties"].keys():
        client.call(lambda raw: raw.indices.put_mapping(index=files(prefix), body={"properties": _WRITTEN}))


def next_index(client: Client, config: Config, vectors: Mapping[str, Any] | None = None) -> str:
    """Make the index that is to follow the current one, empty and without the alias, and return its name.

    One that a broken-off move left behind is taken away first. ``vectors``: mappings of vector fields, by name.
    """
    prefix = library(config)
    current = current_index(client, prefix)
    number = int(current.rsplit("-", 1)[1]) + 1 if current else 1
    name = f"{images(prefix)}-{number}"
    put_templates(client, config)
    with client.translated():
        client.raw.indices.delete(index=name, ignore=[404])
        client.raw.indices.create(index=name, body={"mappings": {"properties": dict(vectors or {})}})
    return name


def put_in_place(client: Client, prefix: str, name: str) -> None:
    """Point the alias to an index, in one step, and delete the one that it pointed to."""
    current = current_index(client, prefix)
    if current == name:
        return
    add = {"add": {"index": name, "alias": images(prefix), "is_write_index": True}}
    remove = [{"remove_index": {"index": current}}] if current else []
    with client.translated():
        client.raw.indices.refresh(index=name)
        client.raw.indices.update_aliases(body={"actions": [add, *remove]})


def delete_all(client: Client, prefix: str) -> None:
    """Delete every index and template of a library."""
    with client.translated():
        # Those that are not there must not keep the others from being deleted.
        names = f"{images(prefix)}-*,{files(prefix)},{state(prefix)}"
        client.raw.indices.delete(index=names, params={"ignore_unavailable": "true"}, ignore=[404])
        for name in (images(prefix), files(prefix), state(prefix)):
            client.raw.indices.delete_index_template(name=name, ignore=[404])
